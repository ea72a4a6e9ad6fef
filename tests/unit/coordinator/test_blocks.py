"""Who may refer to, send and fetch which block."""

from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest
from sqlalchemy import update

from coordinator.ports import BlockPlace, Transaction
from coordinator.service import blocks
from coordinator.service.context import Session
from coordinator.storage import tables
from protocol.ids import BlockId
from protocol.messages import BlocksRequest, HaveReply, HaveRequest, Refusal, RefusalCode, Stored
from protocol.model import Role
from tests.common.coordination import Coordination, open_coordination, session_of
from tests.common.journals import TestJournal, TestUser, block_id

A, B, C = (BlockId(block_id(name)) for name in "abc")


@pytest.fixture
async def here(tmp_path: Path) -> AsyncIterator[Coordination]:
    async with open_coordination(tmp_path / "metadata.db") as opened:
        yield opened


@pytest.fixture
async def ana(here: Coordination) -> TestUser:
    user = TestUser("ana")
    user.pair("ana-2")
    await here.know(user)
    return user


@pytest.fixture
async def kept(here: Coordination, ana: TestUser) -> TestJournal:
    kept = TestJournal(ana)
    await here.accept(session_of(ana), kept.commits[0])
    return kept


async def held(here: Coordination, session: Session, kept: TestJournal, names: Sequence[BlockId]) -> str:
    """The answer's bits as text."""
    reply = await blocks.have(here.context, session, HaveRequest(kept.id, tuple(names)))
    assert isinstance(reply, HaveReply), reply
    return "".join(f"{byte:08b}" for byte in reply.bits)


async def places(here: Coordination, session: Session, kept: TestJournal, *names: BlockId) -> list[bool]:
    reply = await blocks.locate(here.context, session, BlocksRequest(kept.id, names))
    assert not isinstance(reply, Refusal)
    return [place is not None for place in reply]


async def test_a_block_is_held_for_the_device_that_sent_it_and_once_referenced_for_all_of_its_user(
    here: Coordination, ana: TestUser, kept: TestJournal
) -> None:
    first, second = session_of(ana), session_of(ana, ana.devices[1])
    assert await here.upload(first, kept.id, [A, B]) == Stored(2, 2)
    assert await held(here, first, kept, [A, C, B]) == "10100000"
    assert await held(here, second, kept, [A, C, B]) == "00000000"
    kept.put(ana.devices[0], kept.change("f", added=[A]))
    await here.accept(first, kept.commits[-1])
    assert await held(here, second, kept, [A, C, B]) == "10000000"
    assert await held(here, first, kept, [A] * 9) == "1111111110000000"


async def test_only_blocks_that_the_workspace_refers_to_are_served(
    here: Coordination, ana: TestUser, kept: TestJournal
) -> None:
    await here.upload(session_of(ana), kept.id, [A, B])
    kept.put(ana.devices[0], kept.change("f", added=[A]))
    await here.accept(session_of(ana), kept.commits[-1])
    assert await places(here, session_of(ana), kept, A, B, C) == [True, False, False]


async def test_a_stranger_learns_nothing_about_any_block(here: Coordination, ana: TestUser, kept: TestJournal) -> None:
    eve = TestUser("eve")
    await here.know(eve)
    await here.upload(session_of(ana), kept.id, [A])
    kept.put(ana.devices[0], kept.change("f", added=[A]))
    await here.accept(session_of(ana), kept.commits[-1])
    stranger = session_of(eve)
    replies = [
        await blocks.have(here.context, stranger, HaveRequest(kept.id, (A,))),
        await blocks.locate(here.context, stranger, BlocksRequest(kept.id, (A,))),
        await blocks.stored_already(here.context, stranger, kept.id, [A]),
        await here.upload(stranger, kept.id, [A]),
    ]
    for reply in replies:
        assert isinstance(reply, Refusal)
        assert reply.code is RefusalCode.NOT_FOUND
    own = TestJournal(eve)
    await here.accept(stranger, own.commits[0])
    assert await held(here, stranger, own, [A]) == "00000000", "stored for others is not said"
    assert await here.upload(stranger, own.id, [A]) == Stored(1, 0)
    assert await held(here, stranger, own, [A]) == "10000000", "but whoever sends the bytes has them"


async def test_a_viewer_may_fetch_and_not_send(here: Coordination, ana: TestUser, kept: TestJournal) -> None:
    await here.upload(session_of(ana), kept.id, [A])
    kept.put(ana.devices[0], kept.change("f", added=[A]))
    await here.accept(session_of(ana), kept.commits[-1])
    await here.metadata.run(play_viewer)  # there is no commit yet that makes one
    assert await places(here, session_of(ana), kept, A) == [True]
    refused = await here.upload(session_of(ana), kept.id, [B])
    assert isinstance(refused, Refusal)
    assert refused.code is RefusalCode.DENIED


def play_viewer(transaction: Transaction) -> None:
    """Every member is a viewer from now on."""
    connection = transaction.facts._connection  # type: ignore[attr-defined]
    connection.execute(update(tables.members).values(role=int(Role.VIEWER)))


async def test_a_block_sent_twice_keeps_its_first_place(here: Coordination, ana: TestUser, kept: TestJournal) -> None:
    session = session_of(ana)
    await here.upload(session, kept.id, [A])
    assert await blocks.stored_already(here.context, session, kept.id, [A, B]) == frozenset({A})
    again = [blocks.Uploaded(A, 1_000, BlockPlace("later", 5, 1_000)), blocks.Uploaded(A, 1_000, None)]
    assert await blocks.record_upload(here.context, session, kept.id, again) == Stored(1, 0)
    kept.put(ana.devices[0], kept.change("f", added=[A]))
    await here.accept(session, kept.commits[-1])
    reply = await blocks.locate(here.context, session, BlocksRequest(kept.id, (A,)))
    assert reply == (BlockPlace("segment", 0, 1_000),)


async def test_a_damaged_block_counts_as_absent_until_it_is_sent_again(
    here: Coordination, ana: TestUser, kept: TestJournal
) -> None:
    session = session_of(ana)
    await here.upload(session, kept.id, [A])
    kept.put(ana.devices[0], kept.change("f", added=[A]))
    await here.accept(session, kept.commits[-1])
    await blocks.mark_damaged(here.context, [A])
    assert await held(here, session, kept, [A]) == "00000000"
    assert await places(here, session, kept, A) == [False]
    assert await blocks.record_upload(here.context, session, kept.id, [blocks.Uploaded(A, 1_000, None)]) == Stored(0, 0)
    again = [blocks.Uploaded(A, 1_000, BlockPlace("other", 7, 1_000))]
    assert await blocks.record_upload(here.context, session, kept.id, again) == Stored(1, 1)
    reply = await blocks.locate(here.context, session, BlocksRequest(kept.id, (A,)))
    assert reply == (BlockPlace("other", 7, 1_000),)


async def test_many_blocks_are_looked_up_at_once(here: Coordination, ana: TestUser, kept: TestJournal) -> None:
    names = [BlockId(block_id(number)) for number in range(2_345)]
    await here.upload(session_of(ana), kept.id, names)
    bits = await held(here, session_of(ana), kept, [*names, C])
    assert bits[: len(names)] == "1" * len(names)
    assert "1" not in bits[len(names) :]
