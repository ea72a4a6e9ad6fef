"""What is fetched from and served to others over all links. Owns the needs, the haves and the requests of this device.

A fetch is one version's missing chunks; a scheduler of its own decides whom to ask. Never opens a connection, never
touches a file and never judges a chunk: the `Stock` does the last two.
"""

from collections import deque
from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import Final, NamedTuple, Protocol

import trio

from peer.lan.link import Answer, Link
from peer.lan.scheduling import LEAST_WINDOW_BYTES, Ask, Scheduler, Withdraw
from peer.ports import Clock
from protocol import limits
from protocol.ids import ChangeId, ChunkId, DeviceId, WorkspaceId
from protocol.lan import (
    ByeReason,
    GoneReason,
    LanHave,
    LanHello,
    LanMore,
    LanNeed,
    LanNothing,
    LanRequest,
    bits_of,
    indexes_of,
)
from protocol.lan_session import Arrived, Event, NotComing, Version

TICK_S: Final = 0.1
"""Silence is noticed so soon, and what came meanwhile is told of at once."""
SETTLE_S: Final = 0.03
"""Before a long version is begun, fellows that learn of it at the same time have so long to say that they need it."""
NEEDS: Final = 1_000
"""So many questions of others wait to be answered at most; each link is bounded by itself."""


class Piece(NamedTuple):
    """One of a version's distinct chunks, in the order that the protocol counts them."""

    chunk: ChunkId
    length: int


class Stock(Protocol):
    """What this device holds."""

    async def held(self, workspace: WorkspaceId, version: ChangeId) -> Sequence[bool] | None:
        """Which of a version's distinct chunks are here; None for a version that is not known, or has none."""
        ...

    async def read(self, wanted: Sequence[LanRequest]) -> Sequence[Answer]:
        """Chunks that are here, in order, each checked against its id; `GONE` for the others."""
        ...


Keep = Callable[[int, memoryview], Awaitable[bool]]
"""Takes a chunk by its index; False where it is not the right one. From then on `Stock` should have it."""


class _Fetch:
    """One running fetch."""

    def __init__(self, own: DeviceId, version: Version, pieces: Sequence[Piece], wanted: Collection[int]) -> None:
        self.version = version
        self.pieces = pieces
        self.wanted = frozenset(wanted)
        self.got = set(range(len(pieces))) - self.wanted
        self.scheduler = Scheduler(own, version[1], [piece.length for piece in pieces], wanted)
        self.arrived: deque[tuple[Link, int, memoryview]] = deque()
        self.changed = trio.Event()

    def need(self) -> LanNeed:
        missing = (index for index in self.wanted if index not in self.got)
        return LanNeed(*self.version, len(self.pieces), bits_of(missing, len(self.pieces)))


