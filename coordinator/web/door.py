"""The first thing a request meets: who asks, how often, how much; then the API, the block streams or the socket.

Owns authentication by bearer token, rates, sizes and the access log, all before a body is read. Never decodes one.
"""

import logging
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, Final

import trio

from coordinator import logs
from coordinator.connection import PROVE, Application, ConnectionGone
from coordinator.ports import StorageUnavailable
from coordinator.service import endpoints, sessions
from coordinator.service.context import Context, Session
from coordinator.web.api import SESSION, TOKEN
from coordinator.web.blocks import BlockStreams
from coordinator.web.limits import Budget, Counts, Rates, RequestLimits
from coordinator.web.replies import Receive, Send, send_answer, storage_refusal
from protocol import limits
from protocol.ids import DeviceId, WorkspaceId
from protocol.messages import DOWNLOAD_PATH, ENDPOINTS, NOTIFY_PATH, Refusal, RefusalCode

logger = logging.getLogger("coordinator.access")

_SMALL_BYTES: Final = 256 * limits.KIB
_LARGE: Final = {
    "/v1/commit": limits.REQUEST_BYTES,
    "/v1/handback": limits.REQUEST_BYTES,
    "/v1/pairing/offer": limits.BUNDLE_BYTES + limits.MIB,
    "/v1/have": limits.MIB,
    "/v1/poll": limits.MIB,
    "/v1/keys": 4 * limits.MIB,
}
"""Longest bodies; all others are small."""
_DECODED: Final = 3
"""A body, decoded, with what is made of it, takes about so many times its size."""
_BUDGET_WAIT_S: Final = 20.0
_STRANGERS: Final = frozenset(endpoints.OPEN) | {"/health"}


