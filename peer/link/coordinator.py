"""Asking the coordinator. Owns signing in, the token, and turning messages into requests and replies into values.

Refusals come back as values; `LinkError` means that the coordinator was not heard. Everything that is received is
bounded and typed before anybody sees it. Never logs a token or a body, and never decides what to do about a refusal.
"""

from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final, overload

import trio

from crypto.identity import DeviceKeys, sign, verify
from crypto.labels import Label
from peer.link.addresses import Dialer, Pin
from peer.link.download import Download
from peer.link.errors import BadReply, LinkError, Unreachable, WrongIdentity
from peer.link.http import Dialled, HttpPool, Request, Response
from peer.link.status import LinkStatus
from peer.ports import Clock, Entropy, Network
from protocol import codec, limits, messages
from protocol.ids import BlockId, DeviceId, UserId, WorkspaceId
from protocol.messages import Challenge, LoggedIn, Refusal, RefusalCode
from protocol.model import SUITE
from protocol.nearby import Nearby, NearbyRequest
from protocol.version import CAPABILITIES, MAJOR, REVISION

_PATHS: Final[dict[type, tuple[str, Any]]] = {
    request: (path, reply) for path, (request, reply) in messages.ENDPOINTS.items()
}
_OPEN: Final = frozenset(
    {
        messages.ChallengeRequest,
        messages.LoginRequest,
        messages.InvitationRequest,
        messages.JoinRequest,
        messages.PairingRequest,
        messages.PairRequest,
    }
)
"""What may be asked without being signed in."""
_NONCE_BYTES: Final = 32
_POLL_GRACE_S: Final = 8.0


@dataclass(frozen=True, slots=True)
class SignedIn:
    """What a login gave. `identity` is the coordinator's full key; pin it from now on."""

    user: UserId
    identity: bytes
    addresses: tuple[str, ...]
    capabilities: frozenset[str]
    token: bytes = field(repr=False)
    renew_at_s: float
    """Monotonic: when to sign in again."""

    @property
    def authorization(self) -> tuple[str, str]:
        """The header that carries the token."""
        return "Authorization", f"Bearer {self.token.hex()}"


