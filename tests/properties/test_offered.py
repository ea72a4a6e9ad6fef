"""The set of versions that are not durable: devices that follow it in any way have it; rules about what it means."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coordinator.domain.offers import LEASE_MS, LEASES, SILENT_MS, Leases, counted_on, is_lost
from coordinator.records import OpenOffer
from crypto.keyring import WorkspaceKeyring
from peer.store import workspaces
from peer.store.database import Database, open_database
from peer.store.offers import OfferStore
from protocol.codec import decode, encode
from protocol.ids import BlockId, ChangeId, DeviceId, WorkspaceId
from protocol.model import Genesis
from protocol.offered import Mark, OfferedPage, Standing
from tests.common.journals import TestJournal, TestUser, seed
from tests.common.offered_set import OfferedSet


def change(number: int) -> ChangeId:
    return ChangeId(number.to_bytes(32, "big"))


def block(number: int) -> BlockId:
    return BlockId(number.to_bytes(32, "little"))


RED, BLUE = DeviceId(b"r" * 16), DeviceId(b"b" * 16)
HERE, THERE = WorkspaceId(b"h" * 32), WorkspaceId(b"t" * 32)

# --- the set and its copies --------------------------------------------------------------------------------

offering = st.tuples(st.just("offer"), st.frozensets(st.integers(0, 8), max_size=4))
storing = st.tuples(st.just("store"), st.frozensets(st.integers(0, 8), max_size=3))
ending = st.tuples(st.just("give up"), st.frozensets(st.integers(0, 11), min_size=1, max_size=1))
asking = st.tuples(st.just("ask"), st.frozensets(st.integers(1, 3), min_size=1, max_size=1))
restoring = st.tuples(st.just("restore"), st.just(frozenset({0})))


class Copy:
    """A device's copy of the set, as it is stored."""

    def __init__(self, database: Database) -> None:
        genesis = TestJournal(TestUser("ana")).commits[0]
        assert isinstance(genesis.body, Genesis)
        journal, self.database = TestJournal(TestUser("ana")), database
        keyring = WorkspaceKeyring(seed("salt")[:16], seed("fixed"), {1: seed("epoch 1")})
        self._w = workspaces.add(database, journal.id, "work", keyring, genesis).w
        self.store = OfferStore(database, self._w)

    def begin(self) -> None:
        """Know nothing."""
        self.database.run("DELETE FROM offers")
        self.database.run("UPDATE workspaces SET offers_generation = 0, offers_number = 0")

    def take(self, page: OfferedPage) -> bool:
        """Follow; False where it does not go on from here."""
        with self.database.transaction():
            return self.store.take(page)


@pytest.fixture(scope="module")
def a_copy() -> Iterator[Copy]:
    with open_database(None) as database:
        yield Copy(database)


def follow(copy: Copy, offers: OfferedSet, most: int) -> None:
    """One question, answered over the wire."""
    with copy.database.transaction():
        copy.store.ask()
    page = offers.since(*copy.store.place(), most)
    assert copy.take(decode(OfferedPage, encode(page), 1 << 20))
    if copy.store.place()[1] == page.last:
        with copy.database.transaction():
            copy.store.settle()


