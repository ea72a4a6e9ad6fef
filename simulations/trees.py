"""The three trees of a device, as its database has them after a commit. Owns their values for people; only reads.

Both who follows a history step by step and who tells why a world does not come to rest read them here.
"""

import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from protocol.ids import ROOT
from protocol.limits import PATH_DEPTH
from protocol.model import Kind

TREES: Final = ("remote", "local", "synced")
_SQL: Final = {
    "remote": "SELECT t.entry, t.place, t.name, t.kind, t.digest, t.size, t.mtime_ns, t.executable, t.deleted, "
    "t.seq > w.seq, NOT t.usable, 0, 0 FROM remote t JOIN workspaces w ON w.w = t.w WHERE t.w = ?",
    "local": "SELECT entry, parent, name, kind, digest, size, mtime_ns, executable, 0, 0, 0, "
    "intended_parent IS NOT NULL, 0 FROM local WHERE w = ?",
    "synced": "SELECT entry, parent, name, kind, digest, size, mtime_ns, executable, deleted, 0, 0, 0, "
    "absent IS NOT NULL FROM synced WHERE w = ?",
}


@dataclass(frozen=True, slots=True)
class Cell:
    """One entry in one tree. Two of them are equal by what the planner compares, and by the marks at the end."""

    parent: bytes
    name: str
    kind: Kind
    digest: bytes | None
    size: int
    mtime_ns: int
    is_executable: bool
    is_deleted: bool
    """Itself, or a directory above it in the same tree."""
    is_provisional: bool = False
    """Counts here, but the coordinator's journal does not have it yet."""
    is_bad: bool = False
    """The journal has a later version that cannot be read."""
    is_parked: bool = False
    """It is meant to go elsewhere, and waits under this name."""
    is_absent: bool = False
    """It is not on this disk, and is not meant to be."""
    path: str = field(default="", compare=False)

    @property
    def value(self) -> tuple[object, ...]:
        """What is compared between trees."""
        return (self.parent, self.name, self.kind, self.digest, self.size, self.mtime_ns, self.is_executable)


@dataclass(frozen=True, slots=True)
class Row:
    """One entry in the three trees; None where a tree has no row of it."""

    workspace: str
    entry: bytes
    remote: Cell | None = None
    local: Cell | None = None
    synced: Cell | None = None

    @property
    def cells(self) -> tuple[Cell | None, Cell | None, Cell | None]:
        """In the order of `TREES`."""
        return self.remote, self.local, self.synced

    @property
    def is_gone(self) -> bool:
        """Whether no tree has it any more."""
        return all(cell is None or cell.is_deleted for cell in self.cells)

    @property
    def is_same(self) -> bool:
        """Whether the trees agree about it, so that there is nothing to do."""
        if self.is_gone:
            return True
        remote, local, synced = self.cells
        if remote is None or synced is None or remote.is_deleted or synced.is_deleted or remote.value != synced.value:
            return False
        return synced.is_absent if local is None else local.value == synced.value and not local.is_parked

    @property
    def named_by(self) -> Cell | None:
        """By which of its cells it is called: as it was when it was last in step, if it ever was."""
        found = [cell for cell in (self.synced, self.remote, self.local) if cell is not None]
        return next((cell for cell in found if not cell.is_deleted), found[0] if found else None)

    @property
    def path(self) -> str:
        """What it is called."""
        cell = self.named_by
        return "" if cell is None else cell.path

    @property
    def paths(self) -> tuple[str, ...]:
        """Where it is, in the order of `TREES`."""
        return tuple("" if cell is None else cell.path for cell in self.cells)


def read_trees(connection: sqlite3.Connection) -> dict[tuple[str, bytes], Row]:
    """Every entry that any tree has, with those that are deleted."""
    rows: dict[tuple[str, bytes], Row] = {}
    for w, name in connection.execute("SELECT w, name FROM workspaces").fetchall():
        trees = {tree: _cells(connection.execute(_SQL[tree], (w,)).fetchall()) for tree in TREES}
        for entry in dict.fromkeys(entry for cells in trees.values() for entry in cells):
            rows[name, entry] = Row(name, entry, *(trees[tree].get(entry) for tree in TREES))
    return rows


def _cells(rows: Iterable[tuple[Any, ...]]) -> dict[bytes, Cell]:
    found = {row[0]: row[1:] for row in rows}
    places: dict[bytes, tuple[str, bool]] = {bytes(ROOT): ("", False)}
    cells: dict[bytes, Cell] = {}
    for entry, (parent, name, number, digest, size, mtime_ns, executable, _, *marks) in found.items():
        path, is_deleted = _place(entry, found, places, 0)
        kind, (is_provisional, is_bad, is_parked, is_absent) = Kind(number), (bool(mark) for mark in marks)
        is_file = kind is Kind.FILE and digest is not None
        cells[entry] = Cell(
            parent=parent,
            name=name,
            kind=kind,
            digest=digest,
            size=0 if digest is None else size,
            mtime_ns=mtime_ns if is_file else 0,
            is_executable=is_file and bool(executable),
            is_deleted=is_deleted,
            is_provisional=is_provisional,
            is_bad=is_bad,
            is_parked=is_parked,
            is_absent=is_absent,
            path=path,
        )
    return cells


def _place(
    entry: bytes, rows: Mapping[bytes, tuple[Any, ...]], places: dict[bytes, tuple[str, bool]], depth: int
) -> tuple[str, bool]:
    """The path of an entry in its tree, and whether it is deleted there."""
    known = places.get(entry)
    if known is None:
        row = rows.get(entry)
        if row is None or depth > PATH_DEPTH:
            return f"?{entry.hex()[:6]}", False
        above, is_deleted = _place(row[0], rows, places, depth + 1)
        known = places[entry] = (f"{above}/{row[1]}" if above else row[1], is_deleted or bool(row[7]))
    return known
