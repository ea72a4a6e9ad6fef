"""The coordinator client against a server that signs in, over TLS and real sockets."""

import contextlib
import math
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing
from hypothesis import given, settings
from hypothesis import strategies as st

from crypto.identity import DeviceKeys, SigningKey, coordinator_hash
from peer.link.coordinator import CoordinatorClient, SignedIn
from peer.link.download import Download
from peer.link.errors import BadReply, LinkError, Unreachable, WrongIdentity
from peer.link.network import TrioNetwork
from protocol import codec, frames, messages
from protocol.ids import BlockId, WorkspaceId
from protocol.messages import Refusal, RefusalCode
from tests.common.link_server import (
    ScriptedCoordinator,
    SeededEntropy,
    TrioClock,
    http_answer,
    identity_of,
    open_http_server,
    open_raw_server,
    read_head,
    write_certificate,
)

IDENTITY = identity_of(1)
KEYS = DeviceKeys.from_seed(bytes(32))
WORKSPACE = WorkspaceId(bytes(32))
NO_WORKSPACES = messages.Workspaces(())


def make_client(
    port: int, identity: bytes = IDENTITY.public, scheme: str = "https", **options: Any
) -> CoordinatorClient:
    return CoordinatorClient(
        addresses=[f"{scheme}://127.0.0.1:{port}"],
        identity=identity,
        keys=KEYS,
        network=TrioNetwork(),
        clock=TrioClock(),
        entropy=SeededEntropy(),
        **options,
    )


@contextlib.asynccontextmanager
async def running(
    tmp_path: Path, identity: bytes = IDENTITY.public, certificate: SigningKey = IDENTITY, **options: Any
) -> AsyncIterator[tuple[ScriptedCoordinator, CoordinatorClient]]:
    app = ScriptedCoordinator(IDENTITY, KEYS.sign.public)
    app.answers["/v1/workspaces"] = lambda body: NO_WORKSPACES
    async with open_http_server(app, write_certificate(tmp_path, certificate)) as port:
        client = make_client(port, identity, **options)
        yield app, client
        await client.aclose()


async def test_a_request_signs_in_first_and_pins_the_whole_key(tmp_path: Path) -> None:
    told: list[SignedIn] = []
    async with running(tmp_path, coordinator_hash(IDENTITY.public), signed_in=told.append) as (app, client):
        app.addresses = ("https://elsewhere.test",)
        assert await client.request(messages.WorkspacesRequest()) == NO_WORKSPACES
        assert await client.request(messages.WorkspacesRequest()) == NO_WORKSPACES
        assert app.seen == ["/v1/challenge", "/v1/login", "/v1/workspaces", "/v1/workspaces"]
        assert client.identity == IDENTITY.public
        assert told[0].identity == IDENTITY.public
        assert told[0].addresses == ("https://elsewhere.test",)
        assert "unheard-of" not in told[0].capabilities
        assert told[0].token.hex() not in repr(told[0])


async def test_many_tasks_share_one_login(tmp_path: Path) -> None:
    async with running(tmp_path) as (app, client):
        async with trio.open_nursery() as nursery:
            for _ in range(20):
                nursery.start_soon(client.request, messages.WorkspacesRequest())
        assert app.logins == 1


async def test_a_token_that_is_no_longer_taken_is_replaced_once(tmp_path: Path) -> None:
    async with running(tmp_path) as (app, client):
        await client.request(messages.WorkspacesRequest())
        app.tokens.clear()
        assert await client.request(messages.WorkspacesRequest()) == NO_WORKSPACES
        assert app.logins == 2


async def test_a_token_is_renewed_before_it_expires(tmp_path: Path) -> None:
    async with running(tmp_path) as (app, client):
        app.lifetime_ms = 0
        await client.request(messages.WorkspacesRequest())
        await client.request(messages.WorkspacesRequest())
        assert app.logins == 2


async def test_a_device_that_may_not_sign_in_gets_the_refusal(tmp_path: Path) -> None:
    async with running(tmp_path) as (app, client):
        app.device_sign = identity_of(9).public
        answer = await client.request(messages.WorkspacesRequest())
        assert isinstance(answer, Refusal)
        assert answer.code is RefusalCode.UNAUTHENTICATED
        assert app.seen == ["/v1/challenge", "/v1/login"] * 2, "it is not asked for ever"


async def test_a_login_whose_answer_was_lost_is_made_again_with_another_challenge(tmp_path: Path) -> None:
    async with running(tmp_path) as (app, client):
        app.answers_lost = 1
        assert await client.request(messages.WorkspacesRequest()) == NO_WORKSPACES
        assert app.seen == ["/v1/challenge", "/v1/login", "/v1/challenge", "/v1/login", "/v1/workspaces"]


