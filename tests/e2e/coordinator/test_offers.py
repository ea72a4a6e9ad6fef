"""Versions committed before their blocks are stored, over real sockets to a real process that is killed meanwhile."""

from pathlib import Path

import trio
import trio.testing

from protocol.frames import FrameKind
from protocol.messages import (
    HoldingsRequest,
    LeaseReply,
    LeaseRequest,
    OfferedRequest,
    Ok,
    Poke,
    Polled,
    PollRequest,
    Refusal,
    Stored,
)
from protocol.offered import OfferedPage
from tests.common.coordinators import Member, framed, made_blocks, open_member, pieces, served
from tests.common.journals import TestJournal
from tests.common.offered_set import OfferedCopy


async def asked(ana: Member, journal: TestJournal, copy: OfferedCopy) -> OfferedCopy:
    page = await ana.client.request(OfferedRequest(journal.id, copy.generation, copy.number))
    assert isinstance(page, OfferedPage)
    assert copy.take(page)
    return copy


async def polled(ana: Member, journal: TestJournal, durability: int, timeout_s: int = 50) -> list[int]:
    """The durabilities that a device hears of that knows the head and this one."""
    known = ((journal.id, len(journal.commits), durability),)
    answer = await ana.client.request(PollRequest(known, 1, timeout_s))
    assert isinstance(answer, Polled)
    return [wake.durability for wake in answer.wakes if isinstance(wake, Poke)]


async def fetched(ana: Member, journal: TestJournal, *blocks: bytes) -> list[FrameKind]:
    async with ana.client.open_download(journal.id, list(blocks)) as download:  # type: ignore[arg-type]
        assert not isinstance(download, Refusal)
        return [frame.kind async for batch in download for frame in batch]


async def test_a_version_is_offered_then_sent_and_then_durable_and_a_kill_changes_nothing_of_it(
    workplace: Path,
) -> None:
    blocks = made_blocks(3, lambda at: 1_000 + at)
    ids = [block for block, _ in blocks]
    with served(workplace, "--no-tls") as first:
        async with open_member(first, "ana") as ana:
            journal = await ana.make_workspace()
            await ana.commit(
                journal,
                journal.change("film", added=ids[:2], offered=True),
                journal.change("note", added=ids[2:], offered=True),
            )
            assert await polled(ana, journal, 0) == [2]
            copy = await asked(ana, journal, OfferedCopy())
            assert len(copy.offered) == 2
            reply = await ana.client.request(LeaseRequest(journal.id, tuple(ids)))
            assert reply == LeaseReply(b"\x00", b"\xe0")
            assert await fetched(ana, journal, *ids) == [FrameKind.ABSENT] * 3

            first.program.kill()
            with served(workplace, "--no-tls", "--listen", f"127.0.0.1:{first.address[1]}"):
                assert await polled(ana, journal, 2, 0) == []
                heard: list[list[int]] = []

                async def listen() -> None:
                    heard.append(await polled(ana, journal, 2))

                with trio.fail_after(60):
                    async with trio.open_nursery() as nursery:
                        nursery.start_soon(listen)
                        await trio.testing.wait_all_tasks_blocked(0.1)
                        body = framed(blocks[:2])
                        assert await ana.client.upload(journal.id, pieces(body), len(body)) == Stored(2, 2)
                assert heard == [[3]]
                await asked(ana, journal, copy)
                (note,) = copy.offered
                assert await fetched(ana, journal, *ids) == [FrameKind.BLOCK, FrameKind.BLOCK, FrameKind.ABSENT]
                reply = await ana.client.request(LeaseRequest(journal.id, tuple(ids)))
                assert reply == LeaseReply(b"\xc0", b"\x20")
                assert await ana.client.request(HoldingsRequest(journal.id, (), (note,))) == Ok()
                await asked(ana, journal, copy)
                assert not copy.offered
                assert copy.not_kept == {note}
