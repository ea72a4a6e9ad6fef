"""Who a device is: its three key pairs, what it signs, and boxes only it can open.

Owns key derivation from a device's seed, signatures and boxes for one receiver. Never draws
randomness (seeds are arguments), never stores a key, and never decides who is trusted.

Signatures are Ed25519 (RFC 8032) over label padded to 16 bytes | suite | message, verified by
libsodium, which refuses small-order keys and non-canonical encodings. Key agreement is X25519
(RFC 7748). The keys for signing, receiving and TLS are separate and never converted.
"""

from dataclasses import dataclass, field
from typing import Final

from nacl.bindings import (
    crypto_core_ed25519_is_valid_point,
    crypto_scalarmult,
    crypto_scalarmult_base,
    crypto_sign,
    crypto_sign_open,
    crypto_sign_seed_keypair,
)
from nacl.exceptions import BadSignatureError
from nacl.exceptions import RuntimeError as SodiumError

from crypto import aead
from crypto.digest import KEY_BYTES, SUITE_BYTE, derive, derived_id
from crypto.labels import LABEL_BYTES, Label
from crypto.sealing import BadSeal, pad, unpad

SEED_BYTES: Final = 32
PUBLIC_KEY_BYTES: Final = 32
SIGNATURE_BYTES: Final = 64

# Any scalar: used only to see whether a point has a large order.
_PROBE: Final = bytes([8]) * KEY_BYTES


class BadKey(ValueError):
    """A public key that nobody honest has: of a wrong size or of small order."""


@dataclass(frozen=True, slots=True)
class SigningKey:
    """An Ed25519 key pair."""

    public: bytes
    secret: bytes = field(repr=False)
    """libsodium's 64 bytes: the seed, then the public key."""

    @classmethod
    def from_seed(cls, seed: bytes) -> "SigningKey":
        """The pair that RFC 8032 makes of a 32-byte seed."""
        public, secret = crypto_sign_seed_keypair(seed)
        return cls(public, secret)

    @property
    def seed(self) -> bytes:
        """The 32 bytes that the pair was made from. Secret."""
        return self.secret[:SEED_BYTES]


@dataclass(frozen=True, slots=True)
class BoxKey:
    """An X25519 key pair."""

    public: bytes
    secret: bytes = field(repr=False)

    @classmethod
    def from_seed(cls, seed: bytes) -> "BoxKey":
        """The pair whose secret scalar is these 32 bytes, clamped when used (RFC 7748)."""
        return cls(crypto_scalarmult_base(seed), seed)


@dataclass(frozen=True, slots=True)
class DevicePublic:
    """What others know of a device: three public keys of 32 bytes."""

    sign: bytes
    box: bytes
    tls: bytes

    @property
    def device_id(self) -> bytes:
        """16 bytes: a device is named by its public keys."""
        return derived_id(Label.ID_DEVICE, self.sign, self.box, self.tls)

    @property
    def is_sound(self) -> bool:
        """Whether each key is one that somebody can hold."""
        return signing_key_is_sound(self.sign) and box_key_is_sound(self.box) and signing_key_is_sound(self.tls)


@dataclass(frozen=True, slots=True)
class DeviceKeys:
    """A device's own key pairs. Secret; the seed alone is stored."""

    sign: SigningKey
    box: BoxKey
    tls: SigningKey

    @classmethod
    def from_seed(cls, seed: bytes) -> "DeviceKeys":
        """All three pairs from one random seed of 32 bytes, the same every time."""
        if len(seed) != SEED_BYTES:
            raise ValueError("a device's seed has 32 bytes")
        return cls(
            sign=SigningKey.from_seed(derive(Label.DEVICE_SIGN, seed)),
            box=BoxKey.from_seed(derive(Label.DEVICE_BOX, seed)),
            tls=SigningKey.from_seed(derive(Label.DEVICE_TLS, seed)),
        )

    @property
    def public(self) -> DevicePublic:
        """The half that others may know."""
        return DevicePublic(self.sign.public, self.box.public, self.tls.public)


