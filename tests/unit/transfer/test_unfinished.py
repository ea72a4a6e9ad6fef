"""A download that broke off for longer than it is waited for: the next one fetches the rest."""

import errno
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import trio

from peer.disk.real import LinuxFilesystem
from peer.ports import Filesystem, Handle
from peer.transfer import unfinished
from peer.transfer.download import Bad, Fetched, FetchRequest, NotFetched, NotWritten
from peer.transfer.unfinished import Unfinished
from protocol.ids import ChangeId
from protocol.messages import Refusal, RefusalCode
from simulations.noise import noise
from tests.common.blocks import SMALL, Device, MemoryBlocks, new_device, wanted
from tests.common.disks import hooked, new_root

DATA = noise(200_000)
GONE = Refusal(RefusalCode.UNAVAILABLE, "away", 10)


class Taker:
    """A device that keeps what it has when its source goes away, and the source."""

    def __init__(self, device: Device) -> None:
        self.device = device
        self.kept = Unfinished(device.root)
        self.fetcher = replace(device.fetcher, unfinished=self.kept)
        self.store = MemoryBlocks()

    async def bring(self, *files: bytes) -> list[FetchRequest]:
        """Versions of these contents, whose blocks the source has from now on."""
        with new_device(self.device.folder.parent / "author") as author:
            asked = [author.write(f"f{index}", data) for index, data in enumerate(files)]
            results = await author.ingester.ingest(asked, self.store)
        return [replace(wanted(one), version=ChangeId(bytes([n]) * 32)) for n, one in enumerate(results)]

    async def break_off(self, request: FetchRequest, after_bytes: int) -> NotFetched:
        """Fetch until the source is away after so many bytes."""
        self.store.fetch_cuts, self.store.away_after_cut = [after_bytes], True
        (result,) = await self.fetcher.fetch([request], self.store)
        self.store.away_after_cut = self.store.unreachable = False
        assert isinstance(result, NotFetched)
        return result

    async def fetched_bytes(self, request: FetchRequest, data: bytes) -> int:
        """Fetch it whole; how much came for it."""
        self.store.received_bytes = 0
        (result,) = await self.fetcher.fetch([request], self.store)
        assert isinstance(result, Fetched), result
        assert self.device.temp(result.temp) == data
        (self.device.folder / ".shoal" / "tmp" / result.temp).unlink()
        return self.store.received_bytes


def with_room(room: Callable[[], int]) -> Filesystem:
    """The disk, with so many bytes left."""

    class Cramped(LinuxFilesystem):
        def free_bytes(self, handle: Handle) -> int:
            return room()

    return Cramped()


@contextmanager
def new_taker(tmp_path: Path, fs: Filesystem | None = None) -> Iterator[Taker]:
    with new_root(tmp_path / "taker", fs) as (root, _):
        taker = Taker(Device(root, SMALL))
        yield taker
        taker.kept.remove_all()
        assert taker.device.temps() == []


async def test_only_the_rest_is_fetched_however_often_it_breaks_off(tmp_path: Path) -> None:
    with new_taker(tmp_path) as taker:
        (request,) = await taker.bring(DATA)
        came = 0
        for _ in range(5):
            taker.store.received_bytes = 0
            await taker.break_off(request, 40_000)
            came += taker.store.received_bytes
            assert len(taker.device.temps()) == 1
        assert came > 100_000
        came += await taker.fetched_bytes(request, DATA)
        assert came == await taker.fetched_bytes(request, DATA)
        assert taker.device.temps() == []


async def test_an_attempt_that_brings_nothing_takes_nothing_away_and_writes_nothing(tmp_path: Path) -> None:
    written: list[str] = []

    def note(number: int, name: str, arguments: tuple[Any, ...]) -> None:
        if name in ("write_at", "truncate", "allocate", "create"):
            written.append(name)

    with new_taker(tmp_path, hooked(note)) as taker:
        (request,) = await taker.bring(DATA)
        await taker.break_off(request, 150_000)
        written.clear()
        for _ in range(3):
            await taker.break_off(request, 1)
        taker.store.fetch_refusals = [GONE] * 10
        (refused,) = await taker.fetcher.fetch([request], taker.store)
        assert isinstance(refused, NotFetched)
        assert not written
        taker.store.fetch_refusals = []
        assert await taker.fetched_bytes(request, DATA) < 70_000


async def test_what_is_repeated_in_the_rest_comes_from_what_is_there(tmp_path: Path) -> None:
    with new_taker(tmp_path) as taker:
        data = DATA + noise(30_000, b"between") + DATA
        (request,) = await taker.bring(data)
        await taker.break_off(request, 190_000)
        assert await taker.fetched_bytes(request, data) < 120_000


async def test_a_source_that_refuses_for_good_leaves_nothing(tmp_path: Path) -> None:
    with new_taker(tmp_path) as taker:
        (request,) = await taker.bring(DATA)
        await taker.break_off(request, 100_000)
        taker.store.fetch_refusals = [Refusal(RefusalCode.DENIED, "no")]
        (result,) = await taker.fetcher.fetch([request], taker.store)
        assert isinstance(result, NotFetched)
        assert taker.device.temps() == []


@pytest.mark.parametrize("harm", ["edited", "shortened", "removed", "replaced"])
async def test_a_beginning_that_somebody_touched_is_not_gone_on_with(tmp_path: Path, harm: str) -> None:
    with new_taker(tmp_path) as taker:
        (request,) = await taker.bring(DATA)
        await taker.break_off(request, 100_000)
        (name,) = taker.device.temps()
        path = taker.device.folder / ".shoal" / "tmp" / name
        match harm:
            case "edited":
                with path.open("r+b") as file:
                    file.write(b"?")
            case "shortened":
                with path.open("r+b") as file:
                    file.truncate(10)
            case "removed":
                path.unlink()
            case _:
                data = path.read_bytes()
                path.unlink()
                path.write_bytes(data)
        assert await taker.fetched_bytes(request, DATA) >= len(DATA)


