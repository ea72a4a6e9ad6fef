"""From the remote tree to the target: what to propose to the coordinator, in an order that any commit may end in.

A parent is proposed before what is in it, what leaves a name before what takes it, deletions after what was moved out
of them; a directory's deletion is one change, whatever it holds. Changes that need each other (two names swapped)
have one group, which goes into one commit; where that would exceed a commit, one entry is proposed under a temporary
name, and the rest waits for the next plan. Owns this order, and the cut into commits; pure.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from peer.planner.agreeing import agreed_on
from peer.planner.differences import Differences, Item, Place
from peer.planner.operations import PARKED, Agreed, ProposeChange
from peer.planner.ordering import blocked_by, knots, layers
from peer.planner.places import target_parent
from peer.planner.trees import Node
from protocol.ids import ROOT, EntryId
from protocol.limits import COMMIT_CHANGES
from protocol.model import Kind


@dataclass(slots=True)
class Proposals:
    """What to propose, in waves. `changed` and `deleted`: the entries concerned (of `deleted`, also those that go with
    the directory above them)."""

    waves: list[list[ProposeChange]] = field(default_factory=list)
    changed: set[EntryId] = field(default_factory=set)
    deleted: set[EntryId] = field(default_factory=set)


class _Remote:
    def __init__(self, found: Differences, ordered: list[Item]) -> None:
        self.found = found
        self.puts: dict[EntryId, Item] = {}
        self.deletions: dict[EntryId, Item] = {}
        self.leaving: dict[Place, EntryId] = {}
        self.frozen: set[EntryId] = set()
        self._above: dict[EntryId, EntryId | None] = {ROOT: None}
        for item in ordered:
            remote = item.r
            if item.frozen:
                self.frozen.add(item.entry)
                if remote is not None:
                    self.leaving[remote.parent, remote.name] = item.entry
                continue
            if item.alive:
                if remote is None or _differs(item, remote):
                    self.puts[item.entry] = item
                    if remote is not None and (remote.parent, remote.name) != (item.parent, item.name):
                        self.leaving[remote.parent, remote.name] = item.entry
            elif remote is not None:
                self.deletions[item.entry] = item
        self.covered = {entry for entry, item in self.deletions.items() if item.r and item.r.parent in self.deletions}
        for entry, item in self.deletions.items():
            if item.r is not None and entry not in self.covered:
                self.leaving[item.r.parent, item.r.name] = entry

    def above(self, entry: EntryId) -> EntryId | None:
        """The nearest entry from here up, in the target, that a proposal puts in its place."""
        path = []
        while entry not in self._above:
            if entry in self.puts or entry in self.frozen:
                self._above[entry] = entry
                break
            path.append(entry)
            entry = target_parent(self.found, entry)
        value = self._above[entry]
        for passed in path:
            self._above[passed] = value
        return value

    def covering(self, entry: EntryId) -> EntryId:
        """The deletion that ends this deleted entry: its own, or that of a directory above it."""
        while entry in self.covered:
            row = self.deletions[entry].r
            assert row is not None
            entry = row.parent
        return entry

    def needs(self) -> dict[EntryId, list[EntryId]]:
        """What each proposal needs to have been proposed before it, or with it."""
        needs: dict[EntryId, list[EntryId]] = {}
        for entry, item in self.puts.items():
            needed = needs[entry] = []
            leaver = self.leaving.get((item.parent, item.name))
            if leaver is not None and leaver != entry:
                needed.append(leaver)
            if item.kind is Kind.DIRECTORY or item.parent in self.puts or not self.found.live(item.parent):
                over = self.above(item.parent)
                if over is not None:
                    needed.append(over)
        for entry in self.deletions:
            if entry not in self.covered:
                needs[entry] = []
        # A deletion does not take what was moved out and cannot be read either: it waits for that to be proposed.
        for entry in (*self.puts, *sorted(self.frozen)):
            remote = self.found.items[entry].r
            if remote is not None and remote.parent in self.deletions:
                needs[self.covering(remote.parent)].append(entry)
        return needs


def _differs(item: Item, remote: Node) -> bool:
    return (
        remote.parent != item.parent
        or remote.name != item.name
        or remote.content != item.content
        or remote.attributes != item.attributes
    )


def plan_proposals(found: Differences, ordered: list[Item], held_back: set[EntryId]) -> Proposals:
    """The proposals. What concerns an entry in `held_back` (whose disk could not be brought there) waits; so does the
    deletion of what only lives again once a directory above it was proposed."""
    remote = _Remote(found, ordered)
    proposals = Proposals(changed=set(remote.puts), deleted=set(remote.deletions))
    if not (remote.puts or remote.deletions):
        return proposals
    needs = remote.needs()
    ended = {entry for entry, item in remote.deletions.items() if not item.live}
    held = blocked_by(needs, {*remote.frozen, *(entry for entry in held_back if entry in needs)})
    waiting = held | blocked_by(needs, ended)
    circling = _circling(remote, ended) & (waiting - held)
    needs = {entry: needed for entry, needed in needs.items() if entry not in waiting}
    last = _unneeded_deletions(remote, needs)
    first = {entry: needed for entry, needed in needs.items() if entry not in last}
    found_layers, stuck = layers(first)
    for layer in found_layers:
        proposals.waves.append([_proposal(remote, entry, None) for entry in layer])
    if circling:
        proposals.waves.append([_parked(remote, entry) for entry in sorted(circling)])
    if stuck and not _add_knots(remote, first, stuck, proposals):
        return proposals
    if last:
        proposals.waves.append([_proposal(remote, entry, None) for entry in needs if entry in last])
    return proposals


def _circling(remote: _Remote, ended: set[EntryId]) -> set[EntryId]:
    """The directories that the entries in `ended` live again with. Where such a one waits for just that deletion, it
    has to live under another name first."""
    found = set()
    for entry in ended:
        item = remote.deletions[entry]
        above = None if item.r is None else remote.above(item.r.parent)
        if above in remote.puts:
            found.add(above)
    return found


def _unneeded_deletions(remote: _Remote, needs: dict[EntryId, list[EntryId]]) -> set[EntryId]:
    """Deletions that nothing waits for; they come last."""
    needed = {one for several in needs.values() for one in several}
    return {entry for entry in remote.deletions if entry in needs and entry not in needed}


def _add_knots(remote: _Remote, needs: dict[EntryId, list[EntryId]], stuck: set[EntryId], proposals: Proposals) -> bool:
    """Add what is on a circle, or behind one. False where one had to be cut: then the rest waits for the next plan."""
    rest = {entry: needs[entry] for entry in needs if entry in stuck}
    for group, knot in enumerate(knots(rest, stuck)):
        if len(knot) > COMMIT_CHANGES:
            proposals.waves.append([_parked(remote, min(one for one in knot if one in remote.puts))])
            return False
        wave = [_proposal(remote, entry, group if len(knot) > 1 else None) for entry in knot]
        proposals.waves.append(wave)
    return True


def _parked(remote: _Remote, entry: EntryId) -> ProposeChange:
    """The entry as the journal has it (or as the target has it, where it does not live there), under a temporary name:
    in its directory, or in the root."""
    item = remote.puts[entry]
    assert item.remote is not None
    name = PARKED + entry.hex()
    node = replace(item.r, name=name) if item.r is not None else replace(item.target(), parent=ROOT, name=name)
    agreed = None if item.b is None else Agreed((node.parent, node.name), None, None, None)
    return ProposeChange(entry, item.remote.head, node, item.remote.head, item.copy_of, None, agreed)


def _proposal(remote: _Remote, entry: EntryId, group: int | None) -> ProposeChange:
    item = remote.puts.get(entry)
    if item is None:
        gone = remote.deletions[entry]
        assert gone.r is not None
        assert gone.remote is not None
        node = replace(gone.r, content=None, attributes=None, deleted=True)
        return ProposeChange(entry, gone.remote.head, node, None, None, group, None)
    row = item.remote
    source = row.head if row is not None and row.usable and row.node.content == item.content else None
    holder = item if item.fork_of is None else item.fork_of
    here = holder.l
    agreed = None
    if here is not None:
        there = Node(entry, item.kind, item.parent, item.name, here.content, here.attributes)
        agreed = agreed_on(item, there, proposed=True)
    return ProposeChange(
        entry=entry,
        base=None if row is None else row.head,
        node=item.target(),
        content_from=source if item.content is not None else None,
        copy_of=item.copy_of,
        group=group,
        agreed=agreed,
    )


def cut_commits(
    proposals: Iterable[ProposeChange], max_changes: int = COMMIT_CHANGES
) -> list[tuple[ProposeChange, ...]]:
    """Cut proposals, in the order of their plan, into commits of at most `max_changes`, no group across two.

    `max_changes` must not be below `COMMIT_CHANGES` where a group could be as long.
    """
    units: list[list[ProposeChange]] = []
    for proposal in proposals:
        if proposal.group is not None and units and units[-1][0].group == proposal.group:
            units[-1].append(proposal)
        else:
            units.append([proposal])
    commits: list[tuple[ProposeChange, ...]] = []
    current: list[ProposeChange] = []
    for unit in units:
        if current and len(current) + len(unit) > max_changes:
            commits.append(tuple(current))
            current = []
        current.extend(unit)
    if current:
        commits.append(tuple(current))
    return commits
