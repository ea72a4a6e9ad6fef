"""Turns the kernel's inotify events into what changed where.

Owns the tree of watched directories, by watch and by name, and the meaning of events, see
inotify(7). Pure: it asks for watches to be added and removed, and never touches the kernel.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from inotify_simple import Event, flags

from peer.disk.root import PRIVATE_NAME
from peer.fingerprint import Path
from peer.scan.findings import Changed, Renamed, Touch

_DIRECTORY = int(flags.ISDIR)
_ROOT_GONE = int(flags.DELETE_SELF | flags.MOVE_SELF | flags.UNMOUNT)


@dataclass(eq=False, slots=True)
class _Node:
    """A watched directory; `watch` is None once the kernel no longer watches it."""

    name: str
    parent: "_Node | None"
    watch: int | None
    children: "dict[str, _Node]" = field(default_factory=dict)

    def path(self) -> Path:
        names = []
        node = self
        while node.parent is not None:
            names.append(node.name)
            node = node.parent
        return tuple(reversed(names))


@dataclass(eq=False, slots=True)
class _Departed:
    """The first half of a rename, until the second comes."""

    path: Path
    node: _Node | None


class WatchTree:
    """All watched directories of one root, and the batch of changes in the making.

    Feed it events with `take`; then add watches to what is in `to_add`, telling `added` of each,
    remove those in `to_remove`, and call `finish`.
    """

    def __init__(self, skips: Callable[[Path], bool]) -> None:
        self._skips = skips
        self._root: _Node | None = None
        self._nodes: dict[int, _Node] = {}
        self._departed: dict[int, _Departed] = {}
        self._touched: dict[Path, Touch] = {}
        self._rescan: set[Path] = set()
        self._moved: list[Renamed] = []
        self.to_add: list[Path] = []
        self.to_remove: list[int] = []
        self._unreached: set[Path] = set()
        self._before_reset: set[int] = set()
        self.has_overflowed = False
        self.is_root_gone = False

    @property
    def waits_for_pair(self) -> bool:
        """Whether a rename's second half is still to come, if it comes."""
        return bool(self._departed)

    @property
    def has_news(self) -> bool:
        """Whether `finish` has something to return, now or when what is asked for was done."""
        return bool(self._touched or self._rescan or self._moved or self._departed or self.has_overflowed)

    def __len__(self) -> int:
        return len(self._nodes)

    def take(self, events: Iterable[Event]) -> None:
        """Note a run of events, in the kernel's order."""
        for event in events:
            if event.mask & flags.Q_OVERFLOW:
                self.has_overflowed = True
                continue
            node = self._nodes.get(event.wd)
            if node is None:
                continue
            if event.mask & flags.IGNORED:
                self._nodes.pop(event.wd)
                node.watch = None
            elif node is self._root and event.mask & _ROOT_GONE:
                self.is_root_gone = True
            elif event.name:
                self._take_name(node, event)

    def added(self, path: Path, watch: int) -> None:
        """Note that the directory at `path` is watched now.

        The kernel gives one directory one watch. If it is known at another place, the events in
        between are still to come or were misread; then what is at that other place is asked for.
        """
        if watch in self.to_remove:  # given up just now, and asked for anew: the kernel gave the same one again
            self.to_remove.remove(watch)
        known = self._nodes.get(watch)
        if known is not None:
            before = known.path() if self._is_attached(known) else None
            if before == path:
                return
            self._detach(known)
            if before is not None:
                self._ask_for(before)
            children = known.children
        else:
            children = {}
        if not path:
            self._root = self._nodes[watch] = _Node("", None, watch, children)
            return
        parent = self._find(path[:-1])
        if parent is None:
            return
        self._forget(parent.children.get(path[-1]))
        node = _Node(path[-1], parent, watch, children)
        for child in children.values():
            child.parent = node
        parent.children[path[-1]] = self._nodes[watch] = node

    def not_reached(self, path: Path) -> None:
        """Note that the directory at `path` could not be opened. A rename of one above it, which is told later than
        that it was made, asks for it again."""
        self._unreached.add(path)

    def has_told_all(self) -> None:
        """Nothing more is to come of what has happened: what could not be reached is gone."""
        self._unreached.clear()

    def reset(self) -> None:
        """Forget all places, since events were lost; all is to be added again.

        Watches that are not added again by `finish_reset` are removed.
        """
        self._before_reset = set(self._nodes)
        self._nodes.clear()
        self._root = None
        self._departed.clear()
        self._touched.clear()
        self._rescan.clear()
        self._moved.clear()
        self._unreached.clear()
        self.to_add = [()]
        self.has_overflowed = False

    def finish_reset(self) -> None:
        """Ask for the removal of watches that lead nowhere any more."""
        self.to_remove.extend(self._before_reset - set(self._nodes))

    def finish(self) -> Changed | None:
        """Return what changed since the last time; a rename without second half has left."""
        for departed in self._departed.values():
            self._touch(departed.path, Touch.GONE)
            self._forget(departed.node)
        self._departed.clear()
        if not (self._touched or self._rescan or self._moved):
            return None
        changed = Changed(self._touched, frozenset(self._rescan), tuple(self._moved))
        self._touched, self._rescan, self._moved = {}, set(), []
        return changed

    def _take_name(self, node: _Node, event: Event) -> None:
        path = (*node.path(), event.name)
        mask = event.mask
        is_directory = bool(mask & _DIRECTORY)
        if path == (PRIVATE_NAME,) and mask & (flags.DELETE | flags.MOVED_FROM):
            # Whoever holds the root open keeps the kernel from saying that it is gone.
            self.is_root_gone = True
        if self._skips(path) and not mask & (flags.MOVED_FROM | flags.MOVED_TO):
            return
        if mask & flags.MOVED_FROM:
            child = node.children.pop(event.name, None) if is_directory else None
            self._departed[event.cookie] = _Departed(path, child)
        elif mask & flags.MOVED_TO:
            self._arrive(node, event, path, is_directory)
        elif mask & flags.DELETE:
            self._touch(path, Touch.GONE)
            if is_directory:
                self._forget(node.children.pop(event.name, None))
                self._unreached.discard(path)
        elif is_directory:
            if mask & flags.CREATE:
                self._ask_for(path)
            else:
                self._touch(path, Touch.ATTRIBUTES)
        elif mask & flags.CLOSE_WRITE:
            self._touch(path, Touch.SAVED)
        elif mask & flags.MODIFY:
            self._touch(path, Touch.WRITING)
        elif mask & flags.CREATE:
            self._touch(path, Touch.CREATED)
        elif mask & flags.ATTRIB:
            self._touch(path, Touch.ATTRIBUTES)

    def _arrive(self, parent: _Node, event: Event, path: Path, is_directory: bool) -> None:
        departed = self._departed.pop(event.cookie, None)
        if is_directory:
            self._forget(parent.children.pop(event.name, None))
        if departed is not None:
            self._touch(departed.path, Touch.GONE)
            if not self._skips(departed.path) and not self._skips(path):
                self._moved.append(Renamed(departed.path, path, is_directory))
        if self._skips(path):
            if departed is not None:
                self._forget(departed.node)
            return
        if not is_directory:
            self._touch(path, Touch.SAVED)
            return
        if departed is None or departed.node is None:
            self._ask_for(path)
            return
        node = departed.node
        node.name, node.parent = event.name, parent
        parent.children[event.name] = node
        self._touch(path, Touch.SAVED)
        self._carry_over(departed.path, path)

    def _carry_over(self, source: Path, target: Path) -> None:
        """Let what was noted below a directory follow its rename."""
        depth = len(source)

        def moved(path: Path) -> Path:
            return target + path[depth:] if path[:depth] == source else path

        self._touched = {(moved(path) if len(path) > depth else path): touch for path, touch in self._touched.items()}
        self._rescan = {moved(path) for path in self._rescan}
        self.to_add = [moved(path) for path in self.to_add]
        for departed in self._departed.values():
            departed.path = moved(departed.path)
        for path in [path for path in self._unreached if path[:depth] == source]:
            self._unreached.remove(path)
            self._ask_for(moved(path))

    def _ask_for(self, path: Path) -> None:
        self._rescan.add(path)
        self.to_add.append(path)

    def _touch(self, path: Path, touch: Touch) -> None:
        if touch is not Touch.ATTRIBUTES or path not in self._touched:
            self._touched[path] = touch

    def _find(self, path: Path) -> _Node | None:
        node = self._root
        for name in path:
            if node is None:
                return None
            node = node.children.get(name)
        return node

    def _is_attached(self, node: _Node) -> bool:
        while node.parent is not None:
            if node.parent.children.get(node.name) is not node:
                return False
            node = node.parent
        return node is self._root

    def _detach(self, node: _Node) -> None:
        if node.parent is not None and node.parent.children.get(node.name) is node:
            del node.parent.children[node.name]

    def _forget(self, node: _Node | None) -> None:
        """Give up the watches of a directory that left, and of all below it."""
        if node is None:
            return
        self._detach(node)
        stack = [node]
        while stack:
            gone = stack.pop()
            stack.extend(gone.children.values())
            if gone.watch is not None and self._nodes.get(gone.watch) is gone:
                del self._nodes[gone.watch]
                self.to_remove.append(gone.watch)
