"""Blocks in append-only files of one directory. Owns the files' format and their flushing; knows nothing of users.

A segment `00000001.seg` begins with `MAGIC`; then, for each block, a head as in `protocol.frames` and the bytes. A
place points at the bytes. Appending is serial; a flush covers all that was appended before it, so uploads that arrive
together share one. What an interrupted append left is never pointed at: an index row is written after the flush. A
segment whose end is not the end of a block is left as it is and another one begun, so nothing is ever cut off.

`delete` gives a segment's space back once all of its blocks were deleted; until then the space is only marked.
"""

import contextlib
import errno
import itertools
import logging
import os
import re
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import trio
from blake3 import blake3

from coordinator.ports import BlockFile, BlockFiles, BlockPlace, Offload, StorageUnavailable
from coordinator.storage.block_files import DirectoryBlockFiles
from protocol import limits
from protocol.frames import HEAD, HEAD_BYTES, FrameKind
from protocol.ids import BlockId

logger = logging.getLogger("coordinator.segments")

MAGIC: Final = b"shoal segment 1\n"
SEGMENT_BYTES: Final = 256 * limits.MIB
"""A segment that has reached this is full."""
RESERVE_BYTES: Final = 64 * limits.MIB
"""So much of the disk is left free for the metadata."""
_NAME: Final = re.compile(r"[0-9]{8}\.seg")
_PARTS: Final = 512
"""Buffers handed to one `writev` (IOV_MAX is 1024)."""
_SCAN: Final = 1000


class _Block(NamedTuple):
    block: BlockId
    offset: int
    length: int


