"""Which versions are not durable, as this device knows it: its copy of the coordinator's set beside the journal.

A version that its author offered counts as offered from the journal's row on, until the coordinator says more. One
without a row here is durable.
"""

from collections.abc import Container, Iterator
from dataclasses import dataclass
from typing import Final

from peer.store.contents import put_stored_blocks
from peer.store.database import Database
from peer.store.trees import TreeStore
from peer.store.versions import version_body
from protocol import limits
from protocol.codec import decode
from protocol.ids import ChangeId, DeviceId, EntryId
from protocol.model import Body, FlatManifest
from protocol.offered import OfferedPage, Standing, follows

_UNSAID: Final = 0
_SAID: Final = 1
_ASKED: Final = 2
_SETTLED: Final = 3
"""What the coordinator has said of a version: nothing yet; how it stands; nothing so far of what was asked; that it was
given up, and what follows from that is done."""


@dataclass(frozen=True, slots=True)
class Past:
    """A version of an entry's history. `body` is None where it cannot be read, or was purged."""

    change: ChangeId
    standing: Standing
    body: Body | None


@dataclass(frozen=True, slots=True)
class Offered:
    """A version of the verified journal whose blocks are not all stored."""

    change: ChangeId
    entry: EntryId
    author: DeviceId
    digest: bytes
    size: int
    manifest: FlatManifest


class OfferStore:
    """The copy of workspace number `w`. Belongs in the database's thread, what writes inside somebody's transaction."""

    def __init__(self, database: Database, w: int) -> None:
        self._db = database
        self.w = w

    def place(self) -> tuple[int, int]:
        """The generation, and up to which of its changes this is the set."""
        row = self._db.one("SELECT offers_generation, offers_number FROM workspaces WHERE w = ?", (self.w,))
        assert row is not None
        return row[0], row[1]

    def take(self, page: OfferedPage) -> bool:
        """Follow; False, and nothing done, where the page does not go on from here."""
        if not follows(page, *self.place()):
            return False
        if page.whole:
            self._db.run("UPDATE offers SET said = ? WHERE w = ? AND said <> ?", (_ASKED, self.w, _UNSAID))
        for mark in page.marks:
            change = ChangeId(mark.change)
            self._db.run(
                "INSERT INTO offers (w, change, standing, said) VALUES (?1, ?2, ?3, ?4) "
                "ON CONFLICT DO UPDATE SET standing = ?3, said = ?4",
                (self.w, change, mark.standing.value, _SAID),
            )
            if mark.standing is Standing.DURABLE:
                self._note_stored(change)
        number = page.marks[-1].number if page.marks else page.last
        self._db.run(
            "UPDATE workspaces SET offers_generation = ?, offers_number = ? WHERE w = ?",
            (page.generation, number, self.w),
        )
        return True

    def began(self, change: ChangeId, digest: bytes | None) -> None:
        """The journal has a version that its author offered. What the coordinator has said of it already stays."""
        self._db.run(
            "INSERT INTO offers (w, change, standing, said, digest) VALUES (?1, ?2, ?3, ?4, ?5) "
            "ON CONFLICT DO UPDATE SET digest = ?5",
            (self.w, change, Standing.OFFERED.value, _UNSAID, digest),
        )

    def settle_given_up(self, trees: TreeStore) -> list[EntryId]:
        """Let the content of the newest kept version count where that of a head was given up; returns the entries.

        To be called where the journal is at its head: what came in the place of such a version is in it by then. Who
        has the bytes of one all the same has edited what was before.
        """
        rows = self._db.all(
            "SELECT o.change, r.entry FROM offers o JOIN versions v ON v.w = o.w AND v.change = o.change "
            "JOIN remote r ON r.w = v.w AND r.entry = v.entry AND r.head = o.change "
            "WHERE o.w = ? AND o.standing = ? AND o.said = ?",
            (self.w, Standing.NOT_KEPT.value, _SAID),
        )
        for change, entry in rows:
            _settle_head(self._db, self.w, ChangeId(change), EntryId(entry))
        self._db.run(
            "UPDATE offers SET said = ? WHERE w = ? AND standing = ? AND said = ?",
            (_SETTLED, self.w, Standing.NOT_KEPT.value, _SAID),
        )
        entries = [EntryId(entry) for _, entry in rows]
        trees.touch(entries)
        return entries

    def ask(self) -> None:
        """The set is about to be asked for: all that is in the journal by now is in it."""
        self._db.run("UPDATE offers SET said = ? WHERE w = ? AND said = ?", (_ASKED, self.w, _UNSAID))

    def settle(self) -> None:
        """All was taken since: what nothing was said of was durable before."""
        rows = self._db.all("SELECT change FROM offers WHERE w = ? AND said = ?", (self.w, _ASKED))
        self._db.run(
            "UPDATE offers SET standing = ?, said = ? WHERE w = ? AND said = ?",
            (Standing.DURABLE.value, _SAID, self.w, _ASKED),
        )
        for (change,) in rows:
            self._note_stored(ChangeId(change))

    def _note_stored(self, change: ChangeId) -> None:
        body = version_body(self._db, self.w, change)
        if body is not None and body.manifest is not None:
            put_stored_blocks(self._db, self.w, body.manifest.chunks)

    def standing(self, change: ChangeId) -> Standing:
        """How a version stands, as far as is known."""
        row = self._db.one("SELECT standing FROM offers WHERE w = ? AND change = ?", (self.w, change))
        return Standing.DURABLE if row is None else Standing(row[0])

    def past(self, head: ChangeId) -> Iterator[Past]:
        """An entry's versions from `head` back, as far as the journal is known here."""
        return _past(self._db, self.w, head)

    def is_version(self, change: ChangeId) -> bool:
        """Whether the journal has a version of that id; what counts without it may never be in it."""
        found = self._db.one(
            "SELECT 1 FROM versions v JOIN workspaces s ON s.w = v.w WHERE v.w = ? AND v.change = ? AND v.seq <= s.seq",
            (self.w, change),
        )
        return found is not None

    def count(self) -> int:
        """How many versions are offered."""
        row = self._db.one(
            "SELECT count(*) FROM offers o JOIN versions v ON v.w = o.w AND v.change = o.change "
            "WHERE o.w = ? AND o.standing = ?",
            (self.w, Standing.OFFERED.value),
        )
        return 0 if row is None else row[0]

    def waiting(self, own: DeviceId, obtainable: Container[ChangeId]) -> frozenset[EntryId]:
        """The entries whose head another device offered, and which is not known to be had."""
        rows = self._db.all(
            "SELECT r.entry, r.head FROM offers o JOIN versions v ON v.w = o.w AND v.change = o.change "
            "JOIN remote r ON r.w = v.w AND r.entry = v.entry AND r.head = o.change "
            "WHERE o.w = ? AND o.standing = ? AND v.device <> ?",
            (self.w, Standing.OFFERED.value, own),
        )
        return frozenset(EntryId(entry) for entry, head in rows if head not in obtainable)

    def author(self, change: ChangeId) -> DeviceId | None:
        """Who offered a version that is not durable."""
        row = self._db.one(
            "SELECT v.device FROM offers o JOIN versions v ON v.w = o.w AND v.change = o.change "
            "WHERE o.w = ? AND o.change = ? AND o.standing = ?",
            (self.w, change, Standing.OFFERED.value),
        )
        return None if row is None else DeviceId(row[0])

    def offered(self) -> Iterator[Offered]:
        """The versions of the verified journal that are offered, the oldest first."""
        for change, entry, device in self._db.all(
            "SELECT o.change, v.entry, v.device FROM offers o JOIN versions v ON v.w = o.w AND v.change = o.change "
            "WHERE o.w = ? AND o.standing = ? ORDER BY v.seq, o.change",
            (self.w, Standing.OFFERED.value),
        ):
            body = version_body(self._db, self.w, change)
            if body is not None and body.manifest is not None and body.digest is not None:
                yield Offered(change, entry, device, body.digest, body.size, body.manifest)

    def is_stored(self, entry: EntryId, digest: bytes) -> bool:
        """Whether a version of the entry that has this content is durable."""
        rows = self._db.all(
            "SELECT v.body FROM versions v LEFT JOIN offers o ON o.w = v.w AND o.change = v.change "
            "WHERE v.w = ? AND v.entry = ? AND v.body IS NOT NULL AND (o.standing IS NULL OR o.standing = ?)",
            (self.w, entry, Standing.DURABLE.value),
        )
        return any(decode(Body, body, limits.SEALED_BYTES).digest == digest for (body,) in rows)

    def offered_with(self, digest: bytes) -> ChangeId | None:
        """An offered version that has this content, if one has: its bytes may be nowhere else."""
        row = self._db.one(
            "SELECT change FROM offers WHERE w = ? AND standing = ? AND digest = ?",
            (self.w, Standing.OFFERED.value, digest),
        )
        return None if row is None else ChangeId(row[0])


