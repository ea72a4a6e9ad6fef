"""The machine as the coordinator's ports: its clock, randomness, threads and small files.

Owns the real implementations of `Clock`, `Entropy`, `Offload` and `Files`; made only in `app` and the commands.
"""

import contextlib
import ctypes
import os
import secrets
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import trio

from coordinator.ports import FileFacts

T = TypeVar("T")


class MachineClock:
    """The system's time and its monotonic clock."""

    def now_ms(self) -> int:
        """Milliseconds since 1970."""
        return time.time_ns() // 1_000_000

    def monotonic_s(self) -> float:
        """Seconds since the machine started."""
        return time.monotonic()


class MachineEntropy:
    """The system's random number generator."""

    def bytes(self, count: int) -> bytes:
        """`count` unpredictable bytes."""
        return secrets.token_bytes(count)


class ThreadOffload:
    """Worker threads, at most `threads` at a time."""

    def __init__(self, threads: int) -> None:
        self._limiter = trio.CapacityLimiter(threads)

    async def run(self, function: Callable[[], T]) -> T:
        """The result of `function()` from a worker thread; once begun it is waited for."""
        return await trio.to_thread.run_sync(function, limiter=self._limiter)


class DirectoryFiles:
    """Small files on the real disk."""

    def facts(self, path: Path) -> FileFacts | None:
        """Inode and change time, or None."""
        try:
            found = path.stat(follow_symlinks=False)
        except FileNotFoundError:
            return None
        return FileFacts(found.st_ino, found.st_ctime_ns)

    def read(self, path: Path) -> bytes | None:
        """The whole file, or None."""
        try:
            return path.read_bytes()
        except FileNotFoundError:
            return None

    def write(self, path: Path, data: bytes, *, private: bool = False) -> None:
        """Replace the file as a whole: a temporary one, flushed, renamed over it, the directory flushed."""
        temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
        try:
            write_new(temporary, data, 0o600 if private else 0o644)
            temporary.replace(path)
        finally:
            with contextlib.suppress(FileNotFoundError):
                temporary.unlink()
        flush_directory(path.parent)


def write_new(path: Path, data: bytes, mode: int) -> None:
    """Make a file that is not there yet and flush it. Raises `FileExistsError`."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, mode)
    with open(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def flush_directory(path: Path) -> None:
    """Make what was created, renamed or removed in a directory durable."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8
"""From glibc's malloc.h."""


def bound_memory() -> None:
    """Have the C library give freed buffers back, and set none aside for each thread. Of effect with glibc only."""
    with contextlib.suppress(OSError, AttributeError):
        libc = ctypes.CDLL(None)
        libc.mallopt(_M_ARENA_MAX, 2)
        libc.mallopt(_M_MMAP_THRESHOLD, 128 * 1024)
        libc.mallopt(_M_TRIM_THRESHOLD, 1024 * 1024)
