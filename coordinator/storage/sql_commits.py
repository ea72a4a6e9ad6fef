"""The journal's commits in SQL: in whole, out byte for byte. Owns these statements; decides nothing.

Entry heads are stored in two passes, first vacated and then occupied, since a commit may swap names and the index of
live names holds at every statement.
"""

from typing import Any, Final, cast

from sqlalchemy import BindParameter, Connection, bindparam, delete, insert, select, update
from sqlalchemy.dialects.sqlite import insert as upsert

from coordinator.records import Appended
from coordinator.storage import tables
from coordinator.storage.lookup import Lookup
from protocol import codec, limits
from protocol.ids import NO_LOG, BlockId, LogHash, UserId, WorkspaceId
from protocol.model import (
    AnyChange,
    Change,
    Clear,
    Commit,
    CommitBody,
    Entries,
    Header,
    JournalRow,
    PurgedChange,
    split_ids,
)

_HEADER_BYTES: Final = 1024
_CLEAR_BYTES: Final = 64 * limits.KIB

_workspaces, _commits, _changes = tables.workspaces.c, tables.commits.c, tables.changes.c
_heads, _refs = tables.entry_heads.c, tables.block_refs.c

_KEY: Final[BindParameter[int]] = bindparam("key")
_SIZES: Final = (
    select(_commits.seq, _commits.size)
    .where(_commits.workspace == _KEY, _commits.seq > bindparam("after"))
    .order_by(_commits.seq)
    .limit(bindparam("count"))
)
_COMMITS: Final = (
    select(_commits.seq, _commits.log_hash, _commits.received, _commits.header, _commits.signature, _commits.control)
    .where(_commits.workspace == _KEY, _commits.seq > bindparam("after"), _commits.seq <= bindparam("last"))
    .order_by(_commits.seq)
)
_CHANGES: Final = (
    select(
        _changes.seq,
        _changes.clear,
        _changes.sealed_hash,
        _changes.lists_hash,
        _changes.sealed,
        _changes.added,
        _changes.removed,
    )
    .where(_changes.workspace == _KEY, _changes.seq > bindparam("after"), _changes.seq <= bindparam("last"))
    .order_by(_changes.seq, _changes.position)
)
_VACATE: Final = Lookup(
    _heads.entry,
    lambda keys: delete(tables.entry_heads).where(_heads.workspace == _KEY, keys).returning(_heads.deleted),
)
_REFERENCED: Final = Lookup(_refs.block, lambda keys: select(_refs.block).where(_refs.workspace == _KEY, keys))
_LENGTHS: Final = Lookup(tables.blocks.c.block, lambda keys: select(tables.blocks.c.length).where(keys))
_ref = upsert(tables.block_refs)
_REFER: Final = _ref.on_conflict_do_update(
    index_elements=[_refs.workspace, _refs.block], set_={"versions": _refs.versions + _ref.excluded.versions}
)
_device = upsert(tables.workspace_devices)
_DEVICE: Final = _device.on_conflict_do_update(
    index_elements=["workspace", "device_id"],
    set_={name: _device.excluded[name] for name in ("user_id", "keys", "active", "last_number")},
)
_member = upsert(tables.members)
_MEMBER: Final = _member.on_conflict_do_update(
    index_elements=["workspace", "user_id"], set_={"role": _member.excluded.role}
)
_chain = upsert(tables.workspace_chains)
_CHAIN: Final = _chain.on_conflict_do_update(
    index_elements=["workspace", "user_id"],
    set_={"length": _chain.excluded.length, "last": _chain.excluded.last},
)
_MOVE_HEAD: Final = (
    update(tables.workspaces)
    .where(_workspaces.id == _KEY)
    .values(
        head_seq=bindparam("seq"),
        head_hash=bindparam("hash"),
        epoch=bindparam("new_epoch"),
        last_control=bindparam("control"),
        received=bindparam("at"),
        entries=_workspaces.entries + bindparam("more_entries"),
        stored_bytes=_workspaces.stored_bytes + bindparam("more_bytes"),
    )
)


def create(connection: Connection, workspace: WorkspaceId, owner: UserId, salt: bytes) -> int:
    """A workspace with an empty journal; returns its key."""
    row = {
        "workspace_id": workspace,
        "owner": owner,
        "salt": salt,
        "head_seq": 0,
        "head_hash": NO_LOG,
        "epoch": 1,
        "last_control": bytes(32),
        "received": 0,
        "entries": 0,
        "stored_bytes": 0,
    }
    key = connection.execute(insert(tables.workspaces), row).inserted_primary_key
    assert key is not None
    return int(key[0])


def append(connection: Connection, key: int, appended: Appended) -> None:
    """The commit becomes the journal's head, with all that its delta says."""
    delta = appended.delta
    _insert_commit(connection, key, appended)
    more_entries, more_bytes = 0, 0
    body = appended.commit.body
    if isinstance(body, Entries) and body.changes:
        _insert_changes(connection, key, delta.workspace.seq, body, appended)
        more_entries = _store_heads(connection, key, body, appended)
        more_bytes = _refer(connection, key, body)
    _store_members(connection, key, appended)
    state = delta.workspace
    connection.execute(
        _MOVE_HEAD,
        {
            "key": key,
            "seq": state.seq,
            "hash": state.log_hash,
            "new_epoch": state.epoch,
            "control": state.last_control,
            "at": appended.received,
            "more_entries": more_entries,
            "more_bytes": more_bytes,
        },
    )


