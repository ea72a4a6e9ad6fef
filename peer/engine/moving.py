"""Transfers beside the loop: files being read and sent, versions being fetched. Owns what is under way.

Four lanes, each with one batch at a time: small and large files, up and down, so that a large one never holds up a
small one. Results wait here until the loop takes them; nothing is decided or written here.
"""

import enum
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Final, Generic, TypeVar

import trio

from peer.engine.context import Context
from peer.engine.held import HeldChunks
from peer.engine.shelf import Shelf
from peer.lan.presence import LanNeighbours
from peer.planner.trees import Content
from peer.scan.identity import Assigned
from peer.store.versions import version_body
from peer.transfer.coordinator_blocks import CoordinatorBlocks
from peer.transfer.download import Bad, Fetcher, FetchRequest, FetchResult
from peer.transfer.ingest import Changed, Failed, Ingested, Ingester, IngestRequest, NotSent
from peer.transfer.sources import LocalChunks, Place
from peer.transfer.unfinished import Unfinished
from protocol.ids import BlockId, ChangeId, ChunkId, EntryId
from protocol.model import ChunkRef, FlatManifest

SMALL_BYTES: Final = 8 * 1024 * 1024
BATCH_BYTES: Final = 64 * 1024 * 1024
BATCH_FILES: Final = 1000
RESULTS: Final = 4 * BATCH_FILES
"""A lane pauses while so many results wait for the loop."""

IngestResult = Ingested | Changed | Failed | NotSent


class Aim(enum.Enum):
    """What a file is read for."""

    READ = enum.auto()
    """To know its content."""
    SEAL = enum.auto()
    """To know its blocks too, so that it can be offered before they are sent."""
    SEND = enum.auto()
    """Its blocks go to the coordinator in the same pass."""


@dataclass(frozen=True, slots=True)
class Up:
    """A file to be read. `even_if_open`: although somebody has it open for writing, as some files are all the time."""

    file: Assigned
    aim: Aim
    even_if_open: bool = False


@dataclass(frozen=True, slots=True)
class Committed:
    """A file of which a version lists these blocks."""

    request: IngestRequest
    manifest: FlatManifest


@dataclass(frozen=True, slots=True)
class Down:
    """A version wanted on this disk. Its manifest is looked up when its turn comes."""

    entry: EntryId
    version: ChangeId
    content: Content


Job = TypeVar("Job")
Result = TypeVar("Result")


class Lane(Generic[Job, Result]):
    """Jobs waiting, by entry, and one batch under way."""

    def __init__(self) -> None:
        self.waiting: dict[EntryId, Job] = {}
        self.under_way: dict[EntryId, Job] = {}

    def put(self, entry: EntryId, job: Job) -> None:
        """Wait for a turn; replaces what waits for the same entry. What is under way stays."""
        if self.under_way.get(entry) != job:
            self.waiting[entry] = job

    def take(self, size: Callable[[Job], int], same: Callable[[Job], object]) -> list[Job]:
        """The next batch: of one sort, bounded in files and bytes."""
        total, sort = 0, None
        for entry in list(self.waiting):
            job = self.waiting[entry]
            if not self.under_way:
                sort = same(job)
            elif same(job) != sort or total + size(job) > BATCH_BYTES or len(self.under_way) >= BATCH_FILES:
                if len(self.under_way) >= BATCH_FILES or total >= BATCH_BYTES:
                    break
                continue
            del self.waiting[entry]
            self.under_way[entry] = job
            total += size(job)
        return list(self.under_way.values())