async def test_another_major_version_is_an_old_client(tmp_path: Path) -> None:
    async with running(tmp_path) as (app, client):
        app.major = 2
        answer = await client.request(messages.WorkspacesRequest())
        assert isinstance(answer, Refusal)
        assert answer.code is RefusalCode.OLD_CLIENT
        assert app.logins == 0


async def test_a_stranger_with_a_certificate_of_its_own_hears_no_request(tmp_path: Path) -> None:
    async with running(tmp_path, certificate=identity_of(3)) as (app, client):
        with pytest.raises(WrongIdentity):
            await client.request(messages.WorkspacesRequest())
        assert not app.seen


async def test_a_proxy_that_cannot_prove_the_identity_is_refused() -> None:
    app = ScriptedCoordinator(IDENTITY, KEYS.sign.public)
    app.proves = identity_of(4)
    async with open_http_server(app) as port:
        client = make_client(port, scheme="http")
        with pytest.raises(WrongIdentity):
            await client.request(messages.WorkspacesRequest())
        app.identity = identity_of(4)
        with pytest.raises(WrongIdentity):
            await client.request(messages.WorkspacesRequest())
        await client.aclose()
    assert app.logins == 0


def block(number: int, size: int = 1000) -> tuple[BlockId, bytes]:
    return BlockId(number.to_bytes(32, "big")), bytes([number % 256]) * size


async def send_frames(send: Any, *parts: bytes) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    for part in parts:
        await send({"type": "http.response.body", "body": part, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


async def fetch(client: CoordinatorClient, ids: list[BlockId]) -> list[frames.Frame]:
    got: list[frames.Frame] = []
    async with client.open_download(WORKSPACE, ids) as download:
        assert isinstance(download, Download)
        async for batch in download:
            got += batch
    return got


async def test_blocks_are_downloaded_in_the_order_asked(tmp_path: Path) -> None:
    blocks = [block(n, 100_000) for n in range(30)]
    body = [part for id_, data in blocks for part in (frames.block_head(id_, len(data)), data)]

    async def handler(scope: Any, receive: Any, send: Any) -> None:
        await send_frames(send, *body, frames.absent_frame(block(99)[0]), frames.end_frame(31))

    async with running(tmp_path) as (app, client):
        app.streams["/v1/blocks"] = handler
        got = await fetch(client, [*(id_ for id_, _ in blocks), block(99)[0]])
        assert [(frame.block, frame.data) for frame in got[:-1]] == blocks
        assert got[-1].kind is frames.FrameKind.ABSENT
        assert len(await fetch(client, [*(id_ for id_, _ in blocks), block(99)[0]])) == 31


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (frames.block_head(block(1)[0], 4) + b"full", Unreachable),
        (frames.block_head(block(1)[0], 9) + b"cut", Unreachable),
        (frames.absent_frame(block(2)[0]) + frames.end_frame(1), BadReply),
        (frames.end_frame(0), BadReply),
        (frames.absent_frame(block(1)[0]) * 2 + frames.end_frame(2), BadReply),
        (frames.absent_frame(block(1)[0]) + frames.end_frame(1) + b"x", BadReply),
        (b"<html>" * 20, BadReply),
    ],
)
async def test_a_download_that_is_cut_or_not_what_was_asked_is_an_error(
    body: bytes, error: type[LinkError], tmp_path: Path
) -> None:
    async def handler(scope: Any, receive: Any, send: Any) -> None:
        await send_frames(send, body)

    async with running(tmp_path) as (app, client):
        app.streams["/v1/blocks"] = handler
        with pytest.raises(error):
            await fetch(client, [block(1)[0]])


async def test_a_refused_download_is_a_value_and_a_lost_token_is_replaced(tmp_path: Path) -> None:
    async def handler(scope: Any, receive: Any, send: Any) -> None:
        headers = [(b"content-type", messages.MEDIA_TYPE.encode())]
        await send({"type": "http.response.start", "status": 404, "headers": headers})
        refusal = Refusal(RefusalCode.NOT_FOUND, "no such workspace")
        await send({"type": "http.response.body", "body": codec.encode(refusal)})

    async with running(tmp_path) as (app, client):
        await client.session()
        app.tokens.clear()
        app.streams["/v1/blocks"] = handler
        async with client.open_download(WORKSPACE, [block(1)[0]]) as answer:
            assert isinstance(answer, Refusal)
            assert answer.code is RefusalCode.NOT_FOUND
        assert app.logins == 2


