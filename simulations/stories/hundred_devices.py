"""A hundred devices, each at a place of its own, share a folder; a few people put something into it, and one edits what
another wrote."""

from simulations import Scenario, Stage, minutes

scenario = Scenario("a hundred devices", "everybody has everything")
sites = [scenario.site(f"site {number}", latency_ms=10 + 5 * (number % 10)) for number in range(100)]
devices = [scenario.device(f"device-{number}", at=sites[number]) for number in range(100)]


@scenario.story
async def story(world: Stage) -> None:
    """Five files, and a line more in the first."""
    await world.share("Company", devices)
    for device in devices[::20]:
        await device.write(f"Company/{device.name}.txt", f"hello from {device.name}\n")
    await world.converged(within=minutes(10))
    await devices[99].edit(f"Company/{devices[0].name}.txt", "hello back")
    await world.converged(within=minutes(10))
    world.expect(len(devices[50].tree("Company")) == 5)
    world.expect(world.conflicts("Company") == 0)
