"""One clock is a year ahead and one ten years behind."""

from simulations import Scenario, Stage, days, minutes

scenario = Scenario("wrong clocks", "what is newest is decided by what was based on what, never by a clock")
home = scenario.site("home")
ahead, behind = scenario.device("ahead", at=home), scenario.device("behind", at=home)


@scenario.story
async def story(world: Stage) -> None:
    """They take turns."""
    await world.share("Diary", [ahead, behind])
    ahead.skew(days(365))
    behind.skew(-days(3650))
    for turn in range(4):
        await ahead.edit("Diary/today.txt", f"ahead {turn}")
        await world.converged(within=minutes(2))
        await behind.edit("Diary/today.txt", f"behind {turn}")
        await world.converged(within=minutes(2))
    lines = ahead.read("Diary/today.txt").splitlines()
    world.expect(lines == [f"{who} {turn}" for turn in range(4) for who in ("ahead", "behind")])
    world.expect(world.conflicts("Diary") == 0)
