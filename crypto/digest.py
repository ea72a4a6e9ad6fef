"""Hashes and derived keys, each bound to one label.

Owns how bytes become digests, keys and identifiers. Never encrypts or signs, and keeps nothing.

BLAKE2b (RFC 7693, keyed, with personalisation) serves key derivation and short inputs; BLAKE3
serves the many bytes of chunks, files and blocks. Every BLAKE2b input starts with the suite
byte, followed by each part with its length in front, so no two lists of parts collide.
"""

import hashlib
import struct
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from blake3 import blake3

from crypto.labels import Label

SUITE: Final = 1
"""The one suite there is: BLAKE2b, BLAKE3, XChaCha20-Poly1305, Ed25519, X25519."""

SUITE_BYTE: Final = bytes([SUITE])
DIGEST_BYTES: Final = 32
KEY_BYTES: Final = 32
ID_BYTES: Final = 16

Buffer: TypeAlias = bytes | bytearray | memoryview

_LENGTH: Final = struct.Struct(">I")


def derive(label: Label, key: bytes, *context: Buffer, size: int = DIGEST_BYTES) -> bytes:
    """`size` (1 to 64) bytes that only holders of the key can compute for this label and context.

    BLAKE2b with the digest size, the key (up to 64 bytes) and the label as personalisation,
    over the suite byte and each part of the context after its length (4 bytes, big endian).
    """
    state = hashlib.blake2b(SUITE_BYTE, digest_size=size, key=key, person=label.value)
    for part in context:
        state.update(_LENGTH.pack(len(part)))
        state.update(part)
    return state.digest()


def digest(label: Label, *parts: Buffer, size: int = DIGEST_BYTES) -> bytes:
    """What anybody can compute: `derive` without a key."""
    return derive(label, b"", *parts, size=size)


def derived_id(label: Label, *parts: Buffer) -> bytes:
    """A 16-byte identifier that everybody derives alike from the same parts."""
    return derive(label, b"", *parts, size=ID_BYTES)


@dataclass(frozen=True, slots=True)
class FixedKeys:
    """A workspace's sub-keys that no rotation changes, 32 bytes each and of one purpose."""

    name: bytes = field(repr=False)
    chunk: bytes = field(repr=False)
    file: bytes = field(repr=False)
    link: bytes = field(repr=False)

    @classmethod
    def of(cls, fixed: bytes, salt: bytes) -> "FixedKeys":
        """Derives them from the workspace's fixed key and its genesis salt."""
        return cls(
            name=derive(Label.KEY_NAME, fixed, salt),
            chunk=derive(Label.KEY_CHUNK, fixed, salt),
            file=derive(Label.KEY_FILE, fixed, salt),
            link=derive(Label.KEY_LINK, fixed, salt),
        )


def chunk_id(keys: FixedKeys, data: Buffer) -> bytes:
    """A chunk's name: 32 bytes, keyed BLAKE3 of its plaintext. Releases the GIL for big input."""
    return blake3(data, key=keys.chunk).digest()


def file_hasher(keys: FixedKeys) -> blake3:
    """A hasher for a whole file: `update(buffer)` as bytes come, `digest()` for the 32 bytes."""
    return blake3(key=keys.file)


def file_digest(keys: FixedKeys, data: Buffer) -> bytes:
    """What `file_hasher` says of a file that is at hand as a whole."""
    return blake3(data, key=keys.file).digest()


def block_id(block: Buffer) -> bytes:
    """A block's name: plain BLAKE3-256 of all its bytes, so anybody can check one."""
    return blake3(block).digest()


def name_key(keys: FixedKeys, parent_id: bytes, nfc_name: str) -> bytes:
    """16 bytes standing for a name in a directory, equal for equal names and telling nothing.

    The caller has brought the name to NFC; it is hashed as UTF-8.
    """
    return derive(Label.NAME_KEY, keys.name, parent_id, nfc_name.encode(), size=ID_BYTES)


def link_digest(keys: FixedKeys, target: bytes) -> bytes:
    """A symbolic link's content digest: 32 bytes, keyed like a file's, never equal to one."""
    return derive(Label.LINK_DIGEST, keys.link, target)
