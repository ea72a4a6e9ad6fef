"""What a refused step holds up. Owns which other operations of the plan would build on it; all else goes on."""

from collections.abc import Callable, Hashable, Iterable

from peer.planner.operations import (
    AdoptEntry,
    ForkEntry,
    MakeDirectory,
    MoveEntry,
    Operation,
    ProposeChange,
    RemoveEntry,
    WriteContent,
)
from peer.planner.trees import LocalNode
from protocol.ids import ROOT, EntryId
from protocol.model import Kind


class Holding:
    """The operations of one plan that are not carried out. `local` gives an entry's row on this disk."""

    def __init__(self, local: Callable[[EntryId], LocalNode | None]) -> None:
        self._local = local
        self._held: set[Hashable] = set()
        self._full: set[EntryId] = set()

    def begin(self) -> None:
        """Another plan: nothing is held up."""
        self._held.clear()
        self._full.clear()

    @property
    def is_empty(self) -> bool:
        """Whether nothing is held up."""
        return not self._held

    def hold(self, operation: Operation) -> None:
        """This one is not carried out; nor is what needs it: its entry, the places it frees and fills."""
        self._held.update(_results(operation))
        row = self._local(operation.entry)
        if row is not None:
            self._held.add((row.node.parent, row.node.name))
            self._full.add(row.node.parent)

    def holds(self, operation: Operation) -> bool:
        """Whether it needs something that was not done."""
        if not self._held:
            return False
        if any(one in self._held for one in (*_results(operation), *_needs(operation))):
            return True
        empties = isinstance(operation, RemoveEntry) and operation.kind is Kind.DIRECTORY
        return empties and operation.entry in self._full


def _results(operation: Operation) -> Iterable[Hashable]:
    yield operation.entry
    match operation:
        case MakeDirectory() | WriteContent() | MoveEntry():
            yield (operation.parent, operation.name)
        case ForkEntry():
            yield operation.fork
            yield (operation.parent, operation.name)
        case AdoptEntry():
            yield operation.local
        case _:
            pass


def _needs(operation: Operation) -> Iterable[Hashable]:
    match operation:
        case MakeDirectory() | WriteContent() | MoveEntry() | ForkEntry() if operation.parent != ROOT:
            yield operation.parent
        case ProposeChange() if operation.node.parent != ROOT:
            yield operation.node.parent
        case _:
            pass
