"""The coordinator's files on a simulated disk: its `BlockFiles` and `Files` ports over one program's view."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from coordinator.ports import FileFacts
from peer.ports import Filesystem, Handle

_SMALL: Final = 1 << 20


class _SimBlockFile:
    """The `BlockFile` port."""

    def __init__(self, fs: Filesystem, handle: Handle) -> None:
        self._fs = fs
        self._handle = handle

    def size(self) -> int:
        return self._fs.stat_handle(self._handle).fingerprint.size

    def read(self, length: int, offset: int) -> bytes:
        buffer = bytearray(length)
        return bytes(buffer[: self._fs.read_into(self._handle, memoryview(buffer), offset)])

    def write(self, parts: Sequence[bytes | memoryview], offset: int) -> int:
        return self._fs.write_at(self._handle, b"".join(parts), offset)

    def truncate(self, size: int) -> None:
        self._fs.truncate(self._handle, size)

    def flush(self) -> None:
        self._fs.sync(self._handle)

    def close(self) -> None:
        self._fs.close(self._handle)


class SimBlockFiles:
    """The `BlockFiles` port, for one life of a coordinator. `path` is absolute; what it is in has to be there."""

    def __init__(self, fs: Filesystem, path: str) -> None:
        self._fs = fs
        self._path = path

    @contextmanager
    def _directory(self, path: str | None = None) -> Iterator[Handle]:
        handle = self._fs.open_root(path or self._path)
        try:
            yield handle
        finally:
            self._fs.close(handle)

    def prepare(self) -> None:
        """See the port."""
        above, _, name = self._path.rpartition("/")
        with self._directory(above or "/") as parent, suppress(FileExistsError):
            self._fs.make_dir(parent, name, 0o700)
            self._fs.sync(parent)

    def names(self) -> list[str]:
        """See the port."""
        with self._directory() as directory:
            return [name for name, _ in self._fs.list_names(directory)]

    def has(self, name: str) -> bool:
        """See the port."""
        try:
            with self._directory() as directory:
                self._fs.stat(directory, name)
        except FileNotFoundError:
            return False
        return True

    def free_bytes(self) -> int:
        """See the port."""
        with self._directory() as directory:
            return self._fs.free_bytes(directory)

    def make(self, name: str) -> _SimBlockFile:
        """See the port."""
        with self._directory() as directory:
            return _SimBlockFile(self._fs, self._fs.create(directory, name))

    def open(self, name: str, *, writes: bool) -> _SimBlockFile:
        """See the port."""
        with self._directory() as directory:
            opened = (self._fs.open_write if writes else self._fs.open_read)(directory, name)
            return _SimBlockFile(self._fs, opened)

    def flush_names(self) -> None:
        """See the port."""
        with self._directory() as directory:
            self._fs.sync(directory)


class SimFiles:
    """The `Files` port, for one life of a coordinator."""

    def __init__(self, fs: Filesystem) -> None:
        self._fs = fs

    @contextmanager
    def _beside(self, path: Path) -> Iterator[Handle]:
        handle = self._fs.open_root(str(path.parent))
        try:
            yield handle
        finally:
            self._fs.close(handle)

    def facts(self, path: Path) -> FileFacts | None:
        """See the port."""
        try:
            with self._beside(path) as directory:
                found = self._fs.stat(directory, path.name).fingerprint
        except FileNotFoundError:
            return None
        return FileFacts(found.inode, found.ctime_ns)

    def read(self, path: Path) -> bytes | None:
        """See the port."""
        try:
            with self._beside(path) as directory:
                handle = self._fs.open_read(directory, path.name)
        except FileNotFoundError:
            return None
        try:
            buffer = bytearray(_SMALL)
            return bytes(buffer[: self._fs.read_into(handle, memoryview(buffer), 0)])
        finally:
            self._fs.close(handle)

    def write(self, path: Path, data: bytes, *, private: bool = False) -> None:
        """See the port."""
        del private
        with self._beside(path) as directory:
            with suppress(FileNotFoundError):
                self._fs.unlink(directory, path.name + ".new")
            handle = self._fs.create(directory, path.name + ".new")
            try:
                self._fs.write_at(handle, data, 0)
                self._fs.sync(handle)
            finally:
                self._fs.close(handle)
            try:
                self._fs.rename_new(directory, path.name + ".new", directory, path.name)
            except FileExistsError:
                self._fs.exchange(directory, path.name + ".new", directory, path.name)
            self._fs.sync(directory)
