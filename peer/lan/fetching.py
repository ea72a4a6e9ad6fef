"""One fetch from neighbours: what is known of it while it runs, and the source beyond the LAN at work for it.

Owns that state; whom to ask is its scheduler's decision, and asking is `exchange`'s.
"""

from collections import Counter, deque
from collections.abc import Collection, Sequence
from contextlib import aclosing
from typing import Final

import trio

from peer.lan.link import Link
from peer.lan.scheduling import LEAST_WINDOW_BYTES, Scheduler
from peer.ports import Clock
from peer.transfer.near import Beyond, Piece
from protocol.ids import ChangeId, DeviceId, WorkspaceId
from protocol.lan import LanNeed, bits_of
from protocol.lan_session import Version

BEYOND: Final = b""
"""The source that is no device."""


class Fetch:
    """One running fetch: of one version's chunks, or of chunks of many versions, each a piece of one of `versions`."""

    def __init__(
        self,
        own: DeviceId,
        workspace: WorkspaceId,
        versions: Sequence[ChangeId],
        pieces: Sequence[Piece],
        wanted: Collection[int],
        *,
        is_scattered: bool,
    ) -> None:
        self.workspace = workspace
        self.versions = versions
        self.version = (workspace, versions[0])
        self.is_scattered = is_scattered
        self.pieces = pieces
        self.wanted = frozenset(wanted)
        self.got = set(range(len(pieces))) - self.wanted
        self.scheduler = Scheduler(own, versions[0], [piece.length for piece in pieces], wanted)
        self.arrived: deque[tuple[Link | None, int, bytes | memoryview]] = deque()
        """What came and was not looked at; without a link: from beyond."""
        self.changed = trio.Event()
        self.awaited: set[DeviceId] = set()
        """Who was asked what it has, and did not say yet."""
        self.beyond: Further | None = None
        self.delivered: Counter[DeviceId] = Counter()
        """How many chunks came from each device,"""
        self.denied: Counter[DeviceId] = Counter()
        """and how many it said that it does not have."""
        self.is_over = False
        self.is_long = sum(pieces[index].length for index in self.wanted) > LEAST_WINDOW_BYTES

    def version_of(self, index: int) -> Version:
        """The version in whose name a chunk is asked for."""
        return (self.workspace, self.versions[index]) if self.is_scattered else self.version

    def need(self) -> LanNeed:
        """What is missing of the one version."""
        missing = (index for index in self.wanted if index not in self.got)
        return LanNeed(*self.version, len(self.pieces), bits_of(missing, len(self.pieces)))


class Further:
    """The source beyond the LAN at work for one fetch: what it is asked for goes to it in batches."""

    def __init__(self, fetch: Fetch, beyond: Beyond, clock: Clock) -> None:
        self._fetch = fetch
        self._beyond = beyond
        self._clock = clock
        self._asked: dict[int, None] = {}
        self._more = trio.Event()

    def ask(self, index: int) -> None:
        """Have a chunk brought, soon."""
        self._asked[index] = None
        self._more.set()

    def withdraw(self, index: int) -> None:
        """It is no longer needed; where it is on its way, it comes."""
        self._asked.pop(index, None)

    async def run(self) -> None:
        """Deliver what is asked for, until it delivers no more."""
        fetch, is_there = self._fetch, True
        while is_there:
            self._more = trio.Event()
            if not self._asked:
                await self._more.wait()
                continue
            asked = list(self._asked)
            self._asked.clear()
            owed = set(asked)
            async with aclosing(self._beyond.bring(asked)) as groups:
                async for group in groups:
                    for index, data in group:
                        owed.discard(index)
                        if data is None:
                            fetch.scheduler.not_coming(BEYOND, index, self._clock.monotonic_s())
                        else:
                            fetch.arrived.append((None, index, data))
                    fetch.changed.set()
            is_there = not owed
        fetch.scheduler.left(BEYOND)
        fetch.beyond = None
        fetch.changed.set()
