"""From the local tree to the target: the operations on this disk, in waves. Owns their order; pure.

First everything that gives entries their places (directories before children, and removals that make room for a name),
then new contents and attributes in one wave, last the remaining removals, deepest first. Every step leaves a valid
tree: a place is taken only once it is free and its directory is there, and directories reach their places from the top
down, so that none is ever moved below itself. Where places wait for each other in a circle, one entry is parked.
"""

from dataclasses import dataclass, field

from peer.fingerprint import Fingerprint
from peer.planner.agreeing import agreed_on
from peer.planner.differences import Differences, Item, Place
from peer.planner.operations import (
    PARKED,
    ForkEntry,
    MakeDirectory,
    MarkAbsent,
    MoveEntry,
    Operation,
    RemoveEntry,
    SetAttributes,
    WriteContent,
)
from peer.planner.ordering import blocked_by, cycle_in, layers
from peer.planner.places import target_parent
from protocol.ids import ROOT, EntryId
from protocol.model import Kind

Step = tuple[str, EntryId]
"""`put`, `park` or `remove`, and the entry."""


@dataclass(slots=True)
class DiskWaves:
    """The operations of `plan_disk`, by when they happen. `moved`: entries whose place on disk is right after these."""

    places: list[list[Operation]] = field(default_factory=list)
    contents: list[Operation] = field(default_factory=list)
    removals: list[list[Operation]] = field(default_factory=list)
    absent: list[Operation] = field(default_factory=list)
    held_back: set[EntryId] = field(default_factory=set)


