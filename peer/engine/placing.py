"""What is just being put in place on this disk. Owns the notes about it, and making good for them after a crash.

A new name on disk is there before its row, and a program may end in between. Then the file would be somebody's new
file, or somebody's edit, as soon as the journal had gone on from that version. A note beforehand says what it is.

Until the next start its person may have gone on from it: saved over it, moved it, deleted it. That it was in place is
known from where it is not: a temporary file leaves the private directory for its place alone, as long as its note
stands. Only a disk that was cut off from power may have lost it otherwise; so what it may have lost is never taken for
deleted.

The same holds of what a disk put in place and then would neither keep for certain nor give back (`may_stay`).
"""

from collections.abc import Collection, Container, Iterable
from dataclasses import dataclass, replace

import msgspec

from peer.disk.root import Directories, Root
from peer.fingerprint import DiskKind, Fingerprint, Path, Status
from peer.planner import effects
from peer.planner.operations import MakeDirectory, WriteContent
from peer.planner.trees import Attributes
from peer.store import schema
from peer.store.database import Database
from peer.store.trees import TreeStore
from protocol.ids import EntryId

Placed = MakeDirectory | WriteContent


@dataclass(frozen=True)
class _Note:
    """An operation; which file a `WriteContent` puts in place (device, inode); in which run of the system."""

    make: MakeDirectory | None
    write: WriteContent | None
    device: int
    inode: int
    boot: str = ""


def note(database: Database, w: int, root: Root, placed: Iterable[tuple[Placed, str | None]], boot: str = "") -> None:
    """Note what is about to be put in place, with the name of its temporary file, and nothing else. Inside a
    transaction. Until `forget`, no temporary file of these may be removed."""
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
            one = _Note(None, operation, found.device, found.inode, boot)
        else:
            continue
        rows.append((w, number, msgspec.msgpack.encode(one)))
    database.insert(schema.placing, rows)


def forget(database: Database, w: int, but: Collection[EntryId] = ()) -> None:
    """All of it has its row, or was not put in place, but for these entries. Inside a transaction."""
    if not but:
        database.run("DELETE FROM placing WHERE w = ?", (w,))
        return
    for number, data in database.all("SELECT number, operation FROM placing WHERE w = ?", (w,)):
        one = msgspec.msgpack.decode(data, type=_Note)
        operation = one.make or one.write
        if operation is None or operation.entry not in but:
            database.run("DELETE FROM placing WHERE w = ? AND number = ?", (w, number))


def make_good(
    database: Database,
    w: int,
    root: Root,
    trees: TreeStore,
    unplaced: Container[tuple[int, int]],
    boot: str = "",
) -> int:
    """After a start, before anything is scanned: give rows to what was put in place without; says to how many.

    `unplaced`: device and inode of all that is in the private directory, which is cleared up after this: what is not
    there any more would count as in place at the next start. The rows do not vouch for the content: it is read once
    more by the scan. In the database's thread. Raises OSError where the disk cannot keep what is in place: then the
    notes stand.
    """
    packed = database.all("SELECT operation FROM placing WHERE w = ? ORDER BY number", (w,))
    if not packed:
        return 0
    root.fs.sync_all(root.handle)  # a row never gets ahead of the disk
    done = []
    with root.open_directories() as directories, database.transaction():
        for (data,) in packed:
            one = msgspec.msgpack.decode(data, type=_Note)
            operation = one.make or one.write
            assert operation is not None
            was_placed = bool(one.boot) and one.boot == boot and (one.device, one.inode) not in unplaced
            if _make_good(one, operation, root, trees, directories, was_placed):
                done.append(operation.entry)
        forget(database, w)
        trees.settle_agreed(done)
    trees.forget(done)
    return len(done)


def _make_good(
    one: _Note, operation: Placed, root: Root, trees: TreeStore, directories: Directories, was_placed: bool
) -> bool:
    in_place = isinstance(operation, WriteContent) and operation.expected is not None
    above = trees.path(operation.parent)
    path = trees.path(operation.entry) if in_place else None if above is None else (*above, operation.name)
    if path is None:
        return False
    status = _look(root, directories, path)
    if isinstance(operation, MakeDirectory):
        if status is None or status.kind is not DiskKind.DIRECTORY:
            return False
        shown = status.fingerprint
    else:
        there = None if status is None else (status.fingerprint.device, status.fingerprint.inode)
        if there != (one.device, one.inode) and not was_placed:
            return False
        its = operation.attributes or Attributes(False, 0)
        shown = Fingerprint(one.device, one.inode, operation.content.size, its.mtime_ns, 0, its.executable)
        row = trees.local(operation.entry)
        if in_place and row is not None:
            # It may have been moved since it was planned; that the disk put this file there says that all was well.
            operation = replace(operation, expected=row.fingerprint)
    try:
        effects.apply(trees, operation, shown)
    except effects.Refuted:
        return False
    return True


def _look(root: Root, directories: Directories, path: Path) -> Status | None:
    try:
        parent, name = directories.parent(path)
        return root.fs.stat(parent, name)
    except OSError:
        return None
