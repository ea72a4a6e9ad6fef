"""The three trees in memory. Owns the reference implementation of `Trees`, used by tests and simulations.

It is also the definition that a stored implementation is checked against. Small and indexed; not thread-safe.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Generic, TypeVar

from peer.planner.trees import (
    Attributes,
    Content,
    LocalNode,
    Node,
    RemoteNode,
    SyncedNode,
    later_of,
    rows_differ,
)
from protocol.ids import ROOT, EntryId

Row = TypeVar("Row")


class Rows(Generic[Row]):
    """One tree's rows by entry, with an index of children and names over those that are not deleted themselves."""

    def __init__(self, node_of: Callable[[Row], Node]) -> None:
        self._node_of = node_of
        self.rows: dict[EntryId, Row] = {}
        self._below: dict[EntryId, dict[EntryId, str]] = {}

    def put(self, row: Row) -> None:
        """Add or replace an entry's row."""
        node = self._node_of(row)
        self._leave(node.entry)
        self.rows[node.entry] = row
        if not node.deleted:
            self._below.setdefault(node.parent, {})[node.entry] = node.name

    def drop(self, entry: EntryId) -> None:
        """Remove an entry's row, if there is one."""
        self._leave(entry)
        self.rows.pop(entry, None)

    def _leave(self, entry: EntryId) -> None:
        old = self.rows.get(entry)
        if old is not None and not self._node_of(old).deleted:
            del self._below[self._node_of(old).parent][entry]

    def get(self, entry: EntryId) -> Row | None:
        """An entry's row."""
        return self.rows.get(entry)

    def children(self, parent: EntryId) -> tuple[EntryId, ...]:
        """The entries under `parent`."""
        return tuple(self._below.get(parent, ()))

    def named(self, parent: EntryId, name: str) -> EntryId | None:
        """The entry under `parent` of that name."""
        return next((entry for entry, its in self._below.get(parent, {}).items() if its == name), None)

    def __iter__(self) -> Iterator[Row]:
        return iter(self.rows.values())

    def copy(self) -> "Rows[Row]":
        """An independent copy; rows are immutable and shared."""
        other = Rows(self._node_of)
        other.rows = dict(self.rows)
        other._below = {parent: dict(below) for parent, below in self._below.items()}
        return other


class RemoteRows(Rows[RemoteNode]):
    """The journal's rows by entry, which remember all that was put there."""

    def __init__(self) -> None:
        super().__init__(lambda row: row.node)
        self.versions: dict[EntryId, tuple[RemoteNode, ...]] = {}

    def put(self, row: RemoteNode) -> None:
        """Add or replace an entry's row; one with another head is its next version."""
        super().put(row)
        before = self.versions.get(row.node.entry, ())
        if before and before[-1].head == row.head:
            before = before[:-1]
        self.versions[row.node.entry] = (*before, row)

    def copy(self) -> "RemoteRows":
        """An independent copy; rows are immutable and shared."""
        other = RemoteRows()
        other.rows = dict(self.rows)
        other._below = {parent: dict(below) for parent, below in self._below.items()}
        other.versions = dict(self.versions)
        return other


class MemoryTrees:
    """`Trees` over dictionaries. The trees may be changed between plans, never during one.

    With `everything` set, `differing` names every entry of any tree.
    """

    def __init__(self) -> None:
        self.remote_rows = RemoteRows()
        self.synced_rows: Rows[SyncedNode] = Rows(lambda row: row.base)
        self.local_rows: Rows[LocalNode] = Rows(lambda row: row.node)
        self.unreadable: set[EntryId] = set()
        self.everything = False

    def copy(self) -> "MemoryTrees":
        """An independent copy."""
        other = MemoryTrees()
        other.remote_rows = self.remote_rows.copy()
        other.synced_rows = self.synced_rows.copy()
        other.local_rows = self.local_rows.copy()
        other.unreadable = set(self.unreadable)
        other.everything = self.everything
        return other

    def remote(self, entry: EntryId) -> RemoteNode | None:
        """See `Trees`."""
        return self.remote_rows.rows.get(entry)

    def synced(self, entry: EntryId) -> SyncedNode | None:
        """See `Trees`."""
        return self.synced_rows.rows.get(entry)

    def local(self, entry: EntryId) -> LocalNode | None:
        """See `Trees`."""
        return self.local_rows.rows.get(entry)

    def remote_children(self, parent: EntryId) -> Iterable[EntryId]:
        """See `Trees`."""
        return self.remote_rows.children(parent)

    def synced_children(self, parent: EntryId) -> Iterable[EntryId]:
        """See `Trees`."""
        return self.synced_rows.children(parent)

    def local_children(self, parent: EntryId) -> Iterable[EntryId]:
        """See `Trees`."""
        return self.local_rows.children(parent)

    def remote_named(self, parent: EntryId, name: str) -> EntryId | None:
        """See `Trees`."""
        return self.remote_rows.named(parent, name)

    def local_named(self, parent: EntryId, name: str) -> EntryId | None:
        """See `Trees`."""
        return self.local_rows.named(parent, name)

    def later_with(self, entry: EntryId, base: Content, here: Content) -> Sequence[Attributes | None]:
        """See `Trees`."""
        rows = self.remote_rows.versions.get(entry, ())
        good = (row.node for row in rows if row.usable and not row.node.deleted)
        return later_of(((node.content, node.attributes) for node in good), base, here)

    def unknown(self, entry: EntryId) -> bool:
        """See `Trees`. An entry that is not on disk is looked for where it was last synced."""
        if not self.unreadable:
            return False
        passed: set[EntryId] = set()
        while entry != ROOT and entry not in passed:
            if entry in self.unreadable:
                return True
            passed.add(entry)
            local, synced = self.local(entry), self.synced(entry)
            if local is not None:
                entry = local.node.parent
            elif synced is not None:
                entry = synced.base.parent
        return False

    def intended_for(self, parent: EntryId) -> Iterable[EntryId]:
        """See `ChangingTrees`."""
        return [row.node.entry for row in self.local_rows if row.intended is not None and row.intended[0] == parent]

    def put_local(self, nodes: Iterable[LocalNode]) -> None:
        """See `ChangingTrees`."""
        for node in nodes:
            self.local_rows.put(node)

    def drop_local(self, entries: Sequence[EntryId]) -> None:
        """See `ChangingTrees`."""
        for entry in entries:
            self.local_rows.drop(entry)

    def put_synced(self, nodes: Iterable[SyncedNode]) -> None:
        """See `ChangingTrees`."""
        for node in nodes:
            self.synced_rows.put(node)

    def drop_synced(self, entries: Sequence[EntryId]) -> None:
        """See `ChangingTrees`."""
        for entry in entries:
            self.synced_rows.drop(entry)

    def synced_count(self) -> int:
        """See `Trees`."""
        return len(self.synced_rows.rows)

    def differing(self) -> Iterable[EntryId]:
        """See `Trees`; found by looking at every row."""
        remote, synced, local = self.remote_rows.rows, self.synced_rows.rows, self.local_rows.rows
        entries = {**dict.fromkeys(remote), **dict.fromkeys(synced), **dict.fromkeys(local)}
        if self.everything:
            return tuple(entries)
        return tuple(entry for entry in entries if rows_differ(remote.get(entry), synced.get(entry), local.get(entry)))
