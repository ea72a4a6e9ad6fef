"""One connection, from accepting to closing: its deadlines, its requests, its end. Built on hypercorn's protocols.

Nothing that the other end does, or leaves undone, ends more than its own connection, or keeps that open for ever. Never
knows what the application does.

What hypercorn does by itself and this module undoes: an exception while parsing ends the server (a byte after an
upgrade request is enough); sends are shielded for ever; a reply to a body that is still arriving can wait for its own
reader.
"""

import contextlib
import logging
import math
import socket as stdlib_socket
import struct
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol, runtime_checkable

import h11
import trio
from hypercorn.config import Config
from hypercorn.events import Closed, Event, RawData, Updated
from hypercorn.protocol.h11 import H11Protocol, H11WSConnection
from hypercorn.protocol.ws_stream import WSStream
from hypercorn.typing import ASGISendEvent, ConnectionState, Scope

from coordinator.tls import TlsStream

if TYPE_CHECKING:
    from coordinator.serving import Server

logger = logging.getLogger("coordinator.connection")

Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]
Application = Callable[[Any, Receive, Send], Awaitable[None]]

PROVE: Final = "shoal.prove"
"""Key in a scope's `state`: a function that the application calls once it knows who is at the other end."""
QUEUED_EVENTS: Final = 4

_HEAD_RECEIVE_BYTES: Final = 16 * 1024
_BODY_RECEIVE_BYTES: Final = 256 * 1024
_SEND_BYTES: Final = 256 * 1024
_ACKNOWLEDGED_AT: Final = 120
"""Where in `struct tcp_info` (linux/tcp.h) is how many bytes the other end has acknowledged, 8 bytes long."""


@runtime_checkable
class _Seen(Protocol):
    """A stream that is no socket, and knows the address at its other end."""

    seen_from: str


@dataclass(frozen=True)
class ServingLimits:
    """Bounds on connections. Times in seconds."""

    connections: int = 16_384
    """Most connections at once; one more ends the oldest that has not proven itself, else is turned away."""
    unproven: int = 1_024
    """Most connections at once of which the application does not know who they are."""
    backlog: int = 1_024
    handshake_s: float = 10.0
    head_s: float = 15.0
    """From the first byte of a request's head to its last; also from connecting to the first head."""
    body_idle_s: float = 30.0
    """Longest pause in a request's body."""
    keep_alive_s: float = 75.0
    keep_alive_requests: int = 100_000
    silent_socket_s: float = 60.0
    """Longest silence of a WebSocket, which answers pings."""
    ping_s: float = 20.0
    send_s: float = 30.0
    """Longest time for a reader to take 256 KiB, or else `slowest_bytes`, and so on: it may be slow, not asleep."""
    slowest_bytes: int = 16 * 1024
    linger_s: float = 2.0
    """After a reply that ends a connection, how long what still arrives is thrown away, so that the reply is read."""
    app_s: float = 60.0
    """How long an application may go on after its connection has gone."""
    grace_s: float = 5.0
    """On stopping, how long requests in progress may take."""
    head_bytes: int = 16 * 1024
    message_bytes: int = 4 * 1024
    """Longest WebSocket message taken from a client."""


class ConnectionGone(OSError):
    """The other end has gone, or took too long to read; nothing more can be sent."""


class Misbehaved(Exception):
    """The other end broke the protocol in a way that hypercorn does not survive."""


class _Inbox:
    """Events for one application call. The disconnect always fits, and nobody waits for an application that ended."""

    def __init__(self) -> None:
        self._send, self._receive = trio.open_memory_channel[Any](QUEUED_EVENTS)  # holds at most 4 reads of a body
        self._last: Any = {"type": "http.disconnect"}

    async def put(self, event: Any) -> None:
        if event["type"] in ("http.disconnect", "websocket.disconnect"):
            self._last = event
            self._send.close()
            return
        with contextlib.suppress(trio.BrokenResourceError, trio.ClosedResourceError):
            await self._send.send(event)

    async def receive(self) -> Any:
        try:
            return await self._receive.receive()
        except trio.EndOfChannel:
            return self._last

    def end(self) -> None:
        self._receive.close()


class _Protocol(H11Protocol):
    """HTTP/1.1 and WebSockets only, without compression of messages."""

    async def _check_protocol(self, event: h11.Request) -> None:
        return

    async def _create_stream(self, request: h11.Request) -> None:
        headers = [pair for pair in request.headers if pair[0] != b"sec-websocket-extensions"]
        plain = h11.Request(
            method=request.method, target=request.target, headers=headers, http_version=request.http_version
        )
        await super()._create_stream(plain)
        if isinstance(self.connection, H11WSConnection) and self.connection.buffer:
            raise Misbehaved("bytes before the socket was accepted")

    async def handle(self, event: Event) -> None:
        early = isinstance(self.stream, WSStream) and not self.stream.handshake.accepted
        if early and isinstance(event, RawData) and event.data:
            raise Misbehaved("bytes before the socket was accepted")
        await super().handle(event)


