"""Connections that break, refuse and lie, and files that change."""

from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

from chunking.params import ChunkerParams
from crypto.block_box import seal_block
from crypto.digest import block_id
from peer.disk.real import LinuxFilesystem
from peer.ports import Handle
from peer.transfer.download import Bad, Fetched, Missing, NotFetched, NotWritten
from peer.transfer.ingest import Changed, Failed, Ingested, NotSent
from peer.transfer.reading import BATCH_BYTES
from protocol.frames import HEAD_BYTES
from protocol.ids import BlockId
from protocol.messages import Refusal, RefusalCode, Stored
from protocol.model import FlatManifest
from simulations.noise import noise
from tests.common.blocks import SMALL, Device, Held, MemoryBlocks, TestKeys, new_device, wanted
from tests.common.disks import fingerprint, hooked, new_root

DENIED = Refusal(RefusalCode.DENIED, "no")
BUSY = Refusal(RefusalCode.RATE_LIMITED, "slower", 1_500)


async def body_of(tmp_path: Path, data: bytes) -> tuple[int, list[int]]:
    """The length of the body that uploads `data`, and where its frames end."""
    store = MemoryBlocks()
    with new_device(tmp_path / "probe") as probe:
        await probe.ingester.ingest([probe.write("f", data)], store)
        ends = []
        at = 0
        for block in store.arrivals:
            at += HEAD_BYTES + len(store.blocks[block])
            ends.append(at)
        return at + HEAD_BYTES, ends


async def test_an_upload_cut_anywhere_goes_on_at_the_next_block_and_sends_nothing_twice(tmp_path: Path) -> None:
    data = noise(60_000)
    total, ends = await body_of(tmp_path, data)
    places = {1, HEAD_BYTES, total - 1, total}
    places.update(place for end in ends for place in (end - 1, end, end + 1, end + HEAD_BYTES) if place <= total)
    with new_device(tmp_path / "a") as a:
        request = a.write("f", data)
        for place in sorted(places):
            store = MemoryBlocks()
            store.cuts = [place]
            (result,) = await a.ingester.ingest([request], store)
            assert isinstance(result, Ingested)
            assert result.manifest is not None
            assert {ref.block for ref in result.manifest.chunks} == set(store.blocks)
            assert len(store.arrivals) == len(set(store.arrivals))
            assert store.bodies == (1 if len(store.arrivals) == len(ends) and place >= total - HEAD_BYTES else 2)


async def test_an_upload_cut_at_every_block_in_turn_still_ends(tmp_path: Path) -> None:
    store = MemoryBlocks()
    with new_device(tmp_path / "a") as a, new_device(tmp_path / "b") as b:
        data = noise(100_000)
        store.cuts = [20_000] * 20
        (result,) = await a.ingester.ingest([a.write("f", data)], store)
        assert len(store.arrivals) == len(set(store.arrivals))
        (fetched,) = await b.fetcher.fetch([wanted(result)], store)
        assert isinstance(fetched, Fetched)
        assert b.temp(fetched.temp) == data


async def test_a_run_after_a_kill_sends_only_what_had_not_arrived(tmp_path: Path) -> None:
    store = MemoryBlocks()
    with new_device(tmp_path / "a") as a:
        request = a.write("f", noise(200_000))
        store.cuts = [90_000]
        store.refusals = []
        first = await a.ingester.ingest([request], store)
        assert isinstance(first[0], Ingested)
        arrived = dict(list(store.blocks.items())[:20])
        later = MemoryBlocks()
        later.blocks = dict(arrived)
        (result,) = await a.ingester.ingest([request], later, resuming=True)
        assert isinstance(result, Ingested)
        assert not set(later.arrivals) & set(arrived)
        assert later.blocks == store.blocks


