"""A laptop's disk has no room for what arrives; then somebody frees some."""

from simulations import MB, Scenario, Stage, minutes

scenario = Scenario("a full disk", "the laptop says so, and has everything once there is room")
home = scenario.site("home")
desk, laptop = scenario.device("desk", at=home), scenario.device("laptop", at=home, capacity=20 * MB)


@scenario.story
async def story(world: Stage) -> None:
    """Fourteen megabytes of downloads are in the way of nine of film."""
    await world.share("Films", [desk, laptop])
    await laptop.fill(14 * MB)
    await desk.write("Films/short.mp4", size=9 * MB)
    await world.wait(minutes(3))
    codes = await world.problems(laptop)
    world.expect("disk_full" in codes, f"the laptop says that its disk is full: {codes}")
    world.expect("short.mp4" not in laptop.tree("Films"), "nothing half is in the folder")
    await laptop.fill(0)
    await world.converged(within=minutes(10))
    world.expect("short.mp4" in laptop.tree("Films"))
