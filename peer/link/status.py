"""Whether the coordinator can be reached. Owns the state that `status` shows; `peer.link.notify` sets it."""

from dataclasses import dataclass
from typing import Literal

import trio

from peer.ports import Clock
from protocol.messages import RefusalCode

State = Literal["connected", "connecting", "offline"]


@dataclass(frozen=True, slots=True)
class Reachability:
    """The state, since when (nanoseconds since 1970, wall time), and the reason where it is not `connected`.

    `refused` is set where the coordinator was heard and would not let this device sign in (`OLD_CLIENT`, say).
    """

    state: State
    since_ns: int
    reason: str = ""
    refused: RefusalCode | None = None


class LinkStatus:
    """The current reachability, and a way to wait for the next one."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._changed = trio.Event()
        self.current = Reachability("connecting", clock.wall_ns())

    def set(self, state: State, reason: str = "", refused: RefusalCode | None = None) -> None:
        """Enter a state; `since_ns` moves only when the state itself does."""
        same = state == self.current.state
        since_ns = self.current.since_ns if same else self._clock.wall_ns()
        new = Reachability(state, since_ns, reason, refused)
        if new != self.current:
            self.current = new
            self._changed.set()
            self._changed = trio.Event()

    async def wait_changed(self) -> Reachability:
        """Wait for the next change and return the state then."""
        await self._changed.wait()
        return self.current

    async def wait_connected(self) -> None:
        """Wait until the coordinator is reached; at once if it is."""
        while self.current.state != "connected":
            await self._changed.wait()
        await trio.lowlevel.checkpoint()
