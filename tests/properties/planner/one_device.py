"""One device and the journal: three trees reached by two histories from a common tree, planned, played, checked."""

from collections import Counter
from dataclasses import replace

from peer.planner.memory import MemoryTrees
from peer.planner.operations import PARKED, AdoptEntry, ForgetEntry, MarkSynced, Plan, Policy, ProposeChange
from peer.planner.plan import plan
from peer.planner.trees import Node, SyncedNode
from protocol.ids import ROOT, EntryId
from protocol.model import Kind
from tests.properties.planner.earlier import check_earlier
from tests.properties.planner.edits import (
    Editor,
    below,
    create_remote,
    derive,
    edit_disk,
    edit_journal,
    fingerprint,
    put_local,
)
from tests.properties.planner.playing import (
    Paths,
    Step,
    live_nodes,
    local_nodes,
    paths,
    play,
    steps_of,
    target_nodes,
)
from tests.properties.planner.tape import Tape

ROUNDS = 4


def grown(tape: Tape) -> MemoryTrees:
    """A device that is in step with its journal, with a few entries ended in between."""
    trees = MemoryTrees()
    editor = Editor(tape, "base")
    for _ in range(tape.below(10)):
        directories = [one.node.entry for one in trees.remote_rows if one.node.kind is Kind.DIRECTORY]
        create_remote(trees, editor, [ROOT, *directories])
    for _ in range(tape.below(4)):
        edit_journal(trees, editor)
    for entry, node in live_nodes({one.node.entry: one.node for one in trees.remote_rows}).items():
        row = trees.remote_rows.rows[entry]
        if tape.one_in(16):
            trees.synced_rows.put(SyncedNode(node, row.head, None, absent_by_design=node.kind is not Kind.DIRECTORY))
            if node.kind is not Kind.DIRECTORY:
                continue
        put_local(trees, node)
        trees.synced_rows.put(SyncedNode(node, row.head, fingerprint(node)))
    return trees


def perturbed(tape: Tape) -> tuple[MemoryTrees, int, int]:
    """`grown`, then edited on both sides. Returns the numbers of edits too."""
    trees = grown(tape)
    there, here = tape.below(8), tape.below(8)
    elsewhere, person = Editor(tape, "far"), Editor(tape, "near")
    for _ in range(there):
        edit_journal(trees, elsewhere)
    for _ in range(here):
        edit_disk(trees, person)
    return trees, there, here


def policy_of(tape: Tape) -> Policy:
    braking = tape.one_in(8)
    return Policy(
        may_write=not tape.one_in(8),
        device_name="Ana",
        derive=derive,
        date="2026-01-02",
        brake_entries=1 if braking else 100,
        brake_ratio=0.3,
        rejected_deletions=tape.one_in(12),
    )


def check(tape: Tape, counts: Counter[str]) -> None:
    """One case, all properties of a single device. Raises on the first that does not hold."""
    policy = policy_of(tape)
    trees, there, here = perturbed(tape)
    made = plan(trees, policy)
    wanted = paths(target_nodes(trees, made))
    counts["P1"] += 1
    check_same_plan(trees, policy, made, counts)
    braked = made
    if made.brakes:
        made = plan(trees, replace(policy, confirmed_deletions=True))
    check_brake(trees, policy, braked, made, counts)
    policy = replace(policy, confirmed_deletions=True)
    if not policy.rejected_deletions:
        check_fast_forward(trees, policy, made, there, here, counts)
    check_contents_kept(trees, made, counts)
    check_moved_out(trees, policy, made, counts)
    check_unreadable(trees, policy, tape)
    if not policy.rejected_deletions:
        check_put_without_row(trees, policy, made, tape, counts)
    if not policy.may_write:
        check_viewer(trees, policy, made, counts)
        return
    steps = steps_of(made, tape, commit_changes=1 + tape.below(4) * 333)
    check_crash(trees, policy, steps, wanted, tape, counts)
    check_steps_reduce(trees, made, steps, counts)
    check_waves_commute(trees, made, tape, counts)
    check_fixpoint(trees, policy, wanted, counts)
    check_earlier(trees, policy, tape, counts)


