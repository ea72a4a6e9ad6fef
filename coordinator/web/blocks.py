"""Block streams as a raw ASGI application: uploads and downloads of any length in flat memory.

Owns the streams, their batches and bounds; permission is `service.blocks`', files are the `BlockStore`'s. Beside
Quart, which collects bodies. Every batch of an upload is durable once recorded, whatever becomes of the rest.
"""

import errno
import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

import trio
from blake3 import blake3

from coordinator.connection import ConnectionGone
from coordinator.ports import BlockPlace, BlockStore, Offload, StorageUnavailable
from coordinator.service import blocks
from coordinator.service.blocks import Uploaded
from coordinator.service.context import Context, Session
from coordinator.service.offers import lease_ms
from coordinator.web.limits import Rates, RequestLimits
from coordinator.web.replies import Receive, Send, send_answer, storage_refusal
from protocol import limits
from protocol.codec import Malformed, decode
from protocol.frames import BadFrame, Frame, FrameKind, FrameReader, absent_frame, block_head, end_frame
from protocol.ids import BlockId, DeviceId, WorkspaceId
from protocol.messages import BlocksRequest, Refusal, RefusalCode, Stored

logger = logging.getLogger("coordinator.blocks")

ASK_BYTES: Final = 64 * limits.GET_BLOCKS
"""Longest `BlocksRequest`."""
_LOCATED: Final = 256
"""Blocks of a download whose permission and place are looked up at a time."""
_READ_BYTES: Final = limits.MIB
"""Blocks of a download are read together up to about this size."""
_SMALLEST_BATCH: Final = limits.MIB
_RETRY_MS: Final = 1_000
_SETTLE_S: Final = 2.0
"""So long a question about blocks waits for uploads that its asker may just have lost."""
_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


class _Gone(Exception):
    """The other end went away."""


@dataclass(eq=False)
class _Upload:
    """How far an upload has come. `refusal` ends it."""

    session: Session
    workspace: WorkspaceId
    reading: trio.CancelScope = field(default_factory=trio.CancelScope)
    blocks: int = 0
    new: int = 0
    refusal: Refusal | None = None
    ended: trio.Event = field(default_factory=trio.Event)

    def refuse(self, refusal: Refusal) -> None:
        if self.refusal is None:
            self.refusal = refusal
        self.reading.cancel()


