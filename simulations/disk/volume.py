"""The tree of a simulated disk: inodes and names, room, times, and what a loss of power leaves of them.

Owns every change of the tree, its event for watchers, and the record of what is not lasting yet. Knows nothing of
handles, permissions or faults: see `filesystem`. Errors are `OSError` with Linux's numbers, in Linux's order.
"""

import errno
import heapq
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from inotify_simple import flags

from peer.fingerprint import DiskKind
from simulations.disk.content import EMPTY, Content
from simulations.disk.inodes import BLOCK_BYTES, PLAIN_NAMES, Draw, Entry, Inode, NameRules, Saved, Time, error
from simulations.disk.lasting import (
    Loss,
    NameChange,
    NameOperation,
    left_of,
    lost_names,
    operation,
    split_at_sync,
)

Observer = Callable[[Inode, int, int, str], None]
"""Told of each event: the directory or inode it is about, inotify's mask and cookie, the name in that directory."""

_WRITTEN_BACK = 2048
"""Of so many changes that nobody synced the oldest are lasting all the same: a kernel does not wait for ever."""


@dataclass(frozen=True)
class Kind:
    """What sort of disk it is. Sizes in bytes, times in nanoseconds."""

    capacity: int = 1 << 50
    rules: NameRules = PLAIN_NAMES
    time_step_ns: int = 1
    """Times are multiples of this. With 1, changes at one instant have different times all the same."""
    reuses_inodes: bool = False
    """A new file gets the lowest free number, as on ext4; else a number is used once."""
    exchanges: bool = True
    reports_writers: bool = True
    privileged: bool = False
    """Permissions bind nobody."""


