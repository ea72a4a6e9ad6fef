"""What is fetched from and served to others over all links. Owns the needs, the haves and the requests of this device.

A fetch is one version's missing chunks; a scheduler of its own decides whom to ask. Never opens a connection, never
touches a file and never judges a chunk: the `Stock` does the last two.
"""

from collections.abc import Collection, Iterable, Sequence
from typing import Final

import trio

from peer.lan.answering import Needs, Stock
from peer.lan.fetching import BEYOND, Fetch, Further
from peer.lan.kept import Kept
from peer.lan.link import Answer, Link
from peer.lan.scheduling import FELLOW_S, TWICE_S, Ask, SourceId, Withdraw
from peer.lan.traffic import Traffic
from peer.ports import Clock
from peer.transfer.near import Beyond, Keep, Piece, Scattered
from protocol import limits
from protocol.ids import ChangeId, DeviceId, WorkspaceId
from protocol.lan import (
    ByeReason,
    GoneReason,
    LanCommitAsk,
    LanCommitPart,
    LanHave,
    LanHeads,
    LanHello,
    LanKept,
    LanMore,
    LanNeed,
    LanNothing,
    LanRequest,
    indexes_of,
)
from protocol.lan_session import Arrived, Event, NotComing, Version

TICK_S: Final = 0.1
"""Silence is noticed so soon, and what came meanwhile is told of at once."""
SETTLE_S: Final = 0.03
"""Before a long version is begun, fellows that learn of it at the same time have so long to say that they need it."""
ANSWER_S: Final = 0.8
"""So long is waited for somebody to say what it has, where there is another source, beyond the LAN or on it;"""
MUTE_S: Final = 10.0
"""and whoever has not said it by then is not waited for again for so long."""
IDLE_S: Final = 60.0
"""With a fellow taker who has brought nothing nothing is shared for so long."""
WRONG_S: Final = 3600.0
"""Who has delivered something wrong is asked for nothing for so long, on whatever link."""
DENIALS: Final = 64
"""A device that has said of so many chunks that it does not have them, and sent none, is asked for no more of them."""


