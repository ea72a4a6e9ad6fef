"""User files to named chunks, in batches: the part of ingesting that runs in worker threads.

Owns reading, cutting and hashing in one pass, and proof that a file held still meanwhile. Never encrypts or sends
anything, never changes a file. Everything here blocks; nothing here awaits.
"""

import errno
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from blake3 import blake3

from chunking.cutter import Cutter, cut
from chunking.params import ChunkerParams
from crypto.digest import FixedKeys, chunk_id, file_digest, file_hasher
from peer.disk.failures import failure
from peer.disk.reading import StableReading, open_file
from peer.disk.root import Directories, Root
from peer.fingerprint import DiskKind, Fingerprint, Path
from protocol import limits
from protocol.ids import ChunkId

BATCH_BYTES: Final = 2 * limits.MIB
"""How much is read in one call: enough to make the hop to a thread cheap, little enough to hold a few at once."""
BATCH_FILES: Final = 500
_STREAM_FROM_BYTES: Final = limits.MIB
"""A file too long for what is left of a batch is begun there if there is at least this much. One of this length is
waited for while it is open for writing: reading it twice costs more than that."""
_GONE: Final = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENXIO, errno.EISDIR, errno.ESTALE})


@dataclass(frozen=True, slots=True)
class IngestRequest:
    """A file to take in, as a scan saw it.

    A long one that somebody has open for writing is not begun, unless `even_if_open`: some are open all the time.
    `is_held`: it is the file of that name among those held for versions that are not durable.
    """

    path: Path
    expected: Fingerprint
    even_if_open: bool = False
    is_held: bool = False


@dataclass(frozen=True, slots=True)
class FileRead:
    """All of a file was read while it held still: its keyed digest and what it is."""

    digest: bytes
    fingerprint: Fingerprint


@dataclass(frozen=True, slots=True)
class FileChanged:
    """The file is not what the scan saw, or changed while it was read, or is being written, or is gone."""


@dataclass(frozen=True, slots=True)
class FileFailed:
    """The system refused to let the file be read."""

    code: str
    message: str


FileEnd = FileRead | FileChanged | FileFailed
_CHANGED: Final = FileChanged()


class Origin(NamedTuple):
    """Where a chunk was read: the request's index and the place in that file."""

    file: int
    chunk: ChunkId
    offset: int
    length: int


class ReadChunk(NamedTuple):
    """A chunk and its bytes (empty where only names are wanted)."""

    origin: Origin
    data: memoryview | bytes


@dataclass(slots=True)
class ReadBatch:
    """What one call read: chunks in the order of their files, and how files ended (by index)."""

    chunks: list[ReadChunk] = field(default_factory=list)
    ended: list[tuple[int, FileEnd]] = field(default_factory=list)
    slab: memoryview | None = None
    """What the chunks' bytes are in, where they are kept: for `FileReader.give_back`."""


@dataclass(slots=True)
class _OpenFile:
    """A file that is longer than what was left of a batch, between two calls."""

    index: int
    reading: StableReading
    cutter: Cutter
    hasher: blake3
    read_bytes: int = 0
    cut_bytes: int = 0
    chunks: int = 0


