"""A keeper of blocks in memory that speaks real frames, and can be cut, forget, or lie."""

from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import TypeVar, TypeVarTuple

import trio

from chunking.params import ChunkerParams
from crypto.digest import block_id
from crypto.keyring import WorkspaceKeyring
from peer.disk.root import Root
from peer.ports import Offload
from peer.transfer.download import Fetcher, FetchRequest
from peer.transfer.ingest import Ingested, Ingester, IngestRequest
from peer.transfer.sources import LocalChunks, NothingKnown, Place, SourceCut
from protocol.frames import Frame, FrameKind, FrameReader, absent_frame, block_head, end_frame
from protocol.ids import BlockId, ChangeId, ChunkId
from protocol.messages import Refusal, Stored
from protocol.model import ChunkRef
from tests.common.disks import CountingEntropy, fingerprint, new_root

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

SMALL = ChunkerParams(min_size=1024, avg_size=4096, max_size=16 * 1024)
"""Cuts small enough for a test to have many."""


class TestKeys:
    """Keys that are the same in every run."""

    __test__ = False

    @staticmethod
    def ring() -> WorkspaceKeyring:
        return WorkspaceKeyring(b"s" * 16, b"f" * 32, {1: b"e" * 32})


class ThreadOffload:
    """Real threads."""

    async def run(self, fn: Callable[[*Ts], T], *args: *Ts) -> T:
        return await trio.to_thread.run_sync(fn, *args)


class ImpatientClock:
    """Time as trio has it, but nobody waits; what was asked for is remembered."""

    def __init__(self) -> None:
        self.slept_s: list[float] = []

    def wall_ns(self) -> int:
        return 0

    def monotonic_s(self) -> float:
        return trio.current_time()

    async def sleep(self, seconds: float) -> None:
        self.slept_s.append(seconds)
        await trio.lowlevel.checkpoint()


class MemoryBlocks:
    """A dict of blocks behind `BlockSink` and `BlockSource`.

    `cuts`: after so many bytes of each next upload body (or download answer, `fetch_cuts`) the connection breaks.
    """

    def __init__(self) -> None:
        self.blocks: dict[bytes, bytes] = {}
        self.arrivals: list[bytes] = []
        self.asked: list[list[BlockId]] = []
        self.have_calls = 0
        self.bodies = 0
        self.cuts: list[int] = []
        self.fetch_cuts: list[int] = []
        self.refusals: list[Refusal] = []
        self.fetch_refusals: list[Refusal] = []
        self.lies: dict[bytes, list[bytes]] = {}
        self.received_bytes = 0
        self.accused: list[BlockId] = []
        self.unreachable = False
        self.away_after_cut = False
        """Whether it is `unreachable` once a download was cut."""

    async def upload(self, body: AsyncIterator[bytes]) -> Stored | Refusal:
        self.bodies += 1
        if self.unreachable:
            raise SourceCut("nobody there")
        if self.refusals:
            return self.refusals.pop(0)
        left = self.cuts.pop(0) if self.cuts else None
        reader = FrameReader()
        count = new = 0
        async for piece in body:
            arrived = piece if left is None else piece[:left]
            for frame in reader.receive(arrived):
                if frame.kind is FrameKind.BLOCK:
                    assert block_id(frame.data) == frame.block
                    new += frame.block not in self.blocks
                    count += 1
                    self.blocks[frame.block] = frame.data
                    self.arrivals.append(frame.block)
            if left is not None:
                left -= len(arrived)
                if left == 0:
                    raise SourceCut("cut")
            await trio.lowlevel.checkpoint()
        if not reader.ended:
            raise SourceCut("the body did not end")
        return Stored(count, new)

    async def have(self, blocks: Sequence[BlockId]) -> frozenset[BlockId] | Refusal:
        self.have_calls += 1
        if self.unreachable:
            raise SourceCut("nobody there")
        return frozenset(block for block in blocks if block in self.blocks)

    @asynccontextmanager
    async def fetch(self, blocks: Sequence[BlockId]) -> AsyncIterator[AsyncIterator[list[Frame]] | Refusal]:
        self.asked.append(list(blocks))
        if self.unreachable:
            raise SourceCut("nobody there")
        if self.fetch_refusals:
            yield self.fetch_refusals.pop(0)
            return
        left = self.fetch_cuts.pop(0) if self.fetch_cuts else None
        yield self._frames(blocks, left)

    async def _frames(self, blocks: Sequence[BlockId], left: int | None) -> AsyncIterator[list[Frame]]:
        reader = FrameReader()
        for piece in self._answer(blocks):
            arrived = piece if left is None else piece[:left]
            yield [frame for frame in reader.receive(arrived) if frame.kind is not FrameKind.END]
            if left is not None:
                left -= len(arrived)
                if left == 0:
                    self.unreachable = self.away_after_cut
                    raise SourceCut("cut")
            await trio.lowlevel.checkpoint()

    def _answer(self, blocks: Sequence[BlockId]) -> Iterator[bytes]:
        for block in blocks:
            lies = self.lies.get(block)
            data = lies.pop(0) if lies else self.blocks.get(block)
            yield absent_frame(block) if data is None else block_head(block, len(data)) + data
        yield end_frame(len(blocks))

    def count(self, received_bytes: int) -> None:
        self.received_bytes += received_bytes

    def accuse(self, block: BlockId) -> None:
        self.accused.append(block)


