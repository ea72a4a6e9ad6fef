"""Block streams over real sockets to a real process."""

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import trio
from blake3 import blake3

from peer.link.coordinator import SignedIn
from protocol.frames import HEAD_BYTES, Frame, FrameKind, block_head, end_frame
from protocol.ids import BlockId, WorkspaceId
from protocol.messages import HaveReply, HaveRequest, Refusal, RefusalCode, Stored
from tests.common.coordinators import Member, Served, framed, made_blocks, open_member, pieces, served, upload_head
from tests.common.journals import TestJournal, other_head


@dataclass
class Here:
    served: Served
    ana: Member
    journal: TestJournal

    async def token(self) -> bytes:
        session = await self.ana.client.session()
        assert isinstance(session, SignedIn)
        return session.token

    async def have(self, blocks: list[BlockId]) -> list[bool]:
        reply = await self.ana.client.request(HaveRequest(self.journal.id, tuple(blocks)))
        assert isinstance(reply, HaveReply)
        return [bool(reply.bits[at >> 3] & 0x80 >> (at & 7)) for at in range(len(blocks))]

    async def upload(self, body: bytes) -> Stored | Refusal:
        return await self.ana.client.upload(self.journal.id, pieces(body), len(body))

    async def fetch(self, blocks: list[BlockId]) -> list[Frame]:
        async with self.ana.client.open_download(self.journal.id, blocks) as download:
            assert not isinstance(download, Refusal), download
            return [frame async for batch in download for frame in batch]


@pytest.fixture
async def here(request: pytest.FixtureRequest, workplace: Path) -> AsyncIterator[Here]:
    flags = () if getattr(request, "param", None) == "tls" else ("--no-tls",)
    with served(workplace, *flags) as running:
        async with open_member(running, "ana") as ana:
            yield Here(running, ana, await ana.make_workspace())


@pytest.mark.parametrize("here", ["plain", "tls"], indirect=True)
async def test_blocks_come_back_as_they_were_sent_in_the_order_asked(here: Here) -> None:
    blocks = made_blocks(300, lambda at: 10 + at * 300)
    ids = [block for block, _ in blocks]
    assert await here.upload(framed(blocks)) == Stored(300, 300)
    assert await here.upload(framed(blocks[100:])) == Stored(200, 0)
    missing = BlockId(bytes(32))
    assert await here.have([*ids, missing]) == [True] * 300 + [False]
    await here.ana.commit(here.journal, here.journal.change("file", added=ids))
    asked = [*reversed(ids), missing, ids[0]]
    frames = await here.fetch(asked)
    assert [frame.block for frame in frames] == asked
    by_id = dict(blocks)
    assert [frame.data for frame in frames] == [by_id.get(block, b"") for block in asked]
    assert frames[300].kind is FrameKind.ABSENT


async def test_what_no_commit_refers_to_is_not_handed_out(here: Here) -> None:
    blocks = made_blocks(3, lambda _: 100)
    await here.upload(framed(blocks))
    assert [frame.kind for frame in await here.fetch([block for block, _ in blocks])] == [FrameKind.ABSENT] * 3


async def test_a_stranger_to_a_workspace_neither_sends_nor_gets(here: Here) -> None:
    blocks = made_blocks(2, lambda _: 100)
    ids = [block for block, _ in blocks]
    await here.upload(framed(blocks))
    await here.ana.commit(here.journal, here.journal.change("file", added=ids))
    async with open_member(here.served, "eve") as eve:
        refused = await eve.client.upload(here.journal.id, pieces(framed(blocks)), len(framed(blocks)))
        assert isinstance(refused, Refusal)
        assert refused.code is RefusalCode.NOT_FOUND
        async with eve.client.open_download(here.journal.id, ids) as answer:
            assert isinstance(answer, Refusal)
        own = await eve.make_workspace()
        async with eve.client.open_download(own.id, ids) as download:
            assert not isinstance(download, Refusal)
            assert [frame.kind async for batch in download for frame in batch] == [FrameKind.ABSENT] * 2


