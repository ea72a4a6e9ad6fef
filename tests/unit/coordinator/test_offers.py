"""Versions committed before their blocks are stored: what is missing, who brings it, who hears of it, and giving up."""

from collections.abc import AsyncIterator, Collection
from pathlib import Path

import pytest
from sqlalchemy import insert, update

from coordinator.domain.offers import SILENT_MS
from coordinator.ports import Committed, Transaction
from coordinator.service import blocks, journal, offers
from coordinator.service.bits import packed
from coordinator.service.context import Session
from coordinator.storage import tables
from protocol.ids import BlockId, ChangeId, DeviceId
from protocol.messages import (
    BlocksRequest,
    ChangeReason,
    CommitAccepted,
    CommitRefused,
    HandBack,
    HaveReply,
    HaveRequest,
    HoldingsRequest,
    LeaseReply,
    LeaseRequest,
    OfferedRequest,
    Ok,
    Refusal,
    RefusalCode,
)
from protocol.model import Change, JournalRow, Role
from protocol.offered import OfferedPage, Standing
from tests.common.coordination import START_MS, Coordination, open_coordination, session_of
from tests.common.journals import TestJournal, TestUser, block_id
from tests.common.offered_set import OfferedCopy

A, B, C = (BlockId(block_id(name)) for name in "abc")
GOOD = Ok()


@pytest.fixture
async def here(tmp_path: Path) -> AsyncIterator[Coordination]:
    async with open_coordination(tmp_path / "metadata.db") as opened:
        yield opened


@pytest.fixture
async def ana(here: Coordination) -> TestUser:
    user = TestUser("ana")
    user.pair("ana-2")
    user.pair("ana-3")
    await here.know(user)
    return user


@pytest.fixture
async def kept(here: Coordination, ana: TestUser) -> TestJournal:
    kept = TestJournal(ana)
    await here.accept(session_of(ana), kept.commits[0])
    return kept


async def put(here: Coordination, kept: TestJournal, *changes: Change, by: int = 0) -> tuple[ChangeId, ...]:
    """Commit changes; the versions."""
    device = kept.owner.devices[by]
    delta = kept.put(device, *changes)
    await here.accept(session_of(kept.owner, device), kept.commits[-1])
    return tuple(state.head for _, state in delta.entries)


async def offer(
    here: Coordination, kept: TestJournal, label: str, *added: BlockId, removed: Collection[BlockId] = (), by: int = 0
) -> ChangeId:
    """Commit an offered version of a file."""
    (change,) = await put(here, kept, kept.change(label, added=added, removed=removed, offered=True), by=by)
    return change


async def asked(here: Coordination, kept: TestJournal, copy: OfferedCopy) -> OfferedCopy:
    """The copy, brought up to date by a device."""
    while True:
        request = OfferedRequest(kept.id, copy.generation, copy.number)
        page = await offers.page(here.context, session_of(kept.owner), request)
        assert isinstance(page, OfferedPage)
        assert copy.take(page)
        if copy.number == page.last:
            return copy


async def standing(here: Coordination, kept: TestJournal, change: ChangeId) -> Standing:
    return (await asked(here, kept, OfferedCopy())).standing(change)


async def held(here: Coordination, kept: TestJournal, session: Session, *names: BlockId) -> bytes:
    reply = await blocks.have(here.context, session, HaveRequest(kept.id, names))
    assert isinstance(reply, HaveReply)
    return reply.bits


async def served(here: Coordination, kept: TestJournal, session: Session, *names: BlockId) -> list[bool]:
    reply = await blocks.locate(here.context, session, BlocksRequest(kept.id, names))
    assert not isinstance(reply, Refusal)
    return [place is not None for place in reply]


async def say(
    here: Coordination,
    kept: TestJournal,
    session: Session,
    *,
    held: tuple[ChangeId, ...] = (),
    gone: tuple[ChangeId, ...] = (),
) -> None:
    assert await offers.holdings(here.context, session, HoldingsRequest(kept.id, held, gone)) == GOOD


def told(here: Coordination) -> list[int]:
    """The durability of each notice."""
    return [notice.durability for notice in here.notifier.notices if isinstance(notice, Committed)]


