"""Wake-ups: the socket, keeping it alive, coming back, and polling instead."""

import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing
from trio.abc import Stream

from peer.link.addresses import ATTEMPT_S
from peer.link.backoff import Backoff
from peer.link.coordinator import CoordinatorClient
from peer.link.mailbox import Mailbox
from peer.link.network import TrioNetwork
from peer.link.notify import ANSWER_S, SILENCE_S, Notifications
from peer.ports import Network
from protocol import codec, messages
from protocol.ids import LogHash, UserId, WorkspaceId
from protocol.messages import ChainPoke, Poke, Welcome
from tests.common.link_server import (
    ScriptedCoordinator,
    SeededEntropy,
    TrioClock,
    open_http_server,
    open_raw_server,
    write_certificate,
)
from tests.unit.link.test_coordinator import IDENTITY, KEYS

WELCOME = Welcome(7)


@pytest.fixture
def patient_clock() -> trio.testing.MockClock:
    """Virtual time that only jumps once real sockets have been quiet for a moment."""
    return trio.testing.MockClock(autojump_threshold=0.2)


def poke(workspace: int, seq: int) -> Poke:
    return Poke(WorkspaceId(bytes([workspace]) * 32), seq, LogHash(bytes(32)), 0)


def nothing_known() -> tuple[tuple[tuple[WorkspaceId, int, int], ...], int]:
    return (), 0


async def until(holds: Callable[[], bool], client: CoordinatorClient) -> None:
    with trio.fail_after(20):
        while not holds():
            await client.status.wait_changed()


@contextlib.asynccontextmanager
async def notified(
    port: int, network: Network | None = None, scheme: str = "http"
) -> AsyncIterator[tuple[CoordinatorClient, Notifications]]:
    client = CoordinatorClient(
        addresses=[f"{scheme}://127.0.0.1:{port}"],
        identity=IDENTITY.public,
        keys=KEYS,
        network=network or TrioNetwork(),
        clock=TrioClock(),
        entropy=SeededEntropy(),
    )
    notifications = Notifications(client, TrioClock(), SeededEntropy(), nothing_known)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(notifications.run)
        yield client, notifications
        nursery.cancel_scope.cancel()
    await client.aclose()


async def send_wake(send: Any, wake: messages.Wake) -> None:
    await send({"type": "websocket.send", "bytes": codec.encode(wake)})


async def test_wakes_arrive_over_tls_and_the_state_is_connected(tmp_path: Path) -> None:
    app = ScriptedCoordinator(IDENTITY, KEYS.sign.public)

    async def script(receive: Any, send: Any) -> None:
        await send_wake(send, WELCOME)
        await send_wake(send, poke(1, 5))
        await receive()

    app.websocket = script
    async with (
        open_http_server(app, write_certificate(tmp_path, IDENTITY)) as port,
        notified(port, scheme="https") as (client, notifications),
    ):
        with trio.fail_after(10):
            assert await notifications.mailbox.get() == WELCOME
            assert client.status.current.state == "connected"
            assert await notifications.mailbox.get() == poke(1, 5)


async def test_a_closed_socket_is_opened_again_and_welcomed_again() -> None:
    app = ScriptedCoordinator(IDENTITY, KEYS.sign.public)

    async def script(receive: Any, send: Any) -> None:
        await send_wake(send, WELCOME)
        await send({"type": "websocket.close", "code": 1001})

    app.websocket = script
    async with open_http_server(app) as port, notified(port) as (_, notifications):
        with trio.fail_after(20):
            for _ in range(3):
                assert await notifications.mailbox.get() == WELCOME
    assert app.logins == 1


