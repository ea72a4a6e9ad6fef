"""A4 and A5, whole or not at all, and no row ahead of the disk: what a loss of power leaves is as the database has it.

Owns the comparison of what a device's database says was put at its paths with what is there, before and after a loss.
A row that was true before it has to be true after it: else a file that the engine had placed would look like one that a
person has deleted or changed. What people did is on the disk at once, so nobody else can be to blame.

A device claims that an entry is at its place only where its last look agrees with what was put there. Where a person
has moved or deleted the entry since, it knows of a difference; that it is about to undo the person's move, or to make
the directory again, and has done so on the disk without a row for it yet, is no claim that a loss of power could break.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from protocol.ids import ROOT
from protocol.model import Kind
from simulations.checkers.reading import look_up, read_only
from simulations.disk import Content, SimDisk

_ROWS: Final = (
    "SELECT w.folder, s.entry, s.parent, s.kind, s.f_inode, s.f_size, s.f_mtime_ns, l.disk_name "
    "FROM synced s JOIN workspaces w ON w.w = s.w "
    "JOIN local l ON l.w = s.w AND l.entry = s.entry AND l.parent = s.parent AND l.name = s.name "
    "WHERE w.folder IS NOT NULL AND NOT s.deleted AND s.absent IS NULL"
)


@dataclass(frozen=True, slots=True)
class Row:
    """What a database says of a path on the disk: an inode's number, size and time; None for a directory."""

    path: str
    fingerprint: tuple[int, int, int] | None


def rows_of(database: Path) -> list[Row]:
    """What a device's database says was put where, and is there still."""
    with read_only(database) as connection:
        found = connection.execute(_ROWS).fetchall()
    above = {row[1]: (row[2], row[7]) for row in found}
    rows: list[Row] = []
    for folder, entry, _, kind, inode, size, mtime_ns, _ in found:
        names: list[str] = []
        at = entry
        while at != ROOT and at in above and len(names) < 200:
            at, name = above[at]
            names.append(name)
        if at != ROOT or (kind == Kind.FILE and inode is None):
            continue
        path = "/".join([folder, *reversed(names)])
        rows.append(Row(path, (inode, size, mtime_ns) if kind == Kind.FILE else None))
    return rows


def true_rows(disk: SimDisk, rows: list[Row]) -> list[tuple[Row, Content | None]]:
    """Those that are as the disk has it, each with the bytes that it stands for."""
    found: list[tuple[Row, Content | None]] = []
    for row in rows:
        inode = look_up(disk, row.path)
        if inode is None:
            continue
        if row.fingerprint is None:
            found.append((row, None))
        elif (inode.number, inode.content.size, inode.mtime_ns) == row.fingerprint:
            found.append((row, inode.content))
    return found


def watch_loss(device: str, database: Path, disk: SimDisk, told: Callable[[str], None]) -> Callable[[], None]:
    """Look now, before a loss of power; what is returned looks after it."""
    true = true_rows(disk, rows_of(database)) if database.is_file() else []

    def look_again() -> None:
        for row, content in true:
            inode = look_up(disk, row.path)
            if inode is None:
                told(f"A5 row ahead of the disk: at {device} {row.path} is gone with the power")
            elif content is not None and inode.content != content:
                told(f"A5 row ahead of the disk: at {device} {row.path} is not as it was before the power went")

    return look_again