class SegmentStore:
    """A `BlockStore` on a directory. Made by `open_segments`. One process at a time may have a directory open."""

    def __init__(
        self,
        files: BlockFiles,
        writer: Offload,
        readers: Offload,
        segment_bytes: int,
        reserve_bytes: int,
        mark: str | None,
    ) -> None:
        self._files = files
        self._mark = mark
        self._writer = writer
        self._readers = readers
        self._segment_bytes = segment_bytes
        self._reserve_bytes = reserve_bytes
        self._append_turn = trio.Lock()
        self._flush_turn = trio.Lock()
        self._appended = 0
        self._flushed = 0
        self._lost: set[int] = set()
        """Appends whose flush failed: nobody may take them for stored."""
        self._begun = False
        self._switch = threading.Lock()
        """Held, for no time, while the two below change: appending and flushing are in different threads."""
        self._current: _Segment | None = None
        self._retired: list[_Segment] = []
        """No longer appended to, not yet flushed and closed."""

    # --- writing -----------------------------------------------------------------------------------------

    async def put_batch(self, blocks: Sequence[tuple[BlockId, bytes]]) -> list[BlockPlace]:
        """Append, then flush once, possibly together with others. Raises `OSError`; `ENOSPC` before the disk is full.

        A batch that could not be written whole is cut off again.
        """
        if not blocks:
            return []
        async with self._append_turn:
            places = await self._writer.run(lambda: self._append(blocks))
            self._appended += 1
            number = self._appended
        async with self._flush_turn:
            if self._flushed < number:
                await self._flush()
        if number in self._lost:
            self._lost.discard(number)
            raise OSError(errno.EIO, "the blocks could not be flushed to the disk")
        return places

    async def _flush(self) -> None:
        # Whatever is appended while this flush is under way waits for the next one.
        covered = self._appended
        with self._switch:
            retired, self._retired = self._retired, []
            current = self._current

        def flush() -> None:
            for segment in retired:
                try:
                    segment.flush()
                finally:
                    segment.close()
            if current is not None:
                current.flush()

        try:
            await self._readers.run(flush)
        except OSError as error:
            # After a failed flush the kernel may have dropped the pages, and report nothing the next time.
            logger.error("flushing segments failed: %s", error)
            self._lost.update(range(self._flushed + 1, covered + 1))
            if current is not None:
                current.broken = True
        self._flushed = covered

    def _check_there(self) -> None:
        if self._mark is not None and not self._files.has(self._mark):
            raise FileNotFoundError(errno.ENOENT, "the directory of blocks is gone", self._mark)

    def _append(self, blocks: Sequence[tuple[BlockId, bytes]]) -> list[BlockPlace]:
        self._check_there()
        size = sum(HEAD_BYTES + len(data) for _, data in blocks)
        if self._files.free_bytes() < size + self._reserve_bytes:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        segment = self._segment_to_append()
        try:
            return segment.append(blocks)
        except OSError:
            segment.cut_back()
            raise

    def _segment_to_append(self) -> "_Segment":
        current = self._current
        if current is not None and (current.broken or current.size >= self._segment_bytes):
            with self._switch:
                self._retired.append(current)
                self._current = current = None
        if current is None:
            current = self._begin_segment()
            with self._switch:
                self._current = current
        return current

    def _begin_segment(self) -> "_Segment":
        names = self._names()
        begun, self._begun = self._begun, True
        if names and not begun:
            last = _Segment.reopened(self._files, names[-1], self._segment_bytes)
            if last is not None:
                return last
        number = int(names[-1][:8]) + 1 if names else 1
        return _Segment.made(self._files, f"{number:08}.seg")

    # --- reading -----------------------------------------------------------------------------------------

    async def get(self, blocks: Sequence[tuple[BlockId, BlockPlace]]) -> list[bytes | None]:
        """Read and verify each; None for one that is missing or damaged, or lies at a bad place of the disk.

        Raises `StorageUnavailable` where it cannot be said: what is only out of reach for now is not damaged.
        """

        def read() -> list[bytes | None]:
            try:
                self._check_there()
                with _Opened(self._files) as opened:
                    return [_read(opened, block, place) for block, place in blocks]
            except OSError as error:
                raise StorageUnavailable(str(error)) from error

        return await self._readers.run(read)

    async def have(self, blocks: Sequence[tuple[BlockId, BlockPlace]]) -> list[bool]:
        """Whether a head with this id and length is there, and enough bytes after it. Raises `StorageUnavailable`."""

        def look() -> list[bool]:
            try:
                with _Opened(self._files) as opened:
                    return [_holds(opened, block, place) for block, place in blocks]
            except OSError as error:
                raise StorageUnavailable(str(error)) from error

        return await self._readers.run(look)

    # --- giving back, and looking at all of it -----------------------------------------------------------

    async def delete(self, places: Sequence[BlockPlace]) -> None:
        """Mark: the space is given back when the segment is rewritten."""
        del places

    async def scan(self) -> AsyncIterator[tuple[BlockId, BlockPlace]]:
        """Every whole block by the heads; bytes are not verified. What is appended meanwhile may be left out."""
        for name in await self._readers.run(self._names):
            offset = len(MAGIC)
            while True:
                found = await self._readers.run(lambda name=name, offset=offset: self._heads(name, offset))  # type: ignore[misc]
                for each in found:
                    yield each.block, BlockPlace(name, each.offset, each.length)
                if len(found) < _SCAN:
                    break
                offset = found[-1].offset + found[-1].length

    def _heads(self, name: str, offset: int) -> list[_Block]:
        with _Opened(self._files) as opened:
            file = opened.get(name)
            return [] if file is None else list(itertools.islice(_walk(file, offset), _SCAN))

    def _names(self) -> list[str]:
        return sorted(name for name in self._files.names() if _NAME.fullmatch(name))

    def close(self) -> None:
        """Let go of the files."""
        for segment in (*self._retired, *([self._current] if self._current else [])):
            segment.close()
        self._retired, self._current = [], None


class _Segment:
    """The one file that is appended to. `size` is where the next block goes."""

    def __init__(self, name: str, file: BlockFile, size: int) -> None:
        self.name = name
        self.size = size
        self.broken = False
        self._file = file

    @classmethod
    def made(cls, files: BlockFiles, name: str) -> "_Segment":
        """A new one, which is there after a crash."""
        file = files.make(name)
        try:
            _write_all(file, [MAGIC], 0)
            file.flush()
            files.flush_names()
        except BaseException:
            file.close()
            raise
        return cls(name, file, len(MAGIC))

    @classmethod
    def reopened(cls, files: BlockFiles, name: str, full: int) -> "_Segment | None":
        """One that ends where a block ends, and has room."""
        file = files.open(name, writes=True)
        size = file.size()
        if size < full and file.read(len(MAGIC), 0) == MAGIC:
            end = len(MAGIC)
            for each in _walk(file, end):
                end = each.offset + each.length
            if end == size:
                return cls(name, file, size)
        file.close()
        return None

    def append(self, blocks: Sequence[tuple[BlockId, bytes]]) -> list[BlockPlace]:
        places, parts, at = [], [], self.size
        for block, data in blocks:
            parts += [HEAD.pack(FrameKind.BLOCK, len(data), block), data]
            places.append(BlockPlace(self.name, at + HEAD_BYTES, len(data)))
            at += HEAD_BYTES + len(data)
        _write_all(self._file, parts, self.size)
        self.size = at
        return places

    def cut_back(self) -> None:
        """Takes away what a failed append left; where that fails too, nothing more goes here."""
        try:
            self._file.truncate(self.size)
        except OSError:
            self.broken = True

    def flush(self) -> None:
        self._file.flush()

    def close(self) -> None:
        self._file.close()