async def test_a_file_that_changed_before_its_lost_blocks_could_be_sent_again_is_changed(tmp_path: Path) -> None:
    class Meddling(MemoryBlocks):
        def __init__(self, meddle: Callable[[], object]) -> None:
            super().__init__()
            self.meddle = meddle

        async def have(self, blocks: Any) -> frozenset[BlockId] | Refusal:
            self.meddle()
            return await super().have(blocks)

    with new_device(tmp_path / "a") as a:
        kept, edited = a.write("kept", noise(20_000, b"k")), a.write("edited", noise(20_000, b"e"))
        store = Meddling(lambda: (a.folder / "edited").write_bytes(noise(20_000, b"other")))
        store.cuts = [30_000]
        results = await a.ingester.ingest([kept, edited], store)
        assert isinstance(results[0], Ingested)
        assert isinstance(results[1], Changed)


async def test_an_unreachable_coordinator_is_a_result_and_no_hang(tmp_path: Path) -> None:
    store = MemoryBlocks()
    store.unreachable = True
    with new_device(tmp_path / "a") as a:
        requests = [a.write(f"f{index}", noise(BATCH_BYTES, b"%d" % index)) for index in range(6)]
        empty = a.write("empty", b"")
        results = await a.ingester.ingest([empty, *requests], store)
        assert isinstance(results[0], Ingested)
        assert all(isinstance(result, NotSent) and result.failure.refusal is None for result in results[1:])
        assert 0 < len(a.clock.slept_s) < 20


async def test_a_refused_upload_is_a_result_with_the_reason(tmp_path: Path) -> None:
    store = MemoryBlocks()
    store.refusals = [DENIED]
    with new_device(tmp_path / "a") as a:
        (result,) = await a.ingester.ingest([a.write("f", noise(50_000))], store)
        assert isinstance(result, NotSent)
        assert result.failure.refusal is RefusalCode.DENIED
        assert store.bodies == 1


async def test_an_upload_told_to_be_slower_waits_as_told_and_goes_on(tmp_path: Path) -> None:
    store = MemoryBlocks()
    store.refusals = [BUSY]
    with new_device(tmp_path / "a") as a:
        (result,) = await a.ingester.ingest([a.write("f", noise(50_000))], store)
        assert isinstance(result, Ingested)
        assert 1.5 in a.clock.slept_s


async def test_a_file_written_to_while_it_is_read_is_changed(tmp_path: Path) -> None:
    for size in (10_000, BATCH_BYTES + 10):
        path = tmp_path / f"a{size}" / "f"

        def meddle(number: int, name: str, arguments: tuple[Any, ...], path: Path = path) -> None:
            if name == "read_into" and path.exists():
                path.write_bytes(path.read_bytes() + b"!")

        store = MemoryBlocks()
        with new_root(tmp_path / f"a{size}", hooked(meddle)) as (root, _):
            device = Device(root, SMALL)
            (result,) = await device.ingester.ingest([device.write("f", noise(size))], store)
            assert isinstance(result, Changed)


async def test_a_file_that_is_not_what_the_scan_saw_is_changed(tmp_path: Path) -> None:
    with new_device(tmp_path / "a") as a:
        edited, gone, link = (a.write(name, noise(5_000)) for name in ("edited", "gone", "link"))
        fine = a.write("fine", noise(10))
        (a.folder / "edited").write_bytes(b"new")
        (a.folder / "gone").unlink()
        (a.folder / "link").unlink()
        (a.folder / "link").symlink_to("fine")
        results = await a.ingester.ingest([edited, gone, link, fine], MemoryBlocks())
        assert [type(result) for result in results] == [Changed, Changed, Changed, Ingested]


async def test_a_file_that_the_system_refuses_to_read_has_failed_alone(tmp_path: Path) -> None:
    def refuse(number: int, name: str, arguments: tuple[Any, ...]) -> None:
        if name == "open_read" and arguments[1] == "secret":
            raise PermissionError(13, "no")

    with new_root(tmp_path / "a", hooked(refuse)) as (root, _):
        device = Device(root, SMALL)
        results = await device.ingester.ingest([device.write("secret", b"x"), device.write("open", b"y")], None)
        assert isinstance(results[0], Failed)
        assert results[0].code == "unreadable"
        assert isinstance(results[1], Ingested)


