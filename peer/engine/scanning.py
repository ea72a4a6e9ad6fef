"""From the disk to the local tree. Owns what is to be looked at, what is being read, and writing what was found.

Directories, symlinks, renames and disappearances are written at once; a file whose content is not known is read first
(`reading`), and its row stays as it was until then: every step on disk checks its preimage, so an old row costs a
plan, never a byte.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import msgspec

from crypto.digest import link_digest
from peer.disk.private import check_root
from peer.engine.context import Context
from peer.engine.known import KINDS, KnownFiles
from peer.engine.noticing import Looks, Notices
from peer.engine.problems import path_text
from peer.engine.sought import Sought
from peer.engine.suspects import Suspects
from peer.engine.twins import rename_twins
from peer.fingerprint import DiskKind, Path
from peer.planner.operations import PARKED
from peer.planner.trees import Attributes, Content, LocalNode, Node
from peer.scan.findings import WatchEvent, WatchLimit
from peer.scan.identity import Assigned, Identified, Twin
from peer.scan.stock import Stock, take_stock
from peer.transfer.ingest import Ingested
from protocol import names
from protocol.ids import EntryId
from protocol.model import Kind

_OF_NAMES = ("special_file", "name_not_allowed", "name_clash")
"""Problems that every look at a name finds again."""


@dataclass(frozen=True, slots=True)
class RootTrouble:
    """The folder is not there, or is another one: nothing may be concluded from what is in it."""

    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Scanned:
    """What a scan led to: files to be read, and whether the local tree is another one now."""

    to_read: list[Assigned]
    changed: bool


class Scanner:
    """Looks at the folder and keeps the local tree true. One call at a time, by the engine's loop."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self.notices = Notices()
        self.is_behind: Callable[[], bool] = lambda: False
        """Whether the watcher has something to tell that it has not told yet."""
        self.reading: dict[EntryId, Assigned] = {}
        """Files found whose content is not known yet, by entry."""
        self._renamed: dict[EntryId, EntryId] = {}
        self._sought = Sought(context)
        self._suspects = Suspects(context, self._current)

    # --- what is to be looked at -----------------------------------------------------------------------

    def notice(self, event: WatchEvent) -> None:
        """Take an event of the watcher."""
        self.notices.take(event, self._now_s)
        if isinstance(event, WatchLimit):
            self._context.problems.put(
                "",
                "watch_limit",
                "the system watches no more folders: raise fs.inotify.max_user_watches and start Shoal again. Until "
                "then what it cannot watch is scanned every 30 seconds",
            )
        self._context.signal.set()

    def look_again(self, path: Path) -> None:
        """Something turned out different from what the tree says: look at it after a while."""
        self.notices.look_again(path, self._now_s)

    def look_again_for(self, asked: Assigned) -> None:
        """A file was not as it was found: look at it after a while, also where it is if a directory above it moved."""
        self.look_again(asked.found.path)
        above = self._context.trees.path(asked.parent)
        if above is not None and (*above, asked.found.path[-1]) != asked.found.path:
            self.look_again((*above, asked.found.path[-1]))

    @property
    def _now_s(self) -> float:
        return self._context.machine.clock.monotonic_s()

    def stop_reading(self, asked: Assigned) -> bool:
        """Reading a file came to nothing; False where a later scan has it read anew, perhaps under another name."""
        one = self._current(asked)
        if one is None:
            return False
        del self.reading[one.entry]
        return True

    def is_wanted(self, asked: Assigned) -> bool:
        """Whether what was found is still to be read."""
        return self._current(asked) is not None

    def _current(self, asked: Assigned) -> Assigned | None:
        """What is being read, as the entry that it is now; None where a later scan saw something else."""
        one = self.reading.get(self._renamed.get(asked.entry, asked.entry))
        return one if one is not None and one.found == asked.found else None

    async def take_suspects(self, read: Sequence[tuple[Assigned, Ingested]]) -> list[tuple[Assigned, Ingested]]:
        """Have what nobody saved kept and put back; the other files that were read, for `put_read`."""
        others, again = await self._suspects.sift(read)
        rest = {id(asked) for asked, _ in others}
        for asked, _ in read:
            if id(asked) not in rest:
                self.stop_reading(asked)
        for asked in again:
            self.look_again_for(asked)
        return others

    def cannot_read(self, path: Path, why: str) -> None:
        """A file could not be read: nothing is concluded about it, and it is looked at again after a while."""
        self.notices.unreadable[path] = why
        self.notices.rescan_later(self._now_s)
        self._say_unreadable()

    def rescan(self, path: Path = ()) -> None:
        """Scan a directory and all below it at the next turn."""
        self.notices.rescan([path])

    @property
    def has_seen_all(self) -> bool:
        """Whether no scan of the whole folder is still to be done."""
        return self.notices.has_seen_all

    @property
    def is_idle(self) -> bool:
        """Whether nothing is waiting to be looked at or read."""
        return self.notices.is_idle and not self.reading

    def adopted(self, old: EntryId, new: EntryId) -> None:
        """An entry found here turned out to be one of the journal's: what is being read of it, or in it, follows.
        In the database's thread."""
        for entry, one in list(self.reading.items()):
            if entry == old:
                del self.reading[entry]
                self._renamed[entry] = new
                self.reading[new] = msgspec.structs.replace(one, entry=new)
            elif one.parent == old:
                self.reading[entry] = msgspec.structs.replace(one, parent=new)

    # --- looking ---------------------------------------------------------------------------------------

    async def scan(self) -> "RootTrouble | Scanned":
        """Look at all that is due and write what it means."""
        machine, notices, now_s = self._context.machine, self.notices, self._now_s
        looks = notices.take_due(now_s)
        if not looks.paths and not looks.trees:
            return Scanned([], False)
        trouble = await machine.disk_work.run(self._check_root)
        if trouble is not None:
            notices.put_back(looks)
            return trouble
        stock = await machine.database_work.run(self._take_stock, looks)
        identified = stock.identified
        if identified.look_at or identified.unwalked:
            notices.put_back(looks)
            return Scanned([], False)
        if identified.vanished and (trouble := await machine.disk_work.run(self._check_root)) is not None:
            notices.rescan([()])
            return trouble
        self._report(stock, looks)
        if () in looks.trees:
            await self._suspects.review()
        if identified.twins:
            await self._part(identified.twins)
        if stock.absent:
            notices.follow_up(looks, stock.absent, now_s, is_behind=self.is_behind())
        notices.found(identified.unchanged)
        notices.found(one.entry for one in identified.assigned)
        missing = await machine.database_work.run(self._missing, identified)
        gone = notices.believe(missing, looks, now_s, is_behind=bool(missing) and self.is_behind())
        sought = [entry for entry in missing if entry not in gone]
        scanned, paths = await machine.database_work.run(self._write, identified, sought)
        for entry, path in paths.items():
            notices.seek(entry, path, self._now_s)
        return scanned

    def _missing(self, identified: Identified) -> dict[EntryId, Path]:
        """What vanished, without what is below it, with its path; but for that whose place something else has now."""
        trees = self._context.trees
        vanished = {known.entry for known in identified.vanished}
        taken = {(one.parent, one.name) for one in identified.assigned}
        missing = {}
        for known in identified.vanished:
            if known.parent not in vanished and (known.parent, known.name) not in taken:
                path = trees.path(known.entry)
                if path is not None:
                    missing[known.entry] = path
        return missing

    def _check_root(self) -> RootTrouble | None:
        marker = self._context.record.marker
        assert marker is not None
        verdict = check_root(self._context.root, marker)
        return None if verdict is None else root_trouble(verdict, self._context.root.path)

    def _take_stock(self, looks: Looks) -> Stock:
        context = self._context
        known = KnownFiles(context.trees, self.reading)
        entropy = context.machine.entropy
        return take_stock(
            context.root,
            known,
            context.rules,
            lambda: EntryId(entropy.token(16)),
            paths=looks.paths,
            subtrees=looks.trees,
            moved_to=frozenset(looks.moved),
        )

    def _report(self, stock: Stock, looks: Looks) -> None:
        problems, unreadable = self._context.problems, self.notices.unreadable
        for path in [path for path in unreadable if looks.covers(path)]:
            del unreadable[path]
        for finding in stock.unreadable:
            unreadable[finding.path] = finding.reason
            self.notices.rescan_later(self._now_s)
        self._say_unreadable()
        looked_at = {path_text(path) for path in looks.paths}
        for one in problems.all():
            if one.code in _OF_NAMES and (one.path in looked_at or looks.covers(tuple(one.path.split("/")))):
                problems.clear(one.path, one.code)
        for path in stock.special:
            problems.put(path_text(path), "special_file", "sockets, pipes and devices are not synced")
        for path in stock.identified.bad_names:
            problems.put(path_text(path), "name_not_allowed", "this name cannot be synced: rename it")

    def _say_unreadable(self) -> None:
        problems = self._context.problems
        for path, why in self.notices.unreadable.items():
            message = f"cannot be read ({why}): nothing is concluded about it; check its permissions"
            problems.put(path_text(path), "unreadable", message)
        problems.clear_code("unreadable", keep=[path_text(path) for path in self.notices.unreadable])

    async def _part(self, twins: Sequence[Twin]) -> None:
        """Give names that are equal after NFC to one thing each."""
        together = await self._context.machine.disk_work.run(rename_twins, self._context.root, twins)
        for twin in together:
            message = f"its name equals {path_text(twin.stays)} in Unicode: rename one of them"
            self._context.problems.put(path_text(twin.other), "name_clash", message)
        self.notices.rescan([twin.other[:-1] for twin in twins if twin not in together])

    # --- writing ---------------------------------------------------------------------------------------

    def _write(self, identified: Identified, sought: Sequence[EntryId]) -> tuple[Scanned, dict[EntryId, Path]]:
        """Write rows, and say where the missing entries in `sought` should be now: they, and what is below them, stay.

        What this device did itself is found as it was left, and changes nothing.
        """
        context = self._context
        trees = context.trees
        to_read: list[Assigned] = []
        rows: list[LocalNode] = []
        targets: list[tuple[bytes, bytes]] = []
        for one in identified.assigned:
            before = trees.local(one.entry)
            if one.found.kind is DiskKind.FILE:
                if before is None or not _keeps_content(before, one):
                    to_read.append(one)
                    if before is not None and _place(before) != (one.parent, one.name):
                        rows.append(self._moved_row(before, one))
                    continue
                rows.append(self._moved_row(before, one))
                self.reading.pop(one.entry, None)
            else:
                rows.append(self._plain_row(before, one, targets))
        self._sought.take(identified)
        kept = set(sought)
        for known in identified.vanished:
            if known.parent in kept:
                kept.add(known.entry)
        gone = [known.entry for known in identified.vanished if known.entry not in kept]
        changed = bool(gone) or any(_differs(trees.local(row.node.entry), row) for row in rows)
        with context.machine.database.transaction():
            trees.put_local(rows)
            trees.drop_local(gone)
            for digest, target in targets:
                context.contents.put_target(digest, target)
            for entry in gone:
                self.reading.pop(entry, None)
            for one in to_read:
                self.reading[one.entry] = one
            changed = self.settle_unknown() or changed
        places = {entry: path for entry in sought if (path := trees.path(entry)) is not None}
        return Scanned(to_read, changed), places

    def settle_unknown(self) -> bool:
        """Say again about which entries nothing is concluded; whether that changed. In the database's thread."""
        trees = self._context.trees
        self._sought.settle(self.reading, self.notices.is_missing)
        unknown = self._unknown_entries() | self._sought.held
        changed = unknown != trees.unknown_entries
        trees.unknown_entries = unknown
        return changed

    def _unknown_entries(self) -> set[EntryId]:
        known = KnownFiles(self._context.trees, self.reading)
        found: set[EntryId] = set()
        for path in self.notices.unreadable:
            entry: EntryId | None = EntryId(bytes(16))
            for name in path:
                one = known.named(entry, names.nfc(name)) if entry is not None else None
                entry = None if one is None else one.entry
            if entry is not None:
                found.add(entry)
        return found

    def _moved_row(self, before: LocalNode, one: Assigned) -> LocalNode:
        """The same content, perhaps elsewhere or with another executable bit."""
        node = before.node
        assert node.attributes is not None
        found = one.found.fingerprint
        keeps = _keeps_content(before, one)
        attributes = Attributes(found.executable, found.mtime_ns) if keeps else node.attributes
        # A file that is being read again keeps its old fingerprint, so that nothing takes it for read.
        shown = found if keeps else before.fingerprint
        moved = Node(one.entry, node.kind, one.parent, one.name, node.content, attributes)
        return LocalNode(moved, one.found.path[-1], shown, _intended(before, one), before.copy_of)

    def _plain_row(self, before: LocalNode | None, one: Assigned, targets: list[tuple[bytes, bytes]]) -> LocalNode:
        kind = KINDS[one.found.kind]
        content = None
        if kind is Kind.SYMLINK:
            target = (one.found.target or "").encode("utf-8", "surrogateescape")
            digest = link_digest(self._context.keyring.fixed, target)
            content = Content(digest, len(target))
            targets.append((digest, target))
        node = Node(one.entry, kind, one.parent, one.name, content, None)
        intended = None if before is None else _intended(before, one)
        copy_of = None if before is None else before.copy_of
        return LocalNode(node, one.found.path[-1], one.found.fingerprint, intended, copy_of)

    def put_read(self, read: Iterable[tuple[Assigned, Ingested]]) -> None:
        """Write the rows of files that were read, unless a later scan saw something else. In the database's thread."""
        context = self._context
        with context.machine.database.transaction():
            for asked, result in read:
                one = self._current(asked)
                if one is None:
                    continue
                del self.reading[one.entry]
                before = context.trees.local(one.entry)
                found = result.fingerprint
                context.problems.clear(path_text(one.found.path), "suspect_file", "busy_file")
                # Since it was found, this device may have moved it: the row knows.
                parent, name = (one.parent, one.name) if before is None else _place(before)
                node = Node(
                    one.entry,
                    Kind.FILE,
                    parent,
                    name,
                    Content(result.digest, result.size),
                    Attributes(found.executable, found.mtime_ns),
                )
                intended = None if before is None else _intended(before, one)
                copy_of = None if before is None else before.copy_of
                disk_name = one.found.path[-1] if before is None else before.disk_name
                context.trees.put_local([LocalNode(node, disk_name, found, intended, copy_of)])
                if result.manifest is not None:
                    context.contents.put_manifest(result.digest, result.manifest, stored=result.stored)
                context.contents.put_places(one.entry, result.chunks)
            self.settle_unknown()
        if not self.reading:
            self._renamed.clear()