class Mover:
    """The lanes of one workspace. `run` works them off until cancelled."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._up: tuple[Lane[Up, IngestResult], Lane[Up, IngestResult]] = (Lane(), Lane())
        self._down: tuple[Lane[Down, FetchResult], Lane[Down, FetchResult]] = (Lane(), Lane())
        self._work = [trio.Event() for _ in range(4)]
        self._read: list[tuple[Up, IngestResult]] = []
        self._fetched: list[tuple[Down, FetchResult]] = []
        self._taken = trio.Event()
        machine = context.machine
        self._server = CoordinatorBlocks(machine.client, context.record.workspace, machine.counters)
        self._ingester = Ingester(
            root=context.root,
            offload=machine.compute,
            clock=machine.clock,
            entropy=machine.entropy,
            keys=context.keyring,
            params=context.chunker_params,
            index=_Index(context),
            counters=machine.counters,
            limiter=machine.limiting.up,
        )
        self._unfinished = Unfinished(context.root)
        places, held, lan = _Places(context), HeldChunks(context), machine.lan
        self.shelf = Shelf(context, places, held, machine.turns)
        """What is served to others nearby."""
        self._fetcher = Fetcher(
            root=context.root,
            offload=machine.compute,
            clock=machine.clock,
            entropy=machine.entropy,
            keys=context.keyring,
            local=_Here(places, held),
            limiter=machine.limiting.down,
            unfinished=self._unfinished,
            near=None if lan is None else LanNeighbours(lan, context.record.workspace, self.shelf.lend),
        )

    def _current_ingester(self) -> Ingester:
        """With the workspace's keys as they are now: there may be newer ones since the last call."""
        if self._ingester.keys is not self._context.keyring:
            self._ingester = replace(self._ingester, keys=self._context.keyring)
        return self._ingester

    def _current_fetcher(self) -> Fetcher:
        if self._fetcher.keys is not self._context.keyring:
            self._fetcher = replace(self._fetcher, keys=self._context.keyring)
        return self._fetcher

    # --- asked by the loop -----------------------------------------------------------------------------

    def take_results(self) -> tuple[list[tuple[Up, IngestResult]], list[tuple[Down, FetchResult]]]:
        """What was read and what was fetched since the last time."""
        read, self._read = self._read, []
        fetched, self._fetched = self._fetched, []
        self._taken.set()
        self._taken = trio.Event()
        return read, fetched

    @property
    def is_idle(self) -> bool:
        """Whether nothing is waiting, under way, or to be taken."""
        lanes: tuple[Lane[Up, IngestResult] | Lane[Down, FetchResult], ...] = (*self._up, *self._down)
        return not (self._read or self._fetched or any(lane.waiting or lane.under_way for lane in lanes))

    def put_up(self, jobs: Sequence[Up]) -> None:
        """Have these files read (and sent)."""
        for job in jobs:
            large = job.file.found.fingerprint.size > SMALL_BYTES
            self._up[large].put(job.file.entry, job)
            self._work[large].set()

    def put_down(self, jobs: Sequence[Down]) -> None:
        """Have these versions fetched."""
        for job in jobs:
            large = job.content.size > SMALL_BYTES
            self._down[large].put(job.entry, job)
            self._work[2 + large].set()

    def drop_waiting_down(self, keep: dict[EntryId, ChangeId]) -> None:
        """Forget what waits to be fetched and is not wanted any more."""
        for lane in self._down:
            for entry, job in list(lane.waiting.items()):
                if keep.get(entry) != job.version:
                    del lane.waiting[entry]

    async def drop_unfinished(self, keep: Collection[ChangeId]) -> None:
        """Remove what was left of broken transfers of other versions than these."""
        if self._unfinished.keep_only(keep):
            await self._context.machine.disk_work.run(self._unfinished.clear_up)

    def sending(self, entry: EntryId) -> bool:
        """Whether the entry's file waits to be read or is being read."""
        return any(entry in lane.waiting or entry in lane.under_way for lane in self._up)

    def fetching(self, entry: EntryId, version: ChangeId) -> bool:
        """Whether this version waits to be fetched, is being fetched, or has just been."""
        for lane in self._down:
            for job in (lane.waiting.get(entry), lane.under_way.get(entry)):
                if job is not None and job.version == version:
                    return True
        return any(job.entry == entry and job.version == version for job, _ in self._fetched)

    def pending(self) -> tuple[int, int, int, int]:
        """Files and bytes going up, files and bytes coming down."""
        up = [job for lane in self._up for job in (*lane.waiting.values(), *lane.under_way.values())]
        down = [job for lane in self._down for job in (*lane.waiting.values(), *lane.under_way.values())]
        return (
            len(up),
            sum(job.file.found.fingerprint.size for job in up),
            len(down),
            sum(job.content.size for job in down),
        )

    def aim(self, size: int) -> Aim:
        """What for a new file of this size is read that is to be committed: where somebody nearby can have it, and it
        takes a while to send, or cannot be sent now, it is offered first."""
        machine = self._context.machine
        is_long, lan = size > machine.offer_bytes or not self._context.online, machine.lan
        is_wanted = is_long and lan is not None and lan.is_anybody_there(self._context.record.workspace)
        return Aim.SEAL if is_wanted else Aim.SEND

    async def store(self, files: Sequence[Committed], stored: Collection[BlockId]) -> list[IngestResult]:
        """Send what the coordinator lacks of files that were committed before: as the blocks that their versions list,
        where this device can make those. `stored` are blocks that it does not lack."""
        results: list[IngestResult] = []
        for part in agreeing(files):
            listed = {ref.chunk: ref for file in part for ref in file.manifest.chunks}
            index = _Listed({chunk: ref for chunk, ref in listed.items() if ref.block in stored})
            results += await replace(self._current_ingester(), index=index).ingest(
                [file.request for file in part],
                self._server,
                resuming=True,
                epochs={chunk: ref.epoch for chunk, ref in listed.items()},
                progress=self._context.up,
            )
        return results

    # --- the lanes -------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Work the lanes off; runs until cancelled."""
        try:
            async with trio.open_nursery() as nursery:
                for large in (0, 1):
                    nursery.start_soon(self._run_up, self._up[large], large)
                    nursery.start_soon(self._run_down, self._down[large], 2 + large)
        finally:
            with trio.CancelScope(shield=True):  # reading a few chunks takes no time
                await self.shelf.close()
            with suppress(OSError):  # a start removes them too
                self._unfinished.remove_all()

    async def _run_up(self, lane: Lane[Up, IngestResult], number: int) -> None:
        context = self._context
        while True:
            jobs = lane.take(lambda job: job.file.found.fingerprint.size, lambda job: job.aim)
            if not jobs:
                await self._work[number].wait()
                self._work[number] = trio.Event()
                continue
            requests = [
                IngestRequest(job.file.found.path, job.file.found.fingerprint, job.even_if_open) for job in jobs
            ]
            aim = jobs[0].aim
            sink = self._server if aim is Aim.SEND else None
            results = await self._current_ingester().ingest(requests, sink, seal=aim is Aim.SEAL, progress=context.up)
            lane.under_way.clear()
            self._read += zip(jobs, results, strict=True)
            context.signal.set()
            while len(self._read) >= RESULTS:
                await self._taken.wait()

    async def _run_down(self, lane: Lane[Down, FetchResult], number: int) -> None:
        context = self._context
        while True:
            jobs = lane.take(lambda job: job.content.size, lambda job: 0)
            if not jobs:
                await self._work[number].wait()
                self._work[number] = trio.Event()
                continue
            requests = await context.machine.database_work.run(self._requests, jobs)
            good = [request for request in requests if isinstance(request, FetchRequest)]
            results = iter(await self._current_fetcher().fetch(good, self._server, progress=context.down))
            lane.under_way.clear()
            for job, request in zip(jobs, requests, strict=True):
                self._fetched.append((job, request if isinstance(request, Bad) else next(results)))
            context.signal.set()
            while len(self._fetched) >= RESULTS:
                await self._taken.wait()

    def _requests(self, jobs: Sequence[Down]) -> list[FetchRequest | Bad]:
        """What to ask for, with the manifests. In the database's thread."""
        context = self._context
        found: list[FetchRequest | Bad] = []
        for job in jobs:
            body = version_body(context.machine.database, context.record.w, job.version)
            manifest = FlatManifest(()) if body is None or body.manifest is None else body.manifest
            request = FetchRequest(job.version, manifest, job.content.digest, job.content.size)
            bad = body is None or body.manifest is None
            found.append(Bad(request, "bad_change", "this version cannot be read") if bad else request)
        return found


