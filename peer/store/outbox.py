"""The outbox: what this device signed and whose fate it does not know yet. Owns its rows; never sends anything.

With each commit it is kept what its acceptance means for the synced tree. The answer of the coordinator may never
come; then the journal tells, maybe to the next process, and by then people may have changed the same files again.
"""

from collections.abc import Sequence
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
from protocol.ids import ChangeId, CommitDigest, EntryId, WireChangeId, WireEntryId
from protocol.model import Commit, Kind


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
        self._db.insert(schema.outbox, [(self.w, number, digest, encode(_InFlight(commit, agreed)))])

    def accepted(self, trees: TreeStore, digest: CommitDigest) -> Advanced:
        """The journal has this commit: where it is ours, advance the synced tree."""
        row = self._db.one('SELECT "commit" FROM outbox WHERE w = ? AND digest = ?', (self.w, digest))
        if row is None:
            return Advanced()
        try:
            kept = decode(_InFlight, row[0], 2 * limits.COMMIT_BYTES)
        except Malformed:  # it was put there before this was kept
            return Advanced()
        before = trees.synced_count() if any(one.deleted for one in kept.agreed) else 0
        gone = sum(effects.accept_synced(trees, _proposal(one), ChangeId(one.change)) for one in kept.agreed)
        self._db.run("DELETE FROM outbox WHERE w = ? AND digest = ?", (self.w, digest))
        return Advanced(tuple(EntryId(one.entry) for one in kept.agreed), gone, before)

    def entries(self) -> set[EntryId]:
        """What is in flight is about these."""
        found: set[EntryId] = set()
        for (packed,) in self._db.all('SELECT "commit" FROM outbox WHERE w = ?', (self.w,)):
            with suppress(Malformed):  # it was put there before this was kept
                found.update(EntryId(one.entry) for one in decode(_InFlight, packed, 2 * limits.COMMIT_BYTES).agreed)
        return found

    def refused(self, number: int) -> None:
        """A commit never will be in the journal: it was sent once, and refused."""
        self._db.run("DELETE FROM outbox WHERE w = ? AND number = ?", (self.w, number))

    def settle(self, last_number: int) -> bool:
        """The journal is read up to this device's commit of that number: what is no later is in it, or never will be.
        Returns whether anything is left, which may still arrive there."""
        self._db.run("DELETE FROM outbox WHERE w = ? AND number <= ?", (self.w, last_number))
        return self._db.one("SELECT 1 FROM outbox WHERE w = ?", (self.w,)) is not None


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
