"""Plays a plan: operations on the trees, commits to a journal that judges them. And reads the trees as paths."""

from dataclasses import replace

from peer.fingerprint import Fingerprint
from peer.planner.effects import accept, apply
from peer.planner.memory import MemoryTrees, Rows
from peer.planner.operations import Operation, Plan, ProposeChange, SetAttributes, WriteContent
from peer.planner.proposals import cut_commits
from peer.planner.trees import LocalNode, Node, RemoteNode
from protocol.ids import ROOT, EntryId
from protocol.model import Kind
from tests.properties.planner.edits import change_id, fingerprint
from tests.properties.planner.tape import Tape

Paths = dict[tuple[str, ...], tuple[Kind, object]]
Step = tuple[Operation, ...]
"""One operation, or the changes of one commit."""


class Illegal(AssertionError):
    """A commit that the coordinator would refuse for its shape."""


def steps_of(plan: Plan, tape: Tape | None = None, commit_changes: int = 1000) -> list[Step]:
    """The plan as steps, each of which happens or does not. With a tape the members of each wave are shuffled."""
    steps: list[Step] = []
    proposals: list[ProposeChange] = []
    for wave in plan.waves:
        for operation in wave if tape is None else tape.shuffled(wave):
            if isinstance(operation, ProposeChange):
                proposals.append(operation)
            else:
                if proposals:
                    steps.extend(cut_commits(proposals, commit_changes))
                    proposals = []
                steps.append((operation,))
    if proposals:
        steps.extend(cut_commits(proposals, commit_changes))
    return steps


def play(trees: MemoryTrees, step: Step) -> None:
    """Carry one step out. Raises `Refuted` or `Illegal` where it is impossible."""
    first = step[0]
    if isinstance(first, ProposeChange):
        proposals = [one for one in step if isinstance(one, ProposeChange)]
        judge(trees.remote_rows, proposals)
        for one in proposals:
            row = trees.remote(one.entry)
            accept(trees, one, change_id(one.node, one.base), 1 if row is None else row.seq + 1)
    else:
        apply(trees, first, _fingerprint_after(trees, first))


NOTHING = Fingerprint(1, 0, 0, 0, 0, executable=False)


def _fingerprint_after(trees: MemoryTrees, operation: Operation) -> Fingerprint:
    if isinstance(operation, WriteContent):
        node = Node(operation.entry, operation.kind, ROOT, "", operation.content, operation.attributes)
        return fingerprint(node) or NOTHING
    if isinstance(operation, SetAttributes):
        row = trees.local(operation.entry)
        assert row is not None
        return fingerprint(replace(row.node, attributes=operation.attributes)) or NOTHING
    return NOTHING


def judge(rows: Rows[RemoteNode], proposals: list[ProposeChange]) -> None:
    """What makes a commit legal, as far as trees go: bases, and the resulting state."""
    if len({one.entry for one in proposals}) != len(proposals):
        raise Illegal("two changes of one entry")
    after = {entry: row.node for entry, row in rows.rows.items()}
    before = live_nodes(after)
    for one in proposals:
        row = rows.get(one.entry)
        if (None if row is None else row.head) != one.base:
            raise Illegal("stale")
        if (
            row is not None
            and one.node.deleted
            and (row.node.parent, row.node.name) != (one.node.parent, one.node.name)
        ):
            raise Illegal("a deletion moves")
        if row is None and one.node.deleted:
            raise Illegal("deletes what never was")
        if row is not None and row.node.kind is not one.node.kind:
            raise Illegal("another kind")
        after[one.entry] = one.node
    live = live_nodes(after)
    names = [(node.parent, node.name) for node in live.values()]
    if len(set(names)) != len(names):
        raise Illegal("name taken")
    for one in proposals:
        if not one.node.deleted and one.entry not in live:
            raise Illegal("does not become live")
        if one.node.deleted and one.entry not in before:
            raise Illegal("deletes what is not live")


def live_nodes(nodes: dict[EntryId, Node]) -> dict[EntryId, Node]:
    """Those that hang on the root; a cycle does not."""
    below: dict[EntryId, list[Node]] = {}
    for node in nodes.values():
        if not node.deleted:
            below.setdefault(node.parent, []).append(node)
    live: dict[EntryId, Node] = {}
    stack = [ROOT]
    while stack:
        for node in below.get(stack.pop(), ()):
            live[node.entry] = node
            if node.kind is Kind.DIRECTORY:
                stack.append(node.entry)
    return live


def target_nodes(trees: MemoryTrees, plan: Plan) -> dict[EntryId, Node]:
    """The whole target tree: the journal's live entries, with the nodes that the plan names in their place."""
    nodes = live_nodes({entry: row.node for entry, row in trees.remote_rows.rows.items()})
    for node in plan.target:
        if node.deleted:
            nodes.pop(node.entry, None)
        else:
            nodes[node.entry] = node
    return nodes


def local_nodes(rows: Rows[LocalNode]) -> dict[EntryId, Node]:
    return {entry: row.node for entry, row in rows.rows.items()}


def paths(nodes: dict[EntryId, Node], *, attributes: bool = False) -> Paths:
    """A tree as paths with kinds and contents. Asserts that it is one."""
    names: dict[EntryId, tuple[str, ...]] = {ROOT: ()}
    found: Paths = {}
    for node in nodes.values():
        chain: list[Node] = []
        at = node
        while at.entry not in names:
            chain.append(at)
            assert len(chain) <= len(nodes), "a cycle"
            if at.parent in names:
                break
            assert at.parent in nodes, "a parent that does not live"
            at = nodes[at.parent]
        for one in reversed(chain):
            assert one.parent == ROOT or nodes[one.parent].kind is Kind.DIRECTORY, "a parent that is no directory"
            names[one.entry] = (*names[one.parent], one.name)
        value = (node.content, node.attributes) if attributes else node.content
        path = names[node.entry]
        assert path not in found, "a name twice"
        found[path] = (node.kind, value)
    return found
