"""Hashes and derivations, one purpose each."""

import hashlib

import pytest
from blake3 import blake3

from crypto.digest import (
    FixedKeys,
    block_id,
    chunk_id,
    derive,
    derived_id,
    digest,
    file_digest,
    file_hasher,
    link_digest,
    name_key,
)
from crypto.labels import Label
from simulations.noise import noise

KEYS = FixedKeys.of(b"f" * 32, b"s" * 16)
OTHER = FixedKeys.of(b"f" * 32, b"t" * 16)


def test_a_derivation_is_blake2b_over_suite_and_length_prefixed_parts() -> None:
    expected = hashlib.blake2b(
        b"\x01" + b"\0\0\0\x02ab" + b"\0\0\0\0",
        key=b"k" * 32,
        person=b"shoal.key.seal",
        digest_size=32,
    ).digest()
    assert derive(Label.KEY_SEAL, b"k" * 32, b"ab", b"") == expected


def test_the_borders_between_parts_count() -> None:
    assert digest(Label.COMMIT, b"ab", b"c") != digest(Label.COMMIT, b"a", b"bc")
    assert digest(Label.COMMIT, b"ab") != digest(Label.COMMIT, b"ab", b"")


def test_every_label_gives_another_digest() -> None:
    assert len({digest(label, b"x") for label in Label}) == len(list(Label))


def test_a_derived_id_has_16_bytes() -> None:
    assert len(derived_id(Label.ID_COPY, b"entry", b"base", b"content")) == 16


def test_a_file_hashed_in_pieces_is_the_file_hashed_whole() -> None:
    data = noise(100_000)
    hasher = file_hasher(KEYS)
    for start in range(0, len(data), 7777):
        hasher.update(memoryview(data)[start : start + 7777])
    assert hasher.digest() == file_digest(KEYS, data)


def test_chunks_files_and_links_of_equal_bytes_have_unequal_names() -> None:
    data = b"the same"
    names = {chunk_id(KEYS, data), file_digest(KEYS, data), link_digest(KEYS, data)}
    assert len(names | {block_id(data)}) == 4


def test_two_workspaces_name_the_same_things_differently() -> None:
    assert chunk_id(KEYS, b"x") != chunk_id(OTHER, b"x")
    assert name_key(KEYS, b"p" * 16, "x") != name_key(OTHER, b"p" * 16, "x")


def test_a_block_is_named_so_that_anybody_can_check_it() -> None:
    assert block_id(b"block") == blake3(b"block").digest()


@pytest.mark.parametrize("name", ["Straße", "strasse", "STRASSE", "a/b"])
def test_name_keys_tell_names_and_parents_apart(name: str) -> None:
    key = name_key(KEYS, b"p" * 16, name)
    assert len(key) == 16
    assert key != name_key(KEYS, b"q" * 16, name)
    assert key != name_key(KEYS, b"p" * 16, name + " ")


def test_keys_are_not_shown() -> None:
    assert "x" not in repr(KEYS).split("(")[1]
