"""Versions whose chunks come from neighbours, in any order, before the source is asked for the rest."""

import errno
import os
from collections.abc import Collection, Iterator, Sequence
from contextlib import aclosing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from peer.transfer import download
from peer.transfer.counters import Progress
from peer.transfer.download import SCATTERED_BYTES, Fetched, FetchRequest, NotFetched, NotWritten
from peer.transfer.near import Beyond, Keep, Lending, Piece, Scattered
from peer.transfer.unfinished import Unfinished
from protocol.ids import ChangeId, ChunkId
from simulations.noise import noise
from tests.common.blocks import SMALL, Device, MemoryBlocks, new_device, wanted
from tests.common.disks import hooked, new_root

LARGE = SCATTERED_BYTES + 50_000


class Nearby:
    """Somebody who has some chunks, delivers them in any order, and may lie."""

    def __init__(self) -> None:
        self.chunks: dict[ChunkId, bytes] = {}
        self.is_anybody_there = True
        self.takes_from_beyond = False
        self.is_in_order = False
        self.verdicts: list[Sequence[bool] | None] = []
        self.calls: list[str] = []
        self.lent: list[Lending] = []
        self.is_lent = False

    def learn(self, request: FetchRequest, data: bytes, every: int = 1) -> None:
        """Have each so-manieth chunk of a version."""
        offset = 0
        for at, ref in enumerate(request.manifest.chunks):
            if at % every == 0:
                self.chunks[ref.chunk] = data[offset : offset + ref.length]
            offset += ref.length

    async def fetch(
        self, version: ChangeId, pieces: Sequence[Piece], wanted: Collection[int], keep: Keep, beyond: Beyond | None
    ) -> None:
        self.calls.append("one")
        await self._deliver(pieces, wanted, keep, beyond)

    async def fetch_scattered(self, pieces: Scattered, keep: Keep, beyond: Beyond | None) -> None:
        self.calls.append("scattered")
        await self._deliver([piece for _, piece in pieces], range(len(pieces)), keep, beyond)

    async def _deliver(
        self, pieces: Sequence[Piece], wanted: Collection[int], keep: Keep, beyond: Beyond | None
    ) -> None:
        order = sorted(wanted, key=lambda at: at if self.is_in_order else pieces[at].chunk)  # any but the file's own
        mine = [at for at in order if pieces[at].chunk in self.chunks]
        for some in (mine[at : at + 7] for at in range(0, len(mine), 7)):
            self.verdicts.append(await keep([(at, memoryview(self.chunks[pieces[at].chunk])) for at in some]))
            if self.verdicts[-1] is None:
                return
        rest = [at for at in order if at not in mine]
        if self.takes_from_beyond and beyond is not None and rest:
            async with aclosing(beyond.bring(rest)) as groups:
                async for group in groups:
                    self.verdicts.append(await keep([(at, data) for at, data in group if data is not None]))

    @contextmanager
    def lend(self, lending: Lending) -> Iterator[None]:
        self.lent.append(lending)
        self.is_lent = True
        yield
        self.is_lent = False


async def ingested(device: Device, store: MemoryBlocks, name: str, data: bytes) -> FetchRequest:
    (result,) = await device.ingester.ingest([device.write(name, data)], store)
    return wanted(result)


def asked_of(store: MemoryBlocks) -> set[bytes]:
    return {block for asked in store.asked for block in asked}


@pytest.mark.parametrize("size", [30_000, LARGE])
async def test_what_neighbours_have_comes_from_them_and_the_rest_from_the_source(tmp_path: Path, size: int) -> None:
    store, near, data = MemoryBlocks(), Nearby(), noise(size)
    with new_device(tmp_path / "a") as a, new_device(tmp_path / "b") as b:
        request = await ingested(a, store, "f", data)
        near.learn(request, data, every=2)
        fetcher, progress = replace(b.fetcher, near=near), Progress()
        (result,) = await fetcher.fetch([request], store, progress=progress)
        assert isinstance(result, Fetched)
        assert b.temp(result.temp) == data
        assert asked_of(store) == {ref.block for ref in request.manifest.chunks if ref.chunk not in near.chunks}
        assert near.calls == ["one" if size > SCATTERED_BYTES else "scattered"]
        assert progress.bytes_done == progress.bytes_total == size
        assert not near.is_lent


