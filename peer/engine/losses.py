"""What was deleted in the last while. Owns the counts by which many small deletions meet the brake as one large one.

Kept in memory: a daemon that starts plans all that went while it was away at once.
"""

from collections import deque
from typing import Final, Literal

from peer.planner.operations import Lately
from peer.ports import Clock

WINDOW_S: Final = 3600.0
"""For how long a deletion counts."""
BUCKETS: Final = 60

Side = Literal["local", "remote"]


class Losses:
    """Deletions carried out, by direction, in buckets of a minute; never more than an hour of them."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._buckets: deque[tuple[int, Lately]] = deque()

    def note(self, side: Side, deletions: int, before: int) -> None:
        """So many entries were deleted; `before`: how many there were."""
        if deletions <= 0:
            return
        at = self._now()
        last = self._buckets.pop()[1] if self._buckets and self._buckets[-1][0] == at else Lately()
        self._buckets.append((at, _sum(last, Lately(before, **{side: deletions}))))

    def forget(self) -> None:
        """Somebody has answered for what went so far."""
        self._buckets.clear()

    def lately(self) -> Lately:
        """The sum of what still counts."""
        oldest = self._now() - BUCKETS
        while self._buckets and self._buckets[0][0] <= oldest:
            self._buckets.popleft()
        total = Lately()
        for _, one in self._buckets:
            total = _sum(total, one)
        return total

    def _now(self) -> int:
        return int(self._clock.monotonic_s() * BUCKETS / WINDOW_S)


def _sum(one: Lately, other: Lately) -> Lately:
    return Lately(max(one.most, other.most), one.local + other.local, one.remote + other.remote)
