"""`plan`: from three trees to a plan. Owns the composition of merge and diff, and the brake; decides nothing else."""

from peer.planner.agreeing import agreed_on
from peer.planner.differences import Differences, Item
from peer.planner.disk import DiskWaves, plan_disk
from peer.planner.merge import merge
from peer.planner.naming import Names
from peer.planner.operations import (
    AdoptEntry,
    Brake,
    ForgetEntry,
    ForkEntry,
    MarkSynced,
    Operation,
    Plan,
    Policy,
    RemoveEntry,
    Undone,
)
from peer.planner.places import adopt_same_names, moves_to_undo, settle_parents
from peer.planner.proposals import Proposals, plan_proposals
from peer.planner.trees import Node, Trees
from protocol.ids import EntryId

PRUNED = 16
"""Of so many undone moves it is tried which of them can stay; of more, only as much is tried as the cycles need."""


def plan(trees: Trees, policy: Policy) -> Plan:
    """What to do so that the three trees become equal. Pure and deterministic; costs as much as the trees differ."""
    found = _merged(trees, policy)
    names = Names(found)
    names.settle()
    ordered = sorted(found.items.values(), key=lambda item: item.entry)
    disk = plan_disk(found, ordered)
    proposals = plan_proposals(found, ordered, disk.held_back)
    target = tuple(node for item in ordered if (node := _new_in_target(item)) is not None)
    undone = tuple(Undone(item.entry, item.undone) for item in ordered if _is_undone(item))
    brakes = () if policy.confirmed_deletions else _brakes(found, disk, proposals)
    if brakes:
        return Plan(target, (), tuple(names.conflicts), undone, brakes, (), ())
    withheld: set[EntryId] = set()
    if not policy.may_write:
        withheld = proposals.changed | proposals.deleted
        proposals = Proposals()
    waves = _waves(found, ordered, disk, proposals)
    settled = _settled(found, disk, waves, withheld)
    waiting = tuple(item.entry for item in ordered if item.waits)
    return Plan(target, waves, tuple(names.conflicts), undone, (), tuple(sorted(withheld)), settled, waiting)


def _merged(trees: Trees, policy: Policy) -> Differences:
    """The entries that differ, with their places in the target, which is one tree; only names may still clash."""
    undone: set[EntryId] = set()
    rooted: set[EntryId] = set()
    passes = 0
    while True:
        found = _merged_without(trees, policy, undone, rooted)
        more = moves_to_undo(found)
        if not more:
            break
        assert more.isdisjoint(rooted), "what is in the root makes a cycle"
        rooted |= more & undone
        undone |= more
        passes += 1
    if passes > 1 and len(undone) <= PRUNED:
        # what was undone first may not have needed it; done again after a crash, it would not be undone
        for entry in sorted(undone):
            fewer = _merged_without(trees, policy, undone - {entry}, rooted - {entry})
            if not moves_to_undo(fewer):
                undone.discard(entry)
                found = fewer
    return found


def _merged_without(trees: Trees, policy: Policy, undone: set[EntryId], rooted: set[EntryId]) -> Differences:
    found = Differences(trees, policy, undone, rooted)
    merge(found)
    settle_parents(found)
    while adopt_same_names(found):
        settle_parents(found)
    return found


def _new_in_target(item: Item) -> Node | None:
    """The target's node where it differs from any of the three trees."""
    if item.alive:
        target = item.target()
        same = item.live and item.r == target and item.b == target
        return None if same and (item.absent or (item.local is not None and item.local.node == target)) else target
    if item.live or item.b is not None or item.local is not None:
        return item.target()
    return None


def _is_undone(item: Item) -> bool:
    if item.undone == "moved":
        return item.l is not None and item.place != (item.parent, item.name)
    return item.undone == "deleted" and item.alive and item.local is None


def _brakes(found: Differences, disk: DiskWaves, proposals: Proposals) -> tuple[Brake, ...]:
    """The brakes that this plan meets: more deletions than both bounds allow, counted in each direction.

    Those of the last while count too, as far as there are fewer entries now than there were: what is made and deleted
    all the time, as by a compiler, is no loss.
    """
    policy = found.policy
    lately = policy.lately
    removals = [*(wave for wave in disk.places), *disk.removals]
    here = sum(isinstance(operation, RemoveEntry) for wave in removals for operation in wave)
    there = sum(found.items[entry].live for entry in proposals.deleted) if policy.may_write else 0
    if max(here + lately.local, there + lately.remote) <= policy.brake_entries:
        return ()
    left = found.trees.synced_count()
    entries = max(left, lately.most)
    bound = max(policy.brake_entries, policy.brake_ratio * entries)
    brakes = []
    for side, count, before in (("local", here, lately.local), ("remote", there, lately.remote)):
        lost = min(count + before, entries - left + count)
        if count and lost > bound:
            brakes.append(Brake(side, lost, entries))
    return tuple(brakes)


def _waves(
    found: Differences, ordered: list[Item], disk: DiskWaves, proposals: Proposals
) -> tuple[tuple[Operation, ...], ...]:
    """All waves: bases that mean nothing any more; adoptions; places on disk; proposals; contents; removals; what is
    only recorded."""
    touched = {
        operation.entry
        for wave in (*disk.places, disk.contents, *disk.removals, disk.absent)
        for operation in wave
        if not isinstance(operation, ForkEntry)
    }
    touched.update(one.entry for wave in proposals.waves for one in wave if one.agreed is not None)
    adoptions: list[Operation] = []
    forgotten: list[Operation] = [ForgetEntry(item.entry) for item in ordered if item.came_out]
    records: list[Operation] = list(disk.absent)
    for item in ordered:
        entry = item.entry
        agreed = None if entry in touched or entry in disk.held_back else agreed_on(item, item.r, proposed=False)
        if item.adopted_from is not None:
            adoptions.append(AdoptEntry(item.adopted_from, entry, agreed))
        elif agreed is not None:
            records.append(MarkSynced(entry, item.kind, agreed))
        elif _is_gone(item) and not _goes_with_directory(found, item, proposals.deleted):
            records.append(ForgetEntry(entry))
    proposed: list[list[Operation]] = [[*wave] for wave in proposals.waves]
    waves = [forgotten, adoptions, *disk.places, *proposed, disk.contents, *disk.removals, records]
    return tuple(tuple(wave) for wave in waves if wave)


def _is_gone(item: Item) -> bool:
    """Whether only the synced tree still has an entry."""
    return not item.alive and item.synced is not None and item.r is None and item.place is None


def _goes_with_directory(found: Differences, item: Item, deleted: set[EntryId]) -> bool:
    """Whether the base of an entry goes when the deletion of a directory that it was in is accepted."""
    base = None if item.absent else item.b
    while base is not None:
        if base.parent in deleted:
            return True
        above = found.items.get(base.parent)
        base = None if above is None or above.place is not None or above.absent else above.b
    return False


def _settled(
    found: Differences, disk: DiskWaves, waves: tuple[tuple[Operation, ...], ...], withheld: set[EntryId]
) -> tuple[EntryId, ...]:
    """The differing entries that nothing is done about, now or later."""
    busy = disk.held_back | withheld
    for wave in waves:
        for operation in wave:
            busy.add(operation.entry)
            if isinstance(operation, AdoptEntry):
                busy.add(operation.local)
    items = found.items
    return tuple(entry for entry in found.differing if entry not in busy and _is_settled(items.get(entry)))


def _is_settled(item: Item | None) -> bool:
    if item is None or item.frozen:
        return False
    return _new_in_target(item) is None
