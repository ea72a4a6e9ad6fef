"""A directory of blocks on a real disk: the `BlockFiles` port over Linux system calls. Owns nothing but the calls."""

import os
from collections.abc import Sequence
from pathlib import Path

from coordinator.machine import flush_directory

_FLAGS = os.O_CLOEXEC | os.O_NOFOLLOW


class _DescriptorFile:
    """The `BlockFile` port."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def size(self) -> int:
        return os.fstat(self._descriptor).st_size

    def read(self, length: int, offset: int) -> bytes:
        return os.pread(self._descriptor, length, offset)

    def write(self, parts: Sequence[bytes | memoryview], offset: int) -> int:
        return os.pwritev(self._descriptor, parts, offset)

    def truncate(self, size: int) -> None:
        os.ftruncate(self._descriptor, size)

    def flush(self) -> None:
        os.fdatasync(self._descriptor)

    def close(self) -> None:
        os.close(self._descriptor)


class DirectoryBlockFiles:
    """The `BlockFiles` port."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def prepare(self) -> None:
        """See the port."""
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)

    def names(self) -> list[str]:
        """See the port."""
        return os.listdir(self._directory)

    def has(self, name: str) -> bool:
        """See the port."""
        return (self._directory / name).exists()

    def free_bytes(self) -> int:
        """See the port."""
        found = os.statvfs(self._directory)
        return found.f_bavail * found.f_frsize

    def make(self, name: str) -> _DescriptorFile:
        """See the port."""
        return _DescriptorFile(os.open(self._directory / name, os.O_RDWR | os.O_CREAT | os.O_EXCL | _FLAGS, 0o600))

    def open(self, name: str, *, writes: bool) -> _DescriptorFile:
        """See the port."""
        return _DescriptorFile(os.open(self._directory / name, (os.O_RDWR if writes else os.O_RDONLY) | _FLAGS))

    def flush_names(self) -> None:
        """See the port."""
        flush_directory(self._directory)
