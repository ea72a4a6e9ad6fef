"""HTTP/1.1 over h11. Owns the connections to one coordinator: pooled, streamed both ways, bounded.

Speaks to whatever `dial` connects to and knows nothing of messages or tokens. Nothing is buffered beyond one piece:
a reader that stops stops the sender. A connection is used again only after a whole exchange.
"""

import math
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final, TypeVar

import h11
import trio
from trio.abc import Stream

from peer.link.errors import BadReply, LinkError, Unreachable
from peer.link.progress import Progress

T = TypeVar("T")

PIECE_BYTES: Final = 256 * 1024
"""So much is received at once."""
SEND_BYTES: Final = 128 * 1024
"""So much is sent at once."""
SMALL_BYTES: Final = 16 * 1024
"""A request up to here is sent before anything is listened for; it is in one piece, within the stall limit."""
GATHER_BYTES: Final = 64 * 1024
"""Smaller pieces of a streamed body are sent together."""
HEAD_BYTES: Final = 64 * 1024
HEADERS: Final = 100
INTERIM: Final = 8
"""Most interim (1xx) answers that are skipped."""
CLOSE_S: Final = 1.0
_LOOKS: Final = 4
"""How often in a stall limit it is looked whether what was sent still moves."""


@dataclass(frozen=True, slots=True)
class Dialled:
    """A fresh connection, with what to say in `Host` and what goes before every path."""

    stream: Stream
    host: str
    prefix: str = ""


Dial = Callable[[], Awaitable[Dialled]]


@dataclass(frozen=True, slots=True)
class Request:
    """A POST or GET. `body` is whole, or a stream of pieces, of `length` bytes together if that is known.

    A stream cannot be sent twice, so it is never retried. Everything else must be idempotent.
    """

    method: str
    path: str
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes | AsyncIterable[bytes | memoryview] = b""
    length: int | None = None


class Response:
    """The head of an answer, and its body as a stream. Only valid inside `HttpPool.exchange`."""

    def __init__(self, connection: "_Connection", status: int, headers: dict[str, str]) -> None:
        self._connection = connection
        self.status = status
        self.headers = headers

    async def receive_some(self) -> bytes | bytearray:
        """The next piece of the body, at most about 256 KiB; `b""` at its end. Raises `LinkError`."""
        return await self._connection.receive_body()

    async def read(self, limit_bytes: int) -> bytes:
        """The whole rest of the body. Raises `BadReply` if it is longer than `limit_bytes`."""
        body = bytearray()
        while piece := await self.receive_some():
            body += piece
            if len(body) > limit_bytes:
                raise BadReply(f"an answer of more than {limit_bytes} bytes")
        return bytes(body)


class HttpPool:
    """Connections to one coordinator, at most `max_connections` at once; further exchanges wait their turn.

    A connection idle for longer than `idle_s` is not used again, nor for a streamed body one idle for longer than
    `fresh_s` (the far side may have closed it meanwhile, and a stream cannot be retried). A connection on which
    nothing moves for `stall_s` during an exchange is given up: nothing received, nothing sent, nothing acknowledged.
    Other deadlines belong to callers.
    """

    def __init__(
        self,
        dial: Dial,
        *,
        max_connections: int = 8,
        idle_s: float = 45.0,
        fresh_s: float = 1.0,
        stall_s: float = 30.0,
    ) -> None:
        self._dial = dial
        self._idle_s = idle_s
        self._fresh_s = fresh_s
        self._stall_s = stall_s
        self._max_connections = max_connections
        self._slots = trio.Semaphore(max_connections)
        self._idle: list[_Connection] = []
        self._busy: dict[_Connection, None] = {}  # a set has no order, and a run would not be repeatable
        self._closed = False

    @asynccontextmanager
    async def exchange(self, request: Request, stall_s: float | None = None) -> AsyncIterator[Response]:
        """Send `request`; the answer's head is there when this is entered, its body is read inside.

        An answer that comes before all of the body was sent ends the sending. Raises `Unreachable` where the
        connection is cut or cannot be made and `BadReply` for what is not HTTP or breaks a bound. A connection
        that turns out stale is replaced once, unless the body is a stream. Cancelling closes the connection.
        """
        async with self._slots:
            connection, response = await self._begin(request, stall_s or self._stall_s)
            try:
                yield response
            finally:
                self._busy.pop(connection, None)
                if connection.reusable and not self._closed:
                    connection.idle_since = trio.current_time()
                    self._idle.append(connection)
                else:
                    await connection.aclose()

    async def aclose(self) -> None:
        """Close the idle connections; the others close when their exchange ends."""
        self._closed = True
        await self.drop_idle()

    async def drop_idle(self) -> None:
        """Close the connections not in use, say because the address changed."""
        idle, self._idle = self._idle, []
        for connection in idle:
            await connection.aclose()

    def last_moved_s(self) -> float:
        """When something last moved in an exchange that is going on (trio's clock); minus infinity without any."""
        return max((connection.progress.last_s() for connection in self._busy), default=-math.inf)

    async def abandon(self, since_s: float) -> None:
        """The line is dead: close what is idle, and end the exchanges in which nothing moved since then."""
        await self.drop_idle()
        for connection in tuple(self._busy):
            if connection.progress.last_s() < since_s:
                await connection.abort()

    async def _begin(self, request: Request, stall_s: float) -> "tuple[_Connection, Response]":
        streamed = not isinstance(request.body, bytes)
        connection = await self._take_idle(self._fresh_s if streamed else self._idle_s)
        if connection is not None:
            try:
                return connection, await self._send(connection, request, stall_s)
            except Unreachable:
                if streamed or connection.heard:
                    raise
            await self.drop_idle()
        connection = _Connection(await self._dial())
        return connection, await self._send(connection, request, stall_s)

    async def _take_idle(self, idle_s: float) -> "_Connection | None":
        """The freshest idle connection, unless it is too old; those that nobody will want again are closed."""
        now = trio.current_time()
        taken = self._idle.pop() if self._idle and now - self._idle[-1].idle_since <= idle_s else None
        while self._idle and (
            now - self._idle[0].idle_since > self._idle_s or len(self._idle) >= self._max_connections
        ):
            await self._idle.pop(0).aclose()
        return taken

    async def _send(self, connection: "_Connection", request: Request, stall_s: float) -> Response:
        self._busy[connection] = None
        try:
            return await connection.begin(request, stall_s)
        except BaseException:
            self._busy.pop(connection, None)
            await connection.aclose()
            raise


