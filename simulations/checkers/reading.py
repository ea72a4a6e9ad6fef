"""Looks into a program's database and at its disk that it does not notice. Only reads, and no fault is its own."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Engine, create_engine

from simulations.disk import SimDisk
from simulations.disk.inodes import Inode


def _address(path: Path) -> str:
    """By the system's own VFS, not by the one that gives a simulated disk's errors."""
    return f"file:{path}?mode=ro&vfs=unix"


def reading_engine(path: Path) -> Engine:
    """The same for SQLAlchemy."""
    return create_engine(f"sqlite:///{_address(path)}&uri=true", isolation_level="AUTOCOMMIT")


@contextmanager
def read_only(path: Path) -> Iterator[sqlite3.Connection]:
    """The database as of its last commit. Raises `sqlite3.OperationalError` where there is none."""
    connection = sqlite3.connect(_address(path), uri=True)
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
            self._connection = sqlite3.connect(_address(self._path), uri=True)
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
