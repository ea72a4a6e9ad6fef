"""The block index in SQL. Owns these statements; decides nothing and touches no block."""

from collections.abc import Collection, Mapping
from typing import Final

from sqlalchemy import Connection, Text, bindparam, func, insert, select, update
from sqlalchemy.dialects.sqlite import insert as upsert

from coordinator.records import BlockPlace
from coordinator.storage import tables
from coordinator.storage.driver import Driver, Lookup, Statement
from protocol.ids import BlockId, DeviceId, UserId

STORED: Final = 0
DAMAGED: Final = 1

_blocks, _refs, _uploads = tables.blocks.c, tables.block_refs.c, tables.uploads.c

_STORED: Final = Lookup(_blocks.block, lambda keys: select(_blocks.block).where(keys, _blocks.state == STORED))
_PLACES: Final = Lookup(
    _blocks.block,
    lambda keys: (
        select(_blocks.block, tables.segments.c.name, _blocks.position, _blocks.length)
        .join_from(tables.blocks, tables.segments, tables.segments.c.id == _blocks.segment)
        .where(keys, _blocks.state == STORED)
    ),
)
_UPLOADED: Final = Lookup(
    _uploads.block, lambda keys: select(_uploads.block).where(_uploads.device_id == bindparam("device"), keys)
)
_REFERENCED: Final = Lookup(
    _refs.block, lambda keys: select(_refs.block).where(_refs.workspace == bindparam("workspace"), keys)
)
_OF_USER: Final = select(tables.members.c.workspace).where(tables.members.c.user_id == bindparam("user"))
_REFERENCED_BY_USER: Final = Lookup(
    _refs.block, lambda keys: select(_refs.block).where(_refs.workspace.in_(_OF_USER), keys)
)

_new = upsert(tables.blocks)
_ADD: Final = Statement(
    _new.on_conflict_do_update(
        index_elements=[_blocks.block],
        set_={name: _new.excluded[name] for name in ("segment", "position", "length", "state")},
    )
)
_ADD_UPLOAD: Final = Statement(upsert(tables.uploads).on_conflict_do_nothing())
_DAMAGE: Final = Statement(update(tables.blocks).where(_blocks.block == bindparam("id")).values(state=DAMAGED))
_SEGMENT: Final = Statement(select(tables.segments.c.id).where(tables.segments.c.name == bindparam("segment")))
_NEW_SEGMENT: Final = Statement(
    insert(tables.segments).from_select(
        ["id", "name"],
        select(func.coalesce(func.max(tables.segments.c.id), 0) + 1, bindparam("segment", type_=Text)),
    )
)


class SqlBlockIndex:
    """`records.BlockIndex` over one connection."""

    def __init__(self, connection: Connection) -> None:
        self._driver = Driver(connection)

    def stored(self, blocks: Collection[BlockId]) -> set[BlockId]:
        """Those that are stored."""
        return {row[0] for row in _STORED.rows(self._driver, blocks)}

    def places(self, blocks: Collection[BlockId]) -> dict[BlockId, BlockPlace]:
        """Where they lie."""
        return {row[0]: BlockPlace(*row[1:]) for row in _PLACES.rows(self._driver, blocks)}

    def uploaded(self, device: DeviceId, blocks: Collection[BlockId]) -> set[BlockId]:
        """Those that this device sent."""
        return {row[0] for row in _UPLOADED.rows(self._driver, blocks, device=device)}

    def referenced(self, key: int, blocks: Collection[BlockId]) -> set[BlockId]:
        """Those that a version of this workspace refers to."""
        return {row[0] for row in _REFERENCED.rows(self._driver, blocks, workspace=key)}

    def referenced_by_user(self, user: UserId, blocks: Collection[BlockId]) -> set[BlockId]:
        """Those that a version in any of the user's workspaces refers to."""
        return {row[0] for row in _REFERENCED_BY_USER.rows(self._driver, blocks, user=user)}

    def add(self, places: Mapping[BlockId, BlockPlace]) -> int:
        """Index blocks; one that is stored keeps its place. Returns how many were new."""
        known = self.stored(places.keys())
        fresh = [block for block in places if block not in known]
        if not fresh:
            return 0
        segments = {name: self._segment(name) for name in {places[block].segment for block in fresh}}
        rows = [
            (block, segments[place.segment], place.offset, place.length, STORED)
            for block, place in ((block, places[block]) for block in fresh)
        ]
        self._driver.run_many(_ADD, rows)
        return len(fresh)

    def add_uploads(self, device: DeviceId, blocks: Collection[BlockId], at: int) -> None:
        """The device sent these."""
        self._driver.run_many(_ADD_UPLOAD, [(device, block, at) for block in blocks])

    def damaged(self, blocks: Collection[BlockId]) -> None:
        """Their bytes did not verify."""
        for block in blocks:
            self._driver.run(_DAMAGE, {"id": block})

    def _segment(self, name: str) -> int:
        found = self._driver.value(_SEGMENT, {"segment": name})
        if found is None:
            self._driver.run(_NEW_SEGMENT, {"segment": name})
            found = self._driver.value(_SEGMENT, {"segment": name})
        assert found is not None, "the segment was just added"
        return int(found)
