"""Blocks to the coordinator: bodies of frames, with back-pressure, that go on after a cut.

Owns how blocks are grouped into bodies and what is known of their fate. Keeps no block longer than until it is
handed to the connection: what a cut swallowed is named again by `settle`, with the place it was read from, and is
read and sealed once more by whoever can. So memory does not depend on how much is on its way, and a block that
arrived complete is not sent twice, since after a cut the coordinator is asked first.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import trio

from peer.transfer.counters import TransferCounters
from peer.transfer.limits import Limiter, slices
from peer.transfer.reading import Origin
from peer.transfer.sources import BlockSink, Patience, SourceCut, is_passing
from protocol import limits
from protocol.frames import block_head, end_frame
from protocol.ids import BlockId
from protocol.messages import Refusal, RefusalCode, Stored

BODY_BYTES: Final = limits.UPLOAD_BYTES - 8 * limits.MIB
"""A body ends with the piece that reaches this; a piece is shorter than the rest."""
BODY_BLOCKS: Final = limits.HAVE_BLOCKS // 2
BODIES: Final = 2
"""Bodies without an answer: while one is being made durable the next one is already sent."""
_PIECE_BYTES: Final = 256 * limits.KIB
_LARGE_BYTES: Final = 64 * limits.KIB


class Outgoing(NamedTuple):
    """A sealed block on its way, and where it was made from."""

    block: BlockId
    data: bytes
    origin: Origin


@dataclass(frozen=True, slots=True)
class UploadFailure:
    """Why an upload was given up; the refusal where there was one, else no answer was had."""

    refusal: RefusalCode | None
    message: str


@dataclass(slots=True)
class _Piece:
    data: tuple[bytes, ...]
    blocks: list[tuple[BlockId, Origin]]


@dataclass(slots=True)
class _Body:
    blocks: list[tuple[BlockId, Origin]] = field(default_factory=list)
    sent_bytes: int = 0
    complete: bool = False


class UploadSession:
    """One run of uploads. Made by `open_upload`; any number of tasks may `send`, one then calls `settle`."""

    def __init__(
        self, sink: BlockSink, patience: Patience, counters: TransferCounters, limiter: Limiter, resuming: bool
    ) -> None:
        self._sink = sink
        self._patience = patience
        self._counters = counters
        self._limiter = limiter
        self._resuming = resuming
        # No buffer: a sender waits until the connection takes what it has.
        self._to_body, self._next_piece = trio.open_memory_channel[_Piece | None](0)
        self._slots = trio.Semaphore(BODIES)
        self._bodies = 0
        self._settled = trio.lowlevel.ParkingLot()
        self._lost: list[tuple[BlockId, Origin]] = []
        self.failure: UploadFailure | None = None

    async def send(self, blocks: Sequence[Outgoing]) -> None:
        """Send blocks on; returns when the connection has taken them. Their fate is known after `settle`."""
        if self._resuming and self.failure is None:
            blocks = await self._unsent(blocks)
        for piece in _pieces_of(blocks):
            if self.failure is None:
                await self._to_body.send(piece)
            else:
                self._lost += piece.blocks

    async def settle(self) -> list[tuple[BlockId, Origin]]:
        """End the body and wait until each block sent so far is durable or known to be lost; returns the lost ones.

        They have to be made and sent again, unless `failure` is set: then there is no use.
        """
        await self._to_body.send(None)
        while self._bodies:
            await self._settled.park()
        lost, self._lost = self._lost, []
        return lost

    async def run(self) -> None:
        """Carry bodies until cancelled, or until the session is closed."""
        async with trio.open_nursery() as nursery:
            async for piece in self._next_piece:
                if piece is None:
                    continue
                if self.failure is not None:
                    self._lost += piece.blocks
                    continue
                self._bodies += 1
                await self._slots.acquire()
                ended = trio.Event()
                nursery.start_soon(self._carry, piece, ended)
                await ended.wait()

    def close(self) -> None:
        """Let `run` end."""
        self._to_body.close()

    async def _carry(self, first: _Piece, ended: trio.Event) -> None:
        body: _Body = _Body()
        answer: Stored | Refusal | None
        try:
            async with aclosing(self._body(first, body, ended)) as pieces:
                answer = await self._sink.upload(pieces)
        except SourceCut:
            answer = None
        finally:
            ended.set()
        if not body.blocks:  # refused before the first piece was asked for
            body.blocks = first.blocks
        if isinstance(answer, Stored) and body.complete and answer.blocks == len(body.blocks):
            self._patience.progressed()
        elif isinstance(answer, Refusal) and not is_passing(answer):
            self._fail(answer, body.blocks)
        else:
            await self._recover(body.blocks, answer if isinstance(answer, Refusal) else None)
        self._slots.release()
        self._bodies -= 1
        self._settled.unpark_all()

    async def _body(self, first: _Piece, body: _Body, ended: trio.Event) -> AsyncGenerator[bytes, None]:
        """The pieces of one body, ending with an `END` frame. `ended` says that it takes no further piece."""
        piece: _Piece | None = first
        while piece is not None:
            body.blocks += piece.blocks
            for whole in piece.data:
                for data in slices(whole, self._limiter):
                    body.sent_bytes += len(data)
                    await self._limiter.take(len(data))
                    self._counters.server_out += len(data)
                    yield data
            if body.sent_bytes >= BODY_BYTES or len(body.blocks) >= BODY_BLOCKS:
                break
            piece = None
            try:
                piece = await self._next_piece.receive()
            except trio.EndOfChannel:
                break
        body.complete = True
        ended.set()
        yield end_frame(len(body.blocks))

    async def _recover(self, blocks: list[tuple[BlockId, Origin]], refusal: Refusal | None) -> None:
        """After a cut: sort the body's blocks into stored and lost ones."""
        wait_s = refusal.retry_after_ms / 1000 if refusal is not None else 0.0
        if not await self._patience.again(wait_s):
            self._fail(refusal, blocks)
            return
        held = await self._ask([block for block, _ in blocks])
        if held is None:
            self._lost += blocks
            return
        if held:
            self._patience.progressed()
        self._lost += [pair for pair in blocks if pair[0] not in held]

    async def _unsent(self, blocks: Sequence[Outgoing]) -> Sequence[Outgoing]:
        held = await self._ask([block.block for block in blocks])
        return [block for block in blocks if block.block not in held] if held else blocks

    async def _ask(self, ids: list[BlockId]) -> set[BlockId] | None:
        """Which of these are stored; None, and `failure` is set, where there was no answer."""
        held: set[BlockId] = set()
        at = 0
        while at < len(ids):
            answer: frozenset[BlockId] | Refusal | None = None
            try:
                answer = await self._sink.have(ids[at : at + limits.HAVE_BLOCKS])
            except SourceCut:
                answer = None
            if isinstance(answer, frozenset):
                held |= answer
                at += limits.HAVE_BLOCKS
                continue
            wait_s = answer.retry_after_ms / 1000 if answer is not None else 0.0
            if (answer is not None and not is_passing(answer)) or not await self._patience.again(wait_s):
                self._fail(answer, [])
                return None
        return held

    def _fail(self, refusal: Refusal | None, blocks: list[tuple[BlockId, Origin]]) -> None:
        self._lost += blocks
        if self.failure is None:
            self.failure = (
                UploadFailure(refusal.code, refusal.message)
                if refusal is not None
                else UploadFailure(None, "the connection was cut")
            )


