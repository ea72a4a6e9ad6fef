"""What happened in the workspaces: the journal, and what this device did by itself, told as events. Changes nothing.

Everything here was judged and opened when the journal was taken in. A path is the one that the entry had at that
moment. In the database's thread, all of it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from peer.control.upkeep import Event
from peer.engine.browse import Target, device_name
from peer.engine.report import KINDS, rfc3339
from peer.store.database import Database
from peer.store.journal import HASHES, change_id
from peer.store.notes import Note, notes_after
from peer.store.versions import version_body
from peer.store.workspaces import Record
from protocol import limits
from protocol.codec import decode
from protocol.ids import ROOT, ChangeId, EntryId, UserId
from protocol.model import (
    AnyChange,
    Body,
    Chain,
    Change,
    Commit,
    DeviceAdded,
    DevicePaired,
    DeviceRevoked,
    Entries,
    Founded,
    Genesis,
    JournalRow,
    KeysRotated,
    Kind,
    Revocation,
)

PAGE_COMMITS: Final = 200
PAGE_EVENTS: Final = 500
"""So much is looked at in one go: the engines wait for the database meanwhile."""
_UNKNOWN: Final = "(unknown)"
_NEXT: Final = (
    "SELECT c.row FROM commits c JOIN workspaces s ON s.w = c.w "
    "WHERE c.w = ? AND c.seq > ? AND c.seq <= s.seq ORDER BY c.seq LIMIT 1"
)


@dataclass(frozen=True, slots=True)
class _Version:
    """One version of an entry, as it is kept."""

    change: ChangeId
    base: ChangeId | None
    deleted: bool
    parent: EntryId
    body: Body | None


class Activity:
    """The events of one workspace, or of one path in it. `seq` is how far it has been told."""

    def __init__(self, database: Database, target: Target, own_user: tuple[UserId, str], after: int = 0) -> None:
        self._db = database
        self.record: Record = target.record
        self._below = target.names
        self._users = {bytes(own_user[0]): own_user[1]}
        self._devices: dict[bytes, str] = {}
        self._learn(self.record.founding.chain)
        self.seq = after
        self._back: list[Event] = []
        self._back_from: int | None = None
        self._back_at = 0

    def head(self) -> int:
        """How far the journal has been read."""
        row = self._db.one("SELECT seq FROM workspaces WHERE w = ?", (self.record.w,))
        return 0 if row is None else int(row[0])

    def next_page(self) -> list[Event] | None:
        """The events of the next commits, in order; None where there are no further commits."""
        events: list[Event] = []
        for count in range(PAGE_COMMITS):
            row = self._row(_NEXT, self.seq)
            if row is None:
                return events if count else None
            self.seq = row.seq
            events += self._events(row)
            if len(events) >= PAGE_EVENTS:
                break
        return events

    def look_back(self, count: int) -> list[Event] | None:
        """The last events, at most so many, in order: None until they are all found, call again. From then on
        `next_page` has the later ones."""
        if self._back_from is None:
            self._back_from = self._back_at = self.head()
        looked = 0
        for _ in range(PAGE_COMMITS):
            if self._back_at <= 0 or len(self._back) >= count or looked >= PAGE_EVENTS:
                break
            row = self._row("SELECT row FROM commits WHERE w = ? AND seq <= ? ORDER BY seq DESC LIMIT 1", self._back_at)
            if row is None:
                self._back_at = 0
                break
            events = list(self._events(row))
            looked += len(events)
            self._back += reversed(events)
            self._back_at = row.seq - 1
        if self._back_at > 0 and len(self._back) < count:
            return None
        self.seq = self._back_from
        found, self._back, self._back_from = self._back[:count][::-1], [], None
        return found

    def _row(self, sql: str, seq: int) -> JournalRow | None:
        # One at a time: a commit may have tens of megabytes.
        found = self._db.one(sql, (self.record.w, seq))
        return None if found is None else decode(JournalRow, found[0], limits.REPLY_BYTES)

    # --- one commit -------------------------------------------------------------------------------------

    def _events(self, row: JournalRow) -> Iterator[Event]:
        body = row.commit.body
        match body:
            case Entries(changes=changes):
                for change in changes:
                    event = self._event(row, change)
                    if event is not None:
                        yield event
            case Genesis():
                if not self._below:
                    yield self._make(row, "", "workspace_made", f"called {self.record.name}")
            case DeviceAdded(user=user, chain=chain):
                self._learn(chain)
                if not self._below:
                    who = self._users.get(bytes(user), _UNKNOWN)
                    yield self._make(row, "", "device_added", f"{self._device(row.commit)} of {who}")
            case DeviceRevoked(user=user, chain=chain):
                self._learn(chain)
                if not self._below:
                    who = self._users.get(bytes(user), _UNKNOWN)
                    yield self._make(row, "", "device_revoked", f"{_revoked(chain)} of {who}")
            case KeysRotated():
                if not self._below:
                    yield self._make(row, "", "keys_changed", "what is written from here on has new keys")

    def _event(self, row: JournalRow, change: AnyChange) -> Event | None:
        entry, clear = change.clear.entry, change.clear
        version = None
        if isinstance(change, Change):
            version = self._version(change_id(self.record.workspace, change))
        if version is None or version.body is None:
            return None if self._below else self._make(row, "", "purged", "what it was is not kept any more")
        names = self._path(version.parent, version.body.name, row.seq)
        base = None if clear.base is None else self._version(clear.base)
        before = None
        if base is not None and base.body is not None:
            before = self._path(base.parent, base.body.name, row.seq - 1)
        if self._below and not any(_is_within(one, self._below) for one in (names, before) if one is not None):
            return None
        action, detail = self._told(Kind(clear.kind), entry, version, base, before, row.seq)
        return self._make(row, "/".join(names), action, detail)

    def _told(
        self,
        kind: Kind,
        entry: EntryId,
        version: _Version,
        base: _Version | None,
        before: tuple[str, ...] | None,
        seq: int,
    ) -> tuple[str, str]:
        """The action and what else there is to say."""
        body = version.body
        assert body is not None
        what = KINDS[kind]
        if version.deleted:
            return "deleted", what
        if base is None:
            if body.copy_of is not None:
                original = self._path_of(body.copy_of.entry, seq)
                return (
                    "conflict",
                    f"edited in two places: this is one version of {original or 'a file that was deleted'}",
                )
            return "added", _with_size(what, body)
        if base.deleted:
            return "restored", _with_size(what, body)
        if base.body is None:
            return "changed", what
        said = []
        edited = body.digest != base.body.digest or body.target != base.body.target
        moved = (version.parent, body.name) != (base.parent, base.body.name)
        if edited:
            said.append(_sizes(base.body, body) if kind is Kind.FILE else f"to {_link(body)}")
        if moved:
            said.append(f"from {'/'.join(before or ())}")
        if body.executable != base.body.executable:
            said.append("executable now" if body.executable else "not executable any more")
        if edited:
            return "edited", ", ".join(said)
        if moved:
            return "renamed" if version.parent == base.parent else "moved", ", ".join(said)
        return "attributes", ", ".join(said) or "another modification time"

    def _make(self, row: JournalRow, path: str, action: str, detail: str) -> Event:
        commit = row.commit
        return Event(
            time=rfc3339(row.received * 1_000_000),
            workspace=self.record.name,
            path=path,
            action=action,
            detail=detail,
            device=self._device(commit),
            user=self._user(commit),
            seq=row.seq,
        )

    # --- looking things up ------------------------------------------------------------------------------

    def _version(self, change: ChangeId) -> _Version | None:
        row = self._db.one(
            "SELECT base, deleted, parent FROM versions WHERE w = ? AND change = ?", (self.record.w, change)
        )
        if row is None:
            return None
        body = version_body(self._db, self.record.w, change)
        return _Version(change, row[0], bool(row[1]), EntryId(row[2]), body)

    def _path(self, parent: EntryId, name: str, seq: int) -> tuple[str, ...]:
        """A path as it was once everything up to `seq` had happened."""
        names = [name]
        while parent != ROOT and len(names) <= limits.PATH_DEPTH:
            row = self._db.one(
                "SELECT change, parent FROM versions WHERE w = ? AND entry = ? AND seq <= ? ORDER BY seq DESC LIMIT 1",
                (self.record.w, parent, seq),
            )
            body = None if row is None else version_body(self._db, self.record.w, ChangeId(row[0]))
            if row is None or body is None:
                names.append(_UNKNOWN)
                break
            names.append(body.name)
            parent = EntryId(row[1])
        return tuple(reversed(names))

    def _path_of(self, entry: EntryId, seq: int) -> str | None:
        row = self._db.one(
            "SELECT change, parent, deleted FROM versions WHERE w = ? AND entry = ? AND seq <= ? "
            "ORDER BY seq DESC LIMIT 1",
            (self.record.w, entry, seq),
        )
        body = None if row is None or row[2] else version_body(self._db, self.record.w, ChangeId(row[0]))
        if row is None or body is None:
            return None
        return "/".join(self._path(EntryId(row[1]), body.name, seq))

    def _device(self, commit: Commit) -> str:
        device = commit.header.device
        if device not in self._devices:
            row = self._db.one("SELECT keys FROM devices WHERE w = ? AND device = ?", (self.record.w, device))
            self._devices[device] = device.hex()[:8] if row is None else device_name(row[0])
        return self._devices[device]

    def _user(self, commit: Commit) -> str:
        row = self._db.one("SELECT user FROM devices WHERE w = ? AND device = ?", (self.record.w, commit.header.device))
        return _UNKNOWN if row is None else self._users.get(row[0], row[0].hex()[:8])

    def _learn(self, chain: Chain) -> None:
        """Take the user's name from its chain."""
        first = chain[0].link
        if isinstance(first.body, Founded):
            self._users.setdefault(bytes(first.user), first.body.name)


