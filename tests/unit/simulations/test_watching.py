"""What a watcher of a simulated folder is told, on good days and bad ones."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio
from trio.testing import MockClock

from peer.scan.findings import Changed, Overflow, Renamed, RootGone, Touch, WatchEvent, WatchLimit
from simulations.disk import SimDisk
from tests.common.simulated_disks import sim_disk


@asynccontextmanager
async def watched(disk: SimDisk) -> AsyncIterator[AsyncIterator[WatchEvent]]:
    async with disk.watching().open_watch("/folder", lambda path: path[:1] == ("skipped",)) as events:
        yield events


async def all_of(events: AsyncIterator[WatchEvent], within_s: float = 60) -> list[WatchEvent]:
    found: list[WatchEvent] = []
    with trio.move_on_after(within_s):
        async for event in events:
            found.append(event)  # noqa: PERF401 - the deadline ends it
    return found


async def test_every_kind_of_change_is_told(autojump_clock: MockClock) -> None:
    disk = sim_disk(directories=("/folder/d", "/folder/skipped"))
    top = disk.people.open_root("/folder")
    async with watched(disk) as events:
        disk.put("/folder/a", b"a")
        disk.put("/folder/d/b", b"b")
        disk.put("/folder/skipped/c", b"c")
        disk.people.rename_new(top, "a", top, "e")
        disk.make_directory("/folder/new/below")
        handle = disk.people.open_write(top, "e")
        disk.people.write_at(handle, b"x", 0)
        found = await all_of(events)
        changes = [event for event in found if isinstance(event, Changed)]
        assert changes == found
        touched = {path: touch for event in changes for path, touch in event.touched.items()}
        assert touched[("a",)] is Touch.GONE
        assert touched[("d", "b")] is Touch.SAVED
        assert touched[("e",)] is Touch.WRITING
        assert not any(path[0] == "skipped" for path in touched)
        assert any(("new",) in event.rescan for event in changes)
        assert [event.moved for event in changes if event.moved] == [(Renamed(("a",), ("e",), False),)]
        disk.people.close(handle)
        [saved] = await all_of(events)
        assert saved == Changed({("e",): Touch.SAVED})


async def test_a_directory_that_moves_is_followed_and_one_that_goes_is_forgotten(autojump_clock: MockClock) -> None:
    disk = sim_disk(directories=("/folder/d/below", "/folder/other"))
    top = disk.people.open_root("/folder")
    other = disk.people.open_dir(top, "other")
    async with watched(disk) as events:
        disk.people.rename_new(top, "d", other, "moved")
        await all_of(events)
        disk.put("/folder/other/moved/below/f", b"x")
        [event] = await all_of(events)
        assert isinstance(event, Changed)
        assert list(event.touched) == [("other", "moved", "below", "f")]
        disk.people.rename_new(other, "moved", disk.people.open_root("/"), "outside")
        await all_of(events)
        disk.put("/outside/below/f", b"y")
        assert await all_of(events) == []


async def test_late_and_doubled_events_say_the_same_in_the_same_order(autojump_clock: MockClock) -> None:
    disk = sim_disk(seed=1)
    disk.watch_faults.late, disk.watch_faults.doubled = 0.5, 0.5
    async with watched(disk) as events:
        for number in range(20):
            disk.put(f"/folder/{number}", b"x")
        began = trio.current_time()
        found = await all_of(events)
        order = [path for event in found if isinstance(event, Changed) for path in event.touched]
        assert list(dict.fromkeys(order)) == [(str(number),) for number in range(20)]
        assert len(order) > 20
        assert trio.current_time() > began


async def test_lost_events_are_never_lost_in_silence(autojump_clock: MockClock) -> None:
    disk = sim_disk(seed=1)
    disk.watch_faults.queue_events = 8
    async with watched(disk) as events:
        for number in range(20):
            disk.put(f"/folder/{number}", b"x")
        assert Overflow() in await all_of(events)
        disk.put("/folder/after", b"x")
        assert await all_of(events) == [Changed({("after",): Touch.SAVED})]
        disk.watch_faults.overflow = 1.0
        disk.put("/folder/again", b"x")
        assert await all_of(events) == [Overflow()]


async def test_too_few_watches_and_a_folder_that_goes_are_said(autojump_clock: MockClock) -> None:
    disk = sim_disk(directories=("/folder/a", "/folder/b"))
    disk.watch_faults.watches = 2
    async with watched(disk) as events:
        assert await all_of(events) == [WatchLimit(("b",))]
        root = disk.people.open_root("/")
        disk.people.rename_new(root, "folder", root, "gone")
        assert RootGone() in await all_of(events)
