"""What a report says of a small world, and that its page is whole, harmless and bounded, whatever names there are."""

import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from simulations import Scenario, Stage, minutes, run_scenario
from simulations.happenings import Fault, Lined
from simulations.report.building import Told, make_report
from simulations.report.layout import MOST_MOMENTS, lay_out
from simulations.report.model import Blocks, Lane, Mark, MarkKind, Moment, Report, Span, Transfer, Wait
from simulations.report.page import render, visible
from simulations.report.recording import Recording
from simulations.report.summary import document, told
from simulations.stories import load
from simulations.trace import Trace

HOSTILE = "</script><img src=x onerror=alert(1)>\"'&\u202egnp.exe\x00\x1b[31m"


def everything() -> Scenario:
    """A story in which all happens that a report can show."""
    scenario = Scenario("all of it", "every kind of thing")
    home, train = scenario.site("home"), scenario.site("train", latency_ms=40)
    desk, laptop = scenario.device("desk", at=home), scenario.device("laptop", at=train)

    @scenario.story
    async def story(world: Stage) -> None:
        await world.share("Work", [desk, laptop])
        await desk.write("Work/film.mov", size=300_000)
        await desk.write("Work/plan.txt", "begin\n")
        await world.converged(within=minutes(5))
        await laptop.lose_power()
        await world.wait(minutes(1))
        await laptop.start()
        await world.converged(within=minutes(5))
        await world.cut(train, for_=minutes(2))
        await desk.edit("Work/plan.txt", "one")
        await laptop.edit("Work/plan.txt", "another")
        await world.converged(within=minutes(10))
        world.expect(world.conflicts("Work") == 1, "one conflicted copy")
        laptop.sleep()
        await world.wait(minutes(3))
        laptop.wake()
        await world.carry(laptop, home)
        await desk.kill()
        await desk.start()
        await desk.stop()
        await desk.start()
        await world.converged(within=minutes(10))
        world.expect(world.conflicts("Work") == 7, "seven of them")

    return scenario


def report_of(scenario: Scenario, recording: Recording | None = None) -> Report:
    recording = recording or Recording()
    outcome = run_scenario(scenario, trace=Trace(keep_all=True, listener=recording))
    return make_report(recording, outcome, Told(scenario.title, scenario.expects, "shoal-sim run it", "1", 1.5))


@pytest.fixture(scope="module")
def report() -> Report:
    return report_of(everything())


