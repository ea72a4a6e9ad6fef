"""A world is looked at while it lives: a broken promise is a failure of its run, and a sound one has none."""

from collections.abc import Awaitable, Callable

import pytest

from peer.control.messages import Status
from simulations.devices import SimDevice
from simulations.disk.disk import FOLDER
from simulations.network.line import Quality
from simulations.network.net import Site
from simulations.world import World, run_world

Story = Callable[[World, SimDevice, SimDevice, Site], Awaitable[None]]


def failures_of(story: Story) -> list[str]:
    """What came of a story about two devices in step."""

    async def whole(world: World) -> None:
        home, train = world.site("home", Quality(latency_s=0.01)), world.site("train", Quality(latency_s=0.01))
        red, blue = world.device("red", home), world.device("blue", train)
        await world.found(red, "ana")
        await world.pair(blue, red)
        world.folder(red).create("plan.txt", b"by red")
        assert await world.watch.come_to_rest(FOLDER, 60.0)
        await story(world, red, blue, train)

    return run_world("watched", whole).failures


def test_devices_in_step_break_no_promise() -> None:
    async def story(world: World, red: SimDevice, blue: SimDevice, train: Site) -> None:
        await blue.kill(power=True)
        world.folder(red).move("plan.txt", "plan-2.txt")
        await blue.start()
        assert await world.watch.come_to_rest(FOLDER, 60.0)
        await world.watch.look_at_rest()

    assert failures_of(story) == []


def test_devices_that_do_not_come_to_rest_by_themselves_are_found() -> None:
    async def story(world: World, red: SimDevice, blue: SimDevice, train: Site) -> None:
        train.cut()
        world.folder(red).create("other.txt", b"by red")
        assert not await world.watch.come_to_rest(FOLDER, 60.0)
        train.mend()
        assert await world.watch.come_to_rest(FOLDER, 120.0)

    (failure,) = failures_of(story)
    assert failure.startswith("L1 ")
    assert "other.txt at blue: nothing" in failure


@pytest.mark.parametrize("lies", [False, True])
def test_a_device_that_is_not_in_step_and_says_nothing_of_it_is_found(lies: bool) -> None:
    async def story(world: World, red: SimDevice, blue: SimDevice, train: Site) -> None:
        status = await blue.status()

        async def as_before() -> Status:
            return status

        train.cut()
        world.folder(red).create("other.txt", b"by red")
        assert not await world.watch.come_to_rest(FOLDER, 90.0)
        if lies:
            blue.status = as_before  # type: ignore[method-assign]
        await world.watch.look_for_causes()

    failures = failures_of(story)
    assert [failure[:3] for failure in failures] == ["L1 ", "L8 "][: 1 + lies]


def test_what_a_program_destroys_is_found_in_the_world() -> None:
    async def story(world: World, red: SimDevice, blue: SimDevice, train: Site) -> None:
        await red.stop()
        world.folder(red).create("draft.txt", b"nobody has seen it")
        program = red.disk.filesystem()
        program.unlink(program.open_root(FOLDER), "draft.txt")

    (failure,) = failures_of(story)
    assert failure.startswith("A1 ")


def test_a_block_that_is_lost_is_found_in_the_end() -> None:
    async def story(world: World, red: SimDevice, blue: SimDevice, train: Site) -> None:
        await world.coordinator.stop()
        (segment,) = (
            entry.inode
            for name, entry in world.coordinator.disk.volume.root.children["blocks"].inode.children.items()
            if name.endswith(".seg")
        )
        segment.content = segment.content.resized(20)
        world.coordinator.disk.volume.save(segment)

    (failure,) = failures_of(story)
    assert failure.startswith("A9 ")


def test_a_cursor_that_goes_back_is_found_unless_an_old_disk_was_put_back() -> None:
    async def story(world: World, red: SimDevice, blue: SimDevice, train: Site) -> None:
        await blue.stop()
        image = blue.image()
        await blue.start()
        world.folder(red).create("other.txt", b"by red")
        assert await world.watch.come_to_rest(FOLDER, 60.0)
        await blue.stop()
        blue.restore(image)
        await blue.start()
        assert await world.watch.come_to_rest(FOLDER, 120.0)

    assert failures_of(story) == []