class Exchange:
    """The owner of a `Meeting`'s links."""

    def __init__(self, own: DeviceId, clock: Clock, stock: Stock, traffic: Traffic | None = None) -> None:
        self._own = own
        self._traffic = traffic or Traffic()
        self._mute_until_s: dict[DeviceId, float] = {}
        self._idle_until_s: dict[SourceId, float] = {}
        self._wrong_until_s: dict[DeviceId, float] = {}
        self._clock = clock
        self._stock = stock
        self._links: dict[DeviceId, Link] = {}
        self._fetches: dict[Version, Fetch] = {}
        self._asked: dict[tuple[Link, int], tuple[Fetch, int]] = {}
        self._running: dict[Fetch, None] = {}
        self._numbers: dict[tuple[Fetch, DeviceId, int], int] = {}
        self._needs = Needs(clock, stock, self._fetches.get)
        self._kept = Kept(stock)

    async def run(self) -> None:
        """Answer what others need, until cancelled."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._needs.run)
            nursery.start_soon(self._kept.run)

    def tell_kept(self, workspace: WorkspaceId) -> None:
        """There are other commits that wait for the coordinator: tell whoever shares their workspace."""
        self._kept.tell_all(workspace)

    async def fetch(
        self,
        workspace: WorkspaceId,
        version: ChangeId,
        pieces: Sequence[Piece],
        wanted: Collection[int],
        keep: Keep,
        *,
        patience_s: float,
        beyond: Beyond | None = None,
    ) -> frozenset[int]:
        """Fetch these chunks of a version from whoever is linked, and `beyond`; returns those that nobody delivered.

        Goes on while anybody delivers, and for `patience_s` after the last chunk came; but no longer than a neighbour
        has, or takes, anything of the version. One fetch of a version at a time. Whoever delivers a chunk that is not
        right is dropped, and asked for nothing more of this version.
        """
        key = (workspace, version)
        fetch = Fetch(self._own, workspace, [version], pieces, wanted, is_scattered=False)
        if key in self._fetches:
            return fetch.wanted
        self._fetches[key] = fetch
        self._running[fetch] = None
        begun_s = self._clock.monotonic_s()
        try:
            for link in self._links.values():
                self._begin(fetch, link)
            await self._wait_for_answers(fetch, min(patience_s, ANSWER_S))
            if beyond is None and not fetch.scheduler.has_neighbours:
                await self._wait_for_answers(fetch, patience_s - ANSWER_S)
            self._mute(fetch.awaited)
            if fetch.scheduler.has_neighbours or (beyond is None and fetch.awaited):
                if fetch.is_long:
                    await self._clock.sleep(SETTLE_S)
                await self._run_fetch(fetch, keep, patience_s, beyond)
            return fetch.wanted - fetch.got
        finally:
            del self._fetches[key]
            self._end(fetch)
            now_s = self._clock.monotonic_s()
            if now_s - begun_s >= FELLOW_S:
                self._idle_until_s.update(dict.fromkeys(fetch.scheduler.idle_fellows(now_s), now_s + IDLE_S))

    async def fetch_scattered(
        self,
        workspace: WorkspaceId,
        pieces: Scattered,
        keep: Keep,
        *,
        patience_s: float,
        beyond: Beyond | None = None,
    ) -> frozenset[int]:
        """Fetch chunks of many small versions, as `fetch` does; they are asked for without asking first who has them.

        So what nobody has costs a question for each chunk, and whoever has nothing at all is soon asked no more.
        """
        versions, wanted = [version for version, _ in pieces], range(len(pieces))
        fetch = Fetch(self._own, workspace, versions, [piece for _, piece in pieces], wanted, is_scattered=True)
        self._running[fetch] = None
        now_s = self._clock.monotonic_s()
        try:
            for link in self._links.values():
                may_ask = link.greeted and workspace in link.session.shared and not self._is_mute(link)
                if may_ask and not self._was_wrong(link):
                    fetch.scheduler.has(link.device, wanted, now_s)
                    fetch.awaited.add(link.device)
            if fetch.awaited:
                await self._run_fetch(fetch, keep, patience_s, beyond)
            return fetch.wanted - fetch.got
        finally:
            self._end(fetch)
            if self._clock.monotonic_s() - now_s >= TWICE_S:
                said = {*fetch.delivered, *fetch.denied}
                self._mute(device for device in fetch.awaited if device not in said)

    async def _run_fetch(self, fetch: Fetch, keep: Keep, patience_s: float, beyond: Beyond | None) -> None:
        async with trio.open_nursery() as nursery:
            if beyond is not None:
                fetch.beyond = Further(fetch, beyond, self._clock)
                fetch.scheduler.has(BEYOND, fetch.wanted, self._clock.monotonic_s(), near=False)
                nursery.start_soon(fetch.beyond.run)
            await self._work_off(fetch, keep, patience_s, alone=beyond is None)
            nursery.cancel_scope.cancel()

    async def _wait_for_answers(self, fetch: Fetch, seconds: float) -> None:
        """Until everybody that was asked has said what it has of a version, but no longer than that."""
        with trio.move_on_after(seconds):
            while fetch.awaited:
                await fetch.changed.wait()
                fetch.changed = trio.Event()

    def _mute(self, devices: Iterable[DeviceId]) -> None:
        self._mute_until_s.update(dict.fromkeys(devices, self._clock.monotonic_s() + MUTE_S))

    def _was_wrong(self, link: Link) -> bool:
        return self._wrong_until_s.get(link.device, 0.0) > self._clock.monotonic_s()

    def _is_mute(self, link: Link) -> bool:
        return self._mute_until_s.get(link.device, 0.0) > self._clock.monotonic_s()

    async def _work_off(self, fetch: Fetch, keep: Keep, patience_s: float, *, alone: bool) -> None:
        last_s = self._clock.monotonic_s()
        while not fetch.scheduler.is_done and not fetch.is_over:
            self._carry_out(fetch, fetch.scheduler.plan(self._clock.monotonic_s()))
            with trio.move_on_after(TICK_S):
                await fetch.changed.wait()
            fetch.changed = trio.Event()
            if await self._take_arrived(fetch, keep):
                last_s = self._clock.monotonic_s()
            if self._clock.monotonic_s() - last_s >= patience_s:
                return
            if not alone and not fetch.scheduler.has_neighbours:
                return  # what is left comes quicker without us

    # --- links ------------------------------------------------------------------------------------------

    def came(self, link: Link) -> None:
        """See `MeetingOwner`."""
        self._links[link.device] = link
        self._kept.came(link)
        for fetch in self._fetches.values():
            self._begin(fetch, link)

    def went(self, link: Link) -> None:
        """See `MeetingOwner`."""
        self._kept.went(link)
        for key in [key for key in self._asked if key[0] is link]:
            fetch, index = self._asked.pop(key)
            self._numbers.pop((fetch, link.device, index), None)
            fetch.scheduler.not_coming(link.device, index, self._clock.monotonic_s(), busy=True)
        if self._links.get(link.device) is link:
            del self._links[link.device]
            for fetch in self._running:
                fetch.scheduler.left(link.device)
                self._answered(fetch, link)

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
                    self._has_fellow(fetch, link)
                self._needs.put(link, event)
            case LanHave():
                self._has(link, event.workspace, event.version, list(indexes_of(event.bits)), now_s)
            case LanMore():
                self._has(link, event.workspace, event.version, event.indexes, now_s)
            case LanNothing():
                fetch = self._fetches.get((event.workspace, event.version))
                if fetch is not None:
                    self._answered(fetch, link)
            case LanHello() | LanHeads():
                self._stock.met(link.device, link.session.shared, event.heads)
                self._kept.tell(link, [WorkspaceId(head.workspace) for head in event.heads])
            case LanKept() | LanCommitAsk() | LanCommitPart():
                self._kept.take(link, event)
            case _:
                pass  # nothing follows from the end of a need

    async def answer(self, link: Link, wanted: Sequence[LanRequest]) -> Sequence[Answer]:
        """See `LinkOwner`."""
        answers = await self._stock.read(wanted)
        self._traffic.sent(link.device, sum(len(each) for each in answers if not isinstance(each, GoneReason)))
        return answers

    # --- fetching ---------------------------------------------------------------------------------------

    def _begin(self, fetch: Fetch, link: Link) -> None:
        if self._was_wrong(link):
            return
        if fetch.version[0] in link.session.shared and link.session.need(fetch.need()):
            if fetch.version in link.session.their_needs:
                self._has_fellow(fetch, link)
            if not self._is_mute(link):
                fetch.awaited.add(link.device)
            link.wake()

    def _has_fellow(self, fetch: Fetch, link: Link) -> None:
        """Share a long version with somebody who takes it too, unless that led to nothing lately."""
        now_s = self._clock.monotonic_s()
        if fetch.is_long and self._idle_until_s.get(link.device, 0.0) <= now_s:
            fetch.scheduler.needs(link.device, now_s)

    def _answered(self, fetch: Fetch, link: Link) -> None:
        fetch.awaited.discard(link.device)
        fetch.changed.set()

    def _end(self, fetch: Fetch) -> None:
        del self._running[fetch]
        for key in [key for key, (one, _) in self._asked.items() if one is fetch]:
            link, number = key
            link.session.cancel(number)
            self._numbers.pop((fetch, link.device, self._asked.pop(key)[1]), None)
        for link in self._links.values():
            if not fetch.is_scattered:
                link.session.enough(*fetch.version)
            link.wake()

    def _has(self, link: Link, workspace: WorkspaceId, version: ChangeId, indexes: Sequence[int], now_s: float) -> None:
        fetch = self._fetches.get((workspace, version))
        if fetch is not None:
            fetch.scheduler.has(link.device, indexes, now_s)
            self._answered(fetch, link)

    def _carry_out(self, fetch: Fetch, steps: Sequence[Ask | Withdraw]) -> None:
        for step in steps:
            if step.source == BEYOND:
                if fetch.beyond is not None:
                    (fetch.beyond.withdraw if isinstance(step, Withdraw) else fetch.beyond.ask)(step.chunk)
                continue
            device = DeviceId(step.source)
            link = self._links.get(device)
            key = (fetch, device, step.chunk)
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
            number = link.session.request(*fetch.version_of(step.chunk), piece.chunk, piece.length)
            self._asked[link, number] = (fetch, step.chunk)
            self._numbers[key] = number
            link.wake()

    def _take_chunk(self, link: Link, event: Arrived) -> None:
        self._traffic.received(link.device, len(event.data))
        asked = self._asked.pop((link, event.number), None)
        if asked is None:
            link.session.give_back(event.data)
            return
        fetch, index = asked
        fetch.delivered[link.device] += 1
        fetch.arrived.append((link, index, event.data))
        fetch.changed.set()

    def _take_refusal(self, link: Link, event: NotComing, now_s: float) -> None:
        asked = self._asked.pop((link, event.number), None)
        if asked is not None:
            fetch, index = asked
            if self._numbers.pop((fetch, link.device, index), None) == event.number:
                busy = event.reason is not GoneReason.GONE
                fetch.scheduler.not_coming(link.device, index, now_s, busy=busy)
                fetch.changed.set()
            fetch.denied[link.device] += 1
            if fetch.denied[link.device] >= DENIALS and not fetch.delivered[link.device]:
                fetch.scheduler.left(link.device)

    async def _take_arrived(self, fetch: Fetch, keep: Keep) -> bool:
        """Have what came kept, and tell the fellows; whether there was anything right."""
        batch = list(fetch.arrived)
        fetch.arrived.clear()
        verdicts = await keep([(index, data) for _, index, data in batch]) if batch else []
        if verdicts is None:
            fetch.is_over = True
            return False
        new: list[int] = []
        now_s = self._clock.monotonic_s()
        for (link, index, data), is_right in zip(batch, verdicts, strict=True):
            device = BEYOND if link is None else link.device
            self._numbers.pop((fetch, DeviceId(device), index), None)
            if is_right:
                if index not in fetch.got:
                    fetch.got.add(index)
                    new.append(index)
                self._carry_out(fetch, fetch.scheduler.arrived(device, index, now_s))
            elif link is None:
                fetch.scheduler.not_coming(BEYOND, index, now_s)
            else:
                fetch.scheduler.wrong(device)
                self._wrong_until_s[link.device] = now_s + WRONG_S
                link.end("it delivered something else than was asked for", ByeReason.MALFORMED)
            if link is not None and isinstance(data, memoryview):
                link.session.give_back(data)
        if new and not fetch.is_scattered:
            self._tell(fetch, new)
        return bool(new)

    def _tell(self, fetch: Fetch, new: Sequence[int]) -> None:
        for link in self._links.values():
            if fetch.version in link.session.their_needs:
                for at in range(0, len(new), limits.LAN_MORE):
                    link.session.say(LanMore(*fetch.version, tuple(new[at : at + limits.LAN_MORE])))
                link.wake()
