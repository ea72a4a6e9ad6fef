"""What is just being put in place on this disk. Owns the notes about it, and making good for them after a crash.

A new name on disk is there before its row, and a program may end in between. Then the file would be somebody's new
file, or somebody's edit, as soon as the journal had gone on from that version. A note beforehand says what it is.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

import msgspec

from peer.disk.root import Directories, Root
from peer.fingerprint import DiskKind, Fingerprint
from peer.planner import effects
from peer.planner.operations import MakeDirectory, WriteContent
from peer.planner.trees import Attributes
from peer.store import schema
from peer.store.database import Database
from peer.store.trees import TreeStore

Placed = MakeDirectory | WriteContent


@dataclass(frozen=True)
class _Note:
    """An operation, and which file a `WriteContent` puts in place: its device and inode."""

    make: MakeDirectory | None
    write: WriteContent | None
    device: int
    inode: int


def note(database: Database, w: int, root: Root, placed: Iterable[tuple[Placed, str | None]]) -> None:
    """Note what is about to be put in place, with the name of its temporary file, and nothing else. Inside a
    transaction."""
    forget(database, w)
    rows = []
    for number, (operation, temp) in enumerate(placed):
        if isinstance(operation, MakeDirectory):
            one = _Note(operation, None, 0, 0)
        elif temp is not None:
            try:
                found = root.fs.stat(root.tmp, temp).fingerprint
            except OSError:
                continue  # the step will say so
            one = _Note(None, operation, found.device, found.inode)
        else:
            continue
        rows.append((w, number, msgspec.msgpack.encode(one)))
    database.insert(schema.placing, rows)


def forget(database: Database, w: int) -> None:
    """All of it has its row, or was not put in place. Inside a transaction."""
    database.run("DELETE FROM placing WHERE w = ?", (w,))


def make_good(database: Database, w: int, root: Root, trees: TreeStore) -> int:
    """After a start, before anything is scanned: give rows to what was put in place without; says to how many.

    The rows do not vouch for the content: it is read once more by the scan. In the database's thread.
    """
    packed = database.all("SELECT operation FROM placing WHERE w = ? ORDER BY number", (w,))
    if not packed:
        return 0
    done = []
    with root.open_directories() as directories, database.transaction():
        for (data,) in packed:
            one = msgspec.msgpack.decode(data, type=_Note)
            operation = one.make or one.write
            assert operation is not None
            if _make_good(one, operation, root, trees, directories):
                done.append(operation.entry)
        forget(database, w)
        trees.settle_agreed(done)
    trees.forget(done)
    return len(done)


def _make_good(one: _Note, operation: Placed, root: Root, trees: TreeStore, directories: Directories) -> bool:
    in_place = isinstance(operation, WriteContent) and operation.expected is not None
    above = trees.path(operation.parent)
    path = trees.path(operation.entry) if in_place else None if above is None else (*above, operation.name)
    if path is None:
        return False
    try:
        parent, name = directories.parent(path)
        status = root.fs.stat(parent, name)
    except OSError:
        return False
    found = status.fingerprint
    if isinstance(operation, MakeDirectory):
        if status.kind is not DiskKind.DIRECTORY:
            return False
        shown = found
    else:
        if (found.device, found.inode) != (one.device, one.inode):
            return False
        its = operation.attributes or Attributes(False, 0)
        shown = Fingerprint(found.device, found.inode, operation.content.size, its.mtime_ns, 0, its.executable)
        row = trees.local(operation.entry)
        if in_place and row is not None:
            # It may have been moved since it was planned; that the disk put this file there says that all was well.
            operation = replace(operation, expected=row.fingerprint)
    try:
        effects.apply(trees, operation, shown)
    except effects.Refuted:
        return False
    return True
