"""The HTTP client on real sockets."""

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import h11
import pytest
import trio
import trio.testing
from hypothesis import given, settings
from hypothesis import strategies as st

from peer.link.errors import BadReply, LinkError, Unreachable
from peer.link.http import Dialled, HttpPool, Request
from tests.common.link_server import Handler, http_answer, open_raw_server, read_head

POST = Request("POST", "/v1/x", body=b"question")


MakePool = Callable[..., HttpPool]


@pytest.fixture
async def pool_of() -> AsyncIterator[MakePool]:
    """Makes pools to a port, or to given streams, and closes them in the end."""
    pools: list[HttpPool] = []

    def make(to: int | trio.abc.Stream, **options: Any) -> HttpPool:
        async def dial() -> Dialled:
            if not isinstance(to, int):
                return Dialled(to, "coordinator.test")
            try:
                return Dialled(await trio.open_tcp_stream("127.0.0.1", to), "coordinator.test")
            except OSError as error:
                raise Unreachable("nobody there") from error

        pools.append(HttpPool(dial, **options))
        return pools[-1]

    yield make
    for pool in pools:
        await pool.aclose()


async def ask(pool: HttpPool, request: Request = POST) -> bytes:
    async with pool.exchange(request) as response:
        return await response.read(1_000_000)


def answering(*answers: bytes) -> tuple[Handler, list[bytes]]:
    """A handler that gives the next answer to every request of `POST`'s size, and closes after the last one."""
    left = list(answers)
    heard: list[bytes] = []

    async def handle(stream: trio.abc.Stream) -> None:
        while left:
            request = await read_head(stream)
            while not request.endswith(b"question"):
                request += await stream.receive_some()
            heard.append(request)
            await stream.send_all(left.pop(0))

    return handle, heard


async def test_a_connection_is_used_again_after_a_whole_exchange(pool_of: MakePool) -> None:
    connections = 0
    handle, heard = answering(*[http_answer(b"%d" % n) for n in range(3)])

    async def counted(stream: trio.abc.Stream) -> None:
        nonlocal connections
        connections += 1
        await handle(stream)

    async with open_raw_server(counted) as port:
        pool = pool_of(port)
        assert [await ask(pool) for _ in range(3)] == [b"0", b"1", b"2"]
        assert connections == 1
    assert heard[0].startswith(b"POST /v1/x HTTP/1.1\r\nHost: coordinator.test\r\nContent-Length: 8\r\n")


async def test_a_connection_gone_stale_is_replaced_once(pool_of: MakePool) -> None:
    connections = 0

    async def one_answer(stream: trio.abc.Stream) -> None:
        nonlocal connections
        connections += 1
        await read_head(stream)
        await stream.send_all(http_answer(b"yes"))

    async with open_raw_server(one_answer) as port:
        pool = pool_of(port)
        assert await ask(pool) == b"yes"
        assert await ask(pool) == b"yes"
        assert connections == 2


async def test_a_fresh_connection_that_fails_is_not_tried_again(pool_of: MakePool) -> None:
    connections = 0

    async def hang_up(stream: trio.abc.Stream) -> None:
        nonlocal connections
        connections += 1
        await read_head(stream)

    async with open_raw_server(hang_up) as port:
        with pytest.raises(Unreachable):
            await ask(pool_of(port))
    assert connections == 1


async def test_nobody_listening_is_unreachable(pool_of: MakePool) -> None:
    handle, _ = answering()
    async with open_raw_server(handle) as port:
        pass
    with pytest.raises(Unreachable):
        await ask(pool_of(port))


WHOLE = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nfirst\r\n6\r\nsecond\r\n0\r\n\r\n"


@pytest.mark.parametrize("cut", range(len(WHOLE)))
async def test_an_answer_cut_at_any_byte_is_unreachable(cut: int, pool_of: MakePool) -> None:
    handle, _ = answering(WHOLE[:cut])
    async with open_raw_server(handle) as port:
        with pytest.raises(Unreachable):
            await ask(pool_of(port))