def coordinator_hash(identity_public: bytes) -> bytes:
    """16 bytes of a coordinator's identity key, as codes carry them."""
    return derived_id(Label.ID_COORDINATOR, identity_public)


def sign(label: Label, secret: bytes, message: bytes) -> bytes:
    """A signature of 64 bytes; `secret` is a `SigningKey`'s. Deterministic."""
    return crypto_sign(_to_sign(label, message), secret)[:SIGNATURE_BYTES]


def verify(label: Label, public: bytes, message: bytes, signature: bytes) -> bool:
    """Whether the holder of `public` signed this message for this purpose. Never raises."""
    if len(public) != PUBLIC_KEY_BYTES or len(signature) != SIGNATURE_BYTES:
        return False
    try:
        crypto_sign_open(signature + _to_sign(label, message), public)
    except BadSignatureError:
        return False
    return True


def _to_sign(label: Label, message: bytes) -> bytes:
    return label.value.ljust(LABEL_BYTES, b"\0") + SUITE_BYTE + message


def signing_key_is_sound(public: bytes) -> bool:
    """Whether this encodes an Ed25519 point of the main subgroup. Never raises."""
    return len(public) == PUBLIC_KEY_BYTES and crypto_core_ed25519_is_valid_point(public)


def box_key_is_sound(public: bytes) -> bool:
    """Whether an X25519 exchange with this key gives a secret at all. Never raises."""
    return _agree(_PROBE, public) is not None


def seal_to(public: bytes, plaintext: bytes, ephemeral_seed: bytes, context: bytes) -> bytes:
    """A box that only the holder of `public` opens, and only with the same context.

        box = suite (1) | ephemeral public key (32) | XChaCha20-Poly1305(key, nonce, padded)
        key, nonce = BLAKE2b keyed with the shared secret, of both public keys and the context

    The ephemeral key is made from 32 fresh random bytes together with everything else here, so
    even a seed used twice meets no key twice. The sender is not authenticated: who sent it
    follows from the signed commit or bundle around it. Raises `BadKey`.
    """
    if len(ephemeral_seed) != SEED_BYTES:
        raise ValueError("an ephemeral seed has 32 bytes")
    mixed = derive(Label.BOX_EPHEMERAL, ephemeral_seed, public, context, plaintext)
    ephemeral = BoxKey.from_seed(mixed)
    shared = _agree(ephemeral.secret, public)
    if shared is None:
        raise BadKey
    key, nonce = _box_key(shared, ephemeral.public, public, context)
    return SUITE_BYTE + ephemeral.public + aead.encrypt(key, nonce, pad(plaintext), SUITE_BYTE)


def open_sealed(box_key: BoxKey, box: bytes, context: bytes) -> bytes:
    """What was sealed to this key and context. Raises `BadSeal` for anything else."""
    head = 1 + PUBLIC_KEY_BYTES
    if len(box) < head + aead.TAG_BYTES or box[:1] != SUITE_BYTE:
        raise BadSeal
    ephemeral = box[1:head]
    shared = _agree(box_key.secret, ephemeral)
    if shared is None:
        raise BadSeal
    key, nonce = _box_key(shared, ephemeral, box_key.public, context)
    padded = aead.decrypt(key, nonce, box[head:], SUITE_BYTE)
    if padded is None:
        raise BadSeal
    return unpad(padded)


def _agree(secret: bytes, public: bytes) -> bytes | None:
    """The shared secret, or None for a point of small order, which libsodium refuses."""
    if len(public) != PUBLIC_KEY_BYTES:
        return None
    try:
        return crypto_scalarmult(secret, public)
    except SodiumError:
        return None


def _box_key(shared: bytes, ephemeral: bytes, public: bytes, context: bytes) -> tuple[bytes, bytes]:
    both = derive(Label.BOX_KEY, shared, ephemeral, public, context, size=56)
    return both[:KEY_BYTES], both[KEY_BYTES:]
