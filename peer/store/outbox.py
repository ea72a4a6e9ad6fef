"""The outbox: commits whose fate this device does not know yet, those that it signed and those that others handed it
while the coordinator was away. Owns its rows; never sends anything.

With each commit it is kept what its acceptance means for the synced tree. The answer of the coordinator may never
come; then the journal tells, maybe to the next process, and by then people may have changed the same files again.
"""

import enum
from collections.abc import Sequence, Set
from contextlib import suppress
from dataclasses import dataclass

from peer.planner import effects
from peer.planner.operations import Agreed, ProposeChange
from peer.planner.trees import Attributes, Content, Node
from peer.store import schema
from peer.store.database import Database
from peer.store.trees import TreeStore
from protocol import limits
from protocol.codec import Array, Malformed, decode, encode
from protocol.ids import ChangeId, CommitDigest, DeviceId, EntryId, WireChangeId, WireEntryId
from protocol.model import Commit, Kind


class Standing(enum.IntEnum):
    """What a commit in the outbox counts for."""

    IN_FLIGHT = 0
    """Own: it was sent, or is about to be."""
    SHOWN = 1
    """It counts as if the journal had it, until the coordinator is there again (see `provisional`)."""
    BACK = 2
    """It has counted so; the coordinator is to say what becomes of it."""
    WAITS = 3
    """Another device's, which does not simply follow what is here: nothing was done with it."""


class _Content(Array, frozen=True):
    digest: bytes
    size: int


class _Attributes(Array, frozen=True):
    executable: bool
    mtime_ns: int


class _Agreed(Array, frozen=True):
    """One proposed change: which version it became, and the fields in which the synced base advances with it."""

    entry: WireEntryId
    kind: Kind
    deleted: bool
    change: WireChangeId
    advances: bool
    parent: WireEntryId | None
    name: str | None
    content: _Content | None
    attributes: _Attributes | None


class _InFlight(Array, frozen=True):
    commit: Commit
    agreed: tuple[_Agreed, ...]


@dataclass(frozen=True, slots=True)
class KeptCommit:
    """A commit in the outbox."""

    commit: Commit
    digest: CommitDigest
    standing: Standing


@dataclass(frozen=True, slots=True)
class Advanced:
    """What the acceptance of a commit did: the entries it was about, and how many of so many bases went."""

    entries: tuple[EntryId, ...] = ()
    gone: int = 0
    before: int = 0


