"""Join and pairing codes: one word a person can copy, and the keys that follow from it.

Owns the words' format and their checksum. Never sends the secret in it, and never says what a
code admits to: that is recorded by whoever made it.

    word    = "shoal-" | kind | "-" | base32 (RFC 4648, lower case, unpadded) of body
    body    = suite (1) | secret (16) | identity hash (16) | addresses | CRC-32 (4, big endian)
    address = length (1) | visible ASCII, for each of at most 8 addresses

The CRC, taken over the kind and the body before it, finds every error within 32 bits in a row,
so every single wrong character. It guards against slips; what guards against forgery is that
a wrong secret opens nothing.
"""

import base64
import binascii
import zlib
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

from crypto.digest import ID_BYTES, SUITE_BYTE, derive
from crypto.identity import BoxKey, SigningKey
from crypto.labels import Label

SECRET_BYTES: Final = 16
IDENTITY_HASH_BYTES: Final = 16
MAX_ADDRESSES: Final = 8
MAX_ADDRESS_BYTES: Final = 255
MAX_CODE_CHARACTERS: Final = 2000

_CHECK_BYTES: Final = 4
_FIXED_BYTES: Final = 1 + SECRET_BYTES + IDENTITY_HASH_BYTES + _CHECK_BYTES
# Digits that base32 leaves out, and the letters that they are mistaken for.
_LOOKALIKES: Final = str.maketrans("018", "olb")


class CodeKind(Enum):
    """What a code is for."""

    JOIN = "join"
    """A person becomes a user, with their first device."""
    PAIR = "pair"
    """A user gets one more device."""


class BadCode(ValueError):
    """Not a code, and why: a sentence fit to be shown."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Code:
    """What a code says. The repr leaves the secret out."""

    kind: CodeKind
    secret: bytes = field(repr=False)
    identity_hash: bytes
    addresses: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class InvitationKeys:
    """What follows from a code's secret. Only `lookup_id` and the public keys are ever sent."""

    lookup_id: bytes
    """16 bytes by which the invitation is known to everybody."""
    sign: SigningKey
    """Admitted for exactly one device, which proves with it that it has the code."""
    box: BoxKey
    """What is sealed to the one who comes, before they are known."""
    bundle: bytes = field(repr=False)
    """The 32-byte key of what is left for them."""

    @classmethod
    def of(cls, secret: bytes) -> "InvitationKeys":
        """Derives them from a code's 16 random bytes."""
        if len(secret) != SECRET_BYTES:
            raise ValueError("a code's secret has 16 bytes")
        return cls(
            lookup_id=derive(Label.INVITE_LOOKUP, secret, size=ID_BYTES),
            sign=SigningKey.from_seed(derive(Label.INVITE_SIGN, secret)),
            box=BoxKey.from_seed(derive(Label.INVITE_BOX, secret)),
            bundle=derive(Label.INVITE_BUNDLE, secret),
        )


def encode_code(code: Code) -> str:
    """The word for a code. Raises `ValueError` for parts that no code can carry."""
    if len(code.secret) != SECRET_BYTES or len(code.identity_hash) != IDENTITY_HASH_BYTES:
        raise ValueError("a secret or identity hash of a wrong size")
    if len(code.addresses) > MAX_ADDRESSES:
        raise ValueError("too many addresses")
    body = SUITE_BYTE + code.secret + code.identity_hash
    for address in code.addresses:
        if not _is_address(address):
            raise ValueError("an address that is empty, too long or not visible ASCII")
        body += bytes([len(address)]) + address.encode("ascii")
    body += _checksum(code.kind, body)
    word = f"shoal-{code.kind.value}-{base64.b32encode(body).decode().lower().rstrip('=')}"
    if len(word) > MAX_CODE_CHARACTERS:
        raise ValueError("addresses too long for a code")
    return word


def decode_code(text: str) -> Code:
    """Reads a word back, whatever its case and the spaces around it. Raises `BadCode`."""
    if len(text) > MAX_CODE_CHARACTERS:
        raise BadCode("this is too long to be a code")
    word = text.strip().lower()
    kind, encoded = _split(word)
    body = _unbase32(encoded.translate(_LOOKALIKES))
    if len(body) < _FIXED_BYTES:
        raise BadCode("this code is not complete")
    content, check = body[:-_CHECK_BYTES], body[-_CHECK_BYTES:]
    if _checksum(kind, content) != check:
        raise BadCode("a character of this code is wrong or missing")
    if content[:1] != SUITE_BYTE:
        raise BadCode("this code was made by a newer version")
    secret_end = 1 + SECRET_BYTES
    identity_end = secret_end + IDENTITY_HASH_BYTES
    addresses = _addresses(content[identity_end:])
    return Code(kind, content[1:secret_end], content[secret_end:identity_end], addresses)


def _split(word: str) -> tuple[CodeKind, str]:
    for kind in CodeKind:
        prefix = f"shoal-{kind.value}-"
        if word.startswith(prefix):
            return kind, word[len(prefix) :]
    raise BadCode("a code starts with shoal-join- or shoal-pair-")


def _unbase32(encoded: str) -> bytes:
    padding = "=" * (-len(encoded) % 8)
    try:
        body = base64.b32decode((encoded + padding).upper().encode("ascii"))
    except (binascii.Error, UnicodeEncodeError):
        raise BadCode("a code has only letters, digits and -") from None
    # Unused bits at the end could otherwise differ between two words for one code.
    if base64.b32encode(body).decode().lower().rstrip("=") != encoded:
        raise BadCode("a character of this code is wrong or missing")
    return body


def _addresses(packed: bytes) -> tuple[str, ...]:
    addresses: list[str] = []
    at = 0
    while at < len(packed):
        end = at + 1 + packed[at]
        address = packed[at + 1 : end].decode("latin-1")
        if end > len(packed) or len(addresses) == MAX_ADDRESSES or not _is_address(address):
            raise BadCode("this code has addresses that cannot be right")
        addresses.append(address)
        at = end
    return tuple(addresses)


def _is_address(address: str) -> bool:
    return 0 < len(address) <= MAX_ADDRESS_BYTES and all("!" <= c <= "~" for c in address)


def _checksum(kind: CodeKind, content: bytes) -> bytes:
    return zlib.crc32(kind.value.encode() + content).to_bytes(_CHECK_BYTES, "big")
