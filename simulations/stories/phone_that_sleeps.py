"""A phone whose programs stand still for most of the time."""

from simulations import MB, Scenario, Stage, hours, mbit, minutes

scenario = Scenario("a phone that sleeps", "it catches up each time that it wakes, and sends what it has")
home, street = scenario.site("home"), scenario.site("street", uplink=mbit(5), latency_ms=60, jitter_ms=40)
desk, phone = scenario.device("desk", at=home), scenario.device("phone", at=street)


@scenario.story
async def story(world: Stage) -> None:
    """A day in the pocket."""
    await world.share("Photos", [desk, phone])
    for hour in range(8):
        phone.sleep()
        await desk.write(f"Photos/scan-{hour}.png", size=MB // 4)
        await world.wait(hours(1))
        phone.wake()
        await phone.write(f"Photos/photo-{hour}.jpg", size=MB // 2)
        await world.wait(minutes(1))
    await world.converged(within=minutes(20))
    world.expect(len(desk.tree("Photos")) == 16)
