"""Looks into a program's database and at its disk that it does not notice. Only reads."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from simulations.disk import SimDisk
from simulations.disk.inodes import Inode


@contextmanager
def read_only(path: Path) -> Iterator[sqlite3.Connection]:
    """The database as of its last commit. Raises `sqlite3.OperationalError` where there is none."""
    connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    try:
        yield connection
    finally:
        connection.close()


class Reader:
    """The same for many looks, through one connection for as long as the program does not change."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._connection: sqlite3.Connection | None = None

    @property
    def connection(self) -> sqlite3.Connection:
        """Opened at the first look, and at the first one after `end`."""
        if self._connection is None:
            self._connection = sqlite3.connect(f"file:{self._path}?mode=ro", uri=True)
        return self._connection

    def end(self) -> None:
        """Let go of the database: another program will open it, or none."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def look_up(disk: SimDisk, path: str) -> Inode | None:
    """What is at an absolute path."""
    at = disk.volume.root
    for name in path.strip("/").split("/"):
        entry = at.children.get(name)
        if entry is None:
            return None
        at = entry.inode
    return at
