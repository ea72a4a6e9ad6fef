"""The versions that a path has had: its own, and for a directory those of everything below it. Changes nothing.

Paths are those that entries had at that moment. In the database's thread, all of it.
"""

from collections.abc import Iterator

from peer.control.upkeep import VersionEntry
from peer.engine.browse import Target, device_name
from peer.engine.folders import CannotDo
from peer.engine.report import KINDS, rfc3339
from peer.store.database import Database, Row
from peer.store.offers import OfferStore
from peer.store.versions import version_body
from protocol import limits
from protocol.ids import ROOT, ChangeId, EntryId
from protocol.model import Kind
from protocol.offered import Standing


def entries_at(database: Database, target: Target) -> list[EntryId]:
    """What is at a path, or was there when it was deleted: what is live comes alone, and of each directory above too.

    `ROOT` for the workspace itself; nothing where nothing was.
    """
    found = [ROOT]
    for name in target.names:
        rows = [row for above in found for row in _named(database, target.record.w, above, name)]
        live = [EntryId(entry) for entry, deleted in rows if not deleted]
        found = live or [EntryId(entry) for entry, _ in rows]
    return found


def _named(database: Database, w: int, parent: EntryId, name: str) -> list[Row]:
    return database.all("SELECT entry, deleted FROM remote WHERE w = ? AND place = ? AND name = ?", (w, parent, name))


class History:
    """The versions at a path, the newest first. Raises `CannotDo` where nothing is, nor was when it was deleted."""

    def __init__(self, database: Database, target: Target, users: dict[bytes, str]) -> None:
        self._db = database
        self._w = target.record.w
        self._users = users
        self._offers = OfferStore(database, self._w)
        self._devices: dict[bytes, tuple[str, str]] = {}
        row = database.one("SELECT seq FROM workspaces WHERE w = ?", (self._w,))
        self._head = 0 if row is None else int(row[0])
        entries = entries_at(database, target)
        if not entries:
            where = f"{target.record.name}:{'/'.join(target.names)}"
            raise CannotDo(f"{where} is not in the journal, or was moved away: `shoal log {where}` says where to")
        self._entries = [one for entry in entries for one in self._below(entry)]

    def versions(self) -> list[VersionEntry]:
        """All of them."""
        rows: list[Row] = []
        for entry in self._entries:
            rows += self._db.all(
                "SELECT v.change, v.entry, v.seq, v.deleted, v.parent, v.device, v.received, r.head, r.kind "
                "FROM versions v JOIN remote r ON r.w = v.w AND r.entry = v.entry WHERE v.w = ? AND v.entry = ?",
                (self._w, entry),
            )
        rows.sort(key=lambda row: (row[2], row[1]), reverse=True)
        return [self._version(row) for row in rows]

    def _below(self, entry: EntryId) -> Iterator[EntryId]:
        """An entry and all that is, or was when it was deleted, below it; the root is none itself."""
        waiting = [entry]
        while waiting:
            one = waiting.pop()
            if one != ROOT:
                yield one
            below = self._db.all("SELECT entry FROM remote WHERE w = ? AND place = ?", (self._w, one))
            waiting += (EntryId(its) for (its,) in below)

    def _version(self, row: Row) -> VersionEntry:
        change, entry, seq, deleted, parent, device, received, head, kind = row
        body = version_body(self._db, self._w, ChangeId(change))
        has_content = Kind(kind) is Kind.FILE and not deleted
        standing = self._offers.standing(ChangeId(change)) if has_content else Standing.DURABLE
        name, user = self._who(device)
        return VersionEntry(
            id=change.hex(),
            entry=entry.hex(),
            path="" if body is None else "/".join(self._path(EntryId(parent), body.name, seq)),
            kind=KINDS[Kind(kind)],
            size=0 if body is None else body.size,
            time=rfc3339(received * 1_000_000),
            device=name,
            user=user,
            deleted=bool(deleted),
            current=change == head,
            durable=standing is Standing.DURABLE and seq <= self._head,
            kept=body is not None and standing is not Standing.NOT_KEPT,
        )

    def _path(self, parent: EntryId, name: str, seq: int) -> list[str]:
        """A path as it was once everything up to `seq` had happened."""
        names = [name]
        while parent != ROOT and len(names) <= limits.PATH_DEPTH:
            row = self._db.one(
                "SELECT change, parent FROM versions WHERE w = ? AND entry = ? AND seq <= ? ORDER BY seq DESC LIMIT 1",
                (self._w, parent, seq),
            )
            body = None if row is None else version_body(self._db, self._w, ChangeId(row[0]))
            if row is None or body is None:
                return ["(unknown)", *reversed(names)]
            names.append(body.name)
            parent = EntryId(row[1])
        return names[::-1]

    def _who(self, device: bytes) -> tuple[str, str]:
        if device not in self._devices:
            row = self._db.one("SELECT keys, user FROM devices WHERE w = ? AND device = ?", (self._w, device))
            name, user = (device.hex()[:8], b"") if row is None else (device_name(row[0]), bytes(row[1]))
            self._devices[device] = name, self._users.get(user, user.hex()[:8])
        return self._devices[device]
