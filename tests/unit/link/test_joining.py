"""Joining and pairing against the coordinator's own use cases, over TLS and real sockets."""

import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import trio

from coordinator.service import admin
from coordinator.service.endpoints import OPEN, SIGNED_IN
from coordinator.service.sessions import authenticate
from crypto.identity import DeviceKeys, SigningKey, coordinator_hash
from crypto.invitation import Code, CodeKind, InvitationKeys, decode_code
from crypto.sealing import seal
from peer.link.chain import KnownChain, judge_received, next_link, read_chain, sign_link
from peer.link.coordinator import CoordinatorClient
from peer.link.errors import BadReply, LinkError, Unreachable, WrongIdentity
from peer.link.joining import Doors, JoinedIdentity, OfferedPairing, Seeds, join, offer_pairing, pair
from peer.link.network import TrioNetwork
from protocol import codec, messages
from protocol.ids import DeviceId, LinkHash, LogHash, UserId, WorkspaceId
from protocol.messages import Refusal, RefusalCode
from protocol.model import SUITE, Bundle, BundledWorkspace, PairingAdmitted
from tests.common.coordination import Coordination, HandClock, TestIdentity, open_coordination
from tests.common.link_server import SeededEntropy, open_http_server, write_certificate

Twist = Callable[[codec.Message], codec.Message]
HOUR_MS = 3_600_000


class ClientClock:
    """The same wall time as the coordinator's."""

    def __init__(self, clock: HandClock) -> None:
        self._clock = clock

    def wall_ns(self) -> int:
        return self._clock.now_ms() * 1_000_000

    def monotonic_s(self) -> float:
        return trio.current_time()

    async def sleep(self, seconds: float) -> None:
        await trio.sleep(seconds)


@dataclass
class Site:
    """A coordinator over sockets. `twists` alter answers; a path in `lost` is carried out and its answer lost once."""

    coordination: Coordination
    identity: SigningKey
    port: int = 0
    twists: dict[str, Twist] = field(default_factory=dict)
    lost: set[str] = field(default_factory=set)
    seen: list[str] = field(default_factory=list)
    entropy: SeededEntropy = field(default_factory=SeededEntropy)

    @property
    def doors(self) -> Doors:
        return Doors(TrioNetwork(), ClientClock(self.coordination.clock), self.entropy)

    @property
    def address(self) -> str:
        return f"https://127.0.0.1:{self.port}"

    async def invite(self, name: str = "ana") -> Code:
        context = self.coordination.context
        made = await admin.invite(
            context.metadata, context.clock, context.entropy, name, admin=False, lifetime_ms=HOUR_MS
        )
        assert isinstance(made, admin.Invitation)
        return Code(CodeKind.JOIN, made.secret, coordinator_hash(self.identity.public), (self.address,))

    def client(self, keys: DeviceKeys, identity: bytes) -> CoordinatorClient:
        doors = self.doors
        return CoordinatorClient(
            addresses=[self.address],
            identity=identity,
            keys=keys,
            network=doors.network,
            clock=doors.clock,
            entropy=doors.entropy,
        )

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        body = b""
        while True:
            event = await receive()
            body += event.get("body", b"")
            if not event.get("more_body"):
                break
        path = scope["path"]
        self.seen.append(path)
        message: Any = codec.decode(messages.ENDPOINTS[path][0], body, 10_000_000)
        context = self.coordination.context
        if path in OPEN:
            reply: Any = await OPEN[path](context, message)
        else:
            token = bytes.fromhex(dict(scope["headers"])[b"authorization"].decode().removeprefix("Bearer "))
            session: Any = authenticate(context, token)
            reply = session if isinstance(session, Refusal) else await SIGNED_IN[path](context, session, message)
        if path in self.lost:
            self.lost.remove(path)
            html = [(b"content-type", b"text/html")]
            await send({"type": "http.response.start", "status": 502, "headers": html})
            await send({"type": "http.response.body", "body": b"gateway"})
            return
        if path in self.twists:
            reply = self.twists[path](reply)
        status = 400 if isinstance(reply, Refusal) else 200
        headers = [(b"content-type", messages.MEDIA_TYPE.encode())]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": codec.encode(reply)})


@contextlib.asynccontextmanager
async def open_site(tmp_path: Path) -> AsyncIterator[Site]:
    async with open_coordination(None) as coordination:
        identity = TestIdentity().key
        site = Site(coordination, identity)
        async with open_http_server(site, write_certificate(tmp_path, identity)) as port:
            site.port = port
            yield site


