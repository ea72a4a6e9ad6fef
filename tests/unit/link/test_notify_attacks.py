"""What a hostile or broken far side of the notification socket can do: nothing but end the connection."""

import base64
import contextlib
import hashlib

import trio
import trio.testing
from hypothesis import example, given, settings
from hypothesis import strategies as st
from trio.abc import Stream

from peer.link.coordinator import CoordinatorClient, SignedIn
from peer.link.notify import Notifications
from protocol import codec
from protocol.ids import UserId
from protocol.messages import Welcome
from tests.common.link_server import SeededEntropy, TrioClock
from tests.unit.link.test_coordinator import IDENTITY, KEYS
from tests.unit.link.test_notify import nothing_known

GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
WELCOME = codec.encode(Welcome(1))
WELCOME_FRAME = bytes([0x82, len(WELCOME)]) + WELCOME


class SignedInClient(CoordinatorClient):
    """A client that has signed in already, so that its only connection is the socket's."""

    async def session(self) -> SignedIn:
        await trio.lowlevel.checkpoint()
        return SignedIn(UserId(bytes(16)), IDENTITY.public, (), frozenset(), bytes(32), 1e9)


def listen_to(answer: bytes, *, accept: bool) -> str:
    """The state after a connection on which `answer` was said, after a proper upgrade if `accept`."""

    async def main() -> str:
        near, far = trio.testing.memory_stream_pair()
        lines: list[Stream] = [near]

        class Wire:
            async def connect(self, host: str, port: int) -> Stream:
                if not lines:
                    raise OSError("no more")
                return lines.pop()

        client = SignedInClient(
            addresses=["http://127.0.0.1:1"],
            identity=IDENTITY.public,
            keys=KEYS,
            network=Wire(),
            clock=TrioClock(),
            entropy=SeededEntropy(),
        )
        notifications = Notifications(client, TrioClock(), SeededEntropy(), nothing_known)

        async def serve() -> None:
            with contextlib.suppress(trio.BrokenResourceError, trio.ClosedResourceError):
                request = await far.receive_some()
                if accept:
                    key = next(line for line in request.split(b"\r\n") if b"key" in line.lower()).split(b": ")[1]
                    proof = base64.b64encode(hashlib.sha1(key + GUID).digest())
                    await far.send_all(
                        b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n"
                        b"sec-websocket-accept: " + proof + b"\r\n\r\n"
                    )
                await far.send_all(answer)
                await far.aclose()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(serve)
            nursery.start_soon(notifications.run)
            while client.status.current.state != "offline":
                await client.status.wait_changed()
            nursery.cancel_scope.cancel()
        return client.status.current.state

    return trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))


@settings(deadline=None, max_examples=150)
@given(st.binary(max_size=200), st.booleans())
@example(b"\x81\x01x", True)  # text
@example(b"\x82\x00", True)  # empty
@example(b"\x82\x7f\xff\xff\xff\xff\xff\xff\xff\xff", True)  # endless
@example(b"\x82\x7f\x00\x00\x00\x00\x7f\xff\xff\xff", True)
@example(b"\x88\x01x", True)  # a close without a code
@example(b"\x88\x02\xff\xff", True)
@example(b"\x88\x04\x03\xe8\xff\xff", True)
@example(b"\x82\x81xxxxx", True)  # masked
@example(b"\xf2\x01x", True)  # reserved bits
@example(b"\x8a\x7e", True)
@example(b"\x80\x01x", True)  # a continuation of nothing
def test_any_bytes_after_the_upgrade_end_the_connection_and_nothing_else(answer: bytes, welcomed: bool) -> None:
    assert listen_to((WELCOME_FRAME if welcomed else b"") + answer, accept=True) == "offline"


@settings(deadline=None, max_examples=150)
@given(
    st.one_of(
        st.binary(max_size=200),
        st.lists(
            st.sampled_from(
                [
                    b"HTTP/1.1 101 Switching Protocols\r\n",
                    b"HTTP/1.1 200 OK\r\n",
                    b"HTTP/1.1 429 Wait\r\n",
                    b"HTTP/1.1 401 No\r\n",
                    b"upgrade: websocket\r\n",
                    b"connection: upgrade\r\n",
                    b"sec-websocket-accept: x\r\n",
                    b"sec-websocket-extensions: permessage-deflate\r\n",
                    b"sec-websocket-protocol: x\r\n",
                    b"content-length: 3\r\n",
                    b"transfer-encoding: chunked\r\n",
                    b"\r\n",
                    b"abc",
                    b"\xff\xfe: \xff\r\n",
                ]
            ),
            max_size=9,
        ).map(b"".join),
    )
)
def test_any_answer_to_the_upgrade_ends_the_connection_and_nothing_else(answer: bytes) -> None:
    assert listen_to(answer, accept=False) == "offline"
