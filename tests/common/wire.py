"""A TCP proxy on loopback, in threads of this process, that can do to a line what lines have done to them.

Owns the sockets between programs and a server. Speaks no TLS: it passes bytes on, keeps them,
loses them, cuts, holds up. Only `lose_answer_to` and `let_no_sockets_through` look into what passes, which therefore
must be in the clear; only the latter, being a proxy of the kind that understands HTTP, changes it or answers by itself.
"""

import contextlib
import enum
import re
import socket
import struct
import threading
import time
from collections.abc import Iterator
from typing import Literal

_PIECE_BYTES = 65_536
_NARROW_BYTES = 16_384
_NARROW_SEGMENT_BYTES = 1_400
"""With the segments of loopback, 64 KiB, a narrow window would close altogether and open by probes only."""
_CLOSE_AT_ONCE = struct.pack("ii", 1, 0)
_LATE = "nobody asked for that within {:.0f} s"


class _Mode(enum.Enum):
    PASS = enum.auto()
    HOLD = enum.auto()
    REFUSE = enum.auto()
    SILENT = enum.auto()


Against = Literal["refuse", "close", "forward without the upgrade"]
"""What proxies do to the upgrade of a WebSocket."""
_UPGRADE = re.compile(rb"(?i)(connection: *upgrade|upgrade: *websocket)\r\n")
_FORBIDDEN = b"HTTP/1.1 403 Forbidden\r\nContent-Type: text/html\r\nContent-Length: 9\r\n\r\n<html>no\n"


class _Line:
    """One connection: its two sockets, what passed, and whether it is dead."""

    def __init__(self, client: socket.socket, server: socket.socket, *, dead: bool) -> None:
        self.client = client
        self.server = server
        self.up = bytearray()
        self.down = bytearray()
        self.dead = dead
        """Half open: whatever comes is swallowed, and nobody is told."""
        self.marked = False
        """The request whose answer is to be lost went up here."""
        self.cut = False


