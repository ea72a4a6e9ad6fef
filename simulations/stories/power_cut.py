"""The power fails while a large file arrives, and again right after the start."""

from simulations import MB, Scenario, Stage, mbit, minutes, seconds

scenario = Scenario("a power cut", "nothing half is ever in the folder, and all arrives in the end")
home = scenario.site("home", uplink=mbit(16))
desk, laptop = scenario.device("desk", at=home), scenario.device("laptop", at=home)


@scenario.story
async def story(world: Stage) -> None:
    """Three cuts in the transfer."""
    await world.share("Films", [desk, laptop])
    await desk.write("Films/film.mp4", size=12 * MB)
    for pause in (7, 3, 5):
        await world.wait(seconds(pause))
        await laptop.lose_power()
        world.expect(laptop.tree("Films") in ({}, desk.tree("Films")), "nothing half is in the folder")
        await laptop.start()
    await world.converged(within=minutes(10))
