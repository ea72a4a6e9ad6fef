"""The journal as this device has verified it. Owns the judge's state in the database and taking in the next rows.

A row is judged, its chain hash compared, its sealed parts opened and checked, and only then written, all rows of a
page in one transaction. Nothing here is believed because it decrypts.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from crypto import digest, sealing
from crypto.journal_chain import JournalHashes
from crypto.keyring import WorkspaceKeyring
from peer.store import schema
from peer.store.contents import put_chunks
from peer.store.database import Database
from peer.store.offers import OfferStore
from peer.store.trees import TreeStore
from protocol import checks, limits
from protocol.codec import Malformed, decode, decode_exact, encode
from protocol.ids import (
    ROOT,
    ChangeId,
    CommitDigest,
    DeviceId,
    EntryId,
    LinkHash,
    LogHash,
    NameKey,
    UserId,
    WorkspaceId,
)
from protocol.model import (
    Body,
    Change,
    Chunker,
    Commit,
    DeviceKeys,
    Entries,
    JournalRow,
    Kind,
    Role,
    clear_bytes,
    lists_bytes,
    sealed_context,
)
from protocol.rules import judge_row
from protocol.view import ChainState, Delta, DeviceState, EntryState, Refused, WorkspaceState

HASHES = JournalHashes()
_CACHED_ENTRIES: Final = 4096
"""So many entries' heads are kept at hand, besides those of one commit."""


@dataclass(frozen=True, slots=True)
class BadChange:
    """A change that the journal rightly holds and whose sealed part is not to be believed."""

    entry: EntryId
    device: DeviceId
    reason: str


@dataclass(frozen=True, slots=True)
class Taken:
    """What taking in rows led to. `invalid` says why the journal stops here: an illegal row."""

    seq: int
    touched: tuple[EntryId, ...]
    bad: tuple[BadChange, ...]
    invalid: str | None
    lacks_key: bool = False
    """It stops before a commit whose key is not held."""


