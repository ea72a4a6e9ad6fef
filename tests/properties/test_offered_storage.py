"""The set of versions that are not durable as stored: it is the model, whatever happens in whatever order."""

from collections import Counter

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from sqlalchemy import select

from coordinator.records import BlockPlace, NewOffer
from coordinator.storage import tables
from coordinator.storage.metadata_sql import sqlite_engine
from coordinator.storage.migrate import migrate
from coordinator.storage.sql_blocks import SqlBlockIndex
from coordinator.storage.sql_journals import SqlJournals
from coordinator.storage.sql_offers import SqlOffers
from protocol.ids import BlockId, ChangeId, DeviceId, UserId, WorkspaceId
from protocol.offered import OfferedCopy, OfferedPage, Standing
from tests.common.offered_set import OfferedSet

WORKSPACE, ELSEWHERE = WorkspaceId(b"w" * 32), WorkspaceId(b"e" * 32)
AUTHOR = DeviceId(b"a" * 16)
DEVICES = [AUTHOR, DeviceId(b"b" * 16), DeviceId(b"c" * 16)]
BLOCKS = [BlockId(bytes([number]) * 32) for number in range(7)]
BYTES = 1_000

some_blocks = st.frozensets(st.sampled_from(BLOCKS), max_size=4)
lots = st.lists(st.tuples(some_blocks, some_blocks), min_size=1, max_size=3)
counts = st.integers(1, 3)
devices = st.sampled_from(DEVICES)


class StoredOffers(RuleBasedStateMachine):
    """A workspace, another one that nothing may reach, and a copy that follows now and then."""

    def __init__(self) -> None:
        super().__init__()
        self.engine = sqlite_engine(None)
        migrate(self.engine)
        self.connection = self.engine.connect()
        self.journals, self.offers = SqlJournals(self.connection), SqlOffers(self.connection)
        self.key, self.other = (
            self.journals.create(workspace, UserId(b"u" * 16), b"s" * 16) for workspace in (WORKSPACE, ELSEWHERE)
        )
        SqlBlockIndex(self.connection).add(
            {block: BlockPlace("segment", at * BYTES, BYTES) for at, block in enumerate(BLOCKS)}
        )
        elsewhere = NewOffer(ChangeId(bytes(32)), frozenset(BLOCKS), frozenset(), True, frozenset(DEVICES[1:]))
        self.offers.offer(self.other, AUTHOR, [elsewhere])
        self.model, self.copy = OfferedSet(1), OfferedCopy()
        self.made: list[ChangeId] = []
        self.own: dict[ChangeId, frozenset[BlockId]] = {}
        self.references: Counter[BlockId] = Counter()
        self.counted: dict[ChangeId, set[DeviceId]] = {}

    def teardown(self) -> None:
        self.connection.close()
        self.engine.dispose()

    @rule(lots=lots, holder=devices, counted=st.booleans())
    def commit(
        self, lots: list[tuple[frozenset[BlockId], frozenset[BlockId]]], holder: DeviceId, counted: bool
    ) -> None:
        offers = []
        for own, inherited in lots:
            if not own | inherited:
                continue
            change = ChangeId(len(self.made).to_bytes(32, "little"))
            offers.append(NewOffer(change, own, inherited, counted, frozenset({holder} - {AUTHOR})))
            self.made.append(change)
            self.own[change] = own
            self.model.offer(change, own | inherited)
            self.counted[change] = ({holder} - {AUTHOR}) | ({AUTHOR} if counted else set())
        self.offers.offer(self.key, AUTHOR, offers)

    @rule(blocks=some_blocks)
    def store(self, blocks: frozenset[BlockId]) -> None:
        for change in self.made:
            self.references.update(blocks & self.own[change] & self.model.lacking(change))
        assert self.offers.stored(self.key, blocks) == self.model.stored(blocks)

    @precondition(lambda self: self.made)
    @rule(data=st.data())
    def give_up(self, data: st.DataObject) -> None:
        change = data.draw(st.sampled_from(self.made))
        assert self.offers.give_up(self.key, [change]) == ([change] if self.model.give_up(change) else [])

    @precondition(lambda self: self.made)
    @rule(data=st.data(), device=devices, has=st.booleans())
    def say(self, data: st.DataObject, device: DeviceId, has: bool) -> None:
        change = data.draw(st.sampled_from(self.made))
        (self.offers.hold if has else self.offers.let_go)(self.key, device, [change])
        if self.model.standing(change) is Standing.OFFERED:
            (self.counted[change].add if has else self.counted[change].discard)(device)

    @rule(beyond=st.integers(1, 60))
    def begin_anew(self, beyond: int) -> None:
        self.offers.begin_anew(self.key, beyond)
        self.model.begin_anew(self.model.generation + 1, beyond)

    @rule(most=counts)
    def follow(self, most: int) -> None:
        assert self.copy.take(self.page(self.copy.generation, self.copy.number, most))
        if (self.copy.generation, self.copy.number) == (self.model.generation, self.model.last):
            assert {change: self.copy.standing(change) for change in self.made} == {
                change: self.model.standing(change) for change in self.made
            }

    @rule(generation=st.integers(0, 3), number=st.integers(0, 70), most=counts)
    def ask_anything(self, generation: int, number: int, most: int) -> None:
        assert self.page(generation, number, most) == self.model.since(generation, number, most)

    def page(self, generation: int, number: int, most: int) -> OfferedPage:
        found = self.journals.workspace(WORKSPACE)
        assert found is not None
        whole = generation != self.model.generation or number > found.durability
        after = 0 if whole else number
        marks = self.offers.marks(self.key, after, found.durability, most, whole=whole)
        return OfferedPage(self.model.generation, whole, found.durability, tuple(marks))

    @invariant()
    def the_same_is_missing(self) -> None:
        lacking = self.offers.lacking(self.key, self.made)
        assert {change: frozenset(blocks) for change, blocks in lacking.items()} == {
            change: self.model.lacking(change) for change in self.made if self.model.lacking(change)
        }
        waited = frozenset[BlockId]().union(*lacking.values())
        assert self.offers.waiting(self.key, BLOCKS) == waited
        assert self.offers.waiting(self.other, BLOCKS) == set(BLOCKS)

    @invariant()
    def the_same_is_open_and_held_by_the_same(self) -> None:
        found = self.offers.open(self.key)
        assert found == self.offers.open(self.key, self.made)
        assert {each.change: each.holders | ({AUTHOR} if each.counted else set()) for each in found} == {
            change: self.counted[change] for change in self.made if self.model.standing(change) is Standing.OFFERED
        }
        assert not any(each.able or each.present for each in found), "nobody is known here"

    @invariant()
    def what_came_is_referred_to_once_for_each_version_that_added_it(self) -> None:
        refs = tables.block_refs.c
        found = self.connection.execute(select(refs.workspace, refs.block, refs.versions)).all()
        assert {row.block: row.versions for row in found if row.workspace == self.key} == dict(self.references)
        assert not any(row.workspace == self.other for row in found)
        here = self.journals.workspace(WORKSPACE)
        assert here is not None
        assert (here.durability, here.stored_bytes) == (self.model.last, BYTES * len(self.references))


TestStoredOffers = StoredOffers.TestCase
TestStoredOffers.settings = settings(deadline=None, max_examples=60, stateful_step_count=30)
