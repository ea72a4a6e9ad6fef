"""A machine whose power is cut: what nobody had made durable is gone. Owns the record of it, and going back to that.

What it models. Every folder given is a file system of its own, which begins wholly durable. Below it

- a file's bytes, length, permissions and time are durable as they are at an fsync or fdatasync of the file,
- the names in a directory are durable as they are at an fsync of the directory, and only then: a file's fsync does
  nothing for its name, and a rename between two directories is two independent changes,
- `syncfs` does both for the whole folder,
- at the cut everything goes back to that: names removed since come back with the bytes that their files had, files
  never synced are empty (or zeros) where their name was durable. Files that stay keep their inode and, where
  nothing was changed, their ctime.

A disk may have done more than it had to. `cut` therefore draws: names may have survived although they need not have,
and so may the bytes of each file. A write that a kill interrupts survives in part; so does a sync.

What it does not model: bytes written and synced through a memory map (SQLite maps its -shm file, which it never syncs
and rebuilds), O_SYNC, `sync_file_range`, reordering within what one file had unsynced (it is all or nothing of it),
torn sectors, access control lists, extended attributes, hard links (which come back as files of their own), holes.
Programs take part through LD_PRELOAD (`env`); the tests say `synced` after an fsync of their own.
"""

import ctypes
import os
import shutil
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random  # noqa: TID251 - drawn from a seed that the caller has

from tests.common.processes import give
from tests.faults.library import built, functions


@dataclass(frozen=True)
class _Entry:
    kind: str
    id: str
    target: str


class Forgetful:
    """Folders of one machine. Kept records lie in `place`, outside of them."""

    def __init__(self, place: Path, roots: Sequence[Path]) -> None:
        self._keeps: dict[Path, Path] = {}
        for number, root in enumerate(roots):
            keep = place / f"keep-{number}"
            for made in (keep, keep / "files", keep / "dirs"):
                made.mkdir()
                give(made)
            self._keeps[root] = keep
        self._pairs = ":".join(f"{root}={keep}" for root, keep in self._keeps.items())
        assert self._pairs.count(":") == len(roots) - 1
        self.env = {"LD_PRELOAD": str(built()), "FAULTS_KEEPS": self._pairs}
        self.adopt()

    def adopt(self) -> None:
        """All that is there now is durable."""
        for keep in self._keeps.values():
            for one in (*(keep / "files").iterdir(), *(keep / "dirs").iterdir()):
                one.unlink()
        functions().faults_keep_all(os.fsencode(self._pairs))

    def synced(self, *paths: Path) -> None:
        """Somebody has synced these files and directories."""
        for path in paths:
            functions().faults_keep(os.fsencode(self._pairs), os.fsencode(path))

    def cut(self, draw: Random) -> str:
        """Go back to what was durable; returns what was drawn. No program may be at work in the folders."""
        names = draw.random() < 0.75
        bytes_kept = draw.choice((0.0, 0.0, 0.5, 1.0))
        for root, keep in self._keeps.items():
            _Rollback(root, keep, draw, bytes_kept).run(names)
        self.adopt()
        return f"names {'forgotten' if names else 'kept'}, bytes of {bytes_kept:.0%} of the files kept"


class _Rollback:
    def __init__(self, root: Path, keep: Path, draw: Random, bytes_kept: float) -> None:
        self._root = root
        self._keep = keep
        self._draw = draw
        self._bytes_kept = bytes_kept
        self._staged = root.with_name(root.name + ".staged")
        self._made: set[Path] = set()

    def run(self, names: bool) -> None:
        if names:
            self._staged.mkdir()
            self._stage(self._root)
            self._restore(self._root, _id(self._root))
            shutil.rmtree(self._staged)
        for path in sorted(_files(self._root)):
            self._put_bytes_back(path)

    def _names(self, directory: str) -> dict[str, _Entry]:
        """The durable names of a directory; none of one whose names never were."""
        path = self._keep / "dirs" / directory
        if not path.exists():
            return {}
        parts = path.read_bytes().split(b"\0")[:-1]
        found: dict[str, _Entry] = {}
        for at in range(0, len(parts), 3):
            kind, _, its = parts[at].decode().partition(" ")
            found[os.fsdecode(parts[at + 1])] = _Entry(kind, its, os.fsdecode(parts[at + 2]))
        return found

    def _stage(self, directory: Path) -> None:
        """Take away whatever is not where it durably is, from the bottom up."""
        durable = self._names(_id(directory))
        for name in sorted(os.listdir(directory)):
            path = directory / name
            if path.is_dir() and not path.is_symlink():
                self._stage(path)
            its = _id(path)
            known = durable.get(name)
            if known is None or known.id != its:
                path.rename(self._staged / its)

    def _restore(self, directory: Path, its: str) -> None:
        for name, entry in sorted(self._names(its).items()):
            path, staged = directory / name, self._staged / entry.id
            if not os.path.lexists(path):
                if os.path.lexists(staged):
                    staged.rename(path)
                elif entry.kind == "d":
                    path.mkdir()
                    self._own(path, 0o700)
                elif entry.kind == "l":
                    path.symlink_to(entry.target)
                    self._own(path, None)
                else:
                    path.write_bytes(b"")
                    self._own(path, 0o600)
                    self._fill(path, entry.id)
                    self._made.add(path)
            if entry.kind == "d":
                self._restore(path, entry.id)

    def _put_bytes_back(self, path: Path) -> None:
        if path in self._made or self._draw.random() < self._bytes_kept:
            return
        its = _id(path)
        if (self._keep / "files" / its).exists():
            self._fill(path, its)
        elif size := path.stat().st_size:
            found = path.stat()
            path.chmod(found.st_mode | stat.S_IWUSR)
            path.write_bytes(bytes(size) if self._draw.random() < 0.3 else b"")
            path.chmod(stat.S_IMODE(found.st_mode))
            os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns))

    def _fill(self, path: Path, its: str) -> None:
        """Give a file the bytes, mode and time that were durable, if it has others."""
        kept = self._keep / "files" / its
        if not kept.exists():
            return
        found, durable = path.stat(), kept.stat()
        data = kept.read_bytes()
        if path.read_bytes() != data:
            path.chmod(0o600)
            path.write_bytes(data)
        if stat.S_IMODE(path.stat().st_mode) != stat.S_IMODE(durable.st_mode):
            path.chmod(stat.S_IMODE(durable.st_mode))
        if path.stat().st_mtime_ns != durable.st_mtime_ns:
            os.utime(path, ns=(found.st_atime_ns, durable.st_mtime_ns))

    def _own(self, path: Path, mode: int | None) -> None:
        """Belongs to whom the folder belongs."""
        owner = self._root.stat()
        os.chown(path, owner.st_uid, owner.st_gid, follow_symlinks=False)
        if mode is not None:
            path.chmod(mode)


def _files(directory: Path) -> Iterator[Path]:
    for at, _, names in os.walk(directory):
        for name in names:
            path = Path(at, name)
            if stat.S_ISREG(path.lstat().st_mode):
                yield path


def _id(path: Path) -> str:
    text = ctypes.create_string_buffer(64)
    found = functions().faults_id(os.fsencode(path), text, ctypes.c_size_t(64))
    assert found == 0, path
    return text.value.decode()
