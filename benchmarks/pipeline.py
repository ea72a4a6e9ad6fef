"""How fast files become blocks and blocks become files: one process, blocks kept in memory-mapped temporary files.

python -P -m benchmarks.pipeline [--mib 1024] [--files 10000] [--runs 3]

The "wire" is a function call, so the figures are what the two pipelines themselves cost. Nothing is made durable.
"""

import argparse
import os
import resource
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import trio

from chunking.params import DEFAULT_PARAMS
from crypto.digest import file_hasher
from peer.disk.temporary import discard_temp
from peer.transfer.download import Fetched
from peer.transfer.ingest import Ingested
from peer.transfer.sources import SourceCut
from protocol.frames import Frame, FrameKind, FrameReader
from protocol.ids import BlockId
from protocol.messages import Refusal, Stored
from simulations.noise import noise
from tests.common.blocks import Device, TestKeys, new_device, wanted

MIB = 1024 * 1024
SAMPLE = noise(8 * MIB)


class FileBlocks:
    """Blocks in one unlinked file, so that the benchmark's memory is the pipelines' own."""

    def __init__(self, folder: Path) -> None:
        self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 - lives as long as this object
        self._at = 0
        self._where: dict[BlockId, tuple[int, int]] = {}

    async def upload(self, body: AsyncIterator[bytes]) -> Stored | Refusal:
        reader = FrameReader()
        count = 0
        async for piece in body:
            frames = list(reader.receive(piece))
            blocks = [frame for frame in frames if frame.kind is FrameKind.BLOCK]
            for frame in blocks:
                self._where[frame.block] = (self._at, len(frame.data))
                self._at += os.pwrite(self._file.fileno(), frame.data, self._at)
            count += len(blocks)
            await trio.lowlevel.checkpoint()
        return Stored(count, count)

    async def have(self, blocks: Sequence[BlockId]) -> frozenset[BlockId] | Refusal:
        return frozenset(block for block in blocks if block in self._where)

    @asynccontextmanager
    async def fetch(self, blocks: Sequence[BlockId]) -> AsyncIterator[AsyncIterator[list[Frame]] | Refusal]:
        yield self._frames(blocks)

    async def _frames(self, blocks: Sequence[BlockId]) -> AsyncIterator[list[Frame]]:
        batch: list[Frame] = []
        size = 0
        for block in blocks:
            offset, length = self._where[block]
            batch.append(Frame(FrameKind.BLOCK, block, os.pread(self._file.fileno(), length, offset)))
            size += length
            if size >= 256 * 1024:
                yield batch
                batch, size = [], 0
                await trio.lowlevel.checkpoint()
        if batch:
            yield batch

    def count(self, received_bytes: int) -> None:
        pass

    def accuse(self, block: BlockId) -> None:
        raise SourceCut("a wrong block")


def pieces(total: int, seed: int) -> Iterator[bytes]:
    """Incompressible bytes without repeats, made fast: one sample, encrypted by position."""
    hasher = file_hasher(TestKeys.ring().fixed)
    for at in range(0, total, len(SAMPLE)):
        head = hasher.copy()
        head.update(b"%d %d" % (seed, at))
        yield head.digest(min(len(SAMPLE), total - at))


def make_large(folder: Path, mib: int, seed: int) -> list[str]:
    with (folder / "large").open("wb") as file:
        for piece in pieces(mib * MIB, seed):
            file.write(piece)
    return ["large"]


def make_small(folder: Path, files: int, seed: int) -> list[str]:
    names = []
    stock = b""
    at = 0
    for index in range(files):
        name = f"d{index // 100}/f{index}"
        path = folder / name
        if index % 100 == 0:
            path.parent.mkdir(parents=True)
        size = 1024 + (index * 7919) % (16 * 1024)
        if at + size > len(stock):
            stock, at = b"".join(pieces(2 * MIB, seed * 1_000_000 + index)), 0
        path.write_bytes(stock[at : at + size])
        at += size
        names.append(name)
    return names


def cpu_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


async def timed(work: Callable[[], object]) -> tuple[object, float, float]:
    start, cpu = time.perf_counter(), cpu_s()
    result = await work()  # type: ignore[misc]  # every caller hands in a coroutine function
    return result, time.perf_counter() - start, cpu_s() - cpu


async def one_run(folder: Path, make: Callable[[Path, int, int], list[str]], amount: int, run: int) -> list[float]:
    with new_device(folder / "a", DEFAULT_PARAMS) as a, new_device(folder / "b", DEFAULT_PARAMS) as b:
        names = make(a.folder, amount, run)
        requests = [a.request(name) for name in names]
        store = FileBlocks(folder)
        results, up_s, up_cpu = await timed(lambda: a.ingester.ingest(requests, store))
        assert isinstance(results, list)
        assert all(isinstance(result, Ingested) for result in results)
        asked = [wanted(result) for result in results]
        fetched, down_s, down_cpu = await timed(lambda: b.fetcher.fetch(asked, store))
        assert isinstance(fetched, list)
        assert all(isinstance(result, Fetched) for result in fetched)
        remove(b, fetched)
        return [up_s, up_cpu, down_s, down_cpu]


def remove(device: Device, fetched: list[Fetched]) -> None:
    for result in fetched:
        discard_temp(device.root, result.temp)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--mib", type=int, default=1024)
    parser.add_argument("--files", type=int, default=10_000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--folder", type=Path, default=None)
    arguments = parser.parse_args()
    print(f"median of {arguments.runs} runs; seconds of wall and of processor")
    for title, make, amount in (
        (f"one file of {arguments.mib} MiB", make_large, arguments.mib),
        (f"{arguments.files} files of 1-17 KiB", make_small, arguments.files),
    ):
        rows = []
        for run in range(arguments.runs):
            with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
                rows.append(trio.run(one_run, Path(folder), make, amount, run))
        up_s, up_cpu, down_s, down_cpu = (statistics.median(column) for column in zip(*rows, strict=True))
        print(f"{title}: in {up_s:.2f} s wall, {up_cpu:.2f} s cpu; out {down_s:.2f} s wall, {down_cpu:.2f} s cpu")
        print(f"  all runs: {'; '.join(' '.join(f'{value:.2f}' for value in row) for row in rows)}")
    print(f"highest resident memory: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024} MiB")


if __name__ == "__main__":
    main()