def check_same_plan(trees: MemoryTrees, policy: Policy, made: Plan, counts: Counter[str]) -> None:
    again = MemoryTrees()
    for row in reversed(list(trees.remote_rows)):
        again.remote_rows.put(row)
    again.remote_rows.versions = dict(trees.remote_rows.versions)
    for synced in reversed(list(trees.synced_rows)):
        again.synced_rows.put(synced)
    for local in reversed(list(trees.local_rows)):
        again.local_rows.put(local)
    second = plan(again, policy)
    assert replace(second, settled=()) == replace(made, settled=()), "P2: another order of rows, another plan"
    counts["P2"] += 1
    again.everything = True
    second = plan(again, policy)
    assert replace(second, settled=()) == replace(made, settled=()), "P13: planning everything differs"
    counts["P13"] += 1


def check_brake(trees: MemoryTrees, policy: Policy, made: Plan, free: Plan, counts: Counter[str]) -> None:
    """`free`: the plan without the brake."""
    target = target_nodes(trees, made)
    adopted = {one.local for wave in free.waves for one in wave if isinstance(one, AdoptEntry)}
    here = sum(entry not in target and entry not in adopted for entry in trees.local_rows.rows)
    live = live_nodes({one.node.entry: one.node for one in trees.remote_rows})
    there = sum(entry not in target for entry in live) if policy.may_write else 0
    bound = max(policy.brake_entries, policy.brake_ratio * len(trees.synced_rows.rows))
    braked = [one.side for one in made.brakes]
    assert braked == ["local"] * (here > bound) + ["remote"] * (there > bound), f"P11: {here}, {there} of {bound}"
    assert not (made.brakes and made.waves), "P11: a braked plan does something"
    assert made.target == free.target, "P11: the brake changes the target"
    counts["P11"] += 1


def check_fast_forward(
    trees: MemoryTrees, policy: Policy, made: Plan, there: int, here: int, counts: Counter[str]
) -> None:
    target = target_nodes(trees, made)
    live = live_nodes({one.node.entry: one.node for one in trees.remote_rows})
    if not here:
        assert target == live, "P3: nothing was done here, yet the target is not the journal's"
    absent = any(one.absent_by_design for one in trees.synced_rows)
    if not there and policy.may_write and not absent:
        local = local_nodes(trees.local_rows)
        assert target == local, "P3: nothing was done elsewhere, yet the target is not what is here"
    if not (there or here):
        assert not made.waves, "P3: all equal, yet something is done"
    counts["P3"] += 1


def check_contents_kept(trees: MemoryTrees, made: Plan, counts: Counter[str]) -> None:
    contents = {node.content for node in target_nodes(trees, made).values()}
    live = live_nodes({one.node.entry: one.node for one in trees.remote_rows})
    for node in (*live.values(), *local_nodes(trees.local_rows).values()):
        synced = trees.synced(node.entry)
        if node.content is None or (synced is not None and passed_over(trees, synced, node)):
            continue
        if synced is None or synced.base.content != node.content:
            assert node.content in contents, f"P4: {node} is lost"
    counts["P4"] += 1


def passed_over(trees: MemoryTrees, synced: SyncedNode, node: Node) -> bool:
    """Whether this content is that of a version that the journal has gone on from since this device had its base."""
    base = synced.base.content
    return base is not None and node.content is not None and bool(trees.later_with(node.entry, base, node.content))


def check_moved_out(trees: MemoryTrees, policy: Policy, made: Plan, counts: Counter[str]) -> None:
    """What one side moved out of a directory that the other deleted is there in the end, with all that is in it."""
    target = target_nodes(trees, made)
    live = live_nodes({one.node.entry: one.node for one in trees.remote_rows})

    def moved(there: Node, base: Node) -> bool:
        return (there.parent, there.name) != (base.parent, base.name)

    for entry in live.keys() - trees.local_rows.rows.keys():
        at, synced = entry, trees.synced(entry)
        while synced is not None and not synced.absent_by_design and trees.local(at) is None:
            if not moved(live[at], synced.base):
                at = synced.base.parent
                synced = trees.synced(at) if at in live else None
                continue
            above = synced.base.parent
            old = trees.synced(above)
            if trees.local(above) is None and old is not None and not old.absent_by_design:
                assert entry in target, f"P14: {live[entry]} went with the directory that {live[at]} was moved out of"
                counts["P14"] += 1
            break
    if not policy.may_write:
        return
    adopted = {one.local for wave in made.waves for one in wave if isinstance(one, AdoptEntry)}
    for local in trees.local_rows:
        row, synced, node = trees.remote(local.node.entry), trees.synced(local.node.entry), local.node
        ended = row is not None and not row.node.deleted and node.entry not in live
        if ended and synced is not None and moved(node, synced.base):
            assert node.entry in target or node.entry in adopted, f"P14: {node} was moved out, and is deleted"
            counts["P14"] += 1