class _Opened:
    """Segments opened for one call in one thread."""

    def __init__(self, files: BlockFiles) -> None:
        self._files = files
        self._opened: dict[str, BlockFile | None] = {}

    def __enter__(self) -> "_Opened":
        return self

    def __exit__(self, kind: object, error: object, traceback: object) -> None:
        for file in self._opened.values():
            if file is not None:
                file.close()

    def get(self, name: str) -> BlockFile | None:
        """The open file, or None where there is no such segment."""
        if name not in self._opened:
            self._opened[name] = self._open(name) if _NAME.fullmatch(name) else None
        return self._opened[name]

    def _open(self, name: str) -> BlockFile | None:
        try:
            return self._files.open(name, writes=False)
        except FileNotFoundError:
            return None


def _read(opened: _Opened, block: BlockId, place: BlockPlace) -> bytes | None:
    file = opened.get(place.segment)
    if file is None or place.offset < 0 or not 0 < place.length <= limits.BLOCK_BYTES:
        return None
    try:
        data = file.read(place.length, place.offset)
    except OSError as error:
        logger.warning("reading %s failed: %s", place.segment, error)
        if error.errno != errno.EIO:
            raise
        data = _read_again(file, place)
    return data if blake3(data).digest() == block else None


def _read_again(file: BlockFile, place: BlockPlace) -> bytes:
    """What the disk gives the second time: nothing where this place alone is beyond it. Raises `OSError`."""
    file.read(len(MAGIC), 0)
    try:
        return file.read(place.length, place.offset)
    except OSError as error:
        if error.errno != errno.EIO:
            raise
        return b""


def _holds(opened: _Opened, block: BlockId, place: BlockPlace) -> bool:
    file = opened.get(place.segment)
    if file is None or place.offset < HEAD_BYTES or not 0 < place.length <= limits.BLOCK_BYTES:
        return False
    head = file.read(HEAD_BYTES, place.offset - HEAD_BYTES)
    size = file.size()
    return head == HEAD.pack(FrameKind.BLOCK, place.length, block) and place.offset + place.length <= size


def _write_all(file: BlockFile, parts: Sequence[bytes], offset: int) -> None:
    for first in range(0, len(parts), _PARTS):
        group: list[bytes | memoryview] = list(parts[first : first + _PARTS])
        while group:
            written = file.write(group, offset)
            offset += written
            while group and written >= len(group[0]):
                written -= len(group[0])
                del group[0]
            if written:
                group[0] = memoryview(group[0])[written:]


def _walk(file: BlockFile, offset: int) -> Iterator[_Block]:
    """The whole blocks from `offset` on, up to the first thing that is none."""
    size = file.size()
    while offset + HEAD_BYTES <= size:
        head = file.read(HEAD_BYTES, offset)
        if len(head) < HEAD_BYTES:
            return
        kind, length, block = HEAD.unpack(head)
        start = offset + HEAD_BYTES
        if kind != FrameKind.BLOCK or not 0 < length <= limits.BLOCK_BYTES or start + length > size:
            return
        yield _Block(BlockId(block), start, length)
        offset = start + length


@contextlib.asynccontextmanager
async def open_segments(
    directory: Path | BlockFiles,
    *,
    writer: Offload,
    readers: Offload,
    segment_bytes: int = SEGMENT_BYTES,
    reserve_bytes: int = RESERVE_BYTES,
    mark: str | None = None,
) -> AsyncGenerator[SegmentStore, None]:
    """The store in this directory, which is made if it is not there. Raises `OSError`.

    Where `mark` is given, the directory counts as gone while it has no file of that name.
    """

    files: BlockFiles = DirectoryBlockFiles(directory) if isinstance(directory, Path) else directory
    await readers.run(files.prepare)
    store = SegmentStore(files, writer, readers, segment_bytes, reserve_bytes, mark)
    try:
        yield store
    finally:
        store.close()