async def test_bodies_that_are_no_streams_of_true_blocks_are_refused_one_after_another(here: Here) -> None:
    for body, said in (
        (block_head(BlockId(bytes(32)), 5) + b"wrong" + end_frame(1), "not what its id says"),
        (framed(made_blocks(2, lambda _: 50))[:-HEAD_BYTES], "cut"),
        (b"\x09" + bytes(36), "not a frame"),
        (block_head(BlockId(bytes(32)), 2**31), "a block of"),
        (block_head(BlockId(bytes(32)), 0), "a block of"),
        (b"\x02\0\0\0\0" + bytes(32) + end_frame(1), "absent"),
        (framed(made_blocks(1, lambda _: 50)) + b"x", "after the end"),
        (made_blocks(1, lambda _: 50)[0][1], "not a frame"),
        (end_frame(3), "not a frame"),
    ):
        answer = await here.upload(body)
        assert isinstance(answer, Refusal), said
        assert answer.code is RefusalCode.MALFORMED, said
        assert said in answer.message
    blocks = made_blocks(3, lambda _: 60)
    assert await here.upload(framed(blocks)) == Stored(3, 3)


async def test_blocks_before_a_false_one_stay_stored(here: Here) -> None:
    blocks = made_blocks(3, lambda _: 100)
    false = block_head(BlockId(blake3(b"x").digest()), 1) + b"y"
    body = framed(blocks)[:-HEAD_BYTES] + false + end_frame(4)
    assert isinstance(await here.upload(body), Refusal)
    assert await here.have([block for block, _ in blocks]) == [True] * 3


CUT_BLOCKS = made_blocks(6, lambda at: 40 + 30 * at)
CUT_BODY = framed(CUT_BLOCKS)


async def cut_upload(here: Here, body: bytes, cut: int, *, abruptly: bool) -> None:
    stream = await here.served.connect()
    await stream.send_all(upload_head(here.journal.id, await here.token(), len(body)) + body[:cut])
    if abruptly:
        await trio.aclose_forcefully(stream)
        return
    async with stream:
        transport = stream.transport_stream if isinstance(stream, trio.SSLStream) else stream
        assert isinstance(transport, trio.SocketStream)
        await transport.send_eof()
        with contextlib.suppress(trio.BrokenResourceError), trio.fail_after(60):
            while await stream.receive_some():
                pass


@pytest.mark.parametrize("here", ["plain", "tls"], indirect=True)
async def test_an_upload_cut_at_any_byte_goes_on_at_the_next_block(here: Here) -> None:
    for cut in range(0, len(CUT_BODY), 7):
        # Each cut has blocks of its own, so that what an earlier one stored does not count.
        mark = b"%d|" % cut
        blocks = [(BlockId(blake3(mark + data).digest()), mark + data) for _, data in CUT_BLOCKS]
        body = framed(blocks)
        at = min(len(body), cut * len(body) // len(CUT_BODY))
        await cut_upload(here, body, at, abruptly=False)
        ends = [sum(HEAD_BYTES + len(data) for _, data in blocks[: n + 1]) for n in range(len(blocks))]
        whole = sum(end <= at for end in ends)
        ids = [block for block, _ in blocks]
        with trio.fail_after(60):
            while (held := await here.have(ids)) != [True] * whole + [False] * (len(ids) - whole):
                assert held == sorted(held, reverse=True)
                await trio.sleep(0.01)
        rest = framed(blocks[whole:])
        assert await here.upload(rest) == Stored(len(ids) - whole, len(ids) - whole)
    assert await here.upload(framed([])) == Stored(0, 0)


@pytest.mark.parametrize("here", ["plain", "tls"], indirect=True)
async def test_an_upload_whose_sender_vanishes_hurts_nobody(here: Here) -> None:
    for cut in range(0, len(CUT_BODY), 97):
        await cut_upload(here, CUT_BODY, cut, abruptly=True)
    assert (await here.upload(CUT_BODY)) in [Stored(6, new) for new in range(7)]


@pytest.mark.parametrize("here", ["plain", "tls"], indirect=True)
async def test_without_a_token_no_body_is_read(here: Here) -> None:
    async with await here.served.connect() as stream:
        await stream.send_all(upload_head(here.journal.id, bytes(32), 10**12))
        with trio.fail_after(60):
            assert b"401" in await stream.receive_some()


async def test_a_workspace_that_is_none_is_refused(here: Here) -> None:
    answer = await here.ana.client.upload(WorkspaceId(other_head()), pieces(framed([])), len(framed([])))
    assert isinstance(answer, Refusal)
    assert answer.code is RefusalCode.NOT_FOUND
