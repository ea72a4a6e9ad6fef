"""Five laptops in an office whose line is cut for an hour in the middle of the day."""

from simulations import Scenario, Stage, hours, mbit, minutes

scenario = Scenario("an office whose line is cut", "an hour's work of five people comes together, with no conflict")
office, train = (
    scenario.site("office", uplink=mbit(10), latency_ms=12),
    scenario.site("train", latency_ms=120, loss=0.02),
)
names = ("ada", "bob", "cy", "dee")
laptops = [scenario.device(name, at=office) for name in names] + [scenario.device("eve", at=train)]


@scenario.story
async def story(world: Stage) -> None:
    """Everybody writes in a file of their own, every ten minutes."""
    await world.share("Project", laptops)
    await world.cut(office, for_=hours(1))
    for round_ in range(7):
        for laptop in laptops:
            await laptop.edit(f"Project/{laptop.name}.txt", f"line {round_}")
        await world.wait(minutes(10))
    await world.converged(within=minutes(20))
    world.expect(world.conflicts("Project") == 0, "everybody has a file of their own")
    world.expect(all(laptops[0].read(f"Project/{one.name}.txt").count("line") == 7 for one in laptops))
