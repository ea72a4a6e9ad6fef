"""The coordinator is away for a whole working session: devices on one LAN go on with each other, and when it is there
again all is ordered, nothing is lost and nothing doubled."""

from collections.abc import Sequence

import trio

from simulations.devices import SimDevice
from simulations.network.line import Quality
from simulations.noise import noise
from simulations.world import World, run_world

MINUTES = 60.0
LONG_S = 60 * MINUTES
WIDE = Quality(latency_s=0.02)
NEAR = Quality(latency_s=0.001)


async def on_one_lan(world: World, *names: str) -> list[SimDevice]:
    """Devices of one person beside each other, in step and linked."""
    home = world.site("home", WIDE, NEAR)
    devices = [world.device(name, home) for name in names]
    await world.found(devices[0], "ana")
    for device in devices[1:]:
        await world.pair(device, devices[0])
    world.folder(devices[0]).create("text", b"first")
    world.folder(devices[0]).make_directory("box")
    world.folder(devices[0]).create("box/thing", b"thing")
    assert await world.converged(MINUTES) is not None
    await trio.sleep(MINUTES)
    return devices


async def until_same(world: World, devices: Sequence[SimDevice], tree: dict[str, bytes | None]) -> None:
    """Until all of them show this."""
    try:
        with trio.fail_after(2 * MINUTES):
            for device in devices:
                while world.folder(device).tree() != tree:
                    assert device.engine is not None
                    await device.engine.wait_changed()
    except trio.TooSlowError:
        raise AssertionError({one.name: world.folder(one).tree() for one in devices}) from None


async def coordinator_back(world: World) -> None:
    """It is there again, and everything comes to rest."""
    await world.coordinator.start()
    assert await world.converged(LONG_S) is not None


def test_a_working_session_without_the_coordinator_is_on_all_devices_and_then_in_the_journal() -> None:
    film = noise(3_000_000)

    async def story(world: World) -> None:
        red, blue, green = await on_one_lan(world, "red", "blue", "green")
        await world.coordinator.kill()
        world.folder(red).create("film", film)
        world.folder(blue).overwrite("text", b"second", 0, cut=True)
        await until_same(
            world,
            (red, blue, green),
            {"film": film, "text": b"second", "box": None, "box/thing": b"thing"},
        )
        world.folder(green).move("film", "box/film")
        world.folder(green).overwrite("text", b"third", 0, cut=True)
        await until_same(
            world,
            (red, blue, green),
            {"box/film": film, "text": b"third", "box": None, "box/thing": b"thing"},
        )
        world.folder(blue).delete("box/thing")
        await until_same(world, (red, blue, green), {"box/film": film, "text": b"third", "box": None})
        await coordinator_back(world)
        tree = {"box/film": film, "text": b"third", "box": None}
        assert all(world.folder(one).tree() == tree for one in (red, blue, green))

    failures = run_world("continuity", story).failures
    assert failures == [], failures


def test_two_who_edited_the_same_without_each_other_have_one_conflicted_copy_when_it_is_back() -> None:
    async def story(world: World) -> None:
        red, blue, green = await on_one_lan(world, "red", "blue", "green")
        await world.coordinator.kill()
        await trio.sleep(MINUTES)
        world.folder(red).overwrite("text", b"by red", 0, cut=True)
        world.folder(blue).overwrite("text", b"by blue", 0, cut=True)
        await trio.sleep(5 * MINUTES)
        assert world.folder(red).tree()["text"] == b"by red"
        assert world.folder(blue).tree()["text"] == b"by blue"
        await coordinator_back(world)
        tree = world.folder(green).tree()
        contents = [content for name, content in tree.items() if name.startswith("text")]
        assert len(contents) == 2
        assert set(contents) == {b"by blue", b"by red"}

    failures = run_world("conflict", story).failures
    assert failures == [], failures


def test_what_was_made_in_a_directory_that_others_deleted_meanwhile_lives() -> None:
    async def story(world: World) -> None:
        red, blue, green = await on_one_lan(world, "red", "blue", "green")
        await world.coordinator.kill()
        await trio.sleep(MINUTES)
        world.folder(red).delete("box/thing")
        world.folder(red).delete_directory("box")
        world.folder(blue).create("box/new", b"new")
        await trio.sleep(5 * MINUTES)
        await coordinator_back(world)
        assert world.folder(green).tree() == {"text": b"first", "box": None, "box/new": b"new"}

    failures = run_world("deleted directory", story).failures
    assert failures == [], failures


def test_what_others_deleted_comes_back_where_the_journal_has_an_edit_of_it() -> None:
    async def story(world: World) -> None:
        red, blue, _ = await on_one_lan(world, "red", "blue", "green")
        far = world.site("far", WIDE)
        eve = world.device("eve", far)
        await world.pair(eve, red)
        assert await world.converged(MINUTES) is not None
        home = world.net.site_of(red.host)
        home.cut(up=True, down=True)
        world.folder(eve).overwrite("text", b"edited far away", 0, cut=True)
        await trio.sleep(MINUTES)
        world.folder(red).delete("text")
        await trio.sleep(2 * MINUTES)
        assert "text" not in world.folder(blue).tree()
        home.mend()
        assert await world.converged(LONG_S) is not None
        for one in (red, blue, eve):
            assert world.folder(one).tree()["text"] == b"edited far away"

    failures = run_world("undone", story).failures
    assert failures == [], failures


