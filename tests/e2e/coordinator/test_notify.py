"""Wake-ups by the real server over real sockets, heard by the real client."""

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import trio
import trio.testing
from trio_websocket import ConnectionClosed, ConnectionRejected, WebSocketConnection, wrap_client_stream

from peer.link.coordinator import SignedIn
from protocol import codec, limits
from protocol.messages import NOTIFY_PATH, ChainPoke, Poke, Polled, PollRequest, Refusal, RefusalCode, Wake, Welcome
from tests.common.coordinators import Member, Served, open_member, served


@dataclass
class Here:
    served: Served
    ana: Member

    async def token(self) -> bytes:
        session = await self.ana.client.session()
        assert isinstance(session, SignedIn)
        return session.token

    @contextlib.asynccontextmanager
    async def socket(self, token: bytes | None = None) -> AsyncIterator[WebSocketConnection]:
        host, port = self.served.address
        bearer = (token or await self.token()).hex()
        headers = [(b"Authorization", b"Bearer " + bearer.encode())]
        stream = await trio.open_tcp_stream(host, port)
        try:
            async with trio.open_nursery() as nursery:
                yield await wrap_client_stream(nursery, stream, host, NOTIFY_PATH, extra_headers=headers)
                nursery.cancel_scope.cancel()
        finally:
            await trio.aclose_forcefully(stream)


async def heard(socket: WebSocketConnection) -> Wake:
    with trio.fail_after(60):
        message = await socket.get_message()
    wake: Wake = codec.decode(Wake, message, limits.POKE_BYTES)  # type: ignore[arg-type]  # a union
    return wake


async def closed(socket: WebSocketConnection) -> int | None:
    """The code with which the server closes it."""
    with trio.fail_after(60):
        while True:
            try:
                await socket.get_message()
            except ConnectionClosed as end:
                return end.reason.code if end.reason else None


@pytest.fixture
async def here(workplace: Path) -> AsyncIterator[Here]:
    with served(workplace, "--no-tls") as running:
        async with open_member(running, "ana") as ana:
            yield Here(running, ana)


async def test_a_socket_is_welcomed_told_all_heads_and_then_each_commit_inline(here: Here) -> None:
    journal = await here.ana.make_workspace()
    async with here.socket() as socket:
        assert isinstance(await heard(socket), Welcome)
        told = [await heard(socket) for _ in range(2)]
        assert ChainPoke(here.ana.user.id, 1) in told
        assert Poke(journal.id, 1, journal.log_hashes[0], 0) in told
        answer = await here.ana.commit(journal, journal.change("a"))
        poke = await heard(socket)
        assert isinstance(poke, Poke)
        assert (poke.head_seq, poke.head_hash) == (2, answer.log_hash)
        assert [row.commit for row in poke.rows] == journal.commits[1:]


async def test_a_large_commit_is_announced_without_its_contents(here: Here) -> None:
    journal = await here.ana.make_workspace()
    async with here.socket() as socket:
        for _ in range(3):
            await heard(socket)
        await here.ana.commit(journal, journal.change("a", sealed=bytes(limits.INLINE_BYTES)))
        poke = await heard(socket)
        assert isinstance(poke, Poke)
        assert (poke.head_seq, poke.rows) == (2, ())


async def test_others_hear_nothing_of_it(here: Here) -> None:
    async with open_member(here.served, "ben") as ben:
        there = Here(here.served, ben)
        async with there.socket() as socket:
            assert isinstance(await heard(socket), Welcome)
            assert isinstance(await heard(socket), ChainPoke)
            await here.ana.make_workspace()
            own = await ben.make_workspace()
            poke = await heard(socket)
            assert isinstance(poke, Poke)
            assert poke.workspace == own.id


async def test_a_new_socket_of_a_device_closes_its_old_one(here: Here) -> None:
    async with here.socket() as old:
        await heard(old)
        async with here.socket() as new:
            await heard(new)
            assert await closed(old) == 4409


async def test_without_a_token_there_is_no_socket(here: Here) -> None:
    with pytest.RaisesGroup(pytest.RaisesExc(ConnectionRejected, check=lambda error: error.status_code == 401)):
        async with here.socket(bytes(32)):
            pass


async def test_a_device_that_does_not_read_costs_others_nothing(here: Here) -> None:
    journal = await here.ana.make_workspace()
    async with open_member(here.served, "ben") as ben, here.socket() as asleep:
        async with Here(here.served, ben).socket() as awake:
            await heard(awake)
            await heard(awake)
            for number in range(60):
                await here.ana.commit(journal, journal.change(f"e{number}", sealed=bytes(40_000)))
            await ben.make_workspace()
            assert isinstance(await heard(awake), Poke)
        latest: Poke | None = None
        while latest is None or latest.head_seq < 61:
            wake = await heard(asleep)
            latest = wake if isinstance(wake, Poke) else latest


async def test_a_poll_is_answered_at_once_where_there_is_news_and_else_when_some_comes(here: Here) -> None:
    journal = await here.ana.make_workspace()
    answer = await here.ana.client.request(PollRequest((), 0, 50))
    assert answer == Polled((ChainPoke(here.ana.user.id, 1), Poke(journal.id, 1, journal.log_hashes[0], 0)))
    nothing = await here.ana.client.request(PollRequest(((journal.id, 1, 0),), 1, 0))
    assert nothing == Polled(())
    answers: list[Polled | Refusal] = []

    async def wait() -> None:
        answers.append(await here.ana.client.request(PollRequest(((journal.id, 1, 0),), 1, 50)))

    with trio.fail_after(60):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(wait)
            await trio.testing.wait_all_tasks_blocked(0.1)
            await here.ana.commit(journal, journal.change("a"))
    (polled,) = answers
    assert isinstance(polled, Polled)
    assert [wake.head_seq for wake in polled.wakes if isinstance(wake, Poke)] == [2]


async def test_open_sockets_and_polls_do_not_hold_up_the_stop(here: Here) -> None:
    async with here.socket() as socket:
        await heard(socket)

        async def poll() -> None:
            with contextlib.suppress(Exception):
                await here.ana.client.request(PollRequest((), 10, 50))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(poll)
            await trio.testing.wait_all_tasks_blocked(0.1)
            assert await trio.to_thread.run_sync(here.served.program.stop, 10) == 0
            nursery.cancel_scope.cancel()
        assert await closed(socket) == 1012


async def test_too_many_requests_at_once_are_refused_with_a_time_to_come_back(here: Here) -> None:
    token, body = (await here.token()).hex().encode(), codec.encode(PollRequest((), 10, 50))
    head = b"POST /v1/poll HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Length: %d\r\n\r\n"
    async with contextlib.AsyncExitStack() as stack:
        streams = [await stack.enter_async_context(await trio.open_tcp_stream(*here.served.address)) for _ in range(40)]
        for stream in streams:
            await stream.send_all(head % (token, len(body)) + body)
        answers: list[bytes] = []

        async def listen(stream: trio.SocketStream) -> None:
            answers.append(bytes(await stream.receive_some()))
            nursery.cancel_scope.cancel()

        with trio.fail_after(40):
            async with trio.open_nursery() as nursery:
                for stream in streams:
                    nursery.start_soon(listen, stream)
        assert b" 429 " in answers[0]
        answer = await here.ana.client.request(PollRequest((), 10, 20))
    assert isinstance(answer, Refusal)
    assert answer.code is RefusalCode.RATE_LIMITED
    assert answer.retry_after_ms > 0
