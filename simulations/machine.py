"""A host's time, chance and threads, as the ports of both programs. Owns how a host stands still and how it dies.

Time is trio's, which a mock clock moves; chance is drawn from the world's seed. Nothing here asks the real machine.
"""

from collections.abc import Callable
from random import Random  # noqa: TID251 - drawn from the world's seed, and used for nothing else
from typing import Final, TypeVar, TypeVarTuple

import trio

from simulations.scheduling import Stillness

_TAKES_TIME: Final = 0.1
_YIELDS: Final = 0.4
"""The shares of calls before which, and after which, time passes or others have a turn."""

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

EPOCH_NS: Final = 1_790_000_000_000_000_000
"""The wall time at which every world begins."""


class Killed(BaseException):
    """The program that does this has been killed: nothing that it still does may have an effect."""


class Host:
    """One machine. `skew_s` is how far its wall clock is ahead."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.skew_s = 0.0
        self.heard: Callable[[], None] | None = None
        """Told of each piece that one of its programs has received, before the program sees it."""
        self.told: Callable[[bool], None] = lambda still: None
        """Told that it stands still from now on, or goes on."""
        self._thawed: trio.Event | None = None
        self._stillness: Stillness | None = None

    def freeze(self) -> None:
        """Its programs stand still from now on, as on a laptop whose lid was closed; the wall clock goes on.

        None of their tasks has a turn until `thaw`; then all timers that ran out meanwhile are due at once.
        """
        if self._thawed is None:
            self._thawed, self._stillness = trio.Event(), Stillness(self)
            self.told(True)

    def thaw(self) -> None:
        """They go on."""
        if self._thawed is not None and self._stillness is not None:
            self._stillness.end()
            self._thawed.set()
            self._thawed = self._stillness = None
            self.told(False)

    @property
    def is_frozen(self) -> bool:
        """Whether they stand still."""
        return self._thawed is not None

    async def gate(self) -> None:
        """Whoever else acts for one of its programs waits here while they stand still. A checkpoint only then."""
        while self._thawed is not None:
            await self._thawed.wait()


class Life:
    """A program on a host, from its start to its end."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self.is_dead = False

    def check(self) -> None:
        """Raises `Killed` after the end."""
        if self.is_dead:
            raise Killed


class SimClock:
    """The `Clock` ports of peer and coordinator on one host."""

    def __init__(self, host: Host) -> None:
        self._host = host

    def wall_ns(self) -> int:
        """Nanoseconds since 1970, by the host's own clock."""
        return EPOCH_NS + int((trio.current_time() + self._host.skew_s) * 1e9)

    def now_ms(self) -> int:
        """The same in milliseconds."""
        return self.wall_ns() // 1_000_000

    def monotonic_s(self) -> float:
        """Seconds since the world began."""
        return trio.current_time()

    async def sleep(self, seconds: float) -> None:
        """Wait; longer on a host that stands still."""
        await trio.sleep(seconds)


class SimEntropy:
    """The `Entropy` ports of peer and coordinator: repeatable, so fit for a simulation alone."""

    def __init__(self, seed: str) -> None:
        self._draw = Random(seed)

    def token(self, size: int) -> bytes:
        """The next bytes."""
        return self._draw.randbytes(size)

    def bytes(self, count: int) -> bytes:
        """The next bytes."""
        return self._draw.randbytes(count)

    def jitter(self, low: float, high: float) -> float:
        """The next number."""
        return self._draw.uniform(low, high)


class InlineOffload:
    """The `Offload` ports of peer and coordinator: what is asked for runs at once, in one step of the simulation.

    That a thread would take a while is drawn: up to `slow_s` now and then, otherwise nothing. As with threads, a call
    that has begun is waited for even if cancelled; one whose program has been killed never begins.
    """

    def __init__(self, life: Life, threads: int, draw: Random, slow_s: float = 0.02) -> None:
        self._life = life
        self._limiter = trio.CapacityLimiter(threads)
        self._draw = draw
        self._slow_s = slow_s

    async def run(self, fn: Callable[[*Ts], T], *args: *Ts) -> T:
        """See the ports. Not always a checkpoint, as it is with a thread: what is drawn decides."""
        try:
            self._limiter.acquire_nowait()
        except trio.WouldBlock:
            await self._limiter.acquire()
        try:
            drawn = self._draw.random()
            if drawn < _YIELDS:
                await self._dawdle(drawn)
            else:
                await trio.lowlevel.checkpoint_if_cancelled()
            if self._life.host.is_frozen:
                await self._life.host.gate()
            self._life.check()
            value = fn(*args)
            drawn = self._draw.random()
            if drawn < _YIELDS:
                with trio.CancelScope(shield=True):
                    await self._dawdle(drawn)
            return value
        finally:
            self._limiter.release()

    async def _dawdle(self, drawn: float) -> None:
        if drawn < _TAKES_TIME:
            await trio.sleep(self._draw.random() * self._slow_s)
        else:
            await trio.lowlevel.checkpoint()
