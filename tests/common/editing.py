"""A person at a device: random work on a synced folder, all of it in the ledger.

Below a directory with the device's name only this person writes; `shared` is everybody's. In `shared` files are
replaced by an exchange and deleted by a move out of the folder, so that what was replaced or deleted is known for
sure, whatever the daemon does in the same instant. Never uses a name twice.
"""

import ctypes
import os
import random  # noqa: TID251 - drawn from a seed
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from simulations.ledger import Content, Ledger
from tests.common.fleet import Peer

SHARED = "shared"
MANY = 60
"""With so many files in a place, people begin to delete."""
NOREPLACE, EXCHANGE = 1, 2
_AT_FDCWD = -100
_libc = ctypes.CDLL(None, use_errno=True)


def rename(old: Path, new: Path, flags: int) -> None:
    """`renameat2`. Raises OSError."""
    if _libc.renameat2(_AT_FDCWD, os.fsencode(old), _AT_FDCWD, os.fsencode(new), flags) != 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error), str(old))


class Person:
    """Works at one device. `in_place` is held while a file is written in place, when it is not whole."""

    def __init__(self, peer: Peer, ledger: Ledger, draw: random.Random, sizes: Sequence[int]) -> None:
        self.peer = peer
        self.in_place = threading.Lock()
        self._ledger, self._draw, self._sizes = ledger, draw, sizes
        self._drafts = peer.place / "drafts"
        self._drafts.mkdir()
        self._big: Path | None = None
        self._count = 0
        self.actions = 0
        self._daemons = len(peer.programs)

    def begin(self) -> None:
        """Make the directory that is only this person's."""
        (self.peer.folder / self.peer.name).mkdir()

    @property
    def own(self) -> Path:
        """Where only this person writes."""
        return self.peer.folder / self.peer.name

    @property
    def shared(self) -> Path:
        """Where everybody writes."""
        return self.peer.folder / SHARED

    def take_restarted(self) -> bool:
        """Whether another daemon runs than when this was asked last; at first, than when this person came."""
        before, self._daemons = self._daemons, len(self.peer.programs)
        return before != self._daemons

    def act(self) -> None:
        """Do one thing; nothing where what it was about has just gone."""
        self.actions += 1
        top = self.own if self._draw.random() < 0.5 else self.shared
        files, directories = _listed(top)
        delete = 6.0 if len(files) > MANY else 1.0
        deeds: list[tuple[float, Callable[[], None]]] = [
            (5.0, lambda: self._make(self._draw.choice([top, *directories]))),
            (1.0, lambda: self._make_directory(self._draw.choice([top, *directories]))),
        ]
        if files:
            file = self._draw.choice(files)
            place = self._draw.choice([top, *directories])
            deeds += [
                (6.0, lambda: self._save(file)),
                (2.0, lambda: self._move_file(file, place)),
                (delete, lambda: self._delete_file(file)),
                (1.0, lambda: self._set_executable(file)),
            ]
            if top == self.own:
                deeds.append((2.0, lambda: self._write_in_place(file)))
        if directories:
            directory = self._draw.choice(directories)
            deeds += [
                (1.0, lambda: self._move_directory(directory, top)),
                (delete / 3, lambda: self._delete_directory(directory)),
            ]
        (deed,) = self._draw.choices([deed for _, deed in deeds], [weight for weight, _ in deeds])
        try:
            deed()
        except (FileNotFoundError, FileExistsError, NotADirectoryError):
            return  # the daemon was faster

    def write_big(self, size: int) -> None:
        """Make a large file, or save the one that there is anew."""
        draft = self._drafts / self._fresh("draft")
        if self._big is None or not self._big.exists():
            self._big = self.own / self._fresh("big")
            draft.write_bytes(self._ledger.new(self.peer.name, size))
            draft.rename(self._big)
        else:
            draft.write_bytes(self._ledger.new(self.peer.name, size, self._read(self._big).line))
            rename(draft, self._big, EXCHANGE)
            self._throw_away(draft)

    def delete_copies(self) -> int:
        """Delete the conflicted copies that are shared; how many."""
        copies = [path for path in _listed(self.shared)[0] if "conflicted copy" in path.name]
        for path in copies:
            self._delete_file(path)
        return len(copies)

    # --- deeds --------------------------------------------------------------------------------------------

    def _fresh(self, kind: str, suffix: str = "") -> str:
        self._count += 1
        return f"{kind}{self.peer.name}-{self._count}{suffix}"

    def _draft(self, line: int | None = None) -> Path:
        draft = self._drafts / self._fresh("draft")
        draft.write_bytes(self._ledger.new(self.peer.name, self._draw.choice(self._sizes), line))
        return draft

    def _read(self, path: Path) -> Content:
        content = self._ledger.whole(path.read_bytes())
        assert content is not None, f"not a whole content: {path}"
        return content

    def _throw_away(self, path: Path, above: Sequence[str] = ()) -> None:
        self._ledger.gone(self._read(path), self.peer.name, above)
        path.unlink()

    def _above(self, path: Path) -> Sequence[str]:
        return path.relative_to(self.peer.folder).parts[:-1]

    def _make(self, directory: Path) -> None:
        draft = self._draft()
        try:
            rename(draft, directory / self._fresh("file", self._draw.choice(("", ".txt"))), NOREPLACE)
        except OSError:
            self._throw_away(draft)
            raise

    def _make_directory(self, directory: Path) -> None:
        (directory / self._fresh("directory")).mkdir()

    def _save(self, path: Path) -> None:
        draft = self._draft(self._read(path).line)
        mode = path.stat().st_mode
        try:
            draft.chmod(mode)
            rename(draft, path, EXCHANGE)
        except OSError:
            self._throw_away(draft)
            raise
        self._throw_away(draft)

    def _write_in_place(self, path: Path) -> None:
        old = self._read(path)
        data = self._ledger.new(self.peer.name, self._draw.choice(self._sizes), old.line)
        half = len(data) // 2
        with self.in_place, path.open("r+b", buffering=0) as file:
            file.write(data[:half])
            time.sleep(self._draw.random() * 0.02)  # slow writers are seen in the middle
            file.write(data[half:])
            file.truncate()
        self._ledger.gone(old, self.peer.name)

    def _move_file(self, path: Path, directory: Path) -> None:
        content = self._read(path)
        rename(path, directory / self._fresh("file", path.suffix if path.suffix == ".txt" else ""), NOREPLACE)
        self._ledger.moved(content, self.peer.name, self._above(path))

    def _set_executable(self, path: Path) -> None:
        path.chmod(path.stat().st_mode ^ 0o111)

    def _delete_file(self, path: Path) -> None:
        taken = self._drafts / self._fresh("taken")
        path.rename(taken)
        self._throw_away(taken, self._above(path))

    def _move_directory(self, directory: Path, top: Path) -> None:
        new = top / self._fresh("directory")
        rename(directory, new, NOREPLACE)
        self._ledger.directory_moved(directory.name, new.name, self.peer.name)
        for path in _listed(new)[0]:
            self._ledger.moved(self._read(path), self.peer.name, [*self._above(directory), *self._above(path)])

    def _delete_directory(self, directory: Path) -> None:
        files, directories = _listed(directory)
        for path in files:
            self._delete_file(path)
        for path in [*sorted(directories, reverse=True), directory]:
            self._ledger.directory_gone(path.name, self.peer.name)
            try:
                path.rmdir()
            except OSError:
                return  # something has just arrived in it


def _listed(top: Path) -> tuple[list[Path], list[Path]]:
    """Files and directories below a directory, in an order that only depends on their names."""
    files, directories = [], []
    for at, below, names in os.walk(top):
        below.sort()
        files += [Path(at, name) for name in sorted(names)]
        directories += [Path(at, name) for name in below]
    return files, directories
