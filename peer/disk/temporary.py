"""Temporary files: where the bytes of a file gather before they are put in place.

Owns creating, filling and finishing a file in `.shoal/tmp`. Makes nothing durable (that is one
call for a whole batch, in `peer.disk.apply`), and never touches a user path but to read from it.
"""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager

from peer.disk.root import Root
from peer.fingerprint import Fingerprint
from peer.ports import Handle

_RESERVE_FROM_BYTES = 1 << 20
"""Smaller files learn as early from the write itself that the disk is full."""
_COPY_BYTES = 1 << 20
_NO_KERNEL_COPY = (errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.EPERM)


class TempWriter:
    """A file in the making. Writes may come in any order; not for use by two threads at once."""

    def __init__(self, root: Root, name: str, handle: Handle) -> None:
        self.name = name
        self._fs = root.fs
        self._handle = handle

    def write_at(self, data: bytes | memoryview, offset: int) -> None:
        """Write all of `data` at `offset`."""
        rest = memoryview(data)
        while len(rest):
            written = self._fs.write_at(self._handle, rest, offset)
            if written <= 0:
                raise OSError(errno.EIO, "a write wrote nothing", self.name)
            rest = rest[written:]
            offset += written

    def copy_from(self, source: Handle, source_offset: int, offset: int, length: int) -> int:
        """Copy from an open file and return how many bytes; fewer than `length` at its end.

        The source may change meanwhile: whoever asks reads the result back and checks its hash.
        """
        done = 0
        while done < length:
            try:
                copied = self._fs.copy_range(source, source_offset + done, self._handle, offset + done, length - done)
            except OSError as error:
                if error.errno not in _NO_KERNEL_COPY:
                    raise
                return done + self._copy_by_hand(source, source_offset + done, offset + done, length - done)
            if copied == 0:
                break
            done += copied
        return done

    def read_into(self, buffer: memoryview, offset: int) -> int:
        """Read back what was written; fills `buffer` unless the file ends."""
        done = 0
        while done < len(buffer):
            count = self._fs.read_into(self._handle, buffer[done:], offset + done)
            if count == 0:
                break
            done += count
        return done

    def shorten(self, size_bytes: int) -> Fingerprint:
        """Leave the beginning alone, with no more room than it takes, and return what the file is now."""
        self._fs.truncate(self._handle, size_bytes)
        return self._fs.stat_handle(self._handle).fingerprint

    def finish(self, size_bytes: int, mtime_ns: int, executable: bool) -> Fingerprint:
        """Set length, mode and time, and return what the file is now. Writes nothing after it."""
        fs = self._fs
        status = fs.stat_handle(self._handle)
        if status.fingerprint.size != size_bytes:
            fs.truncate(self._handle, size_bytes)
        mode = with_executable(status.mode, executable)
        if mode != status.mode:
            fs.set_mode(self._handle, mode)
        fs.set_mtime(self._handle, mtime_ns)
        return fs.stat_handle(self._handle).fingerprint

    def _copy_by_hand(self, source: Handle, source_offset: int, offset: int, length: int) -> int:
        buffer = memoryview(bytearray(min(length, _COPY_BYTES)))
        done = 0
        while done < length:
            part = buffer[: min(length - done, _COPY_BYTES)]
            count = self._fs.read_into(source, part, source_offset + done)
            if count == 0:
                break
            self.write_at(part[:count], offset + done)
            done += count
        return done


@contextmanager
def open_temp(root: Root, size_bytes: int = 0) -> Iterator[TempWriter]:
    """Create a temporary file with room for `size_bytes`; it is removed if the body raises.

    Raises OSError with ENOSPC before anything is fetched if the room is not there. After the body
    the file is closed and stays in `tmp` under the writer's `name` until a step or `discard_temp`
    takes it.
    """
    name = root.fresh_name()
    handle = root.fs.create(root.tmp, name)
    try:
        try:
            if size_bytes >= _RESERVE_FROM_BYTES:
                _reserve(root, handle, size_bytes)
            yield TempWriter(root, name, handle)
        finally:
            root.fs.close(handle)
    except BaseException:
        discard_temp(root, name)
        raise


def _reserve(root: Root, handle: Handle, size_bytes: int) -> None:
    # Asked first, since a reservation that fails may have taken, and must give back, all there is.
    if root.fs.free_bytes(handle) < size_bytes:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    root.fs.allocate(handle, size_bytes)


def discard_temp(root: Root, name: str) -> None:
    """Remove a temporary file that nobody needs any more; nothing if it is gone."""
    try:
        root.fs.unlink(root.tmp, name)
    except FileNotFoundError:
        return


def with_executable(mode: int, executable: bool) -> int:
    """Return permission bits with or without execution, for those who may read."""
    plain = mode & ~0o111
    return plain | ((plain & 0o444) >> 2) if executable else plain
