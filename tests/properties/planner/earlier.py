"""What a device that has nothing of a file shows of it while nobody has its head: generated cases of P16."""

from collections import Counter
from dataclasses import replace

from peer.planner.memory import MemoryTrees
from peer.planner.operations import AdoptEntry, Policy, ProposeChange
from peer.planner.plan import plan
from peer.planner.trees import Attributes, Earlier, Node
from protocol.ids import ChangeId, EntryId
from protocol.model import Kind
from tests.properties.planner.edits import content
from tests.properties.planner.playing import live_nodes, local_nodes, paths, play, steps_of
from tests.properties.planner.tape import Tape

ROUNDS = 6
OLD = 1_000_000
"""Nobody writes contents of such numbers."""


def check_earlier(trees: MemoryTrees, policy: Policy, tape: Tape, counts: Counter[str]) -> None:
    """Earlier versions stand for some heads: the plan is the one for a journal that has them as heads, nothing of them
    is proposed, and once they are here, all ends as if they had never been shown."""
    live = live_nodes({one.node.entry: one.node for one in trees.remote_rows})
    new = sorted(one for one, node in live.items() if node.kind is Kind.FILE and _is_nowhere(trees, one))
    shown = {entry: _earlier(number) for number, entry in enumerate(new) if not tape.one_in(3)}
    if not shown:
        return
    showing = replace(policy, earlier=shown)
    made = plan(trees, showing)
    before = trees.copy()
    adopted = {one.entry for wave in made.waves for one in wave if isinstance(one, AdoptEntry)}
    for entry, old in shown.items():
        if entry in adopted:
            continue  # the head's content was here already, under its name
        row = trees.remote_rows.rows[entry]
        node = replace(row.node, content=old.content, attributes=old.attributes)
        before.remote_rows.put(replace(row, node=node, head=old.version))
    assert made == plan(before, policy), "P16: it is not as if the earlier version was the head"
    direct, meanwhile = trees.copy(), trees.copy()
    _settle(direct, policy)
    for step in steps_of(made):
        for one in step:
            is_old = isinstance(one, ProposeChange) and one.node.content is not None and one.node.content.size >= OLD
            assert not is_old, "P16: an earlier version is proposed"
        play(meanwhile, step)
    _settle(meanwhile, showing)
    assert _here(meanwhile) == _here(direct), "P16: it ends otherwise than without showing anything"
    counts["P16"] += 1


def _is_nowhere(trees: MemoryTrees, entry: EntryId) -> bool:
    return trees.synced(entry) is None and trees.local(entry) is None


def _earlier(number: int) -> Earlier:
    version = ChangeId(f"earlier {number}".encode().ljust(32, b"."))
    return Earlier(version, content(OLD + number), Attributes(executable=False, mtime_ns=number))


def _settle(trees: MemoryTrees, policy: Policy) -> None:
    for _ in range(ROUNDS):
        for step in steps_of(plan(trees, policy)):
            play(trees, step)
    assert not plan(trees, policy).waves, "P16: never done"


def _here(trees: MemoryTrees) -> object:
    nodes: dict[EntryId, Node] = local_nodes(trees.local_rows)
    return paths(nodes)
