"""Devices that fetch one file from each other: real links, sessions and schedulers, over a network in memory."""

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Collection, Sequence
from contextlib import asynccontextmanager, suppress

import pytest
import trio
from trio.testing import MockClock

from crypto.digest import chunk_id
from crypto.identity import DeviceKeys
from peer.lan.exchange import ANSWER_S, Exchange
from peer.lan.link import Answer, Link
from peer.lan.meeting import Meeting
from peer.lan.members import Members, Membership
from peer.lan.sightings import Place
from peer.transfer.near import Beyond, Piece
from protocol.ids import ChangeId, ChunkId, CommitDigest, DeviceId, LogHash, WorkspaceId
from protocol.lan import GoneReason, LanHead, LanNeed, LanRequest, bits_of
from protocol.lan_frames import chunk_head
from simulations.noise import noise
from tests.common.blocks import TestKeys
from tests.common.link_server import SeededEntropy, TrioClock
from tests.common.memory_lan import PORT, MemoryLan, Uplink

HERE, VERSION = WorkspaceId(b"h" * 32), ChangeId(b"v" * 32)
KEYS = TestKeys.ring().fixed
CHUNKS = 80
DATA = [bytes([number]) + noise(40_000) for number in range(CHUNKS)]
PIECES = [Piece(ChunkId(chunk_id(KEYS, data)), len(data)) for data in DATA]


class Peer:
    """A device with some of the file, which may answer badly."""

    def __init__(self, lan: MemoryLan, seed: int, indexes: Sequence[int] = (), rate_s: float = 10e6) -> None:
        self.keys = DeviceKeys.from_seed(bytes([seed]) * 32)
        self.id = DeviceId(self.keys.public.device_id)
        self.host = f"host{seed}"
        self.lan = lan
        self.uplink = lan.uplinks[self.host] = Uplink(rate_s)
        self.chunks = {PIECES[index].chunk: DATA[index] for index in indexes}
        self.spoil: Callable[[bytes], Answer] = lambda data: data
        self.places: dict[DeviceId, str] = {}
        self.knows = True
        self.held_s = 0.0
        self.waiting: dict[CommitDigest, bytes] = {}
        self.exchange = Exchange(self.id, TrioClock(), self)
        self.meeting = Meeting(
            self.keys.tls,
            self.id,
            lan.network(self.host),
            TrioClock(),
            SeededEntropy(seed),
            Members(self.id),
            lambda device: [Place(self.places[device], PORT)] if device in self.places else [],
            lambda workspace: LanHead(workspace, 1, LogHash(bytes(32))),
            self.exchange,
        )

    async def held(self, workspace: WorkspaceId, version: ChangeId) -> Sequence[bool] | None:
        await trio.sleep(self.held_s)
        is_known = self.knows and self.chunks and version == VERSION
        return [piece.chunk in self.chunks for piece in PIECES] if is_known else None

    async def read(self, wanted: Sequence[LanRequest]) -> Sequence[Answer]:
        await trio.lowlevel.checkpoint()
        return [
            self.spoil(self.chunks[each.chunk]) if each.chunk in self.chunks else GoneReason.GONE for each in wanted
        ]

    def kept(self, workspace: WorkspaceId) -> Sequence[CommitDigest]:
        return list(self.waiting)

    def lacks(self, workspace: WorkspaceId, commit: CommitDigest) -> bool:
        return commit not in self.waiting

    async def commit(self, workspace: WorkspaceId, commit: CommitDigest) -> bytes | None:
        await trio.lowlevel.checkpoint()
        return self.waiting.get(commit)

    async def take_commit(self, device: DeviceId, workspace: WorkspaceId, commit: CommitDigest, data: bytes) -> None:
        await trio.lowlevel.checkpoint()
        self.waiting[commit] = data

    def met(self, device: DeviceId, shared: Collection[WorkspaceId], heads: Sequence[LanHead]) -> None:
        pass

    async def keep(self, came: Sequence[tuple[int, bytes | memoryview]]) -> Sequence[bool]:
        await trio.lowlevel.checkpoint()
        right = [chunk_id(KEYS, data) == PIECES[index].chunk for index, data in came]
        self.chunks |= {
            PIECES[index].chunk: bytes(data) for (index, data), is_right in zip(came, right, strict=True) if is_right
        }
        return right

    async def fetch(self, patience_s: float = 10.0, beyond: Beyond | None = None) -> frozenset[int]:
        missing = [at for at, piece in enumerate(PIECES) if piece.chunk not in self.chunks]
        return await self.exchange.fetch(
            HERE, VERSION, PIECES, missing, self.keep, patience_s=patience_s, beyond=beyond
        )

    async def fetch_scattered(self, beyond: Beyond | None = None) -> frozenset[int]:
        """All chunks, each as if it were a version of its own."""
        pieces = [(ChangeId(bytes([at]) * 32), piece) for at, piece in enumerate(PIECES)]
        return await self.exchange.fetch_scattered(HERE, pieces, self.keep, patience_s=10.0, beyond=beyond)

    @property
    def has_everything(self) -> bool:
        return all(self.chunks.get(piece.chunk) == data for piece, data in zip(PIECES, DATA, strict=True))

    async def run(self) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self.exchange.run)
            nursery.start_soon(self.meeting.run, self.lan.listen(self.host))