def _insert_commit(connection: Connection, key: int, appended: Appended) -> None:
    body = appended.commit.body
    row = {
        "workspace": key,
        "seq": appended.delta.workspace.seq,
        "digest": appended.delta.digest,
        "log_hash": appended.delta.workspace.log_hash,
        "received": appended.received,
        "header": codec.encode(appended.commit.header),
        "signature": appended.commit.signature,
        "control": None if isinstance(body, Entries) else codec.encode(body),
        "changes": len(body.changes) if isinstance(body, Entries) else 0,
        "size": appended.size,
    }
    connection.execute(insert(tables.commits), row)


def _insert_changes(connection: Connection, key: int, seq: int, body: Entries, appended: Appended) -> None:
    rows = []
    for position, (change, hashes) in enumerate(zip(body.changes, appended.hashes, strict=True)):
        whole = change if isinstance(change, Change) else None
        rows.append(
            {
                "workspace": key,
                "seq": seq,
                "position": position,
                "entry": change.clear.entry,
                "change_id": hashes.change_id,
                "clear": codec.encode(change.clear),
                "sealed_hash": hashes.sealed_hash,
                "lists_hash": hashes.lists_hash,
                "sealed": whole.sealed if whole else None,
                "added": whole.added if whole else None,
                "removed": whole.removed if whole else None,
            }
        )
    connection.execute(insert(tables.changes), rows)


def _store_heads(connection: Connection, key: int, body: Entries, appended: Appended) -> int:
    """Returns how many more entries are not deleted."""
    replaced = [change.clear.entry for change in body.changes if change.clear.base is not None]
    before = sum(not row[0] for row in list(_VACATE.run(connection, replaced, key=key)))
    rows = [
        {
            "workspace": key,
            "entry": entry,
            "parent": state.parent,
            "kind": int(state.kind),
            "name_key": state.name_key,
            "deleted": int(state.deleted),
            "head": state.head,
            "seq": state.seq,
            "device": state.device,
        }
        for entry, state in appended.delta.entries
    ]
    connection.execute(insert(tables.entry_heads), rows)
    return sum(not state.deleted for _, state in appended.delta.entries) - before


def _refer(connection: Connection, key: int, body: Entries) -> int:
    """References of the versions to the blocks that they add. Returns the bytes new to this workspace."""
    versions: dict[BlockId, int] = {}
    for change in body.changes:
        if isinstance(change, Change):
            for block in split_ids(change.added):
                versions[BlockId(block)] = versions.get(BlockId(block), 0) + 1
    if not versions:
        return 0
    known = {row[0] for row in _REFERENCED.run(connection, versions.keys(), key=key)}
    more = sum(int(row[0]) for row in _LENGTHS.run(connection, versions.keys() - known))
    rows = [{"workspace": key, "block": block, "versions": count} for block, count in versions.items()]
    connection.execute(_REFER, rows)
    return more


def _store_members(connection: Connection, key: int, appended: Appended) -> None:
    delta = appended.delta
    for device, state in delta.devices:
        row = {
            "workspace": key,
            "device_id": device,
            "user_id": state.user,
            "keys": codec.encode(state.keys),
            "active": int(state.active),
            "last_number": state.last_number,
        }
        connection.execute(_DEVICE, row)
    for user, role in delta.roles:
        if role is None:
            members = tables.members
            connection.execute(delete(members).where(members.c.workspace == key, members.c.user_id == user))
        else:
            connection.execute(_MEMBER, {"workspace": key, "user_id": user, "role": int(role)})
    for user, chain in delta.chains:
        row = {"workspace": key, "user_id": user, "length": chain.length, "last": chain.last}
        connection.execute(_CHAIN, row)


def read(connection: Connection, key: int, after: int, count: int, size_bytes: int) -> tuple[JournalRow, ...]:
    """Commits after `after` in order: at least one where there is one, at most `count`, about `size_bytes`."""
    last, total = after, 0
    for seq, size in connection.execute(_SIZES, {"key": key, "after": after, "count": count}):
        total += size
        if total > size_bytes and last > after:
            break
        last = seq
    if last == after:
        return ()
    span = {"key": key, "after": after, "last": last}
    changes: dict[int, list[AnyChange]] = {}
    for row in connection.execute(_CHANGES, span):
        changes.setdefault(row.seq, []).append(_change(row))
    return tuple(_row(row, changes.get(row.seq, [])) for row in connection.execute(_COMMITS, span))


def _row(row: Any, changes: list[AnyChange]) -> JournalRow:
    body: CommitBody
    if row.control is None:
        body = Entries(tuple(changes))
    else:
        body = codec.decode(cast(type[CommitBody], CommitBody), row.control, limits.COMMIT_BYTES)
    header = codec.decode(Header, row.header, _HEADER_BYTES)
    return JournalRow(row.seq, LogHash(row.log_hash), row.received, Commit(header, body, row.signature))


def _change(row: Any) -> AnyChange:
    clear = codec.decode(Clear, row.clear, _CLEAR_BYTES)
    if row.sealed is None:
        return PurgedChange(clear, row.sealed_hash, row.lists_hash)
    return Change(clear, row.sealed, row.added, row.removed)
