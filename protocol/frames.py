"""Block frames: how many blocks travel in one body. Owns the framing, sans-IO; never looks inside a block.

A frame is a head of 37 bytes (kind u8, length u32 big-endian, block id of 32 bytes) and `length` bytes. A stream
ends with an `END` frame whose length field counts the frames before it; a stream without one was cut.
"""

import enum
import struct
from collections.abc import Iterator
from typing import Final, NamedTuple

from protocol import limits
from protocol.ids import BlockId

HEAD: Final = struct.Struct(">BI32s")
HEAD_BYTES: Final = HEAD.size


class FrameKind(enum.IntEnum):
    """What a frame says."""

    BLOCK = 1
    ABSENT = 2
    END = 3


class Frame(NamedTuple):
    """One frame. `data` is the block for `BLOCK`, else empty; `total` is the number of frames before an `END`."""

    kind: FrameKind
    block: BlockId
    data: bytes
    total: int = 0


class BadFrame(ValueError):
    """The stream is not a sequence of frames, or breaks a bound."""


def block_head(block: BlockId, length: int) -> bytes:
    """The head that goes before a block of `length` bytes."""
    return HEAD.pack(FrameKind.BLOCK, length, block)


def absent_frame(block: BlockId) -> bytes:
    """Says that the block asked for is not held."""
    return HEAD.pack(FrameKind.ABSENT, 0, block)


def end_frame(count: int) -> bytes:
    """Ends a stream of `count` frames."""
    return HEAD.pack(FrameKind.END, count, bytes(32))


class FrameReader:
    """Bytes in, frames out. Holds at most one unfinished frame (`limits.BLOCK_BYTES`) besides what is fed."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._count = 0
        self.ended = False

    @property
    def unfinished_bytes(self) -> int:
        """How many bytes of a frame not yet complete are held."""
        return len(self._buffer)

    def receive(self, data: bytes | bytearray | memoryview) -> Iterator[Frame]:
        """Feed bytes; yields the frames completed by them, which are to be taken before more is fed.

        Raises `BadFrame`, here or while iterating; nothing may follow an `END`. A frame's bytes are copied twice
        whatever the size of the pieces fed.
        """
        if self.ended and len(data):
            raise BadFrame("bytes after the end of the stream")
        self._buffer += data
        return self._frames()

    def _frames(self) -> Iterator[Frame]:
        at = 0
        try:
            while len(self._buffer) - at >= HEAD_BYTES:
                number, length, block = HEAD.unpack_from(self._buffer, at)
                if number == FrameKind.BLOCK:
                    if not 0 < length <= limits.BLOCK_BYTES:
                        raise BadFrame(f"a block of {length} bytes")
                    if len(self._buffer) - at < HEAD_BYTES + length:
                        return
                    start = at + HEAD_BYTES
                    body = bytes(memoryview(self._buffer)[start : start + length])
                    at = start + length
                    self._count += 1
                    yield Frame(FrameKind.BLOCK, BlockId(block), body)
                elif number == FrameKind.ABSENT and length == 0:
                    at += HEAD_BYTES
                    self._count += 1
                    yield Frame(FrameKind.ABSENT, BlockId(block), b"")
                elif number == FrameKind.END and length == self._count and block == bytes(32):
                    at += HEAD_BYTES
                    self.ended = True
                    if len(self._buffer) > at:
                        raise BadFrame("bytes after the end of the stream")
                    yield Frame(FrameKind.END, BlockId(block), b"", length)
                else:
                    raise BadFrame("not a frame")
        finally:
            del self._buffer[:at]