def _settle_head(database: Database, w: int, head: ChangeId, entry: EntryId) -> None:
    given_up, kept, body = _newest_kept(database, w, head)
    values = (None, 0, 0, False) if body is None else (body.digest, body.size, body.mtime_ns, body.executable)
    database.run(
        "UPDATE remote SET usable = ?, digest = ?, size = ?, mtime_ns = ?, executable = ? WHERE w = ? AND entry = ?",
        (body is not None, *values, w, entry),
    )
    database.run_many(
        "UPDATE synced SET content_base = ?, digest = ?, size = ?, mtime_ns = ?, executable = ? "
        "WHERE w = ? AND entry = ? AND content_base = ?",
        ((kept, *values, w, entry, change) for change in given_up),
    )


def _newest_kept(database: Database, w: int, head: ChangeId) -> tuple[list[ChangeId], ChangeId | None, Body | None]:
    """The newest version from `head` back that was not given up and has a content, after those that were; (None, None)
    where there is none."""
    given_up: list[ChangeId] = []
    for one in _past(database, w, head):
        if one.standing is not Standing.NOT_KEPT and one.body is not None and one.body.digest is not None:
            return given_up, one.change, one.body
        given_up.append(one.change)
    return given_up, None, None


def _past(database: Database, w: int, head: ChangeId) -> Iterator[Past]:
    change: ChangeId | None = head
    while change is not None:
        row = database.one(
            "SELECT v.base, v.body, o.standing FROM versions v "
            "LEFT JOIN offers o ON o.w = v.w AND o.change = v.change WHERE v.w = ? AND v.change = ?",
            (w, change),
        )
        if row is None:
            return
        base, packed, standing = row
        body = None if packed is None else decode(Body, packed, limits.SEALED_BYTES)
        yield Past(change, Standing.DURABLE if standing is None else Standing(standing), body)
        change = None if base is None else ChangeId(base)
