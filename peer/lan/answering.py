"""What others need of what is here. Owns the questions that wait, how often they are looked at, and the answers.

Whether a version's chunks are here is the `Stock`'s to say. Never sends a chunk.
"""

from collections import Counter
from collections.abc import Callable, Collection, Sequence
from typing import Final, Protocol

import trio

from peer.lan.fetching import Fetch
from peer.lan.link import Answer, Link
from peer.ports import Clock
from protocol import limits
from protocol.ids import ChangeId, CommitDigest, DeviceId, WorkspaceId
from protocol.lan import LanHave, LanHead, LanNeed, LanNothing, LanRequest, bits_of
from protocol.lan_session import Version

NEEDS: Final = 1_000
"""So many questions of others wait to be answered at most, and of one link no more than may be open at a time."""
TRIES: Final = 4
TRY_S: Final = 0.1
"""A version that is not known is looked for so often, with so much time in between, before that is said;"""
PUT_OFF: Final = 64
"""of so many versions at a time."""
REST: Final = 1.0
"""After an answer that took a while to find, others' questions rest for this many times as long."""


class Stock(Protocol):
    """What this device holds."""

    async def held(self, workspace: WorkspaceId, version: ChangeId) -> Sequence[bool] | None:
        """Which of a version's distinct chunks are here; None for a version that is not known, or has none."""
        ...

    async def read(self, wanted: Sequence[LanRequest]) -> Sequence[Answer]:
        """Chunks that are here, in order, each checked against its id; `GONE` for the others."""
        ...

    def kept(self, workspace: WorkspaceId) -> Sequence[CommitDigest]:
        """The commits that wait here while the coordinator is away, each after those it follows. Never awaits."""
        ...

    def lacks(self, workspace: WorkspaceId, commit: CommitDigest) -> bool:
        """Whether a commit that waits elsewhere is of use here. Never awaits."""
        ...

    async def commit(self, workspace: WorkspaceId, commit: CommitDigest) -> bytes | None:
        """A commit that waits here, as it is encoded."""
        ...

    async def take_commit(self, device: DeviceId, workspace: WorkspaceId, commit: CommitDigest, data: bytes) -> None:
        """What a device sent as that commit; nothing of it has been looked at."""
        ...

    def met(self, device: DeviceId, shared: Collection[WorkspaceId], heads: Sequence[LanHead]) -> None:
        """A device said how far it has verified the journals of workspaces that are shared with it. Never awaits."""
        ...


class Needs:
    """The needs of all links. `run` it; `fetch_of` is the fetch of a version that is under way here."""

    def __init__(self, clock: Clock, stock: Stock, fetch_of: Callable[[Version], Fetch | None]) -> None:
        self._clock = clock
        self._stock = stock
        self._fetch_of = fetch_of
        # Sent to without waiting: what does not fit is answered as if nothing were held.
        self._to_answer, self._needs = trio.open_memory_channel[tuple[Link, LanNeed, int]](NEEDS)
        self._waiting: Counter[Link] = Counter()
        self._put_off = 0

    def put(self, link: Link, need: LanNeed) -> None:
        """Somebody needs something: answer it in its turn."""
        self._put(link, need, 1)

    def _put(self, link: Link, need: LanNeed, tries: int) -> None:
        if self._waiting[link] >= limits.LAN_VERSIONS:
            return self._tell_held(link, need, None)
        try:
            self._to_answer.send_nowait((link, need, tries))
        except trio.WouldBlock:
            return self._tell_held(link, need, None)
        self._waiting[link] += 1

    async def run(self) -> None:
        """Answer what others need, until cancelled."""
        async with trio.open_nursery() as nursery:
            await self._answer(nursery)

    async def _answer(self, nursery: trio.Nursery) -> None:
        async for link, need, tries in self._needs:
            self._waiting[link] -= 1
            self._waiting += Counter()  # forget who has none
            if link.session.their_needs.get((need.workspace, need.version)) != need.chunks:
                continue
            begun_s = self._clock.monotonic_s()
            held = await self._stock.held(need.workspace, need.version)
            took_s = self._clock.monotonic_s() - begun_s
            if link.session.their_needs.get((need.workspace, need.version)) == need.chunks:
                if held is None and tries < TRIES and self._put_off < PUT_OFF:
                    self._put_off += 1
                    nursery.start_soon(self._ask_again, link, need, tries + 1)
                else:
                    self._tell_held(link, need, held)
            await self._clock.sleep(REST * took_s)

    async def _ask_again(self, link: Link, need: LanNeed, tries: int) -> None:
        """A version that is not known here may be about to be: others may have heard of our own commit before us."""
        await self._clock.sleep(TRY_S)
        self._put_off -= 1
        self._put(link, need, tries)

    def _tell_held(self, link: Link, need: LanNeed, held: Sequence[bool] | None) -> None:
        indexes = {at for at, is_here in enumerate(held or ()) if is_here}
        fetch = self._fetch_of((need.workspace, need.version))
        if fetch is not None and len(fetch.pieces) == need.chunks:
            indexes |= fetch.got
        elif held is None or len(held) != need.chunks:
            link.session.say(LanNothing(need.workspace, need.version))
            link.wake()
            return
        bits = bits_of(indexes, need.chunks)
        link.session.say(LanHave(need.workspace, need.version, need.chunks, bits))
        link.wake()