def _revoked(chain: Chain) -> str:
    """What the device that a chain revoked last is called."""
    names, revoked = dict[bytes, str](), b""
    for signed in chain:
        body = signed.link.body
        if isinstance(body, Founded | DevicePaired):
            its = body.device
            names[HASHES.device_id(its.sign, its.box, its.tls)] = its.name
        elif isinstance(body, Revocation):
            revoked = body.device
    return names.get(revoked, _UNKNOWN)


class OwnDoings:
    """What this device did by itself in one workspace, or at one path in it; as `Activity` has the journal's events."""

    def __init__(self, database: Database, target: Target, device: str, user: str) -> None:
        self._db = database
        self.record: Record = target.record
        self._below = target.names
        self._who = (device, user)
        self._told = 0

    def next_page(self) -> list[Event] | None:
        """See `Activity`."""
        found = notes_after(self._db, self.record.w, self._told, PAGE_EVENTS)
        if not found:
            return None
        self._told = found[-1].number
        return [self._event(one) for one in found if _is_within(one.path.split("/"), self._below)]

    def look_back(self, count: int) -> list[Event] | None:
        """See `Activity`. There are so few that all are looked at."""
        events: list[Event] = []
        while (page := self.next_page()) is not None:
            events += page
        return events[len(events) - min(count, len(events)) :]

    def _event(self, note: Note) -> Event:
        device, user = self._who
        return Event(
            time=rfc3339(note.time_ms * 1_000_000),
            workspace=self.record.name,
            path=note.path,
            action=note.action,
            detail=note.detail,
            device=device,
            user=user,
            seq=note.seq,
        )


def _is_within(names: Sequence[str], above: Sequence[str]) -> bool:
    return list(names[: len(above)]) == list(above)


def _with_size(what: str, body: Body) -> str:
    if body.target is not None:
        return f"{what} to {_link(body)}"
    return f"{what} of {body.size:,} bytes" if body.manifest is not None else what


def _sizes(before: Body, after: Body) -> str:
    return (
        f"{before.size:,} to {after.size:,} bytes" if before.size != after.size else f"{after.size:,} bytes as before"
    )


def _link(body: Body) -> str:
    return (body.target or b"").decode("utf-8", "replace")