class Connection:
    """One connection from accepting to closing. `run` never raises an `Exception`."""

    def __init__(self, server: "Server", stream: trio.abc.Stream) -> None:
        self._server = server
        self._limits = server.limits
        self._stream = stream
        self._send_lock = trio.Lock()
        self._scope = trio.CancelScope()
        self._read_scope = trio.CancelScope()
        self._sending: trio.CancelScope | None = None
        self._taken_bytes = 0
        self._protocol: _Protocol
        self._nursery: trio.Nursery
        self._closing = False
        self._gone = False
        self._idle = True
        self._requested = False
        self._running = 0
        self._head_since = math.inf

    async def run(self) -> None:
        """Serve until either end closes."""
        with self._server.admitted(self):
            try:
                with self._scope:
                    await self._run()
            except* (Misbehaved, h11.RemoteProtocolError, UnicodeDecodeError) as error:
                logger.info("connection ended: %s", _names(error))
            except* Exception as error:  # one connection's failure is nobody else's
                logger.warning("connection ended by an error: %s", _names(error), exc_info=_debugging(error))
            finally:
                await trio.aclose_forcefully(self._stream)

    def abort(self) -> None:
        """End at once."""
        self._gone = True
        self._scope.cancel()

    def stop(self) -> None:
        """The server stops: end if no request is in progress, else after it."""
        if self._idle:
            self._scope.cancel()

    def look_at_reader(self) -> None:
        """Where one is waited for, and it has taken something since the last time that counted: wait on."""
        if self._sending is None:
            return
        taken = _acknowledged_bytes(self._stream)
        if taken - self._taken_bytes >= self._limits.slowest_bytes:
            self._taken_bytes = taken
            self._sending.deadline = trio.current_time() + self._limits.send_s

    def prove(self) -> None:
        """The application knows who this is."""
        self._server.proven(self)

    async def _run(self) -> None:
        stream = self._stream
        secure = isinstance(stream, TlsStream)
        if isinstance(stream, TlsStream):
            try:
                with trio.fail_after(self._limits.handshake_s):
                    await stream.do_handshake()
            except (trio.BrokenResourceError, trio.TooSlowError):
                return
        client, server = _addresses(stream)
        self._protocol = _Protocol(
            self._server.application,
            self._server.config,
            self._server.context,
            self,  # type: ignore[arg-type]  # what hypercorn calls its task group
            ConnectionState({PROVE: self.prove}),
            secure,
            client,
            server,
            self._protocol_send,
        )
        try:
            async with trio.open_nursery() as self._nursery:
                await self._read()
                self._gone = True
                await trio.aclose_forcefully(self._stream)
                await self._protocol.handle(Closed())
                self._scope.deadline = trio.current_time() + (self._limits.app_s if self._running else 0)
        finally:
            # They know each other; left so, they and the TLS buffers would wait for the collector, which is rare.
            self._protocol.stream = None
            del self._protocol

    # --- reading -----------------------------------------------------------------------------------------

    async def _read(self) -> None:
        while not self._gone:
            self._read_scope = trio.CancelScope(deadline=self._read_deadline())
            data: bytes | bytearray = b""
            with self._read_scope:
                try:
                    data = await self._stream.receive_some(self._receive_bytes())
                except (trio.BrokenResourceError, trio.ClosedResourceError):
                    return
            if self._closing:
                await self._discard()
                return
            if self._read_scope.cancelled_caught:
                return
            await self._protocol.handle(RawData(bytes(data)))
            if not data:
                return

    async def _discard(self) -> None:
        """After the last reply: say that it was the last, and let the other end finish, so that it reads the reply."""
        gone = (trio.BrokenResourceError, trio.ClosedResourceError, trio.BusyResourceError)
        with contextlib.suppress(*gone), trio.move_on_after(self._limits.linger_s):
            if isinstance(self._stream, trio.abc.HalfCloseableStream):
                await self._stream.send_eof()
            while await self._stream.receive_some(_BODY_RECEIVE_BYTES):
                pass

    def _read_deadline(self) -> float:
        now = trio.current_time()
        connection = self._protocol.connection
        if self._closing:
            return now
        if isinstance(connection, H11WSConnection):
            return now + self._limits.silent_socket_s
        state = connection.their_state
        if state is h11.SEND_BODY:
            return now + self._limits.body_idle_s
        if state is not h11.IDLE:
            return math.inf  # the application is at work; it and the deadline on sends see to the end
        if not self._requested or connection.trailing_data[0]:
            self._head_since = min(self._head_since, now)
            return self._head_since + self._limits.head_s
        return now + self._limits.keep_alive_s

    def _receive_bytes(self) -> int:
        connection = self._protocol.connection
        in_body = not isinstance(connection, H11WSConnection) and connection.their_state is h11.SEND_BODY
        return _BODY_RECEIVE_BYTES if in_body else _HEAD_RECEIVE_BYTES

    # --- what hypercorn's protocol calls -----------------------------------------------------------------

    async def _protocol_send(self, event: Event) -> None:
        match event:
            case RawData():
                await self._send(event.data)
            case Closed():
                await self._close()
            case Updated():
                self._idle = event.idle
                if event.idle:
                    self._read_scope.deadline = trio.current_time() + self._limits.keep_alive_s
                else:
                    self._requested, self._head_since = True, math.inf
            case _:
                raise AssertionError(event)

    async def _send(self, data: bytes) -> None:
        async with self._send_lock:
            if self._gone:
                return
            view = memoryview(data)
            try:
                for at in range(0, len(view), _SEND_BYTES):
                    self._taken_bytes = _acknowledged_bytes(self._stream)
                    with trio.fail_after(self._limits.send_s) as self._sending:
                        await self._stream.send_all(view[at : at + _SEND_BYTES])
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                self._lose()
            except trio.TooSlowError:
                logger.info("a reader slept for %s s", self._limits.send_s)
                self._lose()
            except BaseException:
                self._lose()  # half of something may have been sent
                raise
            finally:
                self._sending = None

    def _lose(self) -> None:
        self._gone = True
        self._read_scope.cancel()

    async def _close(self) -> None:
        # Called from any task, perhaps one that is being cancelled: the reader does what has to be waited for.
        if self._closing:
            return
        self._closing = True
        self._read_scope.deadline = trio.current_time()
        await self._protocol.handle(Closed())

    # --- what hypercorn calls its task group --------------------------------------------------------------

    async def spawn_app(
        self, app: Application, config: Config, scope: Scope, send: Callable[[ASGISendEvent | None], Awaitable[None]]
    ) -> Callable[[Any], Awaitable[None]]:
        """Start the application for one request; returns where its events go."""
        inbox = _Inbox()
        self._running += 1
        self._nursery.start_soon(self._application, app, scope, inbox, send)
        return inbox.put

    def spawn(self, task: Callable[..., Awaitable[None]], *args: object) -> None:
        """Start a task of the protocol's own (pings)."""
        self._nursery.start_soon(task, *args)

    async def _application(
        self, app: Application, scope: Scope, inbox: _Inbox, send: Callable[[ASGISendEvent | None], Awaitable[None]]
    ) -> None:
        raises = scope["type"] == "http"  # a WebSocket's application learns it from `receive`

        async def checked_send(message: Any) -> None:
            await send(message)
            if self._gone:
                if raises:
                    raise ConnectionGone("the other end has gone")
                await trio.lowlevel.checkpoint()  # a loop that only sends must not hold up everybody else

        try:
            await app(scope, inbox.receive, checked_send)
        except* ConnectionGone:
            pass
        except* Exception:
            logger.exception("the application failed")
        finally:
            inbox.end()
            self._running -= 1
        await send(None)
        if self._gone and not self._running:
            self._scope.cancel()  # nothing is left but pings
        elif isinstance(self._protocol.connection, H11WSConnection):
            await self._close()


