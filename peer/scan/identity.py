"""Which entry each scanned path is.

Owns the step from paths to entry ids: by path, then by inode and fingerprint, then by content; what is ambiguous is
new. Says of an entry that it vanished only where the directory that held it was read and its name was not there.
Pure: what was scanned and what was known come as arguments, and so do new ids.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

import msgspec

from peer.fingerprint import DiskKind, Fingerprint, Path
from peer.scan.findings import Absent, BadName, Finding, Found, Unreadable, WasRead
from protocol.ids import ROOT, EntryId
from protocol.names import name_problem, nfc

How = Literal["path", "inode", "content", "new"]
Presence = Literal["there", "gone", "unknown", "not_looked"]


class Known(msgspec.Struct, frozen=True, gc=False):
    """An entry as the last scan left it. `name` is the true name, `disk_name` the one on the disk."""

    entry: EntryId
    parent: EntryId
    name: str
    disk_name: str
    kind: DiskKind
    fingerprint: Fingerprint


class KnownTree(Protocol):
    """The local tree of the last scan; only what was on the disk then."""

    def entry(self, entry: EntryId) -> Known | None:
        """Return an entry by its id."""
        ...

    def named(self, parent: EntryId, name: str) -> Known | None:
        """Return the child of that true name."""
        ...

    def children(self, parent: EntryId) -> Iterable[Known]:
        """Return all children."""
        ...

    def by_inode(self, device: int, inode: int) -> Sequence[Known]:
        """Return the entries that last had this inode; several where a file has several names."""
        ...


class Assigned(msgspec.Struct, frozen=True, gc=False):
    """What was found is this entry, now at (`parent`, `name`), `name` being the true name."""

    entry: EntryId
    parent: EntryId
    name: str
    found: Found
    how: How


@dataclass(frozen=True)
class Twin:
    """Two names in one directory that are equal after NFC: `stays` keeps the name, `other` is to be renamed.

    Nothing is said about `other` and what is below it until it has a name of its own.
    """

    stays: Path
    other: Path


@dataclass(frozen=True)
class Identified:
    """What a scan means.

    `assigned` holds what is new, changed or elsewhere, parents first; `unchanged` the entries seen exactly as known;
    `vanished` those positively gone, parents first. While `look_at` is not empty the rest is provisional: look at these
    paths, and identify again with those findings added. `unwalked` are directories whose content was not scanned
    though nothing is known of it; walk them likewise.
    """

    assigned: tuple[Assigned, ...]
    unchanged: tuple[EntryId, ...]
    vanished: tuple[Known, ...]
    twins: tuple[Twin, ...]
    bad_names: tuple[Path, ...]
    look_at: frozenset[Path] = frozenset()
    unwalked: frozenset[Path] = frozenset()
    unclear: frozenset[Path] = frozenset()
    """What is here is another known entry, and what is at that one's own place cannot be told: nothing is concluded."""


def identify(
    known: KnownTree,
    findings: Iterable[Finding],
    fresh: Callable[[], EntryId],
    moved_to: frozenset[Path] = frozenset(),
    ignored: Callable[[Path, bool], bool] = lambda path, is_directory: False,
) -> Identified:
    """Give every finding its entry. Of several findings about a path the last counts.

    `moved_to` are paths to which the kernel said that something was renamed: there the inode alone is proof, even if
    the file was edited since. Entries that `ignored` now rules out are never said to have vanished.
    """
    return _Identification(known, findings, fresh, moved_to, ignored).run()


