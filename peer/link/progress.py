"""Whether a line still moves. Owns telling slow from dead, also where all that moves is what was sent long ago.

A socket takes in far more than a slow line carries; for minutes after the last send the only sign of life may be that
the other end acknowledges. Never ends anything itself.
"""

import fcntl
import socket
import struct
import termios
from typing import Final

import trio
from trio.abc import Stream

_LAST_ACK_MS_AT: Final = 56
"""Where in `struct tcp_info` (linux/tcp.h) is how long ago the last acknowledgement came."""


class Progress:
    """When something last moved on one connection, by trio's clock."""

    def __init__(self, stream: Stream) -> None:
        self._socket = _socket_of(stream)
        self._unacknowledged = 0
        self._at_s = trio.current_time()

    def note(self) -> None:
        """Something was received, or sent."""
        self._at_s = trio.current_time()
        self._unacknowledged = self._count_unacknowledged()

    def last_s(self) -> float:
        """When it did. What the other end acknowledged of what was sent counts too."""
        unacknowledged = self._count_unacknowledged()
        if unacknowledged < self._unacknowledged:
            self._unacknowledged = unacknowledged
            self._at_s = max(self._at_s, trio.current_time() - self._since_acknowledgement_s())
        return self._at_s

    def _count_unacknowledged(self) -> int:
        """In bytes (`SIOCOUTQ`, tcp(7)); 0 where that is unknown."""
        if self._socket is None:
            return 0
        try:
            (size,) = struct.unpack("i", fcntl.ioctl(self._socket.fileno(), termios.TIOCOUTQ, bytes(4)))
        except (OSError, ValueError):  # closed
            return 0
        return int(size)

    def _since_acknowledgement_s(self) -> float:
        assert self._socket is not None
        try:
            info = self._socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _LAST_ACK_MS_AT + 4)
            (since_ms,) = struct.unpack_from("I", info, _LAST_ACK_MS_AT)
        except (OSError, struct.error):
            return 0.0
        return float(since_ms) / 1000


def _socket_of(stream: Stream) -> trio.socket.SocketType | None:
    """The socket at the bottom; None where there is none."""
    while not isinstance(stream, trio.SocketStream):
        inner = getattr(stream, "transport", None)
        if inner is None:
            return None
        stream = inner
    return stream.socket
