"""Versions out: from blocks and what is at hand to checked temporary files.

Owns what is asked of whom, in which order, and what a wrong, absent or late block means for a file. A window of the
files' chunks is planned at a time; blocks are received while the batch before is opened in one thread and the one
before that written in another. At most five batches of `GROUP_BYTES` are held, whatever the files' sizes. Never puts
a file in place.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from functools import partial
from typing import Final

import trio

from crypto.keyring import WorkspaceKeyring
from peer.disk.root import Root
from peer.ports import Clock, Entropy, Offload
from peer.transfer.assembly import Assembler
from peer.transfer.counters import Progress
from peer.transfer.limits import Limiter, Unlimited
from peer.transfer.near import BlocksBeyond, Neighbours, Piece
from peer.transfer.opening import Opened, Received, open_blocks
from peer.transfer.sources import BlockSource, LocalChunks, NothingKnown, Patience, Place, SourceCut, is_passing
from peer.transfer.steps import Hole, Placed, Step
from peer.transfer.unfinished import FetchRequest, Unfinished
from protocol import limits
from protocol.frames import HEAD_BYTES, Frame, FrameKind
from protocol.ids import BlockId, ChunkId
from protocol.messages import Refusal, RefusalCode
from protocol.model import ChunkRef, FlatManifest

__all__ = ["Bad", "FetchRequest", "FetchResult", "Fetched", "Fetcher", "Missing", "NotFetched", "NotWritten"]

WINDOW_BYTES: Final = 64 * limits.MIB
"""How much of the files, by plaintext, one question to a source covers."""
GROUP_BYTES: Final = 2 * limits.MIB
"""How much, by plaintext, is opened and written in one call."""
GROUP_BLOCKS: Final = 500
SCATTERED_BYTES: Final = limits.MIB
"""Versions of which no more is missing are fetched from neighbours together, not each by itself."""
_ROUNDS: Final = 2
"""How often a block that came out wrong is asked for once more."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """The content lies, whole and checked, in `.shoal/tmp` under the name `temp`, not yet durable."""

    request: FetchRequest
    temp: str


@dataclass(frozen=True, slots=True)
class Missing:
    """No source has these blocks: the version is waiting for them."""

    request: FetchRequest
    blocks: tuple[BlockId, ...]
    code: str = "waiting_for_blocks"


@dataclass(frozen=True, slots=True)
class Bad:
    """The version cannot be made: `damaged_block` where what sources deliver under the block ids is something else or
    does not open, `bad_change` where the manifest contradicts itself or its digest."""

    request: FetchRequest
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class NotWritten:
    """This disk refused; `code` is one of a status problem."""

    request: FetchRequest
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class NotFetched:
    """The source went away, or refused: fetch it again once it is back."""

    request: FetchRequest
    refusal: RefusalCode | None
    message: str


FetchResult = Fetched | Missing | Bad | NotWritten | NotFetched


@dataclass(frozen=True)
class Fetcher:
    """Fetches versions of one workspace. Holds nothing between two calls, but what is left in `unfinished`."""

    root: Root
    offload: Offload
    clock: Clock
    entropy: Entropy
    keys: WorkspaceKeyring
    local: LocalChunks = field(default_factory=NothingKnown)
    limiter: Limiter = field(default_factory=Unlimited)
    unfinished: Unfinished | None = None
    """Where what is whole of a file stays when its source goes away; None: it is discarded."""
    near: Neighbours | None = None
    """Who is asked before, and together with, the source."""

    async def fetch(
        self, requests: Sequence[FetchRequest], source: BlockSource, *, progress: Progress | None = None
    ) -> list[FetchResult]:
        """Make a temporary file of each version; results in order.

        What is on this disk is copied, what occurs again is copied from its first place, only the rest is asked for,
        once. Temporary files of failed versions are removed, but for those whose source may come back, which are left
        in `unfinished` and gone on with by the next call; if this raises or is cancelled, all of them are.
        """
        run = _Run(self, requests, source, progress or Progress())
        try:
            await run.run()
        except BaseException:
            run.assembler.abandon()
            raise
        return run.results()


class _Run:
    """One call of `fetch`."""

    def __init__(
        self, fetcher: Fetcher, requests: Sequence[FetchRequest], source: BlockSource, progress: Progress
    ) -> None:
        self._by = fetcher
        self._requests = requests
        self._source = source
        self._progress = progress
        self._patience = Patience(fetcher.clock, fetcher.entropy)
        self._planned: set[ChunkId] = set()
        self._absent: dict[int, list[BlockId]] = {}
        self._failure: tuple[RefusalCode | None, str] | None = None
        self._may_pass = False
        self._short: set[int] = set()
        """Files that lack something which is not to be had now."""
        begun = {} if fetcher.unfinished is None else fetcher.unfinished.take(requests)
        self.assembler = Assembler(fetcher.root, fetcher.keys, requests, begun)
        self._early: set[tuple[int, int]] = set()
        self._is_alone = True
        progress.files_total += len(requests)
        progress.bytes_total += sum(request.size for request in requests)

    async def run(self) -> None:
        unfinished = self._by.unfinished
        self._planned |= await self._by.offload.run(self.assembler.begin, unfinished)
        self._progress.bytes_total -= sum(state.whole_bytes for state in self.assembler.files)
        near = self._by.near
        if near is None:
            await self._run_windows()
        else:
            with near.lend(self.assembler):
                await self._run_windows()
        await self._by.offload.run(self.assembler.finish, unfinished if self._may_pass else None)

    async def _run_windows(self) -> None:
        for window in self._windows():
            if self._failure is None:
                await self._ask_around()
            steps, places = await self._plan(window)
            holes = await self._assemble(steps, places)
            if holes and self._failure is None:
                await self._fill(holes)

    # --- from neighbours, in any order ------------------------------------------------------------------

    async def _ask_around(self) -> None:
        """Ask neighbours for all that is missing, in the beginning, or once there are some."""
        near = self._by.near
        if self._is_alone and near is not None and near.is_anybody_there:
            self._is_alone = False
            await self._fetch_near(near)

    async def _fetch_near(self, near: Neighbours) -> None:
        """Have what neighbours can deliver written where it belongs; what is still missing then is fetched in order.

        Long versions are fetched each by itself, so that several takers share the work; the chunks of all others
        together.
        """
        scattered: list[tuple[int, ChunkRef, int]] = []
        claimed: set[ChunkId] = set()
        for index, request in enumerate(self._requests):
            refs, offsets = _distinct(request.manifest)
            wanted = await self._not_here(refs, claimed)
            claimed.update(refs[at].chunk for at in wanted)
            if sum(refs[at].length for at in wanted) <= SCATTERED_BYTES:
                scattered += ((index, refs[at], offsets[at]) for at in wanted)
            elif len(refs) <= limits.CHANGE_BLOCKS:
                pieces = [Piece(ref.chunk, ref.length) for ref in refs]
                keep = partial(self._keep_early, [index], [(index, *one) for one in zip(refs, offsets, strict=True)])
                await near.fetch(request.version, pieces, wanted, keep, self._beyond(refs))
        if scattered:
            named = [(self._requests[index].version, Piece(ref.chunk, ref.length)) for index, ref, _ in scattered]
            beyond = self._beyond([ref for _, ref, _ in scattered])
            files = list({index: None for index, _, _ in scattered})
            await near.fetch_scattered(named, partial(self._keep_early, files, scattered), beyond)

    async def _not_here(self, refs: Sequence[ChunkRef], claimed: set[ChunkId]) -> list[int]:
        """Which of a version's distinct chunks are neither at hand nor about to come."""
        new = [ref.chunk for ref in refs if ref.chunk not in self._planned and ref.chunk not in claimed]
        at_hand = await self._by.local.locate(new) if new else {}
        lacking = set(new).difference(at_hand)
        return [at for at, ref in enumerate(refs) if ref.chunk in lacking]

    def _beyond(self, refs: Sequence[ChunkRef]) -> BlocksBeyond:
        return BlocksBeyond(self._source, refs, self._by.keys, self._by.offload, self._by.limiter)

    async def _keep_early(
        self,
        files: Sequence[int],
        places: Sequence[tuple[int, ChunkRef, int]],
        came: Sequence[tuple[int, bytes | memoryview]],
    ) -> Sequence[bool] | None:
        """See `Keep`; `places` are the chunks, with a place in one of `files`, that the numbers of what came stand
        for."""
        items = [Placed(places[at][0], places[at][2], places[at][1], data) for at, data in came]
        right = await self._by.offload.run(self.assembler.place, items)
        for one, is_right in zip(items, right, strict=True):
            if is_right and one.ref.chunk not in self._planned and self.assembler.has(one.ref.chunk):
                self._planned.add(one.ref.chunk)
                self._early.add((one.file, one.offset))
                self._progress.bytes_done += one.ref.length
        is_over = all(self.assembler.files[index].problem is not None for index in files)
        return None if is_over else right

    # --- from the source, in order ----------------------------------------------------------------------

    def results(self) -> list[FetchResult]:
        return [self._result(index) for index in range(len(self._requests))]

    def _windows(self) -> Iterator[list[Step]]:
        """The files' chunks in order, as many at a time as one question may name."""
        window: list[Step] = []
        size = 0
        for index, request in enumerate(self._requests):
            state = self.assembler.files[index]
            refs = request.manifest.chunks
            if sum(ref.length for ref in refs) != request.size:
                state.problem = ("bad_change", "the chunks' lengths do not add up to the file's size")
                continue
            offset = state.whole_bytes
            for ref in refs[state.chunks :]:
                if state.problem is not None:
                    break
                window.append(Step(index, offset, ref, fetched=False))
                offset += ref.length
                size += ref.length
                if size >= WINDOW_BYTES or len(window) == limits.GET_BLOCKS:
                    yield window
                    window, size = [], 0
        if window:
            yield window

    async def _plan(self, window: Sequence[Step]) -> tuple[list[Step], dict[ChunkId, Place]]:
        """Decide for each chunk whether it is at hand or has to be asked for."""
        new = list({step.ref.chunk: None for step in window if step.ref.chunk not in self._planned})
        places = dict(await self._by.local.locate(new)) if new else {}
        steps: list[Step] = []
        for step in window:
            chunk = step.ref.chunk
            fetched = chunk not in self._planned and chunk not in places
            self._planned.add(chunk)
            steps.append(step._replace(fetched=True) if fetched else step)
        return steps, places

    async def _assemble(self, steps: Sequence[Step], places: dict[ChunkId, Place]) -> list[Hole]:
        """Carry out a window's steps; what could not be filled. Where the source gave out, less is done."""
        fetched = [step.ref for step in steps if step.fetched] if self._failure is None else []
        holes: list[Hole] = []
        at = 0

        async def advance(opened: list[Opened], stop: int) -> None:
            nonlocal at
            part = steps[at:stop]
            at = stop
            found = await self._by.offload.run(self.assembler.advance, part, opened, places)
            opened.clear()
            holes.extend(found.holes)
            self._accuse(found.wrong)
            self._progress.bytes_done += sum(
                step.ref.length for step in part if (step.file, step.offset) not in self._early
            )
            self._progress.files_done += sum(1 for step in part if self._is_last(step))

        if fetched:
            async with trio.open_nursery() as nursery:
                # No buffers: reception waits while a batch is opened, and that while one is written.
                to_open, groups = trio.open_memory_channel[list[Received]](0)
                to_write, chunks = trio.open_memory_channel[list[Opened]](0)
                nursery.start_soon(self._collect, fetched, to_open)
                nursery.start_soon(self._open, fetched, groups, to_write)
                async for opened in chunks:
                    await advance(opened, _after(steps, at, len(opened)))
        if self._failure is not None:
            # Files that lack nothing are not held up by the others.
            short = {step.file for step in steps[at:] if step.fetched} - self._short
            self._short |= short
            self.assembler.lack(short)
            steps = [*steps[:at], *(step for step in steps[at:] if step.file not in self._short)]
        if at < len(steps):
            await advance([], len(steps))
        return holes

    async def _open(
        self,
        refs: Sequence[ChunkRef],
        groups: trio.MemoryReceiveChannel[list[Received]],
        to_write: trio.MemorySendChannel[list[Opened]],
    ) -> None:
        at = 0
        async with to_write:
            async for group in groups:
                items = list(zip(refs[at : at + len(group)], group, strict=True))
                at += len(group)
                group.clear()
                opened = await self._by.offload.run(open_blocks, self._by.keys, items)
                del items
                await to_write.send(opened)

    async def _collect(self, wanted: Sequence[ChunkRef], send: trio.MemorySendChannel[list[Received]]) -> None:
        """Ask until every block has come or is said to be absent, or there is no use. Groups are in the order asked."""
        done = 0
        async with send:
            while done < len(wanted):
                part = wanted[done:]
                refusal: Refusal | None = None
                received = 0
                try:
                    async with self._source.fetch([ref.block for ref in part]) as frames:
                        if isinstance(frames, Refusal):
                            refusal = frames
                        else:
                            async with aclosing(self._groups(part, frames)) as groups:
                                async for group in groups:
                                    received += len(group)
                                    await send.send(group)
                except SourceCut:
                    pass
                done += received
                if received:
                    self._patience.progressed()
                if done < len(wanted) and not await self._may_ask_again(refusal):
                    return

    async def _groups(
        self, asked: Sequence[ChunkRef], batches: AsyncIterator[Sequence[Frame]]
    ) -> AsyncGenerator[list[Received], None]:
        """What came, in portions worth a hop to a thread; after a cut the last portion, then the end.

        A portion is measured by what it will be when opened: a block may hold a thousand times its size.
        """
        group: list[Received] = []
        size = at = 0
        try:
            async for batch in batches:
                arrived = sum(len(frame.data) for frame in batch)
                self._source.count(arrived + HEAD_BYTES * len(batch))
                await self._by.limiter.take(arrived)
                for frame in batch:
                    if at == len(asked) or frame.block != asked[at].block:
                        raise SourceCut("blocks came in another order")
                    group.append(Received(frame.block, frame.data if frame.kind is FrameKind.BLOCK else None))
                    size += max(asked[at].length, len(frame.data))
                    at += 1
                    if size >= GROUP_BYTES or len(group) == GROUP_BLOCKS:
                        yield group
                        group, size = [], 0
        except SourceCut:
            pass  # whoever collects sees that some are missing
        if group:
            yield group

    async def _may_ask_again(self, refusal: Refusal | None) -> bool:
        if refusal is None:
            again = await self._patience.again()
        else:
            again = is_passing(refusal) and await self._patience.again(refusal.retry_after_ms / 1000)
        if not again:
            self._may_pass = refusal is None or is_passing(refusal)
            self._failure = (None, "the connection was cut") if refusal is None else (refusal.code, refusal.message)
        return again

    async def _fill(self, holes: list[Hole]) -> None:
        """Ask once more for what came out wrong, and for what should have been at hand and was not."""
        for _ in range(_ROUNDS):
            await self._give_up([hole for hole in holes if hole.absent])
            by_block: dict[BlockId, list[Step]] = {}
            for hole in holes:
                if not hole.absent and self.assembler.files[hole.step.file].problem is None:
                    by_block.setdefault(hole.step.ref.block, []).append(hole.step)
            if not by_block:
                return
            holes = await self._fill_once(by_block)
            if self._failure is not None:
                return
        await self._give_up(holes)

    async def _fill_once(self, by_block: dict[BlockId, list[Step]]) -> list[Hole]:
        holes: list[Hole] = []
        async with trio.open_nursery() as nursery:
            send, groups = trio.open_memory_channel[list[Received]](0)
            nursery.start_soon(self._collect, [steps[0].ref for steps in by_block.values()], send)
            async for group in groups:
                steps = [step for received in group for step in by_block[received.block]]
                found = await self._by.offload.run(self.assembler.fill, steps, group)
                holes += found.holes
                self._accuse(found.wrong)
        return holes

    async def _give_up(self, holes: Sequence[Hole]) -> None:
        if not holes:
            return
        problems: list[tuple[int, str, str]] = []
        for step, absent in holes:
            if absent:
                self._absent.setdefault(step.file, []).append(step.ref.block)
            code = "waiting_for_blocks" if absent else "damaged_block"
            problems.append((step.file, code, f"block {step.ref.block.hex()}"))
        await self._by.offload.run(self.assembler.give_up, problems)

    def _accuse(self, wrong: Sequence[BlockId]) -> None:
        for block in wrong:
            self._source.accuse(block)

    def _is_last(self, step: Step) -> bool:
        return step.offset + step.ref.length == self._requests[step.file].size

    def _result(self, index: int) -> FetchResult:
        request, state = self._requests[index], self.assembler.files[index]
        if state.done:
            return Fetched(request, state.temp)
        if state.problem is None:
            assert self._failure is not None
            return NotFetched(request, *self._failure)
        code, message = state.problem
        if code == "waiting_for_blocks":
            return Missing(request, tuple(dict.fromkeys(self._absent[index])))
        return (
            Bad(request, code, message)
            if code in ("damaged_block", "bad_change")
            else NotWritten(request, code, message)
        )


def _distinct(manifest: FlatManifest) -> tuple[list[ChunkRef], list[int]]:
    """The distinct chunks of a version as the LAN protocol counts them, with their first offsets."""
    refs: list[ChunkRef] = []
    offsets: list[int] = []
    seen: set[ChunkId] = set()
    offset = 0
    for ref in manifest.chunks:
        if ref.chunk not in seen:
            seen.add(ref.chunk)
            refs.append(ref)
            offsets.append(offset)
        offset += ref.length
    return refs, offsets


def _after(steps: Sequence[Step], start: int, blocks: int) -> int:
    """Where the steps end that can be taken with so many more blocks: at the next one that needs another."""
    at = start
    while at < len(steps):
        if steps[at].fetched:
            if blocks == 0:
                break
            blocks -= 1
        at += 1
    return at
