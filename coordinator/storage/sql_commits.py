"""The journal's commits in SQL: in whole, out byte for byte. Owns these statements; decides nothing.

Entry heads are stored in two passes, first vacated and then occupied, since a commit may swap names and the index of
live names holds at every statement.
"""

from collections.abc import Collection, Mapping
from typing import Any, Final, cast

from sqlalchemy import BindParameter, bindparam, delete, func, insert, select, update
from sqlalchemy.dialects.sqlite import insert as upsert

from coordinator.records import Appended
from coordinator.storage import tables
from coordinator.storage.driver import Driver, Lookup, Statement
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
_SIZES: Final = Statement(
    select(_commits.seq, _commits.size)
    .where(_commits.workspace == _KEY, _commits.seq > bindparam("after"))
    .order_by(_commits.seq)
    .limit(bindparam("count"))
)
_COMMITS: Final = Statement(
    select(_commits.seq, _commits.log_hash, _commits.received, _commits.header, _commits.signature, _commits.control)
    .where(_commits.workspace == _KEY, _commits.seq > bindparam("after"), _commits.seq <= bindparam("last"))
    .order_by(_commits.seq)
)
_CHANGES: Final = Statement(
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
_REFER: Final = Statement(
    _ref.on_conflict_do_update(
        index_elements=[_refs.workspace, _refs.block], set_={"versions": _refs.versions + _ref.excluded.versions}
    )
)
_device = upsert(tables.workspace_devices)
_DEVICE: Final = Statement(
    _device.on_conflict_do_update(
        index_elements=["workspace", "device_id"],
        set_={name: _device.excluded[name] for name in ("user_id", "keys", "active", "last_number")},
    )
)
_member = upsert(tables.members)
_MEMBER: Final = Statement(
    _member.on_conflict_do_update(index_elements=["workspace", "user_id"], set_={"role": _member.excluded.role})
)
_chain = upsert(tables.workspace_chains)
_CHAIN: Final = Statement(
    _chain.on_conflict_do_update(
        index_elements=["workspace", "user_id"],
        set_={"length": _chain.excluded.length, "last": _chain.excluded.last},
    )
)
_MOVE_HEAD: Final = Statement(
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


_INSERT_COMMIT: Final = Statement(insert(tables.commits))
_INSERT_CHANGE: Final = Statement(insert(tables.changes))
_INSERT_HEAD: Final = Statement(insert(tables.entry_heads))
_INSERT_WORKSPACE: Final = Statement(insert(tables.workspaces))
_NEXT_KEY: Final = Statement(select(func.coalesce(func.max(_workspaces.id), 0) + 1))
_DROP_MEMBER: Final = Statement(
    delete(tables.members).where(tables.members.c.workspace == _KEY, tables.members.c.user_id == bindparam("user"))
)


def create(driver: Driver, workspace: WorkspaceId, owner: UserId, salt: bytes) -> int:
    """A workspace with an empty journal; returns its key."""
    key = driver.value(_NEXT_KEY, {})
    assert isinstance(key, int), "there is always a next one"
    no_control = bytes(32)
    row = (key, workspace, owner, salt, 0, NO_LOG, 1, no_control, 0, 0, 0, 0)
    driver.run_many(_INSERT_WORKSPACE, [row])
    return key


def append(driver: Driver, key: int, appended: Appended) -> None:
    """The commit becomes the journal's head, with all that its delta says."""
    delta = appended.delta
    _insert_commit(driver, key, appended)
    more_entries, more_bytes = 0, 0
    body = appended.commit.body
    if isinstance(body, Entries) and body.changes:
        _insert_changes(driver, key, delta.workspace.seq, body, appended)
        more_entries = _store_heads(driver, key, body, appended)
        more_bytes = refer(driver, key, _added(body, appended.missing))
    _store_members(driver, key, appended)
    state = delta.workspace
    driver.run(
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


def _insert_commit(driver: Driver, key: int, appended: Appended) -> None:
    body = appended.commit.body
    state = appended.delta.workspace
    row = (
        key,
        state.seq,
        appended.delta.digest,
        state.log_hash,
        appended.received,
        codec.encode(appended.commit.header),
        appended.commit.signature,
        None if isinstance(body, Entries) else codec.encode(body),
        len(body.changes) if isinstance(body, Entries) else 0,
        appended.size,
    )
    driver.run_many(_INSERT_COMMIT, [row])


def _insert_changes(driver: Driver, key: int, seq: int, body: Entries, appended: Appended) -> None:
    rows = []
    for position, (change, hashes) in enumerate(zip(body.changes, appended.hashes, strict=True)):
        whole = change if isinstance(change, Change) else None
        rows.append(
            (
                key,
                seq,
                position,
                change.clear.entry,
                hashes.change_id,
                codec.encode(change.clear),
                hashes.sealed_hash,
                hashes.lists_hash,
                whole.sealed if whole else None,
                whole.added if whole else None,
                whole.removed if whole else None,
            )
        )
    driver.run_many(_INSERT_CHANGE, rows)


def _store_heads(driver: Driver, key: int, body: Entries, appended: Appended) -> int:
    """Returns how many more entries are not deleted."""
    replaced = [change.clear.entry for change in body.changes if change.clear.base is not None]
    before = sum(not row[0] for row in list(_VACATE.rows(driver, replaced, key=key)))
    rows = [
        (
            key,
            entry,
            state.parent,
            int(state.kind),
            state.name_key,
            int(state.deleted),
            state.head,
            state.seq,
            state.device,
        )
        for entry, state in appended.delta.entries
    ]
    driver.run_many(_INSERT_HEAD, rows)
    return sum(not state.deleted for _, state in appended.delta.entries) - before


def _added(body: Entries, missing: Collection[BlockId]) -> dict[BlockId, int]:
    """How many of the versions add each block that is there."""
    versions: dict[BlockId, int] = {}
    for change in body.changes:
        if isinstance(change, Change):
            for block in map(BlockId, split_ids(change.added)):
                if block not in missing:
                    versions[block] = versions.get(block, 0) + 1
    return versions


def refer(driver: Driver, key: int, versions: Mapping[BlockId, int]) -> int:
    """So many more versions refer to each of these blocks. Returns the bytes new to this workspace."""
    if not versions:
        return 0
    known = {row[0] for row in _REFERENCED.rows(driver, versions.keys(), key=key)}
    more = sum(int(row[0]) for row in _LENGTHS.rows(driver, versions.keys() - known))
    driver.run_many(_REFER, [(key, block, count) for block, count in versions.items()])
    return more


def _store_members(driver: Driver, key: int, appended: Appended) -> None:
    delta = appended.delta
    devices = [
        (key, device, state.user, codec.encode(state.keys), int(state.active), state.last_number)
        for device, state in delta.devices
    ]
    driver.run_many(_DEVICE, devices)
    for user, role in delta.roles:
        if role is None:
            driver.run(_DROP_MEMBER, {"key": key, "user": user})
        else:
            driver.run_many(_MEMBER, [(key, user, int(role))])
    driver.run_many(_CHAIN, [(key, user, chain.length, chain.last) for user, chain in delta.chains])


def read(driver: Driver, key: int, after: int, count: int, size_bytes: int) -> tuple[JournalRow, ...]:
    """Commits after `after` in order: at least one where there is one, at most `count`, about `size_bytes`."""
    last, total = after, 0
    for seq, size in driver.rows(_SIZES, {"key": key, "after": after, "count": count}):
        total += size
        if total > size_bytes and last > after:
            break
        last = seq
    if last == after:
        return ()
    span = {"key": key, "after": after, "last": last}
    changes: dict[int, list[AnyChange]] = {}
    for row in driver.rows(_CHANGES, span):
        changes.setdefault(row.seq, []).append(_change(row))
    return tuple(_row(row, changes.get(row.seq, [])) for row in driver.rows(_COMMITS, span))


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
