"""What is held until it is durable is served to others: it is said to be here, cut out, and checked."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from crypto.digest import chunk_id
from peer.disk.destroying import let_go
from peer.disk.real import LinuxFilesystem
from peer.engine.context import Context
from peer.engine.held import REMEMBERED, HeldChunks
from peer.engine.shelf import Shelf
from peer.lan.serving import Turns
from peer.machine import ThreadOffload
from peer.store import schema
from peer.transfer.sources import NothingKnown
from protocol.codec import encode
from protocol.ids import ROOT, BlockId, ChangeId, ChunkId
from protocol.lan import GoneReason, LanRequest
from protocol.model import Body, ChunkRef, FlatManifest
from simulations.noise import noise
from tests.common.journals import entry_id, seed
from tests.unit.peer.engine.test_executor import opened

LENGTHS = (30_000, 1, 20_000)
DATA = noise(sum(LENGTHS))


class Holding:
    """A folder that holds versions, and what it serves."""

    def __init__(self, context: Context, folder: Path) -> None:
        self.context = context
        self.directory = folder / ".shoal" / "held"
        machine: Any = context.machine
        machine.compute = ThreadOffload(1)
        self.held = HeldChunks(context)
        self.shelf = Shelf(context, NothingKnown(), self.held, Turns())

    def hold(self, label: str, data: bytes = DATA) -> tuple[ChangeId, list[ChunkRef]]:
        """A version that the journal has, and whose bytes are held; its chunks."""
        refs, at, keys = [], 0, self.context.keyring.fixed
        for length in LENGTHS:
            chunk = ChunkId(chunk_id(keys, data[at : at + length]))
            refs.append(ChunkRef(chunk, BlockId(seed("block", chunk)), 1, length))
            at += length
        change, w = ChangeId(seed("version", label)), self.context.record.w
        body = encode(Body(label, len(data), 0, False, seed(data), None, FlatManifest(tuple(refs)), None))
        row = (w, change, entry_id(label), None, 2, False, ROOT, body, seed("device"), 1_000)
        self.context.machine.database.insert(schema.versions, [row])
        (self.directory / change.hex()).write_bytes(data)
        return change, refs

    async def ask(self, version: ChangeId, refs: list[ChunkRef]) -> list[bytes | GoneReason]:
        workspace = self.context.record.workspace
        asked = [LanRequest(at, workspace, version, ref.chunk, ref.length) for at, ref in enumerate(refs, 1)]
        answers = await self.shelf.read(asked)
        return [each if isinstance(each, GoneReason) else bytes(each) for each in answers]


@pytest.fixture
def holding(tmp_path: Path) -> Iterator[Holding]:
    with opened(LinuxFilesystem(), str(tmp_path)) as context:
        yield Holding(context, tmp_path)


async def test_all_of_a_version_that_is_held_is_said_to_be_here_and_is_served(holding: Holding) -> None:
    version, refs = holding.hold("film")
    assert await holding.shelf.held(version) == [True, True, True]
    answers = await holding.ask(version, refs)
    assert b"".join(each for each in answers if isinstance(each, bytes)) == DATA


async def test_another_version_with_the_same_chunks_is_served_out_of_it(holding: Holding) -> None:
    _, refs = holding.hold("film")
    renamed, _ = holding.hold("renamed")
    (holding.directory / renamed.hex()).unlink()
    assert await holding.shelf.held(renamed) == [True, True, True]
    assert GoneReason.GONE not in await holding.ask(renamed, refs)


async def test_what_is_damaged_or_cut_short_is_not_served_and_the_rest_is(holding: Holding) -> None:
    version, refs = holding.hold("film")
    with (holding.directory / version.hex()).open("r+b") as file:
        file.write(b"damaged")
        file.truncate(40_000)
    assert await holding.ask(version, refs) == [GoneReason.GONE, DATA[30_000:30_001], GoneReason.GONE]


async def test_what_was_let_go_is_no_longer_here(holding: Holding) -> None:
    version, refs = holding.hold("film")
    assert await holding.shelf.held(version) == [True, True, True]
    let_go(holding.context.root, [version.hex()])
    assert await holding.shelf.held(version) == [False, False, False]
    assert await holding.ask(version, refs) == [GoneReason.GONE] * 3


async def test_files_that_no_version_has_and_links_are_left_alone(holding: Holding, tmp_path: Path) -> None:
    version, refs = holding.hold("film")
    (holding.directory / "notes").write_bytes(DATA)
    (holding.directory / seed("unknown").hex()).write_bytes(DATA)
    (holding.directory / version.hex()).rename(tmp_path / "elsewhere")
    (holding.directory / version.hex()).symlink_to(tmp_path / "elsewhere")
    assert await holding.ask(version, refs) == [GoneReason.GONE] * 3


async def test_a_closed_shelf_says_nothing(holding: Holding) -> None:
    version, refs = holding.hold("film")
    await holding.shelf.close()
    assert await holding.shelf.held(version) is None
    assert await holding.ask(version, refs) == [GoneReason.GONE] * 3


async def test_the_places_of_more_files_than_are_remembered_are_found(
    holding: Holding, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert len(LENGTHS) <= REMEMBERED
    monkeypatch.setattr("peer.engine.held.REMEMBERED", 4)
    held = [holding.hold(f"film {number}", noise(sum(LENGTHS), b"%d" % number)) for number in range(3)]
    for _ in range(2):
        for version, refs in held:
            assert await holding.shelf.held(version) == [True, True, True]
            assert GoneReason.GONE not in await holding.ask(version, refs)