class BlockStreams:
    """Uploads and downloads of one process."""

    def __init__(self, context: Context, store: BlockStore, offload: Offload, bounds: RequestLimits) -> None:
        self._context = context
        self._store = store
        self._offload = offload
        self._bounds = bounds
        self._bytes: Rates[DeviceId] = Rates(bounds.bytes_rate, bounds.bytes_burst)
        self._uploads = _Slots(bounds)
        self._running: set[_Upload] = set()
        self._downloads = _Slots(bounds)

    # --- uploads -----------------------------------------------------------------------------------------

    async def upload(self, session: Session, workspace: WorkspaceId, receive: Receive, send: Send) -> None:
        """Take a body of frames. Answers `Stored` or a refusal; blocks stored before a refusal stay stored."""
        upload = _Upload(session, workspace)
        self._running.add(upload)
        try:
            answer = await self._admit(upload, receive)
        except _Gone:
            logger.info("upload cut", extra={"device": session.device.hex(), "blocks": upload.blocks})
            return
        finally:
            self._running.discard(upload)
            upload.ended.set()
        await send_answer(send, answer)

    async def _admit(self, upload: _Upload, receive: Receive) -> Stored | Refusal:
        allowed = await blocks.stored_already(self._context, upload.session, upload.workspace, ())
        if isinstance(allowed, Refusal):
            return allowed
        async with self._uploads.one(upload.session.device) as free:
            if not free:
                return _busy()
            await self._run(upload, receive)
        return upload.refusal or Stored(upload.blocks, upload.new)

    async def settle(self, session: Session, workspace: WorkspaceId) -> None:
        """Wait until uploads of this device to this workspace that were cut are stored as far as they came.

        Whoever lost a connection asks at once over the next one what is there; an answer that does not count what the
        lost one still brings would have it sent again. Uploads that go on are waited for too, but not for long.
        """
        with trio.move_on_after(_SETTLE_S):
            for upload in tuple(self._running):
                if upload.session.device == session.device and upload.workspace == workspace:
                    await upload.ended.wait()

    async def _run(self, upload: _Upload, receive: Receive) -> None:
        # Capacity 0: one batch is stored while the next one arrives, and no more than that is held.
        to_store, batches = trio.open_memory_channel[list[Frame]](0)
        gone = False
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._store_all, upload, batches)
            async with to_store:
                with upload.reading:
                    try:
                        await self._read_all(upload, receive, to_store)
                    except _Gone:
                        gone = True
                    except trio.BrokenResourceError:
                        pass  # storing has ended with a refusal
        if gone:
            raise _Gone

    async def _read_all(self, upload: _Upload, receive: Receive, to_store: trio.MemorySendChannel[list[Frame]]) -> None:
        reader = FrameReader()
        batch: list[Frame] = []
        size = 0
        refusal: Refusal | None = None
        gone: _Gone | None = None
        try:
            async for data in self._bodies(upload, receive):
                for frame in reader.receive(data):
                    if frame.kind is FrameKind.ABSENT:
                        raise BadFrame("an upload has no absent blocks")
                    if frame.kind is FrameKind.BLOCK:
                        batch.append(frame)
                        size += len(frame.data)
                if size >= self._batch_bytes() or len(batch) >= limits.HAVE_BLOCKS:
                    await to_store.send(batch)
                    batch, size = [], 0
            if not reader.ended:
                raise BadFrame("the stream was cut")
        except BadFrame as error:
            refusal = Refusal(RefusalCode.MALFORMED, str(error))
        except _Gone as error:
            gone = error
        if batch:
            await to_store.send(batch)
        if gone is not None:
            raise gone
        if refusal is not None:
            # What came before is stored first; `refuse` would end that.
            upload.refusal = upload.refusal or refusal

    async def _bodies(self, upload: _Upload, receive: Receive) -> AsyncIterator[bytes]:
        """The body's pieces, at the pace this device may have. Raises `_Gone`."""
        device = upload.session.device
        total, waited_s = 0, 0.0
        while True:
            since = trio.current_time()
            event = await receive()
            if event["type"] != "http.request":
                raise _Gone
            waited_s += trio.current_time() - since
            data: bytes = event.get("body", b"")
            total += len(data)
            if waited_s > self._bounds.slowest_grace_s and total < waited_s * self._bounds.slowest_rate:
                raise BadFrame("the upload is too slow")
            if data:
                self._context.leases.renew(upload.workspace, device, lease_ms(self._context))
                await self._bytes.pace(device, len(data))
                yield data
            if not event.get("more_body", False):
                return

    def _batch_bytes(self) -> int:
        share = 2 * self._bounds.batch_bytes // max(1, self._uploads.active)
        return max(_SMALLEST_BATCH, min(self._bounds.batch_bytes, share))

    async def _store_all(self, upload: _Upload, batches: trio.MemoryReceiveChannel[list[Frame]]) -> None:
        async with batches:
            async for batch in batches:
                try:
                    refusal = await self._store_batch(upload, batch)
                except StorageUnavailable as error:
                    logger.warning("an upload could not be recorded: %s", error)
                    refusal = storage_refusal(error)
                except OSError as error:
                    logger.warning("an upload could not be stored: %s", error)
                    refusal = storage_refusal(StorageUnavailable(str(error), full=error.errno in _FULL))
                if refusal is not None:
                    upload.refuse(refusal)
                    return

    async def _store_batch(self, upload: _Upload, batch: list[Frame]) -> Refusal | None:
        good = await self._offload.run(lambda: _verified(batch))
        held = {frame.block: frame.data for frame in batch[:good]}
        context, session, workspace = self._context, upload.session, upload.workspace
        stored = await blocks.stored_already(context, session, workspace, tuple(held))
        if isinstance(stored, Refusal):
            return stored
        fresh = [(block, data) for block, data in held.items() if block not in stored]
        places = dict(zip((block for block, _ in fresh), await self._store.put_batch(fresh), strict=True))
        sent = [Uploaded(block, len(data), places.get(block)) for block, data in held.items()]
        answer = await blocks.record_upload(context, session, workspace, sent)
        if isinstance(answer, Refusal):
            return answer
        upload.blocks += answer.blocks
        upload.new += answer.new
        if good < len(batch):
            return Refusal(RefusalCode.MALFORMED, "a block is not what its id says")
        return None

    # --- downloads ---------------------------------------------------------------------------------------

    async def download(self, session: Session, receive: Receive, send: Send) -> None:
        """Answer a `BlocksRequest` with frames in the order asked. Permission is looked up as the stream goes on.

        Where it is lost half way the stream ends without its last frame.
        """
        async with self._downloads.one(session.device) as free:
            if not free:
                await send_answer(send, _busy())
                return
            body = await _read_small(receive)
            try:
                request = decode(BlocksRequest, body, ASK_BYTES)
            except Malformed as error:
                await send_answer(send, Refusal(RefusalCode.MALFORMED, str(error)[:500]))
                return
            await self._send_blocks(session, request, send)

    async def _send_blocks(self, session: Session, request: BlocksRequest, send: Send) -> None:
        started = False
        for at in range(0, max(1, len(request.blocks)), _LOCATED):
            part = BlocksRequest(request.workspace, request.blocks[at : at + _LOCATED])
            places = await blocks.locate(self._context, session, part)
            if isinstance(places, Refusal):
                if not started:
                    await send_answer(send, places)
                    return
                raise ConnectionGone("permission was lost while blocks were sent")
            if not started:
                headers = [(b"content-type", b"application/octet-stream"), (b"cache-control", b"no-store")]
                await send({"type": "http.response.start", "status": 200, "headers": headers})
                started = True
            for group in _groups(part.blocks, places):
                if self._context.tokens.is_dropped(session.device):
                    raise ConnectionGone("the device was revoked while blocks were sent")
                await send({"type": "http.response.body", "body": await self._frames(group), "more_body": True})
        await send({"type": "http.response.body", "body": end_frame(len(request.blocks)), "more_body": False})

    async def _frames(self, group: list[tuple[BlockId, BlockPlace | None]]) -> bytes:
        held = [(block, place) for block, place in group if place is not None]
        found = dict(zip((block for block, _ in held), await self._store.get(held), strict=True))
        damaged = [block for block, data in found.items() if data is None]
        if damaged:
            logger.warning("damaged blocks", extra={"blocks": [block.hex() for block in damaged]})
            await blocks.mark_damaged(self._context, damaged)
        parts: list[bytes] = []
        for block, _ in group:
            data = found.get(block)
            parts += [absent_frame(block)] if data is None else [block_head(block, len(data)), data]
        return b"".join(parts)


