"""TLS pumped through memory buffers."""

import socket
import ssl
import sys
from pathlib import Path

import pytest
import trio
from trio.testing import check_two_way_stream, memory_stream_pair

from peer.link.tls import TlsStream, WrongPeer, open_client_tls, open_server_tls, pinned_context
from tests.common.link_server import identity_of, open_raw_server, server_context, write_certificate


def anybody(_: bytes) -> bool:
    return True


async def make_pair(tmp_path: Path) -> tuple[TlsStream, TlsStream]:
    context = server_context(write_certificate(tmp_path, identity_of(1)))
    near, far = memory_stream_pair()
    streams: dict[str, TlsStream] = {}

    async def serve() -> None:
        streams["server"] = await open_server_tls(far, context)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(serve)
        streams["client"] = await open_client_tls(near, pinned_context(), None, anybody)
    return streams["client"], streams["server"]


async def test_a_tls_stream_keeps_the_promises_of_a_trio_stream(tmp_path: Path) -> None:
    async def make() -> tuple[TlsStream, TlsStream]:
        return await make_pair(tmp_path)

    await check_two_way_stream(make, None)


async def test_megabytes_pass_in_both_directions_at_once(tmp_path: Path) -> None:
    client, server = await make_pair(tmp_path)
    data = bytes(range(256)) * 16384

    async def send(stream: TlsStream) -> None:
        await stream.send_all(data)

    async def receive(stream: TlsStream) -> None:
        got = bytearray()
        while len(got) < len(data):
            got += await stream.receive_some()
        assert got == data

    async with trio.open_nursery() as nursery:
        for stream in (client, server):
            nursery.start_soon(send, stream)
            nursery.start_soon(receive, stream)


async def test_a_certificate_of_another_key_is_refused_before_any_byte_of_the_application(tmp_path: Path) -> None:
    heard = bytearray()

    async def listen(stream: trio.abc.Stream) -> None:
        while data := await stream.receive_some():
            heard.extend(data)

    async with open_raw_server(listen, write_certificate(tmp_path, identity_of(1))) as port:
        stream = await trio.open_tcp_stream("127.0.0.1", port)
        with pytest.raises(WrongPeer):
            await open_client_tls(stream, pinned_context(), None, lambda der: False)
        with pytest.raises(trio.ClosedResourceError):
            await stream.send_all(b"x")
    assert not heard


async def test_a_context_that_verifies_nothing_is_refused_without_a_check() -> None:
    near, _ = memory_stream_pair()
    with pytest.raises(ValueError, match="needs a check"):
        await open_client_tls(near, pinned_context(), None)


async def test_an_end_without_a_goodbye_is_an_error(tmp_path: Path) -> None:
    client, server = await make_pair(tmp_path)
    await server.send_all(b"half of it")
    await server.transport.aclose()
    assert await client.receive_some() == b"half of it"
    with pytest.raises(trio.BrokenResourceError):
        await client.receive_some()


async def test_a_goodbye_ends_the_stream(tmp_path: Path) -> None:
    client, server = await make_pair(tmp_path)
    await server.send_all(b"all of it")
    await server.aclose()
    assert await client.receive_some() == b"all of it"
    assert await client.receive_some() == b""


async def test_a_cancelled_send_leaves_the_connection_broken(tmp_path: Path) -> None:
    client, server = await make_pair(tmp_path)

    async def never() -> None:
        await trio.sleep_forever()

    client.transport.send_stream.send_all_hook = never  # type: ignore[attr-defined]  # a memory stream
    with trio.move_on_after(0.01) as scope:
        await client.send_all(bytes(1000))
    assert scope.cancelled_caught
    with pytest.raises(trio.BrokenResourceError):
        await client.send_all(b"more")
    await trio.aclose_forcefully(client)
    await trio.aclose_forcefully(server)


async def test_a_cancelled_receive_loses_nothing(tmp_path: Path) -> None:
    client, server = await make_pair(tmp_path)
    with trio.move_on_after(0.01):
        await client.receive_some()
    await server.send_all(b"later")
    assert await client.receive_some() == b"later"


