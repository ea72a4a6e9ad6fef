"""Opaque identifiers. Owns their types and lengths; never makes one.

An id made by a hash says so; every other id is 16 random bytes. On the wire and in a store an id is its raw
bytes; for people it is lower-case hexadecimal.
"""

from typing import Annotated, Final, NewType

from msgspec import Meta

EntryId = NewType("EntryId", bytes)
"""16 bytes: random, or derived (conflicted copies, directories made again). The root is `ROOT`."""
DeviceId = NewType("DeviceId", bytes)
"""16 bytes: hash of the device's public keys."""
UserId = NewType("UserId", bytes)
"""16 bytes: hash of the first link of the user's chain."""
WorkspaceId = NewType("WorkspaceId", bytes)
"""32 bytes: the commit digest of the workspace's genesis."""
CommitDigest = NewType("CommitDigest", bytes)
"""32 bytes: hash of a commit's skeleton; what its author signs."""
ChangeId = NewType("ChangeId", bytes)
"""32 bytes: hash of workspace id and change skeleton; names an entry version."""
LogHash = NewType("LogHash", bytes)
"""32 bytes: the journal chained up to one commit."""
BlockId = NewType("BlockId", bytes)
"""32 bytes: BLAKE3 of the block's ciphertext."""
ChunkId = NewType("ChunkId", bytes)
"""32 bytes: keyed BLAKE3 of the chunk's plaintext."""
NameKey = NewType("NameKey", bytes)
"""16 bytes: keyed hash of parent id and NFC name."""
LinkHash = NewType("LinkHash", bytes)
"""32 bytes: hash of one link of a user's chain."""

_SHORT = Meta(min_length=16, max_length=16)
_LONG = Meta(min_length=32, max_length=32)

WireEntryId = Annotated[EntryId, _SHORT]
WireDeviceId = Annotated[DeviceId, _SHORT]
WireUserId = Annotated[UserId, _SHORT]
WireWorkspaceId = Annotated[WorkspaceId, _LONG]
WireCommitDigest = Annotated[CommitDigest, _LONG]
WireChangeId = Annotated[ChangeId, _LONG]
WireLogHash = Annotated[LogHash, _LONG]
WireBlockId = Annotated[BlockId, _LONG]
WireChunkId = Annotated[ChunkId, _LONG]
WireNameKey = Annotated[NameKey, _SHORT]
WireLinkHash = Annotated[LinkHash, _LONG]

Hash32 = Annotated[bytes, _LONG]
Bytes16 = Annotated[bytes, _SHORT]
PublicKey = Annotated[bytes, _LONG]
"""32 bytes: an Ed25519 or X25519 public key."""
Signature = Annotated[bytes, Meta(min_length=64, max_length=64)]

ROOT: Final = EntryId(bytes(16))
"""The root directory of every workspace: always live, never changed, no version of its own."""
NO_WORKSPACE: Final = WorkspaceId(bytes(32))
"""What a genesis commit names as its workspace, since its digest becomes the id."""
NO_LOG: Final = LogHash(bytes(32))
"""`log_hash` before `seq` 1."""
NO_LINK: Final = LinkHash(bytes(32))
"""`previous` of a chain's first link."""
NO_USER: Final = UserId(bytes(16))
"""What a chain's first link names as its user, since its hash becomes the id."""