@settings(deadline=None, max_examples=400)
@given(st.lists(st.one_of(offering, storing, ending, asking, asking, restoring), max_size=60))
def test_a_copy_that_follows_in_any_portions_is_the_set_in_the_end(
    a_copy: Copy, steps: list[tuple[str, frozenset[int]]]
) -> None:
    offers, copy, count = OfferedSet(1), a_copy, 0
    copy.begin()
    for what, numbers in steps:
        match what:
            case "offer":
                offers.offer(change(count), [block(number) for number in numbers])
                count += 1
            case "store":
                offers.stored([block(number) for number in numbers])
            case "give up":
                offers.give_up(change(min(numbers)))
            case "ask":
                follow(copy, offers, most=min(numbers))
            case _:  # an old copy of the set, of which some was told to nobody any more
                older = OfferedSet(offers.generation)
                for number in range(count // 2):
                    older.offer(change(number), offers.lacking(change(number)) or [block(number % 9)])
                older.begin_anew(offers.generation + 1, beyond=offers.last + 1)
                offers, count = older, count // 2
    while copy.store.place() != (offers.generation, offers.last):
        follow(copy, offers, most=2)
    for number in range(count):
        assert copy.store.standing(change(number)) is offers.standing(change(number))
        assert offers.lacking(change(number)) or offers.standing(change(number)) is not Standing.OFFERED


def test_a_version_is_durable_with_its_last_block_and_a_block_may_end_the_wait_of_several() -> None:
    offers = OfferedSet(1)
    offers.offer(change(1), [block(1), block(2)])
    offers.offer(change(2), [block(2)])
    offers.offer(change(3), [])
    assert offers.standing(change(3)) is Standing.DURABLE
    assert offers.stored([block(1)]) == []
    assert offers.stored([block(2), block(7)]) == [change(1), change(2)]
    assert not offers.give_up(change(1))


def test_what_was_given_up_is_not_made_durable_by_blocks_that_come_late() -> None:
    offers = OfferedSet(1)
    offers.offer(change(1), [block(1)])
    assert offers.give_up(change(1))
    assert offers.lacking(change(1)) == {block(1)}, "a version made out of it lacks this too"
    assert offers.stored([block(1)]) == []
    assert offers.standing(change(1)) is Standing.NOT_KEPT


def test_a_copy_takes_nothing_that_does_not_go_on_from_where_it_is(a_copy: Copy) -> None:
    copy = a_copy
    copy.begin()
    first, second = Mark(1, change(1), Standing.OFFERED), Mark(2, change(2), Standing.OFFERED)
    assert not copy.take(OfferedPage(5, False, 1, (first,))), "another generation"
    assert copy.take(OfferedPage(5, True, 2, (first, second)))
    assert not copy.take(OfferedPage(5, False, 2, (second,))), "nothing new"
    assert not copy.take(OfferedPage(5, False, 4, (replace_number(first, 4), replace_number(second, 3))))
    assert not copy.take(OfferedPage(5, False, 2, (replace_number(first, 3),))), "beyond the last"
    assert copy.store.place() == (5, 2)


def replace_number(mark: Mark, number: int) -> Mark:
    return Mark(number, mark.change, mark.standing)


# --- leases ------------------------------------------------------------------------------------------------


def test_no_two_devices_have_one_block_until_the_first_falls_silent() -> None:
    leases, blocks = Leases(), [block(number) for number in range(4)]
    assert leases.ask(HERE, RED, blocks[:3], 0) == blocks[:3]
    assert leases.ask(HERE, BLUE, blocks, 10) == [blocks[3]]
    leases.renew(HERE, RED, LEASE_MS - 1)
    assert leases.ask(HERE, BLUE, blocks[:3], LEASE_MS + 1) == []
    leases.end(HERE, RED, [blocks[0], blocks[3]])
    assert leases.ask(HERE, BLUE, blocks[:1], LEASE_MS + 2) == [blocks[0]]
    assert leases.ask(HERE, BLUE, blocks[:3], 2 * LEASE_MS) == blocks[:3]
    assert leases.ask(HERE, RED, blocks[:3], 2 * LEASE_MS) == []
    leases.end(HERE, BLUE)
    assert leases.ask(HERE, RED, blocks, 2 * LEASE_MS) == blocks


def test_no_workspace_knows_of_the_leases_of_another() -> None:
    leases = Leases()
    assert leases.ask(HERE, RED, [block(1)], 0) == [block(1)]
    assert leases.ask(THERE, BLUE, [block(1)], 0) == [block(1)]


def test_what_a_device_has_had_for_too_long_is_forgotten_and_in_nobodys_way() -> None:
    leases, blocks = Leases(), [block(number) for number in range(LEASES + 1)]
    leases.ask(HERE, RED, blocks[:-1], 0)
    assert leases.ask(HERE, RED, blocks[-1:], LEASE_MS) == blocks[-1:]
    assert len(leases) == 1
    leases.forget(2 * LEASE_MS)
    assert len(leases) == 0


def test_one_device_has_no_more_blocks_to_itself_than_the_bound() -> None:
    leases, blocks = Leases(), [block(number) for number in range(LEASES + 1)]
    assert leases.ask(HERE, RED, blocks, 0) == blocks[:-1]
    assert leases.ask(HERE, BLUE, blocks, 0) == blocks[-1:]


@settings(deadline=None, max_examples=200)
@given(st.lists(st.tuples(st.sampled_from([RED, BLUE]), st.sampled_from(["ask", "renew", "end"]),
                          st.frozensets(st.integers(0, 5)), st.integers(0, LEASE_MS))))  # fmt: skip
def test_leases_never_overlap(steps: list[tuple[DeviceId, str, frozenset[int], int]]) -> None:
    leases, now_ms, until = Leases(), 0, dict[BlockId, tuple[DeviceId, int]]()
    for device, what, numbers, passed_ms in steps:
        now_ms += passed_ms
        blocks = [block(number) for number in sorted(numbers)]
        match what:
            case "ask":
                for granted in leases.ask(HERE, device, blocks, now_ms):
                    holder, until_ms = until.get(granted, (device, 0))
                    assert holder == device or until_ms <= now_ms
                    until[granted] = (device, now_ms + LEASE_MS)
            case "renew":
                leases.renew(HERE, device, now_ms)
                until.update({one: (device, now_ms + LEASE_MS) for one, held in until.items() if held[0] == device})
            case _:
                leases.end(HERE, device, blocks)
                for one in blocks:
                    if until.get(one, (b"",))[0] == device:
                        del until[one]


def test_a_version_is_given_up_only_where_nobody_can_bring_it() -> None:
    assert not is_lost(author_active=True, silent_ms=SILENT_MS - 1, holders=())
    assert is_lost(author_active=True, silent_ms=SILENT_MS, holders=())
    assert is_lost(author_active=False, silent_ms=0, holders=())
    assert not is_lost(author_active=False, silent_ms=SILENT_MS, holders=(BLUE,))


def test_who_made_a_version_out_of_an_offered_one_is_counted_on_only_if_known_to_have_the_bytes() -> None:
    base = OpenOffer(change(1), RED, True, True, 0, frozenset({BLUE}), frozenset({BLUE}))
    other = DeviceId(b"o" * 16)
    assert counted_on(other, None, offers=False) == (True, frozenset())
    assert counted_on(other, base, offers=False) == (False, frozenset({RED, BLUE}))
    assert counted_on(other, base, offers=True) == (True, frozenset({RED, BLUE}))
    assert counted_on(BLUE, base, offers=False) == (True, frozenset({RED}))
    assert counted_on(RED, base, offers=False) == (True, frozenset({BLUE}))
    assert counted_on(RED, replace(base, counted=False), offers=False) == (False, frozenset({BLUE}))
