"""A line on which nothing comes back: what is sent arrives, and no answer does."""

from simulations import Scenario, Stage, minutes

scenario = Scenario("a half-open line", "nothing is committed twice, and all goes on once answers arrive again")
home, hotel = scenario.site("home"), scenario.site("hotel", latency_ms=90)
desk, laptop = scenario.device("desk", at=home), scenario.device("laptop", at=hotel)


@scenario.story
async def story(world: Stage) -> None:
    """Three times, each longer."""
    await world.share("Trip", [desk, laptop])
    for turn in range(3):
        await world.cut(hotel, for_=minutes(1 + turn), up=False)
        await laptop.edit("Trip/journal.txt", f"day {turn}")
        await world.wait(minutes(2 + turn))
    await world.converged(within=minutes(15))
    world.expect(desk.read("Trip/journal.txt") == "day 0\nday 1\nday 2\n")
    world.expect(world.conflicts("Trip") == 0)
