"""What was away comes to what all have, also where the disk gives errors at that time: an old copy of a disk too."""

import errno

import pytest

from peer.disk.root import PRIVATE_NAME
from simulations.disk import Fault
from simulations.folder import Folder
from simulations.images import take_image
from simulations.network.line import Quality
from simulations.world import World, run_world

LONG_S = 300.0


async def put_back_with(world: World, fault: Fault) -> dict[str, bytes | None] | None:
    """What all have in the end where a machine has its old copy put back and its disk has that fault then; what is in
    its rescue area is below `rescue`."""
    home = world.site("home", Quality(latency_s=0.01))
    red, blue = world.device("red", home), world.device("blue", home)
    await world.found(red, "ana")
    await world.pair(blue, red)
    mine, yours = world.folder(blue), world.folder(red)
    mine.create("edited", b"first")
    mine.create("gone", b"deleted since")
    await world.converged(LONG_S)
    image = await take_image(blue)
    mine.create("made since", b"so that the copy is known to be old")
    yours.overwrite("edited", b"second", 0, cut=True)
    yours.delete("gone")
    await world.converged(LONG_S)
    await blue.stop()
    blue.restore(image)
    blue.disk.faults.planned.append(fault)
    await blue.start()
    tree = await world.converged(LONG_S)
    assert fault.times == 0, "it has come to that"
    rescued = Folder(blue.disk.people, f"{blue.disk.folder}/{PRIVATE_NAME}/rescue").tree()
    return None if tree is None else tree | {f"rescue/{name.partition('-')[2]}": data for name, data in rescued.items()}


@pytest.mark.parametrize(
    "fault",
    [
        Fault(errno.EIO, times=2, calls=("open_read",), names=("edited", "gone")),
        Fault(errno.EACCES, times=3, calls=("stat",), names=("edited", "gone")),
        Fault(errno.ENOSPC, times=2, calls=("copy_range",)),
    ],
    ids=["files that cannot be read", "files that cannot be looked at", "no room in the rescue area"],
)
def test_what_an_old_copy_has_comes_to_what_all_have_though_the_disk_gives_errors(fault: Fault) -> None:
    found: list[dict[str, bytes | None] | None] = []

    async def story(world: World) -> None:
        found.append(await put_back_with(world, fault))

    assert not run_world("old copy", story).failures
    assert found == [
        {
            "edited": b"second",
            "made since": b"so that the copy is known to be old",
            "rescue/gone": b"deleted since",
        }
    ]


def test_a_folder_that_cannot_be_opened_at_the_moment_has_not_come_to_what_all_have() -> None:
    states: list[str] = []

    async def story(world: World) -> None:
        home = world.site("home", Quality(latency_s=0.01))
        red, blue = world.device("red", home), world.device("blue", home)
        await world.found(red, "ana")
        await world.pair(blue, red)
        await world.converged(LONG_S)
        await blue.stop()
        fault = Fault(errno.EIO, calls=("create",))
        blue.disk.faults.planned.append(fault)
        await blue.start()
        await world.converged(LONG_S)
        assert fault.times == 0, "it has come to that"
        states.append((await blue.status()).workspaces[0].state)

    assert not run_world("folder that cannot be opened", story).failures
    assert states == ["up_to_date"]
