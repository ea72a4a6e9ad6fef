"""A plain TCP proxy on loopback, in threads of this process: passes bytes on, keeps them, cuts where it is told to.

Owns the sockets between programs and a server. Never changes a byte; where it cuts, both directions end at once.
"""

import contextlib
import socket
import threading
from collections.abc import Iterator

_PIECE_BYTES = 65_536


class Wire:
    """What passed, and where to cut. One lock covers all of it."""

    def __init__(self, port: int) -> None:
        self.port = port
        """Where programs connect to."""
        self.server_port = 0
        """Whom they reach; to be set before they do."""
        self.cuts = 0
        self._lock = threading.Lock()
        self._up: list[bytearray] = []
        self._down: list[bytearray] = []
        self._open: set[socket.socket] = set()
        self._left: int | None = None

    def cut_after(self, more_bytes: int) -> None:
        """Break all connections once so many more bytes have gone up; then pass everything on again."""
        with self._lock:
            self._left = more_bytes

    def sent_up(self) -> list[bytes]:
        """What each connection passed to the server so far, by age."""
        with self._lock:
            return [bytes(each) for each in self._up]

    def sent_down(self) -> list[bytes]:
        """What each connection passed back so far, by age."""
        with self._lock:
            return [bytes(each) for each in self._down]

    def serve(self, listener: socket.socket) -> None:
        """Until the listener is closed."""
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=self._connect, args=(client,), daemon=True).start()

    def break_all(self) -> None:
        """End every connection there is."""
        with self._lock:
            for each in self._open:
                with contextlib.suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)
            self._open.clear()

    def _connect(self, client: socket.socket) -> None:
        with client, contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.server_port)) as server:
            up, down = bytearray(), bytearray()
            with self._lock:
                self._open |= {client, server}
                self._up.append(up)
                self._down.append(down)
            back = threading.Thread(target=self._pump, args=(server, client, down, False), daemon=True)
            back.start()
            self._pump(client, server, up, True)
            back.join()
            with self._lock:
                self._open -= {client, server}

    def _pump(self, source: socket.socket, sink: socket.socket, kept: bytearray, is_up: bool) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(_PIECE_BYTES):
                if (passed := self._passed(source, data, kept, is_up)) is None:
                    return
                sink.sendall(passed)
                if len(passed) < len(data):
                    self.break_all()
                    return
            sink.shutdown(socket.SHUT_WR)

    def _passed(self, source: socket.socket, data: bytes, kept: bytearray, is_up: bool) -> bytes | None:
        """As much of it as is to be passed on; less than all: cut then. None: this connection was cut before."""
        with self._lock:
            if source not in self._open:
                return None
            if is_up and self._left is not None:
                if len(data) > self._left:
                    data, self._left = data[: self._left], None
                    self.cuts += 1
                else:
                    self._left -= len(data)
            kept += data
            return data


@contextlib.contextmanager
def open_wire() -> Iterator[Wire]:
    """A proxy on a free port of loopback."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        wire = Wire(listener.getsockname()[1])
        thread = threading.Thread(target=wire.serve, args=(listener,), daemon=True)
        thread.start()
        try:
            yield wire
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            wire.break_all()
            thread.join()
