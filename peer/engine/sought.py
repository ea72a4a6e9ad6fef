"""Files that vanished while others of their size appeared. Owns finding out by content whether they are the same.

Until the new files were read, both sides count as not looked at: nothing is concluded from the absence of the ones, and
the others are not proposed. In the database's thread.
"""

from collections.abc import Callable, Container
from dataclasses import replace

from peer.engine.context import Context
from peer.fingerprint import DiskKind
from peer.planner.trees import Content
from peer.scan.by_content import match_content
from peer.scan.identity import Assigned, Identified, Known
from protocol.ids import EntryId


class Sought:
    """What is being looked for. `held`: entries about which nothing is concluded meanwhile."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._gone: dict[EntryId, Content] = {}
        self._new: set[EntryId] = set()
        self._places: set[tuple[EntryId, str]] = set()
        self.held: set[EntryId] = set()

    def take(self, identified: Identified) -> None:
        """Look for what vanished in this scan among the files that are new in it."""
        taken = {(one.parent, one.name) for one in identified.assigned}
        if self._places & taken:
            self._forget()  # something is there again
        new = [one for one in identified.assigned if one.how == "new" and one.found.kind is DiskKind.FILE]
        sizes = {one.found.fingerprint.size for one in new} - {0}
        if not sizes or not identified.vanished:
            return
        vanished = {known.entry: known for known in identified.vanished}
        found = set()
        for known in identified.vanished:
            content = self._content(known) if known.fingerprint.size in sizes else None
            chain = _chain(known, vanished)
            places = {(one.parent, one.name) for one in chain}
            if content is not None and places.isdisjoint(taken):
                self._gone[known.entry] = content
                self._places |= places
                self.held.update(one.entry for one in chain)
                found.add(content.size)
        self._new.update(_sized(new, found))
        self.held |= self._new

    def settle(self, reading: Container[EntryId], is_missing: Callable[[EntryId], bool]) -> bool:
        """Where all that it could be has been read, and what vanished is gone for good: give what was found again its
        entry. False where it is not known yet."""
        if not self._new:
            return True
        if any(entry in reading for entry in self._new) or any(is_missing(entry) for entry in self.held):
            return False
        trees = self._context.trees
        new: dict[EntryId, bytes] = {}
        for entry in self._new:
            row = trees.local(entry)
            if row is not None and row.node.content is not None and row.node.content.size:
                new[entry] = row.node.content.digest
        gone = {entry: content.digest for entry, content in self._gone.items() if trees.local(entry) is None}
        for entry, old in match_content(gone, new).items():
            row = trees.local(entry)
            assert row is not None
            trees.drop_local([entry])
            trees.put_local([replace(row, node=replace(row.node, entry=old))])
        self._forget()
        return True

    def _content(self, known: Known) -> Content | None:
        """What a file that vanished has in the journal and had here; None where that is not one and the same."""
        trees = self._context.trees
        remote, synced = trees.remote(known.entry), trees.synced(known.entry)
        if known.kind is not DiskKind.FILE or remote is None or remote.node.deleted or synced is None:
            return None
        content = synced.base.content
        return content if content is not None and content.size == known.fingerprint.size else None

    def _forget(self) -> None:
        self._gone.clear()
        self._new.clear()
        self._places.clear()
        self.held.clear()


def _chain(known: Known, vanished: dict[EntryId, Known]) -> list[Known]:
    """A vanished entry and the vanished directories that it was in."""
    chain = [known]
    while (above := vanished.get(chain[-1].parent)) is not None:
        chain.append(above)
    return chain


def _sized(new: list[Assigned], sizes: set[int]) -> list[EntryId]:
    return [one.entry for one in new if one.found.fingerprint.size in sizes]
