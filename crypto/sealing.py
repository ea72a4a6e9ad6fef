"""Short secrets under a shared key: a change's sealed part, bundles of keys.

Owns the sealed format. Never draws a nonce (it is an argument) and never says why something
did not open.

    sealed = suite (1) | nonce (24) | XChaCha20-Poly1305(key, nonce, padded)
    padded = length (4, big endian) | plaintext | zeros up to a Padmé size
    bound  = suite, and what the caller associates

The padding blurs lengths, so a sealed name does not show how long it is.
"""

import struct
from typing import Final

from crypto import aead
from crypto.digest import SUITE_BYTE
from crypto.padding import padded_size

NONCE_BYTES: Final = aead.NONCE_BYTES
MAX_PLAINTEXT_BYTES: Final = 64 * 1024 * 1024

_LENGTH: Final = struct.Struct(">I")
_HEADER_BYTES: Final = 1 + NONCE_BYTES


class BadSeal(ValueError):
    """It does not open: another key, another context, or not the bytes that were sealed."""


def sealed_size(length: int) -> int:
    """The size in bytes of `length` bytes once sealed."""
    return _HEADER_BYTES + padded_size(_LENGTH.size + length) + aead.TAG_BYTES


def seal(key: bytes, nonce: bytes, plaintext: bytes, associated: bytes) -> bytes:
    """Seals up to 64 MiB under a 32-byte key, bound to `associated`.

    The 24-byte nonce is fresh and random: used twice under one key, it gives both texts away.
    """
    if len(plaintext) > MAX_PLAINTEXT_BYTES:
        raise ValueError("too much to seal")
    padded = pad(plaintext)
    return SUITE_BYTE + nonce + aead.encrypt(key, nonce, padded, SUITE_BYTE + associated)


def unseal(key: bytes, sealed: bytes, associated: bytes) -> bytes:
    """What was sealed under this key and bound to this context. Raises `BadSeal` otherwise."""
    if len(sealed) < _HEADER_BYTES + aead.TAG_BYTES or sealed[:1] != SUITE_BYTE:
        raise BadSeal
    nonce = sealed[1:_HEADER_BYTES]
    padded = aead.decrypt(key, nonce, sealed[_HEADER_BYTES:], SUITE_BYTE + associated)
    if padded is None:
        raise BadSeal
    return unpad(padded)


def pad(plaintext: bytes) -> bytes:
    """The plaintext after its length, and zeros up to a Padmé size."""
    size = padded_size(_LENGTH.size + len(plaintext))
    return (_LENGTH.pack(len(plaintext)) + plaintext).ljust(size, b"\0")


def unpad(padded: bytes) -> bytes:
    """The reverse of `pad`. Raises `BadSeal` for anything `pad` would not have made."""
    if len(padded) < _LENGTH.size:
        raise BadSeal
    (length,) = _LENGTH.unpack_from(padded)
    end = _LENGTH.size + length
    if len(padded) != padded_size(end) or not padded.endswith(bytes(len(padded) - end)):
        raise BadSeal
    return padded[_LENGTH.size : end]
