"""What is to be looked at on the disk, and when what was not found is believed to be gone.

Owns the paths and directories that are waiting to be looked at, and what is known of renames on the way. Time is an
argument: seconds of a clock that never goes back. Never looks itself.

A look and the kernel's events run beside each other: what is renamed in between is seen at neither of its names, or at
the old one only. So what a look does not find is missing at first. It is gone once it is still not there after the
watcher has told all that had happened until then, and no rename of it leads to a name that still waits to be looked at;
nor, for a while, does anything else wait that it may be now: not every rename is told as one.
"""

from collections import deque
from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass, replace

from peer.fingerprint import Path
from peer.scan.findings import Changed, Overflow, Renamed, RootGone, Touch, WatchEvent, WatchLimit
from peer.scan.ignore import IGNORE_NAME
from peer.scan.settle import Settling
from protocol.ids import EntryId

RESCAN_S = 30.0
"""How often what cannot be watched, or read, is scanned again."""
MISSING_S = 0.02
"""After so long what was not found is looked for again."""
ELSEWHERE_S = 1.0
"""For so long at most what was not found waits until all else that was noticed is looked at."""
RESCANNED_S = 30.0
"""and for so long while directories wait to be scanned: where events were lost, nothing else finds what was renamed."""
RENAMED_S = 60.0
"""For so long what is noticed under the old name of a directory is looked at under its new one."""
_RENAMES = 256
PATIENCE_LOOKS = 3
"""So often a long file that is open for writing is left alone, for a longer time each."""


@dataclass(frozen=True)
class Looks:
    """What to look at now: `paths` by themselves, `trees` with all below them. `moved`: of what is looked at, to where
    something was renamed, and from where."""

    paths: list[Path]
    trees: set[Path]
    moved: Mapping[Path, Path]

    def covers(self, path: Path) -> bool:
        """Whether it is in one of the trees."""
        return any(path[:depth] in self.trees for depth in range(len(path) + 1))


@dataclass(frozen=True)
class _Adrift:
    """Something to look at below a directory that was not there; whether with all below it, and from where it was
    renamed."""

    is_tree: bool
    origin: Path | None


