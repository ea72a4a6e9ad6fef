"""A new laptop joins where there is much already."""

from simulations import KB, Scenario, Stage, mbit, minutes

scenario = Scenario("a new laptop", "it has everything, as it is now, and what it changes arrives")
home = scenario.site("home", uplink=mbit(50))
old, new = scenario.device("old", at=home), scenario.device("new", at=home)


@scenario.story
async def story(world: Stage) -> None:
    """Sixty papers, some of them edited and one thrown away before the laptop is bought."""
    await world.share("Papers", [old])
    await old.mkdir("Papers/2025")
    for number in range(60):
        await old.write(f"Papers/2025/letter-{number}.pdf", size=(1 + number % 7) * 20 * KB)
    await world.converged(within=minutes(10))
    await old.write("Papers/2025/letter-3.pdf", size=90 * KB)
    await old.delete("Papers/2025/letter-4.pdf")
    await world.mount(new, "Papers")
    await world.converged(within=minutes(10))
    world.expect(len(new.tree("Papers")) == 60, "a directory and 59 letters")
    await new.edit("Papers/todo.txt", "sort the letters")
    await world.converged(within=minutes(2))
    world.expect(old.read("Papers/todo.txt") == "sort the letters\n")
