"""Whether a line still moves. Owns telling slow from dead, also where all that moves is what was sent long ago.

A socket takes in far more than a slow line carries; for minutes after the last send the only sign of life may be that
the other end acknowledges. Never ends anything itself.
"""

import fcntl
import struct
import termios

import trio
from trio.abc import Stream


def unacknowledged_bytes(stream: Stream) -> int:
    """How much of what was sent the other end has not acknowledged (`SIOCOUTQ`, tcp(7)); 0 where that is unknown."""
    while not isinstance(stream, trio.SocketStream):
        inner = getattr(stream, "transport", None)
        if inner is None:
            return 0
        stream = inner
    try:
        (size,) = struct.unpack("i", fcntl.ioctl(stream.socket.fileno(), termios.TIOCOUTQ, bytes(4)))
    except OSError:
        return 0
    return int(size)


class Progress:
    """When something last moved on one connection, by trio's clock."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._unacknowledged = 0
        self._at_s = trio.current_time()

    def note(self) -> None:
        """Something was received, or sent."""
        self._at_s = trio.current_time()
        self._unacknowledged = unacknowledged_bytes(self._stream)

    def last_s(self) -> float:
        """When it did; an acknowledgement counts from the first look after it."""
        if unacknowledged_bytes(self._stream) < self._unacknowledged:
            self.note()
        return self._at_s