async def test_a_download_cut_anywhere_goes_on_at_the_next_block(tmp_path: Path) -> None:
    store = MemoryBlocks()
    data = noise(60_000)
    total, ends = await body_of(tmp_path, data)
    with new_device(tmp_path / "a") as a, new_device(tmp_path / "b") as b:
        results = await a.ingester.ingest([a.write("f", data)], store)
        for place in sorted({1, HEAD_BYTES, *ends, *(end - 1 for end in ends), *(end + 5 for end in ends)}):
            store.fetch_cuts, store.asked, store.received_bytes = [place], [], 0
            (fetched,) = await b.fetcher.fetch([wanted(results[0])], store)
            assert isinstance(fetched, Fetched)
            assert b.temp(fetched.temp) == data
            assert store.received_bytes == total - HEAD_BYTES


async def test_an_unreachable_or_refusing_source_leaves_no_temporary_file(tmp_path: Path) -> None:
    store = MemoryBlocks()
    with new_device(tmp_path / "a") as a, new_device(tmp_path / "b") as b:
        results = await a.ingester.ingest([a.write("f", noise(60_000)), a.write("g", noise(5))], store)
        store.fetch_refusals = [DENIED]
        refused = await b.fetcher.fetch([wanted(result) for result in results], store)
        store.fetch_cuts = [10_000]
        store.blocks.clear()
        store.unreachable = True
        cut = await b.fetcher.fetch([wanted(result) for result in results], store)
        assert [(type(result), getattr(result, "refusal", 0)) for result in refused + cut] == [
            (NotFetched, RefusalCode.DENIED),
            (NotFetched, RefusalCode.DENIED),
            (NotFetched, None),
            (NotFetched, None),
        ]
        assert b.temps() == []


async def test_a_wrong_block_is_asked_for_again_and_counted_against_its_source(tmp_path: Path) -> None:
    store = MemoryBlocks()
    data = noise(60_000)
    with new_device(tmp_path / "a") as a, new_device(tmp_path / "b") as b:
        (result,) = await a.ingester.ingest([a.write("f", data)], store)
        for victim in list(store.blocks)[::3]:
            store.lies[victim] = [store.blocks[victim][:-1] + b"?"]
        lies = len(store.lies)
        (fetched,) = await b.fetcher.fetch([wanted(result)], store)
        assert isinstance(fetched, Fetched)
        assert b.temp(fetched.temp) == data
        assert len(store.accused) == lies


async def test_a_block_that_stays_wrong_spoils_only_the_files_that_need_it(tmp_path: Path) -> None:
    store = MemoryBlocks()
    with new_device(tmp_path / "a") as a, new_device(tmp_path / "b") as b:
        requests = [a.write("good", noise(30_000, b"g")), a.write("bad", noise(30_000, b"b"))]
        good, bad = await a.ingester.ingest([*requests], store)
        assert isinstance(bad, Ingested)
        assert bad.manifest is not None
        victim = bad.manifest.chunks[1].block
        store.lies[victim] = [b"nonsense" * 100] * 10
        results = await b.fetcher.fetch([wanted(bad), wanted(good)], store)
        assert isinstance(results[0], Bad)
        assert results[0].code == "damaged_block"
        assert isinstance(results[1], Fetched)
        assert b.temps() == [results[1].temp]


async def test_absent_blocks_make_a_version_wait_for_them(tmp_path: Path) -> None:
    store = MemoryBlocks()
    with new_device(tmp_path / "a") as a, new_device(tmp_path / "b") as b:
        here, gone = await a.ingester.ingest([a.write("h", noise(30_000, b"h")), a.write("g", noise(30_000))], store)
        assert isinstance(gone, Ingested)
        assert gone.manifest is not None
        victims = tuple(ref.block for ref in gone.manifest.chunks[2:4])
        for victim in victims:
            del store.blocks[victim]
        results = await b.fetcher.fetch([wanted(gone), wanted(here)], store)
        assert isinstance(results[0], Missing)
        assert results[0].blocks == victims
        assert isinstance(results[1], Fetched)


