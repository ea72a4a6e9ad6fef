"""The server: listening, how many connections there may be, the graceful stop. `coordinator.connection` serves each.

No connection can end the server, hold it up while it stops, or keep others out. Never knows what the application does.

What hypercorn does by itself and is turned off here: HTTP/2; permessage-deflate, which inflates without a bound.
"""

import contextlib
import logging
import socket as stdlib_socket
from collections.abc import Iterator, Sequence
from typing import Any

import trio
from hypercorn.config import Config
from hypercorn.trio.worker_context import WorkerContext

from coordinator.connection import QUEUED_EVENTS, Application, Connection, ServingLimits

logger = logging.getLogger("coordinator.serving")

_LOOKS = 4
"""How often it is looked, in the time that a reader has, whether a slow one reads on."""


class _Log:
    """Where hypercorn's streams log; accesses are logged by the application, which knows more."""

    def __init__(self, config: Config) -> None:
        pass

    async def access(self, request: object, response: object, request_time: float) -> None:
        return

    async def exception(self, message: str, *args: object) -> None:
        logger.exception(message, *args)


def _config(limits: ServingLimits) -> Config:
    config = Config()
    config.logger_class = _Log  # type: ignore[assignment]  # the two methods that the streams call
    config.backlog = limits.backlog
    config.read_timeout = None  # `Connection` has a deadline for each thing that is waited for
    config.keep_alive_timeout = limits.keep_alive_s
    config.keep_alive_max_requests = limits.keep_alive_requests
    config.h11_max_incomplete_size = limits.head_bytes
    config.websocket_ping_interval = limits.ping_s
    config.websocket_max_message_size = limits.message_bytes
    config.max_app_queue_size = QUEUED_EVENTS
    config.include_server_header = False
    config.include_date_header = False
    return config


class Server:
    """The connections of one application."""

    def __init__(self, application: Application, limits: ServingLimits) -> None:
        self.application: Any = application
        self.limits = limits
        self.config = _config(limits)
        self.context = WorkerContext(None)
        self._all: set[Connection] = set()
        self._unproven: dict[Connection, None] = {}

    @contextlib.contextmanager
    def admitted(self, connection: Connection) -> Iterator[None]:
        """Counts a connection while it lasts; ends the oldest unproven one where there are too many."""
        if len(self._unproven) >= self.limits.unproven or len(self._all) >= self.limits.connections:
            oldest = next(iter(self._unproven), connection)
            self._unproven.pop(oldest, None)
            oldest.abort()
        self._all.add(connection)
        self._unproven[connection] = None
        try:
            yield
        finally:
            self._all.discard(connection)
            self._unproven.pop(connection, None)

    def proven(self, connection: Connection) -> None:
        """The application knows who is at the other end."""
        self._unproven.pop(connection, None)

    async def handle(self, stream: trio.abc.Stream) -> None:
        """Serve one connection to its end."""
        await Connection(self, stream).run()

    async def look_at_readers(self) -> None:
        """Tell readers that are slow from those that sleep; runs until cancelled."""
        while True:
            await trio.sleep(self.limits.send_s / _LOOKS)
            for connection in tuple(self._all):
                connection.look_at_reader()

    def begin_stop(self) -> None:
        """No further request on any connection."""
        self.context.terminated._event.set()  # type: ignore[attr-defined]  # the wrapper's own `set` is a coroutine
        for connection in tuple(self._all):
            connection.stop()


async def serve(
    application: Application,
    listeners: Sequence[trio.abc.Listener[Any]],
    *,
    stop: trio.Event,
    limits: ServingLimits | None = None,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve connections from `listeners`, which may be anything that hands out streams, until `stop` is set.

    Then listening ends at once, requests in progress have `limits.grace_s` to end, and the rest is cut. Cancelling
    cuts everything at once.
    """
    limits = limits or ServingLimits()
    server = Server(application, limits)
    async with trio.open_nursery() as connections:
        async with trio.open_nursery() as accepting:
            for listener in listeners:
                accepting.start_soon(_accept, listener, server, connections)
            accepting.start_soon(server.look_at_readers)
            task_status.started()
            await stop.wait()
            accepting.cancel_scope.cancel()
        server.begin_stop()
        connections.cancel_scope.deadline = trio.current_time() + limits.grace_s


async def _accept(listener: trio.abc.Listener[Any], server: Server, connections: trio.Nursery) -> None:
    await trio.serve_listeners(server.handle, [listener], handler_nursery=connections)


async def open_tcp_listeners(host: str, port: int, backlog: int) -> list[trio.SocketListener]:
    """Listen on `host` (`::` takes IPv4 too) and `port` (0: any free one). Raises `OSError`."""
    family = stdlib_socket.AF_INET6 if ":" in host else stdlib_socket.AF_INET
    if not host or not all(part in "0123456789abcdefABCDEF.:%" for part in host):
        return list(await trio.open_tcp_listeners(port, host=host or None, backlog=backlog))
    try:
        sock = trio.socket.socket(family, stdlib_socket.SOCK_STREAM)
    except OSError:
        if host != "::":
            raise
        return list(await trio.open_tcp_listeners(port, host="0.0.0.0", backlog=backlog))  # noqa: S104  # no IPv6 here
    try:
        sock.setsockopt(stdlib_socket.SOL_SOCKET, stdlib_socket.SO_REUSEADDR, 1)
        if family == stdlib_socket.AF_INET6:
            sock.setsockopt(stdlib_socket.IPPROTO_IPV6, stdlib_socket.IPV6_V6ONLY, 0 if host == "::" else 1)
        await sock.bind((host, port))
        sock.listen(backlog)
    except BaseException:
        sock.close()
        raise
    return [trio.SocketListener(sock)]
