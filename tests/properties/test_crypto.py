"""Padding, blocks, seals, boxes and codes, for any input."""

from contextlib import suppress

from hypothesis import given, settings
from hypothesis import strategies as st

from crypto.block_box import BadBlock, block_size, open_block, seal_block
from crypto.identity import BoxKey, open_sealed, seal_to
from crypto.invitation import BadCode, Code, CodeKind, decode_code, encode_code
from crypto.keyring import BadKeyring, WorkspaceKeyring
from crypto.padding import padded_size
from crypto.sealing import BadSeal, seal, unseal
from simulations.noise import noise

KEYS = WorkspaceKeyring(b"s" * 16, b"f" * 32, {1: b"1" * 32})
DATA = st.one_of(
    st.binary(max_size=500),
    st.builds(lambda part, times: part * times, st.binary(max_size=9), st.integers(0, 9000)),
    st.integers(0, 70_000).map(noise),
)
ADDRESS = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=100)


@given(length=st.integers(0, 1 << 40))
def test_padding_costs_at_most_an_eighth_and_is_its_own_padding(length: int) -> None:
    padded = padded_size(length)
    assert length <= padded <= max(64, length + length // 8)
    assert padded_size(padded) == padded
    assert padded_size(length + 1) >= padded


@given(data=DATA)
@settings(deadline=None)
def test_blocks_open_to_what_was_sealed(data: bytes) -> None:
    _, block = seal_block(KEYS, 1, data)
    assert len(block) <= block_size(len(data))
    assert open_block(KEYS, block, len(data), len(data)) == data


@given(junk=st.binary(max_size=300), magic=st.booleans())
@settings(deadline=None)
def test_junk_opens_as_nothing(junk: bytes, magic: bool) -> None:
    if magic:
        junk = b"SHB1\x01\0\0\0\x01" + junk
    for attempt, error in (
        (lambda: open_block(KEYS, junk, 1 << 20), BadBlock),
        (lambda: unseal(b"k" * 32, junk, b""), BadSeal),
        (lambda: open_sealed(BoxKey.from_seed(b"b" * 32), junk, b""), BadSeal),
        (lambda: WorkspaceKeyring.unpack(junk), BadKeyring),
    ):
        try:
            attempt()
        except error:
            continue
        raise AssertionError("junk was taken for something")


@given(data=DATA, associated=st.binary(max_size=100), nonce=st.binary(min_size=24, max_size=24))
@settings(deadline=None)
def test_seals_unseal(data: bytes, associated: bytes, nonce: bytes) -> None:
    assert unseal(b"k" * 32, seal(b"k" * 32, nonce, data, associated), associated) == data


@given(data=DATA, context=st.binary(max_size=100), seed=st.binary(min_size=32, max_size=32))
@settings(deadline=None)
def test_boxes_open_for_their_receiver(data: bytes, context: bytes, seed: bytes) -> None:
    receiver = BoxKey.from_seed(b"r" * 32)
    assert open_sealed(receiver, seal_to(receiver.public, data, seed, context), context) == data


@given(
    kind=st.sampled_from(CodeKind),
    secret=st.binary(min_size=16, max_size=16),
    identity=st.binary(min_size=16, max_size=16),
    addresses=st.lists(ADDRESS, max_size=8).map(tuple),
)
@settings(deadline=None)
def test_codes_are_read_back(kind: CodeKind, secret: bytes, identity: bytes, addresses: tuple[str, ...]) -> None:
    code = Code(kind, secret, identity, addresses)
    assert decode_code(encode_code(code)) == code


@given(text=st.one_of(st.text(max_size=200), st.text("abcxyz234567", max_size=200)))
@settings(deadline=None)
def test_any_text_is_a_code_or_refused(text: str) -> None:
    for candidate in (text, f"shoal-join-{text}", f"shoal-pair-{text}"):
        with suppress(BadCode):
            assert encode_code(decode_code(candidate)).startswith("shoal-")


@given(
    epochs=st.dictionaries(st.integers(1, (1 << 32) - 1), st.binary(min_size=32, max_size=32), min_size=1, max_size=5)
)
@settings(deadline=None)
def test_keyrings_unpack_to_what_was_packed(epochs: dict[int, bytes]) -> None:
    keys = WorkspaceKeyring(b"s" * 16, b"f" * 32, epochs)
    assert WorkspaceKeyring.unpack(keys.pack()) == keys
