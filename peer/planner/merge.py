"""The merge table: what becomes of one entry, field by field. Owns these decisions and the merge's order of steps.

Where a place is taken, or a parent gone, is settled in `places` and `naming`. Pure.
"""

from peer.planner.differences import Differences, Item
from peer.planner.trees import Attributes, Node
from protocol.model import Kind


def merge(found: Differences) -> None:
    """Give every item its target by its own three values alone."""
    for item in found.items.values():
        decide(found, item)


def decide(found: Differences, item: Item) -> None:
    """The target of one entry, as if its parents were there and its name free."""
    here, remote = item.l, item.r
    item.alive, item.forks = False, False
    if here is None:
        if remote is not None:
            _decide_missing(found, item, remote)
    elif remote is None:
        if found.outlives(item):
            item.take(here, from_local=True)
    else:
        _merge_fields(item, remote, here)
        if item.forks and not found.policy.may_write:
            item.take(remote, from_local=False)


def _decide_missing(found: Differences, item: Item, remote: Node) -> None:
    """The journal has it, this disk does not."""
    base = item.b
    if base is None:
        item.take(remote, from_local=False)
    elif not found.policy.may_write or found.policy.rejected_deletions or remote.content != base.content:
        item.take(remote, from_local=False)
        item.undone = "deleted"


def _merge_fields(item: Item, remote: Node, here: Node) -> None:
    base = item.b
    item.take(remote, from_local=False)
    if base is not None:
        remote_moved = (remote.parent, remote.name) != (base.parent, base.name)
        here_moved = (here.parent, here.name) != (base.parent, base.name)
        if here_moved and not remote_moved:
            item.parent, item.name, item.from_local = here.parent, here.name, True
        elif here_moved and (remote.parent, remote.name) != (here.parent, here.name):
            item.undone = "moved"
    if item.kind is Kind.DIRECTORY:
        return
    if remote.content != here.content:
        if base is not None and remote.content == base.content:
            item.content = here.content
        elif base is None or here.content != base.content:
            item.forks = True
            return
    if item.kind is Kind.FILE and base is not None:
        item.attributes = _merged_attributes(base, remote, here)


def _merged_attributes(base: Node, remote: Node, here: Node) -> Attributes | None:
    """Executable bit: three-way, the journal's first. Mtime: that of the new content, else three-way likewise."""
    ours, theirs, old = here.attributes, remote.attributes, base.attributes
    if ours is None or theirs is None or old is None or ours == theirs:
        return theirs
    executable = theirs.executable if theirs.executable != old.executable else ours.executable
    if remote.content != here.content:
        mtime_ns = theirs.mtime_ns if here.content == base.content else ours.mtime_ns
    else:
        mtime_ns = theirs.mtime_ns if theirs.mtime_ns != old.mtime_ns else ours.mtime_ns
    return Attributes(executable, mtime_ns)
