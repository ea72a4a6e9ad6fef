"""L11, agreement with a model: what people saw of one file, on all devices, has an explanation.

Owns the model and the search. After J. Hughes, B. Pierce, T. Arts and U. Norell, "Mysteries of Dropbox: Property-Based
Testing of a Distributed Synchronization Service" (ICST 2016). There is one value that counts, the global one; each node
has a local one. People read and write local values, and each write says what it replaced. Nobody sees when a node sends
its value up or takes the global one down: these steps are conjectured, and a history is wrong when there is no way to
put them between the observations so that all of these follow.

It differs from the paper's where this program promises something else. Nodes follow a journal, so that one may take
down a global value that is not the newest any more, though never an older one than it had. A value that goes up from a
node that has not seen the global one becomes a conflicted copy, but where the global one is that there is no file: an
edit wins over a deletion. Which global value it meets is again one of which the node has heard: a copy that was made
while the line was down stays one, though others have deleted the file since. What goes up is what the node has read,
while its person may have written again: where the file was deleted just then, both values go up, one after the other.
Between giving a copy its name and taking the global value down there may be no file.
"""

from collections.abc import Collection, Iterator, Sequence, Set
from dataclasses import dataclass
from typing import Final, NamedTuple

Value = int | None
"""A content's number, each written once; None for no file."""


@dataclass(frozen=True)
class Read:
    """At a node somebody saw this."""

    node: str
    value: Value


@dataclass(frozen=True)
class Write:
    """At a node somebody put `new` in the place of `old`, in one step."""

    node: str
    new: Value
    old: Value


@dataclass(frozen=True)
class Stable:
    """All came to rest: everybody has this value, and these are the conflicted copies' so far."""

    value: Value
    conflicts: frozenset[int]


START: Final = Stable(None, frozenset())
"""Nobody has ever had the file."""
Observation = Read | Write | Stable


class _Node(NamedTuple):
    """`seen` is which of the global values it has taken down or sent up last."""

    local: Value
    seen: int = 0
    is_clean: bool = True
    is_aside: bool = False
    """What was here has become a conflicted copy, and the global value is not here yet."""
    read: Value = None
    """What was here before `local`, read and on its way up."""


class _State(NamedTuple):
    values: tuple[Value, ...]
    """The global values, from the oldest that any node may still have to the newest."""
    conflicts: frozenset[int]
    nodes: tuple[_Node, ...]

    def with_node(self, at: int, node: _Node) -> "_State":
        return self._replace(nodes=(*self.nodes[:at], node, *self.nodes[at + 1 :]))

    def trimmed(self) -> "_State":
        """Without global values that no node can have any more."""
        oldest = min(node.seen for node in self.nodes)
        if not oldest:
            return self
        nodes = tuple(node._replace(seen=node.seen - oldest) for node in self.nodes)
        return _State(self.values[oldest:], self.conflicts, nodes)


def _with_ups(states: Collection[_State], conflicts: frozenset[int] | None) -> set[_State]:
    """All that may be by now, but for what nodes have taken down: see `_with_downs`.

    `conflicts` are the only copies that will ever be there, None where that is not known.
    """
    found = {state.trimmed() for state in states}
    waiting = list(found)
    while waiting:
        state = waiting.pop()
        for at, node in enumerate(state.nodes):
            if node.is_clean:
                continue
            for after in map(_State.trimmed, _ups(state, at, node)):
                if after not in found and (conflicts is None or after.conflicts <= conflicts):
                    found.add(after)
                    waiting.append(after)
    return found


def _with_downs(state: _State, at: int) -> Iterator[_State]:
    """The same, and what this node may have taken down since it was looked at last.

    That may wait until somebody looks at the node: it matters to nobody else, and later there is only more to take.
    """
    yield state
    node = state.nodes[at]
    if node.is_clean:
        for seen in range(node.seen + 1, len(state.values)):
            yield state.with_node(at, _Node(state.values[seen], seen))
        if node.is_aside and node.local is not None:
            yield state.with_node(at, node._replace(local=None))


