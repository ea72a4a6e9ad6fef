"""Two people tidy up the same directories in different ways at the same time."""

from simulations import Scenario, Stage, minutes

scenario = Scenario("tidied up twice", "every file is there once, and both see the same")
home, work = scenario.site("home"), scenario.site("work", latency_ms=30)
one, other = scenario.device("one", at=home), scenario.device("other", at=work)


@scenario.story
async def story(world: Stage) -> None:
    """Directories are moved into each other while the line is cut."""
    await world.share("Files", [one, other])
    for directory in ("a", "b", "c"):
        await one.mkdir(f"Files/{directory}")
        for number in range(5):
            await one.write(f"Files/{directory}/{number}.txt", f"{directory}{number}\n")
    await world.converged(within=minutes(5))
    await world.cut(work, for_=minutes(5))
    await one.move("Files/a", "Files/b/a")
    await one.move("Files/c/0.txt", "Files/zero.txt")
    await other.move("Files/b", "Files/a/b")
    await other.move("Files/c", "Files/see")
    await world.converged(within=minutes(15))
    files = [path for path, what in one.tree("Files").items() if what != "directory"]
    world.expect(len(files) == 15, f"fifteen files: {files}")
    world.expect({one.read(f"Files/{path}") for path in files} == {f"{d}{n}\n" for d in "abc" for n in range(5)})