def check_viewer(trees: MemoryTrees, policy: Policy, made: Plan, counts: Counter[str]) -> None:
    assert not any(isinstance(one, ProposeChange) for wave in made.waves for one in wave), "P12: a viewer proposes"
    trees = trees.copy()
    mine = {
        node.content
        for node in local_nodes(trees.local_rows).values()
        if (synced := trees.synced(node.entry)) is None
        or (synced.base.content != node.content and not passed_over(trees, synced, node))
    }
    for _ in range(ROUNDS):
        for step in steps_of(plan(trees, policy)):
            play(trees, step)
            there = {node.content for node in local_nodes(trees.local_rows).values()}
            assert mine <= there, "P12: a viewer's bytes are destroyed"
    assert not plan(trees, policy).waves, "P12: a viewer's device does not come to rest"
    shown = {node.entry for node in local_nodes(trees.local_rows).values()}
    live = live_nodes({one.node.entry: one.node for one in trees.remote_rows})
    missing = {entry for entry in live if entry not in shown}
    assert all((row := trees.synced(entry)) is not None and row.absent_by_design for entry in missing), "P12: missing"
    counts["P12"] += 1


def check_put_without_row(trees: MemoryTrees, policy: Policy, made: Plan, tape: Tape, counts: Counter[str]) -> None:
    """A file that nobody touched holds a version between base and head, since it was put there and its row was not
    written: all becomes as if it held its base."""
    live = live_nodes({one.node.entry: one.node for one in trees.remote_rows})
    puts = []
    for row in trees.local_rows:
        later: list[Node] = []
        entry, synced, remote = row.node.entry, trees.synced(row.node.entry), trees.remote(row.node.entry)
        if synced is None or remote is None or not (entry in live or remote.node.deleted):
            continue
        base = synced.base
        for version in trees.remote_rows.versions[entry] if row.node.content is not None else ():
            if version.node.content == base.content:
                later.clear()
            elif not version.node.deleted:
                later.append(replace(row.node, content=version.node.content, attributes=version.node.attributes))
        if (row.node.content, row.node.attributes) == (base.content, base.attributes):
            puts += later
    if not puts:
        return
    placed = trees.copy()
    put_local(placed, tape.pick(puts))
    second = plan(placed, policy)
    found = paths(target_nodes(placed, second), attributes=True)
    assert found == paths(target_nodes(trees, made), attributes=True), "P15: what was put here is taken for an edit"
    counts["P15"] += 1


def check_unreadable(trees: MemoryTrees, policy: Policy, tape: Tape) -> None:
    """A directory that cannot be read: what is below it is not seen, not touched, and nothing of it is proposed."""
    directories = sorted(one.node.entry for one in trees.local_rows if one.node.kind is Kind.DIRECTORY)
    if not directories or not tape.one_in(4):
        return
    trees = trees.copy()
    unreadable = tape.pick(directories)
    trees.unreadable.add(unreadable)
    hidden = below(trees.local_rows, unreadable) - {unreadable}
    rows = [trees.local_rows.rows[entry] for entry in sorted(hidden)]
    for entry in hidden:
        trees.local_rows.drop(entry)
    if any(trees.synced(entry) is not None and not trees.unknown(entry) for entry in hidden):
        return  # what was moved into it just before is gone from where it was, which can be read
    for _ in range(ROUNDS):
        made = plan(trees, policy)
        paths(target_nodes(trees, made))
        for step in steps_of(made):
            for one in step:
                proposed = isinstance(one, ProposeChange) and one.node.deleted
                recorded = isinstance(one, ProposeChange | MarkSynced | ForgetEntry) and not proposed
                assert recorded or one.entry not in hidden | {unreadable}, f"P8: {one} of what cannot be read"
            play(trees, step)
    assert not plan(trees, policy).waves, "P5: never done beside what cannot be read"
    assert trees.local(unreadable) is not None, "P8: what cannot be read was removed"
    trees.unreadable.clear()
    for row in sorted(rows, key=lambda row: row.node.entry):
        assert trees.local(row.node.entry) is None, "P8: something was put where it could not be seen"
        trees.local_rows.put(row)
    paths(local_nodes(trees.local_rows))
    for _ in range(ROUNDS):
        for step in steps_of(plan(trees, policy)):
            play(trees, step)
    assert not plan(trees, policy).waves, "P5: never done once it can be read"


