"""What the coordinator has committed, row by row, opened with its workspaces' keys. Only reads.

Owns a connection of its own to the coordinator's database, and the keys, which the homes of devices have.
"""

import sqlite3
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, cast

from sqlalchemy import Connection, Engine

from coordinator.storage.sql_journals import SqlJournals
from crypto import sealing
from crypto.journal_chain import JournalHashes
from crypto.keyring import WorkspaceKeyring
from protocol.codec import Malformed, decode_exact, encode
from protocol.ids import ChangeId, WorkspaceId
from protocol.limits import SEALED_BYTES
from protocol.model import Body, Change, Clear, Entries, JournalRow, lists_bytes, sealed_context
from simulations.checkers.reading import read_only, reading_engine

HASHES: Final = JournalHashes()
_ROWS: Final = 1_000
_BYTES: Final = 1 << 30


@dataclass(frozen=True, slots=True)
class Version:
    """One change of a row. `body` is None where nobody has the key, or it does not open."""

    change: ChangeId
    clear: Clear
    body: Body | None
    added: bytes


@dataclass(frozen=True, slots=True)
class Committed:
    """One row."""

    workspace: WorkspaceId
    row: JournalRow
    versions: tuple[Version, ...]


class Keyrings:
    """The keys of workspaces, as devices have them."""

    def __init__(self) -> None:
        self.databases: list[Path] = []
        """Devices' databases."""
        self._known: dict[bytes, WorkspaceKeyring] = {}

    def of(self, workspace: bytes, epoch: int = 1) -> WorkspaceKeyring | None:
        """One workspace's, with this epoch's; None where no device has them."""
        known = self._known.get(workspace)
        if known is not None and known.epoch(epoch) is not None:
            return known
        for path in self.databases:
            if path.is_file():
                for each, ring in _keyrings(path).items():
                    held = self._known.get(each)
                    if held is None or held.newest_epoch < ring.newest_epoch:
                        self._known[each] = ring
        return self._known.get(workspace)


def _keyrings(path: Path) -> dict[bytes, WorkspaceKeyring]:
    try:
        with read_only(path) as connection:
            rows = connection.execute("SELECT id, keyring FROM workspaces").fetchall()
    except sqlite3.OperationalError:
        return {}  # it has no tables yet
    return {bytes(workspace): WorkspaceKeyring.unpack(bytes(packed)) for workspace, packed in rows}


class Journal:
    """The rows of all workspaces, each told once. `path` is the coordinator's database."""

    def __init__(self, path: Path, keyrings: Keyrings, told: Callable[[Committed], None]) -> None:
        self._path = path
        self._keyrings = keyrings
        self._told = told
        self._engine: Engine | None = None
        self._connection: Connection | None = None
        self._driver: sqlite3.Connection | None = None
        self._seqs: dict[int, int] = {}

    def read(self) -> None:
        """Tell of the rows that have come since."""
        if self._connection is None:
            self._engine = reading_engine(self._path)
            self._connection = self._engine.connect()
            self._driver = cast(sqlite3.Connection, self._connection.connection.dbapi_connection)
        assert self._driver is not None
        for key, head, workspace in self._driver.execute(
            "SELECT id, head_seq, workspace_id FROM workspaces"
        ).fetchall():
            seq = self._seqs.get(key, 0)
            if head != seq:
                rows = SqlJournals(self._connection).rows(key, seq, _ROWS, _BYTES)
                self._seqs[key] = rows[-1].seq if rows else head
                self._tell(WorkspaceId(workspace), rows)

    def _tell(self, workspace: WorkspaceId, rows: Iterable[JournalRow]) -> None:
        for row in rows:
            body = row.commit.body
            changes = body.changes if isinstance(body, Entries) else ()
            self._told(Committed(workspace, row, tuple(self._opened(workspace, change) for change in changes)))

    def _opened(self, workspace: WorkspaceId, change: object) -> Version:
        assert isinstance(change, Change), "nothing is purged yet"
        clear = change.clear
        lists_hash = HASHES.lists_hash(lists_bytes(change.added, change.removed))
        name = HASHES.change_id(workspace, encode(clear), HASHES.sealed_hash(change.sealed), lists_hash)
        keyring = self._keyrings.of(workspace, clear.epoch)
        keys = None if keyring is None else keyring.epoch(clear.epoch)
        body = None
        if keys is not None:
            context = sealed_context(workspace, clear, lists_hash)
            try:
                body = decode_exact(Body, sealing.unseal(keys.seal, change.sealed, context), SEALED_BYTES)
            except (sealing.BadSeal, Malformed):
                body = None
        return Version(ChangeId(name), clear, body, change.added)

    def end(self) -> None:
        """Let go of the database: the coordinator's program has ended."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        if self._engine is not None:
            self._engine.dispose()
            self._engine = None
