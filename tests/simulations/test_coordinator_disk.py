"""The coordinator's disk fails or is full: devices are told to come back, and nothing that was answered is lost."""

import errno
from pathlib import Path
from random import Random  # noqa: TID251 - seeded, for tests

import pytest
import trio
from blake3 import blake3

from coordinator.machine import ThreadOffload
from coordinator.ports import StorageUnavailable, Transaction
from coordinator.storage.metadata_sql import METADATA_FILE, open_metadata
from coordinator.storage.segments import open_segments
from peer.control.messages import Mount, PairReply, Status
from peer.control.messages import Pair as PairRequest
from protocol.ids import BlockId
from simulations.crashpoints import Ending, cases, run_workload
from simulations.devices import NotRunning, SimDevice
from simulations.disk import Fault, SimBlockFiles, failing_databases
from simulations.disk.disk import FOLDER
from simulations.disk.faults import Faults
from simulations.network.line import Quality
from simulations.world import SHARE, World, run_world
from tests.common.simulated_disks import sim_disk

LONG_S = 300.0
LOOK_S = 0.5


# --- what SQLite and the segments make of it ----------------------------------------------------------------


@pytest.mark.parametrize("code", [errno.EIO, errno.ENOSPC])
async def test_whichever_call_to_the_database_fails_what_was_answered_is_kept(tmp_path: Path, code: int) -> None:
    faults, failed = Faults(Random(0)), list[StorageUnavailable]()
    with failing_databases(tmp_path, faults):
        async with open_metadata(
            tmp_path / METADATA_FILE, writer=ThreadOffload(1), readers=ThreadOffload(4)
        ) as metadata:

            def put(transaction: Transaction, value: bytes) -> None:
                transaction.facts.put("counted", value)

            async def count(value: bytes) -> None:
                await metadata.run(lambda transaction: put(transaction, value))

            async def counted() -> bytes | None:
                return await metadata.read(lambda transaction: transaction.facts.get("counted"))

            skip = 0
            while True:
                await count(b"before")
                faults.given, faults.planned = 0, [Fault(code, skip=skip)]
                answered = b"before"
                try:
                    await count(b"after")
                    answered = b"after"
                    assert await counted() == b"after"
                except StorageUnavailable as error:
                    failed.append(error)
                if not faults.given:
                    break
                faults.planned, skip = [], skip + 1
                assert await counted() == answered
    assert skip >= 2
    assert failed
    assert all(error.full == (code == errno.ENOSPC) for error in failed)


@pytest.mark.parametrize("code", [errno.EIO, errno.EACCES])
async def test_a_block_that_cannot_be_read_once_does_not_count_as_damaged(code: int) -> None:
    disk, data = sim_disk(directories=("/blocks",)), b"bytes of a block"
    files = SimBlockFiles(disk.filesystem(), "/blocks")
    async with open_segments(files, writer=ThreadOffload(1), readers=ThreadOffload(1), reserve_bytes=0) as store:
        block = BlockId(blake3(data).digest())
        (place,) = await store.put_batch([(block, data)])
        skip = 0
        while True:
            disk.faults.given = 0
            fault = disk.fail(code, skip=skip)
            try:
                assert await store.get([(block, place)]) == [data]
                assert await store.have([(block, place)]) == [True]
            except StorageUnavailable:
                pass
            if not disk.faults.given:
                break
            fault.times, skip = 0, skip + 1
        disk.faults.planned = []
        assert skip >= 2
        assert await store.get([(block, place)]) == [data]


async def test_a_block_at_a_bad_place_of_the_disk_counts_as_damaged() -> None:
    disk, data = sim_disk(directories=("/blocks",)), b"bytes of a block"
    files = SimBlockFiles(disk.filesystem(), "/blocks")
    async with open_segments(files, writer=ThreadOffload(1), readers=ThreadOffload(1), reserve_bytes=0) as store:
        block = BlockId(blake3(data).digest())
        (place,) = await store.put_batch([(block, data)])
        disk.fail(errno.EIO, calls=("read_into",))
        disk.fail(errno.EIO, skip=2, calls=("read_into",))
        assert await store.get([(block, place)]) == [None]


# --- what devices see of it ---------------------------------------------------------------------------------


async def status_where(device: SimDevice, problem: str, is_there: bool) -> Status:
    """What it says once it has that problem, or has it no longer."""
    with trio.fail_after(LONG_S):
        while True:
            try:
                status = await device.status()
            except NotRunning:
                await device.wait_ready()
                continue
            codes = {one.code for each in status.workspaces for one in each.problems}
            if (problem in codes) == is_there and status.workspaces:
                return status
            await trio.sleep(LOOK_S)


def test_while_the_coordinators_disk_is_full_devices_say_so_and_are_not_offline() -> None:
    async def story(world: World) -> None:
        home = world.site("home", Quality(latency_s=0.01))
        red = world.device("red", home)
        await world.found(red, "ana")
        assert await world.converged(LONG_S) == {}
        full = world.coordinator.disk.fail(errno.ENOSPC, times=-1)
        world.folder(red).make_directory("nothing but a name")
        await red.stop()
        await red.start()  # which signs in
        status = await status_where(red, "server_full", is_there=True)
        assert status.coordinator is not None
        assert status.coordinator.state == "connected"
        full.times = 0
        await status_where(red, "server_full", is_there=False)
        assert await world.converged(LONG_S) == {"nothing but a name": None}

    assert not run_world("full", story).failures


def test_a_device_that_could_not_enter_a_journal_on_a_full_disk_does_it_by_itself_later() -> None:
    async def story(world: World) -> None:
        home, away = (world.site(name, Quality(latency_s=0.01)) for name in ("home", "away"))
        red, blue = world.device("red", home), world.device("blue", away)
        await world.found(red, "ana")
        offered = await red.ask(PairRequest())
        assert isinstance(offered, PairReply)
        await blue.join(offered.code)
        await blue.start()
        full = world.coordinator.disk.fail(errno.ENOSPC, times=-1)
        await blue.ask(Mount(workspace=SHARE, folder=blue.disk.folder))
        world.folder(blue).create("by blue.txt", b"by blue")
        await status_where(blue, "server_full", is_there=True)
        full.times = 0
        assert world.coordinator.disk.faults.given
        assert await world.watch.come_to_rest(FOLDER, LONG_S)
        assert world.folder(red).tree() == {"by blue.txt": b"by blue"}

    assert not run_world("late", story).failures


@pytest.mark.parametrize("ending", ["EIO", "ENOSPC", "EACCES", "start"])
def test_a_workload_comes_out_right_whichever_call_of_the_coordinators_disk_fails(ending: Ending) -> None:
    [count] = run_workload("a small file", cases(["coordinator"], [ending]), every=1 if ending == "EACCES" else 7)
    assert count.failures == []
    assert count.points >= 3


def test_the_coordinator_alone_is_tried_at_its_start() -> None:
    assert cases(endings=["start"]) == [("coordinator", "start")]
