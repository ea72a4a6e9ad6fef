"""Makes the target one tree: parents that live, entries made twice taken as one, no cycles. Owns these three steps.

Names are settled afterwards, in `naming`. Pure.
"""

from dataclasses import replace

from peer.planner.differences import Differences, Item
from peer.planner.merge import decide
from peer.planner.trees import Content
from protocol.ids import ROOT, ChangeId, EntryId
from protocol.model import Kind


def settle_parents(found: Differences) -> None:
    """Give every live entry a live parent.

    A directory that was only deleted here stays. One that the journal has ended is made again under a derived id, at
    its place on this disk, and what is there on disk is taken for it.
    """
    resolved: dict[EntryId, EntryId] = {ROOT: ROOT}
    queue = [item for item in found.items.values() if item.alive]
    while queue:
        parent = queue.pop().parent
        if parent not in resolved:
            resolved[parent] = _living(found, parent, queue)
    for item in found.items.values():
        if item.alive:
            item.parent = resolved.get(item.parent, item.parent)


def _living(found: Differences, parent: EntryId, queue: list[Item]) -> EntryId:
    if parent in found.adopted:
        return found.adopted[parent]
    item = found.items.get(parent)
    if item is None:
        if found.lasting(parent) or (found.trees.remote(parent) is None and found.trees.local(parent) is not None):
            return parent
        item = found.load(parent)
    if item.alive:
        return parent
    if item.r is not None:
        item.take(item.r, from_local=False)
        item.undone = "deleted"
        queue.append(item)
        return parent
    return ROOT if item.remote is None else _made_again(found, item, queue)


def _made_again(found: Differences, old: Item, queue: list[Item]) -> EntryId:
    """The directory that stands for `old`, which the journal has ended: one made before, or what is here of it."""
    derive, trees, items = found.policy.derive, found.trees, found.items
    entry = old.entry
    while True:
        entry = derive("directory made again", (entry, _ended_by(found, entry)))
        if trees.remote(entry) is None or found.lasting(entry):
            break
    item = items.get(entry)
    if item is None:
        item = found.load(entry)
        decide(found, item)
    here = old.l if old.place is not None and old.entry in items else None
    if item.l is None and item.b is None and here is not None:
        items[entry] = item
        _adopt(found, old, item)
        if not item.alive:
            item.take(here, from_local=True)
            item.parent = ROOT if entry in found.rooted else item.parent
    elif not item.alive and item.r is not None:
        item.take(item.r, from_local=False)
    if not item.alive:
        return ROOT
    items[entry] = item
    queue.append(item)
    return entry


def _ended_by(found: Differences, entry: EntryId) -> ChangeId:
    """The change that deleted the entry, or the nearest directory above it."""
    row = found.trees.remote(entry)
    while row is not None and not row.node.deleted:
        row = found.trees.remote(row.node.parent)
    assert row is not None, "asked of an entry that lives"
    return row.head


def _adopt(found: Differences, old: Item, item: Item) -> None:
    """What is on disk as `old` is `item`: it has `old`'s place and local value from here on."""
    item.local, item.l, item.place = old.local, old.l, old.place
    item.kind, item.copy_of, item.frozen = old.kind, old.copy_of, old.frozen
    item.adopted_from = old.adopted_from or old.entry
    found.adopted[old.entry] = found.adopted[item.adopted_from] = item.entry
    del found.items[old.entry]
    if item.r is not None:
        decide(found, item)


def adopt_same_names(found: Differences) -> bool:
    """Take an entry made here for the journal's entry of that name, made elsewhere, where the two are equal: two
    directories (whose contents are then compared likewise), or two files or symlinks of the same content.

    True where parents have to be settled again.
    """
    new = {
        item.entry: item
        for item in found.items.values()
        if item.alive and item.l is not None and item.remote is None and item.b is None and not item.frozen
    }
    known: dict[EntryId, bool] = {ROOT: True}
    done: set[EntryId] = set()
    for entry in new:
        chain = []
        while entry in new and entry not in done:
            done.add(entry)
            chain.append(new[entry])
            entry = new[entry].parent
        for item in reversed(chain):
            _adopt_same_name(found, item, known)
    return _follow_adoptions(found) if found.adopted else False


def _follow_adoptions(found: Differences) -> bool:
    """Name the parents of all items by the ids that they are adopted as. True where that changes an item's place: what
    the journal moved into the directory that its old one is now taken for was not moved by it at all."""
    adopted = found.adopted
    again = False
    for item in found.items.values():
        item.parent = adopted.get(item.parent, item.parent)
        if item.place is not None:
            item.place = (adopted.get(item.place[0], item.place[0]), item.place[1])
        if item.l is not None and item.l.parent in adopted:
            item.l = replace(item.l, parent=adopted[item.l.parent])
        if item.b is not None and item.b.parent in adopted:
            base = item.b = replace(item.b, parent=adopted[item.b.parent])
            here, there = item.l, item.r
            if here is not None and there is not None and (there.parent, there.name) == (base.parent, base.name):
                decide(found, item)
                again = again or item.from_local
    return again


def _adopt_same_name(found: Differences, item: Item, known: dict[EntryId, bool]) -> None:
    parent = found.adopted.get(item.parent, item.parent)
    if parent not in known:
        known[parent] = found.trees.remote(parent) is not None
    if not known[parent]:
        return
    named = found.trees.remote_named(parent, item.name)
    other = None if named is None else found.items.get(named)
    if (
        other is not None
        and other.alive
        and other.r is not None
        and other.b is None
        and other.l is None
        and other.kind is item.kind
        and (other.content == item.content or _is_head(other, item.content))
    ):
        _adopt(found, item, other)


def _is_head(other: Item, content: Content | None) -> bool:
    """Whether this is the head's content, for which an earlier one was to stand: then it is here, and none has to."""
    row = other.remote
    if row is None or other.version == row.head or row.node.content != content:
        return False
    other.r, other.version = row.node, row.head
    return True


def moves_to_undo(found: Differences) -> set[EntryId]:
    """One local move of each cycle: of an entry that is below itself in the target. Empty where all is a tree.

    A cycle has such a move, since neither the journal's tree nor the disk's has a cycle. Where one is undone, what
    lives, and where, has to be merged anew.
    """
    passed: set[EntryId] = {ROOT}
    undo = set()
    for start in sorted(item.entry for item in found.items.values() if item.kind is Kind.DIRECTORY and item.from_local):
        cycle = _cycle_above(found, start, passed)
        if cycle:
            here = [item for entry in cycle if (item := found.items.get(entry)) is not None and item.from_local]
            moved = [item for item in here if item.r is None or item.r.parent != item.parent]
            undo.add(min((item.b is None or not item.live, item.entry) for item in moved)[1])
    return undo


def _cycle_above(found: Differences, entry: EntryId, passed: set[EntryId]) -> list[EntryId]:
    """The entries that are below themselves, going up from `entry` in the target; none where something was passed."""
    path: dict[EntryId, None] = {}
    while entry not in passed:
        if entry in path:
            above = list(path)
            passed.update(path)
            return above[above.index(entry) :]
        path[entry] = None
        entry = target_parent(found, entry)
    passed.update(path)
    return []


def target_parent(found: Differences, entry: EntryId) -> EntryId:
    """The parent of a live entry in the target. Entries that are not looked at stay where the journal has them."""
    item = found.items.get(entry)
    if item is not None:
        return item.parent
    row = found.trees.remote(entry)
    return ROOT if row is None else row.node.parent
