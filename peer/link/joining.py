"""Becoming a device: by an invitation, or by a pairing code of another device of the same user.

Owns the conversations. Everything that the coordinator returns is checked: its identity before anything else is said,
the chain by the rules, ids against those computed here. Never stores anything: the caller keeps the seeds *before*
calling, so that a join whose answer was lost is completed by calling again, and keeps what is returned.
"""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from crypto.identity import DeviceKeys, coordinator_hash, sign
from crypto.invitation import (
    MAX_ADDRESS_BYTES,
    MAX_ADDRESSES,
    SECRET_BYTES,
    Code,
    CodeKind,
    InvitationKeys,
    encode_code,
)
from crypto.labels import Label
from crypto.recovery import RECOVERY_SEED_BYTES, RecoveryKeys
from crypto.sealing import NONCE_BYTES, BadSeal, seal, unseal
from peer.link.chain import KnownChain, judge_received, link_hash, named_keys, next_link, read_chain, sign_link
from peer.link.coordinator import CoordinatorClient
from peer.link.errors import BadReply
from peer.ports import Clock, Entropy, Network
from protocol import codec, limits
from protocol.chains import UserChain
from protocol.ids import DeviceId, UserId
from protocol.messages import (
    InvitationRequest,
    Joined,
    JoinRequest,
    PairingOffer,
    PairingRequest,
    PairRequest,
    Refusal,
    RefusalCode,
)
from protocol.model import SUITE, Bundle, BundledWorkspace, DevicePaired, Founded, PairingAdmitted
from protocol.names import device_name_problem, numbered_device_name
from protocol.view import ChainState

ATTEMPTS = 5
"""How often a link is signed anew because the chain moved on meanwhile."""


@dataclass(frozen=True, slots=True)
class Doors:
    """What a conversation needs of the machine."""

    network: Network
    clock: Clock
    entropy: Entropy
    allow_plain: bool = False


@dataclass(frozen=True, slots=True)
class Seeds:
    """What all keys of a new device, and of the user it founds, are made from. Secret; 32 bytes each."""

    device: bytes = field(repr=False)
    recovery: bytes = field(repr=False)

    @classmethod
    def draw(cls, entropy: Entropy) -> "Seeds":
        """Fresh ones."""
        return cls(entropy.token(32), entropy.token(RECOVERY_SEED_BYTES))


@dataclass(frozen=True, slots=True)
class JoinedIdentity:
    """Who this device is now. `identity` is the coordinator's whole key, to be pinned.

    `workspaces` are those that a pairing's bundle gave keys for; a bundle can be lost with an answer, and the keys
    then come from the coordinator, sealed to the pairing.
    """

    user: UserId
    user_name: str
    device: DeviceId
    device_name: str
    identity: bytes
    addresses: tuple[str, ...]
    chain: KnownChain
    workspaces: tuple[BundledWorkspace, ...] = ()


async def join(code: Code, device_name: str, seeds: Seeds, doors: Doors) -> JoinedIdentity | Refusal:
    """Become the invited user's first device.

    Raises `ValueError` for a code of another kind or a name that no device may have, and `LinkError`; after that, or
    a cancellation, call again with the same seeds.
    """
    _check(code, CodeKind.JOIN, device_name)
    invitation = InvitationKeys.of(code.secret)
    keys, recovery = DeviceKeys.from_seed(seeds.device), RecoveryKeys.from_seed(seeds.recovery)
    async with _open_client(code, keys, doors) as client:
        proved = await client.prove()
        if isinstance(proved, Refusal):
            return proved
        info = await client.request(InvitationRequest(invitation.sign.public))
        if isinstance(info, Refusal):
            return await _joined_before(info, client, keys)
        body = Founded(info.user_name, named_keys(keys, device_name), recovery.sign.public, recovery.box.public)
        link = next_link(None, body, client.now_ms())
        signed = sign_link(link, keys.sign, recovery.sign)
        known = judge_received((signed,))  # the name is the coordinator's, the rest is ours
        proof = sign(Label.SIGN_INVITE, invitation.sign.secret, link_hash(link))
        joined = await client.request(JoinRequest(invitation.sign.public, proof, signed))
        if isinstance(joined, Refusal):
            return await _joined_before(joined, client, keys)
        return await _complete(joined, known, client, keys)


