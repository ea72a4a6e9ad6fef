"""What every block store promises: durable batches, verified reads, and that an interrupted write harms nothing."""

import errno
import os
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest
import trio
from blake3 import blake3

from coordinator.machine import ThreadOffload
from coordinator.ports import BlockPlace
from coordinator.storage.segments import SegmentStore, open_segments
from protocol.ids import BlockId


def block(number: int, size: int = 100) -> tuple[BlockId, bytes]:
    data = (b"%d " % number) * size
    return BlockId(blake3(data).digest()), data


def opened(path: Path, segment_bytes: int = 10_000, reserve: int = 0) -> AbstractAsyncContextManager[SegmentStore]:
    return open_segments(
        path,
        writer=ThreadOffload(1),
        readers=ThreadOffload(2),
        segment_bytes=segment_bytes,
        reserve_bytes=reserve,
    )


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SegmentStore]:
    async with opened(tmp_path / "blocks") as store:
        yield store


async def everything(store: SegmentStore) -> dict[BlockId, BlockPlace]:
    return {found: place async for found, place in store.scan()}


async def test_what_was_put_is_got_also_after_opening_again(tmp_path: Path) -> None:
    blocks = [block(number) for number in range(200)]
    places: list[BlockPlace] = []
    async with opened(tmp_path) as store:
        for at in range(0, 200, 7):
            places += await store.put_batch(blocks[at : at + 7])
    async with opened(tmp_path) as store:
        pairs = [(found, place) for (found, _), place in zip(blocks, places, strict=True)]
        assert await store.get(pairs) == [data for _, data in blocks]
        assert await store.have(pairs) == [True] * 200
        assert await everything(store) == dict(pairs)
    assert len(os.listdir(tmp_path)) > 3


async def test_batches_at_the_same_time_are_all_stored(store: SegmentStore) -> None:
    blocks = [block(number) for number in range(100)]
    places: dict[BlockId, BlockPlace] = {}

    async def put(at: int) -> None:
        part = blocks[at : at + 5]
        for (found, _), place in zip(part, await store.put_batch(part), strict=True):
            places[found] = place

    async with trio.open_nursery() as nursery:
        for at in range(0, 100, 5):
            nursery.start_soon(put, at)
    assert await store.get([(found, places[found]) for found, _ in blocks]) == [data for _, data in blocks]


async def test_an_empty_batch_is_no_work(store: SegmentStore) -> None:
    assert await store.put_batch([]) == []


async def test_a_damaged_or_missing_block_counts_as_absent(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        (found, data), (other, _) = block(1), block(2)
        (place,) = await store.put_batch([(found, data)])
        path = tmp_path / place.segment
        raw = bytearray(path.read_bytes())
        raw[place.offset] ^= 1
        path.write_bytes(raw)
        elsewhere = BlockPlace("00000099.seg", place.offset, place.length)
        outside = BlockPlace("../../etc/passwd", 0, 10)
        beyond = place._replace(offset=10**9)
        negative = place._replace(offset=-5)
        asked = [(found, place), (found, elsewhere), (found, outside), (found, beyond), (found, negative)]
        assert await store.get(asked) == [None] * 5
        assert await store.have([*asked[1:], (other, place)]) == [False] * 5


async def test_an_append_cut_at_any_byte_leaves_what_was_stored_and_the_next_one_works(tmp_path: Path) -> None:
    first, second, third = block(1, 5), block(2, 5), block(3, 5)
    async with opened(tmp_path) as store:
        (place,) = await store.put_batch([first])
        path = tmp_path / place.segment
        before = path.read_bytes()
        await store.put_batch([second])
        after = path.read_bytes()
    for cut in range(len(before), len(after) + 1):
        for name in os.listdir(tmp_path):
            (tmp_path / name).unlink()
        path.write_bytes(after[:cut])
        async with opened(tmp_path) as store:
            (new,) = await store.put_batch([third])
            assert await store.get([(first[0], place), (third[0], new)]) == [first[1], third[1]]
            whole = cut == len(after)
            assert set(await everything(store)) == {first[0], third[0]} | ({second[0]} if whole else set())
            assert path.read_bytes()[:cut] == after[:cut]


async def test_a_full_disk_is_said_before_anything_is_written(tmp_path: Path) -> None:
    async with opened(tmp_path, reserve=2**60) as store:
        with pytest.raises(OSError, match="No space") as caught:
            await store.put_batch([block(1)])
        assert caught.value.errno == errno.ENOSPC
        assert await everything(store) == {}


async def test_a_write_that_fails_half_way_is_cut_off_again(
    store: SegmentStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    (first,) = await store.put_batch([block(1)])
    real = os.pwritev

    def fails(descriptor: int, parts: list[bytes], offset: int) -> int:
        real(descriptor, [parts[0][:20]], offset)
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "pwritev", fails)
    with pytest.raises(OSError, match="No space"):
        await store.put_batch([block(2)])
    monkeypatch.setattr(os, "pwritev", real)
    (third,) = await store.put_batch([block(3)])
    assert await everything(store) == {block(1)[0]: first, block(3)[0]: third}


async def test_a_failed_flush_is_not_taken_for_success_and_ends_the_segment(
    store: SegmentStore, monkeypatch: pytest.MonkeyPatch, no_unexpected_errors: list[object]
) -> None:
    (first,) = await store.put_batch([block(1)])
    real = os.fdatasync

    def fails(descriptor: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fdatasync", fails)
    with pytest.raises(OSError, match="flushed"):
        await store.put_batch([block(2)])
    monkeypatch.setattr(os, "fdatasync", real)
    (third,) = await store.put_batch([block(3)])
    assert third.segment != first.segment
    no_unexpected_errors.clear()
