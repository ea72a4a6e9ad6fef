"""A laptop's whole disk is put back as it was a day ago."""

from simulations import Scenario, Stage, hours, minutes

scenario = Scenario("a disk image restored", "the laptop comes to the present again; nothing newer is lost elsewhere")
home = scenario.site("home")
desk, laptop = scenario.device("desk", at=home), scenario.device("laptop", at=home)


@scenario.story
async def story(world: Stage) -> None:
    """An image in the morning, work, the image put back at night."""
    await world.share("Notes", [desk, laptop])
    await desk.write("Notes/plan.txt", "monday\n")
    await laptop.write("Notes/diary.txt", "morning\n")
    await world.converged(within=minutes(5))
    await world.take_image(laptop)
    await laptop.edit("Notes/diary.txt", "noon")
    await desk.edit("Notes/plan.txt", "tuesday")
    await world.wait(hours(1))
    await world.converged(within=minutes(5))
    await world.put_image_back(laptop)
    await world.converged(within=minutes(30))
    world.expect(desk.read("Notes/diary.txt") == "morning\nnoon\n", "the day's diary lives")
    world.expect(laptop.read("Notes/plan.txt") == "monday\ntuesday\n", "the laptop is in the present")