class Wire:
    """What passed, and what happens to it. One condition covers all of it."""

    def __init__(self, port: int, *, narrow: bool = False, forgets: bool = False) -> None:
        self.port = port
        """Where programs connect to."""
        self.server_port = 0
        """Whom they reach; to be set before they do."""
        self.cuts = 0
        self.ended = 0
        """How many connections the server ended."""
        self._piece_bytes = 1_024 if narrow else _PIECE_BYTES
        self._narrow = narrow
        self._forgets = forgets
        self._news = threading.Condition()
        self._mode = _Mode.PASS
        self._lines: list[_Line] = []
        self._left: int | None = None
        self._left_down: int | None = None
        self._after_cut: _Mode | None = None
        self._delay_s = 0.0
        self._rate: float | None = None
        self._free_at = 0.0
        self._marker: bytes | None = None
        self._against_sockets: Against | None = None
        self._lost = 0

    # --- what is done to the line -----------------------------------------------------------------------

    def cut_after(self, more_bytes: int, *, down: bool = False, for_long: bool = False) -> None:
        """Break all connections once so many more bytes have gone up (or down); then pass everything on again, or
        `refuse` until `restore`."""
        with self._news:
            self._after_cut = _Mode.REFUSE if for_long else None
            if down:
                self._left_down = more_bytes
            else:
                self._left = more_bytes

    def go_dead(self) -> None:
        """Leave every connection there is half open, for ever; new ones are as the line is otherwise."""
        with self._news:
            for line in self._lines:
                line.dead = True
            self._news.notify_all()

    def silence(self) -> None:
        """From now on connections are taken, and what comes over them and the ones there are is swallowed."""
        self.go_dead()
        self._become(_Mode.SILENT)

    def hold(self) -> None:
        """Nothing passes, and nothing is lost, until `restore`."""
        self._become(_Mode.HOLD)

    def refuse(self) -> None:
        """End every connection there is, and each new one at once."""
        self._become(_Mode.REFUSE)
        self.break_all()

    def restore(self) -> None:
        """An ordinary line again. Connections that went dead stay so."""
        with self._news:
            self._rate, self._delay_s = None, 0.0
        self._become(_Mode.PASS)

    def slow(self, bytes_per_s: float) -> None:
        """Pass so much on, all connections and directions together; for a trickle the wire should be narrow."""
        with self._news:
            self._rate, self._free_at = bytes_per_s, time.monotonic()

    def delay(self, seconds: float) -> None:
        """Pass each piece on so much later."""
        with self._news:
            self._delay_s = seconds

    def lose_answer_to(self, beginning: bytes) -> None:
        """Let the next request through whose head has these bytes, and cut its connection instead of an answer."""
        with self._news:
            self._marker = beginning

    def let_no_sockets_through(self, how: "Against") -> None:
        """Be a proxy that knows no WebSockets."""
        with self._news:
            self._against_sockets = how

    def wait_lost(self, count: int = 1, deadline_s: float = 60.0) -> None:
        """Until so many answers in all were lost."""
        with self._news:
            assert self._news.wait_for(lambda: self._lost >= count, deadline_s), _LATE.format(deadline_s)

    def wait_passed(self, more_bytes: int, deadline_s: float = 60.0) -> None:
        """Until so many more bytes than now have gone up, on any connection, or were swallowed on their way."""
        with self._news:
            wanted = sum(len(line.up) for line in self._lines) + more_bytes
            there = self._news.wait_for(lambda: sum(len(line.up) for line in self._lines) >= wanted, deadline_s)
            assert there, _LATE.format(deadline_s)

    def wait_ended(self, count: int, deadline_s: float = 120.0) -> None:
        """Until so many connections in all were ended by the server."""
        with self._news:
            assert self._news.wait_for(lambda: self.ended >= count, deadline_s), _LATE.format(deadline_s)

    def break_all(self) -> None:
        """End every connection there is."""
        with self._news:
            for line in self._lines:
                _cut(line)
            self._news.notify_all()

    def _become(self, mode: _Mode) -> None:
        with self._news:
            self._mode = mode
            self._news.notify_all()

    # --- what was seen ----------------------------------------------------------------------------------

    def sent_up(self) -> list[bytes]:
        """What came over each connection for the server so far, by age."""
        with self._news:
            return [bytes(line.up) for line in self._lines]

    def sent_down(self) -> list[bytes]:
        """What each connection passed back so far, by age."""
        with self._news:
            return [bytes(line.down) for line in self._lines]

    # --- passing on -------------------------------------------------------------------------------------

    def serve(self, listener: socket.socket) -> None:
        """Until the listener is closed."""
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=self._connect, args=(client,), daemon=True).start()

    def _connect(self, client: socket.socket) -> None:
        with client, contextlib.suppress(OSError), socket.socket() as server:
            with self._news:
                mode = self._mode
            if mode is _Mode.REFUSE:
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _CLOSE_AT_ONCE)
                return
            if self._narrow:
                _make_narrow(server)
            server.connect(("127.0.0.1", self.server_port))
            line = _Line(client, server, dead=mode is _Mode.SILENT)
            with self._news:
                self._lines.append(line)
            back = threading.Thread(target=self._pump, args=(line, False), daemon=True)
            back.start()
            self._pump(line, True)
            back.join()
            with self._news:
                line.cut = True
                if self._forgets:
                    self._lines.remove(line)

    def _pump(self, line: _Line, is_up: bool) -> None:
        source, sink = (line.client, line.server) if is_up else (line.server, line.client)
        try:
            while data := source.recv(self._piece_bytes):
                self._hold_up(line, len(data))
                if is_up and self._against_sockets is not None and _UPGRADE.search(data):
                    data = self._meet_upgrade(line, data)
                if not self._pass(line, data, sink, is_up):
                    return
            with self._news:
                self.ended += not is_up
                self._news.notify_all()
                self._news.wait_for(lambda: self._mode is not _Mode.HOLD or line.cut)
                if line.dead:
                    return
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            with self._news:
                if not line.dead:
                    _cut(line)

    def _hold_up(self, line: _Line, size: int) -> None:
        """As long as the line is slow, late, or held."""
        with self._news:
            now = time.monotonic()
            until = now + self._delay_s
            if self._rate is not None:
                self._free_at = max(self._free_at, now) + size / self._rate
                until = max(until, self._free_at)
            while not line.cut and not line.dead and (self._delay_s or self._rate) and (left := until - now) > 0:
                self._news.wait(left)
                now = time.monotonic()
            self._news.wait_for(lambda: self._mode is not _Mode.HOLD or line.cut)

    def _pass(self, line: _Line, data: bytes, sink: socket.socket, is_up: bool) -> bool:
        """Pass on as much of it as is to be passed on; False where that was the end of this connection."""
        with self._news:
            if line.cut:
                return False
            passed = data if is_up or not line.marked else b""
            passed = self._allowed(passed, is_up)
            if not self._forgets:
                (line.up if is_up else line.down).extend(b"" if line.dead and not is_up else passed)
            if is_up:
                self._mark(line, len(passed))
            self._news.notify_all()
            if line.dead:
                return True
        sink.sendall(passed)
        if len(passed) == len(data):
            return True
        with self._news:
            if not is_up and line.marked:
                self._lost += 1
                _cut(line)
            else:
                self.cuts += 1
                self._mode = self._after_cut or self._mode
                for each in self._lines:
                    _cut(each)
            self._news.notify_all()
        return False

    def _meet_upgrade(self, line: _Line, head: bytes) -> bytes:
        match self._against_sockets:
            case "forward without the upgrade":
                return _UPGRADE.sub(b"", head)
            case "refuse":
                line.client.sendall(_FORBIDDEN)
            case "close" | None:
                pass
        with self._news:
            _cut(line)
        return b""

    def _allowed(self, data: bytes, is_up: bool) -> bytes:
        left = self._left if is_up else self._left_down
        if left is None:
            return data
        rest = None if len(data) > left else left - len(data)
        if is_up:
            self._left = rest
        else:
            self._left_down = rest
        return data[:left] if rest is None else data

    def _mark(self, line: _Line, fresh: int) -> None:
        if self._marker is not None and self._marker in line.up[-fresh - len(self._marker) :]:
            self._marker, line.marked = None, True


def _cut(line: _Line) -> None:
    line.cut = True
    for each in (line.client, line.server):
        with contextlib.suppress(OSError):
            each.shutdown(socket.SHUT_RDWR)


def _make_narrow(fresh: socket.socket) -> None:
    fresh.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _NARROW_BYTES)
    fresh.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, _NARROW_SEGMENT_BYTES)


@contextlib.contextmanager
def open_wire(*, narrow: bool = False, forgets: bool = False) -> Iterator[Wire]:
    """A proxy on a free port of loopback. A narrow one takes little more than it passes on; one that `forgets` keeps
    nothing of what passed."""
    with socket.socket() as listener:
        if narrow:
            _make_narrow(listener)
        listener.bind(("127.0.0.1", 0))
        listener.listen(128)
        wire = Wire(listener.getsockname()[1], narrow=narrow, forgets=forgets)
        thread = threading.Thread(target=wire.serve, args=(listener,), daemon=True)
        thread.start()
        try:
            yield wire
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            wire.restore()
            wire.break_all()
            thread.join()
