"""Signatures and boxes, by the right key for the right purpose."""

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from crypto.identity import (
    BadKey,
    DeviceKeys,
    DevicePublic,
    SigningKey,
    box_key_is_sound,
    coordinator_hash,
    open_sealed,
    seal_to,
    sign,
    signing_key_is_sound,
    verify,
)
from crypto.labels import Label
from crypto.recovery import RecoveryKeys
from crypto.sealing import BadSeal

DEVICE = DeviceKeys.from_seed(b"d" * 32)
OTHER = DeviceKeys.from_seed(b"o" * 32)
EPHEMERAL = b"e" * 32

# RFC 7748 implementations must expect these; the list is that of cr.yp.to/ecdh.html.
SMALL_ORDER_X25519 = [
    bytes(32),
    b"\1" + bytes(31),
    bytes.fromhex("e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800"),
    bytes.fromhex("5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157"),
    bytes.fromhex("ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"),
    bytes.fromhex("edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"),
    bytes.fromhex("eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"),
]
SMALL_ORDER_ED25519 = [
    bytes(32),
    b"\1" + bytes(31),
    bytes.fromhex("ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"),
    bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"),
    bytes.fromhex("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a"),
]


def test_a_device_has_three_unlike_key_pairs_and_an_id_of_them() -> None:
    public = DEVICE.public
    assert len({public.sign, public.box, public.tls}) == 3
    assert public.is_sound
    assert len(public.device_id) == 16
    assert public.device_id != OTHER.public.device_id
    assert public.device_id != DevicePublic(public.tls, public.box, public.sign).device_id


def test_a_seed_gives_the_same_device_every_time() -> None:
    assert DeviceKeys.from_seed(b"d" * 32) == DEVICE
    assert SigningKey.from_seed(DEVICE.sign.seed) == DEVICE.sign
    with pytest.raises(ValueError, match="32 bytes"):
        DeviceKeys.from_seed(b"short")


def test_a_repr_shows_no_secret() -> None:
    for secret in (DEVICE.sign.secret, DEVICE.box.secret, DEVICE.tls.secret):
        assert repr(secret)[2:20] not in repr(DEVICE)


def test_a_signature_holds_for_its_message_key_and_purpose_only() -> None:
    made = sign(Label.SIGN_COMMIT, DEVICE.sign.secret, b"message")
    public = DEVICE.sign.public
    assert verify(Label.SIGN_COMMIT, public, b"message", made)
    assert not verify(Label.SIGN_LOGIN, public, b"message", made)
    assert not verify(Label.SIGN_COMMIT, public, b"massage", made)
    assert not verify(Label.SIGN_COMMIT, OTHER.sign.public, b"message", made)