class JournalState:
    """The judge's view of one workspace; implements `protocol.view.StateView`. Belongs in the database's thread."""

    def __init__(self, database: Database, w: int) -> None:
        self._db = database
        self.w = w
        row = database.one("SELECT id, seq, log_hash, epoch, last_control FROM workspaces WHERE w = ?", (w,))
        assert row is not None
        workspace, seq, log_hash, epoch, control = row
        self._verified = WorkspaceState(WorkspaceId(workspace), seq, LogHash(log_hash), epoch, CommitDigest(control))
        self._workspace = self._provisional_end()
        self._entries: dict[EntryId, EntryState | None] = {}
        self._devices: dict[DeviceId, DeviceState | None] = {}
        self._received: int | None = None

    @property
    def received(self) -> int:
        """When the coordinator received the newest commit, as it says; 0 before the first."""
        if self._received is None:
            row = self._db.one("SELECT row FROM commits WHERE w = ? AND seq = ?", (self.w, self._verified.seq))
            self._received = 0 if row is None else decode(JournalRow, row[0], limits.REPLY_BYTES).received
        return self._received

    @property
    def workspace(self) -> WorkspaceState:
        """The small part: with what is provisional, where anything is."""
        return self._workspace

    @property
    def verified(self) -> WorkspaceState:
        """The same for the journal alone."""
        return self._verified

    @property
    def is_provisional(self) -> bool:
        """Whether commits that the journal does not have count as if it had them (see `provisional`)."""
        return self._workspace.seq > self._verified.seq

    def provisional_commits(self) -> tuple[CommitDigest, ...]:
        """The commits that count beyond the journal, in order, as many as a deletion may name."""
        rows = self._db.all(
            "SELECT digest FROM commits WHERE w = ? AND seq > ? ORDER BY seq LIMIT ?",
            (self.w, self._verified.seq, limits.SEEN_COMMITS),
        )
        return tuple(CommitDigest(digest) for (digest,) in rows)

    def forget_cache(self) -> None:
        """Rows of provisional commits are gone, or never came to be; what was read is read again."""
        self._workspace = self._provisional_end()
        self._entries.clear()
        self._devices.clear()

    def _provisional_end(self) -> WorkspaceState:
        row = self._db.one(
            "SELECT seq, log_hash FROM commits WHERE w = ? AND seq > ? ORDER BY seq DESC LIMIT 1",
            (self.w, self._verified.seq),
        )
        if row is None:
            return self._verified
        return replace(self._verified, seq=row[0], log_hash=LogHash(row[1]))

    def entry(self, entry: EntryId) -> EntryState | None:
        """The entry's head, live or not."""
        if entry not in self._entries:
            row = self._db.one(
                "SELECT parent, kind, name_key, deleted, head, seq, device FROM remote WHERE w = ? AND entry = ?",
                (self.w, entry),
            )
            self._entries[entry] = None if row is None else _entry_state(row)
        return self._entries[entry]

    def children(self, parent: EntryId, name_key: NameKey) -> Iterable[EntryId]:
        """Entries not deleted themselves at this place."""
        rows = self._db.all(
            "SELECT entry FROM remote WHERE w = ? AND parent = ? AND name_key = ? AND deleted = 0",
            (self.w, parent, name_key),
        )
        return [row[0] for row in rows]

    def device(self, device: DeviceId) -> DeviceState | None:
        """A device this journal knows."""
        if device not in self._devices:
            row = self._db.one(
                "SELECT user, keys, active, last_number FROM devices WHERE w = ? AND device = ?", (self.w, device)
            )
            self._devices[device] = None if row is None else _device_state(row)
        return self._devices[device]

    def devices(self) -> Iterable[tuple[DeviceId, DeviceState]]:
        """All of them, active or not."""
        rows = self._db.all("SELECT device, user, keys, active, last_number FROM devices WHERE w = ?", (self.w,))
        return [(DeviceId(row[0]), _device_state(row[1:])) for row in rows]

    def role(self, user: UserId) -> Role | None:
        """A member's role."""
        row = self._db.one("SELECT role FROM members WHERE w = ? AND user = ?", (self.w, user))
        return None if row is None else Role(row[0])

    def chain(self, user: UserId) -> ChainState | None:
        """The longest chain seen of a user."""
        row = self._db.one("SELECT length, last FROM chains WHERE w = ? AND user = ?", (self.w, user))
        return None if row is None else ChainState(row[0], LinkHash(row[1]))

    def head_known(self, seq: int, log_hash: LogHash) -> bool:
        """Whether `log_hash` is this journal's at `seq`."""
        if seq == 0:
            return log_hash == bytes(32)
        row = self._db.one("SELECT log_hash FROM commits WHERE w = ? AND seq = ?", (self.w, seq))
        if row is None:
            return seq <= self._workspace.seq - limits.KNOWN_HEADS
        return bool(row[0] == log_hash)

    def entries_since(self, seq: int) -> Iterable[tuple[EntryId, EntryState, CommitDigest]]:
        """Entries whose head was made after `seq`, with the digest of that commit."""
        rows = self._db.all(
            "SELECT r.entry, c.digest, r.parent, r.kind, r.name_key, r.deleted, r.head, r.seq, r.device "
            "FROM remote r INDEXED BY remote_seq JOIN commits c ON c.w = r.w AND c.seq = r.seq "
            "WHERE r.w = ? AND r.seq > ?",
            (self.w, seq),
        )
        return [(row[0], _entry_state(row[2:]), CommitDigest(row[1])) for row in rows]

    def accepted(self, digest: CommitDigest) -> tuple[int, LogHash] | None:
        """Where a commit with this digest stands in the journal."""
        row = self._db.one("SELECT seq, log_hash FROM commits WHERE w = ? AND digest = ?", (self.w, digest))
        return None if row is None else (row[0], LogHash(row[1]))

    # --- writing ---------------------------------------------------------------------------------------

    def _record(self, row: JournalRow, delta: Delta, *, provisional: bool) -> None:
        """Write what a legal row changes, but for the entries."""
        state = self._workspace = delta.workspace
        w = self.w
        self._db.insert(schema.commits, [(w, row.seq, delta.digest, row.log_hash, encode(row))])
        if not provisional:
            self._verified = state
            self._received = row.received
            self._db.run(
                "UPDATE workspaces SET seq = ?, log_hash = ?, epoch = ?, last_control = ? WHERE w = ?",
                (state.seq, state.log_hash, state.epoch, state.last_control, w),
            )
        for device, known in delta.devices:
            self._devices[device] = known
            values = (w, device, known.user, encode(known.keys), known.active, known.last_number)
            self._db.insert(schema.devices, [values])
        for user, role in delta.roles:
            if role is None:
                self._db.run("DELETE FROM members WHERE w = ? AND user = ?", (w, user))
            else:
                self._db.insert(schema.members, [(w, user, int(role))])
        self._db.insert(schema.chains, [(w, user, chain.length, chain.last) for user, chain in delta.chains])
        if len(self._entries) > _CACHED_ENTRIES:
            self._entries.clear()
        self._entries.update(delta.entries)


