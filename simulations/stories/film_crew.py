"""A film crew in the mountains: a slow line, a while without power, and a folder renamed in the city meanwhile."""

from simulations import MB, Scenario, Stage, hours, mbit, minutes

scenario = Scenario(
    "a film crew in the mountains", "what was shot is in the city, under the name that the editor gave it meanwhile"
)
hut = scenario.site("hut", lan=mbit(1000), uplink=mbit(1), latency_ms=45, jitter_ms=30, loss=0.01)
city = scenario.site("city", uplink=mbit(200), latency_ms=6)
camera, sound = scenario.device("camera", at=hut), scenario.device("sound", at=hut)
editor, producer = scenario.device("editor", at=city), scenario.device("producer", at=city)


@scenario.story
async def story(world: Stage) -> None:
    """The generator fails, the server is started anew, the day's folder is renamed, and the producer comes late."""
    await world.share("Film", [editor, camera, sound])
    await editor.mkdir("Film/day 1")
    await world.converged(within=minutes(2))
    for take in range(3):
        await camera.write(f"Film/day 1/take {take}.mov", size=3 * MB)
        await sound.write(f"Film/day 1/take {take}.wav", size=MB)
        await world.wait(minutes(1))
    await camera.lose_power()
    await world.wait(minutes(5))
    await camera.start()
    await editor.move("Film/day 1", "Film/monday")
    await sound.write("Film/day 1/wind.wav", size=MB)
    await world.wait(10)
    await world.coordinator.kill()
    await world.wait(minutes(2))
    await world.coordinator.start()
    await world.mount(producer, "Film")
    await world.converged(within=hours(1))
    world.expect(len(producer.tree("Film/monday")) == 7, "seven recordings are in the renamed folder")
    world.expect("day 1" not in producer.tree("Film"), "its old name is gone")
    world.expect(world.conflicts("Film") == 0, "nobody wrote in the same file")
