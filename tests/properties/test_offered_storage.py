"""The set of versions that are not durable as stored: it is the model, whatever happens in whatever order."""

import random  # noqa: TID251 - drawn from a seed
from collections import Counter

import pytest
from sqlalchemy import select

from coordinator.records import BlockPlace, NewOffer
from coordinator.storage import tables
from coordinator.storage.metadata_sql import sqlite_engine
from coordinator.storage.migrate import migrate
from coordinator.storage.sql_blocks import SqlBlockIndex
from coordinator.storage.sql_journals import SqlJournals
from coordinator.storage.sql_offers import SqlOffers
from protocol.ids import BlockId, ChangeId, DeviceId, UserId, WorkspaceId
from protocol.offered import OfferedPage, Standing
from tests.common.offered_set import OfferedCopy, OfferedSet

WORKSPACE, ELSEWHERE = WorkspaceId(b"w" * 32), WorkspaceId(b"e" * 32)
AUTHOR = DeviceId(b"a" * 16)
DEVICES = [AUTHOR, DeviceId(b"b" * 16), DeviceId(b"c" * 16)]
BLOCKS = [BlockId(bytes([number]) * 32) for number in range(7)]
BYTES = 1_000


class Walk:
    """A workspace, another one that nothing may reach, and a copy that follows now and then."""

    def __init__(self, seed: int) -> None:
        self.draw = random.Random(seed)
        self.engine = sqlite_engine(None)
        migrate(self.engine)
        self.connection = self.engine.connect()
        self.journals = SqlJournals(self.connection)
        self.offers = SqlOffers(self.connection, most_lots=2, most_spared=2)
        self.key, self.other = (
            self.journals.create(workspace, UserId(b"u" * 16), b"s" * 16) for workspace in (WORKSPACE, ELSEWHERE)
        )
        SqlBlockIndex(self.connection).add(
            {block: BlockPlace("segment", at * BYTES, BYTES) for at, block in enumerate(BLOCKS)}
        )
        elsewhere = NewOffer(ChangeId(bytes(32)), frozenset(BLOCKS), None, frozenset(), True, frozenset(DEVICES[1:]))
        self.offers.offer(self.other, AUTHOR, [elsewhere])
        self.model, self.copy = OfferedSet(1), OfferedCopy()
        self.before: list[ChangeId] = []
        """All versions, durable ones too."""
        self.made: list[ChangeId] = []
        """Those that were not durable once."""
        self.own: dict[ChangeId, frozenset[BlockId]] = {}
        self.references: Counter[BlockId] = Counter()
        self.counted: dict[ChangeId, set[DeviceId]] = {}

    def end(self) -> None:
        self.connection.close()
        self.engine.dispose()

    def some(self, most: int) -> frozenset[BlockId]:
        return frozenset(self.draw.sample(BLOCKS, self.draw.randint(0, most)))

    # --- steps ---

    def commit(self) -> None:
        offers: list[NewOffer] = []
        for _ in range(self.draw.randint(1, 2)):
            own = self.some(4) if self.draw.random() < 0.5 else frozenset()
            back = self.draw.choice((None, 0, 0, 1, 2, 3))
            base = None if back is None or back >= len(self.before) else self.before[-1 - back]
            change = ChangeId((len(self.before) + len(offers) + 1).to_bytes(32, "little"))
            removed = self.some(4) - own
            holders = frozenset(self.draw.sample(DEVICES, 1)) - {AUTHOR}
            offers.append(NewOffer(change, own, base, removed, self.draw.random() < 0.5, holders))
            lacked = own | (frozenset() if base is None else self.model.lacking(base) - removed)
            self.model.offer(change, lacked)
            if lacked:
                self.made.append(change)
                self.own[change] = own
                self.counted[change] = set(holders) | ({AUTHOR} if offers[-1].counted else set())
        self.before += [each.change for each in offers]
        self.offers.offer(self.key, AUTHOR, offers)

    def store(self) -> None:
        blocks = self.some(2)
        for change in self.made:
            self.references.update(blocks & self.own[change] & self.model.lacking(change))
        assert self.offers.stored(self.key, blocks) == self.model.stored(blocks)

    def give_up(self) -> None:
        if self.made:
            change = self.draw.choice(self.made)
            assert self.offers.give_up(self.key, [change]) == ([change] if self.model.give_up(change) else [])

    def say(self) -> None:
        if self.made:
            change, device, has = self.draw.choice(self.made), self.draw.choice(DEVICES), self.draw.random() < 0.5
            (self.offers.hold if has else self.offers.let_go)(self.key, device, [change])
            if self.model.standing(change) is Standing.OFFERED:
                (self.counted[change].add if has else self.counted[change].discard)(device)

    def begin_anew(self) -> None:
        beyond = self.draw.randint(1, 60)
        self.offers.begin_anew(self.key, beyond)
        self.model.begin_anew(self.model.generation + 1, beyond)

    def follow(self) -> None:
        assert self.copy.take(self.page(self.copy.generation, self.copy.number, self.draw.randint(1, 3)))
        if (self.copy.generation, self.copy.number) == (self.model.generation, self.model.last):
            for change in self.before:
                assert self.copy.standing(change) is self.model.standing(change)

    def ask_anything(self) -> None:
        generation, number, most = self.draw.randint(0, 3), self.draw.randint(0, 70), self.draw.randint(1, 3)
        assert self.page(generation, number, most) == self.model.since(generation, number, most)

    def page(self, generation: int, number: int, most: int) -> OfferedPage:
        """As the service answers."""
        found = self.journals.workspace(WORKSPACE)
        assert found is not None
        whole = generation != self.model.generation or number > found.durability
        after = 0 if whole else number
        marks = self.offers.marks(self.key, after, found.durability, most, whole=whole)
        return OfferedPage(self.model.generation, whole, found.durability, tuple(marks))

    # --- what is so after each ---

    def check(self) -> None:
        for change in self.before:
            assert self.offers.lacked(self.key, change) == self.model.lacking(change)
        lacking = {change for change in self.made if self.model.lacking(change)}
        assert self.offers.lacking(self.key, self.before) == lacking
        assert self.offers.waiting(self.key, BLOCKS) == frozenset[BlockId]().union(*map(self.model.lacking, lacking))
        assert self.offers.waiting(self.other, BLOCKS) == set(BLOCKS), "the other workspace's are its own"
        self.check_who_has_it()
        self.check_references()

    def check_who_has_it(self) -> None:
        found = self.offers.open(self.key)
        assert found == self.offers.open(self.key, self.made)
        assert {each.change: each.holders | ({AUTHOR} if each.counted else set()) for each in found} == {
            change: self.counted[change] for change in self.made if self.model.standing(change) is Standing.OFFERED
        }
        assert not any(each.able or each.present for each in found), "nobody is known here"

    def check_references(self) -> None:
        """What came is referred to once for each version that added it, and nothing else is."""
        refs = tables.block_refs.c
        found = self.connection.execute(select(refs.workspace, refs.block, refs.versions)).all()
        assert {row.block: row.versions for row in found if row.workspace == self.key} == dict(self.references)
        assert not any(row.workspace == self.other for row in found)
        here = self.journals.workspace(WORKSPACE)
        assert here is not None
        assert (here.durability, here.stored_bytes) == (self.model.last, BYTES * len(self.references))


@pytest.mark.parametrize("seed", range(40))
def test_what_is_stored_is_the_model(seed: int) -> None:
    walk = Walk(seed)
    steps = [walk.commit] * 9 + [walk.store] * 6 + [walk.give_up, walk.say, walk.say, walk.follow, walk.ask_anything]
    try:
        for _ in range(30):
            walk.draw.choice([*steps, walk.begin_anew])()
            walk.check()
    finally:
        walk.end()