async def test_a_block_that_holds_another_chunk_than_promised_is_not_written(tmp_path: Path) -> None:
    store = MemoryBlocks()
    with new_device(tmp_path / "a") as a, new_device(tmp_path / "b") as b:
        (result,) = await a.ingester.ingest([a.write("f", noise(900))], store)
        request = wanted(result)
        number, block = seal_block(TestKeys.ring(), 1, noise(900, b"forged"))
        assert number == block_id(block)
        store.blocks[number] = block
        forged = FlatManifest((msgspec.structs.replace(request.manifest.chunks[0], block=BlockId(number)),))
        (fetched,) = await b.fetcher.fetch([replace(request, manifest=forged)], store)
        assert isinstance(fetched, Bad)
        (fetched,) = await b.fetcher.fetch([replace(request, digest=bytes(32))], store)
        assert isinstance(fetched, Bad)
        assert fetched.code == "bad_change"
        (fetched,) = await b.fetcher.fetch([replace(request, size=901)], store)
        assert isinstance(fetched, Bad)
        assert b.temps() == []


async def test_local_chunks_that_are_no_longer_there_are_fetched(tmp_path: Path) -> None:
    store, held = MemoryBlocks(), Held()
    data = noise(100_000)
    with new_device(tmp_path / "a") as a, new_device(tmp_path / "b", local=held) as b:
        (result,) = await a.ingester.ingest([a.write("f", data)], store)
        (on_b,) = await b.ingester.ingest([b.write("f", data)], None)
        assert isinstance(on_b, Ingested)
        held.add(on_b)
        # Same fingerprint as far as `locate` knows, other bytes in the middle: only the chunk ids can tell.
        (b.folder / "f").write_bytes(data[:50_000] + b"#" + data[50_001:])
        now = fingerprint(b.root, ("f",))
        held.places = {chunk: replace(place, fingerprint=now) for chunk, place in held.places.items()}
        (fetched,) = await b.fetcher.fetch([wanted(result)], store)
        assert isinstance(fetched, Fetched)
        assert b.temp(fetched.temp) == data
        assert len(store.asked[0]) == 1
        (b.folder / "f").unlink()
        (fetched,) = await b.fetcher.fetch([wanted(result)], store)
        assert isinstance(fetched, Fetched)
        assert b.temp(fetched.temp) == data


async def test_a_full_disk_fails_that_file_and_leaves_nothing(tmp_path: Path) -> None:
    store = MemoryBlocks()

    def refuse(number: int, name: str, arguments: tuple[Any, ...]) -> None:
        if name == "write_at" and len(arguments[1]) > 800 and len(arguments[1]) < 1000:
            raise OSError(28, "full")

    with new_device(tmp_path / "a") as a, new_root(tmp_path / "b", hooked(refuse)) as (root, _):
        b = Device(root, SMALL)
        results = await a.ingester.ingest([a.write("f", noise(900)), a.write("g", noise(30))], store)
        fetched = await b.fetcher.fetch([wanted(result) for result in results], store)
        assert isinstance(fetched[0], NotWritten)
        assert fetched[0].code == "disk_full"
        assert isinstance(fetched[1], Fetched)
        assert len(b.temps()) == 1


class Cramped(LinuxFilesystem):
    """A disk with room for a thousand bytes."""

    def free_bytes(self, handle: Handle) -> int:
        return 1000