def test_a_flipped_bit_spoils_a_signature() -> None:
    made = sign(Label.SIGN_COMMIT, DEVICE.sign.secret, b"message")
    for bit in range(len(made) * 8):
        spoilt = bytearray(made)
        spoilt[bit // 8] ^= 1 << bit % 8
        assert not verify(Label.SIGN_COMMIT, DEVICE.sign.public, b"message", bytes(spoilt))


def test_a_signature_with_its_scalar_raised_by_the_order_is_refused() -> None:
    order = 2**252 + 27742317777372353535851937790883648493
    made = sign(Label.SIGN_COMMIT, DEVICE.sign.secret, b"message")
    raised = (int.from_bytes(made[32:], "little") + order).to_bytes(32, "little")
    assert not verify(Label.SIGN_COMMIT, DEVICE.sign.public, b"message", made[:32] + raised)


@pytest.mark.parametrize("size", [0, 31, 33, 64])
def test_keys_and_signatures_of_a_wrong_size_verify_nothing(size: int) -> None:
    made = sign(Label.SIGN_COMMIT, DEVICE.sign.secret, b"message")
    assert not verify(Label.SIGN_COMMIT, bytes(size), b"message", made)
    assert size == 64 or not verify(Label.SIGN_COMMIT, DEVICE.sign.public, b"message", bytes(size))
    assert not signing_key_is_sound(bytes(size))
    assert not box_key_is_sound(bytes(size))


@pytest.mark.parametrize("point", SMALL_ORDER_ED25519, ids=lambda p: p.hex()[:8])
def test_a_signing_key_of_small_order_is_refused(point: bytes) -> None:
    assert not signing_key_is_sound(point)
    assert not verify(Label.SIGN_COMMIT, point, b"", b"\1" + bytes(63))


@pytest.mark.parametrize("point", SMALL_ORDER_X25519, ids=lambda p: p.hex()[:8])
def test_a_box_key_of_small_order_is_refused(point: bytes) -> None:
    assert not box_key_is_sound(point)
    with pytest.raises(BadKey):
        seal_to(point, b"keys", EPHEMERAL, b"context")
    box = seal_to(DEVICE.box.public, b"keys", EPHEMERAL, b"context")
    with pytest.raises(BadSeal):
        open_sealed(DEVICE.box, box[:1] + point + box[33:], b"context")


def test_a_box_opens_for_its_receiver_in_its_context_only() -> None:
    box = seal_to(DEVICE.box.public, b"keys", EPHEMERAL, b"context")
    assert open_sealed(DEVICE.box, box, b"context") == b"keys"
    with pytest.raises(BadSeal):
        open_sealed(OTHER.box, box, b"context")
    with pytest.raises(BadSeal):
        open_sealed(DEVICE.box, box, b"contest")


def test_a_box_with_a_flipped_bit_or_cut_short_stays_shut() -> None:
    box = seal_to(DEVICE.box.public, b"keys", EPHEMERAL, b"")
    # X25519 ignores the top bit of a point; the key is made from the bytes, so it counts here.
    for bit in range(len(box) * 8):
        spoilt = bytearray(box)
        spoilt[bit // 8] ^= 1 << bit % 8
        with pytest.raises(BadSeal):
            open_sealed(DEVICE.box, bytes(spoilt), b"")
    for end in range(len(box)):
        with pytest.raises(BadSeal):
            open_sealed(DEVICE.box, box[:end], b"")


def test_a_seed_used_twice_shares_no_ephemeral_key() -> None:
    boxes = {
        seal_to(public, text, EPHEMERAL, context)[:33]
        for public in (DEVICE.box.public, OTHER.box.public)
        for text in (b"one", b"two")
        for context in (b"a", b"b")
    }
    assert len(boxes) == 8


def test_an_ephemeral_seed_has_a_size() -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        seal_to(DEVICE.box.public, b"", b"short", b"")


def test_key_pairs_agree_with_another_library() -> None:
    box = X25519PrivateKey.from_private_bytes(DEVICE.box.secret)
    assert box.public_key().public_bytes_raw() == DEVICE.box.public
    signing = Ed25519PrivateKey.from_private_bytes(DEVICE.sign.seed)
    assert signing.public_key().public_bytes_raw() == DEVICE.sign.public
    message = b"shoal.sign.login" + b"\1" + b"nonce"
    assert signing.sign(message) == sign(Label.SIGN_LOGIN, DEVICE.sign.secret, b"nonce")


def test_a_recovery_seed_gives_keys_of_its_own() -> None:
    keys = RecoveryKeys.from_seed(b"r" * 32)
    assert keys == RecoveryKeys.from_seed(b"r" * 32)
    assert keys.sign != DeviceKeys.from_seed(b"r" * 32).sign
    assert keys.box != DeviceKeys.from_seed(b"r" * 32).box
    box = seal_to(keys.public.box, b"epoch key", EPHEMERAL, b"")
    assert open_sealed(keys.box, box, b"") == b"epoch key"
    with pytest.raises(ValueError, match="32 bytes"):
        RecoveryKeys.from_seed(b"r" * 16)


def test_a_coordinator_is_known_by_a_hash_of_its_key() -> None:
    assert len(coordinator_hash(DEVICE.sign.public)) == 16
    assert coordinator_hash(DEVICE.sign.public) != coordinator_hash(OTHER.sign.public)
