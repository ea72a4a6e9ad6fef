"""The daemon's end of the control socket. Owns the socket, who may use it, and the lines on it; `answers` decides."""

import logging
import os
import socket
import struct
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Final

import msgspec
import trio

from peer.control.messages import AnyReply, AnyRequest, Failure, Reply

REQUEST_BYTES: Final = 64 * 1024
CONNECTIONS: Final = 64
_CREDENTIALS: Final = struct.Struct("3i")

_log = logging.getLogger("shoal.control")
_decoder = msgspec.json.Decoder(AnyRequest)
_encoder = msgspec.json.Encoder()

Answer = Callable[[AnyRequest], AsyncIterator[Reply]]


async def serve_control(
    path: Path, answer: Answer, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
) -> None:
    """Answer requests on the socket at `path` until cancelled. Only processes of this user (and root) are heard."""
    _make_way(path)
    listening = trio.socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        old = os.umask(0o177)
        try:
            await listening.bind(os.fspath(path))
        finally:
            os.umask(old)
        listening.listen(CONNECTIONS)
        task_status.started()
        listener = trio.SocketListener(listening)

        async def handle(stream: trio.SocketStream) -> None:
            await _handle(stream, answer)

        await trio.serve_listeners(handle, [listener])
    finally:
        listening.close()
        _make_way(path)


def _make_way(path: Path) -> None:
    """No socket of an earlier daemon is left; the home's lock says that there is no other."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.unlink(missing_ok=True)


async def _handle(stream: trio.SocketStream, answer: Answer) -> None:
    try:
        async with stream:
            if not _is_same_user(stream):
                return
            line = await _read_line(stream)
            if line is None:
                return
            try:
                request = _decoder.decode(line)
            except (msgspec.DecodeError, UnicodeDecodeError):
                await stream.send_all(_line(Failure(message="the daemon does not know this request: upgrade both")))
                return
            async with trio.open_nursery() as nursery:
                nursery.start_soon(_end_with_client, stream, nursery.cancel_scope)
                await _answer(stream, answer, request)
                nursery.cancel_scope.cancel()
    except* (trio.BrokenResourceError, trio.ClosedResourceError):
        pass


async def _answer(stream: trio.SocketStream, answer: Answer, request: AnyRequest) -> None:
    """Send the answers. One that fails by a bug is said and logged: the device goes on."""
    try:
        async for reply in answer(request):
            await stream.send_all(_line(reply))
    except (trio.BrokenResourceError, trio.ClosedResourceError):
        raise
    except Exception:  # noqa: BLE001 - a request of one command must not end the device
        _log.exception("a request of kind %s failed", type(request).__name__)
        await stream.send_all(_line(Failure(message="the daemon failed at this: see its log")))


async def _end_with_client(stream: trio.SocketStream, scope: trio.CancelScope) -> None:
    """Nothing more is expected from the client; when it goes, the answer need not be finished."""
    while await stream.receive_some(1024):
        pass
    scope.cancel()


async def _read_line(stream: trio.SocketStream) -> bytes | None:
    buffer = bytearray()
    with trio.move_on_after(10):
        while len(buffer) <= REQUEST_BYTES:
            data = await stream.receive_some(REQUEST_BYTES)
            if not data:
                return None
            buffer += data
            if b"\n" in buffer:
                return bytes(buffer.partition(b"\n")[0])
    return None


def _is_same_user(stream: trio.SocketStream) -> bool:
    packed = stream.socket.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    _, uid, _ = _CREDENTIALS.unpack(packed)
    return uid in (os.geteuid(), 0)


def _line(reply: "Reply | AnyReply") -> bytes:
    return _encoder.encode(reply) + b"\n"
