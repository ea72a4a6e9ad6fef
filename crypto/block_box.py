"""Blocks: encodings of chunks, encrypted, that anybody can check and only members can read.

Owns the block's format, version 1. Never stores, sends or names a chunk, and never checks a
chunk id: whoever opens a block compares that afterwards.

    block   = header (9) | siv (32) | XChaCha20-Poly1305(content key, siv[:24], padded)
    header  = "SHB1" | suite (1) | epoch (4, big endian)
    padded  = codec (1) | length (4) | encoded length (4) | encoded | zeros up to a Padmé size
    siv     = BLAKE3 keyed with the epoch's siv key, of header and padded
    content key = BLAKE2b keyed with the epoch's block key, of siv
    bound   = header and siv
    block id = BLAKE3 of the whole block

The IV is made from what is encrypted, so equal chunks under one epoch and one encoder give equal
blocks, and no nonce can meet two texts. It is computed again when a block is opened, which
commits the block to one key and one text. The header shows the epoch, nothing of the content.
"""

import hmac
import struct
import threading
from typing import Final

import zstandard
from blake3 import blake3

from crypto import aead
from crypto.digest import SUITE, Buffer, block_id, derive
from crypto.keyring import EpochKeys, WorkspaceKeyring
from crypto.labels import Label
from crypto.padding import FLOOR_BYTES, padded_size

CODEC_RAW: Final = 0
CODEC_ZSTD: Final = 1
CODEC_DELTA: Final = 2
"""Reserved for copies out of a base block; refused until it has a meaning."""

MAX_CHUNK_BYTES: Final = 4 * 1024 * 1024
"""No chunk is longer, whatever a workspace's parameters are."""

_MAGIC: Final = b"SHB1"
_HEADER: Final = struct.Struct(">4sBI")
_PREFIX: Final = struct.Struct(">BII")
_SIV_BYTES: Final = 32
_CLEAR_BYTES: Final = _HEADER.size + _SIV_BYTES
_ZSTD_LEVEL: Final = 1
_ROOM_STEP_BYTES: Final = 256 * 1024
_MAX_WINDOW_BYTES: Final = 8 * 1024 * 1024
# Below this nothing that zstd could save would survive the padding.
_TOO_SHORT_TO_COMPRESS: Final = FLOOR_BYTES - _PREFIX.size

OVERHEAD_BYTES: Final = _CLEAR_BYTES + aead.TAG_BYTES
"""What a block has besides its padded text."""


class BadBlock(ValueError):
    """Not a block that a holder of these keys made, or not of the length that was expected."""


def block_size(length: int) -> int:
    """The size in bytes of the largest block that `length` bytes of chunk can become."""
    return OVERHEAD_BYTES + padded_size(_PREFIX.size + length)


MAX_BLOCK_BYTES: Final = block_size(MAX_CHUNK_BYTES)


class _Workshop(threading.local):
    """What one thread works with, made once: zstd contexts, and room for a block and for its text.

    Fresh memory for every block would cost as much in page faults as encrypting it.
    """

    def __init__(self) -> None:
        self.compressor = zstandard.ZstdCompressor(level=_ZSTD_LEVEL)
        self.decompressor = zstandard.ZstdDecompressor(max_window_size=_MAX_WINDOW_BYTES)
        self._room = bytearray()
        self._text = bytearray()

    def room(self, size: int) -> bytearray:
        """At least so many bytes, holding anything; the caller keeps no view of them."""
        if len(self._room) < size:
            self._room = _memory(size)
        return self._room

    def text(self, size: int) -> bytearray:
        """The same, of other memory."""
        if len(self._text) < size:
            self._text = _memory(size)
        return self._text