async def joined(site: Site, name: str = "ana", device: str = "laptop") -> tuple[JoinedIdentity, Seeds]:
    seeds = Seeds.draw(site.entropy)
    result = await join(await site.invite(name), device, seeds, site.doors)
    assert isinstance(result, JoinedIdentity), result
    return result, seeds


WORKSPACE = BundledWorkspace(WorkspaceId(bytes([7]) * 32), b"packed keyring", 12, LogHash(bytes([8]) * 32))


async def offered(site: Site, who: JoinedIdentity, seeds: Seeds) -> OfferedPairing:
    keys = DeviceKeys.from_seed(seeds.device)
    client = site.client(keys, who.identity)
    offer = await offer_pairing(client, keys, who.chain, [WORKSPACE], site.doors, HOUR_MS)
    await client.aclose()
    assert isinstance(offer, OfferedPairing), offer
    return offer


async def test_an_invited_person_joins_and_knows_the_coordinators_whole_key(tmp_path: Path) -> None:
    async with open_site(tmp_path) as site:
        who, seeds = await joined(site)
        assert (who.user_name, who.device_name) == ("ana", "laptop")
        assert who.identity == site.identity.public
        assert who.addresses[0] == "https://coordinator.example:8440"
        assert who.device == DeviceKeys.from_seed(seeds.device).public.device_id
        assert who.chain.chain.user == who.user
        assert site.seen[0] == "/v1/challenge"


async def test_an_invitation_admits_one_device(tmp_path: Path) -> None:
    async with open_site(tmp_path) as site:
        code = await site.invite()
        assert isinstance(await join(code, "laptop", Seeds.draw(site.entropy), site.doors), JoinedIdentity)
        second = await join(code, "phone", Seeds.draw(site.entropy), site.doors)
        assert isinstance(second, Refusal)
        assert second.code is RefusalCode.USED


@pytest.mark.parametrize("path", ["/v1/challenge", "/v1/invitation", "/v1/join", "/v1/login"])
async def test_a_join_whose_answer_was_lost_is_completed_by_joining_again(path: str, tmp_path: Path) -> None:
    async with open_site(tmp_path) as site:
        code, seeds = await site.invite(), Seeds.draw(site.entropy)
        site.lost.add(path)
        with pytest.raises(Unreachable):
            await join(code, "laptop", seeds, site.doors)
        again = await join(code, "laptop", seeds, site.doors)
        assert isinstance(again, JoinedIdentity)
        assert again.user_name == "ana"


async def test_a_code_for_another_coordinator_joins_nothing(tmp_path: Path) -> None:
    async with open_site(tmp_path) as site:
        code = await site.invite()
        with pytest.raises(WrongIdentity):
            await join(
                Code(code.kind, code.secret, bytes(16), code.addresses), "laptop", Seeds.draw(site.entropy), site.doors
            )
        assert not site.seen


async def test_a_code_of_the_wrong_kind_or_an_impossible_name_is_refused_before_anything_is_sent(
    tmp_path: Path,
) -> None:
    async with open_site(tmp_path) as site:
        code, seeds = await site.invite(), Seeds.draw(site.entropy)
        with pytest.raises(ValueError, match="pair code"):
            await pair(code, "laptop", seeds, site.doors)
        with pytest.raises(ValueError, match="name"):
            await join(code, "a/b", seeds, site.doors)
        assert not site.seen


async def test_a_pairing_code_adds_a_device_under_a_free_name_with_the_keys_left_for_it(tmp_path: Path) -> None:
    async with open_site(tmp_path) as site:
        first, first_seeds = await joined(site)
        offer = await offered(site, first, first_seeds)
        seeds = Seeds.draw(site.entropy)
        code = decode_code(offer.code)
        assert code.identity_hash == coordinator_hash(site.identity.public)
        assert site.address in code.addresses
        second = await pair(code, "laptop", seeds, site.doors)
        assert isinstance(second, JoinedIdentity)
        assert second.device_name == "laptop-2"
        assert second.user == first.user
        assert second.workspaces == (WORKSPACE,)
        third = await pair(code, "phone", Seeds.draw(site.entropy), site.doors)
        assert isinstance(third, Refusal)
        assert third.code is RefusalCode.USED


@pytest.mark.parametrize("path", ["/v1/pairing/open", "/v1/pairing/use", "/v1/login"])
async def test_a_pairing_whose_answer_was_lost_is_completed_by_pairing_again(path: str, tmp_path: Path) -> None:
    async with open_site(tmp_path) as site:
        offer = await offered(site, *await joined(site))
        code, seeds = decode_code(offer.code), Seeds.draw(site.entropy)
        site.lost.add(path)
        with pytest.raises(Unreachable):
            await pair(code, "phone", seeds, site.doors)
        again = await pair(code, "phone", seeds, site.doors)
        assert isinstance(again, JoinedIdentity)
        assert again.device_name == "phone"
        assert again.chain.chain.length == 3