def _device_state(row: Sequence[Any]) -> DeviceState:
    return DeviceState(UserId(row[0]), decode(DeviceKeys, row[1], 4096), bool(row[2]), row[3])


def _entry_state(row: tuple[object, ...]) -> EntryState:
    parent, kind, name_key, deleted, head, seq, device = row
    return EntryState(parent, Kind(kind), name_key, bool(deleted), head, seq, device)  # type: ignore[arg-type]


def take_rows(
    database: Database,
    state: JournalState,
    trees: TreeStore,
    keyring: WorkspaceKeyring,
    chunker: Chunker,
    rows: Iterable[JournalRow],
    written: Callable[[CommitDigest], None] = lambda _: None,
) -> Taken:
    """Verify and write the next rows of the journal, in one transaction; stops before the first illegal one, and before
    the first with something of an epoch that has begun and whose key is not held.

    `written` is called with each commit in the journal, within the transaction.
    """
    with database.transaction():
        return take_within(database, state, trees, keyring, chunker, rows, written)


def take_within(
    database: Database,
    state: JournalState,
    trees: TreeStore,
    keyring: WorkspaceKeyring,
    chunker: Chunker,
    rows: Iterable[JournalRow],
    written: Callable[[CommitDigest], None] = lambda _: None,
    *,
    provisional: bool = False,
) -> Taken:
    """The same within the caller's transaction. `provisional` rows are none of the journal: see `provisional`."""
    touched: list[EntryId] = []
    bad: list[BadChange] = []
    invalid: str | None = None
    lacks_key = False
    for row in rows:
        if _lacks_key(row, state.workspace.epoch, keyring):
            lacks_key = True
            break
        if row.received < state.received:
            invalid = f"commit {row.seq} was received before the one that it follows"
            break
        verdict = judge_row(state, row, HASHES)
        if isinstance(verdict, Refused):
            invalid = f"commit {row.seq} by device {row.commit.header.device.hex()[:8]}: {_why(verdict)}"
            break
        state._record(row, verdict, provisional=provisional)
        body = row.commit.body
        if isinstance(body, Entries):
            opening = _Opening(database, state, trees, keyring, chunker)
            bad += opening.take(row, row.commit, body, verdict)
            touched += [entry for entry, _ in verdict.entries]
        written(verdict.digest)
    trees.forget_remote(touched)
    return Taken(state.workspace.seq, tuple(touched), tuple(bad), invalid, lacks_key)


def _lacks_key(row: JournalRow, epoch: int, keyring: WorkspaceKeyring) -> bool:
    """Whether a row brings something of the current epoch, and its key is still to come: no fault of its author."""
    body = row.commit.body
    if keyring.epoch(epoch) is not None or not isinstance(body, Entries):
        return False
    return any(isinstance(change, Change) and change.clear.epoch == epoch for change in body.changes)


def _why(refused: Refused) -> str:
    reasons = {change.reason.value for change in refused.changes}
    return ", ".join([refused.reason.value, *sorted(reasons), *([refused.detail] if refused.detail else [])])