def agreeing(files: Sequence[Committed]) -> Iterator[list[Committed]]:
    """The files in order, in parts in which no two list different blocks of one chunk."""
    part: list[Committed] = []
    listed: dict[ChunkId, BlockId] = {}
    for file in files:
        its = {ref.chunk: ref.block for ref in file.manifest.chunks}
        if any(listed.get(chunk, block) != block for chunk, block in its.items()):
            yield part
            part, listed = [], {}
        part.append(file)
        listed |= its
    if part:
        yield part


@dataclass(frozen=True, slots=True)
class _Listed:
    """`ChunkIndex` of the blocks that some versions list, and no others."""

    stored: Mapping[ChunkId, ChunkRef]

    async def known(self, chunks: Sequence[ChunkId]) -> "dict[ChunkId, ChunkRef]":
        """The chunks among these whose block is stored."""
        return {chunk: self.stored[chunk] for chunk in chunks if chunk in self.stored}


class _Index:
    """`ChunkIndex` over the store."""

    def __init__(self, context: Context) -> None:
        self._context = context

    async def known(self, chunks: Sequence[ChunkId]) -> "dict[ChunkId, ChunkRef]":
        """The chunks among these that have a durable block."""
        context = self._context
        return dict(await context.machine.database_work.run(context.contents.known, chunks))


class _Places:
    """`LocalChunks` over the store."""

    def __init__(self, context: Context) -> None:
        self._context = context

    async def locate(self, chunks: Sequence[ChunkId]) -> "dict[ChunkId, Place]":
        """Where on this disk these chunks should be."""
        context = self._context
        return dict(await context.machine.database_work.run(context.contents.locate, context.trees, chunks))


@dataclass(frozen=True, slots=True)
class _Here:
    """`LocalChunks` over both: what is held is surely what it is said to be."""

    places: LocalChunks
    held: LocalChunks

    async def locate(self, chunks: Sequence[ChunkId]) -> "dict[ChunkId, Place]":
        """Where on this disk these chunks should be."""
        return {**await self.places.locate(chunks), **await self.held.locate(chunks)}