async def test_an_offer_made_on_an_old_chain_goes_on_from_the_new_one(tmp_path: Path) -> None:
    async with open_site(tmp_path) as site:
        who, seeds = await joined(site)
        await offered(site, who, seeds)
        offer = await offered(site, who, seeds)  # `who` still has the chain of one link
        assert offer.chain.chain.length == 3


async def test_an_expired_pairing_is_refused(tmp_path: Path) -> None:
    async with open_site(tmp_path) as site:
        offer = await offered(site, *await joined(site))
        site.coordination.clock.advance(HOUR_MS / 1000 + 1)
        answer = await pair(decode_code(offer.code), "phone", Seeds.draw(site.entropy), site.doors)
        assert isinstance(answer, Refusal)
        assert answer.code is RefusalCode.EXPIRED


async def test_a_chain_or_bundle_that_is_not_what_was_left_is_refused_and_nothing_is_added(tmp_path: Path) -> None:
    async with open_site(tmp_path) as site:
        who, seeds = await joined(site)
        offer = await offered(site, who, seeds)
        code = decode_code(offer.code)
        pairing = InvitationKeys.of(code.secret)
        chain = offer.chain.chain
        stranger, stranger_seeds = await joined(site, "eve")
        admit = PairingAdmitted(stranger.device, pairing.sign.public, pairing.box.public, offer.expires_ms)
        their_keys = DeviceKeys.from_seed(stranger_seeds.device)
        theirs = judge_received(
            (sign_link(next_link(stranger.chain.chain, admit, 1), their_keys.sign),), stranger.chain
        )
        other = seal(
            pairing.bundle, bytes(24), codec.encode(Bundle(SUITE, 1, LinkHash(bytes(32)), ())), pairing.lookup_id
        )

        def with_bundle(bundle: bytes) -> Twist:
            return lambda reply: messages.Pairing(offer.chain.links, bundle)

        def with_chain(known: KnownChain) -> Twist:
            return lambda reply: messages.Pairing(known.links, reply.bundle)  # type: ignore[attr-defined]

        site.seen.clear()
        twists = [with_bundle(b"junk"), with_bundle(bytes(5000)), with_bundle(other), with_chain(theirs)]
        for twist in [*twists, with_chain(who.chain)]:
            site.twists["/v1/pairing/open"] = twist
            with pytest.raises(BadReply):
                await pair(code, "phone", Seeds.draw(site.entropy), site.doors)
        assert "/v1/pairing/use" not in site.seen
        assert chain.extends(who.chain.chain.state)


@pytest.mark.parametrize(
    ("path", "twist"),
    [
        ("/v1/join", lambda reply: messages.Joined(UserId(bytes(16)), reply.device)),
        ("/v1/join", lambda reply: messages.Joined(reply.user, DeviceId(bytes(16)))),
        ("/v1/login", lambda reply: messages.LoggedIn(reply.token, reply.expires, UserId(bytes(16)), ())),
        ("/v1/invitation", lambda reply: messages.InvitationInfo("a\u0000b", reply.expires)),
    ],
)
async def test_a_coordinator_that_takes_the_device_for_another_is_refused(
    path: str, twist: Twist, tmp_path: Path
) -> None:
    async with open_site(tmp_path) as site:
        site.twists[path] = twist
        with pytest.raises(LinkError):
            await join(await site.invite(), "laptop", Seeds.draw(site.entropy), site.doors)


async def test_a_chain_that_contradicts_the_known_one_is_refused(tmp_path: Path) -> None:
    async with open_site(tmp_path) as site:
        who, seeds = await joined(site)
        eve, _ = await joined(site, "eve")
        client = site.client(DeviceKeys.from_seed(seeds.device), who.identity)
        same = await read_chain(client, who.user, who.chain)
        assert same == who.chain
        site.twists["/v1/chain"] = lambda reply: messages.ChainReply(eve.chain.links)
        for known in (who.chain, None):
            with pytest.raises(BadReply):
                await read_chain(client, who.user, known)
        await client.aclose()


def test_secrets_are_not_shown() -> None:
    seeds = Seeds(b"s" * 32, b"r" * 32)
    assert "sss" not in repr(seeds)
    assert "rrr" not in repr(seeds)
