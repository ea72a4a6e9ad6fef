"""Versions that are not durable yet, in SQL: the set, what they lack, who has their bytes. Owns these statements.

Decides nothing: which version is offered, and which is given up, has been decided. A block that is missing is not
referred to by its workspace; the reference is made here, in the transaction in which it stops being so.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Final

from sqlalchemy import BindParameter, Connection, and_, bindparam, delete, insert, literal_column, select, update
from sqlalchemy.dialects.sqlite import insert as upsert

from coordinator.records import NewOffer, OpenOffer
from coordinator.storage import sql_commits, tables
from coordinator.storage.driver import Driver, Lookup, Statement
from protocol.ids import BlockId, ChangeId, DeviceId
from protocol.offered import Mark, Standing

LOTS: Final = 64
"""Most lots that one version takes over."""
SPARED: Final = 4_000
"""Most blocks of these lots that one version is noted not to lack."""

_workspaces, _offers, _holders = tables.workspaces.c, tables.offers.c, tables.holders.c
_missing, _lacks, _spared = tables.missing_blocks.c, tables.lacks.c, tables.spared.c
_devices, _members = tables.devices.c, tables.members.c

_KEY: Final[BindParameter[int]] = bindparam("key")
_OPEN: Final = _offers.standing == literal_column("1")
"""Spelt out, not a parameter: only then does SQLite use the index of those."""

_LAST: Final = Statement(select(_workspaces.durability).where(_workspaces.id == _KEY))
_MOVE: Final = Statement(
    update(tables.workspaces)
    .where(_workspaces.id == _KEY)
    .values(
        durability=bindparam("last"),
        stored_bytes=_workspaces.stored_bytes + bindparam("more_bytes"),
    )
)
_INSERT_OFFER: Final = Statement(insert(tables.offers))
_INSERT_MISSING: Final = Statement(insert(tables.missing_blocks))
_INSERT_LACKS: Final = Statement(insert(tables.lacks))
_INSERT_SPARED: Final = Statement(insert(tables.spared))
_ADD_HOLDER: Final = Statement(upsert(tables.holders).on_conflict_do_nothing())
_MARK: Final = Statement(
    update(tables.offers)
    .where(_offers.workspace == _KEY, _offers.change_id == bindparam("change"))
    .values(number=bindparam("next"), standing=bindparam("as"))
)
_RENUMBER: Final = Statement(
    update(tables.offers)
    .where(_offers.workspace == _KEY, _offers.number == bindparam("last"))
    .values(number=bindparam("next"))
)
_COUNT: Final = Statement(
    update(tables.offers)
    .where(_offers.workspace == _KEY, _offers.change_id == bindparam("change"))
    .values(counted=bindparam("is"))
)
_TAKE: Final = Lookup(
    _missing.block,
    lambda keys: (
        delete(tables.missing_blocks)
        .where(_missing.workspace == _KEY, keys)
        .returning(_missing.lot, _missing.block, _missing.own)
    ),
)
_TAKE_SPARED: Final = Lookup(
    _spared.block,
    lambda keys: delete(tables.spared).where(_spared.workspace == _KEY, keys).returning(_spared.change_id, _spared.lot),
)
_MISSING: Final = Lookup(
    _missing.block, lambda keys: select(_missing.lot, _missing.block).where(_missing.workspace == _KEY, keys)
)
_OF_LOTS: Final = Lookup(
    _missing.lot, lambda keys: select(_missing.lot, _missing.block).where(_missing.workspace == _KEY, keys)
)
_LACKS: Final = Lookup(
    _lacks.change_id,
    lambda keys: select(_lacks.change_id, _lacks.lot, _lacks.blocks).where(_lacks.workspace == _KEY, keys),
)
_LACKS_OF_LOT: Final = Lookup(
    _lacks.lot,
    lambda keys: select(_lacks.change_id, _lacks.lot, _lacks.blocks).where(_lacks.workspace == _KEY, keys),
)
_SPARED: Final = Lookup(
    _spared.change_id,
    lambda keys: select(_spared.change_id, _spared.lot, _spared.block).where(_spared.workspace == _KEY, keys),
)
_LACK_FEWER: Final = Statement(
    update(tables.lacks)
    .where(
        _lacks.workspace == _KEY,
        _lacks.change_id == bindparam("change"),
        _lacks.lot == bindparam("of"),
    )
    .values(blocks=bindparam("left"))
)
_LACK_NONE: Final = Statement(
    delete(tables.lacks).where(
        _lacks.workspace == _KEY,
        _lacks.change_id == bindparam("change"),
        _lacks.lot == bindparam("of"),
    )
)
_OFFERED: Final = Lookup(
    _offers.change_id,
    lambda keys: select(_offers.change_id, _offers.number, _offers.author).where(
        _offers.workspace == _KEY, keys, _OPEN
    ),
)
_FOUND: Final = select(
    _offers.change_id,
    _offers.number,
    _offers.author,
    _offers.counted,
    _devices.active,
    _devices.last_seen,
    _members.role,
).select_from(
    tables.offers.outerjoin(tables.devices, _devices.device_id == _offers.author).outerjoin(
        tables.members, and_(_members.workspace == _offers.workspace, _members.user_id == _devices.user_id)
    )
)
_OPEN_OF: Final = Lookup(_offers.change_id, lambda keys: _FOUND.where(_offers.workspace == _KEY, keys, _OPEN))
_ALL_OPEN: Final = Statement(_FOUND.where(_offers.workspace == _KEY, _OPEN))
_HOLDERS: Final = Lookup(
    _holders.change_id,
    lambda keys: (
        select(_holders.change_id, _holders.device_id, _devices.active, _members.role)
        .select_from(
            tables.holders.outerjoin(tables.devices, _devices.device_id == _holders.device_id).outerjoin(
                tables.members, and_(_members.workspace == _holders.workspace, _members.user_id == _devices.user_id)
            )
        )
        .where(_holders.workspace == _KEY, keys)
    ),
)
_DROP_HOLDERS: Final = Lookup(
    _holders.change_id,
    lambda keys: delete(tables.holders).where(_holders.workspace == _KEY, keys).returning(_holders.change_id),
)
_DROP_HOLDER: Final = Statement(
    delete(tables.holders).where(
        _holders.workspace == _KEY,
        _holders.change_id == bindparam("change"),
        _holders.device_id == bindparam("device"),
    )
)
_MARKS: Final = Statement(
    select(_offers.number, _offers.change_id, _offers.standing)
    .where(_offers.workspace == _KEY, _offers.number > bindparam("after"))
    .order_by(_offers.number)
    .limit(bindparam("most"))
)
_MARKS_WHOLE: Final = Statement(
    select(_offers.number, _offers.change_id, _offers.standing)
    .where(
        _offers.workspace == _KEY,
        _offers.number > bindparam("after"),
        (_offers.standing != literal_column("2")) | (_offers.number == bindparam("last")),
    )
    .order_by(_offers.number)
    .limit(bindparam("most"))
)


class SqlOffers:
    """`records.Offers` over one connection.

    A version that is made out of one that lacks blocks takes over that one's lots, so that a small change of a large
    file costs what it says. Where there are more than `most_lots`, or it lacks `most_spared` blocks of them no more, it
    gets a lot of its own.
    """

    def __init__(self, connection: Connection, *, most_lots: int = LOTS, most_spared: int = SPARED) -> None:
        self._driver = Driver(connection)
        self._most_lots, self._most_spared = most_lots, most_spared

    def offer(self, key: int, author: DeviceId, offers: Sequence[NewOffer]) -> None:
        """These were committed, with bases that were before. One that lacks nothing is durable and left out."""
        if not offers:
            return
        bases = {each.base for each in offers if each.base is not None}
        lots: dict[ChangeId, dict[bytes, int]] = {}
        for change, lot, blocks in _LACKS.rows(self._driver, bases, key=key):
            lots.setdefault(ChangeId(change), {})[lot] = blocks
        made, held, last = [], [], self._last(key)
        for each in offers:
            taken_over = self._take_over(key, each, lots.get(each.base, {})) if each.base is not None else False
            if each.own:
                self._driver.run_many(_INSERT_MISSING, [(key, each.change, block, 1) for block in each.own])
            if each.own and not taken_over:
                self._driver.run_many(_INSERT_LACKS, [(key, each.change, each.change, len(each.own))])
            if each.own or self.lacking(key, [each.change]):
                last += 1
                made.append((key, each.change, last, int(Standing.OFFERED), author, int(each.counted)))
                held += [(key, each.change, device) for device in each.holders]
        self._driver.run_many(_INSERT_OFFER, made)
        self._driver.run_many(_ADD_HOLDER, held)
        if made:
            self._move(key, last)

    def _take_over(self, key: int, offer: NewOffer, lots: Mapping[bytes, int]) -> bool:
        """Lack what the base lacks without what is removed. Whether a lot of its own was made for that."""
        assert offer.base is not None, "asked for one with a base"
        spared: dict[bytes, set[bytes]] = {}
        for _, lot, block in _SPARED.rows(self._driver, [offer.base], key=key):
            spared.setdefault(lot, set()).add(block)
        left = dict(lots)
        for lot, block in set(_MISSING.rows(self._driver, offer.removed, key=key)) if lots else ():
            if lot in left and block not in spared.get(lot, ()):
                spared.setdefault(lot, set()).add(block)
                left[lot] -= 1
        left = {lot: blocks for lot, blocks in left.items() if blocks}
        many = sum(len(spared.get(lot, ())) for lot in left) > self._most_spared
        if many or len(left) > self._most_lots:
            found = self.lacked(key, offer.base) - offer.removed
            self._driver.run_many(_INSERT_MISSING, [(key, offer.change, block, 0) for block in found - offer.own])
            self._driver.run_many(_INSERT_LACKS, [(key, offer.change, offer.change, len(found | offer.own))])
            return True
        self._driver.run_many(_INSERT_LACKS, [(key, offer.change, lot, blocks) for lot, blocks in left.items()])
        rows = [(key, offer.change, lot, block) for lot in left for block in spared.get(lot, ())]
        self._driver.run_many(_INSERT_SPARED, rows)
        return False

    def stored(self, key: int, blocks: Collection[BlockId]) -> list[ChangeId]:
        """These are stored, and their bytes were sent to the workspace: whatever lacked them lacks them no more.

        Returns the versions that are durable by that, the longest offered first. What versions added is referred to.
        """
        taken = list(_TAKE.rows(self._driver, blocks, key=key))
        if not taken:
            return []
        added = Counter(BlockId(block) for _, block, own in taken if own)
        more_bytes = sql_commits.refer(self._driver, key, added)
        durable = self._ordered(_OFFERED.rows(self._driver, self._lack_fewer(key, blocks, taken), key=key))
        self._end(key, durable, Standing.DURABLE, more_bytes)
        return durable

    def _lack_fewer(self, key: int, blocks: Collection[BlockId], taken: Iterable[Any]) -> set[ChangeId]:
        """The versions that lack nothing now."""
        of_lots = Counter(lot for lot, _, _ in taken)
        spared = Counter(_TAKE_SPARED.rows(self._driver, blocks, key=key))
        touched = set()
        for change, lot, before in set(_LACKS_OF_LOT.rows(self._driver, of_lots, key=key)):
            left = before - of_lots[lot] + spared[change, lot]
            assert left >= 0, "it lacked these"
            where = {"key": key, "change": change, "of": lot}
            if not left:
                self._driver.run(_LACK_NONE, where)
                touched.add(ChangeId(change))
            elif left != before:
                self._driver.run(_LACK_FEWER, {**where, "left": left})
        return touched - self.lacking(key, touched)

    def give_up(self, key: int, changes: Collection[ChangeId]) -> list[ChangeId]:
        """They will never be stored; returns those that were offered. What they lack is still known of them."""
        lost = self._ordered(_OFFERED.rows(self._driver, set(changes), key=key))
        self._end(key, lost, Standing.NOT_KEPT, 0)
        return lost

    def lacking(self, key: int, changes: Collection[ChangeId]) -> set[ChangeId]:
        """Those of these versions that lack anything: they are offered, or were when they were given up."""
        return {ChangeId(row[0]) for row in _LACKS.rows(self._driver, set(changes), key=key)}

    def lacked(self, key: int, change: ChangeId) -> set[BlockId]:
        """What a version lacks."""
        lots = {row[1] for row in _LACKS.rows(self._driver, [change], key=key)}
        spared = {(row[1], row[2]) for row in _SPARED.rows(self._driver, [change], key=key)}
        found = set(_OF_LOTS.rows(self._driver, lots, key=key))
        return {BlockId(block) for lot, block in found if (lot, block) not in spared}

    def waiting(self, key: int, blocks: Collection[BlockId]) -> set[BlockId]:
        """Those that some version lacks."""
        return {BlockId(row[1]) for row in _MISSING.rows(self._driver, blocks, key=key)}

    def open(self, key: int, changes: Collection[ChangeId] | None = None) -> list[OpenOffer]:
        """Those of these versions (or all) that are offered, the longest offered first."""
        if changes is None:
            rows = self._driver.rows(_ALL_OPEN, {"key": key})
        else:
            rows = list({row[0]: row for row in _OPEN_OF.rows(self._driver, set(changes), key=key)}.values())
        if not rows:
            return []
        holders: dict[bytes, set[DeviceId]] = {}
        able: dict[bytes, set[DeviceId]] = {}
        for change, device, active, role in _HOLDERS.rows(self._driver, {row.change_id for row in rows}, key=key):
            holders.setdefault(change, set()).add(DeviceId(device))
            if active and role is not None:
                able.setdefault(change, set()).add(DeviceId(device))
        return [
            OpenOffer(
                change=ChangeId(row.change_id),
                author=DeviceId(row.author),
                counted=bool(row.counted),
                present=bool(row.active) and row.role is not None,
                last_seen=row.last_seen or 0,
                holders=frozenset(holders.get(row.change_id, ())),
                able=frozenset(able.get(row.change_id, ())),
            )
            for row in sorted(rows, key=lambda row: int(row.number))
        ]

    def marks(self, key: int, after: int, last: int, most: int, *, whole: bool) -> list[Mark]:
        """Changes with numbers after that, in order; where `whole`, without those of durable versions but the last."""
        if whole:
            found = self._driver.rows(_MARKS_WHOLE, {"key": key, "after": after, "last": last, "most": most})
        else:
            found = self._driver.rows(_MARKS, {"key": key, "after": after, "most": most})
        return [Mark(row.number, ChangeId(row.change_id), Standing(row.standing)) for row in found]

    def hold(self, key: int, device: DeviceId, changes: Collection[ChangeId]) -> None:
        """The device has the bytes of these; those that are not offered are passed over."""
        added = []
        for change, author in self._offered(key, changes):
            if author == device:
                self._driver.run(_COUNT, {"key": key, "change": change, "is": 1})
            else:
                added.append((key, change, device))
        self._driver.run_many(_ADD_HOLDER, added)

    def let_go(self, key: int, device: DeviceId, changes: Collection[ChangeId]) -> None:
        """It has them no more."""
        for change, author in self._offered(key, changes):
            if author == device:
                self._driver.run(_COUNT, {"key": key, "change": change, "is": 0})
            else:
                self._driver.run(_DROP_HOLDER, {"key": key, "change": change, "device": device})

    def begin_anew(self, key: int, beyond: int) -> None:
        """Numbers told before are not to be told again: the last one rises to `beyond` or more, where there is one."""
        last = self._last(key)
        if last:
            following = max(last + 1, beyond)
            self._driver.run(_RENUMBER, {"key": key, "last": last, "next": following})
            self._move(key, following)

    def _offered(self, key: int, changes: Collection[ChangeId]) -> list[tuple[ChangeId, DeviceId]]:
        found = {row[0]: row for row in _OFFERED.rows(self._driver, set(changes), key=key)}
        return [(ChangeId(row.change_id), DeviceId(row.author)) for row in found.values()]

    def _ordered(self, rows: Iterable[Any]) -> list[ChangeId]:
        found = {int(row.number): ChangeId(row.change_id) for row in rows}
        return [found[number] for number in sorted(found)]

    def _end(self, key: int, changes: Sequence[ChangeId], standing: Standing, more_bytes: int) -> None:
        last = self._last(key)
        for number, change in enumerate(changes, last + 1):
            self._driver.run(_MARK, {"key": key, "change": change, "next": number, "as": int(standing)})
        list(_DROP_HOLDERS.rows(self._driver, changes, key=key))
        if changes or more_bytes:
            self._move(key, last + len(changes), more_bytes)

    def _last(self, key: int) -> int:
        last = self._driver.value(_LAST, {"key": key})
        assert isinstance(last, int), "the workspace is there"
        return last

    def _move(self, key: int, last: int, more_bytes: int = 0) -> None:
        self._driver.run(_MOVE, {"key": key, "last": last, "more_bytes": more_bytes})