class Coordinator:
    """All chunks but some, at a rate; it may go away after so many."""

    def __init__(self, rate_s: float = 1e6, but: Collection[int] = (), goes_after: int = CHUNKS) -> None:
        self.rate_s = rate_s
        self.but = but
        self.goes_after = goes_after
        self.asked: list[int] = []

    async def bring(self, indexes: Sequence[int]) -> AsyncGenerator[Sequence[tuple[int, bytes | None]], None]:
        for index in indexes:
            if len(self.asked) >= self.goes_after:
                return
            self.asked.append(index)
            await trio.sleep(len(DATA[index]) / self.rate_s)
            yield [(index, None if index in self.but else DATA[index])]


@asynccontextmanager
async def together(*peers: Peer) -> AsyncIterator[None]:
    """All of them members of one workspace, and linked."""
    members = frozenset(peer.id for peer in peers)
    keys = {peer.id: peer.keys.tls.public for peer in peers}
    async with trio.open_nursery() as nursery:
        for peer in peers:
            peer.meeting.replace([Membership(HERE, (b"k" * 32,), members)], keys)
            nursery.start_soon(peer.run)
        await trio.sleep(0.01)
        for peer in peers:
            for other in peers:
                if other is not peer:
                    peer.places[other.id] = other.host
                    peer.meeting.found(other.id)
        await trio.sleep(5)
        assert all(len(peer.meeting.links) == len(peers) - 1 for peer in peers)
        yield
        nursery.cancel_scope.cancel()


def everything() -> range:
    return range(CHUNKS)


async def fetch_all(*takers: Peer) -> None:
    async with trio.open_nursery() as nursery:
        for taker in takers:
            nursery.start_soon(taker.fetch)


async def test_a_file_comes_from_whoever_has_it(autojump_clock: MockClock) -> None:
    lan = MemoryLan()
    author, taker = Peer(lan, 1, everything()), Peer(lan, 2)
    async with together(author, taker):
        assert await taker.fetch() == frozenset()
        assert taker.has_everything
        assert not taker.exchange._asked
        assert not taker.exchange._numbers


async def test_five_takers_get_a_new_file_of_which_the_author_sends_little_more_than_one_copy(
    autojump_clock: MockClock,
) -> None:
    lan = MemoryLan()
    author = Peer(lan, 1, everything())
    takers = [Peer(lan, seed) for seed in range(2, 7)]
    async with together(author, *takers):
        before = author.uplink.sent_bytes
        await fetch_all(*takers)
        assert all(taker.has_everything for taker in takers)
        assert author.uplink.sent_bytes - before < 1.5 * sum(map(len, DATA))


async def test_parts_that_several_hold_make_a_whole(autojump_clock: MockClock) -> None:
    lan = MemoryLan()
    first, second = Peer(lan, 1, range(0, CHUNKS, 2)), Peer(lan, 2, range(1, CHUNKS, 2))
    async with together(first, second):
        await fetch_all(first, second)
        assert first.has_everything
        assert second.has_everything