class CoordinatorClient:
    """One device's way to its coordinator. All tasks of a daemon share one.

    `identity` is the coordinator's key (32 bytes), or the hash of it from a code (16). Without `keys` only what needs
    no login may be asked. `signed_in` is called after every login, so that key and addresses can be kept.
    """

    def __init__(
        self,
        *,
        addresses: Iterable[str],
        identity: bytes,
        keys: DeviceKeys | None,
        network: Network,
        clock: Clock,
        entropy: Entropy,
        signed_in: Callable[[SignedIn], None] | None = None,
        allow_plain: bool = False,
        max_connections: int = 8,
    ) -> None:
        self._given = tuple(addresses)
        self._dialer = Dialer(network, Pin(identity), self._given, allow_plain=allow_plain)
        self._keys = keys
        self._clock = clock
        self._entropy = entropy
        self._told = signed_in
        self._http = HttpPool(self._dialer.dial, max_connections=max_connections)
        self._session: SignedIn | None = None
        self._signing_in = trio.Lock()
        self._told_time: tuple[int, float | None] = (0, None)
        """What the coordinator's clock said, and when that was (monotonic)."""
        self._failures = 0
        self._failure: LinkError | None = None
        self.status = LinkStatus(clock)

    @property
    def url(self) -> str:
        """The address in use, or the first that would be tried; empty where there is none."""
        current = self._dialer.current
        return current.text if current else next(iter(self._dialer.addresses), "")

    @property
    def identity(self) -> bytes:
        """The pinned identity: the full key once signed in, before that what was given."""
        return self._dialer.pin.identity

    @property
    def addresses(self) -> tuple[str, ...]:
        """All addresses that are tried."""
        return self._dialer.addresses

    async def aclose(self) -> None:
        """Close the idle connections."""
        await self._http.aclose()

    def now_ms(self) -> int:
        """Milliseconds since 1970 by the coordinator's clock, as of the last login; by our own before the first.

        For what the coordinator judges by its clock, such as when something expires: ours may be years off.
        """
        told_ms, at_s = self._told_time
        if at_s is None:
            return self._clock.wall_ns() // 1_000_000
        return told_ms + int(1000 * (self._clock.monotonic_s() - at_s))

    def last_moved_s(self) -> float:
        """When something last moved in a request that is going on (trio's clock); minus infinity without any."""
        return self._http.last_moved_s()

    async def line_died(self, since_s: float) -> None:
        """No connection from before is used again; requests in which nothing moved since then end, `Unreachable`."""
        await self._http.abandon(since_s)

    # --- asking ------------------------------------------------------------------------------------------

    @overload
    async def request(self, message: messages.CommitRequest) -> messages.CommitReply: ...
    @overload
    async def request(self, message: messages.JournalRequest) -> messages.JournalReply: ...
    @overload
    async def request(self, message: messages.HandBack) -> messages.Ok | Refusal: ...
    @overload
    async def request(self, message: messages.HaveRequest) -> messages.HaveReply | Refusal: ...
    @overload
    async def request(self, message: messages.OfferedRequest) -> messages.OfferedReply: ...
    @overload
    async def request(self, message: messages.HoldingsRequest) -> messages.Ok | Refusal: ...
    @overload
    async def request(self, message: messages.LeaseRequest) -> messages.LeaseReply | Refusal: ...
    @overload
    async def request(self, message: messages.WorkspacesRequest) -> messages.Workspaces | Refusal: ...
    @overload
    async def request(self, message: messages.DevicesRequest) -> messages.Devices | Refusal: ...
    @overload
    async def request(self, message: messages.KeysDeposit) -> messages.Ok | Refusal: ...
    @overload
    async def request(self, message: messages.RevokeRequest) -> messages.Ok | Refusal: ...
    @overload
    async def request(self, message: messages.ChainRequest) -> messages.ChainReply | Refusal: ...
    @overload
    async def request(self, message: NearbyRequest) -> Nearby | Refusal: ...
    @overload
    async def request(self, message: messages.PollRequest) -> messages.Polled | Refusal: ...
    @overload
    async def request(self, message: messages.PairingOffer) -> messages.Ok | Refusal: ...
    @overload
    async def request(self, message: messages.PairingRequest) -> messages.Pairing | Refusal: ...
    @overload
    async def request(self, message: messages.PairRequest) -> messages.Joined | Refusal: ...
    @overload
    async def request(self, message: messages.InvitationRequest) -> messages.InvitationInfo | Refusal: ...
    @overload
    async def request(self, message: messages.JoinRequest) -> messages.Joined | Refusal: ...
    @overload
    async def request(self, message: messages.ChallengeRequest) -> Challenge | Refusal: ...
    @overload
    async def request(self, message: messages.LoginRequest) -> LoggedIn | Refusal: ...

    async def request(self, message: codec.Message) -> Any:
        """Ask, signing in first where that is needed; the reply is of the message's type, or a refusal.

        Raises `LinkError`. Deadlines belong to the caller; a connection on which nothing moves is given up by itself.
        Requests are idempotent, so after `Unreachable` or a cancellation the same may be asked again.
        """
        path, reply = _PATHS[type(message)]
        body = codec.encode(message)
        stall_s = message.timeout_s + _POLL_GRACE_S if isinstance(message, messages.PollRequest) else None
        if type(message) in _OPEN:
            return await self._post(path, body, reply, (), stall_s)
        answer: Any = None
        for _ in range(2):
            session = await self.session()
            if isinstance(session, Refusal):
                return session
            answer = await self._post(path, body, reply, (session.authorization,), stall_s)
            if not _is_signed_out(answer):
                break
            self.forget(session)
        return answer

    async def upload(
        self, workspace: WorkspaceId, frames: AsyncIterable[bytes | memoryview], length: int | None = None
    ) -> messages.Stored | Refusal:
        """Send a body of frames, `length` bytes together if that is known, pulling pieces as the line takes them.

        A refusal may come before all was pulled. After `UNAUTHENTICATED`, or `LinkError`, try again with a new
        iterator: blocks that were stored are stored. Pieces of 64 KiB to 1 MiB suit best.
        """
        session = await self.session()
        if isinstance(session, Refusal):
            return session
        headers = (session.authorization, ("Content-Type", "application/octet-stream"))
        path = messages.UPLOAD_PATH.format(workspace=workspace.hex())
        request = Request("POST", path, headers, frames, length)
        async with self._http.exchange(request) as response:
            answer: messages.Stored | Refusal = await _read_reply(response, messages.Stored | Refusal)
        if _is_signed_out(answer):
            self.forget(session)
        return answer

    @asynccontextmanager
    async def open_download(
        self, workspace: WorkspaceId, blocks: Sequence[BlockId]
    ) -> AsyncIterator[Download | Refusal]:
        """Ask for blocks, at most `limits.GET_BLOCKS`, and read them inside; see `Download`.

        What is not read is not fetched: a slow reader slows the coordinator. Raises `LinkError`.
        """
        body = codec.encode(messages.BlocksRequest(workspace, tuple(blocks)))
        refusal: Refusal | None = None
        for _ in range(2):
            session = await self.session()
            if isinstance(session, Refusal):
                refusal = session
                break
            headers = (session.authorization, ("Content-Type", messages.MEDIA_TYPE))
            async with self._http.exchange(Request("POST", messages.DOWNLOAD_PATH, headers, body)) as response:
                if response.status == 200:
                    yield Download(response, blocks)
                    return
                refusal = await _read_reply(response, Refusal)
            if not _is_signed_out(refusal):
                break
            self.forget(session)
        assert refusal is not None
        yield refusal

    async def dial(self) -> Dialled:
        """A connection of its own, for a WebSocket."""
        return await self._dialer.dial()

    # --- signing in --------------------------------------------------------------------------------------

    async def session(self) -> SignedIn | Refusal:
        """The current login, made or renewed if need be; one at a time, shared by all tasks."""
        earlier = self._failures
        async with self._signing_in:
            session = self._session
            if session is None or self._clock.monotonic_s() >= session.renew_at_s:
                if self._failure is not None and self._failures > earlier:
                    raise type(self._failure)(str(self._failure))  # somebody else has just tried for us
                try:
                    answer = await self._sign_in()
                    if _is_signed_out(answer):
                        # Its challenge was too old, or had been used up by a login whose answer was lost.
                        answer = await self._sign_in()
                except LinkError as error:
                    self._failures, self._failure = self._failures + 1, error
                    raise
                if isinstance(answer, Refusal):
                    return answer
                session = self._session = answer
                if self._told is not None:
                    self._told(session)
            return session

    def forget(self, session: SignedIn) -> None:
        """This login's token was not taken: sign in again before the next request."""
        if self._session is session:
            self._session = None

    async def prove(self) -> Challenge | Refusal:
        """Have the coordinator prove its identity, and pin its whole key, without signing in.

        Raises `WrongIdentity` where it cannot, besides what `request` raises.
        """
        device, nonce = self._own_keys.public.device_id, self._entropy.token(_NONCE_BYTES)
        challenge = await self.request(
            messages.ChallengeRequest(MAJOR, REVISION, tuple(sorted(CAPABILITIES)), DeviceId(device), nonce)
        )
        if isinstance(challenge, Refusal):
            return challenge
        self._check_challenge(challenge, DeviceId(device), nonce)
        if challenge.major != MAJOR:
            return Refusal(RefusalCode.OLD_CLIENT, "the coordinator speaks another major version of the protocol")
        self._dialer.pin = Pin(challenge.identity)
        self._told_time = (challenge.time, self._clock.monotonic_s())
        return challenge

    @property
    def _own_keys(self) -> DeviceKeys:
        if self._keys is None:
            raise ValueError("signing in needs a device's keys")
        return self._keys

    async def _sign_in(self) -> SignedIn | Refusal:
        challenge = await self.prove()
        if isinstance(challenge, Refusal):
            return challenge
        device = DeviceId(self._own_keys.public.device_id)
        statement = codec.encode((SUITE, challenge.identity, device, challenge.nonce))
        answer = await self.request(
            messages.LoginRequest(
                device, challenge.nonce, sign(Label.SIGN_LOGIN, self._own_keys.sign.secret, statement)
            )
        )
        if isinstance(answer, Refusal):
            return answer
        lifetime_s = max(0, answer.expires - challenge.time) / 1000
        self._dialer.set_addresses((*answer.addresses, *self._given))
        return SignedIn(
            user=answer.user,
            identity=challenge.identity,
            addresses=answer.addresses,
            capabilities=frozenset(challenge.capabilities) & CAPABILITIES,
            token=answer.token,
            renew_at_s=self._clock.monotonic_s() + 0.75 * min(lifetime_s, limits.TOKEN_S),
        )

    def _check_challenge(self, challenge: Challenge, device: DeviceId, nonce: bytes) -> None:
        """Raises `WrongIdentity` unless the pinned identity made this offer, now, to this device."""
        if not self._dialer.pin.admits(challenge.identity):
            raise WrongIdentity("the coordinator shows another identity than the pinned one")
        statement = codec.encode((SUITE, challenge.identity, device, nonce, challenge.nonce))
        if not verify(Label.SIGN_COORDINATOR, challenge.identity, statement, challenge.signature):
            raise WrongIdentity("the coordinator did not prove its identity")

    async def _post(
        self, path: str, body: bytes, reply: Any, headers: tuple[tuple[str, str], ...], stall_s: float | None
    ) -> Any:
        request = Request("POST", path, (*headers, ("Content-Type", messages.MEDIA_TYPE)), body)
        async with self._http.exchange(request, stall_s) as response:
            return await _read_reply(response, reply)


def _is_signed_out(answer: object) -> bool:
    return isinstance(answer, Refusal) and answer.code is RefusalCode.UNAUTHENTICATED


async def _read_reply(response: Response, kind: Any) -> Any:
    """Decode a whole answer. What a gateway says in the coordinator's place counts as not reaching it."""
    if response.headers.get("content-type", "").partition(";")[0].strip().lower() != messages.MEDIA_TYPE:
        if response.status >= 500:
            raise Unreachable(f"status {response.status} from something before the coordinator")
        raise BadReply(f"status {response.status} and no message of the protocol")
    try:
        return codec.decode(kind, await response.read(limits.REPLY_BYTES), limits.REPLY_BYTES)
    except codec.Malformed as error:
        raise BadReply(str(error)) from None
