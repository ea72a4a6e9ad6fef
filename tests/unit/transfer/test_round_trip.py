"""What one device takes in, another gets out."""

from pathlib import Path

import pytest

from peer.transfer.counters import Progress
from peer.transfer.download import Fetched
from peer.transfer.ingest import Ingested
from peer.transfer.reading import BATCH_BYTES
from simulations.noise import noise
from tests.common.blocks import Held, MemoryBlocks, new_device, wanted

SIZES = [0, 1, 100, 1023, 1024, 1025, 40_000, 300_000]


async def test_every_file_arrives_with_its_bytes_and_its_order(tmp_path: Path) -> None:
    store = MemoryBlocks()
    contents = {f"d{size % 3}/f{size}": noise(size, b"%d" % size) for size in SIZES}
    with new_device(tmp_path / "a") as a, new_device(tmp_path / "b") as b:
        results = await a.ingester.ingest([a.write(name, data) for name, data in contents.items()], store)
        fetched = await b.fetcher.fetch([wanted(result) for result in results], store)
        assert [b.temp(result.temp) for result in fetched if isinstance(result, Fetched)] == list(contents.values())
        assert store.accused == []


async def test_what_is_only_sealed_has_the_blocks_that_sending_it_makes(tmp_path: Path) -> None:
    store = MemoryBlocks()
    data = noise(5 * BATCH_BYTES + 300_000)  # so that memory is used again
    with new_device(tmp_path / "a") as a:
        request = a.write("film", data)
        (sealed,) = await a.ingester.ingest([request], None, seal=True)
        assert store.blocks == {}
        (sent,) = await a.ingester.ingest([request], store)
        assert isinstance(sealed, Ingested)
        assert isinstance(sent, Ingested)
        assert sealed.manifest == sent.manifest
        assert (sealed.stored, sent.stored) == (False, True)


async def test_files_larger_than_a_batch_arrive_between_small_ones(tmp_path: Path) -> None:
    store = MemoryBlocks()
    contents = [
        noise(100),
        noise(BATCH_BYTES * 2 + 12_345, b"large"),
        noise(5_000, b"s"),
        noise(BATCH_BYTES - 7_000, b"fits alone"),
        noise(BATCH_BYTES + 1, b"just over"),
        b"",
    ]
    with new_device(tmp_path / "a") as a, new_device(tmp_path / "b") as b:
        requests = [a.write(f"f{index}", data) for index, data in enumerate(contents)]
        results = await a.ingester.ingest(requests, store)
        fetched = await b.fetcher.fetch([wanted(result) for result in results], store)
        assert [b.temp(result.temp) for result in fetched if isinstance(result, Fetched)] == contents


async def test_more_files_than_one_question_may_name_arrive(tmp_path: Path) -> None:
    store = MemoryBlocks()
    contents = [noise(20, b"%d" % index) for index in range(4_100)]
    with new_device(tmp_path / "a") as a, new_device(tmp_path / "b") as b:
        requests = [a.write(f"{index % 20}/{index}", data) for index, data in enumerate(contents)]
        results = await a.ingester.ingest(requests, store)
        fetched = await b.fetcher.fetch([wanted(result) for result in results], store)
        assert [b.temp(result.temp) for result in fetched if isinstance(result, Fetched)] == contents
        assert len(store.asked) == 2


async def test_what_occurs_again_is_sent_once_and_fetched_once(tmp_path: Path) -> None:
    store = MemoryBlocks()
    data = noise(200_000)
    with new_device(tmp_path / "a") as a, new_device(tmp_path / "b") as b:
        requests = [a.write("one", data), a.write("two", data), a.write("twice", data + data)]
        results = await a.ingester.ingest(requests, store)
        assert len(store.arrivals) == len(set(store.arrivals)) == len(store.blocks)
        fetched = await b.fetcher.fetch([wanted(result) for result in results], store)
        assert [b.temp(result.temp) for result in fetched if isinstance(result, Fetched)] == [data, data, data + data]
        assert sum(map(len, store.asked)) == len(store.blocks)