class Outbox:
    """The outbox of workspace number `w`. Belongs in the database's thread, and inside somebody's transaction."""

    def __init__(self, database: Database, w: int) -> None:
        self._db = database
        self.w = w

    def put(
        self,
        number: int,
        digest: CommitDigest,
        commit: Commit,
        proposals: Sequence[ProposeChange] = (),
        changes: Sequence[ChangeId] = (),
    ) -> None:
        """Keep a commit before it is sent, with what it proposes; `changes` are the ids of the proposed versions."""
        agreed = tuple(_packed(one, change) for one, change in zip(proposals, changes, strict=True))
        self._insert(digest, commit, agreed, Standing.IN_FLIGHT)

    def put_other(self, digest: CommitDigest, commit: Commit) -> None:
        """Keep a commit that another device handed over."""
        self._insert(digest, commit, (), Standing.WAITS)

    def _insert(self, digest: CommitDigest, commit: Commit, agreed: tuple[_Agreed, ...], standing: Standing) -> None:
        header, packed = commit.header, encode(_InFlight(commit, agreed))
        row = self._db.one("SELECT max(place) FROM outbox WHERE w = ?", (self.w,))
        place = 1 if row is None or row[0] is None else row[0] + 1
        values = (self.w, header.device, header.number, digest, packed, place, int(standing), len(packed))
        self._db.insert(schema.outbox, [values])

    def accepted(self, trees: TreeStore, digest: CommitDigest) -> Advanced:
        """The journal has this commit: where it is in here, advance the synced tree, and forget it."""
        advanced = self.advance(trees, digest)
        self.drop(digest)
        return advanced

    def advance(self, trees: TreeStore, digest: CommitDigest) -> Advanced:
        """Advance the synced tree as the acceptance of a commit does."""
        row = self._db.one('SELECT "commit" FROM outbox WHERE w = ? AND digest = ?', (self.w, digest))
        kept = None if row is None else _unpacked(row[0])
        if kept is None:
            return Advanced()
        before = trees.synced_count() if any(one.deleted for one in kept.agreed) else 0
        gone = sum(effects.accept_synced(trees, _proposal(one), ChangeId(one.change)) for one in kept.agreed)
        return Advanced(tuple(EntryId(one.entry) for one in kept.agreed), gone, before)

    def all(self) -> list[KeptCommit]:
        """Every commit, in the order in which they came to be here."""
        rows = self._db.all(
            'SELECT "commit", digest, standing FROM outbox WHERE w = ? ORDER BY place, device, number', (self.w,)
        )
        found = ((_unpacked(packed), digest, standing) for packed, digest, standing in rows)
        return [KeptCommit(kept.commit, digest, Standing(standing)) for kept, digest, standing in found if kept]

    def standings(self) -> dict[CommitDigest, Standing]:
        """What each of them counts for, in the same order."""
        rows = self._db.all("SELECT digest, standing FROM outbox WHERE w = ? ORDER BY place, device, number", (self.w,))
        return {CommitDigest(digest): Standing(standing) for digest, standing in rows}

    def commit(self, digest: CommitDigest) -> Commit | None:
        """One of them."""
        row = self._db.one('SELECT "commit" FROM outbox WHERE w = ? AND digest = ?', (self.w, digest))
        kept = None if row is None else _unpacked(row[0])
        return None if kept is None else kept.commit

    def agreed(self, digest: CommitDigest) -> list[tuple[ProposeChange, ChangeId]]:
        """What the acceptance of a commit means, by as much of each proposal as that asks for, and its version."""
        row = self._db.one('SELECT "commit" FROM outbox WHERE w = ? AND digest = ?', (self.w, digest))
        kept = None if row is None else _unpacked(row[0])
        return [] if kept is None else [(_proposal(one), ChangeId(one.change)) for one in kept.agreed]

    def size(self, device: DeviceId | None = None) -> tuple[int, int]:
        """How many commits there are, and of how many bytes: of one device, or of all."""
        row = self._db.one(
            "SELECT count(*), coalesce(sum(size), 0) FROM outbox WHERE w = ? AND (?2 IS NULL OR device = ?2)",
            (self.w, device),
        )
        return (0, 0) if row is None else (row[0], row[1])

    def stand(self, digest: CommitDigest, standing: Standing) -> None:
        """From now on a commit counts for that; what is shown last comes last."""
        self._db.run(
            "UPDATE outbox SET standing = ?3, place = "
            "CASE WHEN ?3 = ?4 THEN (SELECT max(place) + 1 FROM outbox WHERE w = ?1) ELSE place END "
            "WHERE w = ?1 AND digest = ?2",
            (self.w, digest, int(standing), int(Standing.SHOWN)),
        )

    def agree(self, digest: CommitDigest, agreed: Sequence[tuple[ProposeChange, ChangeId]]) -> None:
        """This is what the acceptance of a commit means, whoever made it."""
        commit = self.commit(digest)
        assert commit is not None
        packed = encode(_InFlight(commit, tuple(_packed(one, change) for one, change in agreed)))
        self._db.run('UPDATE outbox SET "commit" = ? WHERE w = ? AND digest = ?', (packed, self.w, digest))

    def disagree(self, entries: Set[EntryId]) -> None:
        """Nothing on this disk agrees any more with what was done here to these entries."""
        for digest, packed in self._db.all('SELECT digest, "commit" FROM outbox WHERE w = ?', (self.w,)):
            kept = _unpacked(packed)
            if kept is not None and any(one.entry in entries for one in kept.agreed):
                agreed = tuple(
                    _Agreed(one.entry, one.kind, one.deleted, one.change, False, None, None, None, None)
                    if one.entry in entries
                    else one
                    for one in kept.agreed
                )
                again = encode(_InFlight(kept.commit, agreed))
                self._db.run('UPDATE outbox SET "commit" = ? WHERE w = ? AND digest = ?', (again, self.w, digest))

    def drop(self, digest: CommitDigest) -> None:
        """Forget a commit whose fate is known."""
        self._db.run("DELETE FROM outbox WHERE w = ? AND digest = ?", (self.w, digest))

    def entries(self) -> set[EntryId]:
        """What is in flight is about these."""
        found: set[EntryId] = set()
        for (packed,) in self._db.all(
            'SELECT "commit" FROM outbox WHERE w = ? AND standing <> ?', (self.w, int(Standing.SHOWN))
        ):
            kept = _unpacked(packed)
            if kept is not None:
                found.update(EntryId(one.entry) for one in kept.agreed)
        return found

    def settle(self, own: DeviceId, last_number: int) -> bool:
        """The journal is read up to this device's commit of that number: what is no later is in it, or never will be.
        Returns whether anything of its own is left, which may still arrive there."""
        self._db.run("DELETE FROM outbox WHERE w = ? AND device = ? AND number <= ?", (self.w, own, last_number))
        return self._db.one("SELECT 1 FROM outbox WHERE w = ? AND device = ?", (self.w, own)) is not None


def _unpacked(packed: bytes) -> _InFlight | None:
    with suppress(Malformed):  # it was put there before this was kept
        return decode(_InFlight, packed, 2 * limits.COMMIT_BYTES)
    return None


def pack_agreed(proposal: ProposeChange, change: ChangeId) -> bytes:
    """As much of a proposal as its acceptance asks for, and the version that it was to be."""
    return encode(_packed(proposal, change))


def unpack_agreed(packed: bytes) -> tuple[ProposeChange, ChangeId]:
    """What `pack_agreed` made."""
    one = decode(_Agreed, packed, limits.MIB)
    return _proposal(one), ChangeId(one.change)


def _packed(one: ProposeChange, change: ChangeId) -> _Agreed:
    node, agreed = one.node, one.agreed
    if agreed is None:
        return _Agreed(one.entry, node.kind, node.deleted, change, False, None, None, None, None)
    parent, name = (None, None) if agreed.location is None else agreed.location
    content = None if agreed.content is None else _Content(agreed.content.digest, agreed.content.size)
    its = agreed.attributes
    attributes = None if its is None else _Attributes(its.executable, its.mtime_ns)
    return _Agreed(one.entry, node.kind, node.deleted, change, True, parent, name, content, attributes)


def _proposal(one: _Agreed) -> ProposeChange:
    """As much of the proposal as its acceptance asks for."""
    entry = EntryId(one.entry)
    location = None if one.parent is None or one.name is None else (EntryId(one.parent), one.name)
    content = None if one.content is None else Content(one.content.digest, one.content.size)
    attributes = None if one.attributes is None else Attributes(one.attributes.executable, one.attributes.mtime_ns)
    agreed = Agreed(location, content, None, attributes) if one.advances else None
    node = Node(entry, one.kind, entry, "", None, None, one.deleted)
    return ProposeChange(entry, None, node, None, None, None, agreed)