async def test_an_answer_byte_by_byte_is_whole(pool_of: MakePool) -> None:
    async def trickle(stream: trio.abc.Stream) -> None:
        await read_head(stream)
        for byte in WHOLE:
            await stream.send_all(bytes([byte]))
            await trio.lowlevel.checkpoint()

    async with open_raw_server(trickle) as port:
        assert await ask(pool_of(port)) == b"firstsecond"


async def test_a_silent_server_is_given_up(autojump_clock: trio.testing.MockClock, pool_of: MakePool) -> None:
    near, _far = trio.testing.memory_stream_pair()

    with pytest.raises(Unreachable, match="nothing was heard for 30 s"):
        await ask(pool_of(near))
    assert trio.current_time() == 30


async def test_a_server_that_reads_nothing_is_given_up(
    autojump_clock: trio.testing.MockClock, pool_of: MakePool
) -> None:
    near, _far = trio.testing.lockstep_stream_pair()

    with pytest.raises(Unreachable):
        await ask(pool_of(near))


async def test_a_slow_upload_is_not_taken_for_silence(
    autojump_clock: trio.testing.MockClock, pool_of: MakePool
) -> None:
    near, far = trio.testing.memory_stream_pair()

    async def body() -> AsyncIterator[bytes]:
        for _ in range(5):
            await trio.sleep(20)
            yield b"piece"

    async def serve() -> None:
        got = b""
        while not got.endswith(b"0\r\n\r\n"):
            got += await far.receive_some()
        await trio.sleep(25)
        await far.send_all(http_answer(b"thanks"))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(serve)
        assert await ask(pool_of(near), Request("POST", "/", body=body())) == b"thanks"
    assert trio.current_time() == 125


async def test_a_refusal_in_the_middle_of_an_upload_ends_the_upload_and_is_read(pool_of: MakePool) -> None:
    sent = 0
    ended = False

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent, ended
        try:
            while True:
                sent += 1
                yield bytes(65536)
        finally:
            ended = True

    async def refuse(stream: trio.abc.Stream) -> None:
        await read_head(stream)
        await stream.send_all(http_answer(b"no", "413 Too Large"))
        while await stream.receive_some():
            pass

    async with open_raw_server(refuse) as port:
        pool = pool_of(port)
        async with pool.exchange(Request("POST", "/", body=endless())) as response:
            assert response.status == 413
            assert await response.read(10) == b"no"
        assert ended
        assert sent >= 1


async def test_an_uploads_own_failure_comes_through_unchanged(pool_of: MakePool) -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield b"some"
        raise KeyError("disk")

    async def listen(stream: trio.abc.Stream) -> None:
        while await stream.receive_some():
            pass

    async with open_raw_server(listen) as port:
        with pytest.raises(KeyError, match="disk"):
            await ask(pool_of(port), Request("POST", "/", body=broken()))


async def test_a_body_shorter_than_announced_is_the_callers_mistake(pool_of: MakePool) -> None:
    async def short() -> AsyncIterator[bytes]:
        yield b"abc"

    async def listen(stream: trio.abc.Stream) -> None:
        while await stream.receive_some():
            pass

    async with open_raw_server(listen) as port:
        with pytest.raises(ValueError, match="announced"):
            await ask(pool_of(port), Request("POST", "/", body=short(), length=4))


async def test_a_large_answer_is_held_back_until_it_is_read(pool_of: MakePool) -> None:
    sent = 0

    async def flood(stream: trio.abc.Stream) -> None:
        nonlocal sent
        await read_head(stream)
        await stream.send_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000000\r\n\r\n")
        while True:
            await stream.send_all(bytes(1_000_000))
            sent += 1

    async with open_raw_server(flood) as port, pool_of(port).exchange(POST) as response:
        await response.receive_some()
        before = -1
        while sent != before:  # until the sender stands still
            before = sent
            await trio.sleep(0.05)
        assert sent < 50


