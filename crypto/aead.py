"""XChaCha20-Poly1305, for short messages and in place for long ones.

Owns the calls into libsodium (draft-irtf-cfrg-xchacha-03). Never chooses a key or a nonce.

The functions in place go below `nacl.bindings`, which copies a message twice and clears the
target first: for a block of a megabyte that costs more than encrypting it. They use the same
two names that `nacl.bindings` itself is made of, with every length checked here.
"""

from typing import Final

from nacl._sodium import ffi, lib  # type: ignore[import-not-found]  # a compiled module
from nacl.bindings import (
    crypto_aead_xchacha20poly1305_ietf_decrypt as _decrypt,
)
from nacl.bindings import (
    crypto_aead_xchacha20poly1305_ietf_encrypt as _encrypt,
)
from nacl.exceptions import CryptoError

KEY_BYTES: Final = 32
NONCE_BYTES: Final = 24
TAG_BYTES: Final = 16


def encrypt(key: bytes, nonce: bytes, plaintext: bytes, associated: bytes) -> bytes:
    """Ciphertext and tag. The pair of key and nonce must never have met another plaintext."""
    return _encrypt(plaintext, associated, nonce, key)


def decrypt(key: bytes, nonce: bytes, ciphertext: bytes, associated: bytes) -> bytes | None:
    """The plaintext, or None where any bit of any argument is not as it was."""
    if len(ciphertext) < TAG_BYTES:
        return None
    try:
        return _decrypt(ciphertext, associated, nonce, key)
    except CryptoError:
        return None


def encrypt_in_place(key: bytes, nonce: bytes, buffer: bytearray, start: int, length: int, associated: bytes) -> None:
    """Encrypts `length` bytes of the buffer from `start` on; the tag goes behind them.

    Raises `ValueError` where key, nonce or range do not fit. Releases the GIL.
    """
    if len(key) != KEY_BYTES or len(nonce) != NONCE_BYTES:
        raise ValueError("a key or a nonce of a wrong size")
    if start < 0 or length < 0 or start + length + TAG_BYTES > len(buffer):
        raise ValueError("out of the buffer")
    with ffi.from_buffer("unsigned char[]", buffer, require_writable=True) as memory:
        at = memory + start
        failed = lib.crypto_aead_xchacha20poly1305_ietf_encrypt(
            at, ffi.NULL, at, length, associated, len(associated), ffi.NULL, nonce, key
        )
    if failed:
        raise ValueError("encryption failed")


def decrypt_into(
    key: bytes, nonce: bytes, source: bytes, start: int, target: bytearray, associated: bytes
) -> int | None:
    """Decrypts the source from `start` to its end into the beginning of the target.

    How many bytes it wrote; None where any bit is not as it was, and then what the target
    holds means nothing. Raises `ValueError` where sizes do not fit. Releases the GIL.
    """
    if len(key) != KEY_BYTES or len(nonce) != NONCE_BYTES:
        raise ValueError("a key or a nonce of a wrong size")
    length = len(source) - start - TAG_BYTES
    if start < 0 or length < 0 or length > len(target):
        raise ValueError("out of the buffer")
    with (
        ffi.from_buffer("unsigned char[]", source) as sealed,
        ffi.from_buffer("unsigned char[]", target, require_writable=True) as opened,
    ):
        failed = lib.crypto_aead_xchacha20poly1305_ietf_decrypt(
            opened,
            ffi.NULL,
            ffi.NULL,
            sealed + start,
            length + TAG_BYTES,
            associated,
            len(associated),
            nonce,
            key,
        )
    return None if failed else length