async def deactivate(here: Coordination, device: DeviceId) -> None:
    """What revoking will do."""

    def write(transaction: Transaction) -> None:
        connection = transaction.facts._connection  # type: ignore[attr-defined]
        connection.execute(update(tables.devices).where(tables.devices.c.device_id == device).values(active=0))

    await here.metadata.run(write)


async def make_member(here: Coordination, kept: TestJournal, user: TestUser, role: Role = Role.EDITOR) -> None:
    """There is no commit yet that makes one."""

    def write(transaction: Transaction) -> None:
        workspace = transaction.journals.workspace(kept.id)
        assert workspace is not None
        connection = transaction.facts._connection  # type: ignore[attr-defined]
        connection.execute(insert(tables.members), {"workspace": workspace.key, "user_id": user.id, "role": int(role)})

    await here.metadata.run(write)


# --- the set ---------------------------------------------------------------------------------------------------


async def test_a_version_is_offered_until_its_last_block_is_sent_and_devices_hear_of_both(
    here: Coordination, ana: TestUser, kept: TestJournal
) -> None:
    await here.upload(session_of(ana), kept.id, [A])
    film = await offer(here, kept, "film", A, B)
    assert await standing(here, kept, film) is Standing.OFFERED
    copy = await asked(here, kept, OfferedCopy())
    await here.upload(session_of(ana, ana.devices[1]), kept.id, [C])
    assert told(here) == [0, 1], "blocks that nothing waits for are no news"
    await here.upload(session_of(ana, ana.devices[1]), kept.id, [B])
    assert told(here) == [0, 1, 2]
    assert (await asked(here, kept, copy)).standing(film) is Standing.DURABLE
    assert await served(here, kept, session_of(ana), A, B) == [True, True]
    await here.upload(session_of(ana), kept.id, [B])
    assert told(here) == [0, 1, 2]


async def test_an_offered_version_of_which_all_is_there_is_durable_at_once(
    here: Coordination, ana: TestUser, kept: TestJournal
) -> None:
    await here.upload(session_of(ana), kept.id, [A])
    film = await offer(here, kept, "film", A)
    assert await standing(here, kept, film) is Standing.DURABLE
    assert told(here) == [0, 0]


async def test_blocks_of_ordinary_changes_are_wanted_as_ever(
    here: Coordination, ana: TestUser, kept: TestJournal
) -> None:
    commit = kept.commit(ana.devices[0], kept.change("film", added=[A], offered=True), kept.change("note", added=[B]))
    refused = await here.propose(session_of(ana), commit)
    assert isinstance(refused, CommitRefused)
    assert [(each.reason, each.ids) for each in refused.changes] == [(ChangeReason.MISSING_BLOCKS, (bytes(B),))]


async def test_a_version_lacks_what_its_base_lacks_whoever_makes_it(
    here: Coordination, ana: TestUser, kept: TestJournal
) -> None:
    first = await offer(here, kept, "film", A, B)
    (renamed,) = await put(here, kept, kept.change("film", name="movie"), by=1)
    await here.upload(session_of(ana), kept.id, [C])
    (cut,) = await put(here, kept, kept.change("film", name="movie", added=[C], removed=[A]))
    (deleted,) = await put(here, kept, kept.deletion("film"))
    (again,) = await put(here, kept, kept.change("film", name="movie", added=[A, C], offered=True))
    every = [first, renamed, cut, deleted, again]

    async def now() -> list[Standing]:
        copy = await asked(here, kept, OfferedCopy())
        return [copy.standing(change) for change in every]

    offered, durable = Standing.OFFERED, Standing.DURABLE
    assert await now() == [offered, offered, offered, durable, offered]
    await here.upload(session_of(ana), kept.id, [A])
    assert await now() == [offered, offered, offered, durable, durable]
    await here.upload(session_of(ana), kept.id, [B])
    assert await now() == [durable] * 5


async def test_the_set_survives_a_restart(tmp_path: Path) -> None:
    ana = TestUser("ana")
    kept = TestJournal(ana)
    async with open_coordination(tmp_path / "metadata.db") as here:
        await here.know(ana)
        await here.accept(session_of(ana), kept.commits[0])
        film, lost = await offer(here, kept, "film", A), await offer(here, kept, "lost", B)
        await say(here, kept, session_of(ana), gone=(lost,))
        copy = await asked(here, kept, OfferedCopy())
    async with open_coordination(tmp_path / "metadata.db") as here:
        assert await standing(here, kept, film) is Standing.OFFERED
        assert await standing(here, kept, lost) is Standing.NOT_KEPT
        await here.upload(session_of(ana), kept.id, [A])
        assert (await asked(here, kept, copy)).standing(film) is Standing.DURABLE