@pytest.mark.parametrize("size", [30_000, LARGE])
async def test_where_neighbours_and_the_coordinator_deliver_together_nothing_is_left_to_be_fetched_in_order(
    tmp_path: Path, size: int
) -> None:
    store, near, data = MemoryBlocks(), Nearby(), noise(size)
    near.takes_from_beyond = True
    with new_device(tmp_path / "a") as a, new_device(tmp_path / "b") as b:
        request = await ingested(a, store, "f", data)
        near.learn(request, data, every=3)
        (result,) = await replace(b.fetcher, near=near).fetch([request], store)
        assert isinstance(result, Fetched)
        assert b.temp(result.temp) == data
        asked = [block for blocks in store.asked for block in blocks]
        assert len(asked) == len(set(asked)) == sum(ref.chunk not in near.chunks for ref in request.manifest.chunks)
        assert store.received_bytes > 0


@pytest.mark.parametrize("repeated", [0, 40_000])
async def test_what_came_in_the_order_of_the_file_is_not_read_again(tmp_path: Path, repeated: int) -> None:
    store, near = MemoryBlocks(), Nearby()
    near.is_in_order = True
    data = noise(LARGE)
    data += data[LARGE - repeated :] if repeated else b""
    read: list[int] = []

    def count(_: int, name: str, arguments: tuple[Any, ...]) -> None:
        if name == "read_into":
            read.append(len(arguments[1]))

    with new_device(tmp_path / "a") as a, new_root(tmp_path / "b", hooked(count)) as (root, _):
        request = await ingested(a, store, "f", data)
        near.learn(request, data)
        (result,) = await replace(a.fetcher, root=root, near=near).fetch([request], store)
        assert isinstance(result, Fetched)
        assert (tmp_path / "b" / ".shoal" / "tmp" / result.temp).read_bytes() == data
        assert sum(read) <= 2 * repeated
        assert len(store.asked) == 0


async def test_a_neighbour_that_comes_while_a_version_is_fetched_is_asked_for_what_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download, "WINDOW_BYTES", 100_000)
    near, data = Nearby(), noise(LARGE)

    class Telling(MemoryBlocks):
        def count(self, received_bytes: int) -> None:
            near.is_anybody_there = len(self.asked) >= 2

    store = Telling()
    near.is_anybody_there = False
    with new_device(tmp_path / "a") as a, new_device(tmp_path / "b") as b:
        request = await ingested(a, store, "f", data)
        near.learn(request, data)
        progress = Progress()
        (result,) = await replace(b.fetcher, near=near).fetch([request], store, progress=progress)
        assert isinstance(result, Fetched)
        assert b.temp(result.temp) == data
        assert progress.bytes_done == progress.bytes_total == len(data)
        asked = [block for blocks in store.asked for block in blocks]
        assert 0 < len(asked) == len(set(asked)) < len(request.manifest.chunks) / 2
        assert near.calls == ["scattered"]


async def test_many_small_versions_that_share_chunks_are_fetched_together_and_each_chunk_once(tmp_path: Path) -> None:
    store, near = MemoryBlocks(), Nearby()
    with new_device(tmp_path / "a") as a, new_device(tmp_path / "b") as b:
        files = [noise(20_000 + 1_000 * at) + b"the same end" for at in range(5)] + [b"", noise(20_000)]
        requests = [await ingested(a, store, f"f{at}", data) for at, data in enumerate(files)]
        for request, data in zip(requests, files, strict=True):
            near.learn(request, data)
        results = await replace(b.fetcher, near=near).fetch(requests, store)
        temps = [b.temp(result.temp) for result in results if isinstance(result, Fetched)]
        assert temps == files
        assert near.calls == ["scattered"]
        assert store.asked == []


