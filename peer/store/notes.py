"""What this device did by itself and the journal does not say, kept for the log. Owns these rows; they stay few."""

from dataclasses import dataclass
from typing import Final

from peer.store.database import Database

KEPT: Final = 10_000
"""So many of a workspace; older ones are forgotten."""
_COLUMNS: Final = "number, time, seq, action, path, detail"


@dataclass(frozen=True, slots=True)
class Note:
    """One of them. `time_ms` is this device's, `seq` where the journal was then."""

    number: int
    time_ms: int
    seq: int
    action: str
    path: str
    detail: str


def add_note(database: Database, w: int, time_ms: int, action: str, path: str, detail: str) -> None:
    """Keep a note. Inside a transaction."""
    database.run(
        "INSERT INTO notes (w, number, time, seq, action, path, detail) "
        "SELECT w, (SELECT coalesce(max(number), 0) + 1 FROM notes n WHERE n.w = s.w), ?, seq, ?, ?, ? "
        "FROM workspaces s WHERE w = ?",
        (time_ms, action, path, detail, w),
    )
    database.run(
        "DELETE FROM notes WHERE w = ?1 AND number <= (SELECT max(number) FROM notes WHERE w = ?1) - ?2", (w, KEPT)
    )


def notes_after(database: Database, w: int, number: int, count: int) -> list[Note]:
    """The next notes, in order."""
    rows = database.all(
        f"SELECT {_COLUMNS} FROM notes WHERE w = ? AND number > ? ORDER BY number LIMIT ?",  # noqa: S608 - constants
        (w, number, count),
    )
    return [Note(*row) for row in rows]
