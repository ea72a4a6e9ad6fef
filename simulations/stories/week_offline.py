"""A laptop is switched off for a week, in which much happens, and its owner had written something before."""

from simulations import Scenario, Stage, days, hours, minutes

scenario = Scenario("a week offline", "the laptop takes part again as if it had never been away")
home, island = scenario.site("home"), scenario.site("island", latency_ms=300)
desk, laptop = scenario.device("desk", at=home), scenario.device("laptop", at=island)


@scenario.story
async def story(world: Stage) -> None:
    """Seven days of edits, moves and deletions on the desk, which is on for three hours a day; two on the island."""
    await world.share("Life", [desk, laptop])
    await desk.mkdir("Life/bills")
    for number in range(10):
        await desk.write(f"Life/bills/{number}.txt", f"bill {number}\n")
    await world.converged(within=minutes(5))
    await laptop.stop()
    await laptop.edit("Life/postcards.txt", "dear all")
    await laptop.edit("Life/bills/9.txt", "paid from the island")
    for day in range(7):
        await desk.edit("Life/diary.txt", f"day {day}")
        await desk.delete(f"Life/bills/{day}.txt")
        await world.wait(hours(3))
        await desk.stop()
        await world.wait(days(1) - hours(3))
        await desk.start()
    await desk.move("Life/bills", "Life/old bills")
    await world.wait(hours(1))
    await laptop.start()
    await world.converged(within=minutes(15))
    world.expect(desk.read("Life/old bills/9.txt") == "bill 9\npaid from the island\n", "the edit follows the move")
    world.expect("bills" not in laptop.tree("Life") and "old bills/3.txt" not in laptop.tree("Life"))
    world.expect(world.conflicts("Life") == 0)