class Volume:
    """All that is on one disk. Mutable; for one thread."""

    def __init__(self, kind: Kind, time: Time, draw: Draw) -> None:
        self.kind = kind
        self.read_only = False
        self.used = 0
        self.observers: list[Observer] = []
        self.dirty: dict[Inode, None] = {}
        self.pending: list[NameOperation] = []
        self._time = time
        self._draw = draw
        self._last_ns = self._nudge = 0
        self._next_number = 2
        self._free: list[int] = []
        self._cookie = 0
        self.root = self.make_inode(DiskKind.DIRECTORY, 0o755)
        self.root.entries.append(Entry(None, "", self.root))

    # --- inodes --------------------------------------------------------------------------------------------

    def now(self) -> int:
        """The time for a stamp."""
        wall, step = self._time.wall_ns(), self.kind.time_step_ns
        if step > 1:
            return wall // step * step
        self._nudge = self._nudge + 1 if wall == self._last_ns else 0
        self._last_ns = wall
        return wall + self._nudge

    def make_inode(self, kind: DiskKind, mode: int) -> Inode:
        """A new one without a name."""
        if self._free:
            number = heapq.heappop(self._free)
        else:
            number, self._next_number = self._next_number, self._next_number + 1
        now = self.now()
        born = now if kind is DiskKind.DIRECTORY else 0
        return Inode(number, kind, mode, now, now, born, saved=Saved(EMPTY, mode, now))

    def settle(self, inode: Inode) -> None:
        """Give an inode's room back if nobody can reach it any more."""
        if inode.entries or inode.opens:
            return
        self.used -= inode.charge
        inode.charge = 0
        if self.kind.reuses_inodes:
            heapq.heappush(self._free, inode.number)
        self.emit(inode, flags.DELETE_SELF)

    def room(self) -> int:
        """Bytes that may still be written."""
        return max(0, self.kind.capacity - self.used)

    def set_content(self, inode: Inode, content: Content) -> None:
        """Give a file new bytes. Raises ENOSPC, and changes nothing, where the room lacks."""
        charge = max(-(-content.held // BLOCK_BYTES) * BLOCK_BYTES, inode.reserved)
        if charge > inode.charge and charge - inode.charge > self.room():
            raise error(errno.ENOSPC)
        self.used += charge - inode.charge
        inode.content, inode.charge = content, charge
        inode.mtime_ns = inode.ctime_ns = self.now()
        self._soil(inode)

    def reserve(self, inode: Inode, size: int) -> None:
        """Set room aside for that length."""
        wanted = max(inode.reserved, -(-size // BLOCK_BYTES) * BLOCK_BYTES)
        if wanted - inode.charge > self.room():
            raise error(errno.ENOSPC)
        inode.reserved = wanted
        self.used += max(0, wanted - inode.charge)
        inode.charge = max(inode.charge, wanted)
        inode.mtime_ns = inode.ctime_ns = self.now()
        self._soil(inode)

    def stamp(self, inode: Inode) -> None:
        """Note that mode, times or names of an inode changed."""
        inode.ctime_ns = self.now()
        if not inode.is_directory:
            self._soil(inode)

    def _soil(self, inode: Inode) -> None:
        self.dirty[inode] = None
        while len(self.dirty) > _WRITTEN_BACK:
            self.save(next(iter(self.dirty)))

    # --- names ---------------------------------------------------------------------------------------------

    def find(self, directory: Inode, name: str) -> Entry:
        """The entry of that name. Raises ENOENT."""
        found = directory.children.get(self.kind.rules.key(name))
        if found is None:
            raise error(errno.ENOENT, name)
        return found

    def check_free(self, directory: Inode, name: str) -> None:
        """Raises EEXIST where the name is taken, ENOENT in a removed directory."""
        if self.kind.rules.key(name) in directory.children:
            raise error(errno.EEXIST, name)
        if directory.is_dead():
            raise error(errno.ENOENT, name)
        self.kind.rules.check_new(name)

    def add(self, directory: Inode, name: str, inode: Inode) -> Entry:
        """Give an inode a name, which is free."""
        entry = self._attach(directory, name, inode)
        self._record(directory, (self._change(directory, name, None, inode),))
        self.emit(directory, flags.CREATE, entry=entry)
        return entry

    def remove(self, entry: Entry) -> None:
        """Take a name away."""
        directory, inode = entry.parent, entry.inode
        assert directory is not None
        self._record(directory, (self._change(directory, entry.name, inode, None),))
        self._detach(entry)
        inode.ctime_ns = self.now()
        self.emit(directory, flags.DELETE, entry=entry)
        entry.parent = None
        self.settle(inode)

    def rename(self, entry: Entry, target: Inode, name: str) -> None:
        """Give an entry another name, in `target`; a file that has it loses it."""
        source, inode = entry.parent, entry.inode
        assert source is not None
        replaced = target.children.get(self.kind.rules.key(name))
        out = replaced.inode if replaced is not None else None
        self._record(
            target,
            (self._change(source, entry.name, inode, None), self._change(target, name, out, inode)),
        )
        source.mtime_ns = source.ctime_ns = target.mtime_ns
        old_name = entry.name
        self._detach(entry)
        if replaced is not None:
            self._detach(replaced)
        entry.parent, entry.name = target, self.kind.rules.shown(name)
        target.children[self.kind.rules.key(name)] = entry
        inode.entries.append(entry)
        inode.ctime_ns = self.now()
        self._emit_move(inode, source, old_name, target, entry.name)
        if replaced is not None:
            replaced.parent = None
            self.settle(replaced.inode)

    def exchange(self, one: Entry, other: Entry) -> None:
        """Swap what two names stand for."""
        first, second = one.parent, other.parent
        assert first is not None
        assert second is not None
        self._record(
            first,
            (
                self._change(first, one.name, one.inode, other.inode),
                self._change(second, other.name, other.inode, one.inode),
            ),
        )
        second.mtime_ns = second.ctime_ns = first.mtime_ns
        key = self.kind.rules.key
        first.children[key(one.name)], second.children[key(other.name)] = other, one
        one.parent, other.parent = second, first
        one.name, other.name = other.name, one.name
        one.inode.ctime_ns = other.inode.ctime_ns = self.now()
        self._emit_move(one.inode, first, other.name, second, one.name)
        self._emit_move(other.inode, second, one.name, first, other.name)

    def is_above(self, directory: Inode, below: Inode) -> bool:
        """Whether `below` is `directory` or lies in it."""
        step: Inode | None = below
        while step is not None and step is not directory:
            step = step.entries[0].parent if step.entries else None
        return step is directory

    def _change(self, directory: Inode, name: str, before: Inode | None, after: Inode | None) -> NameChange:
        rules = self.kind.rules
        return NameChange(directory, rules.key(name), rules.shown(name), before, after)

    def _record(self, directory: Inode, changes: tuple[NameChange, ...]) -> None:
        self.pending.append(operation(changes))
        if len(self.pending) > _WRITTEN_BACK:
            del self.pending[: _WRITTEN_BACK // 2]
        directory.mtime_ns = directory.ctime_ns = self.now()

    def _attach(self, directory: Inode, name: str, inode: Inode) -> Entry:
        entry = Entry(directory, self.kind.rules.shown(name), inode)
        directory.children[self.kind.rules.key(name)] = entry
        inode.entries.append(entry)
        return entry

    def _detach(self, entry: Entry) -> None:
        """Take an entry out of the tree; it keeps its former place for the event that tells of it."""
        assert entry.parent is not None
        del entry.parent.children[self.kind.rules.key(entry.name)]
        entry.inode.entries.remove(entry)

    # --- events --------------------------------------------------------------------------------------------

    def emit(self, inode: Inode, mask: int, cookie: int = 0, *, entry: Entry | None = None, name: str = "") -> None:
        """Tell watchers of `inode`; where `entry` is given, of what its inode is in that directory."""
        if entry is not None:
            name = entry.name
            mask |= flags.ISDIR if entry.inode.is_directory else 0
        for observer in self.observers:
            observer(inode, mask, cookie, name)

    def emit_of(self, entry: Entry, mask: int) -> None:
        """Tell watchers of the directory that an entry is in, if it still is in one."""
        if entry.parent is not None:
            self.emit(entry.parent, mask, entry=entry)

    def _emit_move(self, inode: Inode, source: Inode, old: str, target: Inode, new: str) -> None:
        self._cookie += 1
        kind = flags.ISDIR if inode.is_directory else 0
        self.emit(source, flags.MOVED_FROM | kind, self._cookie, name=old)
        self.emit(target, flags.MOVED_TO | kind, self._cookie, name=new)
        self.emit(inode, flags.MOVE_SELF)

    # --- what lasts ----------------------------------------------------------------------------------------

    def save(self, inode: Inode) -> None:
        """Make a file's bytes, or a directory's names, lasting."""
        if inode.is_directory:
            _, self.pending = split_at_sync(self.pending, inode.number)
        elif inode.content is not inode.stuck:
            inode.saved = Saved(inode.content, inode.mode, inode.mtime_ns)
            self.dirty.pop(inode, None)

    def save_all(self) -> None:
        """Make everything lasting."""
        for inode in list(self.dirty):
            self.save(inode)
        self.pending = []

    def fail_saving(self, inodes: Iterable[Inode]) -> None:
        """Lose what is not lasting of these files: a `sync` after one that failed writes none of it."""
        for inode in inodes:
            if not inode.is_directory:
                inode.stuck = inode.content

    def lose_power(self, loss: Loss) -> None:
        """What a start after it finds. Nobody may have anything open."""
        for each in self.dirty:
            each.content, each.mode, each.mtime_ns = left = left_of(each, loss, self._draw)
            each.saved = left
        for undone in reversed(lost_names(self.pending, loss, self._draw)):
            for change in undone.changes:
                change.directory.children.pop(change.key, None)
            for change in undone.changes:
                if change.before is not None:
                    change.directory.children[change.key] = Entry(change.directory, change.name, change.before)
        self.pending, self.dirty, self._free = [], {}, []
        self._recount()

    def has(self, content: Content) -> bool:
        """Whether a file has it now."""
        stack = [self.root]
        while stack:
            for entry in stack.pop().children.values():
                if entry.inode.is_directory:
                    stack.append(entry.inode)
                elif entry.inode.content.size == content.size and bytes(entry.inode.content) == bytes(content):
                    return True
        return False

    def _recount(self) -> None:
        """Set right what follows from the tree: names of inodes, places of entries, room."""
        met: dict[int, Inode] = {}
        self.used = 0
        stack = [self.root]
        while stack:
            directory = stack.pop()
            for key, entry in list(directory.children.items()):
                inode = entry.inode
                known = met.get(inode.number)
                if known is not None and known is not inode:
                    # Its number went to another file, and both names came back.
                    inode.number, self._next_number = self._next_number, self._next_number + 1
                    known = None
                if known is None:
                    met[inode.number] = inode
                    inode.entries = []
                    inode.opens = inode.writers = inode.reserved = 0
                    inode.stuck = None
                    inode.charge = -(-inode.content.held // BLOCK_BYTES) * BLOCK_BYTES
                    self.used += inode.charge
                    if inode.is_directory:
                        stack.append(inode)
                new = Entry(directory, entry.name, inode)
                directory.children[key] = new
                inode.entries.append(new)
        self.root.entries = [Entry(None, "", self.root)]

    def restore(self, image: "Volume") -> None:
        """Become what that image is. Nobody may have anything open."""
        copied = image.copy()
        self.root, self.used, self._free = copied.root, copied.used, []
        self.pending, self.dirty = [], {}
        self._next_number = max(self._next_number, copied._next_number)

    def copy(self) -> "Volume":
        """An image of it, with the same numbers; what is not lasting is taken as if it were."""
        image = Volume(self.kind, self._time, self._draw)
        image.root = self._copy_below(self.root, {})
        image._next_number = self._next_number
        image._recount()
        return image

    def _copy_below(self, inode: Inode, made: dict[int, Inode]) -> Inode:
        if inode.number in made:
            return made[inode.number]
        saved = Saved(inode.content, inode.mode, inode.mtime_ns)
        copied = made[inode.number] = replace(
            inode, children={}, entries=[], opens=0, writers=0, reserved=0, saved=saved, stuck=None
        )
        for key, entry in inode.children.items():
            copied.children[key] = Entry(copied, entry.name, self._copy_below(entry.inode, made))
        return copied
