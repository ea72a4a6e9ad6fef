"""Making a workspace, and opening one that another device made. Owns the genesis and the sealed keys in it."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Final

from chunking.params import DEFAULT_PARAMS, BadChunkerParams, ChunkerParams
from crypto import sealing
from crypto.identity import BadKey, BoxKey, DeviceKeys, open_sealed, seal_to, sign
from crypto.keyring import BadKeyring, WorkspaceKeyring
from crypto.labels import Label
from peer.ports import Entropy
from peer.store.journal import HASHES
from protocol.chains import UserChain
from protocol.ids import NO_LOG, NO_WORKSPACE, DeviceId, WorkspaceId
from protocol.messages import WorkspaceInfo
from protocol.model import SUITE, Chunker, Commit, Genesis, Header, SealedKey, SignedLink
from protocol.names import name_problem
from protocol.rules import digest_of

HANDED_EPOCHS: Final = 1_500
"""Keys of so many epochs are handed to a device at most."""


def make_genesis(
    name: str, keys: DeviceKeys, links: Sequence[SignedLink], chain: UserChain, entropy: Entropy, now_ms: int
) -> tuple[WorkspaceId, Commit, WorkspaceKeyring]:
    """A new workspace of this user: its id, its first commit, and its keys, sealed to all of the user's devices."""
    salt = entropy.token(16)
    keyring = WorkspaceKeyring(salt, entropy.token(32), {1: entropy.token(32)})
    params = DEFAULT_PARAMS
    recipients = [known.keys.box for known in chain.devices.values() if known.active]
    recipients += [pairing.box for pairing in chain.pairings.values() if pairing.expires > now_ms]
    body = Genesis(
        salt=salt,
        owner=chain.user,
        chain=tuple(links),
        chunker=Chunker("fastcdc2020", params.min_size, params.avg_size, params.max_size),
        dedup="workspace",
        key_commitment=keyring.commitment(1),
        keys=tuple(seal_keys(keyring, chain, recipients, entropy)),
        sealed_name=sealing.seal(keyring.newest.seal, entropy.token(24), name.encode(), _name_context(salt)),
    )
    header = Header(SUITE, NO_WORKSPACE, DeviceId(keys.public.device_id), 1, 0, 0, NO_LOG, now_ms)
    digest = digest_of(Commit(header, body, bytes(64)), HASHES)
    commit = Commit(header, body, sign(Label.SIGN_COMMIT, keys.sign.secret, digest))
    return WorkspaceId(digest), commit, keyring


def seal_keys(
    keyring: WorkspaceKeyring, chain: UserChain, boxes: Iterable[bytes], entropy: Entropy
) -> Iterable[SealedKey]:
    """The keyring sealed to each of these box keys, which are of devices or pairings of `chain`.

    Of many epochs the first and the last ones: whoever has the newest key finds the others in the journal.
    """
    devices = {known.keys.box: bytes(device) for device, known in chain.devices.items()}
    handed = keyring.only((1, *keyring.epochs[1 - HANDED_EPOCHS :]))
    yield from seal_ring(handed, {devices.get(box, box[:16]): box for box in boxes}, entropy)


def seal_ring(keyring: WorkspaceKeyring, boxes: Mapping[bytes, bytes], entropy: Entropy) -> Iterable[SealedKey]:
    """All of a keyring sealed to box keys, given by recipient."""
    for recipient, box in boxes.items():
        try:
            yield SealedKey(recipient, seal_to(box, keyring.pack(), entropy.token(32), keys_context(keyring.salt)))
        except BadKey:
            continue


class NotOurs(Exception):
    """The workspace cannot be taken part in; the text says why."""


def genesis_of(info: WorkspaceInfo) -> Genesis:
    """The genesis of a workspace as the coordinator sent it. Raises `NotOurs` unless it is the one its id names."""
    body = info.genesis.body
    if not isinstance(body, Genesis) or bytes(digest_of(info.genesis, HASHES)) != info.workspace:
        raise NotOurs("the coordinator sent another beginning of its history")
    its = body.chunker
    try:
        ChunkerParams(min_size=its.min_size, avg_size=its.avg_size, max_size=its.max_size)
    except BadChunkerParams:
        raise NotOurs("it was made with a way of cutting files that does not work") from None
    return body


def open_keys(info: WorkspaceInfo, genesis: Genesis, box_keys: Iterable[BoxKey]) -> WorkspaceKeyring | None:
    """The workspace's keys, if they were sealed to one of these keys and are the committed ones."""
    rings = opened_rings((*info.keys, *genesis.keys), genesis.salt, box_keys)
    return next((ring for ring in rings if is_committed(ring, genesis)), None)


def opened_rings(keys: Iterable[SealedKey], salt: bytes, box_keys: Iterable[BoxKey]) -> Iterator[WorkspaceKeyring]:
    """The keyrings that were sealed to one of these keys. Nothing says yet that they are the right ones."""
    boxed = tuple(keys)
    for box_key in box_keys:
        for sealed in boxed:
            with suppress(sealing.BadSeal, BadKeyring):
                yield WorkspaceKeyring.unpack(open_sealed(box_key, sealed.box, keys_context(salt)))


def is_committed(keyring: WorkspaceKeyring, genesis: Genesis) -> bool:
    """Whether these are the keys that the genesis commits to."""
    return (
        keyring.salt == genesis.salt
        and keyring.epoch(1) is not None
        and keyring.commitment(1) == genesis.key_commitment
    )


def open_name(keyring: WorkspaceKeyring, genesis: Genesis) -> str:
    """The workspace's name. Raises `NotOurs` where it does not open or is none."""
    keys = keyring.epoch(1)
    try:
        assert keys is not None
        name = sealing.unseal(keys.seal, genesis.sealed_name, _name_context(genesis.salt)).decode()
    except (sealing.BadSeal, UnicodeDecodeError):
        raise NotOurs("its name cannot be read") from None
    if name_problem(name, at_root=False) is not None:
        raise NotOurs("its name is none that a folder may have")
    return name


def _name_context(salt: bytes) -> bytes:
    return b"workspace name" + salt


def keys_context(salt: bytes) -> bytes:
    """What keys sealed to a device are bound to."""
    return b"workspace keys" + salt


def older_context(salt: bytes, epoch: int) -> bytes:
    """What the keys of earlier epochs are bound to where a new one begins."""
    return b"older keys" + salt + epoch.to_bytes(4, "big")
