"""Encryption from buffer to buffer agrees with libsodium's own and never leaves its buffer."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nacl.bindings import crypto_aead_xchacha20poly1305_ietf_encrypt as library_encrypt

from crypto import aead

KEY, NONCE = b"k" * 32, b"n" * 24


@pytest.mark.parametrize("associated", [b"", b"bound"])
@pytest.mark.parametrize("text", [b"", b"x", b"text" * 1000])
def test_from_buffer_to_buffer_and_by_the_library_are_the_same(text: bytes, associated: bytes) -> None:
    expected = library_encrypt(text, associated, NONCE, KEY)
    assert aead.encrypt(KEY, NONCE, text, associated) == expected
    buffer = bytearray(b"before" + bytes(len(text) + 16) + b"after")
    aead.encrypt_into(KEY, NONCE, memoryview(text), buffer, 6, associated)
    assert buffer == b"before" + expected + b"after"
    target = bytearray(b"?" * (len(text) + 3))
    length = aead.decrypt_into(KEY, NONCE, b"head" + expected, 4, target, associated)
    assert length == len(text)
    assert target == text + b"???"


def test_what_was_altered_does_not_decrypt() -> None:
    sealed = aead.encrypt(KEY, NONCE, b"text", b"bound")
    target = bytearray(4)
    for key, nonce, bound in (
        (b"K" * 32, NONCE, b"bound"),
        (KEY, b"N" * 24, b"bound"),
        (KEY, NONCE, b"bond"),
    ):
        assert aead.decrypt_into(key, nonce, sealed, 0, target, bound) is None
        assert aead.decrypt(key, nonce, sealed, bound) is None


@given(st.binary(min_size=32, max_size=32), st.binary(min_size=24, max_size=24), st.binary(max_size=300), st.binary())
@settings(deadline=None)
def test_the_two_libraries_agree_on_all_keys_and_nonces(key: bytes, nonce: bytes, text: bytes, bound: bytes) -> None:
    buffer = bytearray(len(text) + 16)
    aead.encrypt_into(key, nonce, text, buffer, 0, bound)
    assert buffer == library_encrypt(text, bound, nonce, key)
    target = bytearray(len(text))
    assert aead.decrypt_into(key, nonce, bytes(buffer), 0, target, bound) == len(text)
    assert target == text


@pytest.mark.parametrize("word", [b"\0\0\0\0", b"\xff\xff\xff\xff", b"\0\0\0\x80"])
def test_words_of_the_nonce_may_wrap(word: bytes) -> None:
    """The first word is a counter of blocks to OpenSSL."""
    buffer = bytearray(1016)
    aead.encrypt_into(KEY, word * 6, bytes(1000), buffer, 0, b"")
    assert buffer == library_encrypt(bytes(1000), b"", word * 6, KEY)


@pytest.mark.parametrize(("start", "length"), [(-1, 4), (0, 5), (1, 4), (21, 0)])
def test_a_range_outside_the_buffer_is_refused(start: int, length: int) -> None:
    buffer = bytearray(20)
    with pytest.raises(ValueError, match="buffer"):
        aead.encrypt_into(KEY, NONCE, bytes(length), buffer, start, b"")
    assert buffer == bytes(20)


@pytest.mark.parametrize(("start", "target"), [(-1, 99), (0, 3), (5, 99), (99, 99)])
def test_a_target_too_small_or_a_source_too_short_is_refused(start: int, target: int) -> None:
    sealed = aead.encrypt(KEY, NONCE, b"text", b"")
    with pytest.raises(ValueError, match="buffer"):
        aead.decrypt_into(KEY, NONCE, sealed, start, bytearray(target), b"")


def test_keys_and_nonces_of_a_wrong_size_are_refused() -> None:
    for key, nonce in ((b"k" * 31, NONCE), (KEY, b"n" * 23)):
        with pytest.raises(ValueError, match="size"):
            aead.encrypt_into(key, nonce, bytes(4), bytearray(20), 0, b"")
        with pytest.raises(ValueError, match="size"):
            aead.decrypt_into(key, nonce, bytes(20), 0, bytearray(4), b"")
