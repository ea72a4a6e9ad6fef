"""Databases as the programs make them at their first start, made once a process. Owns only that they are copied.

Making one takes as long as a good part of a history, and comes out the same each time.
"""

from functools import cache
from pathlib import Path

from coordinator.storage.metadata_sql import METADATA_FILE, sqlite_engine
from coordinator.storage.migrate import migrate
from peer.store.database import open_database
from simulations.scratch import open_scratch


def put_metadata(path: Path) -> None:
    """Put an empty coordinator's database there, unless one is there."""
    if not path.exists():
        path.write_bytes(_metadata())


def put_store(path: Path) -> None:
    """Put an empty device's database there, unless one is there."""
    if not path.exists():
        path.write_bytes(_store())


@cache
def _metadata() -> bytes:
    with open_scratch() as place:
        path = place / METADATA_FILE
        engine = sqlite_engine(path)
        migrate(engine)
        engine.dispose()
        return path.read_bytes()


@cache
def _store() -> bytes:
    with open_scratch() as place:
        path = place / "store.db"
        with open_database(path):
            pass
        return path.read_bytes()
