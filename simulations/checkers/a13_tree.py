"""A13, a tree: after every row live entries are in live directories, none is in itself, and no name is there twice.

Owns a tree of its own for each workspace. Looks only at what a row has changed: entries, and what is below those that
live again.
"""

from dataclasses import dataclass, field

from protocol.ids import ROOT
from protocol.model import Clear, Kind
from simulations.checkers.journal import Committed


@dataclass
class _Tree:
    heads: dict[bytes, Clear] = field(default_factory=dict)
    children: dict[bytes, set[bytes]] = field(default_factory=dict)

    def put(self, clear: Clear) -> None:
        before = self.heads.get(clear.entry)
        if before is not None:
            self.children[before.parent].discard(clear.entry)
        self.heads[clear.entry] = clear
        self.children.setdefault(clear.parent, set()).add(clear.entry)

    def wrong(self, clear: Clear) -> str | None:
        """What is wrong with an entry that is not deleted itself."""
        if self._is_dead(clear):
            return None
        at, steps = clear, 0
        while at.parent != ROOT:
            above = self.heads.get(at.parent)
            steps += 1
            if above is None or above.kind is not Kind.DIRECTORY:
                return "is in what is no directory"
            if above.entry == clear.entry or steps > len(self.heads):
                return "is in itself"
            at = above
        for other in self.children.get(clear.parent, ()):
            head = self.heads[other]
            if other != clear.entry and not head.deleted and head.name_key == clear.name_key:
                return "has the name of another one"
        return None

    def _is_dead(self, clear: Clear) -> bool:
        at: Clear | None = clear
        for _ in range(len(self.heads) + 1):
            if at is None or at.parent == ROOT:
                return False
            at = self.heads.get(at.parent)
            if at is not None and at.deleted:
                return True
        return False


class Trees:
    """The trees of all workspaces."""

    def __init__(self) -> None:
        self._trees: dict[bytes, _Tree] = {}

    def __call__(self, committed: Committed) -> str | None:
        """The broken promise, if this row breaks it."""
        tree = self._trees.setdefault(committed.workspace, _Tree())
        for version in committed.versions:
            tree.put(version.clear)
        for version in committed.versions:
            wrong = None if version.clear.deleted else tree.wrong(version.clear)
            if wrong is not None:
                return f"A13 tree: after row {committed.row.seq} an entry {wrong}"
        return None