async def test_what_nobody_has_is_said_after_a_while(autojump_clock: MockClock) -> None:
    lan = MemoryLan()
    holder, taker = Peer(lan, 1, range(CHUNKS - 2)), Peer(lan, 2)
    async with together(holder, taker):
        assert await taker.fetch() == {CHUNKS - 2, CHUNKS - 1}


def wrong(data: bytes) -> Answer:
    return bytes(len(data))


def never_there(data: bytes) -> Answer:
    return GoneReason.GONE


def always_busy(data: bytes) -> Answer:
    return GoneReason.BUSY


@pytest.mark.parametrize("spoil", [wrong, never_there, always_busy])
async def test_who_answers_badly_changes_nothing_but_the_time(
    spoil: Callable[[bytes], Answer], autojump_clock: MockClock
) -> None:
    lan = MemoryLan()
    liar, author, taker = Peer(lan, 1, everything()), Peer(lan, 2, everything()), Peer(lan, 3)
    liar.spoil = spoil
    async with together(liar, author, taker):
        start_s = trio.current_time()
        assert await taker.fetch() == frozenset()
        assert taker.has_everything
        assert trio.current_time() - start_s < 5


async def test_who_delivered_something_wrong_is_asked_no_more_though_it_comes_back(autojump_clock: MockClock) -> None:
    lan = MemoryLan()
    liar, author, taker = Peer(lan, 1, everything()), Peer(lan, 2, everything()), Peer(lan, 3)
    liar.spoil = wrong
    async with together(liar, author, taker):
        assert await taker.fetch() == frozenset()
        await trio.sleep(60)
        assert liar.id in taker.meeting.links, "it is there again"
        sent = liar.uplink.sent_bytes
        for _ in range(2):
            taker.chunks.clear()
            assert await taker.fetch() == frozenset()
            taker.chunks.clear()
            assert await taker.fetch_scattered() == frozenset()
        assert liar.uplink.sent_bytes - sent < 20_000, "messages alone"


