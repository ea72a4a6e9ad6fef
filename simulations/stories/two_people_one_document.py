"""Two edit one document while neither hears of the other."""

from simulations import Scenario, Stage, minutes

scenario = Scenario("two in one document", "both texts are kept: one under the name, one as a conflicted copy")
office, cabin = scenario.site("office"), scenario.site("cabin", latency_ms=80)
one, other = scenario.device("one", at=office), scenario.device("other", at=cabin)


@scenario.story
async def story(world: Stage) -> None:
    """The cabin has no line while both write."""
    await world.share("Novel", [one, other])
    await one.write("Novel/chapter.txt", "It was a dark night.\n")
    await world.converged(within=minutes(2))
    await world.cut(cabin, for_=minutes(10))
    await one.edit("Novel/chapter.txt", "It rained.")
    await other.edit("Novel/chapter.txt", "The moon shone.")
    await world.converged(within=minutes(30))
    world.expect(world.conflicts("Novel") == 1, "one conflicted copy")
    texts = [one.read(f"Novel/{path}") for path in one.tree("Novel")]
    world.expect(any("rained" in text for text in texts) and any("moon" in text for text in texts), "both texts live")
