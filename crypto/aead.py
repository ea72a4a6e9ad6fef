"""XChaCha20-Poly1305, and the shapes shared by all who use it.

Owns the calls into libsodium (draft-irtf-cfrg-xchacha-03). Never chooses a key or a nonce.
"""

from typing import Final

from nacl.bindings import (
    crypto_aead_xchacha20poly1305_ietf_decrypt as _decrypt,
)
from nacl.bindings import (
    crypto_aead_xchacha20poly1305_ietf_encrypt as _encrypt,
)
from nacl.exceptions import CryptoError

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
