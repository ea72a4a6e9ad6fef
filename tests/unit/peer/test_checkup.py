"""What the checks make of numbers that a test cannot bring about on a machine."""

from pathlib import Path

import pytest

from peer.checkup import check_watches, judge_clock, judge_space

GIB = 1024**3


@pytest.mark.parametrize(
    ("off_s", "state"), [(0, "ok"), (119, "ok"), (-119, "ok"), (121, "problem"), (-86_400, "problem")]
)
def test_a_clock_may_be_a_little_off(off_s: float, state: str) -> None:
    assert judge_clock(1.7e9 + off_s, 1.7e9).state == state


def test_a_wrong_clock_is_said_in_which_direction() -> None:
    assert "ahead" in judge_clock(1e9 + 500, 1e9).message
    assert "behind" in judge_clock(1e9, 1e9 + 500).message


def test_the_systems_watches_are_compared_with_what_is_needed() -> None:
    assert check_watches(100, None).state == "ok"
    assert [check_watches(each, 1000).state for each in (800, 801, 1001)] == ["ok", "warning", "problem"]
    assert "max_user_watches=2000000" in check_watches(1_000_000, 8192).advice


def test_little_room_is_a_warning_and_none_a_problem() -> None:
    assert [judge_space(Path("/"), each).state for each in (GIB, GIB - 1, 2**26 - 1)] == ["ok", "warning", "problem"]
