"""What is hashed, signed, sealed and kept: entries, changes, commits, user chains.

Owns the shape of these bytes; `docs/protocol.md` says the same in prose. Never computes a hash (see `rules.Hashes`).
Every struct is a fixed-order array. Times are milliseconds since 1970, sizes are bytes.
"""

import enum
from typing import Annotated, Final, Literal

from msgspec import Meta

from protocol import limits
from protocol.codec import Array, encode
from protocol.ids import (
    Bytes16,
    Hash32,
    PublicKey,
    Signature,
    WireBlockId,
    WireChangeId,
    WireChunkId,
    WireCommitDigest,
    WireDeviceId,
    WireEntryId,
    WireLinkHash,
    WireLogHash,
    WireNameKey,
    WireUserId,
    WireWorkspaceId,
)

SUITE: Final = 1
"""The one suite of algorithms so far; the first element of all that is signed."""

Suite = Literal[1]
Count = Annotated[int, Meta(ge=0, le=2**53)]
Seq = Annotated[int, Meta(ge=0, le=2**53)]
TimeMs = Annotated[int, Meta(ge=0, le=limits.CLOCK_MS)]
TimeNs = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
Epoch = Annotated[int, Meta(ge=1, le=2**31 - 1)]
DeviceName = Annotated[str, Meta(min_length=1, max_length=limits.DEVICE_NAME_CHARS)]
UserName = Annotated[str, Meta(min_length=1, max_length=limits.USER_NAME_CHARS)]
BlockIds = Annotated[bytes, Meta(max_length=32 * limits.CHANGE_BLOCKS)]
"""Block ids of 32 bytes each, one after the other, without repeats."""


class Kind(enum.IntEnum):
    """What an entry is; it never changes during the entry's life."""

    FILE = 0
    DIRECTORY = 1
    SYMLINK = 2
    MOUNT = 3


class Role(enum.IntEnum):
    """What a member may do; a higher one includes the lower ones."""

    VIEWER = 1
    EDITOR = 2
    MANAGER = 3
    OWNER = 4


# --- changes -------------------------------------------------------------------------------------------


class Seen(Array, frozen=True):
    """What the author of a directory's deletion had seen: the journal up to `seq`, and commits applied beyond it."""

    seq: Seq
    commits: Annotated[tuple[WireCommitDigest, ...], Meta(max_length=limits.SEEN_COMMITS)]


class Clear(Array, frozen=True):
    """The part of a change that the coordinator sees. `padded_bytes` is the total size of the blocks in `added`."""

    entry: WireEntryId
    parent: WireEntryId
    kind: Kind
    base: WireChangeId | None
    name_key: WireNameKey
    deleted: bool
    offered: bool
    epoch: Epoch
    padded_bytes: Count
    seen: Seen | None


class Change(Array, frozen=True, tag=0):
    """One entry's new version, whole. `sealed` is a `Body` under the epoch key, bound to `sealed_context`."""

    clear: Clear
    sealed: Annotated[bytes, Meta(max_length=limits.SEALED_BYTES)]
    added: BlockIds
    removed: BlockIds


class PurgedChange(Array, frozen=True, tag=1):
    """One entry's version whose sealed part and block lists retention has removed."""

    clear: Clear
    sealed_hash: Hash32
    lists_hash: Hash32


AnyChange = Change | PurgedChange


class ChunkRef(Array, frozen=True):
    """One chunk of a file and the block that encodes it. `length` is the plaintext's."""

    chunk: WireChunkId
    block: WireBlockId
    epoch: Epoch
    length: Annotated[int, Meta(ge=1, le=limits.CHUNK_BYTES)]


class FlatManifest(Array, frozen=True, tag="flat"):
    """The chunks of a file in order; none for an empty file. (`tree` is reserved for long ones.)"""

    chunks: Annotated[tuple[ChunkRef, ...], Meta(max_length=limits.CHANGE_BLOCKS)]


Manifest = FlatManifest


class CopyOf(Array, frozen=True):
    """Which entry a conflicted copy is a copy of, and the version that the losing edit was made from."""

    entry: WireEntryId
    base: WireChangeId | None