def test_a_device_that_goes_on_alone_is_killed_and_started_and_goes_on_where_it_was() -> None:
    async def story(world: World) -> None:
        red, blue, green = await on_one_lan(world, "red", "blue", "green")
        await world.coordinator.kill()
        world.folder(red).create("new", b"one")
        tree = {"text": b"first", "box": None, "box/thing": b"thing"}
        await until_same(world, (red, blue, green), tree | {"new": b"one"})
        await blue.kill(power=True)
        world.folder(red).overwrite("new", b"two", 0, cut=True)
        await until_same(world, (red, green), tree | {"new": b"two"})
        await blue.start()
        await until_same(world, (red, blue, green), tree | {"new": b"two"})
        world.folder(blue).move("new", "box/newer")
        await until_same(world, (red, blue, green), tree | {"box/newer": b"two"})
        await coordinator_back(world)
        assert world.folder(green).tree() == tree | {"box/newer": b"two"}

    failures = run_world("killed", story).failures
    assert failures == [], failures


def test_what_a_device_committed_that_is_gone_for_good_is_submitted_by_those_who_have_it() -> None:
    async def story(world: World) -> None:
        red, blue, green = await on_one_lan(world, "red", "blue", "green")
        await world.coordinator.kill()
        world.folder(red).create("new", b"one")
        tree = {"text": b"first", "box": None, "box/thing": b"thing", "new": b"one"}
        await until_same(world, (red, blue, green), tree)
        await red.kill(power=True)
        await world.coordinator.start()
        await trio.sleep(5 * MINUTES)
        await green.kill(power=True)
        far = world.device("eve", world.site("far", WIDE))
        await world.pair(far, blue)
        await until_same(world, (far,), tree)
        for one in (red, green):
            await one.start()
        assert await world.converged(LONG_S) is not None

    failures = run_world("gone", story).failures
    assert failures == [], failures


def test_a_film_goes_on_to_a_third_device_after_its_author_is_gone_while_the_coordinator_is_away() -> None:
    film = noise(3_000_000)

    async def story(world: World) -> None:
        red, blue, green = await on_one_lan(world, "red", "blue", "green")
        await green.kill()
        await world.coordinator.kill()
        world.folder(red).create("film", film)
        tree = {"text": b"first", "box": None, "box/thing": b"thing", "film": film}
        await until_same(world, (red, blue), tree)
        await red.kill(power=True)
        await green.start()
        await until_same(world, (blue, green), tree)
        await red.start()
        await coordinator_back(world)
        assert world.folder(green).tree() == tree

    failures = run_world("film", story).failures
    assert failures == [], failures


def test_what_an_author_has_committed_anew_is_the_same_base_wherever_it_was_handed_to() -> None:
    """Else the next conflict over it makes a copy on each of them."""

    async def story(world: World) -> None:
        red, blue, _ = await on_one_lan(world, "red", "blue", "green")
        eve = world.device("eve", world.site("far", WIDE))
        await world.pair(eve, red)
        assert await world.converged(MINUTES) is not None
        home = world.net.site_of(red.host)
        home.cut(up=True, down=True)
        world.folder(eve).overwrite("text", b"edited far away", 0, cut=True)
        await trio.sleep(MINUTES)
        world.folder(red).overwrite("text", b"edited at home", 0, cut=True)
        await trio.sleep(MINUTES)
        world.folder(red).overwrite("box/thing", b"two", 0, cut=True)
        await trio.sleep(MINUTES)
        assert world.folder(blue).tree()["box/thing"] == b"two"
        home.mend()
        assert await world.converged(LONG_S) is not None
        assert world.folder(eve).tree()["box/thing"] == b"two"

        home.cut(up=True, down=True)
        world.folder(eve).overwrite("box/thing", b"three, far away", 0, cut=True)
        await trio.sleep(MINUTES)
        world.folder(blue).overwrite("box/thing", b"three, at home", 0, cut=True)
        await trio.sleep(MINUTES)
        assert world.folder(red).tree()["box/thing"] == b"three, at home"
        blue.host.freeze()
        home.mend()
        await trio.sleep(5 * MINUTES)
        blue.host.thaw()
        assert await world.converged(LONG_S) is not None
        contents = [content for name, content in world.folder(eve).tree().items() if name.startswith("box/thing")]
        assert sorted(each or b"" for each in contents) == [b"three, at home", b"three, far away"]

    failures = run_world("same base", story).failures
    assert failures == [], failures


def test_what_an_author_deleted_is_left_to_it_also_by_a_device_that_is_killed_and_started_meanwhile() -> None:
    async def story(world: World) -> None:
        red, blue, _ = await on_one_lan(world, "red", "blue", "green")
        eve = world.device("eve", world.site("far", WIDE))
        await world.pair(eve, red)
        assert await world.converged(MINUTES) is not None
        home = world.net.site_of(red.host)
        home.cut(up=True, down=True)
        world.folder(eve).overwrite("text", b"edited far away", 0, cut=True)
        await trio.sleep(MINUTES)
        world.folder(red).overwrite("text", b"edited at home", 0, cut=True)
        await trio.sleep(MINUTES)
        world.folder(red).create("note", b"not for long")
        await trio.sleep(MINUTES)
        assert world.folder(blue).tree()["note"] == b"not for long"
        await blue.kill()
        await world.devices["green"].kill()
        world.folder(red).delete("note")
        await trio.sleep(MINUTES)
        await red.kill()
        home.mend()
        for _ in range(2):  # it is told that red's commits are refused, and told again to another process
            await blue.start()
            await trio.sleep(20.0)
            assert "note" not in world.folder(eve).tree()
            await blue.kill()
        await red.start()
        await trio.sleep(1.0)
        await red.kill()  # maybe before it has said that it has committed all
        for one in (blue, red, world.devices["green"]):
            await one.start()
        assert await world.converged(LONG_S) is not None
        assert "note" not in world.folder(eve).tree()

    failures = run_world("left to its author", story).failures
    assert failures == [], failures
