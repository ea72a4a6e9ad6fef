"""Wake-ups not yet looked at. Owns conflating them, so that a slow reader costs a bounded amount of memory."""

import trio

from protocol.ids import WorkspaceId
from protocol.messages import ChainPoke, Poke, Wake, Welcome


class Mailbox:
    """At most one poke a workspace, the newest; one that replaces an unread one carries no commits inline.

    A `Welcome` says that a connection is new and anything may have been missed: it makes older mail pointless.
    """

    def __init__(self) -> None:
        self._welcome: Welcome | None = None
        self._chain: ChainPoke | None = None
        self._pokes: dict[WorkspaceId, Poke] = {}
        self._filled = trio.Event()

    def put(self, wake: Wake) -> None:
        """Take a wake-up; never blocks."""
        match wake:
            case Welcome():
                self._welcome, self._chain = wake, None
                self._pokes.clear()
            case ChainPoke():
                self._chain = wake
            case Poke():
                unread = self._pokes.pop(wake.workspace, None)
                if unread is not None:
                    wake = Poke(wake.workspace, wake.head_seq, wake.head_hash, wake.durability)
                self._pokes[wake.workspace] = wake
        self._filled.set()

    async def get(self) -> Wake:
        """Wait for the next wake-up: a welcome first, then the chain, then pokes in the order they came."""
        while True:
            await self._filled.wait()
            wake = self._pop()
            if wake is not None:
                return wake
            self._filled = trio.Event()

    def _pop(self) -> Wake | None:
        wake: Wake | None = None
        if self._welcome is not None:
            wake, self._welcome = self._welcome, None
        elif self._chain is not None:
            wake, self._chain = self._chain, None
        elif self._pokes:
            wake = self._pokes.pop(next(iter(self._pokes)))
        return wake
