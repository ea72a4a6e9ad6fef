"""Small servers with real sockets for tests of the link: a scripted one, and a coordinator that only signs in."""

import contextlib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from pathlib import Path
from random import Random  # noqa: TID251 - seeded, for tests
from typing import Any

import trio

from coordinator.serving import open_tcp_listeners, serve
from coordinator.tls import given_context
from crypto.certificate import certificate_for
from crypto.identity import SigningKey, sign, verify
from crypto.labels import Label
from peer.link.tls import open_server_tls
from protocol import codec, limits, messages
from protocol.ids import DeviceId, UserId
from protocol.model import SUITE
from protocol.version import CAPABILITIES, MAJOR, REVISION

Handler = Callable[[trio.abc.Stream], Awaitable[None]]


class TrioClock:
    """Trio's own time; wall time starts at a fixed moment."""

    def wall_ns(self) -> int:
        return 1_790_000_000_000_000_000 + int(self.monotonic_s() * 1e9)

    def monotonic_s(self) -> float:
        return trio.current_time()

    async def sleep(self, seconds: float) -> None:
        await trio.sleep(seconds)


class SeededEntropy:
    """Repeatable chance."""

    def __init__(self, seed: int = 0) -> None:
        self._random = Random(seed)

    def token(self, size: int) -> bytes:
        return self._random.randbytes(size)

    def jitter(self, low: float, high: float) -> float:
        return self._random.uniform(low, high)


def identity_of(seed: int) -> SigningKey:
    return SigningKey.from_seed(bytes([seed]) * 32)


def write_certificate(directory: Path, identity: SigningKey) -> Path:
    """Certificate and key of an identity in one file, as `ssl` wants them."""
    pair = certificate_for(identity.seed, "shoal coordinator")
    path = directory / f"{identity.public.hex()[:16]}.pem"
    path.write_bytes(pair.certificate_pem + pair.key_pem)
    return path


