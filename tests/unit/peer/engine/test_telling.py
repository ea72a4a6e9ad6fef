"""What is told of a workspace: its problems, its pace; and who is woken by it."""

import trio

from peer.engine.context import Signal
from peer.engine.pace import WINDOW_S, Pace
from peer.engine.problems import Problems
from tests.unit.peer.engine.clocks import SetClock


def test_a_problem_is_told_since_it_was_first_seen() -> None:
    clock = SetClock(10.0)
    problems = Problems(clock)
    problems.put("a", "unreadable", "first")
    clock.advance(5.0)
    problems.put("a", "unreadable", "second")
    (one,) = problems.at("a")
    assert (one.message, one.since_ns) == ("second", 10_000_000_000)
    problems.clear("a", "unreadable", "busy_file")
    problems.put("a", "unreadable", "again")
    (one,) = problems.at("a")
    assert one.since_ns == 15_000_000_000


def test_problems_of_one_code_end_everywhere_but_where_they_stay() -> None:
    problems = Problems(SetClock(0.0))
    for path in ("", "a", "b"):
        problems.put(path, "unreadable", path)
        problems.put(path, "busy_file", path)
    problems.clear_code("unreadable", keep=["b"])
    assert {(one.path, one.code) for one in problems.all()} == {
        ("", "busy_file"),
        ("a", "busy_file"),
        ("b", "busy_file"),
        ("b", "unreadable"),
    }
    assert problems.has("busy_file")
    assert not problems.has("unreadable"), "only those of the whole workspace count"


def test_the_time_left_follows_the_rate_of_the_last_seconds() -> None:
    clock = SetClock(0.0)
    pace = Pace(clock)
    pace.note(0, 1000)
    assert pace.eta_s() is None, "there is no rate yet"
    for second in range(1, 31):
        clock.advance(1.0)
        pace.note(second * 10 if second <= 15 else 150 + (second - 15) * 100, 1000)
    assert pace.eta_s() == 10.0, f"only the last {WINDOW_S} seconds count"
    pace.note(2000, 0)
    assert pace.eta_s() == 0.0


def test_no_time_is_told_while_nothing_moves() -> None:
    clock = SetClock(0.0)
    pace = Pace(clock)
    for _ in range(3):
        pace.note(7, 1000)
        clock.advance(1.0)
    assert pace.eta_s() is None


async def test_a_signal_set_before_anybody_waits_is_heard(autojump_clock: trio.testing.MockClock) -> None:
    signal = Signal()
    signal.set()
    signal.set()
    await signal.wait()
    assert not signal.is_set
    before = trio.current_time()
    await signal.wait(3.0)
    assert trio.current_time() - before == 3.0