class Body(Array, frozen=True):
    """The sealed part of a change.

    A file has `manifest` and `digest` (keyed hash of its plaintext), a symlink has `target`, a directory neither.
    A deleting change repeats name and place of the version it ends and has no manifest, digest or target.
    """

    name: Annotated[str, Meta(min_length=1, max_length=limits.NAME_BYTES)]
    size: Count
    mtime_ns: TimeNs
    executable: bool
    digest: Hash32 | None
    target: Annotated[bytes, Meta(min_length=1, max_length=limits.LINK_TARGET_BYTES)] | None
    manifest: Manifest | None
    copy_of: CopyOf | None


# --- user chains ---------------------------------------------------------------------------------------


class DeviceKeys(Array, frozen=True):
    """A device's public keys and its name. The device id is a hash of the three keys."""

    name: DeviceName
    sign: PublicKey
    box: PublicKey
    tls: PublicKey


class Founded(Array, frozen=True, tag=0):
    """First link: the user's first device and recovery keys. Signed by the device, then by the recovery key."""

    name: UserName
    device: DeviceKeys
    recovery_sign: PublicKey
    recovery_box: PublicKey


class PairingAdmitted(Array, frozen=True, tag=1):
    """A key, derived from a pairing code, that may add exactly one device. Signed by `author`, an active device."""

    author: WireDeviceId
    pairing_sign: PublicKey
    pairing_box: PublicKey
    expires: TimeMs


class DevicePaired(Array, frozen=True, tag=2):
    """A device added by a pairing key not used before. Signed by the pairing key, then by the new device."""

    pairing_sign: PublicKey
    device: DeviceKeys


class Revocation(Array, frozen=True, tag=3):
    """A device that may do nothing from here on, nor come back; the pairings that it admitted, and that nobody has
    used, go with it. Signed by `author`, another active device."""

    author: WireDeviceId
    device: WireDeviceId


LinkBody = Founded | PairingAdmitted | DevicePaired | Revocation


class Link(Array, frozen=True):
    """What is hashed and signed of one link of a user's chain. `index` counts from 0."""

    suite: Suite
    user: WireUserId
    index: Annotated[int, Meta(ge=0, lt=limits.CHAIN_LINKS)]
    previous: WireLinkHash
    time: TimeMs
    body: LinkBody


class SignedLink(Array, frozen=True):
    """A link with its signatures, in the order that its body states."""

    link: Link
    signatures: Annotated[tuple[Signature, ...], Meta(min_length=1, max_length=2)]


Chain = Annotated[tuple[SignedLink, ...], Meta(min_length=1, max_length=limits.CHAIN_LINKS)]


class BundledWorkspace(Array, frozen=True):
    """A workspace in a pairing's bundle: its keys, packed, and a head of its journal that the author had verified."""

    workspace: WireWorkspaceId
    keyring: Annotated[bytes, Meta(max_length=limits.BUNDLE_BYTES)]
    head_seq: Seq
    head_hash: WireLogHash


class Bundle(Array, frozen=True):
    """What a device leaves for the one that comes with a pairing code, sealed under the code's bundle key.

    Bound to the lookup id. `chain_*` is the user's chain with the link that admits the pairing: the chain that the
    new device is shown must be this one or go on from it.
    """

    suite: Suite
    chain_length: Annotated[int, Meta(ge=1, le=limits.CHAIN_LINKS)]
    chain_last: WireLinkHash
    workspaces: Annotated[tuple[BundledWorkspace, ...], Meta(max_length=10_000)]


# --- commits -------------------------------------------------------------------------------------------


class Chunker(Array, frozen=True):
    """How a workspace's files are cut; recorded in its genesis and the same for all its life. Sizes in bytes."""

    name: Literal["fastcdc2020"]
    min_size: Annotated[int, Meta(ge=64, le=limits.CHUNK_BYTES)]
    avg_size: Annotated[int, Meta(ge=256, le=limits.CHUNK_BYTES)]
    max_size: Annotated[int, Meta(ge=1024, le=limits.CHUNK_BYTES)]


class SealedKey(Array, frozen=True):
    """The workspace's keys sealed to one recipient: a device id, or the first 16 bytes of a pairing's box key."""

    recipient: Bytes16
    box: Annotated[bytes, Meta(min_length=32, max_length=65_536)]


