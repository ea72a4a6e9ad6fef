"""The local tree as the identity step sees it: the stored rows, and files found but not read to their end yet.

Owns nothing that lasts: a file still being read when the device stops is found again by the next scan.
"""

from collections.abc import Iterable, Sequence

from peer.fingerprint import DiskKind, Fingerprint
from peer.planner.trees import LocalNode
from peer.scan.identity import Assigned, Known
from peer.store.trees import TreeStore
from protocol.ids import EntryId
from protocol.model import Kind

DISK_KINDS = {Kind.FILE: DiskKind.FILE, Kind.DIRECTORY: DiskKind.DIRECTORY, Kind.SYMLINK: DiskKind.SYMLINK}
KINDS = {disk: kind for kind, disk in DISK_KINDS.items()}
_NOBODY = Fingerprint(0, 0, 0, 0, 0, False)


class KnownFiles:
    """Implements `peer.scan.identity.KnownTree`. Belongs in the database's thread."""

    def __init__(self, trees: TreeStore, reading: dict[EntryId, Assigned]) -> None:
        self._trees = trees
        self._reading = {entry: _reading(one) for entry, one in reading.items()}
        self._named = {(one.parent, one.name): one for one in self._reading.values()}
        self._below: dict[EntryId, list[Known]] = {}
        self._inodes: dict[tuple[int, int], list[Known]] = {}
        for one in self._reading.values():
            self._below.setdefault(one.parent, []).append(one)
            self._inodes.setdefault((one.fingerprint.device, one.fingerprint.inode), []).append(one)

    def entry(self, entry: EntryId) -> Known | None:
        """An entry by its id."""
        if entry in self._reading:
            return self._reading[entry]
        row = self._trees.local(entry)
        return None if row is None else _stored(row)

    def named(self, parent: EntryId, name: str) -> Known | None:
        """The child of that true name."""
        reading = self._named.get((parent, name))
        if reading is not None:
            return reading
        entry = self._trees.local_named(parent, name)
        return None if entry is None or entry in self._reading else self.entry(entry)

    def children(self, parent: EntryId) -> Iterable[Known]:
        """All children."""
        stored = [entry for entry in self._trees.local_children(parent) if entry not in self._reading]
        found = [known for entry in stored if (known := self.entry(entry)) is not None]
        return found + self._below.get(parent, [])

    def by_inode(self, device: int, inode: int) -> Sequence[Known]:
        """The entries that last had this inode."""
        stored = [one for one in self._trees.local_with_inode(device, inode) if one not in self._reading]
        found = [known for entry in stored if (known := self.entry(entry)) is not None]
        return found + self._inodes.get((device, inode), [])


def _stored(row: LocalNode) -> Known:
    node = row.node
    return Known(node.entry, node.parent, node.name, row.disk_name, DISK_KINDS[node.kind], row.fingerprint or _NOBODY)


def _reading(one: Assigned) -> Known:
    found = one.found
    return Known(one.entry, one.parent, one.name, found.path[-1], found.kind, found.fingerprint)
