"""A limit is what a person asked for, within five in a hundred, and holds for the line alone."""

import pytest
import trio

from peer.control.upkeep import Limit
from simulations.devices import SimDevice
from simulations.network.line import Quality
from simulations.noise import noise
from simulations.world import World, run_world

RATE = 200_000
MINUTES = 60.0
OVER_S = 30.0
"""So long is measured."""
WIDE = Quality(latency_s=0.02)


def gone(device: SimDevice) -> tuple[int, int]:
    """Bytes of blocks that it has sent to the coordinator, and got from it."""
    assert device.engine is not None
    counters = device.engine.machine.counters
    return counters.server_out, counters.server_in


async def at_work(device: SimDevice, way: int) -> None:
    """Until it transfers in steady state."""
    before = gone(device)[way]
    with trio.fail_after(5 * MINUTES):
        while gone(device)[way] < before + 5 * RATE:  # noqa: ASYNC110 - simulated
            await trio.sleep(0.1)


@pytest.mark.parametrize("way", [0, 1], ids=["up", "down"])
def test_what_passes_in_half_a_minute_is_what_the_limit_says(way: int) -> None:
    async def story(world: World) -> None:
        red, blue = (world.device(name, world.site(f"at {name}", WIDE)) for name in ("red", "blue"))
        await world.found(red, "ana")
        await world.pair(blue, red)
        limited = (red, blue)[way]
        await limited.ask(Limit(up=RATE) if way == 0 else Limit(down=RATE))
        world.folder(red).create("film", noise(60 * RATE))
        await at_work(limited, way)
        before = gone(limited)[way]
        await trio.sleep(OVER_S)
        passed = gone(limited)[way] - before
        assert passed == pytest.approx(RATE * OVER_S, rel=0.05)
        assert await world.converged(10 * MINUTES) is not None

    assert run_world(f"limit {way}", story).failures == []


def test_what_goes_by_the_lan_is_not_subject_to_the_limit() -> None:
    film = noise(60 * RATE)

    async def story(world: World) -> None:
        home = world.site("home", WIDE)
        red, blue = (world.device(name, home) for name in ("red", "blue"))
        await world.found(red, "ana")
        await world.pair(blue, red)
        assert await world.converged(MINUTES) is not None
        await trio.sleep(MINUTES)
        for device in (red, blue):
            await device.ask(Limit(up=RATE, down=RATE))
        began_s = trio.current_time()
        world.folder(red).create("film", film)
        with trio.fail_after(len(film) / RATE / 4):
            while world.folder(blue).tree().get("film") != film:  # noqa: ASYNC110 - simulated
                await trio.sleep(0.1)
        assert gone(red)[0] <= RATE * (trio.current_time() - began_s) + 2 * RATE
        assert await world.converged(10 * MINUTES) is not None

    assert run_world("limits and the LAN", story).failures == []
