"""Blocks and local chunks to files: the part of downloading that runs in worker threads.

Owns checking (block id, seal, chunk id, whole-file digest) and writing temporary files, in the order of the files where
that is possible, so that each is hashed as its bytes pass. Nothing unchecked is ever written. Never awaits, never
touches a user's file but to read a chunk from it.
"""

import errno
import os
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from crypto.digest import chunk_id, file_hasher
from crypto.keyring import WorkspaceKeyring
from peer.disk.failures import failure
from peer.disk.reading import open_file
from peer.disk.root import Directories, Root
from peer.disk.temporary import TempWriter, discard_temp
from peer.fingerprint import Path
from peer.ports import Handle
from peer.transfer.opening import Opened, Received, open_block_of
from peer.transfer.sources import Place
from peer.transfer.steps import Advance, FileState, Hole, Placed, Step
from peer.transfer.unfinished import Begun, FetchRequest, Unfinished
from protocol import limits
from protocol.ids import ChunkId
from protocol.model import ChunkRef

_RESERVE_FROM_BYTES: Final = limits.MIB
_SOURCES_OPEN: Final = 8
_READ_BYTES: Final = limits.MIB


@dataclass(slots=True)
class _Current:
    index: int
    handle: Handle
    writer: TempWriter


class Assembler:
    """Fills temporary files. One call at a time; `steps` pass through `advance` in the order of the files."""

    def __init__(
        self, root: Root, keys: WorkspaceKeyring, requests: Sequence[FetchRequest], begun: Mapping[int, Begun]
    ) -> None:
        self._root = root
        self._fs = root.fs
        self._keys = keys
        self._requests = requests
        self.files = [FileState() for _ in requests]
        for index, one in begun.items():
            self.files[index].temp, self.files[index].begun = one.temp, one
        self._current: _Current | None = None
        self._written: dict[ChunkId, tuple[int, int]] = {}
        self._next_file = 0
        self._directories = Directories(root)
        self._sources: OrderedDict[Path, Handle | None] = OrderedDict()

    def begin(self, unfinished: Unfinished | None) -> set[ChunkId]:
        """Look at what an earlier attempt left, and at the room on the disk; the chunks that are there already."""
        for index, state in enumerate(self.files):
            if state.begun is not None:
                self._take_up(index, state, state.begun)
        self.give_up_what_has_no_room(unfinished)
        return set(self._written)

    def _take_up(self, index: int, state: FileState, begun: Begun) -> None:
        """Go on behind what is there, unless it is not what was left there."""
        try:
            is_untouched = self._fs.stat(self._root.tmp, begun.temp).fingerprint == begun.fingerprint
        except OSError:
            is_untouched = False
        if not is_untouched or not begun.fits(self._requests[index]):
            self._discard(state)
            return
        state.chunks, state.whole_bytes, state.hasher = begun.chunks, begun.whole_bytes, begun.hasher
        offset = 0
        for ref in self._requests[index].manifest.chunks[: begun.chunks]:
            self._written.setdefault(ref.chunk, (index, offset))
            offset += ref.length
        for chunk, early_offset in begun.early:
            self._written.setdefault(chunk, (index, early_offset))

    def give_up_what_has_no_room(self, unfinished: Unfinished | None) -> None:
        """Give up the files for which the disk has no room, before anything of them is asked for.

        What waits for another attempt is removed where that makes room for one.
        """
        wanted = [request.size - state.whole_bytes for request, state in zip(self._requests, self.files, strict=True)]
        try:
            left_bytes = self._fs.free_bytes(self._root.tmp)
            without = _without_room(wanted, left_bytes)
            kept_bytes = unfinished.kept_bytes if unfinished is not None and without else 0
            if unfinished is not None and len(_without_room(wanted, left_bytes + kept_bytes)) < len(without):
                unfinished.remove_all()
                without = _without_room(wanted, self._fs.free_bytes(self._root.tmp))
        except OSError:
            return  # each write will say what is wrong
        for index in without:
            self._fail(index, OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)))

    def advance(self, steps: Sequence[Step], opened: Sequence[Opened], places: dict[ChunkId, Place]) -> Advance:
        """Carry out these steps; `opened` are the chunks of those that are `fetched`, in order."""
        found = Advance()
        chunks = iter(opened)
        for step in steps:
            chunk = next(chunks) if step.fetched else None
            if self.files[step.file].problem is not None:
                continue
            try:
                self._step(step, chunk, places, found)
            except OSError as error:
                self._fail(step.file, error)
        return found

    def place(self, items: Sequence[Placed]) -> list[bool]:
        """Write chunks that come in any order, before `advance` comes to them.

        Of each whether it was what its reference says; what was not is not written. For a file that was given up, or
        is now since the disk refuses, nothing is wrong and nothing written.
        """
        right = [chunk_id(self._keys.fixed, one.data) == one.ref.chunk for one in items]
        by_file: dict[int, list[Placed]] = {}
        for one, is_right in zip(items, right, strict=True):
            if is_right and self.files[one.file].problem is None:
                by_file.setdefault(one.file, []).append(one)
        for index, its in by_file.items():
            try:
                self._place(index, its)
            except OSError as error:
                self._fail(index, error)
        return right

    def _place(self, index: int, items: Sequence[Placed]) -> None:
        handle = self._open_temp(index)
        try:
            writer = TempWriter(self._root, self.files[index].temp, handle)
            for one in items:
                writer.write_at(one.data, one.offset)
                self._written.setdefault(one.ref.chunk, (index, one.offset))
                self._pass_on(self.files[index], one.offset, one.data)
        finally:
            self._fs.close(handle)

    def has(self, chunk: ChunkId) -> bool:
        """Whether a chunk is in one of the temporary files."""
        return chunk in self._written

    def read_back(self, chunk: ChunkId, length: int) -> memoryview | None:
        """A chunk out of a temporary file, compared with its id; None where it is there no longer. Any thread may ask,
        also while another one is at work, and after the files are in place."""
        written = self._written.get(chunk)
        if written is None:
            return None
        index, offset = written
        data = memoryview(bytearray(length))
        try:
            handle = self._fs.open_read(self._root.tmp, self.files[index].temp)
            try:
                if _read(self._root, handle, data, offset) < length:
                    return None
            finally:
                self._fs.close(handle)
        except OSError:
            return None
        return data if chunk_id(self._keys.fixed, data) == chunk else None

    def fill(self, steps: Sequence[Step], received: Sequence[Received]) -> Advance:
        """Write chunks that came late, each received block to all its places."""
        found = Advance()
        by_block = {item.block: item.data for item in received}
        opened: dict[ChunkRef, Opened] = {}
        for step in steps:
            if self.files[step.file].problem is not None:
                continue
            chunk = opened.get(step.ref)
            if chunk is None:
                chunk = opened[step.ref] = open_block_of(self._keys, step.ref, by_block[step.ref.block])
                if chunk.wrong:
                    found.wrong.append(step.ref.block)
            if chunk.data is None:
                found.holes.append(Hole(step, chunk.absent))
                continue
            try:
                self._fill(step, chunk.data)
            except OSError as error:
                self._fail(step.file, error)
        return found

    def _fill(self, step: Step, data: bytes) -> None:
        state = self.files[step.file]
        handle = self._fs.open_write(self._root.tmp, state.temp)
        try:
            TempWriter(self._root, state.temp, handle).write_at(data, step.offset)
        finally:
            self._fs.close(handle)
        self._written.setdefault(step.ref.chunk, (step.file, step.offset))
        state.holes -= 1
        if state.holes == 0 and (self._current is None or self._current.index != step.file):
            self._verify(step.file)

    def lack(self, indexes: Iterable[int]) -> None:
        """Something of these files does not come any more: they will not be whole."""
        for index in indexes:
            self.files[index].holes += 1

    def give_up(self, problems: Sequence[tuple[int, str, str]]) -> None:
        """Go no further with these files: (index, code, message)."""
        for index, code, message in problems:
            state = self.files[index]
            if state.problem is None:
                state.problem = (code, message)
                if self._current is not None and self._current.index == index:
                    self._close_current()
                self._discard(state)

    def finish(self, unfinished: Unfinished | None) -> None:
        """After the last step: end the files that are left; what did not become whole is left for another attempt
        where there may be one, or discarded."""
        try:
            self._end_files(len(self._requests))
            self._close_current()
            for index, state in enumerate(self.files):
                if unfinished is not None and state.problem is None and not state.done and state.temp:
                    self._leave(index, state, unfinished)
                if not state.done:
                    self._discard(state)
        finally:
            self.close()

    def _leave(self, index: int, state: FileState, unfinished: Unfinished) -> None:
        """Leave what there is of a file, with no more room than it takes, for another attempt."""
        assert state.hasher is not None
        begun, request = state.begun, self._requests[index]
        early, end_bytes = self._early(index, state)
        if begun is None and not (state.whole_bytes or early):
            return
        try:
            if begun is None:
                handle = self._fs.open_write(self._root.tmp, state.temp)
                try:
                    found = TempWriter(self._root, state.temp, handle).shorten(max(state.whole_bytes, end_bytes))
                finally:
                    self._fs.close(handle)
                begun = Begun(
                    request.version,
                    request.digest,
                    state.temp,
                    state.chunks,
                    state.whole_bytes,
                    state.hasher,
                    found,
                    early,
                    end_bytes,
                )
        except OSError:
            return  # then there is nothing to go on with
        state.temp, state.whole_bytes, state.hasher, state.begun = "", 0, None, None
        unfinished.put([begun])

    def _early(self, index: int, state: FileState) -> tuple[tuple[tuple[ChunkId, int], ...], int]:
        """What is in a file behind its whole beginning, and where it ends."""
        lengths = {ref.chunk: ref.length for ref in self._requests[index].manifest.chunks[state.chunks :]}
        early = tuple(
            (chunk, offset)
            for chunk, (file, offset) in self._written.items()
            if file == index and offset >= state.whole_bytes and chunk in lengths
        )
        return early, max((offset + lengths[chunk] for chunk, offset in early), default=0)

    def close(self) -> None:
        """Close every handle; temporary files stay."""
        self._close_current()
        while self._sources:
            handle = self._sources.popitem()[1]
            if handle is not None:
                self._fs.close(handle)
        self._directories.close()

    def abandon(self) -> None:
        """Close and remove everything."""
        self.close()
        for state in self.files:
            self._discard(state)

    # --- one chunk --------------------------------------------------------------------------------------

    def _step(self, step: Step, chunk: Opened | None, places: dict[ChunkId, Place], found: Advance) -> None:
        current = self._current
        if current is None or current.index != step.file:
            self._end_files(step.file)
            current = self._begin(step.file)
        state = self.files[step.file]
        passed_bytes = step.offset + step.ref.length
        is_passed = chunk is None and state.hasher is not None and passed_bytes <= state.whole_bytes
        data = chunk.data if chunk is not None else None if is_passed else self._at_hand(step, places)
        if is_passed:
            pass  # it came early, and in order
        elif data is None:
            if chunk is not None and chunk.wrong:
                found.wrong.append(step.ref.block)
            state.holes += 1
            found.holes.append(Hole(step, chunk is not None and chunk.absent))
        else:
            if chunk is not None or self._written.get(step.ref.chunk) != (step.file, step.offset):
                current.writer.write_at(data, step.offset)
            self._pass_on(state, step.offset, data)
            self._written.setdefault(step.ref.chunk, (step.file, step.offset))
        if passed_bytes == self._requests[step.file].size:
            self._end_current(current)

    def _pass_on(self, state: FileState, offset: int, data: bytes | memoryview) -> None:
        """Hash a chunk that follows on what is whole of its file."""
        if state.hasher is not None and state.whole_bytes == offset:
            state.hasher.update(data)
            state.whole_bytes += len(data)
            state.chunks += 1

    def _at_hand(self, step: Step, places: dict[ChunkId, Place]) -> bytes | memoryview | None:
        """The chunk from a file that this run wrote, or from the user's; None where it is not there any more."""
        ref = step.ref
        written = self._written.get(ref.chunk)
        try:
            if written is not None:
                index, offset = written
                return self._checked(ref, offset, lambda: self._temp_source(index))
            place = places.get(ref.chunk)
            if place is not None and place.length == ref.length:
                return self._checked(ref, place.offset, lambda: self._user_source(place))
        except OSError:
            return None
        return None

    def _checked(self, ref: ChunkRef, offset: int, source: Callable[[], Handle | None]) -> memoryview | None:
        handle = source()
        if handle is None:
            return None
        data = memoryview(bytearray(ref.length))
        if _read(self._root, handle, data, offset) < ref.length:
            return None
        return data if chunk_id(self._keys.fixed, data) == ref.chunk else None

    def _temp_source(self, index: int) -> Handle | None:
        if self._current is not None and self._current.index == index:
            return self._current.handle
        # Names in `tmp` are no paths of the folder; the leading slash keeps them apart from all that are.
        name = self.files[index].temp
        return self._source(("/", name), lambda: self._fs.open_read(self._root.tmp, name))

    def _user_source(self, place: Place) -> Handle | None:
        key = ("//", *place.path) if place.is_held else place.path
        return self._source(key, lambda: self._open_user(place))

    def _open_user(self, place: Place) -> Handle | None:
        handle = open_file(self._root, self._directories, place.path, is_held=place.is_held)
        if self._fs.stat_handle(handle).fingerprint != place.fingerprint:
            self._fs.close(handle)
            return None
        return handle

    def _source(self, key: Path, open_it: Callable[[], Handle | None]) -> Handle | None:
        if key in self._sources:
            self._sources.move_to_end(key)
            return self._sources[key]
        try:
            handle = open_it()
        except OSError:
            handle = None
        self._sources[key] = handle
        if len(self._sources) > _SOURCES_OPEN:
            oldest = self._sources.popitem(last=False)[1]
            if oldest is not None:
                self._fs.close(oldest)
        return handle

    # --- one file ---------------------------------------------------------------------------------------

    def _end_files(self, before: int) -> None:
        """Make the empty files that come before file `before`."""
        while self._next_file < before:
            index = self._next_file
            self._next_file += 1
            if self._requests[index].size == 0 and self.files[index].problem is None:
                try:
                    self._end_current(self._begin(index))
                except OSError as error:
                    self._fail(index, error)

    def _begin(self, index: int) -> _Current:
        self._next_file = index + 1
        self._close_current()
        state = self.files[index]
        handle = self._open_temp(index)
        self._current = _Current(index, handle, TempWriter(self._root, state.temp, handle))
        return self._current

    def _open_temp(self, index: int) -> Handle:
        """The file's temporary file, made where there is none; it has room for all of the file."""
        state, size = self.files[index], self._requests[index].size
        if state.temp and state.begun is None:
            return self._fs.open_write(self._root.tmp, state.temp)
        if state.temp:
            state.begun = None
            handle = self._fs.open_write(self._root.tmp, state.temp)
        else:
            name = self._root.fresh_name()
            handle = self._fs.create(self._root.tmp, name)
            state.temp, state.hasher = name, file_hasher(self._keys.fixed)
        if size >= _RESERVE_FROM_BYTES:
            self._fs.allocate(handle, size)
        return handle

    def _end_current(self, current: _Current) -> None:
        self._close_current()
        state = self.files[current.index]
        if state.hasher is not None and state.whole_bytes == self._requests[current.index].size:
            self._judge(current.index, state.hasher.digest())
        elif state.holes == 0:
            self._verify(current.index)

    def _close_current(self) -> None:
        current, self._current = self._current, None
        if current is not None:
            self._fs.close(current.handle)

    def _verify(self, index: int) -> None:
        """The digest of a file whose chunks did not come in order."""
        handle = self._fs.open_read(self._root.tmp, self.files[index].temp)
        try:
            hasher = file_hasher(self._keys.fixed)
            buffer = memoryview(bytearray(_READ_BYTES))
            offset = 0
            while count := _read(self._root, handle, buffer, offset):
                hasher.update(buffer[:count])
                offset += count
        finally:
            self._fs.close(handle)
        self._judge(index, hasher.digest())

    def _judge(self, index: int, digest: bytes) -> None:
        state = self.files[index]
        if digest == self._requests[index].digest:
            state.done, state.hasher = True, None
        else:
            state.problem = ("bad_change", "the file's digest is not that of its chunks")
            self._discard(state)

    def _fail(self, index: int, error: OSError) -> None:
        found = failure(error)
        self.give_up([(index, found.code, found.message)])

    def _discard(self, state: FileState) -> None:
        if state.temp:
            discard_temp(self._root, state.temp)
            state.temp, state.chunks, state.whole_bytes, state.hasher, state.begun = "", 0, 0, None, None


def _without_room(sizes: Sequence[int], left_bytes: int) -> list[int]:
    """Which of these do not fit, where each takes its room before the next."""
    without = []
    for index, size in enumerate(sizes):
        if size > left_bytes:
            without.append(index)
        else:
            left_bytes -= size
    return without


def _read(root: Root, handle: Handle, buffer: memoryview, offset: int) -> int:
    done = 0
    while done < len(buffer):
        count = root.fs.read_into(handle, buffer[done:], offset + done)
        if count == 0:
            break
        done += count
    return done