def _ups(state: _State, at: int, node: _Node) -> Iterator[_State]:
    """What becomes of a value that goes up."""
    newest = len(state.values) - 1
    value, local = state.values[newest], node.local
    if node.read is not None and value is None:
        grown = state._replace(values=(*state.values, node.read))
        yield grown.with_node(at, _Node(local, newest + 1, is_clean=False))
    if local == value:
        yield state.with_node(at, _Node(value, newest))
        return
    if local is None and node.seen != newest:
        yield state.with_node(at, _Node(None, node.seen))
        return
    if node.seen == newest or value is None:
        grown = state._replace(values=(*state.values, local))
        yield grown.with_node(at, _Node(local, newest + 1))
    if local is not None and any(one is not None for one in state.values[node.seen + 1 :]):
        aside = state._replace(conflicts=state.conflicts | {local})
        yield aside.with_node(at, _Node(local, node.seen, is_aside=True))


def _resting(stable: Stable, nodes: Sequence[str]) -> _State:
    return _State((stable.value,), stable.conflicts, tuple(_Node(stable.value) for _ in nodes))


def _follow(state: _State, nodes: Sequence[str], seen: Observation, met: Set[Value]) -> Iterator[_State]:
    """The states after an observation; none where it cannot be made in this one. `met`: see `_met_elsewhere`."""
    if isinstance(seen, Stable):
        value = state.values[-1]
        if value == seen.value and state.conflicts == seen.conflicts and all(node.is_clean for node in state.nodes):
            yield _resting(seen, nodes)
        return
    at = nodes.index(seen.node)
    for before in _with_downs(state, at):
        node = before.nodes[at]
        if isinstance(seen, Read) and node.local == seen.value:
            yield before
        elif isinstance(seen, Write) and node.local == seen.old:
            after = _Node(seen.new, node.seen, is_clean=False)
            yield before.with_node(at, after)
            if not node.is_clean:
                for read in ({node.read, seen.old} - {None}) & met:
                    yield before.with_node(at, after._replace(read=read))


def _met_elsewhere(observations: Sequence[Observation]) -> Set[Value]:
    """The values that somebody met at another node than where they were written. That another one went up too, on the
    way to what came after it, explains nothing."""
    written = {one.new: one.node for one in observations if isinstance(one, Write)}
    met = [(one.value, one.node) for one in observations if isinstance(one, Read)]
    met += [(one.old, one.node) for one in observations if isinstance(one, Write)]
    return {value for value, node in met if value is not None and written.get(value) != node}


def first_unexplained(nodes: Sequence[str], observations: Sequence[Observation], start: Stable = START) -> int | None:
    """Which observation has no explanation together with all before it; None where all have one.

    `start` is what everybody has at first. The time and the memory that it takes grow with what was written between two
    `Stable`s, and by how many nodes, steeply: it is made for some dozens of writes by two or three.
    """
    states: set[_State] = {_resting(start, nodes)}
    copies = [one.conflicts if isinstance(one, Stable) else None for one in observations]
    for index in range(len(copies) - 2, -1, -1):
        copies[index] = copies[index] if copies[index] is not None else copies[index + 1]
    met = _met_elsewhere(observations)
    for index, seen in enumerate(observations):
        states = {after for state in _with_ups(states, copies[index]) for after in _follow(state, nodes, seen, met)}
        if not states:
            return index
    return None


def disagreement(
    what: str, nodes: Sequence[str], observations: Sequence[Observation], start: Stable = START
) -> str | None:
    """The broken promise, if what was seen of the file called `what` has no explanation."""
    index = first_unexplained(nodes, observations, start)
    if index is None:
        return None
    shown = "; ".join(map(str, (start, *observations[: index + 1])))
    return f"L11 no explanation: of {what}, for the last of these: {shown}"