async def test_an_edit_sends_and_fetches_only_what_is_new(tmp_path: Path) -> None:
    store, held = MemoryBlocks(), Held()
    before = noise(400_000)
    after = before[:200_000] + b"inserted" + before[200_000:]
    with new_device(tmp_path / "a") as a, new_device(tmp_path / "b", local=held) as b:
        (first,) = await a.ingester.ingest([a.write("file", before)], store)
        assert isinstance(first, Ingested)
        a.index.add(first)
        (on_b,) = await b.ingester.ingest([b.write("file", before)], None)
        assert isinstance(on_b, Ingested)
        held.add(on_b)
        sent = len(store.arrivals)
        (second,) = await a.ingester.ingest([a.write("file", after)], store)
        assert 1 <= len(store.arrivals) - sent <= 4
        (fetched,) = await b.fetcher.fetch([wanted(second)], store)
        assert isinstance(fetched, Fetched)
        assert b.temp(fetched.temp) == after
        assert sum(map(len, store.asked)) == len(store.arrivals) - sent


async def test_a_copy_sends_and_fetches_nothing(tmp_path: Path) -> None:
    store, held = MemoryBlocks(), Held()
    data = noise(100_000)
    with new_device(tmp_path / "a") as a, new_device(tmp_path / "b", local=held) as b:
        (first,) = await a.ingester.ingest([a.write("file", data)], store)
        assert isinstance(first, Ingested)
        a.index.add(first)
        (on_b,) = await b.ingester.ingest([b.write("file", data)], None)
        assert isinstance(on_b, Ingested)
        held.add(on_b)
        bodies = store.bodies
        (second,) = await a.ingester.ingest([a.write("copy", data)], store)
        (fetched,) = await b.fetcher.fetch([wanted(second)], store)
        assert isinstance(fetched, Fetched)
        assert b.temp(fetched.temp) == data
        assert store.bodies == bodies
        assert store.asked == []


async def test_without_a_sink_files_are_named_and_nothing_is_sent(tmp_path: Path) -> None:
    with new_device(tmp_path / "a") as a:
        contents = [noise(size, b"x") for size in (*SIZES, BATCH_BYTES + 5)]
        requests = [a.write(f"f{index}", data) for index, data in enumerate(contents)]
        named = await a.ingester.ingest(requests, None)
        stored = await a.ingester.ingest(requests, MemoryBlocks())
        for left, right in zip(named, stored, strict=True):
            assert isinstance(left, Ingested)
            assert isinstance(right, Ingested)
            assert (left.digest, left.chunks, left.size) == (right.digest, right.chunks, right.size)
            assert left.manifest is None or not left.chunks
            a.index.add(right)
        again = await a.ingester.ingest(requests, None)
        assert [r.manifest for r in again if isinstance(r, Ingested)] == [
            r.manifest for r in stored if isinstance(r, Ingested)
        ]


async def test_progress_ends_at_its_totals(tmp_path: Path) -> None:
    store = MemoryBlocks()
    up, down = Progress(), Progress()
    with new_device(tmp_path / "a") as a, new_device(tmp_path / "b") as b:
        requests = [a.write(f"f{size}", noise(size)) for size in SIZES if size]
        results = await a.ingester.ingest(requests, store, progress=up)
        await b.fetcher.fetch([wanted(result) for result in results], store, progress=down)
    for progress in (up, down):
        assert progress.files_done == progress.files_total == len(requests)
        assert progress.bytes_done == progress.bytes_total == sum(SIZES)
    assert a.ingester.counters.server_out >= sum(map(len, store.blocks.values()))
    assert store.received_bytes >= sum(map(len, store.blocks.values()))


@pytest.mark.parametrize("size", [0, 1, 5_000, 100_000])
async def test_nothing_is_left_in_tmp_but_what_was_fetched(tmp_path: Path, size: int) -> None:
    store = MemoryBlocks()
    with new_device(tmp_path / "a") as a, new_device(tmp_path / "b") as b:
        results = await a.ingester.ingest([a.write("f", noise(size))], store)
        (fetched,) = await b.fetcher.fetch([wanted(result) for result in results], store)
        assert isinstance(fetched, Fetched)
        assert b.temps() == [fetched.temp]