def server_context(certificate: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.load_cert_chain(certificate)
    return context


@contextlib.asynccontextmanager
async def open_raw_server(handler: Handler, certificate: Path | None = None) -> AsyncIterator[int]:
    """Run `handler` for every connection; gives the port. A connection is closed when its handler returns."""
    context = server_context(certificate) if certificate else None

    async def serve_one(stream: trio.abc.Stream) -> None:
        try:
            if context is not None:
                stream = await open_server_tls(stream, context)
            await handler(stream)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            pass
        finally:
            await trio.aclose_forcefully(stream)

    async with trio.open_nursery() as nursery:
        listeners = await nursery.start(partial(trio.serve_tcp, serve_one, 0, host="127.0.0.1"))
        yield listeners[0].socket.getsockname()[1]
        nursery.cancel_scope.cancel()


async def read_head(stream: trio.abc.Stream) -> bytes:
    """Bytes up to and with the end of a request's head, and whatever came along."""
    data = b""
    while b"\r\n\r\n" not in data:
        piece = await stream.receive_some()
        if not piece:
            raise trio.BrokenResourceError
        data += piece
    return data


def http_answer(body: bytes, status: str = "200 OK", media_type: str = messages.MEDIA_TYPE) -> bytes:
    head = f"HTTP/1.1 {status}\r\ncontent-type: {media_type}\r\ncontent-length: {len(body)}\r\n\r\n"
    return head.encode() + body


class ScriptedCoordinator:
    """An ASGI application that signs devices in like a coordinator, and answers the rest as a test says.

    `answers` maps a path to a function from the request's body to a reply; `streams` maps a path's beginning to a
    whole ASGI handler. `seen` lists the paths asked for.
    """

    def __init__(self, identity: SigningKey, device_sign: bytes) -> None:
        self.identity = identity
        self.proves = identity
        self.device_sign = device_sign
        self.answers: dict[str, Callable[[bytes], codec.Message]] = {}
        self.streams: dict[str, Callable[[Any, Any, Any], Awaitable[None]]] = {}
        self.websocket: Callable[[Any, Any], Awaitable[None]] | None = None
        self.tokens: set[bytes] = set()
        self.logins = 0
        self.answers_lost = 0
        """Of so many logins the answer is lost: the client's HTTP asks once more, when the challenge is used up."""
        self.lifetime_ms = limits.TOKEN_S * 1000
        self.addresses: tuple[str, ...] = ()
        self.major = MAJOR
        self.seen: list[str] = []
        self._nonces: dict[bytes, DeviceId] = {}

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        path = scope["path"]
        self.seen.append(path)
        if scope["type"] == "websocket":
            await self._notify(scope, receive, send)
            return
        if path not in ("/v1/challenge", "/v1/login") and self._token(scope) not in self.tokens:
            refusal = messages.Refusal(messages.RefusalCode.UNAUTHENTICATED, "sign in")
            await self._reply(send, refusal, 401)
            return
        for beginning, stream in self.streams.items():
            if path.startswith(beginning):
                await stream(scope, receive, send)
                return
        body = b""
        while True:
            event = await receive()
            body += event.get("body", b"")
            if event["type"] != "http.request" or not event["more_body"]:
                break
        if path == "/v1/challenge":
            reply: codec.Message = self._challenge(body)
        elif path == "/v1/login":
            reply = self._login(body)
        else:
            reply = self.answers[path](body)
        await self._reply(send, reply, 400 if isinstance(reply, messages.Refusal) else 200)

    @staticmethod
    def _token(scope: Any) -> bytes:
        value = dict(scope["headers"]).get(b"authorization", b"").decode()
        return bytes.fromhex(value.removeprefix("Bearer "))

    @staticmethod
    async def _reply(send: Any, reply: codec.Message, status: int) -> None:
        headers = [(b"content-type", messages.MEDIA_TYPE.encode())]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": codec.encode(reply)})

    def _challenge(self, body: bytes) -> codec.Message:
        request = codec.decode(messages.ChallengeRequest, body, 10_000)
        nonce = len(self._nonces).to_bytes(32, "big")
        self._nonces[nonce] = request.device
        statement = codec.encode((SUITE, self.identity.public, request.device, request.nonce, nonce))
        return messages.Challenge(
            major=self.major,
            revision=REVISION,
            capabilities=(*CAPABILITIES, "unheard-of"),
            identity=self.identity.public,
            nonce=nonce,
            signature=sign(Label.SIGN_COORDINATOR, self.proves.secret, statement),
            time=1_000_000,
        )

    def _login(self, body: bytes) -> codec.Message:
        request = codec.decode(messages.LoginRequest, body, 10_000)
        statement = codec.encode((SUITE, self.identity.public, request.device, request.nonce))
        device = self._nonces.pop(request.nonce, None)
        if self.answers_lost:
            self.answers_lost -= 1
            device = None
        if device != request.device or not verify(Label.SIGN_LOGIN, self.device_sign, statement, request.signature):
            return messages.Refusal(messages.RefusalCode.UNAUTHENTICATED, "no")
        self.logins += 1
        token = self.logins.to_bytes(32, "big")
        self.tokens.add(token)
        return messages.LoggedIn(token, 1_000_000 + self.lifetime_ms, UserId(bytes(16)), self.addresses)

    async def _notify(self, scope: Any, receive: Any, send: Any) -> None:
        await receive()
        if self._token(scope) not in self.tokens:
            await send({"type": "websocket.http.response.start", "status": 401, "headers": []})
            await send({"type": "websocket.http.response.body", "body": b""})
        elif self.websocket is None:
            await send({"type": "websocket.http.response.start", "status": 404, "headers": []})
            await send({"type": "websocket.http.response.body", "body": b""})
        else:
            await send({"type": "websocket.accept"})
            await self.websocket(receive, send)


@contextlib.asynccontextmanager
async def open_http_server(app: Any, certificate: Path | None = None) -> AsyncIterator[int]:
    """Run an ASGI application under the coordinator's own serving; gives the port."""
    listeners: list[trio.abc.Listener[Any]] = list(await open_tcp_listeners("127.0.0.1", 0, 100))
    port = listeners[0].socket.getsockname()[1]  # type: ignore[attr-defined]  # a socket's listener
    if certificate is not None:
        listeners = [trio.SSLListener(listeners[0], given_context(certificate, certificate))]
    async with trio.open_nursery() as nursery:
        await nursery.start(partial(serve, app, listeners, stop=trio.Event()))
        yield port
        nursery.cancel_scope.cancel()