async def test_a_tampered_record_is_an_error(tmp_path: Path) -> None:
    client, server = await make_pair(tmp_path)
    kept = memory_stream_pair()
    wire, server.transport = server.transport, kept[0]
    await server.send_all(b"a message")
    record = bytearray(await kept[1].receive_some())
    record[-1] ^= 1
    await wire.send_all(record)
    with pytest.raises(trio.BrokenResourceError):
        await client.receive_some()


@pytest.mark.parametrize("cut", [0, 1, 5, 100, 300])
async def test_a_handshake_cut_at_any_byte_is_one_clear_error(cut: int, tmp_path: Path) -> None:
    async def hang_up(stream: trio.abc.Stream) -> None:
        await stream.receive_some()
        await stream.send_all(bytes(cut))

    async with open_raw_server(hang_up) as port:
        stream = await trio.open_tcp_stream("127.0.0.1", port)
        with pytest.raises(trio.BrokenResourceError):
            await open_client_tls(stream, pinned_context(), None, anybody)


async def test_old_tls_is_refused_where_the_key_is_pinned(tmp_path: Path) -> None:
    context = server_context(write_certificate(tmp_path, identity_of(1)))
    context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_2
    near, far = memory_stream_pair()

    async def serve() -> None:
        with pytest.raises(trio.BrokenResourceError):
            await open_server_tls(far, context)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(serve)
        with pytest.raises(trio.BrokenResourceError):
            await open_client_tls(near, pinned_context(), None, anybody)


async def test_pieces_of_all_sizes_arrive_in_order_with_few_calls_to_the_transport(tmp_path: Path) -> None:
    client, server = await make_pair(tmp_path)
    pieces = [bytes([number]) * size for number, size in enumerate((1, 0, 5, 300_000, 16_384, 9, 700_000, 3))]
    calls = 0

    async def count() -> None:
        nonlocal calls
        calls += 1

    client.transport.send_stream.send_all_hook = count  # type: ignore[attr-defined]  # a memory stream
    await client.send_pieces(pieces)
    assert calls == 2
    await client.aclose()
    assert await taken(server) == b"".join(pieces)
    await server.aclose()


async def test_what_is_taken_fills_the_room_that_there_is_and_the_rest_waits(tmp_path: Path) -> None:
    client, server = await make_pair(tmp_path)
    await client.send_all(bytes(range(100)))
    room = memoryview(bytearray(64))
    assert server.take(room) == 0
    assert await server.receive_more()
    assert (server.take(room), bytes(room)) == (64, bytes(range(64)))
    assert (server.take(room), bytes(room[:36])) == (36, bytes(range(64, 100)))
    assert server.take(room) == 0
    await trio.aclose_forcefully(client)
    assert await server.receive_more(), "it is for `take` to find that this was no goodbye"
    with pytest.raises(trio.BrokenResourceError):
        server.take(room)
    await trio.aclose_forcefully(server)


async def test_how_much_may_wait_in_the_system_is_said_to_a_socket_and_to_nothing_else(tmp_path: Path) -> None:
    async def listen(stream: trio.abc.Stream) -> None:
        await stream.receive_some()

    async with open_raw_server(listen, write_certificate(tmp_path, identity_of(1))) as port:
        transport = await trio.open_tcp_stream("127.0.0.1", port)
        async with await open_client_tls(transport, pinned_context(), None, anybody) as stream:
            stream.let_wait(100_000)
            if sys.platform == "linux":
                assert transport.getsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT) == 100_000
    client, server = await make_pair(tmp_path)
    client.let_wait(100_000)
    await trio.aclose_forcefully(client)
    await trio.aclose_forcefully(server)


async def taken(stream: TlsStream) -> bytes:
    """Everything until the other side's goodbye."""
    got, room = bytearray(), memoryview(bytearray(50_000))
    while True:
        while size := stream.take(room):
            got += room[:size]
        if not await stream.receive_more():
            return bytes(got)