async def test_an_answer_over_the_limit_is_refused(pool_of: MakePool) -> None:
    handle, _ = answering(http_answer(bytes(2000)))
    async with open_raw_server(handle) as port:
        pool = pool_of(port)
        with pytest.raises(BadReply):
            async with pool.exchange(POST) as response:
                await response.read(1000)


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 200 OK\r\nx: " + bytes([97]) * 200_000,
        b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 101 + b"content-length: 0\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n" * 9,
        b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
    ],
)
async def test_what_is_not_http_or_breaks_a_bound_is_a_bad_reply(head: bytes, pool_of: MakePool) -> None:
    async def handle(stream: trio.abc.Stream) -> None:
        await read_head(stream)
        await stream.send_all(head)
        await stream.receive_some()

    async with open_raw_server(handle) as port:
        with pytest.raises(BadReply):
            await ask(pool_of(port))


async def test_no_more_connections_than_allowed_are_open_at_once(pool_of: MakePool) -> None:
    open_now = most = 0

    async def handle(stream: trio.abc.Stream) -> None:
        nonlocal open_now, most
        open_now += 1
        most = max(most, open_now)
        await read_head(stream)
        await trio.sleep(0.01)
        await stream.send_all(http_answer(b"ok"))
        open_now -= 1

    async with open_raw_server(handle) as port:
        pool = pool_of(port, max_connections=3)
        async with trio.open_nursery() as nursery:
            for _ in range(12):
                nursery.start_soon(ask, pool)
    assert most <= 3


async def test_cancelling_closes_the_connection(pool_of: MakePool) -> None:
    closed = trio.Event()

    async def handle(stream: trio.abc.Stream) -> None:
        await read_head(stream)
        try:
            await stream.receive_some()
            await stream.receive_some()
        finally:
            closed.set()

    async with open_raw_server(handle) as port:
        with trio.move_on_after(0.05) as scope:
            await ask(pool_of(port))
        assert scope.cancelled_caught
        with trio.fail_after(5):
            await closed.wait()


def run_with_answer(answer: bytes, use: Callable[[HttpPool], Awaitable[None]]) -> None:
    async def main() -> None:
        near, far = trio.testing.memory_stream_pair()

        async def dial() -> Dialled:
            return Dialled(near, "x")

        await far.send_all(answer)
        await far.send_eof()
        await use(HttpPool(dial))

    trio.run(main)


PARTS = st.sampled_from(
    [b"HTTP/1.1 200 OK\r\n", b"\r\n", b"content-length: 5\r\n", b"transfer-encoding: chunked\r\n", b"5\r\n", b"hello"]
)


@settings(deadline=None, max_examples=150)
@given(st.one_of(st.binary(max_size=300), st.lists(st.one_of(PARTS, st.binary(max_size=8))).map(b"".join)))
def test_any_bytes_at_all_are_an_answer_or_one_clear_error(answer: bytes) -> None:
    async def use(pool: HttpPool) -> None:
        with contextlib.suppress(LinkError):
            assert len(await ask(pool)) <= len(answer)

    run_with_answer(answer, use)


@settings(deadline=None, max_examples=40)
@given(st.lists(st.integers(0, 200_000), max_size=8), st.booleans(), st.booleans())
def test_a_streamed_body_arrives_whole_however_it_is_cut(sizes: list[int], known: bool, views: bool) -> None:
    whole = b"".join(bytes([n % 256]) * size for n, size in enumerate(sizes))

    async def body() -> AsyncIterator[bytes | memoryview]:
        for n, size in enumerate(sizes):
            piece = bytes([n % 256]) * size
            yield memoryview(piece) if views else piece

    async def main() -> None:
        near, far = trio.testing.memory_stream_pair()
        got = bytearray()

        async def dial() -> Dialled:
            return Dialled(near, "x")

        async def serve() -> None:
            server = h11.Connection(h11.SERVER)
            while True:
                event = server.next_event()
                if event is h11.NEED_DATA:
                    server.receive_data(bytes(await far.receive_some()))
                elif isinstance(event, h11.Data):
                    got.extend(event.data)
                elif isinstance(event, h11.EndOfMessage):
                    break
            await far.send_all(http_answer(b"thanks"))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(serve)
            request = Request("POST", "/", body=body(), length=len(whole) if known else None)
            assert await ask(HttpPool(dial), request) == b"thanks"
        assert got == whole

    trio.run(main)