async def test_nothing_is_asked_for_that_has_no_room(tmp_path: Path) -> None:
    store = MemoryBlocks()
    with new_device(tmp_path / "a") as a, new_root(tmp_path / "b", Cramped()) as (root, _):
        b = Device(root, SMALL)
        written = [a.write("large", noise(1001)), a.write("f", noise(600, b"f")), a.write("g", noise(600, b"g"))]
        results = await a.ingester.ingest([*written, a.write("empty", b"")], store)
        fetched = await b.fetcher.fetch([wanted(result) for result in results], store)
        assert [type(one) for one in fetched] == [NotWritten, Fetched, NotWritten, Fetched]
        assert [one.code for one in fetched if isinstance(one, NotWritten)] == ["disk_full"] * 2
        small = results[1]
        assert isinstance(small, Ingested)
        assert small.manifest is not None
        assert {block for asked in store.asked for block in asked} == {ref.block for ref in small.manifest.chunks}


@pytest.mark.parametrize("params", [ChunkerParams(), SMALL])
async def test_a_hole_early_in_a_long_file_is_filled_while_the_rest_is_still_to_come(
    tmp_path: Path, params: ChunkerParams
) -> None:
    store = MemoryBlocks()
    data = noise(20 * 1024 * 1024)
    with new_device(tmp_path / "a", params) as a, new_device(tmp_path / "b", params) as b:
        (result,) = await a.ingester.ingest([a.write("f", data)], store)
        assert isinstance(result, Ingested)
        assert result.manifest is not None
        victim = result.manifest.chunks[1].block
        store.lies[victim] = [b"x" * 500]
        (fetched,) = await b.fetcher.fetch([wanted(result)], store)
        assert isinstance(fetched, Fetched)
        assert b.temp(fetched.temp) == data


async def test_what_was_sent_of_a_file_that_changed_meanwhile_is_not_sent_again(tmp_path: Path) -> None:
    appended = False

    def grow(number: int, name: str, arguments: tuple[Any, ...]) -> None:
        nonlocal appended
        if name == "read_into" and arguments[2] >= 2 * BATCH_BYTES and not appended:
            appended = True
            with (tmp_path / "a" / "f").open("ab") as file:
                file.write(b"more")

    store = MemoryBlocks()
    with new_root(tmp_path / "a", hooked(grow)) as (root, _):
        device = Device(root, SMALL)
        (changed,) = await device.ingester.ingest([device.write("f", noise(3 * BATCH_BYTES))], store)
        assert isinstance(changed, Changed)
        assert {ref.block for ref in changed.stored} == set(store.arrivals)
        assert len(store.arrivals) > BATCH_BYTES // SMALL.max_size
        device.index.refs = {ref.chunk: ref for ref in changed.stored}
        (result,) = await device.ingester.ingest([device.request("f")], store)
        assert isinstance(result, Ingested)
        assert result.manifest is not None
        assert set(store.blocks) == {ref.block for ref in result.manifest.chunks}
        assert len(store.arrivals) == len(set(store.arrivals)) == len(result.manifest.chunks)


async def test_what_arrived_before_an_upload_was_refused_is_known(tmp_path: Path) -> None:
    class RefusesTheSecond(MemoryBlocks):
        async def upload(self, body: AsyncIterator[bytes]) -> Stored | Refusal:
            self.refusals = [DENIED] if self.bodies else []
            return await super().upload(body)

    store = RefusesTheSecond()
    store.cuts = [90_000]
    with new_device(tmp_path / "a") as a:
        (result,) = await a.ingester.ingest([a.write("f", noise(200_000))], store)
        assert isinstance(result, NotSent)
        assert store.arrivals
        assert {ref.block for ref in result.stored} == set(store.arrivals)


async def test_a_long_file_that_is_open_for_writing_is_not_begun(tmp_path: Path) -> None:
    with new_device(tmp_path / "a") as a:
        request = a.write("f", noise(1 << 20))
        with (a.folder / "f").open("ab"):
            store = MemoryBlocks()
            (waits,) = await a.ingester.ingest([request], store)
            assert isinstance(waits, Changed)
            assert store.arrivals == []
            (taken,) = await a.ingester.ingest([replace(request, even_if_open=True)], store)
            assert isinstance(taken, Ingested)
        (closed,) = await a.ingester.ingest([request], MemoryBlocks())
        assert isinstance(closed, Ingested)