@dataclass
class _Seen:
    """The findings by path."""

    found: dict[Path, Found] = field(default_factory=dict)
    read: set[Path] = field(default_factory=set)
    absent: set[Path] = field(default_factory=set)
    blind: set[Path] = field(default_factory=set)
    """Something is or may be there that is no entry."""
    closed: set[Path] = field(default_factory=set)
    """Directories that are there and whose content is unknown."""
    bad_names: list[Path] = field(default_factory=list)
    again: set[Path] = field(default_factory=set)
    """What was looked at more than once."""

    def take(self, findings: Iterable[Finding]) -> None:
        for finding in findings:
            path = finding.path
            if type(finding) is Found:
                if path in self.found:
                    self.again.add(path)
                self.found[path] = finding
                self.absent.discard(path)
                self.blind.discard(path)
            elif type(finding) is WasRead:
                self.read.add(path)
                self.closed.discard(path)
            elif type(finding) is Unreadable and path in self.found:
                self.closed.add(path)
            else:
                self.found.pop(path, None)
                if type(finding) is Absent:
                    self.absent.add(path)
                    self.blind.discard(path)
                    continue
                self.absent.discard(path)
                self.blind.add(path)
                if type(finding) is BadName:
                    self.bad_names.append(path)

    def presence(self, path: Path) -> Presence:
        """Say whether anything is at `path`, as far as was looked."""
        for depth in range(1, len(path) + 1):
            at = path[:depth]
            if at in self.absent:
                return "gone"
            if at in self.blind:
                return "unknown"
            found = self.found.get(at)
            if found is None:
                if path[: depth - 1] in self.read:
                    return "gone"
            elif depth == len(path):
                return "there"
            elif found.kind is not DiskKind.DIRECTORY:
                return "gone"
            elif at in self.closed:
                return "unknown"
        return "not_looked"