async def test_an_upload_is_streamed_and_answered(tmp_path: Path) -> None:
    received = 0

    async def handler(scope: Any, receive: Any, send: Any) -> None:
        nonlocal received
        assert scope["path"] == f"/v1/blocks/{WORKSPACE.hex()}"
        while True:
            event = await receive()
            received += len(event.get("body", b""))
            if not event["more_body"]:
                break
        headers = [(b"content-type", messages.MEDIA_TYPE.encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": codec.encode(messages.Stored(3, 2))})

    async def body() -> AsyncIterator[bytes]:
        for _ in range(50):
            yield bytes(100_000)

    async with running(tmp_path) as (app, client):
        app.streams["/v1/blocks/"] = handler
        assert await client.upload(WORKSPACE, body()) == messages.Stored(3, 2)
        assert received == 5_000_000
        assert await client.upload(WORKSPACE, body(), 5_000_000) == messages.Stored(3, 2)


async def test_an_upload_refused_early_is_a_value(tmp_path: Path) -> None:
    async def handler(scope: Any, receive: Any, send: Any) -> None:
        headers = [(b"content-type", messages.MEDIA_TYPE.encode())]
        await send({"type": "http.response.start", "status": 507, "headers": headers})
        await send({"type": "http.response.body", "body": codec.encode(Refusal(RefusalCode.SERVER_FULL, "full"))})
        while (await receive()).get("more_body"):
            pass

    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield bytes(100_000)

    async with running(tmp_path) as (app, client):
        app.streams["/v1/blocks/"] = handler
        answer = await client.upload(WORKSPACE, endless())
        assert isinstance(answer, Refusal)
        assert answer.code is RefusalCode.SERVER_FULL
        assert await client.request(messages.WorkspacesRequest()) == NO_WORKSPACES


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (http_answer(b"<html>", "502 Bad Gateway", "text/html"), Unreachable),
        (http_answer(b"<html>", "200 OK", "text/html"), BadReply),
        (http_answer(b"", "404 Not Found"), BadReply),
        (http_answer(codec.encode(messages.Ok())), BadReply),
        (http_answer(b"\x93\xc1"), BadReply),
        (http_answer(b"\x91" * 10_000), BadReply),
    ],
)
async def test_an_answer_that_is_not_the_coordinators_is_one_clear_error(answer: bytes, error: type[LinkError]) -> None:
    async def handle(stream: trio.abc.Stream) -> None:
        await read_head(stream)
        await stream.send_all(answer)
        await stream.receive_some()

    async with open_raw_server(handle) as port:
        client = make_client(port, scheme="http")
        with pytest.raises(error):
            await client.request(messages.InvitationRequest(bytes(32)))
        await client.aclose()


@settings(deadline=None, max_examples=60)
@given(st.binary(max_size=200))
def test_any_body_at_all_is_a_reply_or_one_clear_error(body: bytes) -> None:
    near, far = trio.testing.memory_stream_pair()

    class Wire:
        async def connect(self, host: str, port: int) -> trio.abc.Stream:
            return near

    async def main() -> None:
        await far.send_all(http_answer(body))
        client = CoordinatorClient(
            addresses=["http://127.0.0.1:1"],
            identity=IDENTITY.public,
            keys=KEYS,
            network=Wire(),
            clock=TrioClock(),
            entropy=SeededEntropy(),
        )
        with contextlib.suppress(LinkError):
            await client.request(messages.WorkspacesRequest())

    trio.run(main)


async def test_the_time_is_the_coordinators_once_it_was_asked(tmp_path: Path) -> None:
    async with running(tmp_path) as (_, client):
        assert client.now_ms() >= TrioClock().wall_ns() // 1_000_000 - 1_000
        asked_at = trio.current_time()
        await client.prove()
        since_ms = 1_000 * (trio.current_time() - asked_at)
        assert 1_000_000 <= client.now_ms() <= 1_000_001 + since_ms


async def test_a_line_that_died_ends_the_requests_in_which_nothing_moves_and_no_others(tmp_path: Path) -> None:
    async with running(tmp_path) as (app, client):
        await client.request(messages.WorkspacesRequest())
        asked = trio.Event()

        async def never(scope: Any, receive: Any, send: Any) -> None:
            asked.set()
            await trio.sleep_forever()

        app.streams["/v1/workspaces"] = never
        async with trio.open_nursery() as nursery:
            nursery.start_soon(client.request, messages.WorkspacesRequest())
            with trio.fail_after(20):
                await asked.wait()
                assert client.last_moved_s() > 0.0
                await client.line_died(0.0)
                await trio.testing.wait_all_tasks_blocked(0.05)
                assert nursery.child_tasks
                app.streams.clear()
                await client.line_died(trio.current_time())  # it is asked again over a new connection
        assert client.last_moved_s() == -math.inf