class _Slots:
    """Streams in progress: a few of each device, more in all; who comes too many waits a while."""

    def __init__(self, bounds: RequestLimits) -> None:
        self._bounds = bounds
        self._all = trio.Semaphore(bounds.streams)
        self._of_device: dict[DeviceId, tuple[trio.Semaphore, list[None]]] = {}
        """With each device's own, one item for each of its streams that runs or waits."""
        self.active = 0

    @asynccontextmanager
    async def one(self, device: DeviceId) -> AsyncIterator[bool]:
        """Gives False where there was no room for too long."""
        own, users = self._of_device.setdefault(device, (trio.Semaphore(self._bounds.device_streams), []))
        users.append(None)
        try:
            async with AsyncExitStack() as stack:
                with trio.move_on_after(self._bounds.stream_wait_s) as waiting:
                    for semaphore in (own, self._all):
                        await semaphore.acquire()
                        stack.callback(semaphore.release)
                free = not waiting.cancelled_caught
                self.active += free
                try:
                    yield free
                finally:
                    self.active -= free
        finally:
            users.pop()
            if not users:
                del self._of_device[device]


def _verified(batch: list[Frame]) -> int:
    """How many of the first blocks are what their ids say."""
    for at, frame in enumerate(batch):
        if blake3(frame.data).digest() != frame.block:
            return at
    return len(batch)


def _groups(
    asked: tuple[BlockId, ...], places: tuple[BlockPlace | None, ...]
) -> list[list[tuple[BlockId, BlockPlace | None]]]:
    """What is read and sent together, in order: one block at least."""
    groups: list[list[tuple[BlockId, BlockPlace | None]]] = []
    room = 0
    for block, place in zip(asked, places, strict=True):
        size = place.length if place is not None else 0
        if not groups or size > room:
            groups.append([])
            room = _READ_BYTES
        groups[-1].append((block, place))
        room -= size
    return groups


async def _read_small(receive: Receive) -> bytes:
    body = bytearray()
    while True:
        event = await receive()
        if event["type"] != "http.request":
            return b""
        body += event.get("body", b"")
        if not event.get("more_body", False) or len(body) > ASK_BYTES:
            return bytes(body)


def _busy() -> Refusal:
    return Refusal(RefusalCode.RATE_LIMITED, "too many block streams at once", _RETRY_MS)