class _Identification:
    """One call of `identify`."""

    def __init__(
        self,
        known: KnownTree,
        findings: Iterable[Finding],
        fresh: Callable[[], EntryId],
        moved_to: frozenset[Path],
        ignored: Callable[[Path, bool], bool],
    ) -> None:
        self.known = known
        self.fresh = fresh
        self.moved_to = moved_to
        self.ignored = ignored
        self.seen = _Seen()
        self.seen.take(findings)
        self.ids: dict[Path, EntryId | None] = {(): ROOT}
        self.places: dict[EntryId, Path] = {ROOT: ()}
        self.children: dict[EntryId, dict[str, Known]] = {}
        self.claimed: set[EntryId] = set()
        self.assigned: list[Assigned] = []
        self.unchanged: list[EntryId] = []
        self.twins: list[Twin] = []
        self.bad_names: list[Path] = self.seen.bad_names
        self.look_at: set[Path] = set()
        self.vanished: dict[EntryId, Known] = {}
        self.exchanged: dict[Path, Known] = {}
        self.unclear: set[Path] = set()

    def run(self) -> Identified:
        levels: dict[int, list[Found]] = {}
        for found in self.seen.found.values():
            levels.setdefault(len(found.path), []).append(found)
        for depth in sorted(levels):
            self._identify_level(levels[depth])
        self._find_vanished()
        unwalked = {
            one.found.path
            for one in self.assigned
            if one.how == "new" and one.found.kind is DiskKind.DIRECTORY and one.found.path not in self.seen.read
        }
        return Identified(
            tuple(self.assigned),
            tuple(self.unchanged),
            tuple(self.vanished.values()),
            tuple(self.twins),
            tuple(self.bad_names),
            frozenset(self.look_at),
            frozenset(unwalked - self.seen.closed),
            frozenset(self.unclear),
        )

    def _identify_level(self, level: list[Found]) -> None:
        """Identify all of one depth: all by path first, then the rest by inode."""
        by_name: dict[tuple[EntryId, str], Found] = {}
        for found in level:
            path = found.path
            parent = self._directory(path[:-1])
            if parent is None:
                continue
            name = path[-1] if path[-1].isascii() else nfc(path[-1])
            rival = by_name.get((parent, name))
            if rival is not None:
                found = self._choose(parent, name, rival, found)
            by_name[parent, name] = found
        rest: list[tuple[EntryId, str, Found]] = []
        for (parent, name), found in by_name.items():
            before = self._named(parent, name, found.path[:-1])
            if found.path in self.exchanged:
                self._assign(self.exchanged[found.path].entry, parent, name, found, "inode")
            elif before is None or before.entry in self.claimed:
                rest.append((parent, name, found))
            elif before.disk_name != found.path[-1] and not self._is_gone((*found.path[:-1], before.disk_name)):
                self._meets_twin(before, found)
            elif before.kind is not found.kind:
                self.vanished[before.entry] = before
                rest.append((parent, name, found))
            elif not found.fingerprint.is_same_file(before.fingerprint) and self._has_changed_places(before, found):
                self._assign(self.exchanged[found.path].entry, parent, name, found, "inode")
            elif found.path in self.unclear:
                self.ids[found.path] = None
            elif before.fingerprint == found.fingerprint and before.disk_name == found.path[-1]:
                self.claimed.add(before.entry)
                self._place(before.entry, found)
                self.unchanged.append(before.entry)
            else:
                self._assign(before.entry, parent, name, found, "path")
        inodes = Counter((found.fingerprint.device, found.fingerprint.inode) for _, _, found in rest)
        for parent, name, found in rest:
            self._identify_by_inode(parent, name, found, inodes)

    def _identify_by_inode(self, parent: EntryId, name: str, found: Found, inodes: Counter[tuple[int, int]]) -> None:
        if name_problem(name, at_root=parent == ROOT) is not None:
            self.bad_names.append(found.path)
            self.ids[found.path] = None
            return
        state = found.fingerprint
        inode = (state.device, state.inode)
        candidates = []
        for one in self.known.by_inode(*inode):
            if not self._is_same(one, found):
                continue
            place = self._place_of(one)
            if place is not None and self._may_have_moved_since(place, found):
                self.look_at.add(place)
                self.ids[found.path] = None
                return
            if one.entry in self.claimed:
                continue
            presence = self.seen.presence(place) if place is not None else "gone"
            if presence == "not_looked" and place is not None:
                self.look_at.add(place)
                self.ids[found.path] = None
                return
            if presence == "unknown" and found.path in self.moved_to:
                # It was renamed, and from where it was cannot be seen at the moment.
                self.unclear.add(found.path)
                self.ids[found.path] = None
                return
            there = self.seen.found.get(place) if presence == "there" and place is not None else None
            if presence == "gone" or (there is not None and there.kind is not one.kind):
                candidates.append(one)
        if len(candidates) == 1 and inodes[inode] == 1:
            self.vanished.pop(candidates[0].entry, None)
            self._assign(candidates[0].entry, parent, name, found, "inode")
        else:
            self._assign(self.fresh(), parent, name, found, "new")

    def _may_have_moved_since(self, place: Path, found: Found) -> bool:
        """Whether one file was seen at two names, of which it may have left the one before it was seen at the other;
        if it is still there, it has both."""
        there = self.seen.found.get(place)
        return (
            there is not None
            and there.kind is not DiskKind.DIRECTORY
            and there.fingerprint.is_same_file(found.fingerprint)
            and place not in self.seen.again
        )

    def _has_changed_places(self, before: Known, found: Found) -> bool:
        """Whether what is at a known name is another known entry, which others replaced in turn until one is here:
        names were exchanged. Where that is so, notes for all of their paths who is there."""
        around: dict[Path, Known] = {}
        at = found
        while True:
            entries = self.known.by_inode(at.fingerprint.device, at.fingerprint.inode)
            if len(entries) != 1 or entries[0].entry in self.claimed or not self._is_same(entries[0], at):
                return False
            around[at.path] = one = entries[0]
            if one.entry == before.entry:
                break
            place = self._place_of(one)
            if place is None or place in around:
                return False
            presence = self.seen.presence(place)
            if presence == "not_looked":
                self.look_at.add(place)
            elif presence == "unknown":
                self.unclear.add(found.path)
            there = self.seen.found.get(place)
            if there is None:
                return False
            at = there
        if len(around) > 1:
            self.exchanged.update(around)
        return len(around) > 1

    def _is_same(self, before: Known, found: Found) -> bool:
        """Whether a known entry of the same inode is what was found: inodes are used again after a deletion."""
        if before.kind is not found.kind:
            return False
        if found.path in self.moved_to:
            return True
        old, now = before.fingerprint, found.fingerprint
        if found.kind is not DiskKind.DIRECTORY:
            return old.size == now.size and old.mtime_ns == now.mtime_ns
        if old.born_ns and now.born_ns:
            return old.born_ns == now.born_ns
        if old.mtime_ns == now.mtime_ns:
            return True
        # Something was put in or taken out: what is still in it tells. Its inode alone does not, since that too may be
        # one that was used again.
        for child in self._children(before.entry).values():
            below = self.seen.found.get((*found.path, child.disk_name))
            if below is not None and _is_untouched(child, below):
                return True
        return False

    def _choose(self, parent: EntryId, name: str, one: Found, two: Found) -> Found:
        """Return the one of two twins that keeps the name: NFC, else the known one, else the first."""

        def rank(found: Found) -> tuple[bool, bool, str]:
            disk_name = found.path[-1]
            before = self._named(parent, name, found.path[:-1])
            return (disk_name != name, before is None or before.disk_name != disk_name, disk_name)

        stays, other = sorted((one, two), key=rank)
        self.twins.append(Twin(stays.path, other.path))
        self.ids[other.path] = None
        return stays

    def _meets_twin(self, before: Known, found: Found) -> None:
        """Deal with a name that equals, after NFC, a known one that was not seen to be gone."""
        other = (*found.path[:-1], before.disk_name)
        self.ids[found.path] = None
        if self.seen.presence(other) == "not_looked":
            self.look_at.add(other)

    def _assign(self, entry: EntryId, parent: EntryId, name: str, found: Found, how: How) -> None:
        self.claimed.add(entry)
        self._place(entry, found)
        self.assigned.append(Assigned(entry, parent, name, found, how))

    def _place(self, entry: EntryId, found: Found) -> None:
        if found.kind is DiskKind.DIRECTORY:
            self.ids[found.path] = entry
            self.places[entry] = found.path

    def _directory(self, path: Path) -> EntryId | None:
        """Return the entry of the directory at `path`; None, having asked to look, if there is no telling."""
        if path in self.ids:
            return self.ids[path]
        parent = self._directory(path[:-1])
        if parent is None:
            self.ids[path] = None
            return None
        before = self._named(parent, nfc(path[-1]), path[:-1])
        entry: EntryId | None = None
        if before is not None and before.kind is DiskKind.DIRECTORY and before.disk_name == path[-1]:
            entry = before.entry
        elif self.seen.presence(path) == "not_looked":
            self.look_at.add(path)
        self.ids[path] = entry
        return entry

    def _named(self, parent: EntryId, name: str, directory: Path) -> Known | None:
        if directory in self.seen.read or parent in self.children:
            return self._children(parent).get(name)
        return self.known.named(parent, name)

    def _children(self, parent: EntryId) -> dict[str, Known]:
        children = self.children.get(parent)
        if children is None:
            children = self.children[parent] = {one.name: one for one in self.known.children(parent)}
        return children

    def _place_of(self, one: Known) -> Path | None:
        """Return where a known entry would be if it had not moved itself; None if its directory is gone."""
        names = [one.disk_name]
        parent = one.parent
        while parent not in self.places:
            above = self.known.entry(parent)
            if above is None:
                return None
            names.append(above.disk_name)
            parent = above.parent
        return (*self.places[parent], *reversed(names))

    def _is_gone(self, path: Path) -> bool:
        return self.seen.presence(path) == "gone"

    def _find_vanished(self) -> None:
        gone = list(self.vanished.values())
        for path in self.seen.read:
            entry = self._directory(path)
            if entry is not None:
                gone += [one for one in self._children(entry).values() if self._has_vanished(one, path)]
        for path in self.seen.absent:
            if not path:
                continue
            parent = self._directory(path[:-1]) if self.seen.presence(path[:-1]) != "gone" else None
            before = self._named(parent, nfc(path[-1]), path[:-1]) if parent is not None else None
            if before is not None and before.disk_name == path[-1] and self._has_vanished(before, path[:-1]):
                gone.append(before)
        self.vanished = {}
        while gone:
            one = gone.pop()
            if one.entry in self.claimed or one.entry in self.vanished:
                continue
            self.vanished[one.entry] = one
            if one.kind is DiskKind.DIRECTORY:
                gone += self._children(one.entry).values()

    def _has_vanished(self, one: Known, directory: Path) -> bool:
        if one.entry in self.claimed:
            return False
        path = (*directory, one.disk_name)
        return self._is_gone(path) and not self.ignored(path, one.kind is DiskKind.DIRECTORY)


def _is_untouched(before: Known, found: Found) -> bool:
    old, now = before.fingerprint, found.fingerprint
    return before.kind is found.kind and now.is_same_file(old) and now.mtime_ns == old.mtime_ns