async def test_a_token_that_the_socket_refuses_is_replaced() -> None:
    app = ScriptedCoordinator(IDENTITY, KEYS.sign.public)

    async def script(receive: Any, send: Any) -> None:
        await send_wake(send, WELCOME)
        if app.logins == 1:
            app.tokens.clear()
            await send({"type": "websocket.close", "code": 1001})
        await receive()

    app.websocket = script
    async with open_http_server(app) as port, notified(port) as (_, notifications):
        with trio.fail_after(20):
            await notifications.mailbox.get()
            await notifications.mailbox.get()
    assert app.logins == 2


async def test_a_login_that_runs_out_is_followed_by_another_without_a_word(
    patient_clock: trio.testing.MockClock,
) -> None:
    app = ScriptedCoordinator(IDENTITY, KEYS.sign.public)

    async def script(receive: Any, send: Any) -> None:
        await send_wake(send, WELCOME)
        if app.logins == 1:
            await trio.sleep(30)
            await send({"type": "websocket.close", "code": 4401})
        await receive()

    app.websocket = script
    async with open_http_server(app) as port, notified(port) as (client, notifications):
        assert await notifications.mailbox.get() == WELCOME
        connected = client.status.current
        assert await notifications.mailbox.get() == WELCOME
        assert client.status.current == connected
    assert app.logins == 2


async def test_a_device_that_may_not_sign_in_is_offline_and_says_why() -> None:
    app = ScriptedCoordinator(IDENTITY, KEYS.sign.public)
    app.major = 2
    async with open_http_server(app) as port, notified(port) as (client, _):
        await until(lambda: client.status.current.state == "offline", client)
        assert client.status.current.refused is messages.RefusalCode.OLD_CLIENT


@pytest.mark.parametrize("message", [b"junk", codec.encode(poke(1, 1)), bytes(300_000)])
async def test_a_socket_that_does_not_begin_with_a_welcome_is_given_up(message: bytes) -> None:
    app = ScriptedCoordinator(IDENTITY, KEYS.sign.public)

    async def script(receive: Any, send: Any) -> None:
        await send({"type": "websocket.send", "bytes": message})
        await receive()

    app.websocket = script
    async with open_http_server(app) as port, notified(port) as (client, _):
        await until(lambda: client.status.current.state == "offline", client)
        assert client.status.current.reason


async def test_where_nothing_lets_sockets_through_it_polls() -> None:
    app = ScriptedCoordinator(IDENTITY, KEYS.sign.public)
    polls = 0

    def answer(body: bytes) -> messages.Polled:
        nonlocal polls
        polls += 1
        return messages.Polled((poke(1, polls),) if polls < 3 else ())

    app.answers["/v1/poll"] = answer
    async with open_http_server(app) as port, notified(port) as (client, notifications):
        with trio.fail_after(10):
            assert isinstance(await notifications.mailbox.get(), Welcome)
            assert isinstance(await notifications.mailbox.get(), Poke)
        assert client.status.current.state == "connected"
    assert app.seen.count("/v1/notify") == 1


@pytest.mark.parametrize("is_taken", [True, False])
async def test_where_sockets_are_taken_and_then_nothing_comes_it_polls(
    is_taken: bool, patient_clock: trio.testing.MockClock
) -> None:
    app = ScriptedCoordinator(IDENTITY, KEYS.sign.public)
    app.answers["/v1/poll"] = lambda body: messages.Polled(())

    async def script(receive: Any, send: Any) -> None:
        if is_taken:
            await trio.sleep_forever()
        await send({"type": "websocket.close", "code": 1011})

    app.websocket = script
    async with open_http_server(app) as port, notified(port) as (client, notifications):
        assert isinstance(await notifications.mailbox.get(), Welcome)
        assert client.status.current.state == "connected"
    assert app.seen.count("/v1/notify") == 2


