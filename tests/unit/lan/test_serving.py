"""Chunks out of real files."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import trio

from crypto.digest import chunk_id
from peer.lan.serving import AT_ONCE, ChunkServer, Turns
from peer.transfer.ingest import Ingested
from protocol.ids import ChangeId, ChunkId, WorkspaceId
from protocol.lan import GoneReason, LanRequest
from simulations.noise import noise
from tests.common.blocks import Device, Held, MemoryBlocks, TestKeys, ThreadOffload, new_device

KEYS = TestKeys.ring().fixed
HERE, VERSION = WorkspaceId(b"h" * 32), ChangeId(b"v" * 32)


class Served:
    """A folder, what is known of its chunks, and a server of them."""

    def __init__(self, device: Device) -> None:
        self.device = device
        self.held = Held()
        self.server = ChunkServer(device.root, ThreadOffload(), self.held, KEYS, Turns())

    async def take_in(self, name: str, data: bytes) -> list[tuple[ChunkId, int]]:
        """Write a file and learn its chunks."""
        (result,) = await self.device.ingester.ingest([self.device.write(name, data)], MemoryBlocks())
        assert isinstance(result, Ingested)
        self.held.add(result)
        return list(result.chunks)

    async def ask(self, chunks: list[tuple[ChunkId, int]]) -> list[bytes | GoneReason]:
        wanted = [LanRequest(at, HERE, VERSION, chunk, size) for at, (chunk, size) in enumerate(chunks, 1)]
        answers = await self.server.read(wanted)
        return [each if isinstance(each, GoneReason) else bytes(each) for each in answers]


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    with new_device(tmp_path) as device:
        yield Served(device)


async def test_every_chunk_of_every_file_is_served_as_it_is(served: Served) -> None:
    first, second = noise(100_000), noise(100_001)[::-1]
    chunks = [*await served.take_in("a/first", first), *await served.take_in("second", second)]
    answers = await served.ask(chunks[::-1])
    assert b"".join(each for each in answers[::-1] if isinstance(each, bytes)) == first + second


async def test_what_was_edited_is_no_longer_here_and_the_rest_of_the_file_is(served: Served) -> None:
    data = noise(100_000)
    chunks = await served.take_in("file", data)
    with (served.device.folder / "file").open("r+b") as file:
        file.write(b"edited")
    answers = await served.ask(chunks)
    assert answers[0] is GoneReason.GONE
    assert b"".join(each for each in answers[1:] if isinstance(each, bytes)) == data[chunks[0][1] :]


@pytest.mark.parametrize(
    "change", ["removed", "shorter", "a link", "a directory", "a pipe", "unreadable", "its directory a link"]
)
async def test_whatever_became_of_a_file_nothing_else_is_served(served: Served, change: str) -> None:
    chunks = await served.take_in("dir/file", noise(50_000))
    path = served.device.folder / "dir" / "file"
    match change:
        case "removed":
            path.unlink()
        case "shorter":
            os.truncate(path, 10)
        case "a link":
            elsewhere = served.device.folder.parent / "elsewhere"
            path.rename(elsewhere)
            path.symlink_to(elsewhere)
        case "a directory":
            path.unlink()
            path.mkdir()
        case "a pipe":
            path.unlink()
            os.mkfifo(path)
        case "unreadable":
            path.chmod(0)
        case _:
            path.parent.rename(served.device.folder.parent / "moved")
            path.parent.symlink_to(served.device.folder.parent / "moved")
    with trio.fail_after(30):
        answers = await served.ask(chunks)
    if change == "unreadable" and os.geteuid() == 0:
        return
    assert set(answers) == {GoneReason.GONE}


async def test_a_chunk_nobody_knows_or_of_another_length_is_not_here(served: Served) -> None:
    ((chunk, size), *_) = await served.take_in("file", b"some bytes")
    stranger = ChunkId(chunk_id(KEYS, b"other"))
    assert await served.ask([(stranger, 5), (chunk, size + 1), (chunk, size - 1)]) == [GoneReason.GONE] * 3
    assert await served.ask([(chunk, size)]) == [b"some bytes"]


async def test_who_asks_often_does_not_keep_the_others_waiting() -> None:
    turns, served_order = Turns(), list[str]()

    async def ask(name: str, times: int) -> None:
        for _ in range(times):
            async with turns:
                served_order.append(name)
                await trio.lowlevel.checkpoint()

    async with trio.open_nursery() as nursery:
        for number in range(5):
            nursery.start_soon(ask, f"greedy {number}", 100)
        nursery.start_soon(ask, "modest", 1)
    assert served_order.index("modest") <= 6 + AT_ONCE