class _Opening:
    """Opens the sealed parts of one commit and writes versions, remote rows and chunks."""

    def __init__(
        self, database: Database, state: JournalState, trees: TreeStore, keyring: WorkspaceKeyring, chunker: Chunker
    ) -> None:
        self._db = database
        self._state = state
        self._trees = trees
        self._keyring = keyring
        self._chunker = chunker

    def take(self, row: JournalRow, commit: Commit, body: Entries, delta: Delta) -> list[BadChange]:
        w, device = self._state.w, commit.header.device
        bad: list[BadChange] = []
        versions: list[tuple[object, ...]] = []
        remotes: list[tuple[object, ...]] = []
        offered: dict[ChangeId, bytes | None] = {}
        flipped: list[EntryId] = []
        for change, (entry, head) in zip(body.changes, delta.entries, strict=True):
            opened = self._open(change) if isinstance(change, Change) else "it was purged"
            version = (w, head.head, entry, change.clear.base, row.seq, head.deleted, head.parent)
            judged = (w, entry, head.parent, int(head.kind), head.name_key, head.deleted, head.head, head.seq, device)
            before = None if change.clear.base is None else self._before(entry)
            if isinstance(opened, str):
                bad.append(BadChange(entry, device, opened))
                versions.append((*version, None, device, row.received))
                good = before[:7] if before else ("", None, 0, 0, False, None, head.parent)
                remotes.append((*judged, False, *good))
            else:
                versions.append((*version, encode(opened), device, row.received))
                remotes.append((*judged, True, *self._values(opened, head)))
                if opened.manifest is not None:
                    put_chunks(self._db, w, opened.manifest.chunks, stored=not change.clear.offered)
            if change.clear.offered:
                offered[head.head] = None if isinstance(opened, str) else opened.digest
            if head.kind is Kind.DIRECTORY and before is not None and self._flips(before, head):
                flipped.append(entry)
        self._db.insert(schema.versions, versions)
        self._db.insert(schema.remote, remotes)
        for name, content in offered.items():
            OfferStore(self._db, w).began(name, content)
        self._trees.touch(entry for entry, _ in delta.entries)
        for entry in flipped:
            self._trees.touch_below(entry)
        return bad

    def _before(self, entry: EntryId) -> tuple[Any, ...] | None:
        return self._db.one(
            "SELECT name, digest, size, mtime_ns, executable, copy_of, place, deleted FROM remote "
            "WHERE w = ? AND entry = ?",
            (self._state.w, entry),
        )

    def _flips(self, before: Sequence[Any], head: EntryState) -> bool:
        """Whether what is below a directory begins or ceases to live with this change of it."""
        place, deleted = before[6], bool(before[7])
        if deleted != head.deleted:
            return True
        while place != head.parent and place != ROOT:
            row = self._db.one("SELECT place, deleted FROM remote WHERE w = ? AND entry = ?", (self._state.w, place))
            if row is None or row[1]:
                return True
            place = row[0]
        return False

    def _values(self, body: Body, head: EntryState) -> tuple[object, ...]:
        content = body.digest
        if body.target is not None:
            content = digest.link_digest(self._keyring.fixed, body.target)
        copy_of = None if body.copy_of is None else body.copy_of.entry
        return (body.name, content, body.size, body.mtime_ns, body.executable, copy_of, head.parent)

    def _open(self, change: Change) -> Body | str:
        clear = change.clear
        keys = self._keyring.epoch(clear.epoch)
        if keys is None:
            return "its key is not held"
        lists_hash = HASHES.lists_hash(lists_bytes(change.added, change.removed))
        context = sealed_context(self._state.workspace.workspace, clear, lists_hash)
        try:
            body = decode_exact(Body, sealing.unseal(keys.seal, change.sealed, context), limits.SEALED_BYTES)
        except sealing.BadSeal:
            return "its sealed part does not open"
        except Malformed:
            return "its sealed part is malformed"
        problem = checks.body_problem(
            change,
            body,
            name_key=digest.name_key(self._keyring.fixed, clear.parent, body.name),
            base_blocks=self._base_blocks(clear.base),
            chunker=self._chunker,
        )
        return body if problem is None else problem

    def _base_blocks(self, base: ChangeId | None) -> frozenset[bytes] | None:
        if base is None:
            return frozenset()
        row = self._db.one("SELECT body, deleted FROM versions WHERE w = ? AND change = ?", (self._state.w, base))
        if row is None or row[0] is None:
            return None
        manifest = decode(Body, row[0], limits.SEALED_BYTES).manifest
        return frozenset() if manifest is None else frozenset(ref.block for ref in manifest.chunks)


def change_id(workspace: WorkspaceId, change: Change) -> ChangeId:
    """The id that a change will have in the journal."""
    return ChangeId(
        HASHES.change_id(
            workspace,
            clear_bytes(change.clear),
            HASHES.sealed_hash(change.sealed),
            HASHES.lists_hash(lists_bytes(change.added, change.removed)),
        )
    )
