"""L1 and L7, convergence: at rest all devices have the tree that the journal says, byte for byte, times and bits too.

Owns the journal's tree, made of the opened rows alone, and what of a disk is compared with it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from peer.disk.root import PRIVATE_NAME
from peer.fingerprint import DiskKind
from protocol.ids import ROOT
from protocol.model import Body, Clear, Kind
from simulations.checkers.journal import Committed
from simulations.checkers.reading import look_up
from simulations.checkers.versions import MOST_BYTES
from simulations.disk import SimDisk
from simulations.disk.inodes import Inode

Fact = tuple[object, ...]
"""What is compared: ("directory",), ("link", target), or ("file", size, digest, executable, mtime_ns)."""
Tree = Mapping[str, Fact]


@dataclass
class JournalTree:
    """One workspace's entries by their last versions."""

    _heads: dict[bytes, tuple[Clear, Body | None]] = field(default_factory=dict)

    def __call__(self, committed: Committed) -> None:
        """Take a row."""
        for version in committed.versions:
            self._heads[version.clear.entry] = (version.clear, version.body)

    def tree(self) -> Tree:
        """What a device at rest must have."""
        found: dict[str, Fact] = {}
        for entry, (clear, body) in self._heads.items():
            path = self._path(entry)
            if path is None or body is None:
                continue
            if clear.kind is Kind.DIRECTORY:
                found[path] = ("directory",)
            elif clear.kind is Kind.SYMLINK:
                found[path] = ("link", (body.target or b"").decode(errors="surrogateescape"))
            else:
                digest = None if body.size > MOST_BYTES else body.digest
                found[path] = ("file", body.size, digest, body.executable, body.mtime_ns)
        return found

    def _path(self, entry: bytes) -> str | None:
        """Where it is; None where it, or what it is in, is deleted."""
        names: list[str] = []
        at = entry
        while at != ROOT:
            head = self._heads.get(at)
            if head is None or head[0].deleted or head[1] is None or len(names) > len(self._heads):
                return None
            names.append(head[1].name)
            at = head[0].parent
        return "/".join(reversed(names))


def disk_tree(disk: SimDisk, folder: str, digest: Callable[[bytes], bytes]) -> Tree:
    """What is in a synced folder, names as they are in the journal."""
    found: dict[str, Fact] = {}
    top = look_up(disk, folder)
    waiting: list[tuple[str, Inode]] = [] if top is None else [("", top)]
    while waiting:
        above, directory = waiting.pop()
        for entry in directory.children.values():
            inode, path = entry.inode, f"{above}{entry.name}"
            if path == PRIVATE_NAME:
                continue
            if inode.is_directory:
                found[path] = ("directory",)
                waiting.append((f"{path}/", inode))
            elif inode.kind is DiskKind.SYMLINK:
                found[path] = ("link", inode.target)
            else:
                size = inode.content.size
                hashed = None if size > MOST_BYTES else digest(bytes(inode.content))
                found[path] = ("file", size, hashed, inode.mode & 0o100 != 0, inode.mtime_ns)
    return found


def diverged(journal: Tree, devices: Mapping[str, Tree]) -> list[str]:
    """Where a device has something else than the journal."""
    return [
        f"L1 divergence: {path} at {device}: {_shown(tree.get(path))}; in the journal: {_shown(journal.get(path))}"
        for device, tree in devices.items()
        if tree != journal
        for path in sorted(tree.keys() | journal.keys())
        if tree.get(path) != journal.get(path)
    ]


def _shown(fact: Fact | None) -> str:
    if fact is None:
        return "nothing"
    return " ".join(part.hex()[:8] if isinstance(part, bytes) else str(part) for part in fact)