async def test_a_beginning_is_not_taken_for_that_of_another_version(tmp_path: Path) -> None:
    with new_taker(tmp_path) as taker:
        other = noise(150_000, b"other")
        one, two = await taker.bring(DATA, other)
        await taker.break_off(one, 100_000)
        assert await taker.fetched_bytes(two, other) >= len(other)
        assert await taker.fetched_bytes(replace(two, version=one.version), other) >= len(other)
        assert await taker.fetched_bytes(one, DATA) < 120_000


async def test_a_digest_that_does_not_fit_discards_all(tmp_path: Path) -> None:
    with new_taker(tmp_path) as taker:
        (request,) = await taker.bring(DATA)
        forged = replace(request, digest=bytes(32))
        await taker.break_off(forged, 100_000)
        (result,) = await taker.fetcher.fetch([forged], taker.store)
        assert isinstance(result, Bad)
        assert taker.device.temps() == []


async def test_a_cancelled_transfer_leaves_nothing_not_even_what_it_began_with(tmp_path: Path) -> None:
    with new_taker(tmp_path) as taker:
        (request,) = await taker.bring(DATA)
        await taker.break_off(request, 100_000)
        with trio.CancelScope() as scope:
            scope.cancel()
            await taker.fetcher.fetch([request], taker.store)
        assert taker.device.temps() == []


async def test_what_is_not_wanted_any_more_goes(tmp_path: Path) -> None:
    with new_taker(tmp_path) as taker:
        one, two = await taker.bring(DATA, noise(150_000, b"other"))
        await taker.break_off(one, 100_000)
        await taker.break_off(two, 100_000)
        assert len(taker.device.temps()) == 2
        assert not taker.kept.keep_only({one.version, two.version})
        assert taker.kept.keep_only({two.version})
        taker.kept.clear_up()
        assert len(taker.device.temps()) == 1
        assert await taker.fetched_bytes(two, noise(150_000, b"other")) < 70_000


async def test_there_are_never_many_of_them_nor_large_ones_beside_the_newest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unfinished, "UNFINISHED_FILES", 2)
    files = [noise(100_000, b"%d" % number) for number in range(4)]
    with new_taker(tmp_path) as taker:
        requests = await taker.bring(*files)
        for request in requests:
            await taker.break_off(request, 50_000)
        assert len(taker.device.temps()) == 2
        assert await taker.fetched_bytes(requests[3], files[3]) < 70_000
        monkeypatch.setattr(unfinished, "UNFINISHED_BYTES", 70_000)
        await taker.break_off(requests[1], 80_000)
        assert len(taker.device.temps()) == 1
        assert await taker.fetched_bytes(requests[1], files[1]) < 50_000


async def test_it_gives_its_room_to_a_file_that_has_none(tmp_path: Path) -> None:
    with new_taker(tmp_path) as taker:
        one, two = await taker.bring(DATA, noise(150_000, b"other"))
        await taker.break_off(one, 100_000)
        kept = taker.device.temps()
        cramped = with_room(lambda: 400_000 if taker.device.temps() != kept else 140_000)
        tight = replace(taker.fetcher, root=replace(taker.device.root, fs=cramped))
        (result,) = await tight.fetch([two], taker.store)
        assert isinstance(result, Fetched)
        assert taker.device.temps() == [result.temp]
        (taker.device.folder / ".shoal" / "tmp" / result.temp).unlink()


async def test_its_own_rest_is_all_the_room_it_needs_and_without_that_it_goes(tmp_path: Path) -> None:
    with new_taker(tmp_path) as taker:
        (request,) = await taker.bring(DATA)
        await taker.break_off(request, 150_000)
        room = 80_000
        cramped = with_room(lambda: room)
        tight = replace(taker.fetcher, root=replace(taker.device.root, fs=cramped))
        taker.store.fetch_refusals = [GONE] * 10
        (away,) = await tight.fetch([request], taker.store)
        assert isinstance(away, NotFetched)
        room = 20_000
        (full,) = await tight.fetch([request], taker.store)
        assert isinstance(full, NotWritten)
        assert full.code == "disk_full"
        assert taker.device.temps() == []


async def test_a_disk_that_refuses_to_go_on_begins_anew(tmp_path: Path) -> None:
    refusing = False

    def refuse(number: int, name: str, arguments: tuple[Any, ...]) -> None:
        if refusing and name == "write_at":
            raise OSError(errno.ENOSPC, "full")

    with new_taker(tmp_path, hooked(refuse)) as taker:
        (request,) = await taker.bring(DATA)
        await taker.break_off(request, 100_000)
        refusing = True
        (result,) = await taker.fetcher.fetch([request], taker.store)
        assert isinstance(result, NotWritten)
        assert taker.device.temps() == []
        refusing = False
        assert await taker.fetched_bytes(request, DATA) >= len(DATA)


async def test_a_beginning_takes_no_more_room_than_it_has_bytes(tmp_path: Path) -> None:
    data = noise(5_000_000)
    with new_taker(tmp_path) as taker:
        (request,) = await taker.bring(data)
        await taker.break_off(request, 1_000_000)
        (name,) = taker.device.temps()
        status = (taker.device.folder / ".shoal" / "tmp" / name).stat()
        assert 900_000 < status.st_size <= 1_000_000
        assert status.st_blocks * 512 < 1_100_000
