"""One deletes a directory in which the other is writing."""

from simulations import Scenario, Stage, minutes

scenario = Scenario("deleted by one, edited by the other", "what was edited lives, the rest is gone")
home, work = scenario.site("home"), scenario.site("work", latency_ms=30)
one, other = scenario.device("one", at=home), scenario.device("other", at=work)


@scenario.story
async def story(world: Stage) -> None:
    """The edit is made while the deletion cannot be heard."""
    await world.share("Files", [one, other])
    await one.mkdir("Files/project")
    for name in ("plan", "budget", "list"):
        await one.write(f"Files/project/{name}.txt", f"{name}\n")
    await world.converged(within=minutes(5))
    await world.cut(work, for_=minutes(5))
    await one.delete("Files/project")
    await other.edit("Files/project/plan.txt", "do not delete this")
    await world.converged(within=minutes(15))
    tree = one.tree("Files")
    world.expect(set(tree) == {"project", "project/plan.txt"}, f"only the plan lives: {sorted(tree)}")
