"""What each operation does to the three trees. Owns these definitions, over `ChangingTrees`; never touches a disk.

An operation whose precondition does not hold is refused (`Refuted`): its name is taken, its parent is not there, it
would put a directory below itself or remove one that is not empty, or the file is not as it was planned against.
"""

from dataclasses import replace
from typing import TypeVar

from peer.fingerprint import Fingerprint
from peer.planner.memory import MemoryTrees
from peer.planner.operations import (
    AdoptEntry,
    Agreed,
    ForgetEntry,
    ForkEntry,
    MakeDirectory,
    MarkAbsent,
    MarkSynced,
    MoveEntry,
    Operation,
    ProposeChange,
    RemoveEntry,
    SetAttributes,
    WriteContent,
)
from peer.planner.trees import ChangingTrees, LocalNode, Node, RemoteNode, SyncedNode
from protocol.ids import ROOT, ChangeId, EntryId
from protocol.model import Kind

Row = TypeVar("Row")


class Refuted(Exception):
    """The trees are not as the operation expects; the plan is out of date, or wrong."""


def apply(trees: ChangingTrees, operation: Operation, fingerprint: Fingerprint) -> None:
    """Do to the trees what carrying out `operation` does. `fingerprint`: that of the file, should one be written.

    A `ProposeChange` does nothing here: see `accept`. Raises `Refuted` where a precondition does not hold.
    """
    match operation:
        case MakeDirectory():
            _need_place(trees, operation.parent, operation.name)
            node = Node(operation.entry, Kind.DIRECTORY, operation.parent, operation.name, None, None)
            trees.put_local((LocalNode(node, operation.name, None),))
            _agree(trees, operation.entry, Kind.DIRECTORY, operation.agreed)
        case WriteContent():
            _write(trees, operation, fingerprint)
        case MoveEntry():
            _move(trees, operation)
        case RemoveEntry():
            _need_local(trees, operation.entry, operation.expected)
            if trees.local_children(operation.entry):
                raise Refuted("a directory to be removed is not empty")
            trees.drop_local((operation.entry,))
            trees.drop_synced((operation.entry,))
        case SetAttributes():
            row = _need_local(trees, operation.entry, operation.expected)
            node = replace(row.node, attributes=operation.attributes)
            trees.put_local((replace(row, node=node, fingerprint=fingerprint),))
            _agree(trees, operation.entry, Kind.FILE, operation.agreed)
        case ForkEntry():
            _fork(trees, operation)
        case AdoptEntry():
            _adopt(trees, operation)
        case MarkSynced():
            _agree(trees, operation.entry, operation.kind, operation.agreed)
        case ForgetEntry():
            trees.drop_synced((operation.entry,))
        case MarkAbsent():
            _agree(trees, operation.entry, operation.kind, operation.agreed)
            row_ = _present(trees.synced(operation.entry))
            trees.put_synced((replace(row_, shown=None, absent_by_design=True),))
        case ProposeChange():
            pass


def accept(trees: MemoryTrees, proposal: ProposeChange, change: ChangeId, seq: int) -> None:
    """What the journal's taking of this device's proposal, as version `change` at `seq`, does to the trees."""
    copy_of = None if proposal.copy_of is None else proposal.copy_of[0]
    trees.remote_rows.put(RemoteNode(proposal.node, change, seq, True, copy_of))
    accept_synced(trees, proposal, change)


def accept_synced(trees: ChangingTrees, proposal: ProposeChange, change: ChangeId) -> int:
    """The part of `accept` that concerns the synced tree; returns how many bases went.

    A directory's deletion takes the bases of all that went with it: what the journal had moved out of it in the
    meantime would look deleted by itself.
    """
    if proposal.node.deleted:
        gone = _went_with(trees, proposal.entry)
        trees.drop_synced(gone)
        return len(gone)
    if proposal.agreed is not None:
        agreed = proposal.agreed
        if agreed.location is None and trees.synced(proposal.entry) is None:
            # It has become another entry here, or has gone, while the answer was away: nothing here agrees with it.
            return 0
        if agreed.content is not None:
            agreed = replace(agreed, content_base=change)
        _agree(trees, proposal.entry, proposal.node.kind, agreed)
    return 0


def _went_with(trees: ChangingTrees, entry: EntryId) -> list[EntryId]:
    """The entry and all that was synced below it and is on disk neither there nor elsewhere."""
    found = [entry]
    for above in found:
        for one in trees.synced_children(above):
            row = trees.synced(one)
            if row is not None and not row.absent_by_design and trees.local(one) is None:
                found.append(one)
    return found


def _present(row: Row | None) -> Row:
    if row is None:
        raise Refuted("the entry has no row")
    return row