def check_crash(
    trees: MemoryTrees, policy: Policy, steps: list[Step], wanted: Paths, tape: Tape, counts: Counter[str]
) -> None:
    if not steps:
        return
    trees = trees.copy()
    for step in steps[: 1 + tape.below(len(steps))]:
        play(trees, step)
        paths(local_nodes(trees.local_rows))
        counts["P8"] += 1
    again = plan(trees, policy)
    found = paths(target_nodes(trees, again))
    assert found == wanted, f"P6: after a crash {_difference(found, wanted)}"
    counts["P6"] += 1


def _difference(found: Paths, wanted: Paths) -> str:
    only = {path: value for path, value in found.items() if wanted.get(path) != value}
    lost = {path: value for path, value in wanted.items() if found.get(path) != value}
    return f"there is {only} in place of {lost}"


def check_steps_reduce(trees: MemoryTrees, made: Plan, steps: list[Step], counts: Counter[str]) -> None:
    target = target_nodes(trees, made)
    trees = trees.copy()
    before = distance(trees, target)
    for step in steps:
        play(trees, step)
        after = distance(trees, target)
        assert after < before, f"P7: {step} does not reduce the differences"
        before = after
        counts["P7"] += 1


def distance(trees: MemoryTrees, target: dict[EntryId, Node]) -> int:
    """How far the three trees are from the target: weights such that every kind of operation counts."""
    total = 0
    remote = live_nodes({one.node.entry: one.node for one in trees.remote_rows})
    entries = {*target, *trees.local_rows.rows, *trees.synced_rows.rows, *remote}
    for entry in entries:
        total += _distance(trees, entry, target.get(entry), remote.get(entry))
    return total


def _distance(trees: MemoryTrees, entry: EntryId, node: Node | None, there: Node | None) -> int:
    local, synced = trees.local(entry), trees.synced(entry)
    if node is None:
        parked = local is not None and local.node.name.startswith(PARKED)
        return (4 - parked if local else 0) + (there is not None) + (synced is not None)
    total = 0
    if local is not None:
        place = local.intended or (local.node.parent, local.node.name)
        total += 2 * (place != (node.parent, node.name))
        total += local.intended is not None or (local.node.parent, local.node.name) != (node.parent, node.name)
        total += 6 * (local.node.content != node.content) + (local.node.attributes != node.attributes)
    elif synced is None:
        total += 10
    elif not synced.absent_by_design:
        total += 15  # it looks deleted, which is farther away than never seen
    for side, missing in ((there, 4), (None if synced is None else synced.base, 4)):
        if side is None:
            total += missing
        else:
            total += (side.parent, side.name) != (node.parent, node.name)
            total += (side.content != node.content) + (side.attributes != node.attributes)
    return total


def check_waves_commute(trees: MemoryTrees, made: Plan, tape: Tape, counts: Counter[str]) -> None:
    one, two = trees.copy(), trees.copy()
    for step in steps_of(made):
        play(one, step)
    for step in steps_of(made, tape, commit_changes=1 + tape.below(3)):
        play(two, step)
    assert one.remote_rows.rows == two.remote_rows.rows, "P10: remote"
    assert one.synced_rows.rows == two.synced_rows.rows, "P10: synced"
    assert one.local_rows.rows == two.local_rows.rows, "P10: local"
    counts["P10"] += 1


def check_fixpoint(trees: MemoryTrees, policy: Policy, wanted: Paths, counts: Counter[str]) -> None:
    trees = trees.copy()
    for _ in range(ROUNDS):
        for step in steps_of(plan(trees, policy)):
            play(trees, step)
    made = plan(trees, policy)
    assert not made.waves, f"P5: never done: {made.waves}"
    live = live_nodes({one.node.entry: one.node for one in trees.remote_rows})
    assert paths(live) == wanted, f"P5: {_difference(paths(live), wanted)}"
    base = {one.base.entry: one.base for one in trees.synced_rows}
    assert base == live, "P5: synced is not the journal"
    absent = {one.base.entry for one in trees.synced_rows if one.absent_by_design}
    here = local_nodes(trees.local_rows)
    assert here == {entry: node for entry, node in live.items() if entry not in absent}, "P5: local is not the journal"
    assert set(made.settled) == set(trees.differing()), "P5: what is left is not settled"
    counts["P5"] += 1
