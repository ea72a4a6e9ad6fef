"""The bytes of one simulated file, held as a description.

Owns contents as immutable values: literal bytes, holes, and stretches of a generated pattern, which cost nothing
however long they are. Bytes of a pattern are recognised when they are written elsewhere, so that a copy of a large
generated file costs nothing either. Never knows of files, names or disks.
"""

import bisect
import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

PAGE_BYTES = 4096
_MAGIC = b"generated page \n"
_HEAD_BYTES = len(_MAGIC) + 16
_JOIN_BYTES = 64 * 1024
"""Literal neighbours are joined up to this length."""


@lru_cache(maxsize=1024)
def _page(seed: int, index: int) -> bytes:
    head = _MAGIC + seed.to_bytes(8, "big") + index.to_bytes(8, "big")
    return head + hashlib.shake_128(head).digest(PAGE_BYTES - _HEAD_BYTES)


class _Piece(NamedTuple):
    """`length` bytes: of a literal, of the pattern with that seed, or of a hole; from `at` on."""

    length: int
    source: bytes | int | None
    at: int

    def part(self, first: int, last: int) -> "_Piece":
        return _Piece(last - first, self.source, 0 if self.source is None else self.at + first)

    def data(self) -> bytes:
        if self.source is None:
            return bytes(self.length)
        if isinstance(self.source, bytes):
            return self.source[self.at : self.at + self.length]
        return _pattern(self.source, self.at, self.length)


def _pattern(seed: int, offset: int, length: int) -> bytes:
    first = offset // PAGE_BYTES
    pages = b"".join(_page(seed, index) for index in range(first, (offset + length + PAGE_BYTES - 1) // PAGE_BYTES))
    return pages[offset - first * PAGE_BYTES :][:length]


@dataclass(frozen=True, eq=False)
class Content:
    """What is in a file. Every change gives a new value; the old one stays as it was."""

    _pieces: tuple[_Piece, ...]
    _starts: tuple[int, ...]
    size: int
    held: int
    """Bytes that are not holes."""

    @classmethod
    def of(cls, data: bytes | bytearray | memoryview) -> "Content":
        """These bytes."""
        return _joined(_recognised(bytes(data)))

    @classmethod
    def generated(cls, seed: int, size: int) -> "Content":
        """`size` incompressible bytes that follow from `seed`, which is below 2 ** 64."""
        return _joined([_Piece(size, seed, 0)])

    def read(self, offset: int, length: int) -> bytes:
        """The bytes from `offset` on, at most `length`; fewer at the end."""
        return b"".join(piece.data() for piece in self._part(offset, min(self.size, offset + length)))

    def cut(self, offset: int, length: int) -> "Content":
        """A part of it, as a content."""
        return _joined(self._part(offset, min(self.size, offset + length)))

    def put(self, offset: int, new: "Content") -> "Content":
        """With `new` at `offset`; what lies between the end and `offset` becomes a hole."""
        end = offset + new.size
        gap = [_Piece(offset - self.size, None, 0)] if offset > self.size else []
        return _joined([*self._part(0, min(offset, self.size)), *gap, *new._pieces, *self._part(end, self.size)])

    def resized(self, size: int) -> "Content":
        """Cut off, or made longer by a hole."""
        if size <= self.size:
            return self if size == self.size else _joined(self._part(0, size))
        return _joined([*self._pieces, _Piece(size - self.size, None, 0)])

    def __bytes__(self) -> bytes:
        return self.read(0, self.size)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Content):
            return NotImplemented
        if self is other or self._pieces == other._pieces:
            return True
        return self.size == other.size and all(
            self.read(offset, _JOIN_BYTES) == other.read(offset, _JOIN_BYTES)
            for offset in range(0, self.size, _JOIN_BYTES)
        )

    def __hash__(self) -> int:
        return hash(self.size)

    def digest(self) -> bytes:
        """A hash of the bytes; for comparing many."""
        hashed = hashlib.blake2b(digest_size=32)
        for offset in range(0, self.size, 1 << 20):
            hashed.update(self.read(offset, 1 << 20))
        return hashed.digest()

    def _part(self, first: int, last: int) -> Iterator[_Piece]:
        if first >= last:
            return
        index = bisect.bisect_right(self._starts, first) - 1
        while index < len(self._pieces) and self._starts[index] < last:
            start, piece = self._starts[index], self._pieces[index]
            yield piece.part(max(first - start, 0), min(last - start, piece.length))
            index += 1


def _joined(pieces: Iterable[_Piece]) -> Content:
    """The content of these pieces one after the other, neighbours joined where that saves."""
    kept: list[_Piece] = []
    for piece in pieces:
        if piece.length == 0:
            continue
        last = kept[-1] if kept else None
        if last is None or type(last.source) is not type(piece.source):
            kept.append(piece)
        elif isinstance(piece.source, bytes):
            if last.length + piece.length <= _JOIN_BYTES:
                both = last.data() + piece.data()
                kept[-1] = _Piece(len(both), both, 0)
            else:
                kept.append(piece)
        elif piece.source is None or (piece.source == last.source and piece.at == last.at + last.length):
            kept[-1] = last._replace(length=last.length + piece.length)
        else:
            kept.append(piece)
    starts, size, held = [], 0, 0
    for piece in kept:
        starts.append(size)
        size += piece.length
        held += piece.length if piece.source is not None else 0
    return Content(tuple(kept), tuple(starts), size, held)


def _recognised(data: bytes) -> list[_Piece]:
    """`data` as pieces: where it is of the pattern it begins with, as that."""
    literal = [_Piece(len(data), data, 0)]
    found = data.find(_MAGIC, 0, PAGE_BYTES + len(_MAGIC)) if len(data) >= PAGE_BYTES else -1
    if found < 0 or found + _HEAD_BYTES > len(data):
        return literal
    seed = int.from_bytes(data[found + 16 : found + 24], "big")
    origin = int.from_bytes(data[found + 24 : found + 32], "big") * PAGE_BYTES - found
    if origin < 0 or origin >= 1 << 62:
        return literal
    pieces: list[_Piece] = []
    at = 0
    while at < len(data):
        length = min(PAGE_BYTES - (origin + at) % PAGE_BYTES, len(data) - at)
        if data[at : at + length] == _pattern(seed, origin + at, length):
            pieces.append(_Piece(length, seed, origin + at))
        elif pieces and isinstance(pieces[-1].source, bytes):
            pieces[-1] = pieces[-1]._replace(length=pieces[-1].length + length)
        else:
            pieces.append(_Piece(length, data, at))
        at += length
    return pieces


EMPTY = Content.of(b"")
