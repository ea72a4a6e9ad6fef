"""A real folder on a real disk, and a file system that lets a test act between any two calls."""

import hashlib
import os
import pathlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, cast

from peer.disk.private import Marker, open_new_root
from peer.disk.real import LinuxFilesystem
from peer.disk.root import Root
from peer.disk.temporary import open_temp
from peer.fingerprint import Fingerprint, Path
from peer.ports import Filesystem

WORKSPACE = bytes(32)
KNOWN = bytes(range(32))
"""Stands for the digest of a version in the journal."""
MTIME_NS = 1_600_000_000_123_456_789


class CountingEntropy:
    """Chance that is the same in every run."""

    def __init__(self) -> None:
        self._count = 0

    def skip(self, count: int) -> None:
        """Go on as if so many tokens had been given."""
        self._count += count

    def token(self, size: int) -> bytes:
        self._count += 1
        return hashlib.blake2b(self._count.to_bytes(8, "big"), digest_size=size).digest()

    def jitter(self, low: float, high: float) -> float:
        return (low + high) / 2


class Crashed(BaseException):
    """The process ended here; nothing but clean-up of handles runs after it."""


class HookedFilesystem:
    """Passes every call on to `inner`, after `before_call(number, name, arguments)`."""

    def __init__(self, inner: Filesystem, before_call: Callable[[int, str, tuple[Any, ...]], None]) -> None:
        self._inner = inner
        self._before_call = before_call
        self.calls = 0

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._inner, name)

        def call(*arguments: Any) -> Any:
            number = self.calls
            self.calls += 1
            self._before_call(number, name, arguments)
            return method(*arguments)

        return call


def hooked(before_call: Callable[[int, str, tuple[Any, ...]], None]) -> Filesystem:
    return cast(Filesystem, HookedFilesystem(LinuxFilesystem(), before_call))


@contextmanager
def new_root(path: pathlib.Path, fs: Filesystem | None = None) -> Iterator[tuple[Root, Marker]]:
    path.mkdir(exist_ok=True)
    with open_new_root(fs or LinuxFilesystem(), CountingEntropy(), os.fspath(path), WORKSPACE) as opened:
        yield opened


def make_temp(root: Root, data: bytes, executable: bool = False, mtime_ns: int = MTIME_NS) -> str:
    with open_temp(root, len(data)) as writer:
        writer.write_at(data, 0)
        writer.finish(len(data), mtime_ns, executable)
    return writer.name


def fingerprint(root: Root, path: Path) -> Fingerprint:
    with root.open_directories() as directories:
        parent, name = directories.parent(path)
        return root.fs.stat(parent, name).fingerprint


def all_contents(folder: pathlib.Path) -> set[bytes]:
    """The bytes of every file anywhere in a folder, the private directory included."""
    return {path.read_bytes() for path in folder.rglob("*") if path.is_file() and not path.is_symlink()}
