"""Frames of a LAN link. Owns how messages and chunks follow each other in a stream of bytes, sans-IO.

A frame is a head of 5 bytes (kind u8, length u32 big-endian) and `length` bytes: one encoded `LanMessage`, or the
number of a request (u32 big-endian) and the chunk.
"""

import struct
from collections.abc import Callable, Iterator
from typing import Final, NamedTuple, cast

from protocol import limits
from protocol.codec import Malformed, decode, encode
from protocol.lan import LanMessage

MESSAGE: Final = 1
CHUNK: Final = 2
_HEAD: Final = struct.Struct(">BI")
_CHUNK_HEAD: Final = struct.Struct(">BII")
HEAD_BYTES: Final = _HEAD.size
POOL_BYTES: Final = 4 * limits.MIB
_SMALLEST_BUFFER: Final = 64 * limits.KIB
CHUNK_HEAD_BYTES: Final = _CHUNK_HEAD.size

Take = Callable[[memoryview], int]
"""Fills the beginning of what it is given, as far as there is something, and says how far; 0: there is no more now."""


class BadLanFrame(ValueError):
    """The stream is not a sequence of frames, breaks a bound, or brings what was not asked for. Safe to show."""


class ChunkFrame(NamedTuple):
    """A chunk that answers the request of that number. Not checked: the receiver compares it with its chunk id."""

    number: int
    data: memoryview


def message_frame(message: LanMessage) -> bytes:
    """A message as it is sent. Raises `ValueError` where it is longer than any receiver takes."""
    body = encode(message)
    if len(body) > limits.LAN_CONTROL_BYTES:
        raise ValueError("a message longer than may be sent")
    return _HEAD.pack(MESSAGE, len(body)) + body


def chunk_head(number: int, length: int) -> bytes:
    """What goes before the chunk that answers a request."""
    return _CHUNK_HEAD.pack(CHUNK, length + 4, number)


class Buffers:
    """Memory for chunks, used again: new memory costs more than filling it.

    At most `POOL_BYTES` lie idle. What is given back must not be looked at any more.
    """

    def __init__(self) -> None:
        self._idle: dict[int, list[bytearray]] = {}
        self._idle_bytes = 0

    def take(self, length: int) -> memoryview:
        """So many bytes of any content."""
        size = max(_SMALLEST_BUFFER, 1 << (length - 1).bit_length())
        idle = self._idle.get(size)
        if idle:
            self._idle_bytes -= size
            return memoryview(idle.pop())[:length]
        return memoryview(bytearray(size))[:length]

    def give_back(self, data: memoryview) -> None:
        """The holder of these bytes is done with them."""
        buffer = data.obj
        if isinstance(buffer, bytearray) and self._idle_bytes + len(buffer) <= POOL_BYTES:
            self._idle.setdefault(len(buffer), []).append(buffer)
            self._idle_bytes += len(buffer)


class LanFrameReader:
    """Bytes in, messages and chunks out.

    `expected` says how long the chunk of a request is, None for a number that awaits none: a chunk of another length
    is refused when its head has come, before a byte of it is kept. So at most one message or one chunk that was asked
    for is held, whatever the size of the pieces fed.
    """

    def __init__(self, expected: Callable[[int], int | None]) -> None:
        self._expected = expected
        self._head = memoryview(bytearray(CHUNK_HEAD_BYTES))
        self._room = self._head[:HEAD_BYTES]
        """What the next bytes fill: the rest of a head, or of a body."""
        self._body: memoryview | None = None
        self._number = 0
        self._number_is_to_come = True
        self.buffers = Buffers()
        self.message_bytes = 0
        """How many bytes of messages came, chunks apart."""

    def receive(self, data: bytes | bytearray | memoryview) -> Iterator[LanMessage | ChunkFrame]:
        """Feed bytes; yields what they complete, and is to be iterated to its end. Raises `BadLanFrame`."""
        rest = memoryview(data)

        def take(room: memoryview) -> int:
            nonlocal rest
            size = min(len(rest), len(room))
            room[:size], rest = rest[:size], rest[size:]
            return size

        return self.receive_from(take)

    def receive_from(self, take: Take) -> Iterator[LanMessage | ChunkFrame]:
        """As `receive`, with bytes that `take` puts where they belong, until it has no more."""
        while got := take(self._room):
            self._room = self._room[got:]
            if len(self._room):
                continue
            if self._body is not None:
                yield self._complete(self._body)
            else:
                self._begin()

    def _begin(self) -> None:
        """Begin a body, if the head is whole."""
        kind, length = _HEAD.unpack_from(self._head)
        if kind == MESSAGE and 0 < length <= limits.LAN_CONTROL_BYTES:
            self._number, self._body = 0, memoryview(bytearray(length))
            self.message_bytes += length
        elif kind == CHUNK and 4 < length <= 4 + limits.CHUNK_BYTES:
            if self._number_is_to_come:
                self._number_is_to_come = False
                self._room = self._head[HEAD_BYTES:]
                return
            _, _, self._number = _CHUNK_HEAD.unpack(self._head)
            if self._expected(self._number) != length - 4:
                raise BadLanFrame("a chunk that was not asked for, or of another length")
            self._body = self.buffers.take(length - 4)
        else:
            raise BadLanFrame("not a frame")
        self._room = self._body

    def _complete(self, body: memoryview) -> LanMessage | ChunkFrame:
        self._body, self._room = None, self._head[:HEAD_BYTES]
        self._number_is_to_come = True
        if self._number:
            return ChunkFrame(self._number, body)
        try:
            return cast(LanMessage, decode(cast(type[object], LanMessage), body, limits.LAN_CONTROL_BYTES))
        except Malformed as error:
            raise BadLanFrame(str(error)) from None
