"""The workspaces that this device keeps the journal of. Owns their records; trees and journal are elsewhere."""

from collections.abc import Sequence
from dataclasses import dataclass

from crypto.keyring import WorkspaceKeyring
from peer.disk.private import Marker
from peer.store import provisional
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
    returning: bool = False
    """The folder was synced before, by a home that is lost or by this one: what is in it is still to be recognized."""
    began_anew_ms: int = 0
    """When this home last turned out to be older than what the journal has of it; 0 for never."""

    @property
    def founding(self) -> Genesis:
        """The body of the genesis."""
        assert isinstance(self.genesis.body, Genesis)
        return self.genesis.body


_COLUMNS = (
    "w, id, name, keyring, genesis, folder, marker, stopped, known_seq, known_hash, paused, synced_before, began_anew"
)


def records(database: Database) -> list[Record]:
    """All of them, mounted or not."""
    return [_record(row) for row in database.all(f"SELECT {_COLUMNS} FROM workspaces ORDER BY w")]  # noqa: S608


def record(database: Database, workspace: WorkspaceId) -> Record | None:
    """One of them."""
    row = database.one(f"SELECT {_COLUMNS} FROM workspaces WHERE id = ?", (workspace,))  # noqa: S608
    return None if row is None else _record(row)


def reread(database: Database, known: Record) -> Record:
    """The record as it is now."""
    found = record(database, known.workspace)
    assert found is not None
    return found


def set_keyring(database: Database, w: int, keyring: WorkspaceKeyring) -> None:
    """Keep more keys."""
    with database.transaction():
        database.run("UPDATE workspaces SET keyring = ? WHERE w = ?", (keyring.pack(), w))


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
            "last_control, last_signed, synced_before, age, next_age, began_anew, offers_generation, offers_number) "
            "VALUES (?, ?, ?, ?, 0, ?, ?, 0, ?, 1, ?, 0, 0, 0, 0, 0, 0, 0)",
            (workspace, name, keyring.pack(), encode(genesis), *known, NO_LOG, CommitDigest(bytes(32))),
        )
    found = record(database, workspace)
    assert found is not None
    return found


def set_mounted(
    database: Database, w: int, folder: str | None, marker: Marker | None, *, returning: bool = False
) -> None:
    """Mount or unmount; unmounting forgets the local and synced trees, since nothing keeps them true from then on.
    `returning`: the folder was synced before."""
    packed = None if marker is None else marker.workspace + marker.token
    with database.transaction():
        sql = "UPDATE workspaces SET folder = ?, marker = ?, synced_before = ?, age = 0, next_age = 0 WHERE w = ?"
        database.run(sql, (folder, packed, returning, w))
        if folder is None:
            database.run("UPDATE workspaces SET paused = 0 WHERE w = ?", (w,))
            _forget_trees(database, w)


def set_recognized(database: Database, w: int) -> None:
    """What is in the folder has been recognized, as far as it could be. Inside a transaction."""
    database.run("UPDATE workspaces SET synced_before = 0 WHERE w = ?", (w,))


def note_signed(database: Database, w: int, number: int) -> bool:
    """The journal has a commit of this device with that number; True where this home has signed none so high."""
    with database.transaction():
        sql = "UPDATE workspaces SET last_signed = ? WHERE w = ? AND last_signed < ?"
        return database.run(sql, (number, w, number)) > 0


def ages(database: Database, w: int) -> tuple[int, int]:
    """How often home and folder have noted that they belong together, and the number about to be noted."""
    row = database.one("SELECT age, next_age FROM workspaces WHERE w = ?", (w,))
    assert row is not None
    return row[0], row[1]


def set_ages(database: Database, w: int, age: int, next_age: int) -> None:
    """Note both."""
    with database.transaction():
        database.run("UPDATE workspaces SET age = ?, next_age = ? WHERE w = ?", (age, next_age, w))


def begin_anew(database: Database, w: int, now_ms: int | None) -> None:
    """This home is older than its folder, or (at `now_ms`) than what the journal has of it: nothing that it knew of its
    folder can be counted on."""
    with database.transaction():
        _forget_trees(database, w)
        database.run("UPDATE workspaces SET synced_before = 1, age = 0, next_age = 0 WHERE w = ?", (w,))
        if now_ms is not None:
            database.run("UPDATE workspaces SET began_anew = ? WHERE w = ?", (now_ms, w))


def forget_history(database: Database, w: int) -> None:
    """A person takes the coordinator's history for the right one: forget the journal, but for this device's numbers.

    What is on the disk stays known, with its ids; it has nothing in common with a journal any more.
    """
    with database.transaction():
        journals = ("before", "commits", "devices", "members", "chains", "remote", "versions", "chunks", "offers")
        for table in ("synced", "outbox", "untold", *journals):
            database.run(f"DELETE FROM {table} WHERE w = ?", (w,))  # noqa: S608 - constants
        database.run("UPDATE contents SET manifest = NULL WHERE w = ?", (w,))
        database.run("INSERT OR IGNORE INTO differing SELECT w, entry FROM local WHERE w = ?", (w,))
        database.run(
            "UPDATE workspaces SET seq = 0, log_hash = ?, epoch = 1, last_control = ?, known_seq = 0, known_hash = ?, "
            "stopped = NULL, synced_before = 1, offers_generation = 0, offers_number = 0 WHERE w = ?",
            (NO_LOG, CommitDigest(bytes(32)), NO_LOG, w),
        )


def _forget_trees(database: Database, w: int) -> None:
    provisional.forget(database, w)
    for table in ("local", "synced", "outbox", "untold"):
        database.run(f"DELETE FROM {table} WHERE w = ?", (w,))  # noqa: S608 - constants
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
    w, workspace, name, keyring, genesis, folder, marker, stopped, seq, log_hash, paused, returning, began_anew = row
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
        bool(returning),
        began_anew,
    )


def counts(database: Database, w: int) -> Sequence[int]:
    """Live entries and bytes of file content in the journal; what is below a deleted directory is not live."""
    totals = "count(*), coalesce(sum(CASE WHEN kind = 0 THEN size ELSE 0 END), 0)"
    own = database.one(f"SELECT {totals} FROM remote WHERE w = ? AND deleted = 0", (w,))  # noqa: S608 - constants
    gone = database.one(
        "WITH RECURSIVE gone(entry) AS ("  # noqa: S608 - constants
        "SELECT c.entry FROM remote d JOIN remote c ON c.w = d.w AND c.place = d.entry AND c.deleted = 0 "
        "WHERE d.w = ?1 AND d.deleted = 1 AND d.kind = 1 "
        "UNION SELECT c.entry FROM gone g JOIN remote c ON c.w = ?1 AND c.place = g.entry AND c.deleted = 0) "
        f"SELECT {totals} FROM gone JOIN remote r ON r.w = ?1 AND r.entry = gone.entry",
        (w,),
    )
    assert own is not None
    assert gone is not None
    return own[0] - gone[0], own[1] - gone[1]
