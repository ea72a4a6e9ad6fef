"""Somebody writes on a train; the line comes and goes and is slow and lossy."""

from simulations import MB, Scenario, Stage, mbit, minutes, seconds

scenario = Scenario("a train with bad coverage", "all that was written on either side arrives, without a conflict")
home = scenario.site("home", uplink=mbit(20), latency_ms=15)
train = scenario.site("train", uplink=mbit(1), latency_ms=150, jitter_ms=200, loss=0.05)
desk, laptop = scenario.device("desk", at=home), scenario.device("laptop", at=train)


@scenario.story
async def story(world: Stage) -> None:
    """Six tunnels."""
    await world.share("Work", [desk, laptop])
    await desk.write("Work/slides.key", size=3 * MB)
    for tunnel in range(6):
        await world.cut(train, for_=seconds(40))
        await laptop.edit("Work/notes.txt", f"thought in tunnel {tunnel}")
        await desk.edit("Work/inbox.txt", f"mail {tunnel}")
        await world.wait(minutes(2))
    await world.converged(within=minutes(15))
    world.expect(world.conflicts("Work") == 0, "nobody wrote in the same file")
    world.expect(desk.read("Work/notes.txt").count("tunnel") == 6, "all thoughts arrive")
