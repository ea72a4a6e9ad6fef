"""A clock for tests."""

import trio


class SetClock:
    """A clock that is set by hand; whoever sleeps is woken by it."""

    def __init__(self, wall_s: float) -> None:
        self.wall_s = wall_s
        self._moved = trio.Event()

    def wall_ns(self) -> int:
        return round(self.wall_s * 1e9)

    def monotonic_s(self) -> float:
        return self.wall_s

    def advance(self, seconds: float) -> None:
        self.wall_s += seconds
        self._moved.set()
        self._moved = trio.Event()

    async def sleep(self, seconds: float) -> None:
        until = self.wall_s + seconds
        while self.wall_s < until:
            await self._moved.wait()
