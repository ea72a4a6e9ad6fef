"""A laptop is carried from home to work and back, with the lid closed on the way."""

from simulations import MB, Scenario, Stage, mbit, minutes

scenario = Scenario("a laptop on the move", "a transfer goes on where it was, wherever the laptop is")
home = scenario.site("home", uplink=mbit(4), latency_ms=20)
work = scenario.site("work", uplink=mbit(100), latency_ms=4)
desk, laptop = scenario.device("desk", at=home), scenario.device("laptop", at=home)


@scenario.story
async def story(world: Stage) -> None:
    """Twice a day, in the middle of a transfer."""
    await world.share("Data", [desk, laptop])
    for day, size in enumerate((6, 9)):
        await laptop.write(f"Data/measurements-{day}.bin", size=size * MB)
        await world.wait(5)
        laptop.sleep()
        await world.wait(minutes(30))
        await world.carry(laptop, work if day == 0 else home)
        laptop.wake()
        await world.converged(within=minutes(20))
    world.expect(len(desk.tree("Data")) == 2)
