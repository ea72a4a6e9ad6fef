"""What was listed under older keys is made again as it was listed."""

from dataclasses import replace
from pathlib import Path

import pytest

from crypto import block_box
from crypto.keyring import WorkspaceKeyring
from peer.engine.moving import Committed, agreeing
from peer.transfer.ingest import Ingested
from protocol.ids import BlockId, ChunkId
from protocol.model import ChunkRef, FlatManifest
from simulations.noise import noise
from tests.common.blocks import Device, MemoryBlocks, TestKeys, new_device

OLD = TestKeys.ring()
NEW = WorkspaceKeyring(b"s" * 16, b"f" * 32, {1: b"e" * 32, 2: b"E" * 32})
DATA = noise(200_000) + b"what compresses well\n" * 10_000


async def ingested(device: Device, name: str, keys: WorkspaceKeyring, epochs: dict[ChunkId, int]) -> Ingested:
    ingester = replace(device.ingester, keys=keys)
    (result,) = await ingester.ingest([device.write(name, DATA)], MemoryBlocks(), epochs=epochs)
    assert isinstance(result, Ingested)
    assert result.manifest is not None
    return result


async def test_chunks_that_were_sealed_before_the_keys_changed_become_the_same_blocks_again(tmp_path: Path) -> None:
    with new_device(tmp_path) as device:
        before = await ingested(device, "before", OLD, {})
        assert before.manifest is not None
        listed = {ref.chunk: ref.epoch for ref in before.manifest.chunks}
        assert set(listed.values()) == {1}
        assert (await ingested(device, "after", NEW, listed)).manifest == before.manifest
        assert (await ingested(device, "anew", NEW, {})).manifest != before.manifest


async def test_where_the_older_keys_are_not_held_the_newest_serve(tmp_path: Path) -> None:
    with new_device(tmp_path) as device:
        result = await ingested(device, "file", NEW, dict.fromkeys([ChunkId(bytes(32))], 7))
        assert result.manifest is not None
        (first, *_) = result.manifest.chunks
        again = await ingested(device, "again", NEW, {first.chunk: 7})
        assert again.manifest == result.manifest
        assert {ref.epoch for ref in result.manifest.chunks} == {2}


@pytest.mark.parametrize("size", [0, 1, 495, 5_000, 300_000, block_box.MAX_CHUNK_BYTES])
def test_one_chunk_makes_one_block_whoever_holds_the_keys(size: int) -> None:
    for data in (noise(size), bytes(size)):
        for ring in (OLD, NEW):
            assert block_box.name_block(ring, 1, data) == block_box.seal_block(OLD, 1, data)[0]


def test_files_that_list_different_blocks_of_one_chunk_are_not_sent_together(tmp_path: Path) -> None:
    with new_device(tmp_path) as device:
        request = device.write("file", b"")
    one, other = (Committed(request, _manifest(1, block)) for block in (1, 2))
    third = Committed(request, _manifest(3, 3))
    assert list(agreeing([])) == []
    assert list(agreeing([one, one, third])) == [[one, one, third]]
    assert list(agreeing([one, third, other, one])) == [[one, third], [other], [one]]


def _manifest(chunk: int, block: int) -> FlatManifest:
    return FlatManifest((ChunkRef(ChunkId(bytes([chunk]) * 32), BlockId(bytes([block]) * 32), 1, 9),))
