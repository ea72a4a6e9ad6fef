"""Blocks open for members, and for nothing else than what was sealed."""

import struct
from concurrent.futures import ThreadPoolExecutor

import pytest
import zstandard

from crypto import block_box
from crypto.block_box import (
    CODEC_DELTA,
    CODEC_RAW,
    CODEC_ZSTD,
    MAX_BLOCK_BYTES,
    MAX_CHUNK_BYTES,
    OVERHEAD_BYTES,
    BadBlock,
    block_size,
    name_block,
    open_block,
    seal_block,
)
from crypto.digest import block_id
from crypto.keyring import WorkspaceKeyring
from simulations.noise import noise

SALT, FIXED = b"s" * 16, b"f" * 32
KEYS = WorkspaceKeyring(SALT, FIXED, {1: b"1" * 32, 2: b"2" * 32})
MIB = 1024 * 1024


def forged(codec: int, length: int, encoded: bytes, padding: bytes | None = None) -> bytes:
    """A block that a member made with the right keys and with other rules."""
    prefix = struct.pack(">BII", codec, length, len(encoded))
    return bytes(block_box._encrypt(KEYS.newest, prefix, encoded, padding))


@pytest.mark.parametrize("size", [0, 1, 54, 55, 56, 4096, 70_000, 2 * MIB])
@pytest.mark.parametrize("fill", ["noise", "zeros"])
def test_what_is_sealed_opens_to_the_same(size: int, fill: str) -> None:
    data = noise(size) if fill == "noise" else bytes(size)
    name, block = seal_block(KEYS, 1, data)
    assert name == block_id(block) == name_block(KEYS, 1, data)
    assert len(block) <= block_size(size)
    assert open_block(KEYS, block, 2 * MIB, size) == data


def test_any_buffer_can_be_sealed() -> None:
    data = noise(1000)
    made = {seal_block(KEYS, 1, kind(data)) for kind in (bytes, bytearray, memoryview)}
    assert len(made) == 1


def test_equal_chunks_make_equal_blocks_in_one_epoch_only() -> None:
    assert seal_block(KEYS, 1, b"x") == seal_block(KEYS, 1, b"x")
    assert seal_block(KEYS, 1, b"x") != seal_block(KEYS, 2, b"x")


def test_compressible_chunks_shrink_and_noise_does_not_grow() -> None:
    assert len(seal_block(KEYS, 1, b"text " * 20_000)[1]) < 2_000
    data = noise(100_000)
    assert len(seal_block(KEYS, 1, data)[1]) == block_size(len(data))


def test_a_block_shows_only_magic_suite_and_epoch() -> None:
    _, block = seal_block(KEYS, 2, b"secret " * 100)
    assert block[:9] == b"SHB1\x01\x00\x00\x00\x02"
    assert b"secret" not in block


def test_lengths_that_pad_alike_make_blocks_of_one_size() -> None:
    assert len({len(seal_block(KEYS, 1, noise(size))[1]) for size in range(56)}) == 1


