"""Sealed parts: the right key, the right context, nothing else."""

import pytest

from crypto import aead
from crypto.digest import SUITE_BYTE
from crypto.padding import padded_size
from crypto.sealing import BadSeal, pad, seal, sealed_size, unpad, unseal

KEY, NONCE = b"k" * 32, b"n" * 24


@pytest.mark.parametrize("size", [0, 1, 60, 61, 1000])
def test_what_is_sealed_unseals(size: int) -> None:
    sealed = seal(KEY, NONCE, b"x" * size, b"bound")
    assert len(sealed) == sealed_size(size)
    assert unseal(KEY, sealed, b"bound") == b"x" * size


def test_another_key_or_context_does_not_open_it() -> None:
    sealed = seal(KEY, NONCE, b"name", b"bound")
    for key, associated in ((b"K" * 32, b"bound"), (KEY, b"bond"), (KEY, b"")):
        with pytest.raises(BadSeal):
            unseal(key, sealed, associated)


def test_a_flipped_bit_anywhere_or_a_cut_spoils_it() -> None:
    sealed = seal(KEY, NONCE, b"name", b"bound")
    for bit in range(len(sealed) * 8):
        spoilt = bytearray(sealed)
        spoilt[bit // 8] ^= 1 << bit % 8
        with pytest.raises(BadSeal):
            unseal(KEY, bytes(spoilt), b"bound")
    for end in range(len(sealed)):
        with pytest.raises(BadSeal):
            unseal(KEY, sealed[:end], b"bound")


def test_short_names_are_sealed_to_one_size() -> None:
    assert len({len(seal(KEY, NONCE, b"x" * size, b"")) for size in range(61)}) == 1


def test_a_wrong_padding_is_refused_even_under_the_right_key() -> None:
    right = pad(b"name")
    for padded in (
        right[:-1],
        right + b"\0",
        right[:-1] + b"\1",
        b"\xff" + right[1:],
        right[:3],
        b"",
        bytes(65),
    ):
        sealed = SUITE_BYTE + NONCE + aead.encrypt(KEY, NONCE, padded, SUITE_BYTE)
        with pytest.raises(BadSeal):
            unseal(KEY, sealed, b"")
    assert unpad(right) == b"name"


@pytest.mark.parametrize(
    ("length", "padded"),
    [(0, 64), (64, 64), (65, 72), (257, 272), (1000, 1024), (5000, 5120), (65_537, 67_584)],
)
def test_padme_rounds_as_published(length: int, padded: int) -> None:
    assert padded_size(length) == padded
    assert padded_size(1_000_000) == 1_015_808
    assert padded_size(4_194_309) == 4_325_376
