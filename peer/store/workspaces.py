"""The workspaces that this device keeps the journal of. Owns their records; trees and journal are elsewhere."""

from collections.abc import Sequence
from dataclasses import dataclass

from crypto.keyring import WorkspaceKeyring
from peer.disk.private import Marker
from peer.store.database import Database, Row
from protocol.codec import decode_exact, encode
from protocol.ids import NO_LOG, CommitDigest, LogHash, WorkspaceId
from protocol.limits import COMMIT_BYTES
from protocol.model import Commit, Genesis


@dataclass(frozen=True, slots=True)
class Record:
    """One workspace. `folder` and `marker` are None where it is not mounted here."""

    w: int
    workspace: WorkspaceId
    name: str
    keyring: WorkspaceKeyring
    genesis: Commit
    folder: str | None
    marker: Marker | None
    stopped: str | None
    """The code and message of what stopped it, separated by a line break."""
    known_seq: int
    known_hash: LogHash
    paused: bool
    """Whether somebody asked that nothing be transferred or committed here."""

    @property
    def founding(self) -> Genesis:
        """The body of the genesis."""
        assert isinstance(self.genesis.body, Genesis)
        return self.genesis.body


_COLUMNS = "w, id, name, keyring, genesis, folder, marker, stopped, known_seq, known_hash, paused"


def records(database: Database) -> list[Record]:
    """All of them, mounted or not."""
    return [_record(row) for row in database.all(f"SELECT {_COLUMNS} FROM workspaces ORDER BY w")]  # noqa: S608


def record(database: Database, workspace: WorkspaceId) -> Record | None:
    """One of them."""
    row = database.one(f"SELECT {_COLUMNS} FROM workspaces WHERE id = ?", (workspace,))  # noqa: S608
    return None if row is None else _record(row)


def add(
    database: Database,
    workspace: WorkspaceId,
    name: str,
    keyring: WorkspaceKeyring,
    genesis: Commit,
    known: tuple[int, LogHash] = (0, NO_LOG),
) -> Record:
    """Record a workspace whose journal has not been read yet. `known`: a head vouched for by another device."""
    with database.transaction():
        database.run(
            "INSERT INTO workspaces (id, name, keyring, genesis, paused, known_seq, known_hash, seq, log_hash, epoch, "
            "last_control, last_signed) VALUES (?, ?, ?, ?, 0, ?, ?, 0, ?, 1, ?, 0)",
            (workspace, name, keyring.pack(), encode(genesis), *known, NO_LOG, CommitDigest(bytes(32))),
        )
    found = record(database, workspace)
    assert found is not None
    return found


def set_mounted(database: Database, w: int, folder: str | None, marker: Marker | None) -> None:
    """Mount or unmount; unmounting forgets the local and synced trees, since nothing keeps them true from then on."""
    packed = None if marker is None else marker.workspace + marker.token
    with database.transaction():
        database.run("UPDATE workspaces SET folder = ?, marker = ? WHERE w = ?", (folder, packed, w))
        if folder is None:
            database.run("UPDATE workspaces SET paused = 0 WHERE w = ?", (w,))
            database.run("DELETE FROM local WHERE w = ?", (w,))
            database.run("DELETE FROM synced WHERE w = ?", (w,))
            database.run("UPDATE chunks SET entry = NULL WHERE w = ?", (w,))
            database.run("INSERT OR IGNORE INTO differing SELECT w, entry FROM remote WHERE w = ?", (w,))


def set_stopped(database: Database, w: int, code: str | None, message: str = "") -> None:
    """Stop a workspace for a reason, or let it go on."""
    with database.transaction():
        database.run(
            "UPDATE workspaces SET stopped = ? WHERE w = ?", (None if code is None else f"{code}\n{message}", w)
        )


def set_paused(database: Database, ws: Sequence[int], paused: bool) -> None:
    """Pause workspaces, or let them go on."""
    with database.transaction():
        database.run_many("UPDATE workspaces SET paused = ? WHERE w = ?", ((paused, w) for w in ws))


def _record(row: Row) -> Record:
    w, workspace, name, keyring, genesis, folder, marker, stopped, seq, log_hash, paused = row
    return Record(
        w,
        WorkspaceId(workspace),
        name,
        WorkspaceKeyring.unpack(keyring),
        decode_exact(Commit, genesis, COMMIT_BYTES),
        folder,
        None if marker is None else Marker(marker[:32], marker[32:]),
        stopped,
        seq,
        LogHash(log_hash),
        bool(paused),
    )


def counts(database: Database, w: int) -> Sequence[int]:
    """Live entries (by their own rows) and bytes of file content, as the journal has them."""
    row = database.one(
        "SELECT count(*), coalesce(sum(CASE WHEN kind = 0 THEN size ELSE 0 END), 0) FROM remote "
        "WHERE w = ? AND deleted = 0",
        (w,),
    )
    assert row is not None
    return row