async def test_rows_handed_back_whose_blocks_were_lost_are_offered_and_give_no_right_to_any_block(
    here: Coordination, ana: TestUser, kept: TestJournal
) -> None:
    ben = TestUser("ben")
    await here.know(ben)
    bens = TestJournal(ben)
    await here.accept(session_of(ben), bens.commits[0])
    await here.upload(session_of(ben), bens.id, [B])
    await here.upload(session_of(ana), kept.id, [A])
    commit = kept.commit(ana.devices[0], kept.change("f", added=[A]), kept.change("g", added=[A, B]))
    delta = kept.accept(commit)
    row = JournalRow(2, delta.workspace.log_hash, START_MS, commit)

    assert await journal.hand_back(here.context, session_of(ana), HandBack(kept.id, (row,))) == GOOD
    (_, f), (_, g) = delta.entries
    assert await standing(here, kept, f.head) is Standing.DURABLE
    assert await standing(here, kept, g.head) is Standing.OFFERED
    assert await served(here, kept, session_of(ana), A, B) == [True, False]
    assert told(here)[-1] == 1


# --- no right to a block by listing it -------------------------------------------------------------------------


async def test_an_offered_version_is_no_way_to_learn_of_blocks_or_to_read_them(
    here: Coordination, ana: TestUser, kept: TestJournal
) -> None:
    eve = TestUser("eve")
    await here.know(eve)
    stranger, own = session_of(eve), TestJournal(eve)
    await here.accept(stranger, own.commits[0])
    await here.upload(session_of(ana), kept.id, [A])
    await put(here, kept, kept.change("secret", added=[A]))
    guess = await offer(here, own, "guess", A, B)
    assert await held(here, own, stranger, A, B) == packed([False, False])
    assert await served(here, own, stranger, A, B) == [False, False]
    reply = await offers.lease(here.context, stranger, LeaseRequest(own.id, (A, B)))
    assert reply == LeaseReply(packed([False, False]), packed([True, True]))
    assert await standing(here, own, guess) is Standing.OFFERED
    assert await here.metadata.read(lambda transaction: _stored_bytes(transaction, own)) == 0
    await here.upload(session_of(ana), kept.id, [A, B])
    assert await standing(here, own, guess) is Standing.OFFERED, "what is sent to others is not sent to her"
    await here.upload(stranger, own.id, [A])
    assert await served(here, own, stranger, A, B) == [True, False]


def _stored_bytes(transaction: Transaction, kept: TestJournal) -> int:
    workspace = transaction.journals.workspace(kept.id)
    assert workspace is not None
    return workspace.stored_bytes


async def test_nobody_refers_for_another_to_a_block_that_was_only_listed(
    here: Coordination, ana: TestUser, kept: TestJournal
) -> None:
    """Ana has block A in a workspace of her own; in one of Ben's, of which she is a member, he lists it."""
    other = TestJournal(TestUser("ben"))
    ben = other.owner
    await here.know(ben)
    await here.accept(session_of(ben), other.commits[0])
    await make_member(here, other, ana)
    await here.upload(session_of(ana), kept.id, [A])
    await put(here, kept, kept.change("secret", added=[A]))
    assert await held(here, other, session_of(ana), A) == packed([True])
    await offer(here, other, "guess", A)
    assert await held(here, other, session_of(ana), A) == packed([False])
    reply = await offers.lease(here.context, session_of(ana), LeaseRequest(other.id, (A,)))
    assert reply == LeaseReply(packed([False]), packed([True]))
    copied = other.commit(ben.devices[0], other.change("copy", added=[A]))
    refused = await here.propose(session_of(ben), copied)
    assert isinstance(refused, CommitRefused)
    assert await served(here, other, session_of(ben), A) == [False]
    await here.upload(session_of(ana), other.id, [A])
    assert await served(here, other, session_of(ben), A) == [True], "she has sent the bytes"
    assert isinstance(await here.propose(session_of(ben), copied), CommitAccepted)


