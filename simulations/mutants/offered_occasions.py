"""Occasions on which versions are not durable for a while: what then becomes of the line, the devices and the files.

Owns what happens on them and what must have come of it. Each is also passed by the program without a mistake.
"""

from collections.abc import Callable
from typing import Final

import trio

from peer.disk.root import PRIVATE_NAME
from peer.engine.offering import Offering
from protocol.offered import Standing
from simulations.devices import SimDevice
from simulations.images import take_image
from simulations.mutants.finders import Story
from simulations.network.line import Quality
from simulations.noise import noise
from simulations.world import World

_MINUTE: Final = 60.0
_LONG_S: Final = 60 * _MINUTE
_MONTH_S: Final = 31 * 24 * _LONG_S
_LOOK_S: Final = 0.25
_LAN: Final = Quality(latency_s=0.001)
_WIDE: Final = Quality(latency_s=0.02)
_NARROW: Final = Quality(latency_s=0.02, rate=20_000.0)
_BEFORE, _MEANWHILE = b"before", b"by green meanwhile"
_FILM: Final = noise(3_000_000)
"""More than two minutes of the narrow line."""
_CUT: Final = noise(2_000_000, b"the director's cut")


async def _at_home_and_away(world: World) -> tuple[SimDevice, SimDevice, SimDevice]:
    """Red and blue on one LAN with a narrow line, green elsewhere; all in step, and linked."""
    home, away = world.site("home", _WIDE, _LAN), world.site("away", _WIDE)
    red, blue, green = world.device("red", home), world.device("blue", home), world.device("green", away)
    await world.found(red, "ana")
    for device in (blue, green):
        await world.pair(device, red)
    await world.converged(_MINUTE)
    await trio.sleep(_MINUTE)
    home.up.quality = _NARROW
    return red, blue, green


def _offering(device: SimDevice) -> Offering:
    assert device.engine is not None
    (mounted,) = device.engine.mounted.values()
    assert mounted.engine is not None
    return mounted.engine.offering


def _has(world: World, device: SimDevice, path: str, data: bytes) -> bool:
    return world.folder(device).tree().get(path) == data


def _standings(device: SimDevice) -> list[Standing]:
    """How the versions stand that were ever offered, as a device knows it."""
    assert device.engine is not None
    rows = device.engine.machine.database.all("SELECT standing FROM offers ORDER BY standing")
    return [Standing(row[0]) for row in rows]


async def _until(world: World, so: Callable[[], bool], wanted: str, within_s: float = 2 * _MINUTE) -> bool:
    """Wait until it is so; where that takes too long, that is a failure."""
    ends_s = trio.current_time() + within_s
    while True:
        if so():
            return True
        if trio.current_time() > ends_s:
            world.fail(f"after {within_s:.0f} s not yet: {wanted}")
            return False
        await trio.sleep(_LOOK_S)


async def _film_beside(world: World, red: SimDevice, blue: SimDevice) -> bool:
    """Red saves a film, and blue gets it from there, and has said so."""
    world.folder(red).create("film", _FILM)
    has = await _until(world, lambda: _has(world, blue, "film", _FILM), "blue has the film from beside")
    return has and await _until(world, lambda: True in _offering(blue).told.values(), "blue says that it has it")


async def _committed_and_alone(world: World, red: SimDevice, blue: SimDevice) -> None:
    """Red saves a film in the place of a text, and commits it, since blue is there; but then blue is there no more."""
    world.net.site_of(red.host).lan.quality = Quality(latency_s=0.001, rate=50_000.0)
    world.folder(red).overwrite("text", _FILM, 0, cut=True)
    await _until(world, lambda: _offering(red).count > 0, "red has offered its film")
    await blue.kill(power=True)


async def _all_converge(world: World, *contents: bytes) -> None:
    """All come to rest with these contents, and everything is durable, or given up."""
    tree = await world.converged(_LONG_S)
    if tree is None:
        return
    if sorted(each or b"" for each in tree.values()) != sorted(contents):
        shown = {path: data and data[:20] for path, data in tree.items()}
        world.fail(f"there is {shown} instead of {[data[:20] for data in contents]}")
    await world.stored(30 * _MINUTE)


async def _author_gone(world: World) -> None:
    red, blue, green = await _at_home_and_away(world)
    if not await _film_beside(world, red, blue):
        return
    world.folder(green).create("note", _MEANWHILE)
    await _until(world, lambda: _has(world, red, "note", _MEANWHILE), "red has green's note")
    await red.kill(power=True)
    had = await _until(world, lambda: _has(world, green, "film", _FILM), "green has the film from blue", 30 * _MINUTE)
    await red.start()
    if had:
        await _all_converge(world, _FILM, _MEANWHILE)


async def _replaced_after_another_had_it(world: World) -> None:
    red, blue, green = await _at_home_and_away(world)
    if not await _film_beside(world, red, blue):
        return
    world.folder(red).overwrite("film", _CUT, 0, cut=True)
    if not await _until(world, lambda: _has(world, blue, "film", _CUT), "blue has the newer film"):
        return
    await _all_converge(world, _CUT)
    if Standing.NOT_KEPT in _standings(green):
        world.fail("a version is gone for ever that a device had when it was replaced there")
    await trio.sleep(_MINUTE)
    if world.folder(blue).tree_below(f"{PRIVATE_NAME}/held"):
        world.fail("blue keeps for ever what is stored")


async def _author_away_for_a_month(world: World) -> None:
    red, blue, green = await _at_home_and_away(world)
    world.folder(red).create("text", _BEFORE)
    await world.converged(_LONG_S)
    await _committed_and_alone(world, red, blue)
    await red.kill(power=True)
    world.coordinator.host.skew_s += _MONTH_S
    await trio.sleep(3 * _LONG_S)  # in which it looks around twice
    if _standings(green) != [Standing.NOT_KEPT]:
        world.fail("what its author has been silent about for a month is still waited for")
    await red.start()
    await blue.start()
    await _all_converge(world, _FILM)


async def _edited_while_it_cannot_be_had(world: World) -> None:
    red, blue, green = await _at_home_and_away(world)
    world.folder(red).create("text", _BEFORE)
    await world.converged(_LONG_S)
    image = await take_image(red)
    await trio.sleep(_MINUTE)
    await _committed_and_alone(world, red, blue)
    await red.kill(power=True)
    world.folder(green).overwrite("text", _MEANWHILE, 0, cut=True)
    await trio.sleep(20.0)
    red.restore(image)
    await red.start()
    await blue.start()
    await _all_converge(world, _MEANWHILE)


AUTHOR_GONE = Story("a film whose author is gone before the line has carried it", _author_gone)
REPLACED_AFTER = Story("a film replaced after another device had it", _replaced_after_another_had_it)
AWAY_FOR_A_MONTH = Story("an author away for a month before anybody had its film", _author_away_for_a_month)
EDITED_MEANWHILE = Story("an edit of what cannot be had, and never will be", _edited_while_it_cannot_be_had)
