"""Two thousand small files arrive at once, as when something is unpacked."""

from simulations import Scenario, Stage, mbit, minutes

FILES = 2_000

scenario = Scenario("a burst of files", "all of them are everywhere soon")
home = scenario.site("home", uplink=mbit(50))
desk, laptop = scenario.device("desk", at=home), scenario.device("laptop", at=home)


@scenario.story
async def story(world: Stage) -> None:
    """Twenty directories of a hundred."""
    await world.share("Sources", [desk, laptop])
    for directory in range(FILES // 100):
        await desk.mkdir(f"Sources/package{directory}")
        for number in range(100):
            await desk.write(f"Sources/package{directory}/module{number}.py", f"print({number})\n" * (1 + number % 20))
    await world.converged(within=minutes(10))
    world.expect(len(laptop.tree("Sources")) == FILES + FILES // 100)