def root_trouble(verdict: object, path: str) -> RootTrouble:
    """What to say of a root that is not as expected."""
    if type(verdict).__name__ == "RootMissing":
        return RootTrouble(
            "root_missing", f"{path} is not there: bring it back (mount its disk), or `shoal unmount` it"
        )
    return RootTrouble(
        "root_replaced", f"{path} is not the folder that was synced: put that one back, or `shoal confirm` to take this"
    )


def _keeps_content(before: LocalNode, one: Assigned) -> bool:
    """Whether a file certainly still has the content of its row: untouched, or renamed, or only made executable.

    A ctime that nothing explains means a second look: somebody may have written and put the mtime back.
    """
    known, found = before.fingerprint, one.found.fingerprint
    if known is None or not found.is_same_file(known):
        return False
    explained = one.how == "inode" or found.ctime_ns == known.ctime_ns or found.executable != known.executable
    return found.size == known.size and found.mtime_ns == known.mtime_ns and explained


def _differs(before: LocalNode | None, row: LocalNode) -> bool:
    return before is None or before.node != row.node or before.intended != row.intended


def _place(row: LocalNode) -> tuple[EntryId, str]:
    return row.node.parent, row.node.name


def _intended(before: LocalNode, one: Assigned) -> tuple[EntryId, str] | None:
    """A parked entry stays parked until somebody moves it; its rename may be seen before its row says so."""
    stays = _place(before) == (one.parent, one.name) or one.name.startswith(PARKED)
    return before.intended if stays else None