def _memory(size: int) -> bytearray:
    return bytearray(-(-size // _ROOM_STEP_BYTES) * _ROOM_STEP_BYTES)


_workshop: Final = _Workshop()


def seal_block(keys: WorkspaceKeyring, epoch: int, data: Buffer) -> tuple[bytes, bytes]:
    """One chunk as (block id, block). Raises `KeyError` for an epoch that is not held.

    Deterministic for one zstd release; no caller may depend on making the same block twice
    with two. Safe to call from many threads; the heavy parts release the GIL.
    """
    with _sealed(keys, epoch, data) as sealed:
        block = bytes(sealed)
    return block_id(block), block


def name_block(keys: WorkspaceKeyring, epoch: int, data: Buffer) -> bytes:
    """The block id that `seal_block` says, where the block itself is not needed: without memory for it."""
    with _sealed(keys, epoch, data) as sealed:
        return block_id(sealed)


def open_block(keys: WorkspaceKeyring, block: bytes, max_length: int, expected_length: int | None = None) -> bytes:
    """The chunk in a block: at most `max_length` bytes, exactly `expected_length` if given.

    Raises `BadBlock`, always the same, for everything else: damage, other keys, an epoch not
    held, a length or a padding that no honest maker writes, a codec without meaning.
    """
    with _decrypt(keys, block) as padded:
        codec, length, encoded_length = _PREFIX.unpack_from(padded)
        end = _PREFIX.size + encoded_length
        if len(padded) != padded_size(end) or padded[end:] != bytes(len(padded) - end):
            raise BadBlock
        if length > min(max_length, MAX_CHUNK_BYTES):
            raise BadBlock
        if expected_length is not None and length != expected_length:
            raise BadBlock
        encoded = padded[_PREFIX.size : end]
        if codec == CODEC_RAW and encoded_length == length:
            return bytes(encoded)
        if codec == CODEC_ZSTD and encoded_length < length:
            return _decompress(encoded, length)
        raise BadBlock


def _sealed(keys: WorkspaceKeyring, epoch: int, data: Buffer) -> memoryview:
    """The block of a chunk, in this thread's room: to be released before the next one."""
    epoch_keys = keys.epoch(epoch)
    if epoch_keys is None:
        raise KeyError(f"epoch {epoch}")
    if len(data) > MAX_CHUNK_BYTES:
        raise ValueError("a chunk of more than 4 MiB")
    codec, encoded = _encode(data)
    return _encrypt(epoch_keys, _PREFIX.pack(codec, len(data), len(encoded)), encoded)


def _encode(data: Buffer) -> tuple[int, Buffer]:
    """Codec and encoded bytes; compressed only where a smaller block comes of it."""
    length = len(data)
    if length > _TOO_SHORT_TO_COMPRESS:
        small = _workshop.compressor.compress(data)
        if padded_size(_PREFIX.size + len(small)) < padded_size(_PREFIX.size + length):
            return CODEC_ZSTD, small
    return CODEC_RAW, data


def _encrypt(keys: EpochKeys, prefix: bytes, encoded: Buffer, padding: bytes | None = None) -> memoryview:
    """The block, put together and encrypted in this thread's room: to be released before the next one.
    `padding` is for tests."""
    end = len(prefix) + len(encoded)
    if padding is None:
        padding = bytes(padded_size(end) - end)
    length = end + len(padding)
    total = OVERHEAD_BYTES + length
    room = _workshop.room(total)
    header = _HEADER.pack(_MAGIC, SUITE, keys.epoch)
    with memoryview(_workshop.text(length)) as text, text[:length] as padded:
        padded[: len(prefix)] = prefix
        padded[len(prefix) : end] = encoded
        padded[end:] = padding
        siv = _siv(keys, header, padded)
        room[:_CLEAR_BYTES] = bound = header + siv
        key, nonce = _content_key(keys, siv), siv[: aead.NONCE_BYTES]
        aead.encrypt_into(key, nonce, padded, room, _CLEAR_BYTES, bound)
    with memoryview(room) as view:
        return view[:total]


def _decrypt(keyring: WorkspaceKeyring, block: bytes) -> memoryview:
    """A view of the padded text, in this thread's room: to be released before the next block."""
    if not OVERHEAD_BYTES + FLOOR_BYTES <= len(block) <= MAX_BLOCK_BYTES:
        raise BadBlock
    magic, suite, epoch = _HEADER.unpack_from(block)
    keys = keyring.epoch(epoch)
    if magic != _MAGIC or suite != SUITE or keys is None:
        raise BadBlock
    clear, siv = block[:_CLEAR_BYTES], block[_HEADER.size : _CLEAR_BYTES]
    key, nonce = _content_key(keys, siv), siv[: aead.NONCE_BYTES]
    room = _workshop.room(len(block))
    length = aead.decrypt_into(key, nonce, block, _CLEAR_BYTES, room, clear)
    if length is None:
        raise BadBlock
    padded = memoryview(room)[:length].toreadonly()
    if not hmac.compare_digest(_siv(keys, block[: _HEADER.size], padded), siv):
        raise BadBlock
    return padded


def _siv(keys: EpochKeys, header: bytes, padded: Buffer) -> bytes:
    return blake3(header, key=keys.siv).update(padded).digest()


def _content_key(keys: EpochKeys, siv: bytes) -> bytes:
    return derive(Label.BLOCK_CONTENT, keys.block, siv)


def _decompress(encoded: memoryview, length: int) -> bytes:
    """Exactly `length` bytes. The frame must say so first: zstd allocates what a frame says."""
    try:
        frame = zstandard.get_frame_parameters(encoded)
        if frame.content_size != length or frame.dict_id:
            raise BadBlock
        data = _workshop.decompressor.decompress(encoded, max_output_size=length, allow_extra_data=False)
    except zstandard.ZstdError:
        raise BadBlock from None
    if len(data) != length:
        raise BadBlock
    return data