async def test_a_stranger_and_a_former_device_are_told_nothing(
    here: Coordination, ana: TestUser, kept: TestJournal
) -> None:
    eve = TestUser("eve")
    await here.know(eve)
    film = await offer(here, kept, "film", A)
    await deactivate(here, ana.devices[2].id)
    for session, code in (
        (session_of(eve), RefusalCode.NOT_FOUND),
        (session_of(ana, ana.devices[2]), RefusalCode.DENIED),
    ):
        for reply in (
            await offers.page(here.context, session, OfferedRequest(kept.id, 0, 0)),
            await offers.holdings(here.context, session, HoldingsRequest(kept.id, (), (film,))),
            await offers.lease(here.context, session, LeaseRequest(kept.id, (A,))),
            await offers.lease(here.context, session, LeaseRequest(kept.id, (A,), end=True)),
        ):
            assert isinstance(reply, Refusal)
            assert reply.code is code
    assert await standing(here, kept, film) is Standing.OFFERED


# --- leases ----------------------------------------------------------------------------------------------------


async def test_no_two_devices_are_to_send_one_block_until_one_falls_silent_or_has_sent_it(
    here: Coordination, ana: TestUser, kept: TestJournal
) -> None:
    first, second = session_of(ana), session_of(ana, ana.devices[1])
    await offer(here, kept, "film", A, B, C)

    async def ask(session: Session, *names: BlockId, end: bool = False) -> tuple[bytes, bytes]:
        reply = await offers.lease(here.context, session, LeaseRequest(kept.id, names, end))
        assert isinstance(reply, LeaseReply)
        return reply.stored, reply.granted

    no, yes = packed([False]), packed([True])
    assert await ask(first, A, B) == (no, packed([True, True]))
    assert await ask(second, A, C, A) == (no, packed([False, True, False]))
    await here.upload(first, kept.id, [A])
    assert await ask(second, A) == (yes, no)
    here.clock.advance(59)
    assert await ask(second, B) == (no, no)
    here.context.leases.renew(kept.id, first.device, offers.lease_ms(here.context))
    here.clock.advance(59)
    assert await ask(second, B) == (no, no)
    here.clock.advance(2)
    assert await ask(second, B) == (no, yes)
    assert await ask(second, B, end=True) == (no, no)
    assert await ask(first, B) == (no, yes)
    await ask(first, end=True)
    assert await ask(second, B) == (no, yes)


async def test_viewers_send_nothing_and_may_hold(here: Coordination, ana: TestUser, kept: TestJournal) -> None:
    ben = TestUser("ben")
    await here.know(ben)
    await make_member(here, kept, ben, Role.VIEWER)
    film = await offer(here, kept, "film", A)
    refused = await offers.lease(here.context, session_of(ben), LeaseRequest(kept.id, (A,)))
    assert isinstance(refused, Refusal)
    assert refused.code is RefusalCode.DENIED
    await say(here, kept, session_of(ben), held=(film,))
    await say(here, kept, session_of(ana), gone=(film,))
    assert await standing(here, kept, film) is Standing.OFFERED


# --- giving up -------------------------------------------------------------------------------------------------


async def test_a_version_is_given_up_when_its_author_has_it_no_more_and_nobody_else_does(
    here: Coordination, ana: TestUser, kept: TestJournal
) -> None:
    author, other, third = (session_of(ana, device) for device in ana.devices)
    film, note, late = await put(
        here, kept, *(kept.change(name, added=[A], offered=True) for name in ("film", "note", "late"))
    )
    await say(here, kept, other, gone=(film,))
    assert await standing(here, kept, film) is Standing.OFFERED, "another's word does not end it"
    await say(here, kept, other, held=(note,))
    before = len(told(here))
    await say(here, kept, author, gone=(film, note))
    assert len(told(here)) == before + 1
    assert await standing(here, kept, film) is Standing.NOT_KEPT
    assert await standing(here, kept, note) is Standing.OFFERED
    await say(here, kept, third, held=(film, note))
    await say(here, kept, other, gone=(note,))
    assert await standing(here, kept, note) is Standing.OFFERED
    await say(here, kept, third, held=(note,), gone=(note, ChangeId(bytes(32))))
    assert await standing(here, kept, note) is Standing.NOT_KEPT
    await here.upload(author, kept.id, [A])
    assert await standing(here, kept, film) is Standing.NOT_KEPT, "too late"
    assert await standing(here, kept, late) is Standing.DURABLE
    assert await served(here, kept, author, A) == [True]


