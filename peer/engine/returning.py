"""A folder that was synced before, by a home that is lost, old, or took another history for the right one.

Owns recognizing what is in it, once all of it was read and the journal is at its head, before the first plan: what has
the bytes of any version that the journal knows at that path is that version, whatever its time says. The plan then
brings it forward, moves it to its present place, or removes it; what was deleted elsewhere is copied to the rescue area
before that. All else is left to the plan, as if it had just been put there.
"""

from collections.abc import Sequence
from dataclasses import dataclass

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

    async def recognize(self) -> None:
        """Do it. Interrupted, it is done again by the next engine."""
        machine = self._context.machine
        deleted = await machine.database_work.run(self._adopt_all)
        kept: list[_Match] = []
        for one in deleted:
            try:
                if await machine.disk_work.run(rescue_copy, self._context.root, one.path, one.found) is not None:
                    kept.append(one.match)
            except OSError:
                continue  # it stays, as something new
        await machine.database_work.run(self._finish, kept)

    # --- in the database's thread ---------------------------------------------------------------------

    def _adopt_all(self) -> Sequence[_Deleted]:
        """First what is at its present place, then what is where something once was."""
        with self._context.machine.database.transaction():
            self._walk(past=False)
            return self._walk(past=True)

    def _finish(self, kept: Sequence[_Match]) -> None:
        database = self._context.machine.database
        with database.transaction():
            for match in kept:
                self._adopt(match)
            workspaces.set_recognized(database, self._context.record.w)
        self._context.trees.forget_cache()

    def _walk(self, *, past: bool) -> list[_Deleted]:
        trees = self._context.trees
        deleted: list[_Deleted] = []
        directories: list[tuple[EntryId, Sequence[EntryId]]] = [(ROOT, [ROOT])]
        while directories:
            directory, above = directories.pop()
            for entry in list(trees.local_children(directory)):
                row = trees.local(entry)
                if row is None or row.intended is not None:
                    continue
                match = None if trees.synced(entry) is not None else self._match(row, above if past else None)
                if match is not None and row.node.kind is Kind.FILE and not self._pasts.is_live(match.entry):
                    path = trees.path(entry)
                    if path is not None and row.fingerprint is not None:
                        deleted.append(_Deleted(match, path, row.fingerprint))
                elif match is not None:
                    self._adopt(match)
                    entry = match.entry
                if row.node.kind is Kind.DIRECTORY:
                    # Another one may have its name now, and what is in it may have been in the one before.
                    were = self._pasts.directories(above, row.node.name) if past else []
                    directories.append((entry, [entry, *were]))
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
