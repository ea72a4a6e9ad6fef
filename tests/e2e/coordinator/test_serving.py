"""Connections that misbehave hurt nobody else, and do not hold up the stop. Real sockets, the real protocol stack."""

import gc
import socket
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import trio

from coordinator.connection import PROVE, Connection, ServingLimits
from coordinator.serving import serve
from coordinator.tls import TlsListener, TlsStream, given_context
from peer.link.tls import open_client_tls, pinned_context
from tests.common.link_server import identity_of, write_certificate

QUICK = ServingLimits(send_s=0.5, head_s=0.5, body_idle_s=0.5, linger_s=0.2, grace_s=0.5, app_s=2, unproven=20)
UPGRADE = (
    b"GET /socket HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
)
GET = b"GET /hello HTTP/1.1\r\nHost: x\r\n\r\n"


class Site:
    """A small application, and what happened in it."""

    def __init__(self) -> None:
        self.bodies: list[int] = []
        self.sent = 0
        self.ended = trio.Event()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "websocket":
            await self.socket(receive, send)
            return
        match scope["path"]:
            case "/hello":
                scope["state"][PROVE]()
                await self.reply(send, b"hello")
            case "/flood":
                await self.flood(send)
            case "/refuse":
                await self.reply(send, b"no", 413)
            case "/upload":
                await self.upload(receive, send)
            case "/crash":
                raise RuntimeError("a bug")
            case "/hang":
                await trio.sleep_forever()
            case _:
                pass

    async def reply(self, send: Any, body: bytes, status: int = 200) -> None:
        headers = [(b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body, "more_body": False})

    async def flood(self, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        try:
            while True:
                await send({"type": "http.response.body", "body": bytes(2**18), "more_body": True})
                self.sent += 1
        finally:
            self.ended.set()

    async def upload(self, receive: Any, send: Any) -> None:
        size = 0
        while (event := await receive())["type"] == "http.request":
            size += len(event["body"])
            if not event["more_body"]:
                break
        self.bodies.append(size)
        self.ended.set()
        await self.reply(send, str(size).encode())

    async def socket(self, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        try:
            while True:  # never looks at what arrives, has no other checkpoint
                await send({"type": "websocket.send", "bytes": bytes(2**16)})
        finally:
            self.ended.set()


class Running:
    def __init__(self, listener: trio.SocketListener, site: Site, stop: trio.Event, done: trio.Event) -> None:
        self.port: int = listener.socket.getsockname()[1]
        self.site, self.stop, self.done = site, stop, done

    async def connect(self) -> trio.SocketStream:
        return await trio.open_tcp_stream("127.0.0.1", self.port)

    async def ask(self, request: bytes) -> bytes:
        async with await self.connect() as stream:
            await stream.send_all(request)
            return await read_until(stream, b"hello")


async def read_until(stream: trio.SocketStream, end: bytes) -> bytes:
    got = b""
    with trio.fail_after(30):
        while not got.endswith(end) and (data := await stream.receive_some(65536)):
            got += data
    return got


async def read_to_end(stream: trio.SocketStream) -> bytes:
    got = b""
    with trio.fail_after(30):
        try:
            while data := await stream.receive_some(65536):
                got += data
        except trio.BrokenResourceError:
            pass
    return got


@asynccontextmanager
async def serving(limits: ServingLimits = QUICK, tls: ssl.SSLContext | None = None) -> AsyncIterator[Running]:
    site, stop, done = Site(), trio.Event(), trio.Event()
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    listeners: list[trio.abc.Listener[Any]] = [TlsListener(listener, tls) if tls else listener]

    async def run(task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        await serve(site, listeners, stop=stop, limits=limits, task_status=task_status)
        done.set()

    async with trio.open_nursery() as nursery:
        await nursery.start(run)
        yield Running(listener, site, stop, done)
        stop.set()
        with trio.fail_after(30):
            await done.wait()


async def test_answers_a_request_and_the_next_one_on_the_same_connection() -> None:
    async with serving() as running, await running.connect() as stream:
        for _ in range(3):
            await stream.send_all(GET)
            assert b"200" in await read_until(stream, b"hello")


@pytest.mark.parametrize(
    "request_bytes",
    [
        UPGRADE + b"\r\nx",
        UPGRADE + b"\r\n\x00\x00\x00",
        UPGRADE.replace(b"13", b"99") + b"\r\n",
        UPGRADE.replace(b"Sec-WebSocket-Key", b"X") + b"\r\n",
        UPGRADE.replace(b"Upgrade: websocket\r\n", b"") + b"\r\n",
        UPGRADE.replace(b"1.1", b"1.0", 1) + b"\r\n",
        UPGRADE + b"Content-Length: 5\r\n\r\nhello",
        UPGRADE + b"Sec-WebSocket-Extensions: permessage-deflate; x=\xff\r\n\r\n",
        b"GET /h\xffello HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET /hello HTTP/1.1\r\nHost: x\r\nUpgrade: h2c\r\nConnection: Upgrade\r\nHTTP2-Settings: !!\r\n\r\n",
        b"POST /upload HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"POST /upload HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n",
        b"POST /upload HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(500),
        b"X" * 40_000,
        b"GET / HTTP/1.1\r\nHost: x\r\n" + b"A: b\r\n" * 10_000,
        GET * 50,
    ],
)
async def test_malformed_requests_end_their_own_connection_only(request_bytes: bytes) -> None:
    async with serving() as running:
        for _ in range(3):
            async with await running.connect() as stream:
                try:
                    await stream.send_all(request_bytes)
                    await stream.send_eof()
                except trio.BrokenResourceError:
                    continue
                await read_to_end(stream)
        assert b"hello" in await running.ask(GET)


async def test_a_reader_that_sleeps_is_cut_after_its_deadline_and_holds_little() -> None:
    async with serving() as running, await running.connect() as stream:
        await stream.send_all(b"GET /flood HTTP/1.1\r\nHost: x\r\n\r\n")
        with trio.fail_after(30):
            await running.site.ended.wait()
        assert running.site.sent * 2**18 < 32 * 2**20
        assert b"hello" in await running.ask(GET)


async def test_a_reader_that_is_slow_is_not_taken_for_one_that_sleeps() -> None:
    limits = replace(QUICK, send_s=2, slowest_bytes=1)
    async with serving(limits) as running:
        sock = trio.socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16_384)
        await sock.connect(("127.0.0.1", running.port))
        async with trio.SocketStream(sock) as stream:
            await stream.send_all(b"GET /flood HTTP/1.1\r\nHost: x\r\n\r\n")
            began = trio.current_time()
            while trio.current_time() < began + 3 * limits.send_s:
                assert await stream.receive_some(8_192)
                assert not running.site.ended.is_set()
                await trio.sleep(0.08)  # the test is of being slow


async def test_a_socket_whose_reader_sleeps_is_cut_though_the_application_only_sends() -> None:
    async with serving() as running, await running.connect() as stream:
        await stream.send_all(UPGRADE + b"\r\n")
        with trio.fail_after(30):
            while not running.site.ended.is_set():
                assert b"hello" in await running.ask(GET)
                if (await stream.socket.recv(16, 2)) == b"":  # MSG_PEEK: closed by the server
                    break
                await trio.sleep(0.05)


async def test_a_closed_socket_does_not_let_a_loop_of_sends_hold_up_everybody() -> None:
    async with serving() as running:
        stream = await running.connect()
        await stream.send_all(UPGRADE + b"\r\n")
        await stream.receive_some(100)
        await trio.aclose_forcefully(stream)
        for _ in range(20):
            assert b"hello" in await running.ask(GET)


async def test_readers_that_sleep_do_not_hold_up_the_stop() -> None:
    async with serving(replace(QUICK, send_s=1000)) as running:
        streams = [await running.connect() for _ in range(4)]
        for stream in streams[:2]:
            await stream.send_all(b"GET /flood HTTP/1.1\r\nHost: x\r\n\r\n")
        await streams[2].send_all(UPGRADE + b"\r\n")
        await streams[3].send_all(b"GET /hang HTTP/1.1\r\nHost: x\r\n\r\n")
        await streams[0].receive_some(10)
        running.stop.set()
        with trio.fail_after(30):
            await running.done.wait()
        for stream in streams:
            await trio.aclose_forcefully(stream)


async def test_a_head_that_drips_is_cut() -> None:
    async with serving() as running, await running.connect() as stream, trio.open_nursery() as nursery:

        async def drip() -> None:
            try:
                while True:
                    await stream.send_all(b"G")
                    await trio.sleep(0.05)
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                pass

        nursery.start_soon(drip)
        await read_to_end(stream)
        nursery.cancel_scope.cancel()


async def test_a_body_that_stands_still_is_cut_and_the_application_learns_it() -> None:
    async with serving() as running, await running.connect() as stream:
        await stream.send_all(b"POST /upload HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n12345")
        await read_to_end(stream)
        with trio.fail_after(30):
            await running.site.ended.wait()
        assert running.site.bodies == [5]


async def test_a_reply_before_the_end_of_the_body_is_read_by_the_sender() -> None:
    async with serving() as running, await running.connect() as stream:
        await stream.send_all(b"POST /refuse HTTP/1.1\r\nHost: x\r\nContent-Length: 100000000\r\n\r\n")
        try:
            for _ in range(64):
                await stream.send_all(bytes(65536))
        except trio.BrokenResourceError:
            pass
        assert b"413" in await read_until(stream, b"no")


async def test_a_flood_of_silent_connections_keeps_nobody_out() -> None:
    async with serving(replace(QUICK, head_s=1000)) as running:
        known = await running.connect()
        await known.send_all(GET)
        await read_until(known, b"hello")
        silent = [await running.connect() for _ in range(60)]
        assert b"hello" in await running.ask(GET)
        await known.send_all(GET)
        assert b"hello" in await read_until(known, b"hello")
        for stream in (known, *silent):
            await stream.aclose()


async def test_a_bug_in_the_application_is_logged_and_answered_without_details(
    no_unexpected_errors: list[Any],
) -> None:
    async with serving() as running, await running.connect() as stream:
        await stream.send_all(b"GET /crash HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        answer = await read_to_end(stream)
        assert b"500" in answer
        assert b"bug" not in answer
    assert [record.getMessage() for record in no_unexpected_errors] == ["the application failed"]
    no_unexpected_errors.clear()


UPLOAD = b"POST /upload HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n"


@pytest.mark.parametrize("stops_first", [False, True], ids=["before the server", "with the server"])
@pytest.mark.parametrize("secure", [False, True], ids=["plain", "tls"])
@pytest.mark.parametrize(
    "sent",
    [GET, GET[:-2], UPLOAD + b"12345", b"GET /flood HTTP/1.1\r\nHost: x\r\n\r\n", UPGRADE + b"\r\n", b"X" * 40_000],
    ids=["asked", "cut in a head", "cut in a body", "cut in a reply", "socket", "malformed"],
)
async def test_nothing_of_a_connection_that_has_ended_waits_for_the_collector(
    tmp_path: Path, sent: bytes, secure: bool, stops_first: bool
) -> None:
    tls = given_context(*[write_certificate(tmp_path, identity_of(1))] * 2) if secure else None
    with collector_off():
        async with serving(tls=tls) as running:
            transport = await running.connect()
            stream: trio.abc.Stream = transport
            if secure:
                stream = await open_client_tls(transport, pinned_context(), None, lambda _: True)
            await stream.send_all(sent)
            if sent not in (GET[:-2], UPLOAD + b"12345"):
                await stream.receive_some(1)
            if stops_first:
                running.stop.set()
                with trio.fail_after(30):
                    await running.done.wait()
            await trio.aclose_forcefully(transport)
        assert living(Connection, TlsStream) == 0


@contextmanager
def collector_off() -> Iterator[None]:
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def living(*kinds: type) -> int:
    return sum(type(each) in kinds for each in gc.get_objects())