class Page(HTMLParser):
    """Checks that what is opened is closed, in order."""

    VOID = frozenset({"meta", "use", "rect", "line", "circle", "path"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.text = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.VOID:
            assert self.open
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


# --- the model --------------------------------------------------------------------------------------------


def test_a_world_is_the_same_whether_or_not_somebody_listens() -> None:
    scenario = load("train-with-bad-coverage")
    heard = run_scenario(scenario, trace=Trace(listener=Recording()))
    assert heard.digest == run_scenario(scenario).digest


def test_the_coordinator_comes_first_and_then_the_devices_with_where_they_were(report: Report) -> None:
    assert [(one.name, one.sites) for one in report.lanes] == [
        ("coordinator", ("server",)),
        ("desk", ("home",)),
        ("laptop", ("train", "home")),
    ]
    assert [one.is_coordinator for one in report.lanes] == [True, False, False]


def test_every_kind_of_thing_that_happened_is_a_mark_of_its_lane(report: Report) -> None:
    _, desk, laptop = report.lanes
    of_desk, of_laptop = {one.kind for one in desk.marks}, {one.kind for one in laptop.marks}
    assert {MarkKind.DEED, MarkKind.COMMIT, MarkKind.STARTS, MarkKind.STOPS, MarkKind.KILLED} <= of_desk
    assert {MarkKind.POWER, MarkKind.CARRIED, MarkKind.STILL, MarkKind.GOES_ON} <= of_laptop
    assert MarkKind.CONFLICT in of_desk | of_laptop
    assert {"running"} == {one.kind for one in report.lanes[0].states}
    assert {"up_to_date", "syncing", "starting"} <= {one.kind for one in desk.states}
    assert {"asleep", "off"} <= {one.kind for one in laptop.states}


def test_the_states_of_a_device_follow_each_other_without_a_gap(report: Report) -> None:
    for lane in report.lanes:
        for one, other in zip(lane.states, lane.states[1:], strict=False):
            assert one.ends_s == other.begins_s
        assert lane.states[-1].ends_s == report.virtual_s


def test_a_cut_is_seen_by_whoever_is_at_that_place_and_lasts_as_long(report: Report) -> None:
    _, desk, laptop = report.lanes
    assert not desk.cuts
    (cut,) = laptop.cuts
    assert cut.ends_s - cut.begins_s == pytest.approx(120)
    assert cut.what == "the line of train is cut"


def test_transfers_add_up_to_what_the_devices_counted(report: Report) -> None:
    _, desk, laptop = report.lanes
    assert desk.blocks.server_up == sum(one.size for one in desk.transfers if one.is_up) > 300_000
    assert laptop.blocks.server_down > 300_000
    assert report.server_bytes >= desk.blocks.server_up + laptop.blocks.server_down
    assert report.lan_bytes == 0
    on_the_line = {one.name: one for one in report.sites}
    assert on_the_line["home"].up > 300_000
    assert on_the_line["train"].down > 300_000
    assert on_the_line["server"].up == on_the_line["home"].down + on_the_line["train"].down


def test_all_time_of_a_device_is_told_by_what_it_was_spent_with(report: Report) -> None:
    _, _, laptop = report.lanes
    waited = {one.what: one.lasted_s for one in laptop.waits}
    assert waited["the line of train is cut"] == pytest.approx(120, abs=20)
    assert waited["asleep"] == pytest.approx(180, abs=1)
    assert sum(waited.values()) == pytest.approx(report.virtual_s - laptop.states[0].begins_s)


def test_versions_conflicts_and_expectations_are_told(report: Report) -> None:
    assert report.versions >= 4
    assert report.conflicts == 1
    assert [(one.what, one.holds) for one in report.expectations] == [
        ("one conflicted copy", True),
        ("seven of them", False),
    ]
    assert not report.ok
    assert [one.after_s > 0 for one in report.in_step] == [True] * 4
    deeds = [one for one in report.moments if one.kind is MarkKind.DEED]
    assert [one.number for one in deeds] == list(range(1, len(deeds) + 1))
    assert any(one.kind is MarkKind.COMMIT and "film.mov" in one.what for one in report.moments)


def test_an_expectation_without_words_is_told_by_its_line() -> None:
    scenario = Scenario("wordless")
    desk = scenario.device("desk", at=scenario.site("home"))

    @scenario.story
    async def story(world: Stage) -> None:
        await world.share("Work", [desk])
        world.expect(desk.tree("Work") == {})

    (one,) = report_of(scenario).expectations
    assert one.what == 'desk.tree("Work") == {}'


def test_a_story_that_breaks_off_has_a_report_too() -> None:
    scenario = Scenario("broken")
    desk = scenario.device("desk", at=scenario.site("home"))

    @scenario.story
    async def story(world: Stage) -> None:
        await world.share("Work", [desk])
        raise KeyError("a slip of the author")

    found = report_of(scenario)
    assert not found.ok
    assert "a slip of the author" in render(found)


# --- the page ---------------------------------------------------------------------------------------------


def test_the_page_is_well_formed_needs_nothing_and_runs_nothing(report: Report) -> None:
    text = render(report)
    page = Page(text)
    assert page.open == []
    assert text.startswith("<!doctype html>")
    assert "script" not in page.tags
    assert "Content-Security-Policy" in text
    assert not [
        value for name, value in page.attributes if name in ("src", "href") and not (value or "").startswith("#")
    ]
    assert not re.findall(r"url\((?!#)", text)
    assert render(report) == text


def test_everything_there_is_can_be_seen_on_the_page(report: Report) -> None:
    text = Page(render(report)).text
    for words in ("All of it".lower(), "desk", "laptop", "train → home", "seven of them", "one conflicted copy"):
        assert words in text
    for words in ("line cut", "asleep", "is killed", "loses power", "taken elsewhere", "commit", "conflicted copy"):
        assert words in text
    for words in (
        "writes Work/plan.txt",
        "the line of train is whole",
        report.digest,
        "film.mov",
    ):
        assert words in text


def test_names_are_data_wherever_they_are_shown() -> None:
    lane = Lane(
        name=HOSTILE,
        sites=(HOSTILE, HOSTILE),
        is_coordinator=False,
        states=(Span(0, 5, "syncing", HOSTILE), Span(5, 9, HOSTILE)),
        cuts=(Span(1, 4, "cut", HOSTILE),),
        transfers=(Transfer(1, 2, is_up=True, by_lan=False, size=5),),
        marks=tuple(Mark(3, kind, HOSTILE, 1) for kind in MarkKind),
        waits=(Wait("cut", HOSTILE, 9),),
        blocks=Blocks(5),
    )
    report = report_of(load("two-people-one-document"))
    hostile = replace(
        report,
        title=HOSTILE,
        expects=HOSTILE,
        command=HOSTILE,
        seed=HOSTILE,
        lanes=(report.lanes[0], lane),
        sites=tuple(replace(one, name=HOSTILE) for one in report.sites),
        failures=(HOSTILE,),
        expectations=tuple(replace(one, what=HOSTILE) for one in report.expectations),
        moments=tuple(Moment(3, HOSTILE, kind, HOSTILE) for kind in MarkKind),
    )
    text = render(hostile)
    page = Page(text)
    assert page.open == []
    assert not {"script", "img"} & set(page.tags)
    assert not {"onerror", "style"} & {name for name, _ in page.attributes}
    assert not set("\x00\x1b\u202e") & set(text)
    assert page.text.count("<img src=x onerror=alert(1)>") >= 10
    assert any("\\u202egnp.exe\\u0000" in (value or "") for name, value in page.attributes if name == "title")
    text.encode()


def test_what_cannot_be_seen_is_spelt_out() -> None:
    assert visible("a\u202eb\udcffc\n\u200d") == "a\\u202eb\\udcffc\n\u200d"


def test_a_large_world_has_a_page_of_a_bounded_size() -> None:
    moments = tuple(
        Moment(at / 7, f"device-{at % 100}", MarkKind.DEED if at % 3 else MarkKind.COMMIT, f"writes Team/{at}.txt", at)
        for at in range(4_000)
    )
    virtual_s = 4_000 / 7
    lanes = tuple(
        Lane(
            name=f"device-{number}",
            sites=("office",),
            is_coordinator=number == 0,
            states=tuple(Span(at, at + 1, "syncing" if at % 2 else "up_to_date") for at in range(int(virtual_s))),
            cuts=(),
            transfers=tuple(Transfer(at, at + 0.5, at % 2 == 0, by_lan=False, size=10) for at in range(300)),
            marks=tuple(Mark(one.at_s, one.kind, one.what) for one in moments if one.who == f"device-{number}"),
            waits=(Wait("up_to_date", "up to date", virtual_s),),
            blocks=Blocks(1, 2, 3, 4),
        )
        for number in range(100)
    )
    small = report_of(load("two-people-one-document"))
    large = replace(small, lanes=lanes, moments=moments, virtual_s=virtual_s)
    text = render(large)
    assert Page(text).open == []
    assert len(text) < 4_000_000
    page = lay_out(large)
    assert len(page.lines) == MOST_MOMENTS
    assert page.left_out > 0


# --- in the terminal --------------------------------------------------------------------------------------


def test_the_summary_says_how_long_by_which_path_and_what_was_waited_for(report: Report) -> None:
    text = "\n".join(told(report))
    assert "FAILED: seven of them" in text
    assert re.search(r"in step after +\S+ .*, ", text)
    assert re.search(r"by the server +\d+ kB of blocks", text)
    assert re.search(r"by the LAN +0 B of blocks", text)
    assert re.search(r"conflicted copies +1\b", text)
    assert re.search(r"laptop +asleep 3 min, the line of train is cut 2 min", text)


def test_the_document_has_the_fields_that_are_promised(report: Report) -> None:
    found = document(report)
    assert {"scenario", "seed", "trace_hash", "ok", "virtual_s", "wall_s", "converged_s", "conflicts"} <= found.keys()
    assert found["bytes"] == {"lan": 0, "server": report.server_bytes}
    assert found["failures"] == ["seven of them"]


def test_what_a_world_without_a_story_told_is_kept_in_order() -> None:
    recording = Recording()
    recording.happened(1.0, Lined("home", up=True, down=False))
    recording.happened(2.0, Fault("line cut: home"))
    recording.ended(3.0, {}, [])
    recording.happened(4.0, Fault("of the taking apart"))
    assert [at_s for at_s, _ in recording.happened_at] == [1.0, 2.0]
