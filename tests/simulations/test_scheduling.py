"""What trio is made to do for a world: virtual time, and machines that stand still."""

import trio
import trio.testing

from simulations.machine import Host
from simulations.network.line import Quality
from simulations.scheduling import belong_to, make_clock
from simulations.world import World, run_world


async def test_timers_of_a_machine_that_stands_still_run_out_when_it_goes_on(
    autojump_clock: trio.testing.MockClock,
) -> None:
    lid, ticks = Host("lid"), list[float]()

    async def tick() -> None:
        belong_to(lid)
        while True:
            with trio.move_on_after(1):
                await trio.sleep_forever()
            ticks.append(trio.current_time())

    async with trio.open_nursery() as nursery:
        nursery.start_soon(tick)
        await trio.sleep(3.5)
        lid.freeze()
        await trio.sleep(10)
        assert len(ticks) == 3
        lid.thaw()
        await trio.sleep(0.5)
        assert ticks[3:] == [13.5]
        await trio.sleep(1)
        assert len(ticks) == 5
        nursery.cancel_scope.cancel()


async def test_what_is_due_in_the_instant_in_which_a_machine_stands_still_waits_as_well(
    autojump_clock: trio.testing.MockClock,
) -> None:
    lid, begun = Host("lid"), trio.Event()

    async def begin() -> None:
        begun.set()

    async with trio.open_nursery() as nursery:
        belong_to(lid)
        nursery.start_soon(begin)
        belong_to(None)
        lid.freeze()
        with trio.move_on_after(5):
            await begun.wait()
        assert not begun.is_set()
        lid.thaw()
        await begun.wait()


def test_a_frozen_device_and_a_frozen_coordinator_do_nothing_and_go_on_afterwards() -> None:
    async def story(world: World) -> None:
        home = world.site("home", Quality(latency_s=0.01))
        red, blue = world.device("red", home), world.device("blue", world.site("hill", Quality(latency_s=0.01)))
        await world.found(red, "ana")
        await world.pair(blue, red)
        assert await world.converged(60) == {}
        hill = world.net.sites["hill"].up
        for frozen in (blue, world.coordinator):
            world.folder(blue).create(f"while {frozen.name} is frozen", b"it is due to be sent")
            frozen.host.freeze()
            await trio.sleep(5)  # what the network had is there now
            done, sent = (frozen.points.passed, frozen.disk.calls), hill.carried_bytes
            await trio.sleep(3_600)
            assert (frozen.points.passed, frozen.disk.calls) == done
            if frozen is blue:
                assert hill.carried_bytes == sent
            frozen.host.thaw()
            assert await world.converged(120)
        assert len(world.folder(red).tree()) == 2

    assert not run_world("still", story).failures


def test_a_machine_that_stands_still_can_be_switched_off() -> None:
    async def story(world: World) -> None:
        red = world.device("red", world.site("home", Quality()))
        await world.found(red, "ana")
        red.host.freeze()
        await trio.sleep(60)
        await red.kill(power=True)
        await red.start()
        assert await world.converged(60) == {}

    assert not run_world("off", story).failures


def test_virtual_time_stands_still_but_for_what_is_waited_for() -> None:
    async def watch() -> tuple[float, float, float]:
        began_s = trio.current_time()
        for _ in range(50):
            await trio.lowlevel.checkpoint()
        stood_s = trio.current_time()
        await trio.sleep(80_000.25)
        with trio.move_on_after(0.5):
            await trio.sleep_forever()
        return began_s, stood_s, trio.current_time()

    assert trio.run(watch, clock=make_clock()) == (0.0, 0.0, 80_000.75)
