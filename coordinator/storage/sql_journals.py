"""Workspaces and what the judge reads, in SQL. Owns these statements; decides nothing.

Reading and writing the journal's commits is in `sql_commits`.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Final

from sqlalchemy import BindParameter, Connection, bindparam, literal_column, select
from sqlalchemy.dialects.sqlite import insert as upsert

from coordinator.records import Appended, Workspace
from coordinator.storage import sql_commits, tables
from coordinator.storage.driver import Driver, Lookup, Statement
from protocol import codec
from protocol.ids import (
    NO_LOG,
    ChangeId,
    CommitDigest,
    DeviceId,
    EntryId,
    LinkHash,
    LogHash,
    NameKey,
    UserId,
    WorkspaceId,
)
from protocol.model import DeviceKeys, JournalRow, Kind, Role, SealedKey
from protocol.rules import ChainState, DeviceState, EntryState

_KEYS_BYTES: Final = 1024

_workspaces, _members, _devices = tables.workspaces.c, tables.members.c, tables.workspace_devices.c
_chains, _commits = tables.workspace_chains.c, tables.commits.c
_heads, _keys = tables.entry_heads.c, tables.sealed_keys.c

_KEY: Final[BindParameter[int]] = bindparam("workspace")
_WORKSPACE: Final = Statement(select(tables.workspaces).where(_workspaces.workspace_id == bindparam("id")))
_ROLE: Final = Statement(select(_members.role).where(_members.workspace == _KEY, _members.user_id == bindparam("user")))
_DEVICE: Final = Statement(
    select(tables.workspace_devices).where(_devices.workspace == _KEY, _devices.device_id == bindparam("device"))
)
_CHAIN: Final = Statement(
    select(_chains.length, _chains.last).where(_chains.workspace == _KEY, _chains.user_id == bindparam("user"))
)
_AUDIENCE: Final = Statement(
    select(tables.devices.c.device_id)
    .join_from(tables.members, tables.devices, tables.devices.c.user_id == _members.user_id)
    .where(_members.workspace == _KEY, tables.devices.c.active == 1)
)
_LOG_HASH: Final = Statement(
    select(_commits.log_hash).where(_commits.workspace == _KEY, _commits.seq == bindparam("seq"))
)
_ACCEPTED: Final = Statement(
    select(_commits.seq, _commits.log_hash, _commits.received).where(
        _commits.workspace == _KEY, _commits.digest == bindparam("digest")
    )
)
_STATE: Final = (
    _heads.entry,
    _heads.parent,
    _heads.kind,
    _heads.name_key,
    _heads.deleted,
    _heads.head,
    _heads.seq,
    _heads.device,
)
LIVE: Final = _heads.deleted == literal_column("0")
"""Spelt out, not a parameter: only then does SQLite use the index of live names."""

_HEADS: Final = Lookup(_heads.entry, lambda keys: select(*_STATE).where(_heads.workspace == _KEY, keys))
_NAMED: Final = Lookup(
    _heads.name_key,
    lambda keys: select(_heads.name_key, _heads.parent, _heads.entry).where(_heads.workspace == _KEY, keys, LIVE),
)
_CHANGED: Final = Statement(
    select(*_STATE, _commits.digest)
    .join_from(
        tables.entry_heads,
        tables.commits,
        (_commits.workspace == _heads.workspace) & (_commits.seq == _heads.seq),
    )
    .where(_heads.workspace == _KEY, _heads.seq > bindparam("seq"))
)
_SEALED: Final = Lookup(
    _keys.recipient, lambda keys: select(_keys.recipient, _keys.box).where(_keys.workspace == _KEY, keys)
)
_sealed = upsert(tables.sealed_keys)
_ADD_SEALED: Final = Statement(_sealed.on_conflict_do_nothing())
_REPLACE_SEALED: Final = Statement(
    _sealed.on_conflict_do_update(index_elements=["workspace", "recipient"], set_={"box": _sealed.excluded.box})
)


_WORKSPACES_OF: Final = Statement(
    select(tables.workspaces, _members.role)
    .join_from(tables.members, tables.workspaces, _workspaces.id == _members.workspace)
    .where(_members.user_id == bindparam("user"))
    .order_by(_workspaces.id)
)
_MEMBERS: Final = Statement(
    select(_members.user_id, _members.role).where(_members.workspace == _KEY).order_by(_members.user_id)
)
_ALL_DEVICES: Final = Statement(select(tables.workspace_devices).where(_devices.workspace == _KEY))


class SqlJournals:
    """`records.Journals` over one connection."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._driver = Driver(connection)

    def workspace(self, workspace: WorkspaceId) -> Workspace | None:
        """By id."""
        row = self._driver.row(_WORKSPACE, {"id": workspace})
        return None if row is None else _workspace(row)

    def workspaces(self) -> list[Workspace]:
        """All of them."""
        return [_workspace(row) for row in self._connection.execute(select(tables.workspaces))]

    def workspaces_of(self, user: UserId) -> list[tuple[Workspace, Role]]:
        """Those that the user is a member of."""
        return [(_workspace(row), Role(row.role)) for row in self._driver.rows(_WORKSPACES_OF, {"user": user})]

    def shares_workspace(self, one: UserId, other: UserId) -> bool:
        """Whether two users are members of one workspace."""
        mine, theirs = tables.members.alias("mine"), tables.members.alias("theirs")
        found = (
            select(mine.c.workspace)
            .join_from(mine, theirs, mine.c.workspace == theirs.c.workspace)
            .where(mine.c.user_id == one, theirs.c.user_id == other)
        )
        return self._connection.execute(found.limit(1)).first() is not None

    def role(self, key: int, user: UserId) -> Role | None:
        """A member's role."""
        value = self._driver.value(_ROLE, {"workspace": key, "user": user})
        return None if value is None else Role(value)

    def members(self, key: int) -> list[tuple[UserId, Role]]:
        """All members."""
        return [(UserId(user), Role(role)) for user, role in self._driver.rows(_MEMBERS, {"workspace": key})]

    def device(self, key: int, device: DeviceId) -> DeviceState | None:
        """A device that the journal has added."""
        row = self._driver.row(_DEVICE, {"workspace": key, "device": device})
        return None if row is None else _device(row)

    def devices(self, key: int) -> list[tuple[DeviceId, DeviceState]]:
        """All of them."""
        found = self._driver.rows(_ALL_DEVICES, {"workspace": key})
        return [(DeviceId(row.device_id), _device(row)) for row in found]

    def audience(self, key: int) -> frozenset[DeviceId]:
        """All active devices of its members, whether the journal has added them or not."""
        return frozenset(row[0] for row in self._driver.rows(_AUDIENCE, {"workspace": key}))

    def chain(self, key: int, user: UserId) -> ChainState | None:
        """The longest chain that the journal has seen of a user."""
        row = self._driver.row(_CHAIN, {"workspace": key, "user": user})
        return None if row is None else ChainState(row.length, LinkHash(row.last))

    def heads(self, key: int, entries: Collection[EntryId]) -> dict[EntryId, EntryState]:
        """Head versions."""
        found = _HEADS.rows(self._driver, entries, workspace=key)
        return {EntryId(row[0]): _entry(row) for row in found}

    def named(
        self, key: int, names: Collection[tuple[EntryId, NameKey]]
    ) -> Mapping[tuple[EntryId, NameKey], Sequence[EntryId]]:
        """Undeleted entries by parent and name key."""
        asked = set(names)
        found: dict[tuple[EntryId, NameKey], list[EntryId]] = {}
        name_keys = {name_key for _, name_key in asked}
        for name_key, parent, entry in _NAMED.rows(self._driver, name_keys, workspace=key):
            if (parent, name_key) in asked:
                found.setdefault((parent, name_key), []).append(entry)
        return found

    def changed_since(self, key: int, seq: int) -> Iterable[tuple[EntryId, EntryState, CommitDigest]]:
        """Entries whose head is later than `seq`."""
        for row in self._driver.rows(_CHANGED, {"workspace": key, "seq": seq}):
            yield EntryId(row[0]), _entry(row), CommitDigest(row.digest)

    def log_hash(self, key: int, seq: int) -> LogHash | None:
        """The journal's hash after commit `seq`; None where it has none."""
        if seq == 0:
            return NO_LOG
        value: LogHash | None = self._driver.value(_LOG_HASH, {"workspace": key, "seq": seq})
        return value

    def accepted(self, key: int, digest: CommitDigest) -> tuple[int, LogHash, int] | None:
        """`seq`, `log_hash` and received time of a commit with this digest."""
        row = self._driver.row(_ACCEPTED, {"workspace": key, "digest": digest})
        return None if row is None else (row.seq, LogHash(row.log_hash), row.received)

    def rows(self, key: int, after: int, count: int, size_bytes: int) -> tuple[JournalRow, ...]:
        """Commits after `after` in order: at least one where there is one, at most `count`, about `size_bytes`."""
        return sql_commits.read(self._driver, key, after, count, size_bytes)

    def create(self, workspace: WorkspaceId, owner: UserId, salt: bytes) -> int:
        """A workspace with an empty journal; returns its key."""
        return sql_commits.create(self._driver, workspace, owner, salt)

    def append(self, key: int, appended: Appended) -> None:
        """The commit becomes the head, with all that its delta says. Raises where it does not fit the tables."""
        sql_commits.append(self._driver, key, appended)

    def keys(self, key: int, recipients: Collection[bytes]) -> tuple[SealedKey, ...]:
        """What is sealed to these."""
        found = _SEALED.rows(self._driver, set(recipients), workspace=key)
        return tuple(SealedKey(recipient, box) for recipient, box in found)

    def add_keys(self, key: int, keys: Iterable[SealedKey], *, replace: bool = False) -> None:
        """Keep sealed keys; a recipient who has one keeps it, unless they `replace` it."""
        self._driver.run_many(
            _REPLACE_SEALED if replace else _ADD_SEALED, [(key, sealed.recipient, sealed.box) for sealed in keys]
        )


def _workspace(row: Any) -> Workspace:
    return Workspace(
        key=row.id,
        workspace=WorkspaceId(row.workspace_id),
        owner=UserId(row.owner),
        salt=row.salt,
        head_seq=row.head_seq,
        head_hash=LogHash(row.head_hash),
        epoch=row.epoch,
        last_control=CommitDigest(row.last_control),
        received=row.received,
        entries=row.entries,
        stored_bytes=row.stored_bytes,
        durability=row.durability,
    )


def _device(row: Any) -> DeviceState:
    keys = codec.decode(DeviceKeys, row.keys, _KEYS_BYTES)
    return DeviceState(UserId(row.user_id), keys, bool(row.active), row.last_number)


def _entry(row: Any) -> EntryState:
    return EntryState(
        parent=EntryId(row[1]),
        kind=Kind(row[2]),
        name_key=NameKey(row[3]),
        deleted=bool(row[4]),
        head=ChangeId(row[5]),
        seq=row[6],
        device=DeviceId(row[7]),
    )
