"""Reading user files, with proof that they held still.

Owns the check before and after; never changes a file, not even its access time where the system
allows that.
"""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager

from peer.disk.root import Directories, Root
from peer.fingerprint import DiskKind, Fingerprint, Path
from peer.ports import Filesystem, Handle


class StableReading:
    """An open user file. `before` is what it was when it was opened."""

    def __init__(self, fs: Filesystem, handle: Handle, before: Fingerprint) -> None:
        self._fs = fs
        self.handle = handle
        self.before = before

    def blocks(self, buffer: memoryview, offset: int = 0) -> Iterator[memoryview]:
        """Yield the file's bytes from `offset`, in order, as filled parts of `buffer`.

        Each part is only valid until the next is asked for; all but the last fill the buffer.
        """
        while filled := self.read_into(buffer, offset):
            yield buffer[:filled]
            if filled < len(buffer):
                return
            offset += filled

    def read_into(self, buffer: memoryview, offset: int) -> int:
        """Read at `offset` until `buffer` is full or the file ends; return how many bytes."""
        done = 0
        while done < len(buffer):
            count = self._fs.read_into(self.handle, buffer[done:], offset + done)
            if count == 0:
                break
            done += count
        return done

    def is_unchanged(self) -> bool:
        """Say, after reading, whether the bytes read are one state of the file.

        True if the fingerprint is what it was. Names are not looked at: the file may have been renamed or replaced
        meanwhile. Bytes written through a memory map may show in the fingerprint late; `is_being_written` tells.
        """
        return self._fs.stat_handle(self.handle).fingerprint == self.before

    def is_being_written(self) -> bool:
        """Say whether somebody has the file open for writing, and may be in the middle of something."""
        return self._fs.is_being_written(self.handle)


def open_file(root: Root, directories: Directories, path: Path, *, is_held: bool) -> Handle:
    """Open what is at `path`, or among the files that are held under its last name, for reading. Raises OSError."""
    parent, name = (root.held, path[-1]) if is_held else directories.parent(path)
    return root.fs.open_read(parent, name)


@contextmanager
def read_stable(fs: Filesystem, directories: Directories, path: Path) -> Iterator[StableReading]:
    """Open the file at `path` for reading. Raises OSError; EINVAL if it is not a file."""
    parent, name = directories.parent(path)
    handle = fs.open_read(parent, name)
    try:
        status = fs.stat_handle(handle)
        if status.kind is not DiskKind.FILE:
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL), name)
        yield StableReading(fs, handle, status.fingerprint)
    finally:
        fs.close(handle)