def test_a_flipped_bit_anywhere_spoils_it() -> None:
    _, block = seal_block(KEYS, 1, b"some content")
    for bit in range(len(block) * 8):
        spoilt = bytearray(block)
        spoilt[bit // 8] ^= 1 << bit % 8
        with pytest.raises(BadBlock):
            open_block(KEYS, bytes(spoilt), MIB)


def test_a_block_cut_short_or_made_longer_is_refused() -> None:
    _, block = seal_block(KEYS, 1, b"some content")
    for end in range(len(block)):
        with pytest.raises(BadBlock):
            open_block(KEYS, block[:end], MIB)
    with pytest.raises(BadBlock):
        open_block(KEYS, block + b"\0", MIB)
    with pytest.raises(BadBlock):
        open_block(KEYS, bytes(MAX_BLOCK_BYTES + 1), MIB)


@pytest.mark.parametrize(
    "other",
    [
        WorkspaceKeyring(SALT, FIXED, {1: b"x" * 32}),
        WorkspaceKeyring(SALT, FIXED, {2: b"1" * 32}),
        WorkspaceKeyring(b"t" * 16, FIXED, {1: b"1" * 32}),
    ],
    ids=["another key", "an epoch not held", "another workspace"],
)
def test_other_keys_do_not_open_it(other: WorkspaceKeyring) -> None:
    _, block = seal_block(KEYS, 1, b"some content")
    with pytest.raises(BadBlock):
        open_block(other, block, MIB)


def test_an_epoch_swapped_in_the_header_does_not_open() -> None:
    same = WorkspaceKeyring(SALT, FIXED, {1: b"1" * 32, 2: b"1" * 32})
    _, block = seal_block(same, 1, b"some content")
    with pytest.raises(BadBlock):
        open_block(same, block[:8] + b"\x02" + block[9:], MIB)


def test_lengths_are_checked_before_anything_is_unpacked() -> None:
    _, block = seal_block(KEYS, 1, bytes(MIB))
    assert len(open_block(KEYS, block, MIB, MIB)) == MIB
    with pytest.raises(BadBlock):
        open_block(KEYS, block, MIB - 1)
    with pytest.raises(BadBlock):
        open_block(KEYS, block, MIB, MIB - 1)


def test_a_frame_that_unpacks_to_more_than_it_may_is_refused() -> None:
    bomb = zstandard.ZstdCompressor(level=19).compress(bytes(64 * MIB))
    hidden = zstandard.ZstdCompressor(level=19, write_content_size=False).compress(bytes(64 * MIB))
    for length in (MIB, MAX_CHUNK_BYTES, 64 * MIB):
        for frame in (bomb, hidden):
            with pytest.raises(BadBlock):
                open_block(KEYS, forged(CODEC_ZSTD, length, frame), 1 << 30)


def test_a_frame_that_lies_about_its_size_is_refused() -> None:
    frame = bytearray(zstandard.ZstdCompressor().compress(bytes(1000)))
    assert zstandard.get_frame_parameters(bytes(frame)).content_size == 1000
    frame[5:7] = struct.pack("<H", 5000 - 256)
    assert zstandard.get_frame_parameters(bytes(frame)).content_size == 5000
    with pytest.raises(BadBlock):
        open_block(KEYS, forged(CODEC_ZSTD, 5000, bytes(frame)), MIB)


def test_what_no_honest_encoder_writes_is_refused() -> None:
    frame = zstandard.ZstdCompressor().compress(bytes(1000))
    skippable = struct.pack("<II", 0x184D2A50, 4) + b"skip"
    wrong = [
        forged(CODEC_RAW, 5, b"four"),
        forged(CODEC_RAW, 3, b"four"),
        forged(CODEC_DELTA, 4, b"four"),
        forged(255, 4, b"four"),
        forged(CODEC_ZSTD, 1000, b"not a frame"),
        forged(CODEC_ZSTD, 1000, b""),
        forged(CODEC_ZSTD, 999, frame),
        forged(CODEC_ZSTD, 1000, frame + b"more"),
        forged(CODEC_ZSTD, 2000, frame + frame),
        forged(CODEC_ZSTD, 1000, skippable + frame),
        forged(CODEC_ZSTD, 1000, frame[:-1]),
    ]
    for block in wrong:
        with pytest.raises(BadBlock):
            open_block(KEYS, block, MIB)


@pytest.mark.parametrize(
    "padding",
    [b"", b"\0" * 50, b"\0" * 52, b"\0" * 50 + b"\1", b"\1" + b"\0" * 50, b"\0" * 115],
)
def test_only_the_right_padding_is_taken(padding: bytes) -> None:
    assert open_block(KEYS, forged(CODEC_RAW, 4, b"four", bytes(51)), MIB) == b"four"
    with pytest.raises(BadBlock):
        open_block(KEYS, forged(CODEC_RAW, 4, b"four", padding), MIB)


def test_a_block_sealed_under_another_iv_than_its_own_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(block_box, "_siv", lambda *_: b"v" * 32)
    _, block = seal_block(KEYS, 1, b"some content")
    assert open_block(KEYS, block, MIB) == b"some content"
    monkeypatch.undo()
    with pytest.raises(BadBlock):
        open_block(KEYS, block, MIB)


def test_many_threads_seal_and_open_at_once() -> None:
    texts = [noise(100, bytes([n])) * (n + 1) for n in range(64)]

    def there_and_back(text: bytes) -> bytes:
        return open_block(KEYS, seal_block(KEYS, 1, text)[1], MIB, len(text))

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(there_and_back, texts * 4)) == texts * 4


def test_what_cannot_be_sealed_is_said() -> None:
    with pytest.raises(KeyError):
        seal_block(KEYS, 9, b"x")
    with pytest.raises(ValueError, match="4 MiB"):
        seal_block(KEYS, 1, bytes(MAX_CHUNK_BYTES + 1))


def test_the_overhead_is_small_and_constant() -> None:
    assert OVERHEAD_BYTES == 57
    assert block_size(0) == 57 + 64


def test_one_block_leaves_nothing_behind_in_the_next() -> None:
    big, small = noise(3 * MIB), b"small"
    first = seal_block(KEYS, 1, small)
    assert open_block(KEYS, seal_block(KEYS, 1, big)[1], 4 * MIB) == big
    assert seal_block(KEYS, 1, small) == first
    opened = open_block(KEYS, first[1], MIB)
    open_block(KEYS, seal_block(KEYS, 1, b"other")[1], MIB)
    assert opened == small
