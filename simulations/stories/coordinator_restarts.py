"""The coordinator is killed again and again while everybody works."""

from simulations import KB, Scenario, Stage, minutes, seconds

scenario = Scenario("a coordinator that restarts", "nobody notices more than a pause")
home, flat = scenario.site("home"), scenario.site("flat", latency_ms=40)
one, other = scenario.device("one", at=home), scenario.device("other", at=flat)


@scenario.story
async def story(world: Stage) -> None:
    """Ten kills, with new files before each."""
    await world.share("Music", [one, other])
    for number in range(10):
        await one.write(f"Music/song-{number}.ogg", size=300 * KB)
        await other.write(f"Music/demo-{number}.ogg", size=200 * KB)
        await world.wait(seconds(0.2 + number % 3))
        await world.coordinator.kill()
        await world.wait(seconds(4))
        await world.coordinator.start()
    await world.converged(within=minutes(15))
    world.expect(len(one.tree("Music")) == 20)
