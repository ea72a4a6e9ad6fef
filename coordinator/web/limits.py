"""How much one device, or one stranger, may ask for. Owns rates, counts and sizes; times come from trio's clock.

A request beyond its rate is refused with a time to come back; bytes of a stream beyond theirs are taken later.
"""

import contextlib
from collections import OrderedDict
from collections.abc import AsyncIterator, Hashable, Iterator
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

import trio

from protocol import limits

K = TypeVar("K", bound=Hashable)

_KEYS: Final = 20_000
"""So many parties are remembered; the one unseen for longest is forgotten first (its bucket is full again)."""


@dataclass(frozen=True)
class RequestLimits:
    """Bounds on requests."""

    device_rate: float = 200.0
    """Requests a second by one device, lasting."""
    device_burst: float = 1_000.0
    stranger_rate: float = 500.0
    """Requests a second that need no token, by one address (which may be a proxy)."""
    stranger_burst: float = 2_000.0
    device_requests: int = 32
    """Requests of one device in progress at once."""
    device_streams: int = 8
    """Block uploads and downloads of one device in progress at once, each."""
    streams: int = 64
    """Block uploads, and as many downloads, in progress at once; others wait."""
    stream_wait_s: float = 20.0
    bytes_rate: float = 1024.0 * limits.MIB
    """Bytes a second of one device's uploads, lasting."""
    bytes_burst: float = 256.0 * limits.MIB
    slowest_rate: float = 1024.0
    """Bytes a second that an upload must bring on average, after `slowest_grace_s`."""
    slowest_grace_s: float = 60.0
    batch_bytes: int = 4 * limits.MIB
    """Blocks are verified and stored together up to this size; several uploads share twice this."""
    buffered_bytes: int = 96 * limits.MIB
    """Sum of the larger request bodies held at once."""


@dataclass
class _Bucket:
    tokens: float
    at: float


class Rates(Generic[K]):
    """A token bucket (fills at `rate` a second up to `burst`) for each key."""

    def __init__(self, rate: float, burst: float) -> None:
        self._rate = rate
        self._burst = burst
        self._buckets: OrderedDict[K, _Bucket] = OrderedDict()

    def take(self, key: K, cost: float = 1.0) -> float:
        """Spend `cost`. Returns 0.0, or the seconds after which it would do; then nothing was spent."""
        bucket = self._filled(key)
        if bucket.tokens >= cost:
            bucket.tokens -= cost
            return 0.0
        return (cost - bucket.tokens) / self._rate

    async def pace(self, key: K, cost: float) -> None:
        """Spend `cost`, on credit if need be, and wait until it is paid back."""
        bucket = self._filled(key)
        bucket.tokens -= cost
        if bucket.tokens < 0:
            await trio.sleep(-bucket.tokens / self._rate)

    def _filled(self, key: K) -> _Bucket:
        now = trio.current_time()
        bucket = self._buckets.get(key)
        if bucket is None:
            bucket = self._buckets[key] = _Bucket(self._burst, now)
            if len(self._buckets) > _KEYS:
                self._buckets.popitem(last=False)
        else:
            self._buckets.move_to_end(key)
            bucket.tokens = min(self._burst, bucket.tokens + (now - bucket.at) * self._rate)
            bucket.at = now
        return bucket


class Counts(Generic[K]):
    """How many things of a key are in progress."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._counts: dict[K, int] = {}

    @contextlib.contextmanager
    def one(self, key: K) -> Iterator[bool]:
        """Counts one while the block lasts; gives False, and counts nothing, where there are too many."""
        count = self._counts.get(key, 0)
        if count >= self._most:
            yield False
            return
        self._counts[key] = count + 1
        try:
            yield True
        finally:
            self._counts[key] -= 1
            if not self._counts[key]:
                del self._counts[key]


class Budget:
    """A sum that is shared; whoever wants more than is left waits, in order."""

    def __init__(self, total: int) -> None:
        self._total = total
        self._left = total
        self._turn = trio.Lock()
        self._freed = trio.Event()

    @contextlib.asynccontextmanager
    async def part(self, size: int) -> AsyncIterator[None]:
        """Holds `size` (at most the whole) while the block lasts. Deadlines are the caller's."""
        size = min(size, self._total)
        async with self._turn:
            while self._left < size:
                self._freed = trio.Event()
                await self._freed.wait()
            self._left -= size
        try:
            yield
        finally:
            self._left += size
            self._freed.set()
