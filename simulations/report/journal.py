"""What the journals say was committed, as devices' homes have them. Only reads; the telling is that of `shoal log`."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from peer.engine.activity import Activity
from peer.engine.browse import Target, list_conflicts
from peer.home import Home
from peer.store import workspaces
from peer.store.database import Database, open_database
from peer.store.workspaces import Record
from protocol import limits
from protocol.codec import decode
from protocol.model import Entries, JournalRow
from simulations.machine import EPOCH_NS

MOST_TOLD: Final = 5_000
"""Of so many versions of one workspace it is said what they are; further ones are counted."""


@dataclass(frozen=True, slots=True)
class Committed:
    """One version in a journal. `action` is `shoal log`'s; of one that is only counted it is empty, as the path is."""

    at_s: float
    device: str
    path: str
    action: str
    detail: str


@dataclass(frozen=True)
class Journals:
    """What all journals say."""

    versions: int = 0
    conflicts: int = 0
    """Conflicted copies that are there in the end."""
    committed: tuple[Committed, ...] = ()
    bytes_held: int = 0
    """Of all files as they are in the end."""


def read_journals(homes: Iterable[Home]) -> Journals:
    """Each workspace's journal from the home that has read most of it. Devices have the names that they joined with."""
    longest: dict[bytes, tuple[int, Home]] = {}
    names: dict[bytes, str] = {}
    for home in homes:
        if home.database.exists():
            identity = home.read_identity()
            names[bytes(identity.device)] = identity.device_name
            with open_database(home.database) as database:
                for record in workspaces.records(database):
                    seq = _seq(database, record)
                    if seq > longest.get(bytes(record.workspace), (0, home))[0]:
                        longest[bytes(record.workspace)] = (seq, home)
    versions = conflicts = held = 0
    committed: list[Committed] = []
    for workspace, (_, home) in longest.items():
        with open_database(home.database) as database:
            (record,) = (one for one in workspaces.records(database) if bytes(one.workspace) == workspace)
            counted = database.one("SELECT count(*) FROM versions WHERE w = ?", (record.w,))
            versions += 0 if counted is None else int(counted[0])
            conflicts += len(list_conflicts(database, record))
            held += workspaces.counts(database, record.w)[1]
            committed += _committed(database, home, record, names)
    return Journals(versions, conflicts, tuple(sorted(committed, key=lambda one: one.at_s)), held)


def _seq(database: Database, record: Record) -> int:
    row = database.one("SELECT seq FROM workspaces WHERE w = ?", (record.w,))
    return 0 if row is None else int(row[0])


def _committed(database: Database, home: Home, record: Record, names: dict[bytes, str]) -> list[Committed]:
    times: dict[int, tuple[float, str]] = {}
    found: list[Committed] = []
    identity = home.read_identity()
    activity = Activity(database, Target(record, ()), (identity.user, identity.user_name))
    told_up_to = 0
    while len(found) < MOST_TOLD and (events := activity.next_page()) is not None:
        for event in events:
            if event.seq not in times:
                times[event.seq] = _when(database, record, event.seq, names)
            at_s, device = times[event.seq]
            found.append(Committed(at_s, device, event.path, event.action, event.detail))
        told_up_to = activity.seq
    for row in _rows(database, record, told_up_to):
        if isinstance(body := row.commit.body, Entries):
            only_counted = Committed(*_place(row, names), "", "", "")
            found += [only_counted] * len(body.changes)
    return found


def _rows(database: Database, record: Record, after: int) -> Iterable[JournalRow]:
    """The commits after one. One at a time: a commit may have tens of megabytes."""
    sql = "SELECT row FROM commits WHERE w = ? AND seq > ? ORDER BY seq LIMIT 1"
    while row := database.one(sql, (record.w, after)):
        found = decode(JournalRow, row[0], limits.REPLY_BYTES)
        after = found.seq
        yield found


def _when(database: Database, record: Record, seq: int, names: dict[bytes, str]) -> tuple[float, str]:
    return _place(next(iter(_rows(database, record, seq - 1))), names)


def _place(row: JournalRow, names: dict[bytes, str]) -> tuple[float, str]:
    """The world's time of a commit, and whose it is."""
    device = bytes(row.commit.header.device)
    return row.received / 1000 - EPOCH_NS / 1e9, names.get(device, device.hex()[:6])