async def test_an_upgrade_answered_without_end_is_given_up() -> None:
    app = ScriptedCoordinator(IDENTITY, KEYS.sign.public)
    ended = trio.Event()

    async def flood(stream: Stream) -> None:
        await stream.receive_some()
        await stream.send_all(b"HTTP/1.1 400 Bad\r\ncontent-length: 999999999\r\n\r\n")
        try:
            while True:
                await stream.send_all(bytes(65536))
        finally:
            ended.set()

    class Split:
        """Requests go to the coordinator, every later connection to the flood."""

        def __init__(self, ports: list[int]) -> None:
            self.ports = ports

        async def connect(self, host: str, port: int) -> Stream:
            return await trio.open_tcp_stream(host, self.ports.pop(0) if len(self.ports) > 1 else self.ports[0])

    async with (
        open_http_server(app) as port,
        open_raw_server(flood) as flooding,
        notified(port, Split([port, flooding])) as (client, _),
    ):
        with trio.fail_after(10):
            await ended.wait()
        await until(lambda: client.status.current.state == "offline", client)


class Relays:
    """A network whose connections can all go dead at once: nothing more passes, and nothing is closed."""

    def __init__(self, nursery: trio.Nursery) -> None:
        self._nursery = nursery
        self._relaying: list[trio.CancelScope] = []

    async def connect(self, host: str, port: int) -> Stream:
        near, far = trio.testing.memory_stream_pair()
        real = await trio.open_tcp_stream(host, port)
        for source, sink in ((far, real), (real, far)):
            self._relaying.append(trio.CancelScope())
            self._nursery.start_soon(self._relay, source, sink, self._relaying[-1])
        return near

    def die(self) -> None:
        for scope in self._relaying:
            scope.cancel()

    @staticmethod
    async def _relay(source: Stream, sink: Stream, scope: trio.CancelScope) -> None:
        try:
            with scope, contextlib.suppress(trio.BrokenResourceError, trio.ClosedResourceError):
                while data := await source.receive_some(65536):
                    await sink.send_all(data)
            if scope.cancelled_caught:
                await trio.sleep_forever()
        finally:
            await trio.aclose_forcefully(source)
            await trio.aclose_forcefully(sink)


async def test_a_line_that_went_dead_is_noticed_within_20_seconds(patient_clock: trio.testing.MockClock) -> None:
    """Waiting is simulated; a jump in time happens only after a while without real traffic."""
    app = ScriptedCoordinator(IDENTITY, KEYS.sign.public)

    async def script(receive: Any, send: Any) -> None:
        await send_wake(send, WELCOME)
        await receive()

    app.websocket = script
    async with (
        trio.open_nursery() as nursery,
        open_http_server(app) as port,
        notified(port, lines := Relays(nursery)) as (client, notifications),
    ):
        assert await notifications.mailbox.get() == WELCOME
        await trio.sleep(100)  # pings are answered
        assert client.status.current.state == "connected"
        lines.die()
        began = trio.current_time()
        await client.status.wait_changed()
        assert trio.current_time() - began <= SILENCE_S + ANSWER_S + 0.1 <= 20.1
        assert await notifications.mailbox.get() == WELCOME
        assert trio.current_time() - began < 50
        nursery.cancel_scope.cancel()


def test_a_device_is_back_within_30_seconds_of_its_network() -> None:
    assert Backoff().cap_s + ATTEMPT_S < 30


async def test_the_mailbox_keeps_the_newest_poke_of_each_workspace_without_its_commits() -> None:
    mailbox = Mailbox()
    mailbox.put(WELCOME)
    mailbox.put(poke(1, 1))
    mailbox.put(poke(2, 1))
    mailbox.put(poke(1, 2))
    mailbox.put(ChainPoke(UserId(bytes(16)), 3))
    got = [await mailbox.get() for _ in range(4)]
    assert got == [WELCOME, ChainPoke(UserId(bytes(16)), 3), poke(2, 1), poke(1, 2)]
    mailbox.put(poke(1, 3))
    mailbox.put(WELCOME)
    assert await mailbox.get() == WELCOME
    with trio.move_on_after(0.01) as scope:
        await mailbox.get()
    assert scope.cancelled_caught
