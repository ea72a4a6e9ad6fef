"""Metadata in SQL: one writer with group commit, readers on snapshots. Owns the transactions.

Use cases that wait together share one transaction, each within a savepoint of its own, and none is answered before
the COMMIT has returned (SQLite: WAL, `synchronous=FULL`). One that raises is rolled back to its savepoint alone; when
the COMMIT itself fails, all in the batch fail. Statements are in `sql_people`, `sql_journals`, `sql_blocks`
and `sql_offers`.
"""

import errno
import sqlite3
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeVar

import trio
from sqlalchemy import Connection, Engine, create_engine, event, insert, select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import QueuePool, StaticPool

from coordinator.ports import Offload, StorageUnavailable, Transaction
from coordinator.storage import tables
from coordinator.storage.migrate import migrate
from coordinator.storage.sql_blocks import SqlBlockIndex
from coordinator.storage.sql_journals import SqlJournals
from coordinator.storage.sql_offers import SqlOffers
from coordinator.storage.sql_people import SqlPeople

T = TypeVar("T")

METADATA_FILE: Final = "metadata.db"
"""The database's name in a data directory."""
BATCH_USE_CASES: Final = 200
"""Most use cases that share one transaction: bounds how long the first of them waits for the last."""
READERS: Final = 4
BUSY_MS: Final = 10_000
"""How long a command beside a running server waits for its turn to write."""


