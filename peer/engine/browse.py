"""Looking at workspaces: paths to entries and back, listings. Owns reading; changes nothing."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from peer.engine.folders import CannotDo
from peer.store import workspaces
from peer.store.database import Database, Row
from peer.store.versions import version_body
from peer.store.workspaces import Record
from protocol import limits
from protocol.codec import decode
from protocol.ids import ROOT, ChangeId, EntryId
from protocol.model import DeviceKeys, Kind
from protocol.names import CONFLICT_MARK, conflicted_from, nfc


@dataclass(frozen=True, slots=True)
class Target:
    """A place in a workspace: true names from its root down."""

    record: Record
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Listed:
    """One entry as the journal has it. `target` is a symlink's."""

    entry: EntryId
    path: str
    kind: Kind
    size: int
    version: ChangeId
    deleted: bool
    target: str | None
    copy_of: EntryId | None = None
    device: bytes = b""
    received: int = 0


def find_target(records: Sequence[Record], text: str) -> Target:
    """What an absolute path, or `WORKSPACE:path`, names. Raises `CannotDo`."""
    if text.startswith("/"):
        path = Path(text)
        for record in records:
            if record.folder is not None and (path == Path(record.folder) or Path(record.folder) in path.parents):
                return Target(record, tuple(nfc(name) for name in path.relative_to(record.folder).parts))
        raise CannotDo(f"{text} is in no synced folder: see `shoal status`")
    name, _, rest = text.partition(":")
    found = [record for record in records if name in (record.name, record.workspace.hex())]
    if not found:
        raise CannotDo(f"this device has no workspace {name}: see `shoal workspaces`")
    if len(found) > 1:
        choices = ", ".join(record.workspace.hex() for record in found)
        raise CannotDo(f"{name} could be any of these, name one by its id: {choices}")
    return Target(found[0], tuple(nfc(part) for part in rest.split("/") if part not in ("", ".")))


def find_entry(database: Database, target: Target) -> EntryId | None:
    """The entry at that place in the journal's tree, `ROOT` for the root; None where there is none."""
    entry = ROOT
    for name in target.names:
        row = database.one(
            "SELECT entry FROM remote WHERE w = ? AND place = ? AND name = ? AND deleted = 0",
            (target.record.w, entry, name),
        )
        if row is None:
            return None
        entry = EntryId(row[0])
    return entry


_ROW = "r.entry, r.name, r.kind, r.size, r.head, r.deleted, r.copy_of, r.device, v.received"
_FROM = "remote r LEFT JOIN versions v ON v.w = r.w AND v.change = r.head"


def list_entries(database: Database, target: Target, *, deleted: bool = False) -> list[Listed]:
    """The entries directly below a directory, or the file itself. Raises `CannotDo`."""
    entry = find_entry(database, target)
    if entry is None:
        where = "/".join(target.names)
        raise CannotDo(f"{target.record.name}:{where} is not in the journal: see `shoal ls {target.record.name}:`")
    w, above = target.record.w, "/".join(target.names)
    kind = None if entry == ROOT else database.one("SELECT kind FROM remote WHERE w = ? AND entry = ?", (w, entry))
    if kind is not None and kind[0] != Kind.DIRECTORY:
        rows = database.all(f"SELECT {_ROW} FROM {_FROM} WHERE r.w = ? AND r.entry = ?", (w, entry))  # noqa: S608
        return [_listed(database, w, above, row) for row in rows]
    rows = database.all(
        f"SELECT {_ROW} FROM {_FROM} WHERE r.w = ? AND r.place = ? AND r.deleted <= ? ORDER BY r.name",  # noqa: S608
        (w, entry, deleted),
    )
    return [_listed(database, w, f"{above}/{row[1]}" if above else row[1], row) for row in rows]


def list_conflicts(database: Database, record: Record) -> list[Listed]:
    """What is called a conflicted copy, because its content or its name was in conflict, and what it gave way to: in
    `copy_of`, None where that is gone."""
    rows = database.all(
        f"SELECT {_ROW} FROM {_FROM} WHERE r.w = ? AND r.deleted = 0 AND instr(r.name, ?)",  # noqa: S608
        (record.w, CONFLICT_MARK),
    )
    found = []
    for row in rows:
        path = journal_path(database, record.w, EntryId(row[0]))
        gave_way_to = conflicted_from(row[1])
        if path is None or gave_way_to is None:
            continue
        one = _listed(database, record.w, path, row)
        if one.copy_of is None:
            one = replace(one, copy_of=_sibling(database, record.w, one.entry, gave_way_to))
        found.append(one)
    return found


def _sibling(database: Database, w: int, entry: EntryId, name: str) -> EntryId | None:
    """What has that name in the directory of an entry."""
    row = database.one(
        "SELECT o.entry FROM remote r JOIN remote o ON o.w = r.w AND o.place = r.place AND o.name = ? "
        "WHERE r.w = ? AND r.entry = ? AND o.deleted = 0",
        (name, w, entry),
    )
    return None if row is None else EntryId(row[0])


def journal_path(database: Database, w: int, entry: EntryId) -> str | None:
    """An entry's path in the journal's tree; None where it is not live."""
    names: list[str] = []
    while entry != ROOT:
        row = database.one("SELECT place, name, deleted FROM remote WHERE w = ? AND entry = ?", (w, entry))
        if row is None or row[2] or len(names) > limits.PATH_DEPTH:
            return None
        names.append(row[1])
        entry = EntryId(row[0])
    return "/".join(reversed(names))


def _listed(database: Database, w: int, path: str, row: Row) -> Listed:
    entry, _, number, size, head, deleted, copy_of, device, received = row
    kind = Kind(number)
    target = None
    if kind is Kind.SYMLINK:
        body = version_body(database, w, head)
        target = body.target.decode("utf-8", "replace") if body is not None and body.target is not None else None
    return Listed(
        entry,
        path,
        kind,
        size,
        head,
        bool(deleted),
        target,
        copy_of,
        device,
        received or 0,
    )


def all_records(database: Database) -> list[Record]:
    """The workspaces that this device keeps, mounted or not."""
    return workspaces.records(database)


def device_name(packed: bytes) -> str:
    """The name in a device's kept keys."""
    return decode(DeviceKeys, packed, 4096).name
