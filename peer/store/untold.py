"""What came with commits that were refused, as a restart finds it. Owns its rows; never decides what becomes of it."""

from collections.abc import Iterable
from dataclasses import dataclass

from peer.planner.operations import ProposeChange
from peer.store import schema
from peer.store.database import Database
from peer.store.outbox import pack_agreed, unpack_agreed
from peer.store.trees import TreeStore
from protocol.ids import ROOT, ChangeId, DeviceId, EntryId


@dataclass(frozen=True, slots=True)
class Left:
    """What is here of an entry by a commit that was refused."""

    author: DeviceId
    number: int
    """The commit's."""
    proposal: ProposeChange
    change: ChangeId
    is_sole: bool
    """Whether nobody else has changed it since."""
    is_taken_back: bool = False
    """Whether its author has said that it is not to be."""

    @property
    def entry(self) -> EntryId:
        """Which."""
        return self.proposal.entry


class UntoldStore:
    """Of workspace number `w`. Belongs in the database's thread; `write` inside somebody's transaction."""

    def __init__(self, database: Database, w: int) -> None:
        self._db = database
        self._w = w

    def write(
        self, made_by: Iterable[tuple[EntryId, DeviceId]], left: Iterable[Left], own: DeviceId, *, owes_word: bool
    ) -> None:
        """All there is. `made_by`: what one other device alone has made while the coordinator was away; `owes_word`:
        whether this device has still to say that it has committed all that it had."""
        self._db.run("DELETE FROM untold WHERE w = ?", (self._w,))
        rows: dict[EntryId, tuple[object, ...]] = {
            entry: (self._w, entry, device, 0, None, True, False) for entry, device in made_by
        }
        for one in left:
            packed = pack_agreed(one.proposal, one.change)
            row = (self._w, one.entry, one.author, one.number, packed, one.is_sole, one.is_taken_back)
            rows[one.entry] = row
        if owes_word:
            rows[ROOT] = (self._w, ROOT, own, 0, None, False, False)
        self._db.insert(schema.untold, rows.values())

    def made_by(self) -> dict[EntryId, DeviceId]:
        """As it was written."""
        rows = self._db.all(
            "SELECT entry, device FROM untold WHERE w = ? AND entry <> ? AND sole AND NOT taken_back", (self._w, ROOT)
        )
        return {EntryId(entry): DeviceId(device) for entry, device in rows}

    def left(self, trees: TreeStore) -> list[Left]:
        """What of it is here as it came, and in no journal: the rest has gone its way since."""
        rows = self._db.all(
            "SELECT device, number, agreed, sole, taken_back FROM untold WHERE w = ? AND agreed IS NOT NULL", (self._w,)
        )
        found: list[Left] = []
        for device, number, packed, is_sole, is_taken_back in rows:
            proposal, change = unpack_agreed(packed)
            local, synced = trees.local(proposal.entry), trees.synced(proposal.entry)
            content = None if proposal.agreed is None else proposal.agreed.content
            is_as_it_came = local is not None and local.node.content == content
            if is_as_it_came and (synced is None or synced.base.content != content):
                found.append(Left(DeviceId(device), number, proposal, change, bool(is_sole), bool(is_taken_back)))
        return found

    def owes_word(self) -> bool:
        """As it was written."""
        return self._db.one("SELECT 1 FROM untold WHERE w = ? AND entry = ?", (self._w, ROOT)) is not None