class DurableIndex:
    """What earlier runs made durable."""

    def __init__(self) -> None:
        self.refs: dict[ChunkId, ChunkRef] = {}

    def add(self, result: Ingested) -> None:
        assert result.manifest is not None
        self.refs.update({ref.chunk: ref for ref in result.manifest.chunks})

    async def known(self, chunks: Sequence[ChunkId]) -> Mapping[ChunkId, ChunkRef]:
        return {chunk: self.refs[chunk] for chunk in chunks if chunk in self.refs}


class Held:
    """Where the chunks of ingested files lie."""

    def __init__(self) -> None:
        self.places: dict[ChunkId, Place] = {}

    def add(self, result: Ingested) -> None:
        offset = 0
        for chunk, length in result.chunks:
            self.places[chunk] = Place(result.request.path, offset, length, result.fingerprint)
            offset += length

    async def locate(self, chunks: Sequence[ChunkId]) -> Mapping[ChunkId, Place]:
        return {chunk: self.places[chunk] for chunk in chunks if chunk in self.places}


class Device:
    """A folder with the two pipelines."""

    def __init__(self, root: Root, params: ChunkerParams, local: LocalChunks | None = None) -> None:
        self.root = root
        self.folder = Path(root.path)
        self.index = DurableIndex()
        self.clock = ImpatientClock()
        offload: Offload = ThreadOffload()
        entropy = CountingEntropy()
        keys = TestKeys.ring()
        self.ingester = Ingester(root, offload, self.clock, entropy, keys, params, self.index)
        self.fetcher = Fetcher(root, offload, self.clock, entropy, keys, local or NothingKnown())

    def write(self, name: str, data: bytes) -> IngestRequest:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        return self.request(name)

    def request(self, name: str) -> IngestRequest:
        parts = tuple(name.split("/"))
        return IngestRequest(parts, fingerprint(self.root, parts))

    def temp(self, name: str) -> bytes:
        return (self.folder / ".shoal" / "tmp" / name).read_bytes()

    def temps(self) -> list[str]:
        return [path.name for path in (self.folder / ".shoal" / "tmp").iterdir()]


@contextmanager
def new_device(path: Path, params: ChunkerParams = SMALL, local: LocalChunks | None = None) -> Iterator[Device]:
    with new_root(path) as (root, _):
        yield Device(root, params, local)


def wanted(result: object) -> FetchRequest:
    """What another device asks for after this one has committed what it ingested."""
    assert isinstance(result, Ingested), result
    assert result.manifest is not None
    return FetchRequest(ChangeId(bytes(32)), result.manifest, result.digest, result.size)
