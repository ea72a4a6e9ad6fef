"""Twenty devices share a folder and each puts something into it."""

from simulations import Scenario, Stage, minutes

scenario = Scenario("twenty devices", "everybody has everything")
sites = [scenario.site(f"site {number}", latency_ms=10 + 5 * number) for number in range(5)]
devices = [scenario.device(f"device-{number}", at=sites[number % 5]) for number in range(20)]


@scenario.story
async def story(world: Stage) -> None:
    """One file each, at the same moment."""
    await world.share("Team", devices)
    for device in devices:
        await device.write(f"Team/{device.name}.txt", f"hello from {device.name}\n")
    await world.converged(within=minutes(10))
    world.expect(len(devices[-1].tree("Team")) == len(devices))
    world.expect(world.conflicts("Team") == 0)
