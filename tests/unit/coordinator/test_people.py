"""Joining, pairing, signing in: how a device becomes one, and what everybody else is refused."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import trio

from coordinator.ports import ChainGrew
from coordinator.service import admin, pairing, sessions, users, workspaces
from coordinator.service.context import Session
from crypto.identity import sign, verify
from crypto.invitation import InvitationKeys
from crypto.labels import Label
from protocol import limits, version
from protocol.codec import encode
from protocol.messages import (
    ChainReply,
    ChainRequest,
    Challenge,
    ChallengeRequest,
    Devices,
    DevicesRequest,
    InvitationInfo,
    InvitationRequest,
    Joined,
    JoinRequest,
    KeysDeposit,
    LoggedIn,
    LoginRequest,
    Ok,
    Pairing,
    PairingOffer,
    PairingRequest,
    PairRequest,
    Refusal,
    RefusalCode,
    Workspaces,
    WorkspacesRequest,
)
from protocol.model import DevicePaired, PairingAdmitted, SealedKey, SignedLink
from tests.common.coordination import START_MS, Coordination, TestIdentity, open_coordination, session_of
from tests.common.journals import HASHES, HOUR_MS, TestDevice, TestJournal, TestUser, make_device, seed


@pytest.fixture
async def here(tmp_path: Path) -> AsyncIterator[Coordination]:
    async with open_coordination(tmp_path / "metadata.db") as opened:
        yield opened


def code_of(reply: object) -> RefusalCode:
    assert isinstance(reply, Refusal), reply
    return reply.code


async def invited(here: Coordination, name: str, lifetime_ms: int = HOUR_MS) -> InvitationKeys:
    made = await admin.invite(
        here.metadata, here.clock, here.context.entropy, name, admin=False, lifetime_ms=lifetime_ms
    )
    assert isinstance(made, admin.Invitation), made
    return InvitationKeys.of(made.secret)


def join_request(user: TestUser, keys: InvitationKeys, signer: InvitationKeys | None = None) -> JoinRequest:
    signature = sign(Label.SIGN_INVITE, (signer or keys).sign.secret, user.chain.link_hashes[0])
    return JoinRequest(keys.sign.public, signature, user.links[0])


# --- joining -------------------------------------------------------------------------------------------


async def test_an_invited_person_joins_with_a_first_device(here: Coordination) -> None:
    keys, ana = await invited(here, "ana"), TestUser("ana")
    info = await users.invitation(here.context, InvitationRequest(keys.sign.public))
    assert info == InvitationInfo("ana", START_MS + HOUR_MS)
    joined = await users.join(here.context, join_request(ana, keys))
    assert joined == Joined(ana.id, ana.devices[0].id)
    listed = await users.devices(here.context, session_of(ana), DevicesRequest())
    assert isinstance(listed, Devices)
    assert [(device.name, device.user_name, device.active) for device in listed.devices] == [("ana-1", "ana", True)]


async def test_joining_again_is_answered_the_same_and_a_second_person_is_refused(here: Coordination) -> None:
    keys, ana = await invited(here, "ana"), TestUser("ana")
    request = join_request(ana, keys)
    first = await users.join(here.context, request)
    assert await users.join(here.context, request) == first
    other = TestUser("eve")
    assert code_of(await users.join(here.context, join_request(other, keys))) is RefusalCode.USED
    assert code_of(await users.invitation(here.context, InvitationRequest(keys.sign.public))) is RefusalCode.USED


async def test_one_code_used_twice_at_once_makes_one_user(here: Coordination) -> None:
    keys, replies = await invited(here, "ana"), []
    first, second = TestUser("ana"), TestUser("ana")
    second.devices[0] = make_device("other")
    second.links.clear()
    second.devices.clear()
    second.__post_init__()
    other = TestUser("ben")

    async def one(user: TestUser) -> None:
        replies.append(await users.join(here.context, join_request(user, keys)))

    async with trio.open_nursery() as nursery:
        for user in (first, second, other):
            nursery.start_soon(one, user)
    joined = {reply for reply in replies if isinstance(reply, Joined)}
    assert len(joined) == 1
    assert len(await admin.users(here.metadata)) == 1


async def test_an_invitation_that_is_unknown_expired_or_replaced_is_refused(here: Coordination) -> None:
    stranger, ana = InvitationKeys.of(seed("nobody")[:16]), TestUser("ana")
    assert code_of(await users.join(here.context, join_request(ana, stranger))) is RefusalCode.NOT_FOUND
    replaced = await invited(here, "ana")
    keys = await invited(here, "ana")
    assert code_of(await users.join(here.context, join_request(ana, replaced))) is RefusalCode.EXPIRED
    here.clock.advance(HOUR_MS / 1000)
    assert code_of(await users.join(here.context, join_request(ana, keys))) is RefusalCode.EXPIRED


async def test_joining_under_another_name_or_without_the_code_is_refused(here: Coordination) -> None:
    keys, stranger = await invited(here, "ana"), InvitationKeys.of(seed("nobody")[:16])
    assert code_of(await users.join(here.context, join_request(TestUser("eve"), keys))) is RefusalCode.DENIED
    forged = join_request(TestUser("ana"), keys, signer=stranger)
    assert code_of(await users.join(here.context, forged)) is RefusalCode.DENIED


async def test_a_link_that_breaks_the_rules_makes_no_user(here: Coordination) -> None:
    keys, ana = await invited(here, "ana"), TestUser("ana")
    request = join_request(ana, keys)
    unsigned = SignedLink(request.link.link, (bytes(64), bytes(64)))
    broken = JoinRequest(request.invitation, request.signature, unsigned)
    assert code_of(await users.join(here.context, broken)) is RefusalCode.MALFORMED
    ana.admit("x")
    later = JoinRequest(request.invitation, request.signature, ana.links[1])
    assert code_of(await users.join(here.context, later)) is RefusalCode.MALFORMED


async def test_a_name_in_use_is_not_invited_again(here: Coordination) -> None:
    await here.know(TestUser("ana"))
    refused = await admin.invite(
        here.metadata, here.clock, here.context.entropy, "ana", admin=False, lifetime_ms=HOUR_MS
    )
    assert isinstance(refused, str)


# --- pairing -------------------------------------------------------------------------------------------


def offer_of(user: TestUser, label: str, expires: int = START_MS + HOUR_MS) -> tuple[PairingOffer, InvitationKeys]:
    """An offer by the user's first device; the user's own copy of the chain is not extended."""
    keys, first = InvitationKeys.of(seed("pairing", label)[:16]), user.devices[0]
    body = PairingAdmitted(first.id, keys.sign.public, keys.box.public, expires)
    link = user.link(body, first.secret.sign, time=START_MS)
    return PairingOffer(link, keys.lookup_id, b"bundle"), keys


def pair_request(
    user: TestUser, keys: InvitationKeys, device: TestDevice, signer: InvitationKeys | None = None
) -> PairRequest:
    body = DevicePaired(keys.sign.public, device.keys)
    link = user.link(body, (signer or keys).sign, device.secret.sign, time=START_MS)
    return PairRequest(keys.lookup_id, link)


async def offered(here: Coordination, user: TestUser, label: str = "one") -> InvitationKeys:
    request, keys = offer_of(user, label)
    assert await pairing.offer(here.context, session_of(user), request) == Ok()
    user.links.append(request.link)
    return keys


@pytest.fixture
async def ana(here: Coordination) -> TestUser:
    user = TestUser("ana")
    await here.know(user)
    return user


async def test_a_paired_device_becomes_one_of_the_users(here: Coordination, ana: TestUser) -> None:
    keys = await offered(here, ana)
    opened = await pairing.open_offer(here.context, PairingRequest(keys.lookup_id))
    assert opened == Pairing(tuple(ana.links), b"bundle")
    laptop = make_device("laptop")
    request = pair_request(ana, keys, laptop)
    assert await pairing.use(here.context, request) == Joined(ana.id, laptop.id)
    chain = await users.chain(here.context, session_of(ana, laptop), ChainRequest(ana.id, 1))
    assert chain == ChainReply((ana.links[1], request.link))
    grown = [notice for notice in here.notifier.notices if isinstance(notice, ChainGrew)]
    assert [(notice.length, len(notice.audience)) for notice in grown] == [(2, 1), (3, 2)]


async def test_a_pairing_adds_one_device_and_is_answered_the_same_again(here: Coordination, ana: TestUser) -> None:
    keys = await offered(here, ana)
    request = pair_request(ana, keys, make_device("laptop"))
    first = await pairing.use(here.context, request)
    assert await pairing.use(here.context, request) == first
    ana.links.append(request.link)
    second = pair_request(ana, keys, make_device("eve"))
    assert code_of(await pairing.use(here.context, second)) is RefusalCode.USED
    assert code_of(await pairing.open_offer(here.context, PairingRequest(keys.lookup_id))) is RefusalCode.USED


async def test_an_expired_pairing_is_refused_by_the_coordinators_clock(here: Coordination, ana: TestUser) -> None:
    keys = await offered(here, ana)
    here.clock.advance(HOUR_MS / 1000)
    late = pair_request(ana, keys, make_device("laptop"))
    assert code_of(await pairing.use(here.context, late)) is RefusalCode.EXPIRED
    assert code_of(await pairing.open_offer(here.context, PairingRequest(keys.lookup_id))) is RefusalCode.EXPIRED
    for expires in (0, START_MS + 40 * 24 * HOUR_MS):
        refused, _ = offer_of(ana, "odd", expires)
        assert isinstance(await pairing.offer(here.context, session_of(ana), refused), Refusal)
    stale, _ = offer_of(ana, "stale")
    assert code_of(await pairing.offer(here.context, session_of(ana), stale)) is RefusalCode.EXPIRED


async def test_a_device_offers_pairings_only_in_its_own_name(here: Coordination, ana: TestUser) -> None:
    eve = TestUser("eve")
    await here.know(eve)
    request, _ = offer_of(ana, "one")
    assert code_of(await pairing.offer(here.context, session_of(eve), request)) is RefusalCode.DENIED


async def test_offers_made_at_once_are_put_in_order(here: Coordination, ana: TestUser) -> None:
    first, _ = offer_of(ana, "one")
    second, _ = offer_of(ana, "two")
    assert await pairing.offer(here.context, session_of(ana), first) == Ok()
    assert await pairing.offer(here.context, session_of(ana), first) == Ok()
    assert code_of(await pairing.offer(here.context, session_of(ana), second)) is RefusalCode.CONFLICT
    ana.links.append(first.link)
    again, _ = offer_of(ana, "two")
    assert await pairing.offer(here.context, session_of(ana), again) == Ok()


async def test_pairing_without_the_secret_or_under_a_name_in_use_is_refused(here: Coordination, ana: TestUser) -> None:
    keys = await offered(here, ana)
    stranger = InvitationKeys.of(seed("nobody")[:16])
    forged = pair_request(ana, keys, make_device("laptop"), signer=stranger)
    assert code_of(await pairing.use(here.context, forged)) is RefusalCode.MALFORMED
    named = TestDevice("ana-1", make_device("other").secret)
    assert code_of(await pairing.use(here.context, pair_request(ana, keys, named))) is RefusalCode.CONFLICT
    unknown = PairRequest(bytes(16), forged.link)
    assert code_of(await pairing.use(here.context, unknown)) is RefusalCode.NOT_FOUND


async def test_open_pairings_are_bounded(here: Coordination, ana: TestUser, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pairing, "OPEN_PAIRINGS", 2)
    await offered(here, ana, "one")
    await offered(here, ana, "two")
    third, _ = offer_of(ana, "three")
    assert code_of(await pairing.offer(here.context, session_of(ana), third)) is RefusalCode.RATE_LIMITED


async def test_a_chain_is_shown_to_its_user_and_to_nobody_else(here: Coordination, ana: TestUser) -> None:
    eve = TestUser("eve")
    await here.know(eve)
    assert code_of(await users.chain(here.context, session_of(eve), ChainRequest(ana.id))) is RefusalCode.NOT_FOUND
    assert await users.chain(here.context, session_of(ana), ChainRequest(ana.id, 9)) == ChainReply(())


# --- keys ----------------------------------------------------------------------------------------------


async def keys_seen(here: Coordination, session: Session) -> dict[bytes, bytes]:
    listed = await workspaces.workspaces(here.context, session, WorkspacesRequest())
    assert isinstance(listed, Workspaces)
    return {key.recipient: key.box for key in listed.workspaces[0].keys}


async def test_keys_are_kept_for_own_devices_and_pairings_only_and_never_replaced(
    here: Coordination, ana: TestUser
) -> None:
    kept = TestJournal(ana)
    await here.accept(session_of(ana), kept.commits[0])
    keys = await offered(here, ana)
    recipient = keys.box.public[:16]
    deposit = KeysDeposit(
        kept.id,
        (
            SealedKey(recipient, b"for the pairing" * 3),
            SealedKey(bytes(ana.devices[0].id), b"another box for the first" * 3),
            SealedKey(bytes(16), b"for a stranger" * 3),
        ),
    )
    assert await workspaces.deposit_keys(here.context, session_of(ana), deposit) == Ok()
    assert await keys_seen(here, session_of(ana)) == {ana.devices[0].id: bytes(64)}
    laptop = make_device("laptop")
    await pairing.use(here.context, pair_request(ana, keys, laptop))
    assert await keys_seen(here, session_of(ana, laptop)) == {recipient: b"for the pairing" * 3}
    own = KeysDeposit(kept.id, (SealedKey(bytes(laptop.id), b"for the laptop" * 3),))
    await workspaces.deposit_keys(here.context, session_of(ana), own)
    assert set(await keys_seen(here, session_of(ana, laptop))) == {recipient, laptop.id}
    eve = TestUser("eve")
    await here.know(eve)
    assert code_of(await workspaces.deposit_keys(here.context, session_of(eve), own)) is RefusalCode.NOT_FOUND


async def test_standing_names_heads_and_chain_length(here: Coordination, ana: TestUser) -> None:
    kept = TestJournal(ana)
    await here.accept(session_of(ana), kept.commits[0])
    standing = await workspaces.standing(here.context, session_of(ana))
    assert standing == workspaces.Standing(
        (workspaces.Head(kept.id, 1, kept.state.workspace.log_hash, 0),), chain_length=1
    )
    ghost = session_of(ana, make_device("ghost"))
    assert code_of(await workspaces.standing(here.context, ghost)) is RefusalCode.UNAUTHENTICATED


# --- signing in ----------------------------------------------------------------------------------------


async def challenged(here: Coordination, device: TestDevice) -> Challenge:
    request = ChallengeRequest(version.MAJOR, 0, (), device.id, seed("device nonce"))
    reply = await sessions.challenge(here.context, request)
    assert isinstance(reply, Challenge)
    return reply


def login_request(device: TestDevice, challenge: Challenge, signer: TestDevice | None = None) -> LoginRequest:
    statement = encode((1, challenge.identity, device.id, challenge.nonce))
    signature = sign(Label.SIGN_LOGIN, (signer or device).secret.sign.secret, statement)
    return LoginRequest(device.id, challenge.nonce, signature)


async def test_a_device_signs_in_with_a_challenge_that_the_coordinator_signed(
    here: Coordination, ana: TestUser
) -> None:
    device = ana.devices[0]
    challenge = await challenged(here, device)
    offer = encode((1, challenge.identity, device.id, seed("device nonce"), challenge.nonce))
    assert verify(Label.SIGN_COORDINATOR, TestIdentity().public, offer, challenge.signature)
    reply = await sessions.login(here.context, login_request(device, challenge))
    assert isinstance(reply, LoggedIn)
    assert (reply.user, reply.expires) == (ana.id, START_MS + limits.TOKEN_S * 1000)
    assert sessions.authenticate(here.context, reply.token) == session_of(ana)
    listed = await users.devices(here.context, session_of(ana), DevicesRequest())
    assert isinstance(listed, Devices)
    assert listed.devices[0].last_seen == START_MS


async def test_a_token_ends_with_its_time(here: Coordination, ana: TestUser) -> None:
    challenge = await challenged(here, ana.devices[0])
    reply = await sessions.login(here.context, login_request(ana.devices[0], challenge))
    assert isinstance(reply, LoggedIn)
    here.clock.advance(limits.TOKEN_S + 1)
    assert code_of(sessions.authenticate(here.context, reply.token)) is RefusalCode.UNAUTHENTICATED
    assert code_of(sessions.authenticate(here.context, bytes(32))) is RefusalCode.UNAUTHENTICATED


async def test_a_challenge_buys_one_token_for_its_device_within_its_time(here: Coordination, ana: TestUser) -> None:
    device, eve = ana.devices[0], TestUser("eve")
    await here.know(eve)
    challenge = await challenged(here, device)

    async def refused(request: LoginRequest) -> bool:
        return code_of(await sessions.login(here.context, request)) is RefusalCode.UNAUTHENTICATED

    assert await refused(login_request(device, challenge, signer=eve.devices[0]))
    assert await refused(login_request(eve.devices[0], challenge))
    made_up = Challenge(1, 0, (), challenge.identity, seed("nonce"), challenge.signature, 0)
    assert await refused(login_request(device, made_up))
    assert isinstance(await sessions.login(here.context, login_request(device, challenge)), LoggedIn)
    assert await refused(login_request(device, challenge))
    late = await challenged(here, device)
    here.clock.advance(limits.CHALLENGE_S + 1)
    assert await refused(login_request(device, late))


async def test_an_unknown_device_gets_a_challenge_like_any_other_and_no_token(here: Coordination) -> None:
    ghost = make_device("ghost")
    challenge = await challenged(here, ghost)
    reply = await sessions.login(here.context, login_request(ghost, challenge))
    assert code_of(reply) is RefusalCode.UNAUTHENTICATED


async def test_another_major_version_is_told_so(here: Coordination) -> None:
    request = ChallengeRequest(version.MAJOR + 1, 0, (), make_device("new").id, bytes(32))
    assert code_of(await sessions.challenge(here.context, request)) is RefusalCode.OLD_CLIENT


async def test_a_device_holds_few_tokens_at_once(here: Coordination, ana: TestUser) -> None:
    tokens = []
    for _ in range(6):
        reply = await sessions.login(
            here.context, login_request(ana.devices[0], await challenged(here, ana.devices[0]))
        )
        assert isinstance(reply, LoggedIn)
        tokens.append(reply.token)
    valid = [isinstance(sessions.authenticate(here.context, token), Session) for token in tokens]
    assert valid == [False, False, True, True, True, True]
    here.context.tokens.drop(ana.devices[0].id)
    assert not any(isinstance(sessions.authenticate(here.context, token), Session) for token in tokens)


def test_the_hashes_of_the_tests_are_the_real_ones() -> None:
    assert HASHES.link_hash(b"x") != HASHES.commit_digest(b"x")
