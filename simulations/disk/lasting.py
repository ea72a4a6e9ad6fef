"""What of a simulated volume survives a loss of power.

Owns which names are on the disk for sure. A change of names is one operation, done or not done as a whole. `sync` of
a directory makes lasting all that was done to it, with what that stands on; the other operations may be undone at a
power loss, in each directory only the latest. This is what journalling file systems promise at least, and less than
each of them does: operations on different directories keep no order.
"""

import enum
from collections.abc import Iterable
from dataclasses import dataclass

from simulations.disk.content import PAGE_BYTES, Content
from simulations.disk.inodes import Draw, Inode, Saved

_DIRECTORY_MOVES = -1
"""Counts as a directory that every move of a directory to another one changes: without an order among them a power
loss could leave two directories inside each other."""


class Loss(enum.Enum):
    """What a power loss takes."""

    ALL = "all that was not synced"
    NONE = "nothing"
    DRAWN = "some, as drawn"


@dataclass(frozen=True, slots=True)
class NameChange:
    """In `directory`, `name` stood for `before`, and stands for `after`; None is for nothing."""

    directory: Inode
    key: str
    name: str
    before: Inode | None
    after: Inode | None


@dataclass(frozen=True, eq=False, slots=True)
class NameOperation:
    """Changes that are done together. Directories by inode number."""

    changes: tuple[NameChange, ...]
    directories: frozenset[int]
    made: frozenset[int]
    removed: frozenset[int]


def operation(changes: Iterable[NameChange]) -> NameOperation:
    """These changes as one operation."""
    changes = tuple(changes)
    before = {each.before.number for each in changes if each.before and each.before.is_directory}
    after = {each.after.number for each in changes if each.after and each.after.is_directory}
    directories = {each.directory.number for each in changes}
    if before & after and len(directories) > 1:
        directories.add(_DIRECTORY_MOVES)
    return NameOperation(changes, frozenset(directories), frozenset(after - before), frozenset(before - after))


def split_at_sync(pending: Iterable[NameOperation], directory: int) -> tuple[list[NameOperation], list[NameOperation]]:
    """Which operations a `sync` of that directory makes lasting, and which not."""
    wanted = {directory}
    lasting, rest = [], []
    for each in reversed(list(pending)):
        if wanted & (each.directories | each.made):
            wanted |= each.directories | each.removed
            lasting.append(each)
        else:
            rest.append(each)
    return lasting[::-1], rest[::-1]


def lost_names(pending: Iterable[NameOperation], loss: Loss, draw: Draw) -> list[NameOperation]:
    """Which operations a power loss undoes, in the order in which they were done."""
    if loss is Loss.NONE:
        return []
    chance = 1.0 if loss is Loss.ALL else (0.0, 0.2, 0.5, 1.0)[draw.randrange(4)]
    gone: set[int] = set()
    lost = []
    for each in pending:
        if gone & (each.directories | each.removed) or draw.random() < chance:
            gone |= each.directories | each.made
            lost.append(each)
    return lost


def left_of(inode: Inode, loss: Loss, draw: Draw) -> Saved:
    """What a power loss leaves of a file that has changes which were not synced."""
    live = Saved(inode.content, inode.mode, inode.mtime_ns)
    if loss is Loss.ALL:
        return inode.saved
    if loss is Loss.NONE:
        return live
    attributes = live if draw.random() < 0.5 else inode.saved
    return Saved(_left_of_bytes(inode.saved.content, live.content, draw), attributes.mode, attributes.mtime_ns)


def _left_of_bytes(old: Content, new: Content, draw: Draw) -> Content:
    match draw.randrange(5):
        case 0:
            return old
        case 1:
            return new
        case 2:
            # The length is there, the new bytes are not.
            return old.resized(new.size)
        case 3:
            shorter = min(old.size, new.size)
            return new.resized(shorter + draw.randrange(new.size - shorter + 1))
        case _:
            return _mixed(old.resized(new.size), new, draw)


def _mixed(old: Content, new: Content, draw: Draw) -> Content:
    """Some pages old, some new."""
    mixed, at = new, 0
    pages = max(1, new.size // PAGE_BYTES)
    while at < new.size:
        length = (1 + draw.randrange(max(1, pages // 4))) * PAGE_BYTES
        if draw.random() < 0.5:
            mixed = mixed.put(at, old.cut(at, length))
        at += length
    return mixed