def _addresses(stream: trio.abc.Stream) -> tuple[tuple[str, int] | None, tuple[str, int] | None]:
    transport = stream.transport if isinstance(stream, TlsStream) else stream
    if isinstance(transport, _Seen):
        return (transport.seen_from, 0), None
    if not isinstance(transport, trio.SocketStream):
        return None, None
    try:
        return transport.socket.getpeername()[:2], transport.socket.getsockname()[:2]
    except OSError:
        return None, None


def _acknowledged_bytes(stream: trio.abc.Stream) -> int:
    """How much the other end has taken over the connection's life; 0 where that is unknown."""
    transport = stream.transport if isinstance(stream, TlsStream) else stream
    if not isinstance(transport, trio.SocketStream):
        return 0
    try:
        info = transport.socket.getsockopt(stdlib_socket.IPPROTO_TCP, stdlib_socket.TCP_INFO, _ACKNOWLEDGED_AT + 8)
        (size,) = struct.unpack_from("Q", info, _ACKNOWLEDGED_AT)
    except (OSError, struct.error):
        return 0
    return int(size)


def _names(error: BaseException) -> str:
    if isinstance(error, BaseExceptionGroup):
        return ", ".join(sorted({_names(each) for each in error.exceptions}))
    return type(error).__name__


def _debugging(error: BaseException) -> BaseException | None:
    return error if logger.isEnabledFor(logging.DEBUG) else None
