"""One direction of one stretch of network. Owns how long bytes take, and what a cut does to them.

The bytes of a connection arrive in order and unharmed, as TCP's do: loss shows as waiting, or as a reset.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random  # noqa: TID251 - drawn from the world's seed
from typing import Final

import trio

RESEND_S: Final = 0.2
"""What a lost piece costs first (RFC 6298 allows less than its one second, and Linux takes it)."""
MOST_RESEND_S: Final = 3.0


@dataclass
class Quality:
    """What a line is like. Times in seconds, `rate` in bytes a second (None: no bound)."""

    latency_s: float = 0.0
    jitter_s: float = 0.0
    rate: float | None = None
    loss: float = 0.0
    """The share of pieces that have to be sent again."""
    resets: float = 0.0
    """The share of pieces at which the connection breaks."""


@dataclass(eq=False)
class Line:
    """One direction. `name` is what its bytes are counted under."""

    name: str
    quality: Quality
    draw: Random
    carried_bytes: int = 0
    told: Callable[[], None] = field(default=lambda: None, repr=False)
    """Told that it was cut or mended."""
    _free_at_s: float = 0.0
    _mended: trio.Event | None = field(default=None, repr=False)

    @property
    def is_cut(self) -> bool:
        """Whether nothing comes through."""
        return self._mended is not None

    def cut(self) -> None:
        """From now on nothing comes through; what is sent waits."""
        if self._mended is None:
            self._mended = trio.Event()
            self.told()

    def mend(self) -> None:
        """All is as before."""
        if self._mended is not None:
            self._mended.set()
            self._mended = None
            self.told()

    async def wait_whole(self) -> None:
        """Until it is not cut. Of a line that was, the sender learns a little late."""
        while self._mended is not None:
            await self._mended.wait()
            await trio.sleep(self.draw.random() * RESEND_S)

    def pass_at(self, size: int, at_s: float) -> float:
        """When a piece that gets here at `at_s` is through; takes its place on the line."""
        self.carried_bytes += size
        its = self.quality
        begins_s = max(at_s, self._free_at_s)
        if its.rate is not None:
            self._free_at_s = begins_s = begins_s + size / its.rate
        through_s = begins_s + its.latency_s
        if its.jitter_s:
            through_s += self.draw.random() * its.jitter_s
        if its.loss and self.draw.random() < its.loss:
            wait_s = RESEND_S
            while self.draw.random() < its.loss and wait_s < MOST_RESEND_S:
                wait_s *= 2
            through_s += wait_s
        return through_s

    def busy_for_s(self) -> float:
        """How long what was already sent keeps it busy."""
        return max(0.0, self._free_at_s - trio.current_time())

    def breaks(self) -> bool:
        """Whether this piece is one at which the connection breaks."""
        return bool(self.quality.resets) and self.draw.random() < self.quality.resets