async def test_a_neighbour_that_lies_is_told_so_and_nothing_of_it_is_kept(tmp_path: Path) -> None:
    store, near, data = MemoryBlocks(), Nearby(), noise(60_000)
    with new_device(tmp_path / "a") as a, new_device(tmp_path / "b") as b:
        request = await ingested(a, store, "f", data)
        near.learn(request, data)
        liar = request.manifest.chunks[3]
        near.chunks[liar.chunk] = bytes(liar.length)
        (result,) = await replace(b.fetcher, near=near).fetch([request], store)
        assert isinstance(result, Fetched)
        assert b.temp(result.temp) == data
        assert [is_right for verdict in near.verdicts for is_right in verdict or ()].count(False) == 1
        assert asked_of(store) == {liar.block}


async def test_without_a_source_neighbours_are_enough(tmp_path: Path) -> None:
    store, near, data = MemoryBlocks(), Nearby(), noise(LARGE)
    near.takes_from_beyond = True
    with new_device(tmp_path / "a") as a, new_device(tmp_path / "b") as b:
        request = await ingested(a, store, "f", data)
        store.unreachable = True
        near.learn(request, data)
        (result,) = await replace(b.fetcher, near=near).fetch([request], store)
        assert isinstance(result, Fetched)
        assert b.temp(result.temp) == data


async def test_with_half_of_a_version_nearby_and_no_source_it_is_fetched_another_time(tmp_path: Path) -> None:
    store, near, data = MemoryBlocks(), Nearby(), noise(60_000)
    near.takes_from_beyond = True
    with new_device(tmp_path / "a") as a, new_device(tmp_path / "b") as b:
        request = await ingested(a, store, "f", data)
        store.unreachable = True
        near.learn(request, data, every=2)
        fetcher = replace(b.fetcher, near=near, unfinished=Unfinished(b.root))
        (result,) = await fetcher.fetch([request], store)
        assert isinstance(result, NotFetched)
        store.unreachable, near.is_anybody_there = False, False
        store.asked.clear()
        (result,) = await fetcher.fetch([request], store)
        assert isinstance(result, Fetched)
        assert b.temp(result.temp) == data
        assert b.temps() == [result.temp]
        rest = {ref.block for ref in request.manifest.chunks if ref.chunk not in near.chunks}
        assert asked_of(store) == rest, "what neighbours had delivered was there"


async def test_a_disk_that_refuses_ends_it_and_accuses_nobody(tmp_path: Path) -> None:
    store, near, data = MemoryBlocks(), Nearby(), noise(60_000)

    def refuse(_: int, name: str, arguments: tuple[Any, ...]) -> None:
        if name == "write_at" and len(arguments[1]) > 500:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with new_device(tmp_path / "a") as a, new_root(tmp_path / "b", hooked(refuse)) as (root, _):
        b = Device(root, SMALL)
        request = await ingested(a, store, "f", data)
        near.learn(request, data)
        (result,) = await replace(b.fetcher, near=near).fetch([request], store)
        assert isinstance(result, NotWritten)
        assert result.code == "disk_full"
        assert near.verdicts == [None]
        assert b.temps() == []


async def test_what_is_in_a_temporary_file_can_be_lent_until_it_is_somewhere_else(tmp_path: Path) -> None:
    store, near, data = MemoryBlocks(), Nearby(), noise(60_000)
    with new_device(tmp_path / "a") as a, new_device(tmp_path / "b") as b:
        request = await ingested(a, store, "f", data)
        near.learn(request, data)
        (result,) = await replace(b.fetcher, near=near).fetch([request], store)
        assert isinstance(result, Fetched)
        (lending,) = near.lent
        offset = 0
        for ref in request.manifest.chunks:
            assert lending.has(ref.chunk)
            assert bytes(lending.read_back(ref.chunk, ref.length) or b"") == data[offset : offset + ref.length]
            offset += ref.length
        ref = request.manifest.chunks[0]
        assert lending.read_back(ref.chunk, ref.length - 1) is None
        assert lending.read_back(ChunkId(bytes(32)), 5) is None
        temp = b.folder / ".shoal" / "tmp" / result.temp
        temp.write_bytes(b"edited" + data[6:])
        assert lending.read_back(ref.chunk, ref.length) is None
        temp.rename(b.folder / "f")
        assert lending.read_back(request.manifest.chunks[-1].chunk, request.manifest.chunks[-1].length) is None
