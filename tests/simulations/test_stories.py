"""The library's stories end as they say, and a story of one's own is told as the documentation does."""

import re
from pathlib import Path

import pytest

from simulations import MB, DevicePlan, Scenario, Stage, mbit, minutes, run_scenario
from simulations.folder import Folder
from simulations.stories import load, names

LONG = {"hundred-devices", "many-devices", "phone-that-sleeps", "week-offline"}
"""Not run with every change: `shoal-sim run NAME`."""


@pytest.mark.parametrize("name", sorted(set(names()) - LONG))
def test_a_story_of_the_library_ends_as_it_says(name: str) -> None:
    assert not run_scenario(load(name)).failures


def test_the_library_has_stories_that_say_what_they_expect() -> None:
    assert len(names()) >= 15
    assert all(load(name).expects for name in names())


def test_a_story_is_the_same_in_a_second_run_and_another_one_with_another_seed() -> None:
    scenario = load("train-with-bad-coverage")
    digests = [run_scenario(scenario, seed).digest for seed in ("1", "1", "2")]
    assert digests[0] == digests[1] != digests[2]


def test_connections_that_are_given_up_together_go_in_the_same_order_every_time() -> None:
    scenario = load("two-people-one-document")
    assert len({run_scenario(scenario).digest for _ in range(6)}) == 1


def test_what_a_story_expected_and_is_not_so_is_a_failure() -> None:
    scenario = Scenario("a hope", "too much")
    desk = scenario.device("desk", at=scenario.site("home"))

    @scenario.story
    async def story(world: Stage) -> None:
        await world.share("Things", [desk])
        await desk.write("Things/one.txt", "one")
        await world.converged(within=minutes(1))
        world.expect("two.txt" in desk.tree("Things"), "a second file")

    assert run_scenario(scenario).failures == ["a second file"]


def test_bytes_pass_as_fast_as_the_line_lets_them() -> None:
    scenario = Scenario("a slow line")
    home, far = scenario.site("home", uplink=mbit(800)), scenario.site("far", uplink=mbit(8), latency_ms=50)
    desk, laptop = scenario.device("desk", at=home), scenario.device("laptop", at=far)
    took_s: list[float] = []

    @scenario.story
    async def story(world: Stage) -> None:
        await world.share("Films", [desk, laptop])
        await desk.write("Films/film.mp4", size=10 * MB)
        await world.converged(within=minutes(5))
        took_s.append(world.waited_s)

    outcome = run_scenario(scenario)
    assert not outcome.failures
    assert 10 <= took_s[0] < 20


@pytest.mark.parametrize("then", ["goes on", "is deleted", "is another", "stops", "is killed"])
def test_what_came_of_a_film_stays_while_it_may_go_on_and_no_longer(then: str) -> None:
    scenario = Scenario(f"a film that {then}")
    home, far = scenario.site("home", uplink=mbit(80)), scenario.site("far", uplink=mbit(4))
    desk, laptop = scenario.device("desk", at=home), scenario.device("laptop", at=far)

    @scenario.story
    async def story(world: Stage) -> None:
        def unfinished() -> list[int]:
            there = Folder(world.live(laptop).disk.people, "/Films/.shoal/tmp").tree()
            return [len(data or b"") for data in there.values()]

        await world.share("Films", [desk, laptop])
        await desk.write("Films/film.mp4", size=20 * MB)
        await world.wait(15)
        await world.cut(far, for_=minutes(3))
        await world.wait(100)
        found = unfinished()
        world.expect(len(found) == 1 and 4 * MB < found[0] < 9 * MB, f"the beginning stays: {found}")
        match then:
            case "is deleted" | "is another":
                await (desk.delete("Films/film.mp4") if then == "is deleted" else desk.write("Films/film.mp4", "new"))
                await world.wait(95)
                world.expect(len(unfinished()) == 1, "what was begun goes on until there is news")
                await world.cut(far, for_=minutes(2))
                await world.wait(100)
                world.expect(not unfinished(), "what is not wanted any more does not stay")
            case "stops":
                await laptop.stop()
                world.expect(not unfinished(), "a program that ends leaves nothing")
                await laptop.start()
            case "is killed":
                await laptop.kill()
                await laptop.start()
                await world.wait(30)
                world.expect(not unfinished(), "a start removes it")
            case _:
                pass
        await world.converged(within=minutes(10))
        world.expect(not unfinished(), "in the end there is nothing of it")

    outcome = run_scenario(scenario)
    assert not outcome.failures
    expected = {"goes on": 20 * MB, "is deleted": 15 * MB, "is another": 15 * MB}.get(then, 29 * MB)
    assert outcome.figures["bytes from the server"] < 1.05 * expected


def test_a_story_can_be_in_a_file_of_ones_own(tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text("from simulations import Scenario\n\nscenario = Scenario('mine', 'all is well')\n")
    assert load(str(path)).title == "mine"
    path.write_text("")
    with pytest.raises(LookupError, match="has no `scenario`"):
        load(str(path))
    with pytest.raises(LookupError, match="shoal-sim list"):
        load("no-such-story")


def test_names_that_could_not_be_told_apart_are_refused() -> None:
    scenario = Scenario("names")
    home = scenario.site("home")
    scenario.device("desk", at=home)
    for name in ("desk", "coordinator", "a/b", "", "x" * 41):
        with pytest.raises(ValueError, match=r"name|called"):
            scenario.device(name, at=home)
    for name in ("home", "server"):
        with pytest.raises(ValueError, match="called"):
            scenario.site(name)


def test_everything_that_a_story_can_say_is_documented() -> None:
    text = (Path(__file__).parents[2] / "docs" / "simulation.md").read_text()
    words = {name for kind in (Scenario, DevicePlan, Stage) for name in vars(kind) if not name.startswith("_")}
    within = {"told", "live", "tell", "next_number"}
    assert not [name for name in sorted(words - within) if not re.search(rf"\b{name}\b[(`]", text)]


def test_the_story_in_the_documentation_runs(tmp_path: Path) -> None:
    text = (Path(__file__).parents[2] / "docs" / "simulation.md").read_text()
    (code,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    path = tmp_path / "holiday.py"
    path.write_text(code)
    outcome = run_scenario(load(str(path)))
    assert not outcome.failures
    assert outcome.virtual_s > 300
    # The line was cut in the middle of 20 MB: what had come by then was not fetched again.
    assert 20 * MB < outcome.figures["bytes from the server"] < 1.05 * 20 * MB
