"""What was where in the journal, at any time. Owns looking versions up by their place and content; writes nothing."""

from collections.abc import Iterable, Sequence

from peer.planner.trees import Content, Node
from peer.store.database import Database
from peer.store.trees import TreeStore
from protocol import limits
from protocol.codec import decode
from protocol.ids import ROOT, ChangeId, EntryId
from protocol.model import Body, Kind

_AT_ONCE = 500

Place = tuple[EntryId, str]


class Pasts:
    """The retained versions of workspace number `w`. Belongs in the database's thread."""

    def __init__(self, database: Database, w: int, trees: TreeStore) -> None:
        self._db = database
        self._w = w
        self._trees = trees
        self._was_at: dict[Place, list[EntryId]] | None = None

    def candidates(self, node: Node) -> Sequence[EntryId]:
        """Entries that something found here may be now: itself, or what is at its place."""
        if self._trees.remote(node.entry) is not None:
            return [node.entry]
        there = self._trees.remote_named(node.parent, node.name)
        return [] if there is None else [there]

    def former(self, node: Node, above: Iterable[EntryId]) -> Sequence[EntryId]:
        """Entries that something found here may once have been, live ones first; `above` are all directories that are,
        or ever were, where it was found in."""
        if self._trees.remote(node.entry) is not None:
            return []
        return sorted(self._ever(above, node.name), key=lambda one: not self.is_live(one))

    def directories(self, above: Iterable[EntryId], name: str) -> Sequence[EntryId]:
        """All directories that are, or ever were, called so in one of these."""
        found = ((one, self._trees.remote(one)) for one in self._ever(above, name))
        return [one for one, row in found if row is not None and row.node.kind is Kind.DIRECTORY]

    def version_with(self, entry: EntryId, content: Content | None) -> ChangeId | None:
        """The newest version of an entry with that content; of a directory, the newest."""
        row = self._trees.remote(entry)
        if row is None:
            return None
        if row.node.kind is Kind.DIRECTORY or (row.usable and not row.node.deleted and row.node.content == content):
            return row.head
        if content is None:
            return None
        versions = self._db.all(
            "SELECT change, body FROM versions WHERE w = ? AND entry = ? AND deleted = 0 AND body IS NOT NULL "
            "ORDER BY seq DESC",
            (self._w, entry),
        )
        for change, packed in versions:
            body = decode(Body, packed, limits.SEALED_BYTES)
            same = body.target is not None or body.digest == content.digest
            if same and body.size == content.size and (body.target is None or self._is_target(content, body.target)):
                return ChangeId(change)
        return None

    def is_live(self, entry: EntryId) -> bool:
        """Whether neither the entry nor a directory above it is deleted."""
        while entry != ROOT:
            row = self._trees.remote(entry)
            if row is None or row.node.deleted:
                return False
            entry = row.node.parent
        return True

    def _is_target(self, content: Content, target: bytes) -> bool:
        found = self._db.one("SELECT target FROM contents WHERE w = ? AND digest = ?", (self._w, content.digest))
        return found is not None and found[0] == target

    def _ever(self, above: Iterable[EntryId], name: str) -> Sequence[EntryId]:
        """What is or was called so in one of these directories."""
        if self._was_at is None:
            self._was_at = self._read_former()
        found: dict[EntryId, None] = {}
        for directory in above:
            there = self._trees.remote_named(directory, name)
            if there is not None:
                found[there] = None
            found.update(dict.fromkeys(self._was_at.get((directory, name), ())))
        return list(found)

    def _read_former(self) -> dict[Place, list[EntryId]]:
        """Entries by the places where they are no more, the latest first."""
        found: dict[Place, list[EntryId]] = {}
        after = 0
        while True:
            rows = self._db.all(
                "SELECT v.rowid, v.entry, v.parent, v.body, r.place, r.name, r.deleted FROM versions v "
                "JOIN remote r ON r.w = v.w AND r.entry = v.entry "
                "WHERE v.w = ? AND v.rowid > ? AND v.body IS NOT NULL ORDER BY v.rowid LIMIT ?",
                (self._w, after, _AT_ONCE),
            )
            for _, entry, parent, packed, place, name, deleted in rows:
                was = (EntryId(parent), decode(Body, packed, limits.SEALED_BYTES).name)
                if deleted or was != (place, name):
                    known = found.setdefault(was, [])
                    if entry in known:
                        known.remove(entry)
                    known.insert(0, EntryId(entry))
            if len(rows) < _AT_ONCE:
                return found
            after = rows[-1][0]
