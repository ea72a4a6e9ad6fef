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


def look_up(disk: SimDisk, path: str) -> Inode | None:
    """What is at an absolute path."""
    at = disk.volume.root
    for name in path.strip("/").split("/"):
        entry = at.children.get(name)
        if entry is None:
            return None
        at = entry.inode
    return at
