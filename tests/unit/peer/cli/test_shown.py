"""The forms in which values are shown, the pace of a pile of work, and what PATH means."""

import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from peer.cli import panels
from peer.cli.lines import status_lines
from peer.cli.printing import line_shown, size_shown, span_shown
from peer.cli.rates import Pace
from peer.cli.targets import absolute, listing_meant, path_meant
from peer.control import messages as m


@pytest.mark.parametrize(
    ("size", "shown"),
    [(0, "0 B"), (999, "999 B"), (1000, "0.98 KiB"), (1024, "1.00 KiB"), (10 * 1024, "10.0 KiB"), (2**30, "1.00 GiB")],
)
def test_sizes_have_three_digits(size: int, shown: str) -> None:
    assert size_shown(size) == shown


def test_spans_have_two_units() -> None:
    assert [span_shown(each) for each in (-1, 59, 61, 3_900, 90_000)] == [
        "0 s",
        "59 s",
        "1 min 01 s",
        "1 h 05 min",
        "1 d 01 h",
    ]


@given(st.text())
@settings(deadline=None)
def test_a_line_is_a_line_whatever_the_text(text: str) -> None:
    assert line_shown(text).isprintable()


def test_a_name_that_is_not_text_can_be_shown() -> None:
    assert line_shown(os.fsdecode(b"caf\xe9")) == "caf\\udce9"


def test_a_pace_is_what_was_done_in_the_time() -> None:
    pace = Pace()
    for second in range(11):
        pace.see(10_000 - 1_000 * second, 10 - second, float(second))
        if 0 < second < 10:
            assert pace.rate_bytes_s == pytest.approx(1_000)
            assert pace.left_s == pytest.approx(10 - second)
            assert (pace.total_bytes, pace.done_bytes) == (10_000, 1_000 * second)
    assert (pace.total_bytes, pace.rate_bytes_s, pace.left_s) == (0, 0, None)


def test_a_pile_that_grows_counts_as_more_to_do() -> None:
    pace = Pace()
    for at, left in enumerate((100, 60, 90)):
        pace.see(left, 1, float(at))
    assert (pace.total_bytes, pace.done_bytes) == (130, 40)


@given(st.lists(st.tuples(st.integers(0, 10**12), st.floats(0, 10)), max_size=30))
@settings(deadline=None)
def test_a_bar_never_runs_backwards_out_of_its_frame(steps: list[tuple[int, float]]) -> None:
    pace, now = Pace(), 0.0
    for left, passed in steps:
        now += passed
        pace.see(left, 1, now)
        assert 0 <= pace.done_bytes <= pace.total_bytes
        assert pace.rate_bytes_s >= 0


def test_a_panel_takes_nothing_in_a_name_as_mark_up() -> None:
    name = "[bold]x[/bold]\x1b[2J"
    workspace = m.WorkspaceStatus(
        id="00",
        name=name,
        folder="/" + name,
        role="owner",
        state="syncing",
        cursor=1,
        head=2,
        entries=1,
        bytes=1,
        pending=m.Pending(up_files=1, up_bytes=500),
        not_durable=0,
        conflicts=1,
        eta_s=None,
        problems=[m.Problem(path=name, code="unreadable", message=name, since="")],
    )
    status = m.Status(
        device=name,
        user="ana",
        coordinator=m.Coordinator(url=name, state="offline", since=""),
        workspaces=[workspace],
        transfer=m.Transfer(),
    )
    pace = Pace()
    pace.see(1_000, 1, 0.0)
    pace.see(500, 1, 1.0)
    console = Console(record=True, width=300, markup=False)
    with console.capture() as shown:
        console.print(panels.status_panel(status, {"00": pace}))
    assert "\x1b" not in shown.get()
    assert shown.get().count("[bold]x[/bold]\\x1b[2J") == 6
    assert "500 B/s, 1 s left" in shown.get()
    assert all(line.isprintable() for line in status_lines(status))


def test_a_path_is_absolute_and_its_last_link_is_not_followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    base = tmp_path.resolve()
    (base / "real").mkdir()
    (base / "link").symlink_to("real")
    (base / "a:b").touch()
    monkeypatch.chdir(base)
    assert absolute("link") == f"{base}/link"
    assert absolute("link/") == f"{base}/real"
    assert absolute("link/gone") == f"{base}/real/gone"
    assert absolute("link/..") == str(base)
    assert absolute("../gone") == f"{base.parent}/gone"
    assert path_meant("a:b") == f"{base}/a:b"
    assert path_meant("ana/Documents:b") == "ana/Documents:b"
    assert path_meant("./x:y") == f"{base}/x:y"
    assert listing_meant(None) == (None, None)
    assert listing_meant(".") == (str(base), None)
    assert listing_meant("real") == ("real", f"{base}/real")
    assert listing_meant("Documents") == ("Documents", None)