class _Disk:
    def __init__(self, found: Differences, ordered: list[Item]) -> None:
        self.found = found
        self.items = ordered
        self.puts: dict[EntryId, Item] = {}
        self.removals: dict[EntryId, Item] = {}
        self.writes: list[Item] = []
        self.marks: list[Item] = []
        self.later: set[EntryId] = set()
        self.parked: set[EntryId] = set()
        self.absent: dict[EntryId, str] = {}
        self.leaving: dict[Place, Step] = {}
        self.blocked: list[Step] = []
        self._above: dict[EntryId, EntryId | None] = {ROOT: None}
        self._on_disk: dict[EntryId, bool] = {ROOT: True}

    def sort(self) -> None:
        """Say of every item what must happen to it."""
        for item in self.items:
            if item.frozen:
                self._freeze(item)
            elif not item.alive:
                if item.place is not None:
                    self.removals[item.entry] = item
                    self.leaving[item.place] = ("remove", item.entry)
            elif not item.absent:
                self._sort_living(item)

    def _freeze(self, item: Item) -> None:
        step = ("put", item.entry)
        self.blocked.append(step)
        if item.place is not None:
            self.leaving[item.place] = step

    def _sort_living(self, item: Item) -> None:
        entry = item.entry
        if item.fork_of is not None:
            self.puts[entry] = item
            if item.fork_of.place is not None:
                self.leaving[item.fork_of.place] = ("put", entry)
        elif item.fork is not None:
            if item.from_local:
                # once the content is forked off nothing here says where the entry was moved: propose that first
                self.blocked.append(("put", item.fork.entry))
            else:
                self.writes.append(item)
        elif item.place is None:
            if item.kind is Kind.DIRECTORY:
                self.puts[entry] = item
            else:
                self.writes.append(item)
        else:
            if item.place != (item.parent, item.name):
                self.puts[entry] = item
                self.leaving[item.place] = ("put", entry)
            here = item.l
            if here is not None and item.content != here.content:
                self.writes.append(item)
            elif here is not None and item.attributes != here.attributes:
                self.marks.append(item)

    def find_absent(self) -> None:
        """Find entries that cannot be put on this disk, and why; with them what is below."""
        unknown: dict[EntryId, bool] = {}
        for item in [*self.puts.values(), *self.writes]:
            if item.parent not in unknown:
                unknown[item.parent] = self.found.trees.unknown(item.parent)
            if unknown[item.parent]:
                self.blocked.append(("put", item.entry))
            elif item.place is None and item.fork_of is None and item.fork is None:
                self._can_be_here(item.entry)
            elif not self._can_be_here(item.parent):
                self.blocked.append(("put", item.entry))
        if self.absent:
            for entry in self.absent:
                self.puts.pop(entry, None)
            self.writes = [item for item in self.writes if item.entry not in self.absent]
        self.later = {item.entry for item in self.writes} | {item.entry for item in self.marks}

    def _can_be_here(self, entry: EntryId) -> bool:
        """Whether an entry is or can be on this disk. Walks up, without recursion."""
        path = []
        while entry not in self._on_disk:
            item = self.found.items.get(entry)
            if item is None:
                self._on_disk[entry] = self.found.trees.local(entry) is not None
                break
            if item.place is not None or item.fork_of is not None:
                self._on_disk[entry] = True
                break
            if item.absent:
                self._on_disk[entry] = False
                break
            reason = _unplaceable(item)
            if reason:
                self.absent[entry] = reason
                self._on_disk[entry] = False
                break
            path.append(entry)
            entry = item.parent
        there = self._on_disk[entry]
        for passed in reversed(path):
            self._on_disk[passed] = there
            if not there:
                self.absent[passed] = "parent_absent"
        return there

    def above(self, entry: EntryId) -> EntryId | None:
        """The nearest entry from here up, in the target, that is put in its place by this plan."""
        path = []
        while entry not in self._above:
            if entry in self.puts:
                self._above[entry] = entry
                break
            path.append(entry)
            entry = target_parent(self.found, entry)
        value = self._above[entry]
        for passed in path:
            self._above[passed] = value
        return value

    def _taken_by(self, item: Item) -> list[Step]:
        """What must leave before an entry is put in its place."""
        needed = []
        step = self.leaving.get((item.parent, item.name))
        if step is not None and step[1] != item.entry:
            needed.append(step)
        if item.fork_of is not None:
            # forked, the original looks newly made at its place: what is there must have gone, or it is taken for it
            step = self.leaving.get((item.fork_of.parent, item.fork_of.name))
            if step is not None and step[0] == "put" and step[1] != item.entry:
                needed.append(step)
        return needed

    def needs(self) -> tuple[dict[Step, list[Step]], dict[Step, list[Step]]]:
        """What each put and removal needs: all first (`first`), and those removals that nothing waits for (`last`)."""
        leaving = self.leaving
        first: dict[Step, list[Step]] = {}
        wanted: list[EntryId] = []
        for item in self.writes:
            step = leaving.get((item.parent, item.name))
            if step is not None and step[0] == "remove":
                wanted.append(step[1])
        for entry, item in self.puts.items():
            needed = self._taken_by(item)
            wanted.extend(leaver for kind, leaver in needed if kind == "remove")
            if item.kind is Kind.DIRECTORY:
                over = self.above(item.parent)
                if over is not None:
                    needed.append(("put", over))
            elif item.parent in self.puts:
                needed.append(("put", item.parent))
            first["put", entry] = needed
        below: dict[EntryId, list[Step]] = {}
        for (parent, _), step in leaving.items():
            if parent in self.removals:
                below.setdefault(parent, []).append(step)
        last = {("remove", entry): below.get(entry, []) for entry in self.removals}
        seen: set[EntryId] = set()
        while wanted:
            entry = wanted.pop()
            if entry in seen:
                continue
            seen.add(entry)
            needed = first["remove", entry] = last.pop(("remove", entry))
            wanted.extend(below_entry for kind, below_entry in needed if kind == "remove")
        return first, last


def _unplaceable(item: Item) -> str:
    if item.kind is Kind.MOUNT:
        return "not_shared"
    if item.remote is not None and not item.remote.usable and item.kind is not Kind.DIRECTORY:
        return "bad_change"
    return ""


def plan_disk(found: Differences, ordered: list[Item]) -> DiskWaves:
    """The waves of operations on this disk. `ordered`: the items in the order in which ties are broken."""
    disk = _Disk(found, ordered)
    disk.sort()
    disk.find_absent()
    first, last = disk.needs()
    blocked = blocked_by({**first, **last}, disk.blocked)
    first = {step: needed for step, needed in first.items() if step not in blocked}
    last = {step: needed for step, needed in last.items() if step not in blocked}
    waves = DiskWaves()
    for layer in _unknotted(disk, first):
        waves.places.append([_structural(disk, step) for step in layer])
    for layer in layers(last)[0]:
        waves.removals.append([_structural(disk, step) for step in layer])
    for item in disk.writes:
        operation = _write(item)
        needed = [("put", item.parent), disk.leaving.get((item.parent, item.name)), ("put", item.entry)]
        if item.fork is not None:
            needed.append(("put", item.fork.entry))
        if operation is None or not blocked.isdisjoint(needed):
            waves.held_back.add(item.entry)
        else:
            waves.contents.append(operation)
    for item in disk.marks:
        if item.attributes is not None and ("put", item.entry) not in blocked:
            waves.contents.append(
                SetAttributes(item.entry, item.attributes, _expected(item), agreed_on(item, item.r, proposed=False))
            )
    waves.held_back.update(entry for _, entry in blocked)
    for entry, reason in disk.absent.items():
        item = found.items[entry]
        agreed = agreed_on(item, item.r, proposed=False)
        if agreed is not None:
            waves.absent.append(MarkAbsent(entry, item.kind, agreed, reason))
    return waves


