"""Names in the target: who has a name that two want, and how conflicted copies are called. Owns these; pure.

The journal's entry always has the name. What gives way is renamed, never dropped.
"""

from collections.abc import Iterator
from itertools import count

from peer.planner.differences import Differences, Item, Place
from peer.planner.merge import decide
from peer.planner.operations import Conflict
from peer.planner.trees import Content, LocalNode
from protocol.ids import ChangeId, EntryId
from protocol.model import Kind
from protocol.names import conflict_name, conflicted_from, utc_date


class Names:
    """The names taken in the target, as far as this plan looks at them."""

    def __init__(self, found: Differences) -> None:
        self._found = found
        self.taken: dict[Place, EntryId] = {}
        self.conflicts: list[Conflict] = []

    def settle(self) -> None:
        """Make all names unique among live siblings, and give every conflicted copy its id and name."""
        losers = [*self._lose_to_journal(), *self._lose_to_each_other()]
        for item, winner in sorted(losers, key=lambda pair: (pair[0].parent, pair[0].name, pair[0].entry)):
            self._rename(item, winner)
        forked = [item for item in self._found.items.values() if item.forks]
        for item in sorted(forked, key=lambda item: item.entry):
            item.kept_as = self._copy_here(item)
            if item.kept_as is None:
                self._fork(item)
            else:
                item.forks = False

    def _lose_to_journal(self) -> list[tuple[Item, EntryId]]:
        taken, items = self.taken, self._found.items
        here = []
        for item in items.values():
            if item.alive:
                if item.from_local:
                    here.append(item)
                else:
                    taken[item.parent, item.name] = item.entry
        losers = []
        self._here: list[Item] = []
        for item in here:
            winner = self.occupant((item.parent, item.name))
            if winner is None:
                self._here.append(item)
            else:
                losers.append((item, winner))
        return losers

    def _lose_to_each_other(self) -> list[tuple[Item, EntryId]]:
        """Two entries moved here to one name, which happens where their directories were taken for one."""
        losers = []
        taken, items = self.taken, self._found.items
        for item in self._here:
            key = (item.parent, item.name)
            other = taken.get(key)
            if other is None:
                taken[key] = item.entry
                continue
            first, second = sorted((items[other], item), key=lambda one: (one.place != key, one.entry))
            taken[key] = first.entry
            losers.append((second, first.entry))
        return losers

    def occupant(self, key: Place) -> EntryId | None:
        """Who has this name in the target: an entry placed by this plan, or one that it does not look at."""
        winner = self.taken.get(key)
        if winner is None:
            winner = self._found.trees.remote_named(*key)
            if winner is not None and winner in self._found.items:
                winner = None
        return winner

    def _free_name(self, item: Item, name: str, here: LocalNode | None) -> str:
        policy = self._found.policy
        mtime_ns = None
        if here is not None and here.node.attributes is not None:
            mtime_ns = here.node.attributes.mtime_ns
        date = policy.date if mtime_ns is None else utc_date(mtime_ns)
        name = conflicted_from(name) or name  # a copy that conflicts again is another copy of the original
        n = 1
        while True:
            candidate = conflict_name(name, policy.device_name, date, n, directory=item.kind is Kind.DIRECTORY)
            if self.occupant((item.parent, candidate)) is None:
                return candidate
            n += 1

    def _rename(self, item: Item, winner: EntryId) -> None:
        item.name = self._free_name(item, item.name, item.local)
        self.taken[item.parent, item.name] = item.entry
        other = self._found.items.get(winner)
        row = self._found.trees.remote(winner) if other is None else None
        kind = other.kind if other is not None else row.node.kind if row is not None else None
        if kind is item.kind is not Kind.DIRECTORY and item.b is None and item.remote is None and item.copy_of is None:
            item.copy_of = (winner, None)
        self.conflicts.append(Conflict(winner, item.entry, item.name))

    def _copy_here(self, item: Item) -> EntryId | None:
        """The very copy that would be made of a file, if it is here already, from a device where the same was done."""
        content = None if item.l is None else item.l.content
        for fork in self._copies(item):
            if fork.remote is None and fork.local is None and fork.synced is None:
                return None
            sides = (fork.r, fork.b, fork.l)
            if not fork.frozen and all(one is not None and one.content == content for one in sides):
                return fork.entry
        return None

    def _fork(self, item: Item) -> None:
        here = item.l
        assert here is not None
        assert here.content is not None
        base = _content_base(item)
        fork = self._fork_item(item, here.content)
        fork.fork_of, item.fork = item, fork
        fork.kind = item.kind
        if not fork.alive:
            fork.parent = item.parent
            fork.name = self._free_name(fork, item.name, item.local)
            fork.alive, fork.from_local = True, True
            fork.content, fork.attributes = here.content, here.attributes
            self.taken[fork.parent, fork.name] = fork.entry
        original = item.remote.copy_of if item.remote is not None else None
        if original is None and item.copy_of is not None:
            original = item.copy_of[0]
        fork.copy_of = (original or item.entry, base)
        self.conflicts.append(Conflict(item.entry, fork.entry, fork.name))

    def _fork_item(self, item: Item, content: Content) -> Item:
        """An entry for the copy: unknown to all trees, or the journal's copy of the same bytes, made elsewhere."""
        for fork in self._copies(item):
            free = fork.local is None and fork.synced is None and fork.fork_of is None
            if free and (fork.remote is None or (fork.r is not None and fork.r.content == content)):
                self._found.items[fork.entry] = fork
                return fork
        raise AssertionError("there is no end of names")

    def _copies(self, item: Item) -> Iterator[Item]:
        """The entries that a conflicted copy of what is here may be, in the order in which they are taken."""
        found = self._found
        assert item.l is not None
        assert item.l.content is not None
        for n in count(1):
            parts = (item.entry, _edited_from(item), item.l.content.digest, n.to_bytes(4, "big"))
            entry = found.policy.derive("conflicted copy", parts)
            fork = found.items.get(entry)
            if fork is None:
                fork = found.load(entry)
                decide(found, fork)
            yield fork


def _content_base(item: Item) -> ChangeId | None:
    """The version that the content here was edited from."""
    return None if item.b is None or item.synced is None else item.synced.content_base


def _edited_from(item: Item) -> bytes:
    """What all who have that edit agree on: the content before it. Versions that have that may be several."""
    content = None if item.b is None or item.synced is None else item.synced.base.content
    return b"" if content is None else content.digest
