"""Deletions of the last while are counted by direction, and forgotten after an hour."""

from peer.engine.losses import Losses
from peer.planner.operations import Lately


class Clock:
    """A clock that is set."""

    def __init__(self) -> None:
        self.now_s = 1_000_000.0

    def wall_ns(self) -> int:
        return 0

    def monotonic_s(self) -> float:
        return self.now_s

    async def sleep(self, seconds: float) -> None:
        self.now_s += seconds


def test_deletions_add_up_by_direction_and_the_most_entries_are_kept() -> None:
    losses = Losses(Clock())
    losses.note("remote", 3, 500)
    losses.note("remote", 4, 520)
    losses.note("local", 5, 510)
    losses.note("local", 0, 900)
    assert losses.lately() == Lately(520, 5, 7)


def test_a_deletion_counts_for_an_hour() -> None:
    clock = Clock()
    losses = Losses(clock)
    losses.note("remote", 3, 500)
    clock.now_s += 1800
    losses.note("remote", 4, 400)
    clock.now_s += 1730
    assert losses.lately() == Lately(500, 0, 7)
    clock.now_s += 130
    assert losses.lately() == Lately(400, 0, 4)
    clock.now_s += 3600
    assert losses.lately() == Lately()


def test_an_answer_settles_what_went_before() -> None:
    losses = Losses(Clock())
    losses.note("remote", 3, 500)
    losses.forget()
    assert losses.lately() == Lately()
    losses.note("local", 1, 100)
    assert losses.lately() == Lately(100, 1, 0)