def _unknotted(disk: _Disk, needs: dict[Step, list[Step]]) -> list[list[Step]]:
    """The steps in layers; of every circle of places one entry is parked first."""
    found, stuck = layers(needs)
    if not stuck:
        return found
    rest = {step: [one for one in needs[step] if one in stuck] for step in needs if step in stuck}
    parked: dict[Step, list[Step]] = {}
    while stuck:
        cycle = cycle_in(rest, stuck)
        leaver = min(step for at, step in enumerate(cycle) if _makes_room(disk, cycle[at - 1], step))
        park = ("park", leaver[1])
        parked[park] = []
        disk.parked.add(leaver[1])
        for step, needed in rest.items():
            if _makes_room(disk, step, leaver):
                rest[step] = [park if one == leaver else one for one in needed]
        rest[leaver].append(park)
        _, stuck = layers({**parked, **rest})
    more, _ = layers({**parked, **rest})
    return found + more


def _makes_room(disk: _Disk, waiting: Step, leaver: Step) -> bool:
    """Whether `waiting` needs `leaver` because that is in its place."""
    if waiting[0] == "remove":
        return disk.leaving.get(_place_of(disk, leaver)) == leaver and _place_of(disk, leaver)[0] == waiting[1]
    item = disk.puts.get(waiting[1])
    return item is not None and disk.leaving.get((item.parent, item.name)) == leaver


def _place_of(disk: _Disk, step: Step) -> Place:
    item = disk.found.items[step[1]]
    holder = item.fork_of or item
    return holder.place or (ROOT, "")


def _structural(disk: _Disk, step: Step) -> Operation:
    kind, entry = step
    item = disk.found.items[entry]
    if kind == "park":
        return _park(item)
    if kind == "remove":
        return RemoveEntry(entry, item.kind, _expected(item))
    if item.fork_of is not None:
        if entry in disk.parked:
            return MoveEntry(entry, item.parent, item.name, _expected(item.fork_of), None, item.copy_of, None)
        return _fork(item, item.parent, item.name, None)
    agreed = None if entry in disk.later else agreed_on(item, item.r, proposed=False)
    if item.place is None:
        return MakeDirectory(entry, item.parent, item.name, agreed)
    return MoveEntry(entry, item.parent, item.name, _expected(item), None, item.copy_of, agreed)


def _park(item: Item) -> Operation:
    """Out of the way, to a name in the root; where it is meant to be is recorded with it."""
    name = PARKED + item.entry.hex()
    if item.fork_of is not None:
        return _fork(item, ROOT, name, (item.parent, item.name))
    if item.alive:
        intended = (item.parent, item.name)
    else:
        assert item.l is not None
        intended = (item.l.parent, item.l.name)
    return MoveEntry(item.entry, ROOT, name, _expected(item), intended, item.copy_of, None)


def _fork(item: Item, parent: EntryId, name: str, intended: Place | None) -> ForkEntry:
    assert item.fork_of is not None
    assert item.copy_of is not None
    return ForkEntry(item.fork_of.entry, item.entry, parent, name, item.copy_of, _expected(item.fork_of), intended)


def _write(item: Item) -> WriteContent | None:
    row = item.remote
    if row is None or item.version is None or item.content is None or not row.usable:
        return None
    return WriteContent(
        entry=item.entry,
        parent=item.parent,
        name=item.name,
        kind=item.kind,
        version=item.version,
        content=item.content,
        attributes=item.attributes,
        expected=None if item.fork is not None or item.place is None else _expected(item),
        agreed=agreed_on(item, item.r, proposed=False),
        kept_as=item.kept_as,
    )


def _expected(item: Item) -> Fingerprint | None:
    return None if item.local is None else item.local.fingerprint
