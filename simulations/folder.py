"""A folder as a person at the device sees it. Owns turning paths into calls of the `Filesystem` port.

Paths are relative, with `/` between names. The engine's private directory is not shown. Errors are `OSError`. What is
changed is durable at once: programs that people save with see to that, and what they lost would be nobody's fault.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from peer.disk.root import PRIVATE_NAME
from peer.fingerprint import DiskKind, Status
from peer.ports import Filesystem, Handle
from simulations.disk import SimDisk

_READ_BYTES: Final = 1 << 20
_EXECUTABLE: Final = 0o111


class Folder:
    """The directory at `root`, an absolute path on the disk behind `fs`."""

    def __init__(self, fs: Filesystem, root: str) -> None:
        self._fs = fs
        self.root = root

    # --- looking ------------------------------------------------------------------------------------------

    def status(self, path: str) -> Status:
        """What is at a path."""
        with self._parent(path) as (parent, name):
            return self._fs.stat(parent, name)

    def read(self, path: str) -> bytes:
        """All bytes of a file."""
        with self._parent(path) as (parent, name):
            handle = self._fs.open_read(parent, name)
            try:
                return self._read_all(handle)
            finally:
                self._fs.close(handle)

    def walk(self, top: str = "") -> list[tuple[str, Status]]:
        """Everything below a directory, sorted by path."""
        found: list[tuple[str, Status]] = []
        with self._directory(top) as handle:
            names = sorted(self._fs.list_dir(handle), key=lambda one: one[0])
        for name, status in names:
            if isinstance(status, OSError) or (not top and name == PRIVATE_NAME):
                continue
            path = f"{top}/{name}" if top else name
            found.append((path, status))
            if status.kind is DiskKind.DIRECTORY:
                found += self.walk(path)
        return found

    def tree(self) -> dict[str, bytes | None]:
        """The bytes of all files by path; None for a directory, `-> TARGET` for a link."""
        return self.tree_below("")

    def tree_below(self, top: str) -> dict[str, bytes | None]:
        """The same of a directory alone."""
        found: dict[str, bytes | None] = {}
        for path, status in self.walk(top):
            if status.kind is DiskKind.DIRECTORY:
                found[path] = None
            elif status.kind is DiskKind.SYMLINK:
                with self._parent(path) as (parent, name):
                    found[path] = b"-> " + self._fs.read_link(parent, name).encode()
            else:
                found[path] = self.read(path)
        return found

    # --- changing -----------------------------------------------------------------------------------------

    def create(self, path: str, data: bytes, *, executable: bool = False) -> None:
        """A new file, whole at once as far as others can tell in one step."""
        with self._parent(path) as (parent, name):
            handle = self._fs.create(parent, name)
            try:
                self._write_all(handle, data, 0)
                if executable:
                    self._fs.set_mode(handle, 0o755)
                self._fs.sync(handle)
            finally:
                self._fs.close(handle)
            self._fs.sync(parent)

    def overwrite(self, path: str, data: bytes, offset: int, *, cut: bool) -> None:
        """Write into an existing file from an offset on; `cut` ends it there."""
        with self._parent(path) as (parent, name):
            handle = self._fs.open_write(parent, name)
            try:
                self._write_all(handle, data, offset)
                if cut:
                    self._fs.truncate(handle, offset + len(data))
                self._fs.sync(handle)
            finally:
                self._fs.close(handle)

    def make_directory(self, path: str) -> None:
        """A new directory."""
        with self._parent(path) as (parent, name):
            self._fs.make_dir(parent, name, 0o755)
            self._fs.sync(parent)

    def move(self, path: str, new: str, *, to: "Folder | None" = None) -> None:
        """To a free name, here or in another folder of the same disk."""
        with self._parent(path) as (parent, name), (to or self)._parent(new) as (new_parent, new_name):
            self._fs.rename_new(parent, name, new_parent, new_name)
            self._fs.sync(new_parent)
            self._fs.sync(parent)

    def exchange(self, path: str, other: str, *, in_folder: "Folder") -> None:
        """Swap with what another folder of the same disk has."""
        with self._parent(path) as (parent, name), in_folder._parent(other) as (other_parent, other_name):
            self._fs.exchange(parent, name, other_parent, other_name)
            self._fs.sync(parent)
            self._fs.sync(other_parent)

    def delete(self, path: str) -> None:
        """A file or a link."""
        with self._parent(path) as (parent, name):
            self._fs.unlink(parent, name)
            self._fs.sync(parent)

    def delete_directory(self, path: str) -> None:
        """An empty one."""
        with self._parent(path) as (parent, name):
            self._fs.remove_dir(parent, name)
            self._fs.sync(parent)

    def sync(self, path: str) -> None:
        """Have a file's bytes and the names in its directory survive a loss of power."""
        with self._parent(path) as (parent, name):
            handle = self._fs.open_read(parent, name)
            try:
                self._fs.sync(handle)
            finally:
                self._fs.close(handle)
            self._fs.sync(parent)

    def flip_executable(self, path: str) -> None:
        """The other way round."""
        with self._parent(path) as (parent, name):
            mode = self._fs.stat(parent, name).mode
            handle = self._fs.open_read(parent, name)
            try:
                self._fs.set_mode(handle, mode ^ _EXECUTABLE)
                self._fs.sync(handle)
            finally:
                self._fs.close(handle)

    # --- the port -----------------------------------------------------------------------------------------

    @contextmanager
    def _directory(self, path: str) -> Iterator[Handle]:
        handle = self._fs.open_root(self.root)
        try:
            for name in path.split("/") if path else ():
                below = self._fs.open_dir(handle, name)
                self._fs.close(handle)
                handle = below
            yield handle
        finally:
            self._fs.close(handle)

    @contextmanager
    def _parent(self, path: str) -> Iterator[tuple[Handle, str]]:
        above, _, name = path.rpartition("/")
        with self._directory(above) as handle:
            yield handle, name

    def _read_all(self, handle: Handle) -> bytes:
        found = bytearray()
        buffer = memoryview(bytearray(_READ_BYTES))
        while size := self._fs.read_into(handle, buffer, len(found)):
            found += buffer[:size]
        return bytes(found)

    def _write_all(self, handle: Handle, data: bytes, offset: int) -> None:
        at = 0
        while at < len(data):
            at += self._fs.write_at(handle, memoryview(data)[at:], offset + at)


def rescue_area(disk: SimDisk) -> Folder:
    """Where a device has put what it could not decide about."""
    return Folder(disk.people, f"{disk.folder}/{PRIVATE_NAME}/rescue")
