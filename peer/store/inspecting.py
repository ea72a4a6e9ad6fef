"""The local database looked at from outside, beside a daemon or without one. Owns reading it; never writes to it."""

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from peer.store import schema
from protocol.model import Kind


@dataclass(frozen=True, slots=True)
class KnownFolder:
    """A folder that is synced here: workspace name, path, packed marker, and how many directories are in it."""

    workspace: str
    folder: str
    marker: bytes
    paused: bool
    directories: int


@dataclass(frozen=True, slots=True)
class Inspected:
    """What the database says. `problem` is for a person; None where it is sound."""

    problem: str | None
    folders: Sequence[KnownFolder] = ()


def inspect_database(path: Path) -> Inspected:
    """Check the database's structure and that the journals in it end where they should. May take a while."""
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=30)) as connection:
            return Inspected(_problem(connection), _folders(connection))
    except sqlite3.Error as error:
        return Inspected(f"it cannot be read ({error})")


def _problem(connection: sqlite3.Connection) -> str | None:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version != schema.VERSION:
        return f"it has the form of another version of Shoal ({version}, this one has {schema.VERSION})"
    (said,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    if said != "ok":
        return f"it is damaged ({said.splitlines()[-1]})"
    wrong = connection.execute(
        "SELECT name FROM workspaces s LEFT JOIN commits c ON c.w = s.w AND c.seq = s.seq "
        "WHERE s.seq > 0 AND (c.log_hash IS NULL OR c.log_hash != s.log_hash)"
    ).fetchone()
    return None if wrong is None else f"the history of {wrong[0]} in it does not end where it should"


def _folders(connection: sqlite3.Connection) -> list[KnownFolder]:
    rows = connection.execute(
        "SELECT s.name, s.folder, s.marker, s.paused, "
        "(SELECT count(*) FROM local l WHERE l.w = s.w AND l.kind = ?) FROM workspaces s "
        "WHERE s.folder IS NOT NULL AND s.marker IS NOT NULL ORDER BY s.w",
        (int(Kind.DIRECTORY),),
    )
    return [KnownFolder(name, folder, marker, bool(paused), count + 1) for name, folder, marker, paused, count in rows]
