"""The keys of a workspace's epochs, and whose turn it is to make new ones.

Owns which keys count: those that the journal commits to. All of it belongs in the database's thread; nothing is sent.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from crypto import sealing
from crypto.identity import BoxKey
from crypto.keyring import BadKeyring, WorkspaceKeyring
from peer.engine import founding
from peer.engine.context import Identity
from peer.link.chain import KnownChain
from peer.ports import Entropy
from peer.store import workspaces
from peer.store.database import Database
from peer.store.journal import JournalState
from peer.store.workspaces import Record
from protocol import limits
from protocol.codec import decode
from protocol.ids import DeviceId
from protocol.messages import WorkspaceInfo
from protocol.model import (
    Chain,
    CommitBody,
    DeviceAdded,
    DeviceRevoked,
    Entries,
    Genesis,
    JournalRow,
    KeysRotated,
    NewEpoch,
    Revocation,
    Role,
    SignedLink,
)

# --- the keys that count ------------------------------------------------------------------------------------


def take_up(database: Database, journal: JournalState, record: Record, boxes: Sequence[BoxKey]) -> Record:
    """The record with the keys of the epochs that the journal has begun, as far as they can be had, and no others.

    A key counts only if it is the one that the rotation commits to, whoever handed it over. What was learnt is kept.
    """
    epoch = journal.workspace.epoch
    if record.keyring.epochs == tuple(range(1, epoch + 1)) == (1,):
        return record
    kept = workspaces.reread(database, record).keyring
    first = kept.root(1)
    assert first is not None, "nothing is opened without the first key"
    roots, older = {1: first}, dict[int, bytes]()
    rotations = {its.epoch: its for body in control_bodies(database, journal) if (its := rotation_of(body)) is not None}
    for number in range(epoch, 1, -1):
        its = rotations[number]
        root = _root_of(its, kept, older, boxes)
        if root is not None:
            roots[number] = root
            if any(kept.root(each) is None for each in range(1, number)):
                older |= _older_of(its, kept, root)
    keyring = WorkspaceKeyring(kept.salt, kept.fixed_root, roots)
    if any(kept.root(number) != root for number, root in roots.items()):
        all_roots = {number: root for number in kept.epochs if (root := kept.root(number)) is not None}
        merged = WorkspaceKeyring(kept.salt, kept.fixed_root, all_roots | roots)
        workspaces.set_keyring(database, record.w, merged)
    return replace(record, keyring=keyring)


def take_over(
    database: Database, journal: JournalState, record: Record, info: WorkspaceInfo, boxes: Sequence[BoxKey]
) -> Record:
    """The record with what the coordinator has for this device, taken up."""
    kept, found = workspaces.reread(database, record).keyring, dict[int, bytes]()
    for ring in founding.opened_rings(info.keys, kept.salt, boxes):
        if ring.fixed_root == kept.fixed_root:
            found |= {number: root for number in ring.epochs if (root := ring.root(number)) is not None}
    certain = {number: root for number in record.keyring.epochs if (root := record.keyring.root(number)) is not None}
    roots = {number: root for number in kept.epochs if (root := kept.root(number)) is not None}
    workspaces.set_keyring(database, record.w, WorkspaceKeyring(kept.salt, kept.fixed_root, roots | found | certain))
    return take_up(database, journal, record, boxes)


def _root_of(
    rotation: NewEpoch, kept: WorkspaceKeyring, older: Mapping[int, bytes], boxes: Sequence[BoxKey]
) -> bytes | None:
    """The key that a rotation commits to: kept, handed on under a newer one, or sealed to this device."""
    number = rotation.epoch
    for root in (kept.root(number), older.get(number)):
        if root is not None and _commitment(kept, number, root) == rotation.key_commitment:
            return root
    for ring in founding.opened_rings(rotation.keys, kept.salt, boxes):
        root = ring.root(number)
        if root is not None and _commitment(kept, number, root) == rotation.key_commitment:
            return root
    return None


def _older_of(rotation: NewEpoch, kept: WorkspaceKeyring, root: bytes) -> dict[int, bytes]:
    """The keys of earlier epochs as a rotation hands them on."""
    keys = WorkspaceKeyring(kept.salt, kept.fixed_root, {rotation.epoch: root}).newest
    try:
        context = founding.older_context(kept.salt, rotation.epoch)
        ring = WorkspaceKeyring.unpack(sealing.unseal(keys.history, rotation.older, context))
    except (sealing.BadSeal, BadKeyring):
        return {}
    return {number: its for number in ring.epochs if (its := ring.root(number)) is not None}


def _commitment(kept: WorkspaceKeyring, number: int, root: bytes) -> bytes:
    return WorkspaceKeyring(kept.salt, kept.fixed_root, {number: root}).commitment(number)


# --- what is to be committed --------------------------------------------------------------------------------


def next_control(
    database: Database,
    journal: JournalState,
    record: Record,
    identity: Identity,
    known: KnownChain,
    entropy: Entropy,
    now_ms: int,
) -> CommitBody | None:
    """What this device has to enter into the journal, as far as it may: itself, a revocation, or new keys."""
    here, own = journal.workspace, journal.device(identity.device)
    if own is None:
        return DeviceAdded(here.last_control, identity.user, known.links)
    role, seen = journal.role(identity.user), journal.chain(identity.user)
    if not own.active or role is None or seen is None or identity.device in known.chain.revoked_devices:
        return None
    manages = role >= Role.MANAGER
    holds_all = record.keyring.epochs == tuple(range(1, here.epoch + 1))
    if manages and not holds_all:
        return None  # nobody could be handed what this device does not have
    if known.chain.extends(seen) and _revokes(known.links[seen.length :]):
        rotation = new_epoch(journal, record.keyring, known, entropy, now_ms) if manages else None
        return DeviceRevoked(here.last_control, identity.user, known.links, rotation)
    if manages and _is_rotation_due(database, journal, known):
        return KeysRotated(here.last_control, new_epoch(journal, record.keyring, known, entropy, now_ms))
    return None


def new_epoch(
    journal: JournalState, keyring: WorkspaceKeyring, known: KnownChain, entropy: Entropy, now_ms: int
) -> NewEpoch:
    """The next epoch's key, sealed to every device that stays and to unused pairings of this device's user."""
    chain, number = known.chain, journal.workspace.epoch + 1
    ring = keyring.with_epoch(number, entropy.token(32))
    boxes = {
        bytes(device): known.keys.box
        for device, known in journal.devices()
        if known.active and device not in chain.revoked_devices
    }
    boxes |= {bytes(device): keys.box for device, keys in chain.active_devices().items() if _may_come(journal, device)}
    boxes |= {pairing.recipient: pairing.box for pairing in chain.pairings.values() if pairing.expires > now_ms}
    return NewEpoch(
        epoch=number,
        key_commitment=ring.commitment(number),
        keys=tuple(founding.seal_ring(ring.only((number,)), boxes, entropy)),
        older=sealing.seal(
            ring.newest.history,
            entropy.token(24),
            keyring.pack(),
            founding.older_context(keyring.salt, number),
        ),
    )


def _may_come(journal: JournalState, device: DeviceId) -> bool:
    """Whether a device of the chain is valid in the journal, or may be added."""
    known = journal.device(device)
    return known is None or known.active


def _is_rotation_due(database: Database, journal: JournalState, known: KnownChain) -> bool:
    """Whether a revocation was entered after the last rotation without bringing one."""
    ended = database.one("SELECT 1 FROM devices WHERE w = ? AND active = 0 LIMIT 1", (journal.w,))
    if ended is None and not known.chain.revoked_devices:
        return False
    is_due, seen = False, dict[bytes, int]()
    for body in reversed(list(control_bodies(database, journal))):
        entered = _entered_chain(body)
        if entered is not None:
            user, chain = entered
            is_due = is_due or (not isinstance(body, Genesis) and _revokes(chain[seen.get(user, 0) :]))
            seen[user] = len(chain)
        if rotation_of(body) is not None:
            is_due = False
    return is_due


def control_bodies(database: Database, journal: JournalState) -> Iterator[CommitBody]:
    """The control commits of the journal, from the last one back to the genesis."""
    digest = journal.workspace.last_control
    while journal.workspace.seq > 0:
        row = database.one("SELECT row FROM commits WHERE w = ? AND digest = ?", (journal.w, digest))
        assert row is not None, "a control commit names the one before"
        body = decode(JournalRow, row[0], limits.REPLY_BYTES).commit.body
        yield body
        if isinstance(body, Genesis | Entries):
            return
        digest = body.previous_control


def rotation_of(body: CommitBody) -> NewEpoch | None:
    """The new epoch that a commit begins, if it does."""
    return body.rotation if isinstance(body, DeviceRevoked | KeysRotated) else None


def _entered_chain(body: CommitBody) -> tuple[bytes, Chain] | None:
    match body:
        case Genesis(owner=user, chain=chain) | DeviceAdded(user=user, chain=chain):
            return bytes(user), chain
        case DeviceRevoked(user=user, chain=chain):
            return bytes(user), chain
        case _:
            return None


def _revokes(links: Sequence[SignedLink]) -> bool:
    return any(isinstance(signed.link.body, Revocation) for signed in links)
