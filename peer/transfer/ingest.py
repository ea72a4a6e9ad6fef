"""New data in: one pass from the users' files to durable blocks.

Owns the order of the work: a thread reads, cuts and hashes a batch; what has no durable block yet is sealed in
another thread while the next batch is read, and sent while the one after that is sealed. At most four batches of
`BATCH_BYTES` are held, whatever the files' sizes. Never commits, and never changes a file.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from functools import partial
from typing import Final, NamedTuple

import trio

from chunking.params import ChunkerParams
from crypto.block_box import name_block, seal_block
from crypto.keyring import WorkspaceKeyring
from peer.disk.root import Root
from peer.fingerprint import Fingerprint
from peer.ports import Clock, Entropy, Offload
from peer.transfer.counters import Progress, TransferCounters
from peer.transfer.limits import Limiter, Unlimited
from peer.transfer.reading import (
    BATCH_BYTES,
    FileChanged,
    FileEnd,
    FileFailed,
    FileRead,
    FileReader,
    IngestRequest,
    Origin,
    ReadBatch,
    ReadChunk,
    read_again,
)
from peer.transfer.sources import BlockSink, ChunkIndex, Patience
from peer.transfer.upload import Outgoing, UploadFailure, UploadSession, open_upload
from protocol.ids import BlockId, ChunkId
from protocol.model import ChunkRef, FlatManifest

__all__ = ["Changed", "Failed", "IngestRequest", "IngestResult", "Ingested", "Ingester", "NotSent"]

READERS: Final = 2
"""Threads that read where nothing is sent."""
SEALERS: Final = 2


@dataclass(frozen=True, slots=True)
class Ingested:
    """All of the file was read while it held still.

    `chunks` are (chunk id, length) in order. `manifest` is None where nothing was to be sealed and some chunk has no
    durable block that is known of. `stored`: all its blocks are durable.
    """

    request: IngestRequest
    digest: bytes
    size: int
    fingerprint: Fingerprint
    chunks: tuple[tuple[ChunkId, int], ...]
    manifest: FlatManifest | None
    stored: bool = True


@dataclass(frozen=True, slots=True)
class Changed:
    """The file is not as the scan saw it, or is being written: scan it again, later.

    `stored` are the chunks of what was read of it that have a durable block now: the next reading need not send them.
    """

    request: IngestRequest
    stored: tuple[ChunkRef, ...] = ()


@dataclass(frozen=True, slots=True)
class Failed:
    """The file cannot be read or is beyond the protocol's bounds. `code` is one of a status problem."""

    request: IngestRequest
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class NotSent:
    """The file was readable, but its blocks did not all reach the coordinator: ingest it again once they can.

    `stored` as in `Changed`.
    """

    request: IngestRequest
    failure: UploadFailure
    stored: tuple[ChunkRef, ...] = ()


IngestResult = Ingested | Changed | Failed | NotSent


class _ToSeal(NamedTuple):
    """Chunks with their bytes, and what is to be called when these are looked at no more."""

    chunks: list[ReadChunk]
    give_back: Callable[[], None]


@dataclass(frozen=True)
class Ingester:
    """Takes in files of one workspace. Holds nothing between two calls."""

    root: Root
    offload: Offload
    clock: Clock
    entropy: Entropy
    keys: WorkspaceKeyring
    params: ChunkerParams
    index: ChunkIndex
    counters: TransferCounters = field(default_factory=TransferCounters)
    limiter: Limiter = field(default_factory=Unlimited)

    async def ingest(
        self,
        requests: Sequence[IngestRequest],
        sink: BlockSink | None,
        *,
        seal: bool = False,
        resuming: bool = False,
        epochs: Mapping[ChunkId, int] | None = None,
        progress: Progress | None = None,
    ) -> list[IngestResult]:
        """Read all files once, and make their blocks durable in `sink` if one is given; results in order.

        With `seal`, and without a sink, the blocks are only made to know their ids.

        A chunk that has a durable block, or occurs again, is not sealed again. When this returns `Ingested` with a
        manifest from a sink, every block in it has been confirmed. Failures of single files and of the connection
        are results. With `resuming`, the sink is asked which blocks it has before they are sent. `epochs` are those in
        which chunks are to be sealed, where that is not the newest one, and their keys are held.
        """
        run = _Run(self, requests, epochs or {}, progress or Progress())
        await (run.read(seal=seal) if sink is None else run.send(sink, resuming))
        return run.results()