class Exchange:
    """The owner of a `Meeting`'s links."""

    def __init__(self, own: DeviceId, clock: Clock, stock: Stock) -> None:
        self._own = own
        self._clock = clock
        self._stock = stock
        self._links: dict[DeviceId, Link] = {}
        self._fetches: dict[Version, _Fetch] = {}
        self._asked: dict[tuple[Link, int], tuple[_Fetch, int]] = {}
        self._numbers: dict[tuple[Version, DeviceId, int], int] = {}
        # Sent to without waiting: what does not fit is answered as if nothing were held.
        self._to_answer, self._needs = trio.open_memory_channel[tuple[Link, LanNeed]](NEEDS)

    async def run(self) -> None:
        """Answer what others need, until cancelled."""
        async for link, need in self._needs:
            held = await self._stock.held(need.workspace, need.version)
            if link.session.their_needs.get((need.workspace, need.version)) != need.chunks:
                continue
            indexes = {at for at, is_here in enumerate(held or ()) if is_here}
            fetch = self._fetches.get((need.workspace, need.version))
            if fetch is not None and len(fetch.pieces) == need.chunks:
                indexes |= fetch.got
            elif held is None or len(held) != need.chunks:
                link.session.say(LanNothing(need.workspace, need.version))
                link.wake()
                continue
            bits = bits_of(indexes, need.chunks)
            link.session.say(LanHave(need.workspace, need.version, need.chunks, bits))
            link.wake()

    async def fetch(
        self,
        workspace: WorkspaceId,
        version: ChangeId,
        pieces: Sequence[Piece],
        wanted: Collection[int],
        keep: Keep,
        *,
        patience_s: float,
    ) -> frozenset[int]:
        """Fetch these chunks of a version from whoever is linked; returns those that nobody delivered.

        Goes on while anybody delivers, and for `patience_s` after the last chunk came. One fetch of a version at a
        time. Whoever delivers a chunk that is not right is dropped, and asked for nothing more of this version.
        """
        key = (workspace, version)
        assert key not in self._fetches
        fetch = self._fetches[key] = _Fetch(self._own, key, pieces, wanted)
        try:
            for link in self._links.values():
                self._begin(fetch, link)
            if sum(pieces[index].length for index in wanted) > LEAST_WINDOW_BYTES:
                await self._clock.sleep(SETTLE_S)
            last_s = self._clock.monotonic_s()
            while not fetch.scheduler.is_done:
                self._carry_out(fetch, fetch.scheduler.plan(self._clock.monotonic_s()))
                with trio.move_on_after(TICK_S):
                    await fetch.changed.wait()
                fetch.changed = trio.Event()
                if await self._take_arrived(fetch, keep):
                    last_s = self._clock.monotonic_s()
                if self._clock.monotonic_s() - last_s >= patience_s:
                    break
            return fetch.wanted - fetch.got
        finally:
            del self._fetches[key]
            self._end(fetch)

    # --- links ------------------------------------------------------------------------------------------

    def came(self, link: Link) -> None:
        """See `MeetingOwner`."""
        self._links[link.device] = link
        for fetch in self._fetches.values():
            self._begin(fetch, link)

    def went(self, link: Link) -> None:
        """See `MeetingOwner`."""
        for key in [key for key in self._asked if key[0] is link]:
            fetch, index = self._asked.pop(key)
            self._numbers.pop((fetch.version, link.device, index), None)
            fetch.scheduler.not_coming(link.device, index, self._clock.monotonic_s(), busy=True)
        if self._links.get(link.device) is link:
            del self._links[link.device]
            for fetch in self._fetches.values():
                fetch.scheduler.left(link.device)

    def take(self, link: Link, event: Event) -> None:
        """See `LinkOwner`."""
        now_s = self._clock.monotonic_s()
        match event:
            case Arrived():
                self._take_chunk(link, event)
            case NotComing():
                self._take_refusal(link, event, now_s)
            case LanNeed():
                fetch = self._fetches.get((event.workspace, event.version))
                if fetch is not None:
                    fetch.scheduler.needs(link.device, now_s)
                try:
                    self._to_answer.send_nowait((link, event))
                except trio.WouldBlock:
                    link.session.say(LanNothing(event.workspace, event.version))
                    link.wake()
            case LanHave():
                self._has(link, event.workspace, event.version, list(indexes_of(event.bits)), now_s)
            case LanMore():
                self._has(link, event.workspace, event.version, event.indexes, now_s)
            case LanHello():
                pass
            case _:
                pass  # heads are not compared here, and nothing follows from the end of a need

    async def answer(self, link: Link, wanted: Sequence[LanRequest]) -> Sequence[Answer]:
        """See `LinkOwner`."""
        return await self._stock.read(wanted)

    # --- fetching ---------------------------------------------------------------------------------------

    def _begin(self, fetch: _Fetch, link: Link) -> None:
        if fetch.version[0] in link.session.shared and link.session.need(fetch.need()):
            if fetch.version in link.session.their_needs:
                fetch.scheduler.needs(link.device, self._clock.monotonic_s())
            link.wake()

    def _end(self, fetch: _Fetch) -> None:
        for key in [key for key, (one, _) in self._asked.items() if one is fetch]:
            link, number = key
            link.session.cancel(number)
            self._numbers.pop((fetch.version, link.device, self._asked.pop(key)[1]), None)
        for link in self._links.values():
            link.session.enough(*fetch.version)
            link.wake()

    def _has(self, link: Link, workspace: WorkspaceId, version: ChangeId, indexes: Sequence[int], now_s: float) -> None:
        fetch = self._fetches.get((workspace, version))
        if fetch is not None:
            fetch.scheduler.has(link.device, indexes, now_s)
            fetch.changed.set()

    def _carry_out(self, fetch: _Fetch, steps: Sequence[Ask | Withdraw]) -> None:
        for step in steps:
            device = DeviceId(step.source)
            link = self._links.get(device)
            key = (fetch.version, device, step.chunk)
            if isinstance(step, Withdraw):
                number = self._numbers.pop(key, None)
                if link is not None and number is not None:
                    link.session.cancel(number)
                    link.wake()
                continue
            piece = fetch.pieces[step.chunk]
            if link is None or not link.session.may_request(piece.length):
                fetch.scheduler.not_coming(device, step.chunk, self._clock.monotonic_s(), busy=True)
                continue
            number = link.session.request(*fetch.version, piece.chunk, piece.length)
            self._asked[link, number] = (fetch, step.chunk)
            self._numbers[key] = number
            link.wake()

    def _take_chunk(self, link: Link, event: Arrived) -> None:
        asked = self._asked.pop((link, event.number), None)
        if asked is None:
            link.session.give_back(event.data)
            return
        fetch, index = asked
        fetch.arrived.append((link, index, event.data))
        fetch.changed.set()

    def _take_refusal(self, link: Link, event: NotComing, now_s: float) -> None:
        asked = self._asked.pop((link, event.number), None)
        if asked is not None:
            fetch, index = asked
            if self._numbers.pop((fetch.version, link.device, index), None) == event.number:
                busy = event.reason is not GoneReason.GONE
                fetch.scheduler.not_coming(link.device, index, now_s, busy=busy)
                fetch.changed.set()

    async def _take_arrived(self, fetch: _Fetch, keep: Keep) -> bool:
        """Have what came kept, and tell the fellows; whether there was anything right."""
        new: list[int] = []
        while fetch.arrived:
            link, index, data = fetch.arrived.popleft()
            self._numbers.pop((fetch.version, link.device, index), None)
            if index in fetch.got or await keep(index, data):
                if index not in fetch.got:
                    fetch.got.add(index)
                    new.append(index)
                now_s = self._clock.monotonic_s()
                self._carry_out(fetch, fetch.scheduler.arrived(link.device, index, now_s))
                link.session.give_back(data)
            else:
                fetch.scheduler.wrong(link.device)
                link.end("it delivered something else than was asked for", ByeReason.MALFORMED)
        if new:
            self._tell(fetch, new)
        return bool(new)

    def _tell(self, fetch: _Fetch, new: Sequence[int]) -> None:
        for link in self._links.values():
            if fetch.version in link.session.their_needs:
                for at in range(0, len(new), limits.LAN_MORE):
                    link.session.say(LanMore(*fetch.version, tuple(new[at : at + limits.LAN_MORE])))
                link.wake()