async def pair(code: Code, device_name: str, seeds: Seeds, doors: Doors) -> JoinedIdentity | Refusal:
    """Become one more device of the code's user, named `device_name`, or `device_name-2` … where that is in use.

    Raises as `join` does, and `BadReply` where chain or bundle are not what the code's maker left.
    """
    _check(code, CodeKind.PAIR, device_name)
    pairing = InvitationKeys.of(code.secret)
    keys = DeviceKeys.from_seed(seeds.device)
    async with _open_client(code, keys, doors) as client:
        proved = await client.prove()
        if isinstance(proved, Refusal):
            return proved
        conflict = Refusal(RefusalCode.CONFLICT, "the user's chain keeps changing")
        for _ in range(ATTEMPTS):
            offered = await client.request(PairingRequest(pairing.lookup_id))
            if isinstance(offered, Refusal):
                return await _joined_before(offered, client, keys)
            known = judge_received(offered.chain)
            bundle = _open_bundle(offered.bundle, pairing, known.chain)
            device = named_keys(keys, _free_name(device_name, known.chain))
            link = next_link(known.chain, DevicePaired(pairing.sign.public, device), client.now_ms())
            signed = sign_link(link, pairing.sign, keys.sign)
            known = judge_received((signed,), known)
            answer = await client.request(PairRequest(pairing.lookup_id, signed))
            if isinstance(answer, Joined):
                return await _complete(answer, known, client, keys, bundle.workspaces)
            if answer.code is not RefusalCode.CONFLICT:
                return await _joined_before(answer, client, keys)
            conflict = answer
        return conflict


@dataclass(frozen=True, slots=True)
class OfferedPairing:
    """A pairing code, valid until `expires_ms`, and the user's chain that admits it."""

    code: str = field(repr=False)
    expires_ms: int
    chain: KnownChain


async def offer_pairing(
    client: CoordinatorClient,
    keys: DeviceKeys,
    known: KnownChain,
    workspaces: Iterable[BundledWorkspace],
    doors: Doors,
    lifetime_ms: int,
) -> OfferedPairing | Refusal:
    """Admit one more device of this user, and leave it the workspaces' keys and heads, sealed under the code.

    `known` is the user's chain as this device has it; a chain at the coordinator that contradicts it is a `BadReply`.
    """
    secret = doors.entropy.token(SECRET_BYTES)
    pairing = InvitationKeys.of(secret)
    session = await client.session()  # which tells the time by which the offer expires
    if isinstance(session, Refusal):
        return session
    expires_ms = client.now_ms() + lifetime_ms
    admitted = PairingAdmitted(DeviceId(keys.public.device_id), pairing.sign.public, pairing.box.public, expires_ms)
    left = tuple(workspaces)
    answer: Refusal | None = None
    for _ in range(ATTEMPTS):
        latest = await read_chain(client, known.chain.user, known)
        if isinstance(latest, Refusal):
            return latest
        signed = sign_link(next_link(latest.chain, admitted, client.now_ms()), keys.sign)
        known = judge_received((signed,), latest)
        plain = codec.encode(Bundle(SUITE, known.chain.length, known.chain.last, left))
        sealed = seal(pairing.bundle, doors.entropy.token(NONCE_BYTES), plain, pairing.lookup_id)
        if len(sealed) > limits.BUNDLE_BYTES:
            return Refusal(RefusalCode.TOO_LARGE, "the keys of so many workspaces do not fit one pairing")
        reply = await client.request(PairingOffer(signed, pairing.lookup_id, sealed))
        if not isinstance(reply, Refusal):
            code = Code(CodeKind.PAIR, secret, coordinator_hash(client.identity), _code_addresses(client))
            return OfferedPairing(encode_code(code), expires_ms, known)
        answer, known = reply, latest
        if reply.code is not RefusalCode.CONFLICT:
            break
    assert answer is not None
    return answer


