"""Connections that misbehave, many at once, to the real program: others are served meanwhile, and it stops in time."""

import contextlib
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import trio

from peer.link.coordinator import SignedIn
from protocol import codec
from protocol.ids import BlockId
from protocol.messages import DOWNLOAD_PATH, MEDIA_TYPE, BlocksRequest
from tests.common.coordinators import Member, Served, framed, made_blocks, open_member, pieces, served, upload_head
from tests.common.journals import TestJournal

UPGRADE = (
    b"GET /v1/notify HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
)
MALFORMED = [
    UPGRADE + b"\r\nx",
    UPGRADE + b"\r\n" + bytes(40),
    UPGRADE.replace(b"13", b"99") + b"\r\n",
    UPGRADE.replace(b"Sec-WebSocket-Key", b"X") + b"\r\n",
    UPGRADE.replace(b"Upgrade: websocket\r\n", b"") + b"\r\n",
    UPGRADE + b"Content-Length: 5\r\n\r\nhello",
    UPGRADE + b"Sec-WebSocket-Extensions: permessage-deflate; x=\xff\r\n\r\n",
    UPGRADE.replace(b"/v1/notify", b"/nowhere") + b"\r\n\x81\x05hello",
]
MANY = 40


@dataclass
class Target:
    """A coordinator, and somebody who uses it and whose token some of the abuse uses too."""

    here: Served
    ana: Member
    journal: TestJournal
    large: list[BlockId]

    async def header(self) -> bytes:
        session = await self.ana.client.session()
        assert isinstance(session, SignedIn)
        return b"Authorization: Bearer " + session.token.hex().encode() + b"\r\n"


Abuse = Callable[[Target, trio.abc.Stream, int], Awaitable[None]]


async def upgrade_malformed(target: Target, stream: trio.abc.Stream, number: int) -> None:
    header = await target.header() if number % 2 else b""
    await stream.send_all(MALFORMED[number % len(MALFORMED)].replace(b"Host: x\r\n", b"Host: x\r\n" + header))


async def drip_a_head(_target: Target, stream: trio.abc.Stream, _number: int) -> None:
    for byte in b"GET /v1/notify HTTP/1.1\r\nHost: x\r\nA: " + b"a" * 1000:
        await stream.send_all(bytes([byte]))
        await trio.sleep(0.1)  # the test is of being slow


async def drip_a_body(target: Target, stream: trio.abc.Stream, number: int) -> None:
    """Every second one of a stranger; the others of a device, to an ordinary request or an upload."""
    head = b"POST /v1/login HTTP/1.1\r\nHost: x\r\nContent-Length: 60000\r\n\r\n"
    if number % 4 == 1:
        head = b"POST /v1/commit HTTP/1.1\r\nHost: x\r\n" + await target.header() + b"Content-Length: 60000\r\n\r\n"
    elif number % 4 == 3:
        token = bytes.fromhex((await target.header()).split()[2].decode())
        head = upload_head(target.journal.id, token, 60_000)
    await stream.send_all(head)
    for _ in range(1000):
        await stream.send_all(b"\x01")
        await trio.sleep(0.1)  # the test is of being slow


async def stall_reading(target: Target, stream: trio.abc.Stream, number: int) -> None:
    """Ask for megabytes, or for wake-ups, and read none of them."""
    if number % 4:
        await stream.send_all(
            UPGRADE.replace(b"Host: x\r\n", b"Host: x\r\n" + await target.header()) + b"\r\n",
        )
        return
    body = codec.encode(BlocksRequest(target.journal.id, tuple(target.large) * 40))
    size = f"Content-Type: {MEDIA_TYPE}\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    await stream.send_all(
        f"POST {DOWNLOAD_PATH} HTTP/1.1\r\nHost: x\r\n".encode() + await target.header() + size + body
    )


@pytest.fixture
async def target(workplace: Path) -> AsyncIterator[Target]:
    with served(workplace) as here:
        async with open_member(here, "ana") as ana:
            journal = await ana.make_workspace()
            blocks = made_blocks(8, lambda _: 250_000)
            await ana.client.upload(journal.id, pieces(framed(blocks)), len(framed(blocks)))
            ids = [block for block, _ in blocks]
            await ana.commit(journal, journal.change("large", added=ids))
            yield Target(here, ana, journal, ids)


@pytest.mark.parametrize("abuse", [upgrade_malformed, drip_a_head, drip_a_body, stall_reading])
async def test_others_are_served_meanwhile_and_it_stops_in_time(target: Target, abuse: Abuse) -> None:
    async with open_member(target.here, "ben") as ben, trio.open_nursery() as nursery:

        async def misbehave(number: int) -> None:
            gone = (trio.BrokenResourceError, trio.ClosedResourceError)
            with contextlib.suppress(*gone):
                stream = await target.here.connect()
                try:
                    began.append(number)
                    await abuse(target, stream, number)
                    await trio.sleep_forever()
                finally:
                    await trio.aclose_forcefully(stream)

        began: list[int] = []
        for number in range(MANY):
            nursery.start_soon(misbehave, number)
        journal = await ben.make_workspace()
        with trio.fail_after(60):
            while len(began) < MANY:
                await ben.commit(journal, journal.change(f"before {len(began)} {journal.log_hashes[-1].hex()}"))
            for number in range(10):
                await ben.commit(journal, journal.change(f"meanwhile {number}"))
            assert await trio.to_thread.run_sync(target.here.program.stop, 12) == 0
        nursery.cancel_scope.cancel()
    said = target.here.program.stderr
    assert "Traceback" not in said
    assert not re.search(r" ERROR ", said), said
