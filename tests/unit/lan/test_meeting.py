"""Links between devices, over a network in memory and in virtual time."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio
from trio.testing import MockClock

from peer.lan.link import DEAD_S, SAID_BYTES, SAID_BYTES_S, Link
from peer.lan.meeting import FIRST_S, HANDSHAKE_S, HANDSHAKES
from peer.link.tls import READ_BYTES
from protocol.ids import ChangeId, ChunkId, LogHash, WorkspaceId
from protocol.lan import GoneReason, LanHead, LanHeads
from protocol.lan_frames import message_frame
from protocol.lan_session import Arrived, NotComing
from tests.common.memory_lan import PORT, Device, MemoryLan

HERE, THERE = WorkspaceId(b"h" * 32), WorkspaceId(b"t" * 32)
VERSION = ChangeId(b"v" * 32)


@asynccontextmanager
async def running(*devices: Device) -> AsyncIterator[None]:
    async with trio.open_nursery() as nursery:
        for device in devices:
            nursery.start_soon(device.run)
        yield
        nursery.cancel_scope.cancel()


def three() -> tuple[MemoryLan, Device, Device, Device]:
    """Three devices; the first has the smallest id."""
    lan = MemoryLan()
    a, b, c = sorted((Device(lan, seed) for seed in (1, 2, 3)), key=lambda device: device.id)
    return lan, a, b, c


async def linked(a: Device, b: Device) -> None:
    await a.wait_until(lambda: b.id in a.linked())
    await b.wait_until(lambda: a.id in b.linked())


async def test_devices_that_find_each_other_exchange_chunks(autojump_clock: MockClock) -> None:
    _, a, b, _ = three()
    a.share(b)
    b.share(a)
    b.chunks[b"c" * 32] = bytes(100_000)
    async with running(a, b):
        a.find(b)
        await linked(a, b)
        link = a.meeting.links[b.id]
        first = link.session.request(HERE, VERSION, ChunkId(b"c" * 32), 100_000)
        second = link.session.request(HERE, VERSION, ChunkId(b"d" * 32), 5)
        link.wake()
        await a.wait_until(lambda: link.session.open_requests == 0)
    assert Arrived(first, ChunkId(b"c" * 32), memoryview(bytes(100_000))) in a.events
    assert NotComing(second, ChunkId(b"d" * 32), GoneReason.GONE) in a.events


@pytest.mark.parametrize("first", [0, 1, None])
async def test_of_two_connections_made_at_once_one_stays_and_both_know_which(
    first: int | None, autojump_clock: MockClock
) -> None:
    _, a, b, _ = three()
    a.share(b)
    b.share(a)
    async with running(a, b):
        for number, (near, far) in enumerate(((a, b), (b, a))):
            near.find(far)
            if number == first:
                await trio.sleep(0.0005)
        await trio.sleep(2)
        await linked(a, b)
        assert a.meeting.links[b.id].dialled is not b.meeting.links[a.id].dialled
        if first is None:
            assert a.meeting.links[b.id].dialled, "the one with the smaller id has dialled the one that stays"
        await trio.sleep(120)
        assert a.linked() == {b.id}
        assert b.linked() == {a.id}


async def test_a_revoked_device_is_gone_within_a_second_and_does_not_come_back(autojump_clock: MockClock) -> None:
    lan, a, b, c = three()
    a.share(b, c)
    b.share(a, c)
    c.share(a, b)
    async with running(a, b, c):
        a.find(b)
        b.find(a)
        c.find(a)
        await linked(a, b)
        await linked(a, c)
        a.share(c)
        with trio.fail_after(1):
            await b.wait_until(lambda: not b.meeting.links)
            await a.wait_until(lambda: a.linked() == {c.id})
        before = lan.dials
        await trio.sleep(600)
        assert b.id not in a.linked()
        assert not b.linked()
        assert lan.dials - before < 60, "and tries less and less often"
        assert a.linked() == {c.id}


async def test_only_the_device_that_is_meant_is_spoken_with(autojump_clock: MockClock) -> None:
    _, a, b, c = three()
    a.share(b, c)
    c.share(a, b)
    async with running(a, b, c):
        a.find(b, host=c.host)
        await trio.sleep(60)
        assert not a.meeting.links
        assert not c.linked()
        assert not c.events


async def test_a_place_that_is_no_device_hears_what_tls_begins_with_and_nothing_else(
    autojump_clock: MockClock,
) -> None:
    lan, a, b, _ = three()
    a.share(b)
    service = lan.listen("a service of somebody else's")
    heard: list[bytes] = []

    async def serve() -> None:
        while True:
            stream = (await service.accept()).stream
            said = b""
            while came := await stream.receive_some():
                said += came
                if len(heard) % 2:
                    await stream.send_all(b"HTTP/1.1 400 Bad Request\r\n\r\n")
                    break
            heard.append(said)
            await stream.aclose()

    async with running(a), trio.open_nursery() as nursery:
        nursery.start_soon(serve)
        a.find(b, host="a service of somebody else's")
        await trio.sleep(120)
        nursery.cancel_scope.cancel()
    public = a.keys.public
    assert len(heard) > 2
    assert all(each[:1] == b"\x16" and len(each) < 1_000 for each in heard), "the first message of a handshake"
    assert not any(its in each for each in heard for its in (a.id, b.id, public.tls, public.sign, b.keys.public.tls))
    assert not a.meeting.links


async def test_a_place_where_nobody_is_or_somebody_silent_is_given_up(autojump_clock: MockClock) -> None:
    lan, a, b, _ = three()
    a.share(b)
    b.share(a)
    lan.listen("silent")
    async with running(a, b):
        a.find(b, host="nowhere")
        await trio.sleep(30)
        a.known[b.id] = "silent"
        await trio.sleep(60)
        assert not a.meeting.links
        a.find(b)
        with trio.fail_after(60):
            await linked(a, b)


async def test_a_place_that_nobody_is_heard_from_is_tried_ever_more_rarely(autojump_clock: MockClock) -> None:
    lan, a, b, _ = three()
    a.share(b)
    b.share(a)
    async with running(a, b):
        a.find(b, host="nowhere")
        await trio.sleep(3600)
        before = lan.dials
        await trio.sleep(3600)
        assert 3600 / 300 - 1 <= lan.dials - before <= 3600 / 150 + 1


async def test_strangers_who_connect_and_say_nothing_keep_nobody_out(autojump_clock: MockClock) -> None:
    lan, a, b, _ = three()
    a.share(b)
    b.share(a)
    async with running(a, b):
        await trio.sleep(0.1)
        held = [await lan.network("evil").connect(a.host, PORT) for _ in range(100)]
        await trio.sleep(0.1)
        assert a.meeting._handshakes.total() <= HANDSHAKES
        b.find(a)
        with trio.fail_after(HANDSHAKE_S):
            await linked(a, b)
        await trio.sleep(HANDSHAKE_S + 1)
        assert a.meeting._handshakes.total() == 0
        for stream in held:
            assert await stream.receive_some() == b"", "all were closed"
            await stream.aclose()


async def test_strangers_at_many_addresses_do_not_take_the_room_of_members_devices(autojump_clock: MockClock) -> None:
    lan, a, b, _ = three()
    a.share(b)
    b.share(a)
    async with running(a, b):
        await trio.sleep(0.1)
        held = [await lan.network(f"evil{number // 4}").connect(a.host, PORT) for number in range(40)]
        await trio.sleep(0.1)
        assert a.meeting._handshakes.total() == HANDSHAKES
        a.known[b.id] = b.host
        b.find(a)
        with trio.fail_after(FIRST_S + 1):
            await linked(a, b)
        assert a.meeting._handshakes.total() == HANDSHAKES, "they are still there"
        for stream in held:
            await stream.aclose()


async def test_a_member_that_breaks_the_rules_again_and_again_is_called_less_and_less(
    autojump_clock: MockClock,
) -> None:
    lan, a, b, _ = three()
    a.share(b)
    b.share(a)

    def rave(link: Link) -> None:
        link.session._out.append(b"\x07nonsense")

    b.came = rave  # type: ignore[method-assign]
    async with running(a, b):
        a.find(b)
        b.find(a)
        await trio.sleep(600)
        assert lan.dials < 120
        assert len(a.ended) < 120


async def test_whoever_talks_without_an_end_is_listened_to_more_slowly_and_the_others_are_not(
    autojump_clock: MockClock,
) -> None:
    _, a, b, c = three()
    for one, others in ((a, (b, c)), (b, (a, c)), (c, (a, b))):
        one.share(*others)
    c.chunks[b"c" * 32] = bytes(1_000_000)
    async with running(a, b, c), trio.open_nursery() as nursery:
        a.find(b)
        a.find(c)
        await linked(a, b)
        await linked(a, c)
        talk = message_frame(LanHeads((LanHead(HERE, 1, LogHash(bytes(32))),) * 500)) * 20
        talking, listening = b.meeting.links[a.id], a.meeting.links[b.id]

        async def talk_on() -> None:
            while True:
                await talking._stream.send_all(talk)

        nursery.start_soon(talk_on)
        await trio.sleep(10)
        assert listening.session.message_bytes < SAID_BYTES + 10 * SAID_BYTES_S + READ_BYTES
        link = a.meeting.links[c.id]
        number = link.session.request(HERE, VERSION, ChunkId(b"c" * 32), 1_000_000)
        link.wake()
        with trio.fail_after(1):
            await a.wait_until(lambda: link.session.open_requests == 0)
        assert Arrived(number, ChunkId(b"c" * 32), memoryview(bytes(1_000_000))) in a.events
        nursery.cancel_scope.cancel()


async def test_whoever_falls_silent_is_noticed_and_met_again(autojump_clock: MockClock) -> None:
    lan, a, b, _ = three()
    a.share(b)
    b.share(a)
    async with running(a, b):
        a.find(b)
        await linked(a, b)
        await trio.sleep(300)
        assert not a.ended, "idle links stay"
        lan.cut()
        with trio.fail_after(DEAD_S + 6):
            await a.wait_until(lambda: "the other side fell silent" in a.ended)
        with trio.fail_after(30):
            await linked(a, b)


async def test_a_workspace_shared_no_longer_is_spoken_of_no_longer_and_the_link_stays(
    autojump_clock: MockClock,
) -> None:
    _, a, b, _ = three()
    a.share(b, workspaces=(HERE, THERE))
    b.share(a, workspaces=(HERE, THERE))
    b.chunks[b"c" * 32] = b"bytes"
    async with running(a, b):
        a.find(b)
        await linked(a, b)
        b.share(a, workspaces=(HERE,))
        link = a.meeting.links[b.id]
        number = link.session.request(THERE, VERSION, ChunkId(b"c" * 32), 5)
        link.wake()
        await a.wait_until(lambda: link.session.open_requests == 0)
        assert NotComing(number, ChunkId(b"c" * 32), GoneReason.GONE) in a.events
        b.share(a, workspaces=(HERE, THERE))
        number = link.session.request(THERE, VERSION, ChunkId(b"c" * 32), 5)
        link.wake()
        await a.wait_until(lambda: link.session.open_requests == 0)
        assert Arrived(number, ChunkId(b"c" * 32), memoryview(b"bytes")) in a.events


async def test_a_side_that_breaks_the_rules_is_dropped(autojump_clock: MockClock) -> None:
    _, a, b, _ = three()
    a.share(b)
    b.share(a)
    async with running(a, b):
        a.find(b)
        await linked(a, b)
        a.meeting.links[b.id].session._out.append(b"\x07nonsense")
        a.meeting.links[b.id].wake()
        await b.wait_until(lambda: any("broke the rules" in why for why in b.ended))
        await a.wait_until(lambda: bool(a.ended))