class _Reply:
    """Watches what is sent: for the access log, and to know whether a response has begun."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.status = 0
        self.size = 0

    async def send(self, message: Any) -> None:
        if "status" in message:
            self.status = message["status"]
        elif message["type"] == "websocket.accept":
            self.status = 101
        self.size += len(message.get("body") or b"")
        await self._send(message)


class Door:
    """The ASGI application of the whole coordinator."""

    def __init__(self, context: Context, api: Application, streams: BlockStreams, bounds: RequestLimits) -> None:
        self._context = context
        self._api = api
        self._streams = streams
        self._devices: Rates[DeviceId] = Rates(bounds.device_rate, bounds.device_burst)
        self._strangers: Rates[str] = Rates(bounds.stranger_rate, bounds.stranger_burst)
        self._in_progress: Counts[DeviceId] = Counts(bounds.device_requests)
        self._bodies = Budget(bounds.buffered_bytes)

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        """Serve one request or socket."""
        if scope["type"] not in ("http", "websocket"):
            return
        reply = _Reply(send)
        logs.request_id.set(secrets.token_hex(6))
        since = trio.current_time()
        try:
            if scope["type"] == "websocket":
                await self._socket(scope, receive, reply.send)
            else:
                await self._request(scope, receive, reply)
        finally:
            self._log(scope, reply, trio.current_time() - since)

    def _log(self, scope: Any, reply: _Reply, seconds: float) -> None:
        path: str = scope["path"]
        stream = path.startswith(DOWNLOAD_PATH)
        level = logging.INFO if stream or not 100 <= reply.status < 400 else logging.DEBUG
        if not logger.isEnabledFor(level):
            return
        known = path in ENDPOINTS or path in _STRANGERS or path == NOTIFY_PATH or stream
        session: Session | None = scope["state"].get(SESSION)
        logger.log(
            level,
            "%s %s %s",
            scope.get("method", "SOCKET"),
            path[:100] if known else "(no such path)",
            reply.status or "cut",
            extra={
                "ms": round(seconds * 1000),
                "sent_bytes": reply.size,
                "address": _address(scope),
                "device": session.device.hex() if session else None,
            },
        )

    # --- sockets -----------------------------------------------------------------------------------------

    async def _socket(self, scope: Any, receive: Receive, send: Send) -> None:
        refused = self._enter(scope) if scope["path"] == NOTIFY_PATH else Refusal(RefusalCode.NOT_FOUND, "no such path")
        if refused is not None:
            await receive()
            await send_answer(send, refused, kind="websocket.http.response")
            return
        await self._api(scope, receive, send)

    # --- requests ----------------------------------------------------------------------------------------

    async def _request(self, scope: Any, receive: Receive, reply: _Reply) -> None:
        path: str = scope["path"]
        if path in _STRANGERS or not (path in ENDPOINTS or path == NOTIFY_PATH or path.startswith(DOWNLOAD_PATH)):
            refused = self._admit_stranger(scope)
        else:
            refused = self._enter(scope)
        if refused is None and path == NOTIFY_PATH:
            refused = Refusal(RefusalCode.MALFORMED, "this is a WebSocket, but no upgrade arrived; there is /v1/poll")
        if refused is not None:
            await send_answer(reply.send, refused)
            return
        session: Session | None = scope["state"].get(SESSION)
        if session is None:
            await self._ordinary(scope, receive, reply)
            return
        with self._in_progress.one(session.device) as free:
            if not free:
                await send_answer(reply.send, Refusal(RefusalCode.RATE_LIMITED, "too many requests at once", 500))
            elif path.startswith(DOWNLOAD_PATH):
                await self._stream(session, scope, receive, reply)
            else:
                await self._ordinary(scope, receive, reply)

    async def _ordinary(self, scope: Any, receive: Receive, reply: _Reply) -> None:
        longest = _LARGE.get(scope["path"], _SMALL_BYTES)
        length = _content_length(scope)
        if scope["method"] == "POST" and length is None:
            await send_answer(reply.send, Refusal(RefusalCode.MALFORMED, "a request says its length"))
            return
        if length is not None and length > longest:
            await send_answer(reply.send, Refusal(RefusalCode.TOO_LARGE, f"at most {longest} bytes go here"))
            return
        async with self._room(length or 0) as free:
            if free:
                await self._api(scope, receive, reply.send)
            else:
                await send_answer(reply.send, Refusal(RefusalCode.UNAVAILABLE, "the server is busy", 1_000))

    @asynccontextmanager
    async def _room(self, length: int) -> AsyncIterator[bool]:
        if length <= _SMALL_BYTES:
            yield True
            return
        with trio.CancelScope(deadline=trio.current_time() + _BUDGET_WAIT_S) as waiting:
            async with self._bodies.part(_DECODED * length):
                waiting.deadline = float("inf")
                yield True
                return
        yield False

    async def _stream(self, session: Session, scope: Any, receive: Receive, reply: _Reply) -> None:
        work = self._stream_work(session, scope, receive, reply)
        if isinstance(work, Refusal):
            await send_answer(reply.send, work)
            return
        try:
            await work()
        except StorageUnavailable as error:
            logger.warning("the storage failed: %s", error)
            if reply.status:
                raise ConnectionGone("the storage failed while blocks were sent") from None
            await send_answer(reply.send, storage_refusal(error))

    def _stream_work(
        self, session: Session, scope: Any, receive: Receive, reply: _Reply
    ) -> Callable[[], Any] | Refusal:
        path: str = scope["path"]
        if scope["method"] != "POST":
            return Refusal(RefusalCode.MALFORMED, "wrong method")
        if path == DOWNLOAD_PATH:
            return lambda: self._streams.download(session, receive, reply.send)
        workspace = _workspace(path[len(DOWNLOAD_PATH) :])
        if workspace is None:
            return Refusal(RefusalCode.NOT_FOUND, "no such path")
        return lambda: self._streams.upload(session, workspace, receive, reply.send)

    # --- who asks ----------------------------------------------------------------------------------------

    def _admit_stranger(self, scope: Any) -> Refusal | None:
        return _too_often(self._strangers.take(_address(scope)))

    def _enter(self, scope: Any) -> Refusal | None:
        """Find out whose token it is, and note it in the scope."""
        token = _token(scope)
        session = (
            Refusal(RefusalCode.UNAUTHENTICATED, "sign in first")
            if token is None
            else sessions.authenticate(self._context, token)
        )
        if isinstance(session, Refusal):
            return self._admit_stranger(scope) or session
        prove = scope["state"].get(PROVE)
        if prove is not None:
            prove()
        scope["state"][SESSION] = session
        scope["state"][TOKEN] = token
        return _too_often(self._devices.take(session.device))


def _too_often(seconds: float) -> Refusal | None:
    if not seconds:
        return None
    return Refusal(RefusalCode.RATE_LIMITED, "too many requests", max(1, int(seconds * 1000)))


def _address(scope: Any) -> str:
    client = scope.get("client")
    return client[0] if client else ""


def _header(scope: Any, wanted: bytes) -> bytes | None:
    for name, value in scope["headers"]:
        if name == wanted:
            return bytes(value)
    return None


def _token(scope: Any) -> bytes | None:
    scheme, _, text = (_header(scope, b"authorization") or b"").partition(b" ")
    if scheme.lower() != b"bearer" or len(text) != 64:
        return None
    try:
        return bytes.fromhex(text.decode("ascii"))
    except ValueError:
        return None


def _content_length(scope: Any) -> int | None:
    value = _header(scope, b"content-length")
    return int(value) if value is not None and value.isdigit() else None


def _workspace(rest: str) -> WorkspaceId | None:
    if len(rest) != 65 or not rest.startswith("/") or rest != rest.lower():
        return None
    try:
        return WorkspaceId(bytes.fromhex(rest[1:]))
    except ValueError:
        return None