class Entries(Array, frozen=True, tag=0):
    """An ordinary commit: changes of entries, at most one each. May be empty, to use up a number."""

    changes: Annotated[tuple[AnyChange, ...], Meta(max_length=limits.COMMIT_CHANGES)]


class Genesis(Array, frozen=True, tag=1):
    """The control commit that makes a workspace. All devices active in `chain` are valid from here on."""

    salt: Bytes16
    owner: WireUserId
    chain: Chain
    chunker: Chunker
    dedup: Literal["workspace", "team"]
    key_commitment: Hash32
    keys: Annotated[tuple[SealedKey, ...], Meta(max_length=limits.SEALED_KEYS)]
    sealed_name: Annotated[bytes, Meta(max_length=2048)]


class DeviceAdded(Array, frozen=True, tag=2):
    """The control commit by which a device of a member becomes valid; signed by that device itself."""

    previous_control: WireCommitDigest
    user: WireUserId
    chain: Chain


class NewEpoch(Array, frozen=True):
    """The key of the next epoch. Each box of `keys` has a keyring of this epoch alone; `older` has one of all epochs
    before it, sealed under the new one's history key."""

    epoch: Epoch
    key_commitment: Hash32
    keys: Annotated[tuple[SealedKey, ...], Meta(max_length=limits.SEALED_KEYS)]
    older: Annotated[bytes, Meta(max_length=limits.BUNDLE_BYTES)]


class DeviceRevoked(Array, frozen=True, tag=3):
    """The control commit that enters a member's longer chain, which revokes at least one device.

    Signed by another device of that user, or a manager's. `rotation` stands where the author may manage; without it
    new keys are due.
    """

    previous_control: WireCommitDigest
    user: WireUserId
    chain: Chain
    rotation: NewEpoch | None


class KeysRotated(Array, frozen=True, tag=4):
    """The control commit by which a manager's device begins another epoch."""

    previous_control: WireCommitDigest
    rotation: NewEpoch


CommitBody = Entries | Genesis | DeviceAdded | DeviceRevoked | KeysRotated


class Header(Array, frozen=True):
    """Who commits, and on what: the author's commit number, its last accepted one, and the head it had verified."""

    suite: Suite
    workspace: WireWorkspaceId
    device: WireDeviceId
    number: Annotated[int, Meta(ge=1, le=2**53)]
    after: Count
    head_seq: Seq
    head_hash: WireLogHash
    time: TimeMs


class Commit(Array, frozen=True):
    """A commit as it travels. The signature is over the digest of its skeleton."""

    header: Header
    body: CommitBody
    signature: Signature


class JournalRow(Array, frozen=True):
    """A commit in its place in the journal. `received` is the coordinator's time, unsigned, never decreasing."""

    seq: Seq
    log_hash: WireLogHash
    received: TimeMs
    commit: Commit


# --- the bytes that are hashed -------------------------------------------------------------------------


def clear_bytes(clear: Clear) -> bytes:
    """The clear part as it is hashed and bound."""
    return encode(clear)


def lists_bytes(added: bytes, removed: bytes) -> bytes:
    """The block lists as they are hashed."""
    return encode((added, removed))


def sealed_context(workspace: bytes, clear: Clear, lists_hash: bytes) -> bytes:
    """What the sealed part of a change is bound to (its associated data)."""
    return encode((SUITE, workspace, clear, lists_hash))


def skeleton_bytes(header: Header, body: CommitBody, hashes: tuple[tuple[bytes, bytes], ...]) -> bytes:
    """The skeleton of a commit: header and, per change, clear part, sealed hash and lists hash.

    `hashes` are the pairs (sealed hash, lists hash) of the changes in order; empty for a control commit, whose
    body stands in the skeleton whole.
    """
    if isinstance(body, Entries):
        changes = tuple((change.clear, *pair) for change, pair in zip(body.changes, hashes, strict=True))
        return encode((header, (0, changes)))
    return encode((header, body))


def link_bytes(link: Link) -> bytes:
    """A link as it is hashed and signed."""
    return encode(link)


def split_ids(joined: bytes) -> list[bytes]:
    """The 32-byte ids in a `BlockIds` field. The caller has checked that the length is a multiple of 32."""
    return [joined[at : at + 32] for at in range(0, len(joined), 32)]
