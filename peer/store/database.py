"""The local database as a file. Owns opening it, its durability and its transactions; knows no table's meaning.

One connection, used by one thread at a time (the database's `Offload` limiter sees to that). WAL with
`synchronous=FULL`: a transaction that has ended survives a power cut.
"""

import contextlib
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, cast

import sqlalchemy as sa

from peer.store import schema

Row = tuple[Any, ...]


class StoreError(Exception):
    """The database cannot be used; the text says why and what to do."""


class Database:
    """The open database. All methods are synchronous and belong in the database's thread."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection
        self._driver = cast(sqlite3.Connection, connection.connection.dbapi_connection)

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """Everything inside is durable after it, or nothing is. Does not nest."""
        self._driver.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._driver.commit()
        except BaseException:
            self._driver.rollback()
            raise

    def one(self, sql: str, parameters: Sequence[object] = ()) -> Row | None:
        """The first row, or None."""
        row = self._driver.execute(sql, parameters).fetchone()
        return cast("Row | None", row)

    def all(self, sql: str, parameters: Sequence[object] = ()) -> list[Row]:
        """Every row."""
        return self._driver.execute(sql, parameters).fetchall()

    def run(self, sql: str, parameters: Sequence[object] = ()) -> int:
        """Change rows; returns how many."""
        return self._driver.execute(sql, parameters).rowcount

    def run_many(self, sql: str, rows: Iterable[Sequence[object]]) -> None:
        """The same change for many rows."""
        self._driver.executemany(sql, rows)

    def insert(self, table: sa.Table, rows: Iterable[Sequence[object]]) -> None:
        """Insert or replace whole rows, given in the order of the table's columns."""
        self._driver.executemany(_replace_sql(table), rows)


_sql_cache: dict[str, str] = {}


def _replace_sql(table: sa.Table) -> str:
    sql = _sql_cache.get(table.name)
    if sql is None:
        values: dict[str, object] = {column.name: sa.bindparam(column.name) for column in table.columns}
        statement = sa.insert(table).prefix_with("OR REPLACE").values(values)
        dialect = sa.create_engine("sqlite://", paramstyle="qmark").dialect
        sql = _sql_cache[table.name] = str(statement.compile(dialect=dialect))
    return sql


def is_damage(error: BaseException) -> bool:
    """Whether an error says that the database's file is not what was written."""
    return getattr(error, "sqlite_errorcode", None) in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def _what_to_do(path: Path | None, error: BaseException) -> str:
    return (
        f"cannot use the local database {path} ({error}): if it is damaged, move it and its -wal away, start, and "
        "`shoal mount` the folders again: nothing in them is lost"
    )


@contextlib.contextmanager
def open_database(path: Path | None) -> Iterator[Database]:
    """Open (or make) the database at `path`; None is one in memory. Raises `StoreError`."""
    url = "sqlite://" if path is None else f"sqlite:///{path}"
    engine = sa.create_engine(
        url, poolclass=sa.StaticPool, connect_args={"check_same_thread": False, "timeout": 60, "isolation_level": None}
    )
    try:
        with engine.connect() as connection:
            driver = cast(sqlite3.Connection, connection.connection.dbapi_connection)
            driver.execute("PRAGMA journal_mode=WAL")
            driver.execute("PRAGMA synchronous=FULL")
            driver.execute("PRAGMA cache_size=-2048")
            driver.execute("PRAGMA temp_store=MEMORY")
            (version,) = driver.execute("PRAGMA user_version").fetchone()
            if version == 0:
                schema.metadata.create_all(connection)
                connection.commit()
                driver.execute(f"PRAGMA user_version={schema.VERSION}")
            elif version != schema.VERSION:
                raise StoreError(
                    f"{path} was written by another version of Shoal ({version}, this one has {schema.VERSION}): "
                    "use that version, or join anew with a fresh --home"
                )
            yield Database(connection)
    except (sqlite3.DatabaseError, sa.exc.DatabaseError) as error:
        raise StoreError(_what_to_do(path, error)) from error
    except BaseExceptionGroup as group:
        damage = group.subgroup(is_damage)
        if damage is None:
            raise
        raise StoreError(_what_to_do(path, damage.exceptions[0])) from group
    finally:
        engine.dispose()