def _check(code: Code, kind: CodeKind, device_name: str) -> None:
    if code.kind is not kind:
        raise ValueError(f"this is not a {kind.value} code")
    problem = device_name_problem(device_name)
    if problem is not None:
        raise ValueError(f"the device's name {problem}")


@asynccontextmanager
async def _open_client(code: Code, keys: DeviceKeys, doors: Doors) -> AsyncIterator[CoordinatorClient]:
    client = CoordinatorClient(
        addresses=code.addresses,
        identity=code.identity_hash,
        keys=keys,
        network=doors.network,
        clock=doors.clock,
        entropy=doors.entropy,
        allow_plain=doors.allow_plain,
    )
    try:
        yield client
    finally:
        await client.aclose()


def _open_bundle(sealed: bytes, pairing: InvitationKeys, chain: UserChain) -> Bundle:
    """The bundle, if it is the one that belongs to the code and the chain goes on from it."""
    admitted = chain.pairings.get(pairing.sign.public)
    if admitted is None or admitted.box != pairing.box.public:
        raise BadReply("the user's chain does not admit this code")
    try:
        plain = unseal(pairing.bundle, sealed, pairing.lookup_id)
        bundle = codec.decode_exact(Bundle, plain, limits.BUNDLE_BYTES)
    except (BadSeal, codec.Malformed):
        raise BadReply("what was left for this code does not open") from None
    if not chain.extends(ChainState(bundle.chain_length, bundle.chain_last)):
        raise BadReply("the user's chain is not the one that the code was made with")
    return bundle


def _free_name(name: str, chain: UserChain) -> str:
    taken = {known.keys.name for known in chain.devices.values()}
    return next(
        candidate
        for number in range(1, limits.DEVICES_PER_USER + 2)
        if (candidate := numbered_device_name(name, number)) not in taken
    )


async def _joined_before(refusal: Refusal, client: CoordinatorClient, keys: DeviceKeys) -> JoinedIdentity | Refusal:
    """Complete a join whose answer was lost: the code is used up, and it was this device that used it."""
    if refusal.code not in (RefusalCode.USED, RefusalCode.CONFLICT, RefusalCode.NOT_FOUND):
        return refusal
    session = await client.session()
    if isinstance(session, Refusal):
        return refusal
    known = await read_chain(client, session.user)
    if isinstance(known, Refusal):
        return known
    return await _complete(Joined(session.user, DeviceId(keys.public.device_id)), known, client, keys)


async def _complete(
    joined: Joined,
    known: KnownChain,
    client: CoordinatorClient,
    keys: DeviceKeys,
    workspaces: tuple[BundledWorkspace, ...] = (),
) -> JoinedIdentity | Refusal:
    """Sign in for the first time, which proves that both sides mean the same device."""
    device = DeviceId(keys.public.device_id)
    own = known.chain.devices.get(device)
    if own is None or joined.user != known.chain.user or joined.device != device:
        raise BadReply("the coordinator took this device for another")
    session = await client.session()
    if isinstance(session, Refusal):
        return session
    if session.user != known.chain.user:
        raise BadReply("the coordinator took this user for another")
    return JoinedIdentity(
        user=known.chain.user,
        user_name=known.chain.name,
        device=device,
        device_name=own.keys.name,
        identity=session.identity,
        addresses=client.addresses,
        chain=known,
        workspaces=workspaces,
    )


def _code_addresses(client: CoordinatorClient) -> tuple[str, ...]:
    usable = [address for address in client.addresses if len(address) <= MAX_ADDRESS_BYTES]
    usable.sort(key=lambda address: address != client.url)  # the one that works comes first
    return tuple(usable[:MAX_ADDRESSES])
