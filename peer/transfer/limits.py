"""How fast bytes may go. Owns the arithmetic of a token bucket and the waiting for it.

Never counts or moves a byte itself: whoever sends or receives asks first.
"""

from collections.abc import Iterator
from typing import Final, Protocol

from peer.ports import Clock

LEAST_BYTES_S: Final = 16 * 1024
"""The slowest rate that may be asked for: slower ones would look like a dead connection to the other end."""
SLICE_BYTES: Final = 16 * 1024
"""What is sent at a rate is taken in portions of this size, so that it flows and does not jerk."""
_LOOK_S: Final = 1.0
"""How long who waits goes on with a rate that was changed meanwhile."""


class TokenBucket:
    """Pure arithmetic of a rate: `rate_bytes_s` on average, at most `burst_bytes` at once.

    A taker may overdraw and then waits until the debt is paid, so a piece larger than the burst passes too. Times are
    monotonic seconds.
    """

    __slots__ = ("_at_s", "_burst_bytes", "_level", "_rate_bytes_s")

    def __init__(self, rate_bytes_s: float, burst_bytes: int, now_s: float) -> None:
        if rate_bytes_s <= 0 or burst_bytes <= 0:
            raise ValueError("a rate and a burst are positive")
        self._rate_bytes_s = rate_bytes_s
        self._burst_bytes = burst_bytes
        self._level = float(burst_bytes)
        self._at_s = now_s

    def take(self, count: int, now_s: float) -> float:
        """Take `count` bytes' worth; returns for how many seconds to wait before they may go."""
        passed_s = max(0.0, now_s - self._at_s)
        self._at_s = max(self._at_s, now_s)
        self._level = min(float(self._burst_bytes), self._level + passed_s * self._rate_bytes_s) - count
        return max(0.0, -self._level / self._rate_bytes_s)


class Limiter(Protocol):
    """Asked before bytes go; waits as long as they have to."""

    @property
    def is_limited(self) -> bool:
        """Whether there is a limit at the moment."""
        ...

    async def take(self, count: int) -> None:
        """Return when `count` more bytes may go. Takers are served in the order they came."""
        ...


class Unlimited:
    """No limit."""

    is_limited = False

    async def take(self, count: int) -> None:
        """Return at once."""


class RateLimiter:
    """A limit that can be changed while it is in use; shared by all who take from it."""

    def __init__(self, clock: Clock, rate_bytes_s: float | None = None, burst_bytes: int = 256 * 1024) -> None:
        self._clock = clock
        self._burst_bytes = burst_bytes
        self._bucket: TokenBucket | None = None
        self.rate_bytes_s: float | None = None
        """The limit now; None: none. Changed by `set_rate` alone."""
        self.set_rate(rate_bytes_s)

    @property
    def is_limited(self) -> bool:
        """See `Limiter`."""
        return self._bucket is not None

    def set_rate(self, rate_bytes_s: float | None) -> None:
        """Limit to so many bytes a second from now on; None: no limit. The same rate again changes nothing; with
        another one the debt of those who wait is forgiven, and they go on within a second."""
        if rate_bytes_s == self.rate_bytes_s:
            return
        self.rate_bytes_s = rate_bytes_s
        self._bucket = (
            None if rate_bytes_s is None else TokenBucket(rate_bytes_s, self._burst_bytes, self._clock.monotonic_s())
        )

    async def take(self, count: int) -> None:
        """See `Limiter`."""
        bucket = self._bucket
        if bucket is None:
            return
        wait_s = bucket.take(count, self._clock.monotonic_s())
        while wait_s > 0 and self._bucket is bucket:
            await self._clock.sleep(min(wait_s, _LOOK_S))
            wait_s -= _LOOK_S


def slices(data: bytes, limiter: Limiter) -> Iterator[bytes]:
    """The data in the portions in which it should go: whole where there is no limit."""
    if not limiter.is_limited or len(data) <= SLICE_BYTES:
        yield data
        return
    for at in range(0, len(data), SLICE_BYTES):
        yield data[at : at + SLICE_BYTES]
