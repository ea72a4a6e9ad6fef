"""A large directory is moved: it is moved everywhere, and not sent again."""

from simulations import KB, Scenario, Stage, mbit, minutes

scenario = Scenario("a moved photo archive", "it is where it was moved to, with next to nothing sent")
home = scenario.site("home", uplink=mbit(20))
desk, laptop = scenario.device("desk", at=home), scenario.device("laptop", at=home)


@scenario.story
async def story(world: Stage) -> None:
    """A hundred photographs go from one year to another."""
    await world.share("Photos", [desk, laptop])
    await desk.mkdir("Photos/2024")
    for number in range(100):
        await desk.write(f"Photos/2024/{number:03}.jpg", size=40 * KB)
    await world.converged(within=minutes(20))
    before = world.carried("server")
    await desk.mkdir("Photos/archive")
    await desk.move("Photos/2024", "Photos/archive/2024")
    await world.converged(within=minutes(5))
    world.expect("archive/2024/007.jpg" in laptop.tree("Photos"), "it is moved on the other device")
    world.expect(world.carried("server") - before < 100 * KB, "nothing is sent twice")