def _agree(trees: ChangingTrees, entry: EntryId, kind: Kind, agreed: Agreed | None) -> None:
    if agreed is None:
        return
    row = trees.synced(entry)
    local = trees.local(entry)
    shown = None if local is None else local.fingerprint
    if row is None:
        assert agreed.location is not None, "a new synced row needs all fields"
        node = Node(entry, kind, *agreed.location, agreed.content, agreed.attributes)
        trees.put_synced((SyncedNode(node, agreed.content_base, shown),))
        return
    node = row.base
    if agreed.location is not None:
        node = replace(node, parent=agreed.location[0], name=agreed.location[1])
    base = row.content_base
    if agreed.content is not None:
        node, base = replace(node, content=agreed.content), agreed.content_base
    if agreed.attributes is not None:
        node = replace(node, attributes=agreed.attributes)
    trees.put_synced((SyncedNode(node, base, shown, row.absent_by_design and local is None),))


def _need_place(trees: ChangingTrees, parent: EntryId, name: str) -> None:
    if parent != ROOT:
        row = trees.local(parent)
        if row is None or row.node.kind is not Kind.DIRECTORY:
            raise Refuted("the directory to put something in is not there")
    if trees.local_named(parent, name) is not None:
        raise Refuted("the name is taken")


def _need_local(trees: ChangingTrees, entry: EntryId, expected: Fingerprint | None) -> LocalNode:
    row = trees.local(entry)
    if row is None:
        raise Refuted("the entry is not on disk")
    if row.fingerprint != expected:
        raise Refuted("the file is not as it was planned against")
    return row


def _write(trees: ChangingTrees, operation: WriteContent, fingerprint: Fingerprint) -> None:
    place, disk_name = (operation.parent, operation.name), operation.name
    if operation.expected is None:
        _need_place(trees, *place)
        if trees.local(operation.entry) is not None:
            raise Refuted("the entry is on disk elsewhere")
    else:
        row = _need_local(trees, operation.entry, operation.expected)
        if (row.node.parent, row.node.name) != place:
            raise Refuted("the entry is on disk elsewhere")
        disk_name = row.disk_name
    node = Node(operation.entry, operation.kind, *place, operation.content, operation.attributes)
    trees.put_local((LocalNode(node, disk_name, fingerprint),))
    _agree(trees, operation.entry, operation.kind, operation.agreed)


def _move(trees: ChangingTrees, operation: MoveEntry) -> None:
    row = _need_local(trees, operation.entry, operation.expected)
    _need_place(trees, operation.parent, operation.name)
    above = operation.parent
    while above != ROOT:
        if above == operation.entry:
            raise Refuted("a directory would be below itself")
        above = _present(trees.local(above)).node.parent
    node = replace(row.node, parent=operation.parent, name=operation.name)
    moved = LocalNode(node, operation.name, row.fingerprint, operation.intended, operation.copy_of or row.copy_of)
    trees.put_local((moved,))
    _agree(trees, operation.entry, node.kind, operation.agreed)


def _fork(trees: ChangingTrees, operation: ForkEntry) -> None:
    row = _need_local(trees, operation.entry, operation.expected)
    if (row.node.parent, row.node.name) != (operation.parent, operation.name):
        _need_place(trees, operation.parent, operation.name)
    if trees.local(operation.fork) is not None:
        raise Refuted("the copy is there already")
    node = replace(row.node, entry=operation.fork, parent=operation.parent, name=operation.name)
    trees.drop_local((operation.entry,))
    trees.drop_synced((operation.entry,))
    trees.put_local((LocalNode(node, operation.name, row.fingerprint, operation.intended, operation.copy_of),))


def _adopt(trees: ChangingTrees, operation: AdoptEntry) -> None:
    old, new = operation.local, operation.entry
    row = _need_local(trees, old, None if (found := trees.local(old)) is None else found.fingerprint)
    if trees.local(new) is not None:
        raise Refuted("the entry is on disk already")
    trees.drop_local((old,))
    trees.drop_synced((old,))
    trees.put_local((replace(row, node=replace(row.node, entry=new)),))
    for below in trees.local_children(old):
        child = _present(trees.local(below))
        trees.put_local((replace(child, node=replace(child.node, parent=new)),))
    for parked in trees.intended_for(old):
        child = _present(trees.local(parked))
        assert child.intended is not None
        trees.put_local((replace(child, intended=(new, child.intended[1])),))
    for below in trees.synced_children(old):
        base = _present(trees.synced(below))
        trees.put_synced((replace(base, base=replace(base.base, parent=new)),))
    _agree(trees, new, row.node.kind, operation.agreed)
