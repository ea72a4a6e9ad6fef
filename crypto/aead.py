"""XChaCha20-Poly1305, for short messages and, from buffer to buffer, for long ones.

Owns the calls into libsodium and OpenSSL (draft-irtf-cfrg-xchacha-03). Never chooses a key or a nonce.

Long messages go through OpenSSL's ChaCha20-Poly1305, which takes a third of the time of libsodium's where the
processor has wide registers. XChaCha20-Poly1305 is that cipher under a key that HChaCha20 makes from the key and the
first 16 bytes of the nonce (section 2.2 and 2.3 there). Both libraries make the same bytes.
"""

import struct
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
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
_SUBKEY_NONCE_BYTES: Final = 16
_CONSTANT: Final = struct.unpack("<4I", b"expand 32-byte k")
_BLOCK: Final = struct.Struct("<4I32x4I")


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


def encrypt_into(
    key: bytes, nonce: bytes, source: bytes | memoryview, target: bytearray, start: int, associated: bytes
) -> None:
    """Encrypts the source into the target from `start` on; the tag goes behind it.

    The two must not share memory. Raises `ValueError` where key, nonce or range do not fit. Releases the GIL.
    """
    cipher, rest = _under(key, nonce)
    end = start + len(source) + TAG_BYTES
    if start < 0 or end > len(target):
        raise ValueError("out of the buffer")
    with memoryview(target) as view, view[start:end] as room:
        cipher.encrypt_into(rest, source, associated, room)


def decrypt_into(
    key: bytes, nonce: bytes, source: bytes, start: int, target: bytearray, associated: bytes
) -> int | None:
    """Decrypts the source from `start` to its end into the beginning of the target.

    How many bytes it wrote; None where any bit is not as it was, and then what the target
    holds means nothing. Raises `ValueError` where sizes do not fit. Releases the GIL.
    """
    cipher, rest = _under(key, nonce)
    length = len(source) - start - TAG_BYTES
    if start < 0 or length < 0 or length > len(target):
        raise ValueError("out of the buffer")
    with memoryview(source) as view, view[start:] as sealed, memoryview(target) as to, to[:length] as room:
        try:
            cipher.decrypt_into(rest, sealed, associated, room)
        except InvalidTag:
            return None
    return length


def _under(key: bytes, nonce: bytes) -> tuple[ChaCha20Poly1305, bytes]:
    """The cipher and its nonce of 12 bytes."""
    if len(key) != KEY_BYTES or len(nonce) != NONCE_BYTES:
        raise ValueError("a key or a nonce of a wrong size")
    return ChaCha20Poly1305(_hchacha20(key, nonce[:_SUBKEY_NONCE_BYTES])), bytes(4) + nonce[_SUBKEY_NONCE_BYTES:]


def _hchacha20(key: bytes, nonce: bytes) -> bytes:
    """HChaCha20: the rounds of ChaCha20 alone. A block of key stream is what they make, plus what they began with; of
    the eight words that count, those are the constant and the nonce, and both are known."""
    stream = Cipher(algorithms.ChaCha20(key, nonce), None).encryptor().update(bytes(64))
    began = _CONSTANT + struct.unpack("<4I", nonce)
    words = zip(_BLOCK.unpack(stream), began, strict=True)
    return struct.pack("<8I", *((word - start) & 0xFFFFFFFF for word, start in words))