class _Run:
    """One call of `ingest`."""

    def __init__(
        self,
        ingester: Ingester,
        requests: Sequence[IngestRequest],
        epochs: Mapping[ChunkId, int],
        progress: Progress,
    ) -> None:
        self._by = ingester
        self._requests = requests
        self._epochs = {chunk: epoch for chunk, epoch in epochs.items() if ingester.keys.epoch(epoch) is not None}
        self._progress = progress
        self._chunks: list[list[tuple[ChunkId, int]]] = [[] for _ in requests]
        self._ends: list[FileEnd | None] = [None] * len(requests)
        # None: it is being sealed.
        self._refs: dict[ChunkId, ChunkRef | None] = {}
        self._only_sealed: set[ChunkId] = set()
        self._unsent: set[ChunkId] = set()
        self._vanished: set[ChunkId] = set()
        self._failure: UploadFailure | None = None
        progress.files_total += len(requests)
        progress.bytes_total += sum(request.expected.size for request in requests)

    async def read(self, *, seal: bool) -> None:
        """Read all, and seal what has no durable block where that is asked for."""
        indexes = iter(range(len(self._requests)))
        if seal:
            await self._read_and_seal(indexes, None)
            return
        async with trio.open_nursery() as nursery:
            for _ in range(READERS):
                nursery.start_soon(self._read, indexes, None, None)

    async def send(self, sink: BlockSink, resuming: bool) -> None:
        """Read all, and seal and send what has no durable block."""
        by = self._by
        patience = Patience(by.clock, by.entropy)
        async with open_upload(sink, patience, by.counters, by.limiter, resuming) as session:
            await self._read_and_seal(iter(range(len(self._requests))), session)
            lost = await session.settle()
            while lost and session.failure is None:
                await self._send_again([origin for _, origin in lost], session)
                lost = await session.settle()
            self._failure = session.failure
            self._unsent.update(origin.chunk for _, origin in lost)

    async def _read_and_seal(self, indexes: "Iterable[int]", session: UploadSession | None) -> None:
        # No buffer: the reader waits while all sealers are busy.
        to_seal, batches = trio.open_memory_channel[_ToSeal](0)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._read, indexes, to_seal, session)
            for _ in range(SEALERS):
                nursery.start_soon(self._seal_all, batches.clone(), session)
            batches.close()

    def results(self) -> list[IngestResult]:
        return [self._result(index) for index in range(len(self._requests))]

    async def _read(
        self,
        indexes: "Iterable[int]",
        to_seal: trio.MemorySendChannel[_ToSeal] | None,
        session: UploadSession | None,
    ) -> None:
        by = self._by
        async with AsyncExitStack() as stack:
            if to_seal is not None:
                await stack.enter_async_context(to_seal)
            reader = FileReader(
                by.root, self._requests, iter(indexes), by.keys.fixed, by.params, keep=to_seal is not None
            )
            stack.callback(reader.close)
            while (batch := await by.offload.run(reader.next_batch)) is not None:
                new = await self._note(batch, first_only=to_seal is not None)
                slab = batch.slab
                del batch
                if to_seal is not None and slab is not None:
                    if new:
                        await to_seal.send(_ToSeal(new, partial(reader.give_back, slab)))
                    else:
                        reader.give_back(slab)
                del new
                if session is not None and session.failure is not None:
                    return

    async def _note(self, batch: ReadBatch, first_only: bool) -> list[ReadChunk]:
        """Record what was read; the chunks that have no durable block and are not being sealed already."""
        fresh: dict[ChunkId, ReadChunk] = {}
        for chunk in batch.chunks:
            origin = chunk.origin
            self._chunks[origin.file].append((origin.chunk, origin.length))
            self._progress.bytes_done += origin.length
            if origin.chunk not in self._refs:
                fresh.setdefault(origin.chunk, chunk)
        for index, end in batch.ended:
            self._ends[index] = end
            self._progress.files_done += 1
        if not fresh:
            return []
        if first_only:
            self._refs.update(dict.fromkeys(fresh))
        known = await self._by.index.known(list(fresh))
        self._refs.update(known)
        return [chunk for chunk_id, chunk in fresh.items() if chunk_id not in known]

    async def _seal_all(self, batches: trio.MemoryReceiveChannel[_ToSeal], session: UploadSession | None) -> None:
        async with batches:
            async for chunks, give_back in batches:
                make = _name if session is None else _seal
                blocks = await self._by.offload.run(make, self._by.keys, self._epochs, chunks)
                chunks.clear()  # the plaintext is not needed while the blocks are sent
                give_back()
                self._note_blocks(blocks)
                if session is None:
                    self._only_sealed.update(block.origin.chunk for block in blocks)
                else:
                    await session.send(blocks)
                del blocks

    async def _send_again(self, origins: Sequence[Origin], session: UploadSession) -> None:
        """Seal and send once more what a cut swallowed, from the files."""
        for part in _parts(origins):
            again = await self._by.offload.run(read_again, self._by.root, self._requests, part, self._by.keys.fixed)
            self._vanished.update(origin.chunk for origin, chunk in zip(part, again, strict=True) if chunk is None)
            found = [chunk for chunk in again if chunk is not None]
            blocks = await self._by.offload.run(_seal, self._by.keys, self._epochs, found)
            del again, found
            self._note_blocks(blocks)
            await session.send(blocks)

    def _note_blocks(self, blocks: Sequence[Outgoing]) -> None:
        newest = self._by.keys.newest_epoch
        for block, _, origin in blocks:
            epoch = self._epochs.get(origin.chunk, newest)
            self._refs[origin.chunk] = ChunkRef(origin.chunk, block, epoch, origin.length)

    def _result(self, index: int) -> IngestResult:
        request = self._requests[index]
        match self._ends[index]:
            case None:
                assert self._failure is not None
                return NotSent(request, self._failure, self._stored(index))
            case FileChanged():
                return Changed(request, self._stored(index))
            case FileFailed(code, message):
                return Failed(request, code, message)
            case FileRead() as end:
                return self._whole(index, tuple(self._chunks[index]), end)

    def _stored(self, index: int) -> tuple[ChunkRef, ...]:
        """The chunks read of a file that have a durable block."""
        lacking = self._only_sealed | self._unsent | self._vanished
        here = dict.fromkeys(chunk for chunk, _ in self._chunks[index] if chunk not in lacking)
        return tuple(ref for chunk in here if (ref := self._refs.get(chunk)) is not None)

    def _whole(self, index: int, chunks: tuple[tuple[ChunkId, int], ...], end: FileRead) -> IngestResult:
        request = self._requests[index]
        if self._vanished and any(chunk in self._vanished for chunk, _ in chunks):
            return Changed(request, self._stored(index))
        refs = tuple(ref for chunk, _ in chunks if (ref := self._refs.get(chunk)) is not None)
        whole = len(refs) == len(chunks)
        if self._failure is not None and (not whole or any(chunk in self._unsent for chunk, _ in chunks)):
            return NotSent(request, self._failure, self._stored(index))
        manifest = FlatManifest(refs) if whole else None
        stored = whole and self._only_sealed.isdisjoint(chunk for chunk, _ in chunks)
        return Ingested(request, end.digest, end.fingerprint.size, end.fingerprint, chunks, manifest, stored)