class Cheat(Peer):
    """Answers its first request with bytes that are no answer."""

    way = ""
    asked = 0
    links: list[Link]

    async def read(self, wanted: Sequence[LanRequest]) -> Sequence[Answer]:
        self.links = list(self.meeting.links.values())
        (link,) = (link for link in self.links if link.session._answering)
        first = wanted[0]
        self.asked += 1
        whole = chunk_head(first.number, first.length) + self.chunks[first.chunk]
        with suppress(trio.BrokenResourceError, trio.ClosedResourceError):
            if self.way == "half":
                await link._stream.send_all(whole[: first.length // 2])
                await link._stream.aclose()
            elif self.way == "short":
                await link._stream.send_all(chunk_head(first.number, first.length - 1) + whole[-first.length + 1 :])
            while self.way == "endless":
                await link._stream.send_all(whole)
            for at in range(len(whole) if self.way == "never ends" else 0):
                await link._stream.send_all(whole[at : at + 1])
                await trio.sleep(0.3)
        await trio.sleep_forever()
        raise AssertionError


@pytest.mark.parametrize("way", ["half", "short", "endless", "never ends"])
async def test_who_sends_a_part_of_a_chunk_or_chunks_without_an_end_changes_nothing_but_the_time(
    way: str, autojump_clock: MockClock
) -> None:
    lan = MemoryLan()
    author, taker, bad = Peer(lan, 2, everything()), Peer(lan, 3), Cheat(lan, 1, everything())
    bad.way = way
    async with together(bad, author, taker):
        start_s = trio.current_time()
        assert await taker.fetch() == frozenset()
        assert taker.has_everything
        assert trio.current_time() - start_s < 5
        assert bad.asked
        ended = [link for link in bad.links if link.ending]
        assert bool(ended) == (way != "never ends"), "who breaks the rules is dropped"


async def test_who_asks_what_is_here_again_and_again_does_not_keep_others_waiting(autojump_clock: MockClock) -> None:
    lan = MemoryLan()
    author, taker, nuisance = Peer(lan, 1, everything()), Peer(lan, 2), Peer(lan, 3)
    author.held_s = 0.02
    async with together(author, taker, nuisance):
        link = nuisance.meeting.links[author.id]
        for _ in range(2_000):
            link.session.need(LanNeed(HERE, VERSION, CHUNKS, bits_of([1], CHUNKS)))
        link.wake()
        await trio.sleep(0.1)
        start_s = trio.current_time()
        assert await taker.fetch() == frozenset()
        assert trio.current_time() - start_s < 5


async def test_who_drips_is_left_behind(autojump_clock: MockClock) -> None:
    lan = MemoryLan()
    drip, author, taker = Peer(lan, 1, everything()), Peer(lan, 2, everything()), Peer(lan, 3)
    async with together(drip, author, taker):
        drip.uplink.rate_s = 100.0
        start_s = trio.current_time()
        assert await taker.fetch() == frozenset()
        assert taker.has_everything
        assert trio.current_time() - start_s < 10


async def test_a_link_that_breaks_in_the_middle_is_made_again(autojump_clock: MockClock) -> None:
    lan = MemoryLan()
    author, taker = Peer(lan, 1, everything(), rate_s=100e3), Peer(lan, 2)
    async with together(author, taker):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(taker.fetch)
            await trio.sleep(3)
            assert 0 < len(taker.chunks) < CHUNKS
            author.meeting.links[taker.id].end("for the test")
        assert taker.has_everything


async def test_a_member_revoked_in_the_middle_gets_no_more(autojump_clock: MockClock) -> None:
    lan = MemoryLan()
    author, taker = Peer(lan, 1, everything(), rate_s=100e3), Peer(lan, 2)
    async with together(author, taker), trio.open_nursery() as nursery:
        nursery.start_soon(taker.fetch)
        await trio.sleep(3)
        author.meeting.replace([Membership(HERE, (b"k" * 32,), frozenset({author.id}))], {})
        await trio.sleep(1)
        before = author.uplink.sent_bytes
        await trio.sleep(300)
        assert not taker.has_everything
        assert author.uplink.sent_bytes - before < 20_000, "goodbyes, and handshakes that come to nothing"


# --- the coordinator as one more source --------------------------------------------------------------------


async def test_where_no_neighbour_has_anything_it_ends_at_once_and_the_coordinator_is_not_asked(
    autojump_clock: MockClock,
) -> None:
    lan, coordinator = MemoryLan(), Coordinator()
    empty, taker = Peer(lan, 1), Peer(lan, 2)
    async with together(empty, taker):
        start_s = trio.current_time()
        assert await taker.fetch(beyond=coordinator) == set(everything())
        assert trio.current_time() - start_s < 0.5
        assert coordinator.asked == []


async def test_an_author_that_hears_of_its_own_commit_a_moment_later_is_waited_for(autojump_clock: MockClock) -> None:
    lan, coordinator = MemoryLan(), Coordinator(rate_s=1e5)
    author, taker = Peer(lan, 1, everything()), Peer(lan, 2)
    author.knows = False
    async with together(author, taker), trio.open_nursery() as nursery:
        nursery.start_soon(taker.fetch, 10.0, coordinator)
        await trio.sleep(0.25)
        author.knows = True
        await trio.sleep(2)
        assert taker.has_everything
        assert len(coordinator.asked) < CHUNKS / 4


@pytest.mark.parametrize("kind", ["one version", "many versions"])
async def test_neighbours_and_the_coordinator_deliver_together_each_as_much_as_it_can(
    kind: str, autojump_clock: MockClock
) -> None:
    lan, coordinator = MemoryLan(), Coordinator(rate_s=1e6)
    author, taker = Peer(lan, 1, everything(), rate_s=3e6), Peer(lan, 2)
    async with together(author, taker):
        start_s = trio.current_time()
        missing = await (
            taker.fetch(beyond=coordinator) if kind == "one version" else taker.fetch_scattered(coordinator)
        )
        assert missing == frozenset()
        assert taker.has_everything
        assert trio.current_time() - start_s < sum(map(len, DATA)) / 3e6
        assert len(coordinator.asked) < CHUNKS / 2


@pytest.mark.parametrize("kind", ["one version", "many versions"])
async def test_a_coordinator_that_goes_away_in_the_middle_leaves_it_to_the_neighbours(
    kind: str, autojump_clock: MockClock
) -> None:
    lan, coordinator = MemoryLan(), Coordinator(rate_s=5e6, goes_after=10)
    author, taker = Peer(lan, 1, everything(), rate_s=3e6), Peer(lan, 2)
    async with together(author, taker):
        missing = await (
            taker.fetch(beyond=coordinator) if kind == "one version" else taker.fetch_scattered(coordinator)
        )
        assert missing == frozenset()
        assert taker.has_everything


@pytest.mark.parametrize("kind", ["one version", "many versions"])
async def test_what_only_the_coordinator_has_comes_from_there(kind: str, autojump_clock: MockClock) -> None:
    lan, coordinator = MemoryLan(), Coordinator(rate_s=5e6, but=[0, 1])
    holder, taker = Peer(lan, 1, range(CHUNKS // 2)), Peer(lan, 2)
    async with together(holder, taker):
        missing = await (
            taker.fetch(beyond=coordinator) if kind == "one version" else taker.fetch_scattered(coordinator)
        )
        got = len(taker.chunks)
        assert got >= CHUNKS // 2, "the rest may be left to be fetched in order"
        assert missing == {at for at, piece in enumerate(PIECES) if piece.chunk not in taker.chunks}


# --- chunks of many versions -------------------------------------------------------------------------------


async def test_chunks_of_many_versions_come_without_asking_who_has_them(autojump_clock: MockClock) -> None:
    lan = MemoryLan()
    author, taker = Peer(lan, 1, everything()), Peer(lan, 2)
    async with together(author, taker):
        assert await taker.fetch_scattered() == frozenset()
        assert taker.has_everything
        assert not taker.exchange._asked
        assert not taker.exchange._numbers
        assert not taker.exchange._running


async def test_whoever_has_none_of_many_versions_is_soon_asked_no_more(autojump_clock: MockClock) -> None:
    lan, coordinator = MemoryLan(), Coordinator()
    empty, taker = Peer(lan, 1), Peer(lan, 2)
    async with together(empty, taker):
        start_s = trio.current_time()
        await taker.fetch_scattered(coordinator)
        assert trio.current_time() - start_s < 0.5


@pytest.mark.parametrize("kind", ["one version", "many versions"])
async def test_a_neighbour_that_says_nothing_holds_nothing_up_for_long_and_the_next_time_not_at_all(
    kind: str, autojump_clock: MockClock
) -> None:
    lan = MemoryLan()
    silent, taker = Peer(lan, 1, everything()), Peer(lan, 2)
    async with together(silent, taker):
        lan.cut()
        times = []
        for _ in range(3):
            start_s, coordinator = trio.current_time(), Coordinator(rate_s=1e9)
            taker.chunks.clear()
            await (taker.fetch(beyond=coordinator) if kind == "one version" else taker.fetch_scattered(coordinator))
            times.append(trio.current_time() - start_s)
        assert times[0] < 3
        assert max(times[1:]) < 0.1


async def test_who_says_nothing_does_not_hold_up_what_somebody_else_has(autojump_clock: MockClock) -> None:
    lan = MemoryLan()
    author, silent, taker = Peer(lan, 1, everything()), Peer(lan, 2, everything()), Peer(lan, 3)
    silent.held_s = 1e6
    async with together(author, silent, taker):
        start_s = trio.current_time()
        assert await taker.fetch() == frozenset()
        assert trio.current_time() - start_s < 2 * ANSWER_S


async def test_a_fellow_taker_that_never_brings_anything_is_waited_for_once(autojump_clock: MockClock) -> None:
    lan = MemoryLan()
    author, idler, taker = Peer(lan, 1, everything(), rate_s=20e6), Peer(lan, 2), Peer(lan, 3)
    async with together(author, idler, taker):
        bits = bits_of(everything(), CHUNKS)
        idler.meeting.links[taker.id].session.need(LanNeed(HERE, VERSION, CHUNKS, bits))
        idler.meeting.links[taker.id].wake()
        await trio.sleep(1)
        times = []
        for _ in range(3):
            start_s = trio.current_time()
            taker.chunks.clear()
            assert await taker.fetch() == frozenset()
            times.append(trio.current_time() - start_s)
        assert times[0] < 10
        assert max(times[1:]) < 1
