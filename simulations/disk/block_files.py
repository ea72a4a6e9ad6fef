"""The coordinator's directory of blocks on a simulated disk: its `BlockFiles` port over one program's view."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

from peer.ports import Handle
from simulations.disk.filesystem import SimFilesystem


class _SimBlockFile:
    """The `BlockFile` port."""

    def __init__(self, fs: SimFilesystem, handle: Handle) -> None:
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

    def __init__(self, fs: SimFilesystem, path: str) -> None:
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