class FileReader:
    """Reads files in the order `indexes` gives them. One thread at a time; several readers may share `indexes`.

    With `keep` the chunks carry their bytes (at most `BATCH_BYTES` and one chunk a batch), else only their names.
    """

    def __init__(
        self,
        root: Root,
        requests: Sequence[IngestRequest],
        indexes: Iterator[int],
        keys: FixedKeys,
        params: ChunkerParams,
        keep: bool,
    ) -> None:
        self._root = root
        self._fs = root.fs
        self._directories = Directories(root)
        self._requests = requests
        self._indexes = indexes
        self._keys = keys
        self._params = params
        self._keep = keep
        self._next: int | None = next(indexes, None)
        self._file: _OpenFile | None = None
        self._slab = memoryview(b"")
        self._slab_at = 0
        self._idle: list[memoryview] = []

    def give_back(self, slab: memoryview) -> None:
        """The chunks of a batch are looked at no more: their memory serves another one. Any thread may say so."""
        self._idle.append(slab)

    def next_batch(self) -> ReadBatch | None:
        """Read on; None when there is nothing left."""
        if self._next is None:
            return None
        batch = ReadBatch()
        # Another buffer each time where chunks keep views of the old one; new memory costs as much as filling it.
        if self._keep or not self._slab:
            self._slab = self._idle.pop() if self._idle else memoryview(bytearray(BATCH_BYTES))
        self._slab_at = 0
        batch.slab = self._slab if self._keep else None
        while self._next is not None and self._slab_at < BATCH_BYTES and len(batch.ended) < BATCH_FILES:
            index = self._next
            try:
                end = self._go_on(index, batch)
            except OSError as error:
                end = _CHANGED if error.errno in _GONE else _failed(error)
            if isinstance(end, _Later):
                break
            if end is not None:
                self._close_file()
                batch.ended.append((index, end))
                self._next = next(self._indexes, None)
        return batch

    def close(self) -> None:
        """Close every handle."""
        self._close_file()
        self._directories.close()

    def _go_on(self, index: int, batch: ReadBatch) -> "FileEnd | _Later | None":
        """Read some of the file; how it ended, `_LATER` if it needs a batch of its own, None if there is more."""
        if self._file is not None:
            return self._read_piece(self._file, batch)
        request = self._requests[index]
        expected = request.expected
        room = BATCH_BYTES - self._slab_at
        if expected.size > room and self._slab_at and (expected.size <= BATCH_BYTES or room < _STREAM_FROM_BYTES):
            return _LATER
        handle = open_file(self._root, self._directories, request.path, is_held=request.is_held)
        keep_open = False
        try:
            status = self._fs.stat_handle(handle)
            if status.kind is not DiskKind.FILE or status.fingerprint != expected:
                return _CHANGED
            reading = StableReading(self._fs, handle, expected)
            if not request.even_if_open and expected.size >= _STREAM_FROM_BYTES and reading.is_being_written():
                return _CHANGED
            if expected.size <= room:
                return self._read_whole(index, reading, batch)
            self._file = _OpenFile(index, reading, Cutter(self._params), file_hasher(self._keys))
            keep_open = True
        finally:
            if not keep_open:
                self._fs.close(handle)
        return self._read_piece(self._file, batch)

    def _read_whole(self, index: int, reading: StableReading, batch: ReadBatch) -> FileEnd:
        view = self._take(reading, reading.before.size, 0)
        if view is None or not reading.is_unchanged():
            return _CHANGED
        size = len(view)
        spans = [(0, size)] if 0 < size <= self._params.min_size else cut(view, self._params)
        for offset, length in spans:
            self._add(batch, index, offset, view[offset : offset + length])
        return FileRead(file_digest(self._keys, view), reading.before)

    def _read_piece(self, file: _OpenFile, batch: ReadBatch) -> FileEnd | None:
        size = file.reading.before.size
        view = self._take(file.reading, min(size - file.read_bytes, BATCH_BYTES - self._slab_at), file.read_bytes)
        # Looked at each time: of a file that is being written no more is read, and sent, than has to be.
        if view is None or not file.reading.is_unchanged():
            return _CHANGED
        file.read_bytes += len(view)
        file.hasher.update(view)
        chunks = file.cutter.feed(view)
        if file.read_bytes == size:
            chunks += file.cutter.finish()
        for data in chunks:
            self._add(batch, file.index, file.cut_bytes, data)
            file.cut_bytes += len(data)
        file.chunks += len(chunks)
        if file.chunks > limits.CHANGE_BLOCKS:
            return FileFailed("unreadable", f"longer than {limits.CHANGE_BLOCKS} chunks")
        if file.read_bytes < size:
            return None
        return FileRead(file.hasher.digest(), file.reading.before)

    def _take(self, reading: StableReading, count: int, offset: int) -> memoryview | None:
        """The next `count` bytes, in the batch's buffer; None where the file is shorter than it was."""
        view = self._slab[self._slab_at : self._slab_at + count]
        if reading.read_into(view, offset) < count:
            return None
        self._slab_at += count
        return view

    def _add(self, batch: ReadBatch, index: int, offset: int, data: memoryview) -> None:
        origin = Origin(index, ChunkId(chunk_id(self._keys, data)), offset, len(data))
        batch.chunks.append(ReadChunk(origin, data if self._keep else b""))

    def _close_file(self) -> None:
        if self._file is not None:
            handle, self._file = self._file.reading.handle, None
            self._fs.close(handle)


class _Later:
    """The file needs a batch of its own."""


_LATER: Final = _Later()


def read_again(
    root: Root, requests: Sequence[IngestRequest], origins: Sequence[Origin], keys: FixedKeys
) -> list[ReadChunk | None]:
    """The chunks at these places once more, in order; None for one that is no longer there."""
    chunks: list[ReadChunk | None] = []
    with root.open_directories() as directories:
        for origin in origins:
            request = requests[origin.file]
            try:
                handle = open_file(root, directories, request.path, is_held=request.is_held)
                try:
                    reading = StableReading(root.fs, handle, request.expected)
                    data = memoryview(bytearray(origin.length))
                    whole = reading.read_into(data, origin.offset) == origin.length
                finally:
                    root.fs.close(handle)
            except OSError:
                whole, data = False, memoryview(b"")
            held = whole and chunk_id(keys, data) == origin.chunk
            chunks.append(ReadChunk(origin, data) if held else None)
    return chunks


def _failed(error: OSError) -> FileFailed:
    found = failure(error)
    return FileFailed(found.code, found.message)
