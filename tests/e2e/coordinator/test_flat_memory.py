"""Streams of any length and readers that sleep leave the coordinator's memory flat."""

import contextlib
from pathlib import Path

import pytest
import trio

from peer.link.coordinator import SignedIn
from protocol import codec, limits
from protocol.messages import DOWNLOAD_PATH, BlocksRequest, Stored
from tests.acceptance.flat_upload import BOUND_BYTES, Generated, upload
from tests.common.coordinators import framed, made_blocks, open_member, pieces, served


@pytest.mark.slow
async def test_a_long_upload_passes_in_flat_memory() -> None:
    size = 512 * limits.MIB
    _, before, peak = await upload(size, size, ("--no-tls",))
    assert peak < BOUND_BYTES
    assert peak - before < 64 * limits.MIB


@pytest.mark.slow
async def test_many_uploads_at_once_share_what_one_may_hold(workplace: Path) -> None:
    with served(workplace, "--no-tls") as here:
        async with open_member(here, "ana") as ana:
            journal = await ana.make_workspace()
            sent: list[object] = []

            async def send(generated: Generated) -> None:
                sent.append(await ana.client.upload(journal.id, generated.frames(32 * limits.MIB)))

            async with trio.open_nursery() as nursery:
                for _ in range(6):
                    nursery.start_soon(send, Generated())
            assert {type(answer) for answer in sent} == {Stored}
            assert here.program.peak_bytes() < BOUND_BYTES


@pytest.mark.slow
async def test_readers_that_sleep_cost_little_and_hold_nobody_up(workplace: Path) -> None:
    with served(workplace, "--no-tls") as here:
        async with open_member(here, "ana") as ana:
            journal = await ana.make_workspace()
            blocks = made_blocks(100, lambda _: limits.MIB)
            ids = tuple(block for block, _ in blocks)
            body = framed(blocks)
            assert isinstance(await ana.client.upload(journal.id, pieces(body, 2**20), len(body)), Stored)
            await ana.commit(journal, journal.change("large", added=ids))
            before = here.program.rss_bytes()
            session = await ana.client.session()
            assert isinstance(session, SignedIn)
            asked = codec.encode(BlocksRequest(journal.id, ids))
            head = f"POST {DOWNLOAD_PATH} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {session.token.hex()}\r\n"
            request = f"{head}Content-Length: {len(asked)}\r\n\r\n".encode() + asked
            async with contextlib.AsyncExitStack() as stack:
                for _ in range(6):
                    stream = await stack.enter_async_context(await trio.open_tcp_stream(*here.address))
                    await stream.send_all(request)
                    assert await stream.receive_some(1)
                async with ana.client.open_download(journal.id, ids) as download:
                    assert [frame.block async for batch in download for frame in batch] == list(ids)  # type: ignore[union-attr]
                assert here.program.rss_bytes() - before < 48 * limits.MIB
                assert await trio.to_thread.run_sync(here.program.stop, 10) == 0
