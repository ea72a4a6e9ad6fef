"""Revoking a device at the coordinator: at once, for good, and said clearly to the one that is revoked."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from coordinator.ports import ChainGrew, DeviceDropped
from coordinator.service import blocks, journal, offers, pairing, revoking, sessions, users, workspaces
from coordinator.service.context import Session
from crypto.identity import sign
from crypto.invitation import InvitationKeys
from crypto.labels import Label
from protocol import version
from protocol.codec import encode
from protocol.ids import ChangeId
from protocol.messages import (
    BlocksRequest,
    ChainReply,
    ChainRequest,
    Challenge,
    ChallengeRequest,
    CommitAccepted,
    CommitRefused,
    Devices,
    DevicesRequest,
    HandBack,
    JournalRequest,
    LoggedIn,
    LoginRequest,
    OfferedRequest,
    Ok,
    PairingOffer,
    PairingRequest,
    PairRequest,
    Refusal,
    RefusalCode,
    RevokeRequest,
    WorkspacesRequest,
)
from protocol.model import DevicePaired, JournalRow, PairingAdmitted
from protocol.offered import OfferedPage
from tests.common.coordination import START_MS, Coordination, open_coordination, session_of
from tests.common.journals import HOUR_MS, TestDevice, TestJournal, TestUser, block_id, make_device, seed
from tests.common.offered_set import OfferedCopy


class Here:
    """Ana with a laptop and a phone, and a workspace that both have joined."""

    def __init__(self, coordination: Coordination) -> None:
        self.coordination = coordination
        self.context = coordination.context
        self.ana = TestUser("ana")
        self.laptop, self.phone = self.ana.devices[0], self.ana.pair("phone")
        self.journal = TestJournal(self.ana)

    async def begin(self) -> None:
        await self.coordination.know(self.ana)
        await self.coordination.accept(session_of(self.ana), self.journal.commits[0])

    def session(self, device: TestDevice) -> Session:
        return session_of(self.ana, device)

    async def revoke(self, device: TestDevice, by: TestDevice | None = None) -> Ok | Refusal:
        request = RevokeRequest(self.ana.revocation(device, by))
        return await revoking.revoke(self.context, self.session(by or self.laptop), request)


@pytest.fixture
async def here(tmp_path: Path) -> AsyncIterator[Here]:
    async with open_coordination(tmp_path / "metadata.db") as opened:
        scene = Here(opened)
        await scene.begin()
        yield scene


def code_of(reply: object) -> RefusalCode:
    assert isinstance(reply, Refusal), reply
    return reply.code


async def sign_in(here: Here, device: TestDevice, signer: TestDevice | None = None) -> object:
    nonce = seed("nonce", device.name)
    challenge = await sessions.challenge(here.context, ChallengeRequest(version.MAJOR, 0, (), device.id, nonce))
    assert isinstance(challenge, Challenge)
    statement = encode((1, challenge.identity, device.id, challenge.nonce))
    signature = sign(Label.SIGN_LOGIN, (signer or device).secret.sign.secret, statement)
    return await sessions.login(here.context, LoginRequest(device.id, challenge.nonce, signature))


async def test_a_revoked_device_is_denied_everything_at_once(here: Here) -> None:
    token = seed("token")
    session = here.session(here.phone)
    here.context.tokens.add(token, session, here.context.clock.monotonic_s())
    assert await here.revoke(here.phone) == Ok()
    assert code_of(sessions.authenticate(here.context, token)) is RefusalCode.UNAUTHENTICATED
    state = here.journal.state.workspace
    asked = [
        await journal.page(here.context, session, JournalRequest(state.workspace, 0, bytes(32))),  # type: ignore[arg-type]
        await workspaces.workspaces(here.context, session, WorkspacesRequest()),
        await workspaces.standing(here.context, session),
        await users.devices(here.context, session, DevicesRequest()),
        await blocks.locate(here.context, session, BlocksRequest(state.workspace, ())),
        await here.coordination.propose(session, here.journal.commit(here.phone)),
        await here.revoke(here.laptop, by=here.phone),
    ]
    for reply in asked:
        assert code_of(reply) is RefusalCode.DENIED
        assert isinstance(reply, Refusal)
        assert "revoked" in reply.message
    assert {DeviceDropped(here.phone.id), ChainGrew(here.ana.id, 4, frozenset({here.laptop.id}))} <= set(
        here.coordination.notifier.notices
    )
    assert here.context.tokens.is_dropped(here.phone.id)


async def test_only_whoever_proves_to_be_the_device_is_told_that_it_was_revoked(here: Here) -> None:
    assert await here.revoke(here.phone) == Ok()
    assert code_of(await sign_in(here, here.phone)) is RefusalCode.DENIED
    stranger = make_device("stranger")
    assert code_of(await sign_in(here, here.phone, signer=stranger)) is RefusalCode.UNAUTHENTICATED


async def test_revoking_is_asked_twice_and_done_once(here: Here) -> None:
    assert await here.revoke(here.phone) == Ok()
    assert await here.revoke(here.phone) == Ok()
    listed = await users.devices(here.context, here.session(here.laptop), DevicesRequest())
    assert isinstance(listed, Devices)
    assert {device.name: device.active for device in listed.devices} == {"ana-1": True, "phone": False}
    here.ana.revoke(here.phone)
    assert code_of(await here.revoke(here.phone)) is RefusalCode.MALFORMED


async def test_a_link_on_an_earlier_end_of_the_chain_is_to_be_signed_anew(here: Here) -> None:
    link = here.ana.revocation(here.phone)
    pairing_keys = InvitationKeys.of(seed("meanwhile")[:16])
    expires = START_MS + HOUR_MS
    body = PairingAdmitted(here.laptop.id, pairing_keys.sign.public, pairing_keys.box.public, expires)
    admitted = here.ana.link(body, here.laptop.secret.sign)
    offer = PairingOffer(admitted, pairing_keys.lookup_id, b"bundle")
    assert await pairing.offer(here.context, here.session(here.laptop), offer) == Ok()
    reply = await revoking.revoke(here.context, here.session(here.laptop), RevokeRequest(link))
    assert code_of(reply) is RefusalCode.CONFLICT


async def test_a_link_of_anybody_else_revokes_nothing(here: Here) -> None:
    link = here.ana.revocation(here.phone)
    reply = await revoking.revoke(here.context, here.session(here.phone), RevokeRequest(link))
    assert code_of(reply) is RefusalCode.DENIED
    forged = here.ana.link(link.link.body, here.phone.secret.sign)
    reply = await revoking.revoke(here.context, here.session(here.laptop), RevokeRequest(forged))
    assert code_of(reply) is RefusalCode.MALFORMED
    assert code_of(await here.revoke(here.phone, by=here.phone)) is RefusalCode.MALFORMED


async def test_a_code_that_the_revoked_device_left_lets_nobody_in(here: Here) -> None:
    code = InvitationKeys.of(seed("thief")[:16])
    body = PairingAdmitted(here.phone.id, code.sign.public, code.box.public, START_MS + HOUR_MS)
    here.ana.append(body, here.phone.secret.sign)
    offer = PairingOffer(here.ana.links[-1], code.lookup_id, b"bundle")
    assert await pairing.offer(here.context, here.session(here.phone), offer) == Ok()
    assert await here.revoke(here.phone) == Ok()
    here.ana.revoke(here.phone)
    thief = make_device("thief")
    link = here.ana.link(DevicePaired(code.sign.public, thief.keys), code.sign, thief.secret.sign)
    assert code_of(await pairing.open_offer(here.context, PairingRequest(code.lookup_id))) is RefusalCode.EXPIRED
    assert code_of(await pairing.use(here.context, PairRequest(code.lookup_id, link))) is RefusalCode.EXPIRED


async def test_its_revocation_enters_the_journal_only_with_the_chain_that_is_known_here(here: Here) -> None:
    journal_ = here.journal
    here.ana.revoke(here.phone)
    commit = journal_.revoke_device(here.laptop, here.ana, journal_.rotation(here.phone))
    answer = await here.coordination.propose(here.session(here.laptop), commit)
    assert isinstance(answer, CommitRefused)
    here.ana.links.pop()
    assert await here.revoke(here.phone) == Ok()
    assert isinstance(await here.coordination.propose(here.session(here.laptop), commit), CommitAccepted)


async def test_a_coordinator_put_back_from_a_backup_learns_from_the_journal_who_was_revoked_since(here: Here) -> None:
    kept, ana = here.journal, here.ana
    ana.revoke(here.phone)
    kept.accept(kept.revoke_device(here.laptop, ana, kept.rotation(here.phone)))
    late = ana.pair("late")
    kept.accept(kept.add_device(ana, late))
    rows = tuple(
        JournalRow(seq, kept.log_hashes[seq - 1], START_MS, commit) for seq, commit in enumerate(kept.commits, 1)
    )
    here.coordination.notifier.notices.clear()
    assert await journal.hand_back(here.context, here.session(here.laptop), HandBack(kept.id, rows)) == Ok()
    assert DeviceDropped(here.phone.id) in here.coordination.notifier.notices
    assert code_of(await sign_in(here, here.phone)) is RefusalCode.DENIED
    assert isinstance(await sign_in(here, late), LoggedIn)
    link = await users.chain(here.context, here.session(late), ChainRequest(ana.id, 0))
    assert isinstance(link, ChainReply)
    assert link.links == tuple(ana.links)
    assert await journal.hand_back(here.context, here.session(here.laptop), HandBack(kept.id, rows)) == Ok()


async def test_a_chain_handed_back_that_contradicts_the_one_known_changes_nobody(here: Here) -> None:
    fork = TestUser("ana")
    fork.use(fork.admit("fork"), "fork")
    assert fork.id == here.ana.id
    kept = TestJournal(fork)
    other = fork.pair("other")
    kept.accept(kept.add_device(fork, other))
    rows = tuple(
        JournalRow(seq, kept.log_hashes[seq - 1], START_MS, commit) for seq, commit in enumerate(kept.commits, 1)
    )
    assert await journal.hand_back(here.context, here.session(here.laptop), HandBack(kept.id, rows)) == Ok()
    listed = await users.devices(here.context, here.session(here.laptop), DevicesRequest())
    assert isinstance(listed, Devices)
    assert {device.name for device in listed.devices} == {"ana-1", "phone"}


async def test_what_only_the_revoked_device_would_have_sent_is_given_up(here: Here) -> None:
    kept, lacking = here.journal, block_id("film")
    (film,) = (
        state.head for _, state in kept.put(here.phone, kept.change("film", added=[lacking], offered=True)).entries
    )
    await here.coordination.accept(here.session(here.phone), kept.commits[-1])

    async def not_kept() -> frozenset[ChangeId]:
        copy = OfferedCopy()
        request = OfferedRequest(kept.id, copy.generation, copy.number)
        page = await offers.page(here.context, here.session(here.laptop), request)
        assert isinstance(page, OfferedPage)
        assert copy.take(page)
        return frozenset(copy.not_kept)

    assert await not_kept() == set()
    assert await here.revoke(here.phone) == Ok()
    assert await not_kept() == {film}