@asynccontextmanager
async def open_upload(
    sink: BlockSink, patience: Patience, counters: TransferCounters, limiter: Limiter, resuming: bool
) -> AsyncIterator[UploadSession]:
    """A session for the length of the body; call `settle` before it ends.

    With `resuming` the coordinator is asked about every batch before it is sent: for the run after a start, which
    may repeat one that was killed half-way.
    """
    session: UploadSession = UploadSession(sink, patience, counters, limiter, resuming)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(session.run)
        try:
            yield session
        finally:
            session.close()


def _pieces_of(blocks: Sequence[Outgoing]) -> Iterator[_Piece]:
    """Frames of small blocks joined, so that a piece is worth a system call; large blocks are not copied."""
    parts: list[bytes] = []
    names: list[tuple[BlockId, Origin]] = []
    size = 0
    for block, data, origin in blocks:
        names.append((block, origin))
        parts.append(block_head(block, len(data)))
        if len(data) >= _LARGE_BYTES:
            yield _Piece((b"".join(parts), data), names)
            parts, names, size = [], [], 0
            continue
        parts.append(data)
        size += len(data)
        if size >= _PIECE_BYTES:
            yield _Piece((b"".join(parts),), names)
            parts, names, size = [], [], 0
    if names:
        yield _Piece((b"".join(parts),), names)
