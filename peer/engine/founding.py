"""Making a workspace, and opening one that another device made. Owns the genesis and the sealed keys in it."""

from collections.abc import Iterable, Sequence

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
    """The keyring sealed to each of these box keys, which are of devices or pairings of `chain`."""
    devices = {known.keys.box: device for device, known in chain.devices.items()}
    for box in boxes:
        recipient = devices.get(box, box[:16])
        try:
            yield SealedKey(recipient, seal_to(box, keyring.pack(), entropy.token(32), _keys_context(keyring.salt)))
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
    for box_key in box_keys:
        for sealed in (*info.keys, *genesis.keys):
            try:
                keyring = WorkspaceKeyring.unpack(open_sealed(box_key, sealed.box, _keys_context(genesis.salt)))
            except (sealing.BadSeal, BadKeyring):
                continue
            if is_committed(keyring, genesis):
                return keyring
    return None


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


def _keys_context(salt: bytes) -> bytes:
    return b"workspace keys" + salt
