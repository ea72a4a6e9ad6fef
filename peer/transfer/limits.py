"""How fast bytes may go. Owns the arithmetic of a token bucket and the waiting for it.

Never counts or moves a byte itself: whoever sends or receives asks first.
"""

from typing import Protocol

from peer.ports import Clock


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

    async def take(self, count: int) -> None:
        """Return when `count` more bytes may go. Takers are served in the order they came."""
        ...


class Unlimited:
    """No limit."""

    async def take(self, count: int) -> None:
        """Return at once."""


class RateLimiter:
    """A limit that can be changed while it is in use; shared by all who take from it."""

    def __init__(self, clock: Clock, rate_bytes_s: float | None, burst_bytes: int = 256 * 1024) -> None:
        self._clock = clock
        self._burst_bytes = burst_bytes
        self._bucket: TokenBucket | None = None
        self.set_rate(rate_bytes_s)

    def set_rate(self, rate_bytes_s: float | None) -> None:
        """Limit to so many bytes a second from now on; None: no limit. Who waits already is not hurried."""
        self._bucket = (
            None if rate_bytes_s is None else TokenBucket(rate_bytes_s, self._burst_bytes, self._clock.monotonic_s())
        )

    async def take(self, count: int) -> None:
        """See `Limiter`."""
        if self._bucket is not None and (wait_s := self._bucket.take(count, self._clock.monotonic_s())) > 0:
            await self._clock.sleep(wait_s)