class Notices:
    """What was noticed and not looked at yet."""

    def __init__(self) -> None:
        self._settling: Settling[Path] = Settling()
        self._rescan: set[Path] = {()}
        self._moved: dict[Path, Path] = {}
        self._missing: dict[EntryId, tuple[float, Path]] = {}
        self._unwatched: set[Path] = set()
        self._renames: deque[tuple[float, Path, Path]] = deque(maxlen=_RENAMES)
        """When which directories were renamed lately."""
        self._adrift: dict[Path, _Adrift] = {}
        self._rescan_at_s = 0.0
        self.unreadable: dict[Path, str] = {}
        """What could not be read, and why; scanned again at times."""

    # --- what is noticed -------------------------------------------------------------------------------

    def take(self, event: WatchEvent, now_s: float) -> None:
        """Take an event of the watcher."""
        match event:
            case Changed():
                for renamed in event.moved:
                    self._take_rename(renamed, now_s)
                for path, touch in event.touched.items():
                    self._settling.touched(path, touch, now_s)
                    if path[-1] == IGNORE_NAME:
                        self._rescan.add(path[:-1])
                self._rescan |= event.rescan
            case WatchLimit():
                self._unwatched.add(event.path)
                self._rescan_at_s = now_s + RESCAN_S
            case Overflow() | RootGone():
                self._rescan.add(())

    def _take_rename(self, renamed: Renamed, now_s: float) -> None:
        source, destination = renamed.source, renamed.destination
        if renamed.is_directory:
            self._follow(source, destination, now_s)
        self._moved[destination] = self._moved.pop(source, source)
        self._settling.touched(source, Touch.GONE, now_s)
        self._settling.touched(destination, Touch.SAVED, now_s)

    def _follow(self, source: Path, destination: Path, now_s: float) -> None:
        """Let what was noticed below a directory follow its rename."""

        def now_at(path: Path) -> Path:
            return _below(path, source, destination)

        self._renames.append((now_s, source, destination))
        self._settling.rename(now_at)
        self._moved = {now_at(to): origin for to, origin in self._moved.items()}
        self._rescan = {destination if path == source else now_at(path) for path in self._rescan}
        self._unwatched = {destination if path == source else now_at(path) for path in self._unwatched}
        self._missing = {entry: (since_s, now_at(path)) for entry, (since_s, path) in self._missing.items()}
        for path, one in list(self._adrift.items()):
            if path[: len(source)] == source:
                del self._adrift[path]
                self._notice(destination + path[len(source) :], one, now_s)

    def look_again(self, path: Path, now_s: float) -> None:
        """Something turned out different from what the tree says: look at it after a while."""
        self._settling.unstable(path, now_s)

    def is_restless(self, path: Path) -> bool:
        """Whether a file changes, or is being written, whenever it is looked at: it is read all the same."""
        return self._settling.failures(path) >= PATIENCE_LOOKS

    def rescan(self, paths: Iterable[Path]) -> None:
        """Scan these directories and all below them at the next turn."""
        self._rescan.update(paths)

    def rescan_later(self, now_s: float) -> None:
        """Scan what cannot be watched or read a while from now."""
        self._rescan_at_s = max(self._rescan_at_s, now_s + RESCAN_S)

    # --- what is due -----------------------------------------------------------------------------------

    def next_due_s(self) -> float | None:
        """When there is something to look at; None where nothing is noticed."""
        due = [self._settling.next_due_s()]
        if self._rescan:
            due.append(0.0)
        if self._unwatched or self.unreadable:
            due.append(self._rescan_at_s)
        return min((one for one in due if one is not None), default=None)

    @property
    def has_seen_all(self) -> bool:
        """Whether no scan of the whole folder is still to be done."""
        return () not in self._rescan

    @property
    def is_idle(self) -> bool:
        """Whether nothing is waiting to be looked at."""
        return not self._rescan and not len(self._settling)

    def take_due(self, now_s: float) -> Looks:
        """What is due; it no longer waits."""
        trees, self._rescan = self._rescan, set()
        paths = self._settling.take_due(now_s)
        if (self._unwatched or self.unreadable) and now_s >= self._rescan_at_s:
            trees |= self._unwatched | set(self.unreadable)
            self._rescan_at_s = now_s + RESCAN_S
        due = set(paths)
        looks = Looks(sorted(due), trees, {})
        moved = {to: origin for to, origin in self._moved.items() if to in due or looks.covers(to)}
        for to in moved:
            del self._moved[to]
        return replace(looks, moved=moved)

    def put_back(self, looks: Looks) -> None:
        """These looks came to nothing: look again at the next turn."""
        self._rescan |= looks.trees | {path[:-1] for path in looks.paths}
        self._moved = {**looks.moved, **self._moved}

    def follow_up(self, looked_at: Looks, absent: Container[Path], now_s: float, *, is_behind: bool) -> None:
        """A directory that was not there may have been renamed, and this be told later than what happened in it, or
        what happened in it be noticed under its old name after that: what was to be looked at below it is looked at
        where it is then. `absent`: where nothing was. `is_behind` as in `believe`."""
        if not is_behind:
            self._adrift.clear()
        lost = {path: False for path in looked_at.paths if _lies_in(path[:-1], absent)}
        lost |= {path: True for path in looked_at.trees if _lies_in(path, absent)}
        for path, is_tree in lost.items():
            one, now_at = _Adrift(is_tree, looked_at.moved.get(path)), path
            for renamed_s, source, destination in self._renames:
                if now_s - renamed_s <= RENAMED_S and now_at[: len(source)] == source:
                    now_at = destination + now_at[len(source) :]
            if now_at != path:
                self._notice(now_at, one, now_s)
            elif is_behind:
                self._adrift[path] = one

    def _notice(self, path: Path, one: _Adrift, now_s: float) -> None:
        if one.origin is not None:
            self._moved[path] = one.origin
        if one.is_tree:
            self._rescan.add(path)
        else:
            self._settling.missing(path, now_s, MISSING_S)

    # --- what was not found ----------------------------------------------------------------------------

    def is_missing(self, entry: EntryId) -> bool:
        """Whether an entry was not found, and is still looked for."""
        return entry in self._missing

    @property
    def misses(self) -> bool:
        """Whether anything is still looked for."""
        return bool(self._missing)

    def believe(
        self, missing: Mapping[EntryId, Path], looked_at: Looks, now_s: float, *, is_behind: bool
    ) -> set[EntryId]:
        """Which of these entries, not found where they were, are gone; say of the others where to `seek` them.

        `missing` is all that this look missed; what is not in it was found. `is_behind`: whether the watcher has
        something to tell that it has not told yet.
        """
        # What was renamed to a name at which nothing can be seen at the moment has still been renamed to it.
        self._moved.update({to: origin for to, origin in looked_at.moved.items() if self._is_hidden(to)})
        looked = set(looked_at.paths)
        for entry, (_, path) in list(self._missing.items()):
            if entry not in missing and (path in looked or looked_at.covers(path)):
                del self._missing[entry]
        origins = {origin for to, origin in self._moved.items() if self._settling.waits_for(to) or self._is_hidden(to)}
        sought = {*missing.values(), *(path for _, path in self._missing.values())}
        is_looking = bool(missing) and (bool(self._rescan) or self._settling.waits_besides(sought))
        patience_s = (RESCANNED_S if self._rescan else ELSEWHERE_S) if is_looking else MISSING_S
        gone = set()
        for entry, path in missing.items():
            since_s, _ = self._missing.setdefault(entry, (now_s, path))
            # What was renamed, itself or with a directory above it, to where nobody has looked yet is on its way.
            moves = any(path[:depth] in origins for depth in range(1, len(path) + 1))
            if now_s - since_s >= patience_s and not (is_behind or moves):
                gone.add(entry)
                del self._missing[entry]
        return gone

    def _is_hidden(self, path: Path) -> bool:
        """Whether it, or a directory above it, cannot be read at the moment."""
        return any(path[:depth] in self.unreadable for depth in range(len(path) + 1))

    def found(self, entries: Iterable[EntryId]) -> None:
        """These are there after all, under whatever name."""
        if self._missing:
            for entry in entries:
                self._missing.pop(entry, None)

    def seek(self, entry: EntryId, path: Path, now_s: float) -> None:
        """Look for a missing entry again soon, and then more and more rarely, at this path."""
        since_s = self._missing[entry][0]
        self._missing[entry] = (since_s, path)
        self._settling.missing(path, now_s, max(MISSING_S, (now_s - since_s) / 2))


def _below(path: Path, source: Path, destination: Path) -> Path:
    """Where what is below a directory is after its rename."""
    depth = len(source)
    return destination + path[depth:] if len(path) > depth and path[:depth] == source else path


def _lies_in(path: Path, absent: Container[Path]) -> bool:
    """Whether it, or a directory above it, is in there."""
    return any(path[:depth] in absent for depth in range(1, len(path) + 1))