async def test_an_author_that_has_the_bytes_again_is_counted_on_again(
    here: Coordination, ana: TestUser, kept: TestJournal
) -> None:
    author, other = session_of(ana), session_of(ana, ana.devices[1])
    film = await offer(here, kept, "film", A)
    await say(here, kept, other, held=(film,))
    await say(here, kept, author, gone=(film,))
    await say(here, kept, author, held=(film,))
    await say(here, kept, other, gone=(film,))
    assert await standing(here, kept, film) is Standing.OFFERED


async def test_a_renaming_by_somebody_without_the_bytes_ends_with_those_who_have_them(
    here: Coordination, ana: TestUser, kept: TestJournal
) -> None:
    author, other = session_of(ana), session_of(ana, ana.devices[1])
    film = await offer(here, kept, "film", A)
    (renamed,) = await put(here, kept, kept.change("film", name="movie"), by=1)
    await say(here, kept, author, gone=(film, renamed))
    assert await standing(here, kept, film) is Standing.NOT_KEPT
    assert await standing(here, kept, renamed) is Standing.NOT_KEPT
    (once_more,) = await put(here, kept, kept.change("film", name="cinema"), by=1)
    assert await standing(here, kept, once_more) is Standing.OFFERED, "nobody makes that without its bytes"
    await here.upload(other, kept.id, [A])
    assert await standing(here, kept, once_more) is Standing.DURABLE
    assert await served(here, kept, other, A) == [True]


async def test_what_only_a_revoked_device_or_a_former_member_had_is_given_up(
    here: Coordination, ana: TestUser, kept: TestJournal
) -> None:
    ben = TestUser("ben")
    await here.know(ben)
    await make_member(here, kept, ben)
    alone, shared, bens = [await offer(here, kept, name, BlockId(block_id(name)), by=1) for name in ("x", "y", "z")]
    await say(here, kept, session_of(ana), held=(shared,))
    await say(here, kept, session_of(ben), held=(bens,))
    await offers.given_up_by(here.context, ana.devices[1].id)
    assert not [notice for notice in told(here) if notice > 3], "it is still active"
    await deactivate(here, ana.devices[1].id)
    await offers.given_up_by(here.context, ana.devices[1].id)
    copy = await asked(here, kept, OfferedCopy())
    assert copy.not_kept == {alone}
    assert copy.offered == {shared, bens}

    def leave(transaction: Transaction) -> None:
        connection = transaction.facts._connection  # type: ignore[attr-defined]
        connection.execute(tables.members.delete().where(tables.members.c.user_id == ben.id))

    await here.metadata.run(leave)
    await offers.look(here.context, frozenset())
    assert (await asked(here, kept, copy)).offered == {shared}


async def test_a_silent_author_is_waited_for_a_month_and_then_until_it_is_found_silent_twice(
    here: Coordination, ana: TestUser, kept: TestJournal
) -> None:
    def see(transaction: Transaction) -> None:
        transaction.people.seen(ana.devices[0].id, here.clock.now_ms())

    film, held = await offer(here, kept, "film", A), await offer(here, kept, "held", B)
    await say(here, kept, session_of(ana, ana.devices[1]), held=(held,))
    await here.metadata.run(see)
    here.clock.ms += SILENT_MS - 1
    assert await offers.look(here.context, frozenset()) == frozenset()
    here.clock.ms += 1
    silent = await offers.look(here.context, frozenset())
    assert silent == {(kept.id, film)}
    await here.metadata.run(see)
    assert await offers.look(here.context, silent) == frozenset(), "it has come back"
    here.clock.ms += SILENT_MS
    silent = await offers.look(here.context, frozenset())
    assert await standing(here, kept, film) is Standing.OFFERED
    assert await offers.look(here.context, silent) == frozenset()
    assert await standing(here, kept, film) is Standing.NOT_KEPT
    assert await standing(here, kept, held) is Standing.OFFERED