def _seal(keys: WorkspaceKeyring, epochs: Mapping[ChunkId, int], chunks: Sequence[ReadChunk]) -> list[Outgoing]:
    """In a thread: the chunks as blocks of these epochs, else of the newest one."""
    blocks: list[Outgoing] = []
    for origin, data in chunks:
        block_id, block = seal_block(keys, epochs.get(origin.chunk, keys.newest_epoch), data)
        blocks.append(Outgoing(BlockId(block_id), block, origin))
    return blocks


def _name(keys: WorkspaceKeyring, epochs: Mapping[ChunkId, int], chunks: Sequence[ReadChunk]) -> list[Outgoing]:
    """In a thread: the same without the blocks' bytes."""
    newest = keys.newest_epoch
    return [
        Outgoing(BlockId(name_block(keys, epochs.get(origin.chunk, newest), data)), b"", origin)
        for origin, data in chunks
    ]


def _parts(origins: Sequence[Origin]) -> Iterable[list[Origin]]:
    """The places in the order of their files, in parts of about `BATCH_BYTES`."""
    part: list[Origin] = []
    size = 0
    for origin in sorted(origins, key=lambda origin: (origin.file, origin.offset)):
        part.append(origin)
        size += origin.length
        if size >= BATCH_BYTES:
            yield part
            part, size = [], 0
    if part:
        yield part