class _Cut(Unreachable):
    """The far side takes no more bytes of the request; it may still have said why."""


class _Connection:
    """One connection: h11's state machine and the stream under it."""

    def __init__(self, dialled: Dialled) -> None:
        self._stream = dialled.stream
        self._host = dialled.host
        self._prefix = dialled.prefix
        self._http = h11.Connection(h11.CLIENT, max_incomplete_event_size=HEAD_BYTES)
        self._stall_s = 0.0
        self._body_unsent = False
        self._piece: trio.CancelScope | None = None
        """Around the piece of a body that is being sent."""
        self.progress = Progress(dialled.stream)
        self.idle_since = 0.0
        self.heard = False
        """Whether a byte of an answer to the current request has come."""

    @property
    def reusable(self) -> bool:
        """Whether the exchange is over on both sides and nothing unasked-for has come."""
        over = self._http.our_state is h11.DONE and self._http.their_state is h11.DONE
        return over and self._http.trailing_data == (b"", False)

    async def begin(self, request: Request, stall_s: float) -> Response:
        """Send the request and receive the head of the answer."""
        if self._http.our_state is h11.DONE:
            self._http.start_next_cycle()
        self.heard = False
        self._stall_s = stall_s
        self.progress.note()
        head = self._http.send(self._head_of(request)) or b""
        if not isinstance(request.body, bytes):
            await self._send_all(head)
            return await self._listen_while(self._send_stream, request.body)
        if request.body:
            head += self._http.send(h11.Data(data=request.body)) or b""
        head += self._http.send(h11.EndOfMessage()) or b""
        if len(head) > SMALL_BYTES:
            return await self._listen_while(self._send_all, head)
        await self._send_all(head)
        return await self._receive_head()

    async def aclose(self) -> None:
        """Close, politely where that takes no time. Safe while cancelled."""
        with trio.move_on_after(CLOSE_S):
            await self._stream.aclose()

    async def abort(self) -> None:
        """Close at once, also under whoever waits on it, who then gets `Unreachable`."""
        await trio.aclose_forcefully(self._stream)

    async def receive_body(self) -> bytes | bytearray:
        """The next piece of the answer's body; `b""` at its end."""
        if self._http.their_state is h11.ERROR:
            raise Unreachable("the answer has already failed")
        pieces: list[bytes | bytearray] = []
        size = 0
        while size < PIECE_BYTES and self._http.their_state is h11.SEND_BODY:
            event = self._next_event()
            if isinstance(event, h11.Data):
                pieces.append(event.data)
                size += len(event.data)
            elif event is h11.NEED_DATA:
                if size:
                    break
                await self._receive_more()
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def _head_of(self, request: Request) -> h11.Request:
        headers = [("Host", self._host), *request.headers]
        if isinstance(request.body, bytes):
            if request.body or request.method == "POST":
                headers.append(("Content-Length", str(len(request.body))))
        elif request.length is not None:
            headers.append(("Content-Length", str(request.length)))
        else:
            headers.append(("Transfer-Encoding", "chunked"))
        return h11.Request(method=request.method, target=self._prefix + request.path, headers=headers)

    async def _listen_while(self, send: Callable[[T], Awaitable[None]], body: T) -> Response:
        """Send the body and receive the head of the answer at the same time; an early answer ends the sending."""
        failures: list[Exception] = []
        response: Response | None = None
        async with trio.open_nursery() as nursery:

            async def run() -> None:
                try:
                    await send(body)
                except _Cut:
                    pass  # go on listening: the far side may have said why it reads no more
                except Exception as error:  # noqa: BLE001 - the caller's own iterator failed: handed on below
                    failures.append(error)
                    nursery.cancel_scope.cancel()
                self._body_unsent = False

            self._body_unsent = True
            nursery.start_soon(run)
            try:
                response = await self._receive_head()
            except LinkError as error:
                failures.append(error)
            nursery.cancel_scope.cancel()
        self._body_unsent = False
        if failures:
            raise failures[0]
        assert response is not None
        return response

    async def _send_stream(self, body: AsyncIterable[bytes | memoryview]) -> None:
        try:
            waiting: list[bytes | bytearray | memoryview] = []
            size = 0
            async for piece in body:
                if not len(piece):
                    continue
                waiting += self._http.send_with_data_passthrough(_data(piece)) or ()
                size += len(piece)
                if size >= GATHER_BYTES:
                    await self._send_all(b"".join(waiting))
                    waiting, size = [], 0
            waiting += self._http.send_with_data_passthrough(h11.EndOfMessage()) or ()
            await self._send_all(b"".join(waiting))
        except h11.LocalProtocolError as error:
            raise ValueError("the body is not as long as was announced") from error
        finally:
            close = getattr(body, "aclose", None)
            if close is not None:
                with trio.CancelScope(shield=True, deadline=trio.current_time() + CLOSE_S):
                    await close()

    async def _receive_head(self) -> Response:
        for _ in range(INTERIM):
            event = self._next_event()
            while event is h11.NEED_DATA:
                await self._receive_more()
                event = self._next_event()
            if isinstance(event, h11.Response):
                if len(event.headers) > HEADERS:
                    raise BadReply(f"an answer with more than {HEADERS} headers")
                headers = {bytes(name).decode("ascii"): bytes(value).decode("latin-1") for name, value in event.headers}
                return Response(self, event.status_code, headers)
            if not isinstance(event, h11.InformationalResponse):
                raise Unreachable("the connection was closed before an answer")
        raise BadReply("too many interim answers")

    def _next_event(self) -> h11.Event | type[h11.NEED_DATA] | type[h11.PAUSED]:
        try:
            return self._http.next_event()
        except h11.RemoteProtocolError as error:
            if self._http.trailing_data[1]:
                raise Unreachable("the connection was cut in the middle of an answer") from error
            raise BadReply(f"the answer is not HTTP: {error}") from error

    async def _receive_more(self) -> None:
        """Feed h11 once. While a body is still to be sent, how long that takes is what the line decides."""
        while True:
            due = self.progress.last_s() + self._stall_s
            now = trio.current_time()
            if self._body_unsent:
                if self._piece is not None:
                    self._piece.deadline = max(self._piece.deadline, due)
                due = now + self._stall_s / _LOOKS
            elif now >= due:
                raise Unreachable(f"nothing was heard for {self._stall_s:.0f} s")
            try:
                with trio.move_on_at(due):
                    data = await self._stream.receive_some(PIECE_BYTES)
                    break
            except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
                raise Unreachable("the connection broke") from error
        self.progress.note()
        self.heard = self.heard or bool(data)
        self._http.receive_data(data)  # type: ignore[arg-type]  # only appended to a buffer

    async def _send_all(self, data: bytes | bytearray | memoryview) -> None:
        view = memoryview(data)
        try:
            for at in range(0, len(view), SEND_BYTES):
                with trio.move_on_after(self._stall_s) as scope:
                    self._piece = scope
                    await self._stream.send_all(view[at : at + SEND_BYTES])
                self._piece = None
                if scope.cancelled_caught:
                    raise _Cut(f"nothing could be sent for {self._stall_s:.0f} s")
                self.progress.note()
        except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
            raise _Cut("the connection broke") from error


def _data(piece: bytes | bytearray | memoryview) -> h11.Data:
    return h11.Data(data=piece)  # type: ignore[arg-type]  # handed through untouched, so any buffer will do
