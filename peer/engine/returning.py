"""A folder that was synced before, by a home that is lost, old, or took another history for the right one.

Owns recognizing what is in it, once all of it was read and the journal is at its head, before the first plan: what has
the bytes of any version that the journal knows at that path is that version, whatever its time says. The plan then
brings it forward, moves it to its present place, or removes it; what was deleted elsewhere is copied to the rescue area
before that. All else is left to the plan, as if it had just been put there.

What the disk does not give at that time is recognized as soon as it can be read, for a while.
"""

from collections.abc import Container, Sequence, Set
from dataclasses import dataclass
from typing import Final

from peer.disk.rescuing import rescue_copy
from peer.engine.context import Context
from peer.engine.scanning import Scanner
from peer.fingerprint import Fingerprint, Path
from peer.planner import effects
from peer.planner.operations import AdoptEntry, Agreed, MarkSynced
from peer.planner.trees import LocalNode
from peer.store import workspaces
from peer.store.pasts import Pasts
from protocol.ids import ROOT, ChangeId, EntryId
from protocol.model import Kind

_NOBODY = Fingerprint(0, 0, 0, 0, 0, False)
PATIENCE_S: Final = 600.0
"""For so long what could not be read is waited for; from then on it is something that was just put there."""


@dataclass(frozen=True, slots=True)
class _Match:
    """What is on disk as `local` is `version` of `entry`."""

    local: EntryId
    entry: EntryId
    version: ChangeId


@dataclass(frozen=True, slots=True)
class _Deleted:
    """The same of a file that the journal has no more."""

    match: _Match
    path: Path
    found: Fingerprint


class Returning:
    """Recognizes what is in one folder, once."""

    def __init__(self, context: Context, scanner: Scanner) -> None:
        self._context = context
        self._scanner = scanner
        self._pasts = Pasts(context.machine.database, context.record.w, context.trees)
        self._unread: Set[Path] | None = None
        """What could not be read, or kept elsewhere, when the rest was recognized; None before that."""
        self._until_s = 0.0

    def must_wait(self, journal_is_due: bool) -> bool:
        """Whether something is still being read, or the journal is, so that nothing may be planned."""
        reading = self._scanner.reading.values()
        if self._unread is None:
            return journal_is_due or bool(reading) or self._scanner.notices.misses
        return any(_lies_in(one.found.path, self._unread) for one in reading)

    async def recognize(self) -> bool:
        """Do it, before a plan; False where it has to be done again since something could not be read. Interrupted, it
        is done again by the next engine."""
        machine, unreadable = self._context.machine, self._scanner.notices.unreadable
        now_s = machine.clock.monotonic_s()
        if self._unread is None:
            self._until_s = now_s + PATIENCE_S
            due: Set[Path] = {()}
        else:
            due = self._unread - unreadable.keys()
        if due:
            kept = await self._keep(await machine.database_work.run(self._adopt_all, due))
            self._unread = {path for path in unreadable if self._unread is None or _touches(path, self._unread)}
        else:
            kept = []
        is_done = not self._unread or now_s >= self._until_s
        if due or is_done:
            await machine.database_work.run(self._finish, kept, is_done)
        return is_done

    async def _keep(self, deleted: Sequence[_Deleted]) -> list[_Match]:
        """Copy what is about to be removed; what could not be copied stays, and is tried again."""
        machine = self._context.machine
        kept: list[_Match] = []
        for one in deleted:
            try:
                if await machine.disk_work.run(rescue_copy, self._context.root, one.path, one.found) is not None:
                    kept.append(one.match)
            except OSError as error:
                self._scanner.cannot_read(one.path, error.strerror or "error")
        return kept

    # --- in the database's thread ---------------------------------------------------------------------

    def _adopt_all(self, due: Set[Path]) -> Sequence[_Deleted]:
        """First what is at its present place, then what is where something once was."""
        with self._context.machine.database.transaction():
            self._walk(due, past=False)
            return self._walk(due, past=True)

    def _finish(self, kept: Sequence[_Match], is_done: bool) -> None:
        database = self._context.machine.database
        with database.transaction():
            for match in kept:
                self._adopt(match)
            if is_done:
                workspaces.set_recognized(database, self._context.record.w)
            self._scanner.settle_unknown()
        self._context.trees.forget_cache()

    def _walk(self, due: Set[Path], *, past: bool) -> list[_Deleted]:
        trees = self._context.trees
        deleted: list[_Deleted] = []
        directories: list[tuple[EntryId, Path, Sequence[EntryId]]] = [(ROOT, (), [ROOT])]
        while directories:
            directory, where, above = directories.pop()
            for entry in list(trees.local_children(directory)):
                row = trees.local(entry)
                if row is None or row.intended is not None or not _touches(path := (*where, row.disk_name), due):
                    continue
                match = None if trees.synced(entry) is not None else self._match(row, above if past else None)
                if match is not None and row.node.kind is Kind.FILE and not self._pasts.is_live(match.entry):
                    if row.fingerprint is not None:
                        deleted.append(_Deleted(match, path, row.fingerprint))
                elif match is not None:
                    self._adopt(match)
                    entry = match.entry
                if row.node.kind is Kind.DIRECTORY:
                    # Another one may have its name now, and what is in it may have been in the one before.
                    were = self._pasts.directories(above, row.node.name) if past else []
                    directories.append((entry, path, [entry, *were]))
        return deleted

    def _match(self, row: LocalNode, above: Sequence[EntryId] | None) -> _Match | None:
        """What something is now, or, with all directories that ever were `above`, was then."""
        node, trees = row.node, self._context.trees
        candidates = self._pasts.candidates(node)
        for entry in candidates if above is None else [*candidates, *self._pasts.former(node, above)]:
            there = trees.remote(entry)
            free = entry == node.entry or (trees.local(entry) is None and trees.synced(entry) is None)
            if there is None or there.node.kind is not node.kind or not free:
                continue
            version = self._pasts.version_with(entry, node.content)
            if version is not None:
                return _Match(node.entry, entry, version)
        return None

    def _adopt(self, match: _Match) -> None:
        trees = self._context.trees
        row = trees.local(match.local)
        if row is None:
            return
        node = row.node
        content_base = None if node.kind is Kind.DIRECTORY else match.version
        agreed = Agreed((node.parent, node.name), node.content, content_base, node.attributes)
        if match.local == match.entry:
            effects.apply(trees, MarkSynced(match.entry, node.kind, agreed), _NOBODY)
            return
        effects.apply(trees, AdoptEntry(match.local, match.entry, agreed), _NOBODY)
        self._scanner.adopted(match.local, match.entry)


def _lies_in(path: Path, places: Container[Path]) -> bool:
    """Whether it, or a directory above it, is one of these."""
    return any(path[:depth] in places for depth in range(len(path) + 1))


def _touches(path: Path, places: Set[Path]) -> bool:
    """Whether it, or a directory above it, is one of these, or one of these lies in it."""
    return _lies_in(path, places) or any(one[: len(path)] == path for one in places)