class SqlFacts:
    """Small named values about this database."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def get(self, name: str) -> bytes | None:
        """One value."""
        value: bytes | None = self._connection.scalar(select(tables.facts.c.value).where(tables.facts.c.name == name))
        return value

    def put(self, name: str, value: bytes) -> None:
        """Set it."""
        self._connection.execute(tables.facts.delete().where(tables.facts.c.name == name))
        self._connection.execute(insert(tables.facts), {"name": name, "value": value})


class SqlTransaction:
    """The five groups of records over one connection."""

    def __init__(self, connection: Connection) -> None:
        self.people = SqlPeople(connection)
        self.journals = SqlJournals(connection)
        self.blocks = SqlBlockIndex(connection)
        self.offers = SqlOffers(connection)
        self.facts = SqlFacts(connection)


@dataclass(slots=True, eq=False)
class _Job:
    """One use case on its way: its outcome is set before `done`."""

    use_case: Callable[[Transaction], Any]
    done: trio.Event = field(default_factory=trio.Event)
    value: Any = None
    error: BaseException | None = None


class SqlMetadata:
    """A `MetadataStore` over one SQLite database. Made by `open_metadata`."""

    def __init__(self, engine: Engine, writer: Connection, offload: Offload, *, shared: bool) -> None:
        self._engine = engine
        self._writer = writer
        self._offload = offload
        self._shared = shared
        self._transaction = SqlTransaction(writer)
        self._waiting: list[_Job] = []
        self._arrived = trio.Event()
        self._closed = False
        self._readers = trio.CapacityLimiter(READERS)

    async def run(self, use_case: Callable[[Transaction], T]) -> T:
        """See `MetadataStore.run`."""
        if self._closed:
            raise StorageUnavailable("the coordinator is ending")
        job = _Job(use_case)
        self._waiting.append(job)
        self._arrived.set()
        with trio.CancelScope(shield=True):  # ends with the batch, which the writer finishes whatever happens
            await job.done.wait()
        if job.error is not None:
            raise job.error
        value: T = job.value
        return value

    async def read(self, use_case: Callable[[Transaction], T]) -> T:
        """See `MetadataStore.read`."""
        if self._shared:  # an in-memory database has one connection
            return await self.run(use_case)
        async with self._readers:
            return await self._offload.run(lambda: self._read(use_case))

    def _read(self, use_case: Callable[[Transaction], T]) -> T:
        try:
            with self._engine.connect() as connection:
                try:
                    _tell(connection, "BEGIN")
                    return use_case(SqlTransaction(connection))
                except (DBAPIError, sqlite3.Error):
                    connection.invalidate()  # statements that were not ended would keep it at this snapshot
                    raise
                finally:
                    if not connection.invalidated:
                        _tell(connection, "ROLLBACK")
        except (DBAPIError, sqlite3.Error) as error:
            failed = _told(error)
        raise failed from None

    async def write_forever(self, offload: Offload) -> None:
        """The writer: takes what waits, in order, and answers it after the COMMIT. Ends after `close`."""
        with trio.CancelScope(shield=True):  # whoever waits in `run` is shielded too, and must be answered
            try:
                while self._waiting or not self._closed:
                    if not self._waiting:
                        self._arrived = trio.Event()
                        await self._arrived.wait()
                        continue
                    batch = self._waiting[:BATCH_USE_CASES]
                    del self._waiting[:BATCH_USE_CASES]
                    await self._write_batch(offload, batch)
            finally:
                self._closed = True
                _fail(self._waiting, "the writer has ended")

    async def _write_batch(self, offload: Offload, batch: list[_Job]) -> None:
        try:
            await offload.run(lambda: self._write(batch))
        except (DBAPIError, sqlite3.Error, OSError) as error:
            _fail(batch, str(error), full=_is_full(error))
        except BaseException as error:
            _fail(batch, repr(error))
            raise
        for job in batch:
            job.done.set()

    def close(self) -> None:
        """No more use cases; the writer ends once those waiting are answered."""
        self._closed = True
        self._arrived.set()

    def _write(self, batch: list[_Job]) -> None:
        connection = self._writer
        if _in_transaction(connection):  # the disk may have failed while the last one was given up
            _tell(connection, "ROLLBACK")
        _tell(connection, "BEGIN IMMEDIATE")
        try:
            for job in batch:
                self._write_one(connection, job)
            _tell(connection, "COMMIT")
        except BaseException:
            if _in_transaction(connection):
                _tell(connection, "ROLLBACK")
            raise

    def _write_one(self, connection: Connection, job: _Job) -> None:
        _tell(connection, "SAVEPOINT use_case")
        try:
            job.value = job.use_case(self._transaction)
        except Exception as error:
            job.error = _told(error)
            if not _in_transaction(connection):
                raise  # the database gave the whole transaction up (a full disk, say): everybody's failed
            _tell(connection, "ROLLBACK TO use_case")
        _tell(connection, "RELEASE use_case")


@asynccontextmanager
async def open_metadata(path: Path | None, *, writer: Offload, readers: Offload) -> AsyncGenerator[SqlMetadata, None]:
    """The metadata at `path` (None: in memory), brought to the present schema. One at a time in a process.

    `writer` must run one function at a time; it serves this store alone.
    """
    engine = sqlite_engine(path)

    def prepare() -> Connection:
        if path is not None:
            path.touch(mode=0o600)  # its log and shared memory get the same mode
        migrate(engine)
        return engine.connect()

    connection = await writer.run(prepare)
    store = SqlMetadata(engine, connection, readers, shared=path is None)
    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(store.write_forever, writer)
            try:
                yield store
            finally:
                store.close()
    finally:
        with trio.CancelScope(shield=True):
            await writer.run(connection.close)
            await writer.run(engine.dispose)


def sqlite_engine(path: Path | None) -> Engine:
    """An engine whose connections begin transactions only when told to, durable at each COMMIT."""
    arguments = {"check_same_thread": False, "timeout": BUSY_MS / 1000}
    if path is None:
        engine = create_engine(
            "sqlite://",
            hide_parameters=True,
            isolation_level="AUTOCOMMIT",
            poolclass=StaticPool,
            connect_args=arguments,
        )
    else:
        engine = create_engine(
            f"sqlite:///{path}",
            hide_parameters=True,
            isolation_level="AUTOCOMMIT",
            poolclass=QueuePool,
            pool_size=READERS + 1,
            max_overflow=2,
            connect_args=arguments,
        )

    def tune(connection: Any, _record: object) -> None:
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "cache_size=-4096"):
            connection.execute(f"PRAGMA {pragma}").close()

    event.listen(engine, "connect", tune)
    return engine


def _fail(jobs: list[_Job], why: str, *, full: bool = False) -> None:
    for job in jobs:
        job.error = job.error or StorageUnavailable(why, full=full)
        job.done.set()


def _told(error: Exception) -> Exception:
    """What the caller of a use case gets: a bug's exception as it is, a failing disk's as the port promises."""
    cause = getattr(error, "orig", error)
    # SQLite calls a file malformed of which it cannot read a page; it is a bug's error that has a class of its own.
    failing = isinstance(cause, sqlite3.OperationalError) or type(cause) is sqlite3.DatabaseError
    return StorageUnavailable(str(error), full=_is_full(error)) if failing else error


def _is_full(error: BaseException) -> bool:
    cause = getattr(error, "orig", error)
    return getattr(cause, "sqlite_errorname", "") == "SQLITE_FULL" or getattr(cause, "errno", 0) == errno.ENOSPC


def _tell(connection: Connection, word: str) -> None:
    """A word about transactions, straight to the driver: SQLAlchemy leaves them to us."""
    connection.connection.driver_connection.execute(word)  # type: ignore[union-attr]


def _in_transaction(connection: Connection) -> bool:
    return bool(connection.connection.driver_connection.in_transaction)  # type: ignore[union-attr]
