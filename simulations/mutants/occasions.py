"""Occasions on which a mistake shows: shapes of random histories, and stories for what chance seldom brings about.

Owns what happens on them and what must have come of it. Each is also passed by the program without a mistake.
"""

import errno
from collections.abc import Callable, Sequence
from typing import Final

import trio

from peer.engine.shelf import Shelf
from peer.lan.link import Answer
from protocol.lan import LanRequest
from simulations.canonical import NEW, OLD, OTHER, Hands
from simulations.devices import SimDevice
from simulations.disk import WatchFaults
from simulations.mutants.finders import Histories, Story
from simulations.network.line import Quality
from simulations.world import World

_REST_S: Final = 120.0
"""In so much virtual time all must have come to rest."""
_TOP: Final = "ours"
_FAR: Final = Quality(latency_s=0.25, jitter_s=0.05)
_NEAR: Final = Quality(latency_s=0.01)
_WELL: Final = WatchFaults()

_CALM: Final = {"faults": (), "disturbed": 0.0, "watch": _WELL, "line": _NEAR}

FAR_APART = Histories(
    "people far apart", {**_CALM, "line": _FAR, "devices": 2, "phases": 2, "deeds": 60, "pause_s": 0.5}
)
CUT_OFF = Histories(
    "people cut off now and then",
    {**_CALM, "devices": 2, "faults": ("line cut",), "fault_s": 4.0, "deeds": 60, "pause_s": 1.0},
)
CUT_SHORT = Histories(
    "connections reset", {**_CALM, "line": _FAR, "faults": ("connections reset",), "fault_s": 2.0, "pause_s": 0.5}
)
COORDINATOR_KILLED = Histories(
    "a coordinator killed at its calls",
    {**_CALM, "faults": ("coordinator killed at a call",), "fault_s": 2.0, "devices": 3, "deeds": 60, "pause_s": 0.5},
)
FULL_DISKS = Histories(
    "disks that are full", {**_CALM, "faults": ("disk full",), "fault_s": 2.0, "deeds": 40, "pause_s": 0.5}
)


# --- beginnings and ends ----------------------------------------------------------------------------------


async def _devices(world: World, *names: str) -> list[SimDevice]:
    """Devices of one person with an empty directory in common."""
    first, *others = devices = [world.device(name, world.site(f"{name}'s home", _NEAR)) for name in names]
    await world.found(first, "ana")
    for device in others:
        await world.pair(device, first)
    Hands(first.disk, "").make(_TOP)
    await _rest(world)
    return devices


def _hands(device: SimDevice) -> Hands:
    return Hands(device.disk, _TOP)


def _files(device: SimDevice) -> dict[str, bytes]:
    return {path: data for path, data in _hands(device).tree().items() if data is not None}


async def _rest(world: World) -> bool:
    return await world.converged(_REST_S) is not None


async def _demand(world: World, *contents: bytes) -> None:
    """All come to rest with exactly these contents, whatever they are called."""
    if not await _rest(world):
        return
    for device in world.devices.values():
        files = _files(device)
        if sorted(files.values()) != sorted(contents):
            shown = {path: data[:20] for path, data in files.items()}
            world.fail(f"{device.name} has {shown} instead of {[data[:20] for data in contents]}")


def _once(device: SimDevice, when: Callable[[str], bool], deed: Callable[[], None]) -> None:
    """Have somebody do something just before the first such call of the device's program to its disk."""
    done = False

    def told(call: str) -> bool:
        nonlocal done
        if not done and when(call):
            done = True
            deed()
        return False

    device.points.told = told


# --- stories ----------------------------------------------------------------------------------------------


async def _same_edit_twice(world: World) -> None:
    red, blue, green = await _devices(world, "red", "blue", "green")
    _hands(red).put("a", OLD)
    await _rest(world)
    away = [world.net.site_of(device.host) for device in (blue, green)]
    for site in away:
        site.cut()
    for device, content in ((red, NEW), (blue, OTHER), (green, OTHER)):
        _hands(device).save("a", content)
    # With time each knows of its own edit when it hears of the others'; without, one hears first of what became of it.
    await trio.sleep(world.draw("patience").choice((0.5, 10, 90)))
    for site in away:
        site.mend()
        await trio.sleep(world.draw(site.name).random())
    await _demand(world, NEW, OTHER)


async def _all_deleted(world: World) -> None:
    red, blue = await _devices(world, "red", "blue")
    for number in range(120):
        _hands(red).put(f"f{number}", b"file %d" % number)
    await _rest(world)
    for number in range(120):
        _hands(red).delete(f"f{number}")
    await trio.sleep(120)
    if len(_files(blue)) != 120:
        world.fail(f"nobody was asked, and blue has {len(_files(blue))} of 120 files")


async def _names_alike(world: World) -> None:
    red, _ = await _devices(world, "red", "blue")
    _hands(red).put("caf\u00e9", NEW)
    _hands(red).put("cafe\u0301", OTHER)
    await _demand(world, NEW, OTHER)


async def _written_while_read(world: World) -> None:
    red, blue = await _devices(world, "red", "blue")
    hands, size = _hands(red), 5000
    hands.put("a", bytes(size))
    await _rest(world)
    site = world.net.site_of(red.host)
    site.cut()
    await trio.sleep(60)  # nothing is sent any more: what is read is written down at once
    was_read = False

    def told(call: str, arguments: tuple[object, ...]) -> None:
        nonlocal was_read
        if call == "read_into" and size in arguments:
            was_read = True
        elif was_read:
            was_read, red.disk.before_call = False, None
            red.disk.watch_faults.late = 1.0
            hands.patch("a", b"in the meantime", 100)

    hands.patch("a", b"at first", 0)
    red.disk.before_call = told
    await trio.sleep(20)
    site.mend()
    await trio.sleep(20)
    if list(_files(blue).values()) != list(_files(red).values()):
        world.fail("what blue has of the file is not what is in it")


async def _made_executable(world: World) -> None:
    red, blue = await _devices(world, "red", "blue")
    _hands(red).put("a", NEW)
    _hands(red).mode("a", 0o755)
    if await _rest(world):
        for device in (red, blue):
            if not world.folder(device).status(f"{_TOP}/a").fingerprint.executable:
                world.fail(f"{device.name} cannot run what was made a program")


async def _saved_again_while_stopped(world: World) -> None:
    red, _ = await _devices(world, "red", "blue")
    draw = world.draw("when")
    _hands(red).put("a", OLD)
    await _rest(world)
    for number in range(8):
        _hands(red).save("a", b"save %d" % number)
        _at_piece(red, 1 + draw.randrange(12), red.end_now)
        await trio.sleep(5)
        red.host.heard = None
        await red.kill()
        _hands(red).save("a", b"save %d again" % number)
        await red.start()
        await _demand(world, b"save %d again" % number)


async def _answers_lost(world: World) -> None:
    red, _ = await _devices(world, "red", "blue")
    draw = world.draw("when")
    _hands(red).put("a", OLD)
    await _rest(world)
    for number in range(12):
        _hands(red).save("a", b"save %d" % number)
        _at_piece(red, 1 + draw.randrange(6), lambda: world.net.reset(red.host))
        await trio.sleep(30)
    red.host.heard = None
    await _demand(world, b"save 11")


def _at_piece(device: SimDevice, pieces: int, deed: Callable[[], None]) -> None:
    """Do something just before the device's program hears so many more pieces from the network."""

    def heard() -> None:
        nonlocal pieces
        pieces -= 1
        if pieces == 0:
            deed()

    device.host.heard = heard


async def _bit_rot(world: World) -> None:
    red, blue = await _devices(world, "red", "blue")
    await blue.kill()
    _hands(red).put("a", NEW * 100)
    await red.wait(_REST_S)
    disk, path = world.coordinator.disk, "/blocks/00000001.seg"
    data = bytearray(bytes(disk.content(path)))
    data[-30] ^= 1
    disk.put(path, bytes(data))
    world.watch.references.blocks.clear()  # that a block is damaged is no mistake of the program
    await blue.start()
    await trio.sleep(60)
    for name, found in _files(blue).items():
        if found != NEW * 100:
            world.fail(f"{name} on blue has bytes that nobody wrote: {found[:30]!r}")


class _Liar(Shelf):
    """What a device serves that means no good: bytes of the right length."""

    async def read(self, wanted: Sequence[LanRequest]) -> Sequence[Answer]:
        await trio.lowlevel.checkpoint()
        return [bytes(each.length) for each in wanted]


async def _liar_nearby(world: World) -> None:
    home = world.site("home", _NEAR)
    red, blue = world.device("red", home), world.device("blue", home)
    await world.found(red, "ana")
    await world.pair(blue, red)
    Hands(red.disk, "").make(_TOP)
    await _rest(world)
    await trio.sleep(60)  # until they have a link
    assert red.engine is not None
    (mounted,) = red.engine.mounted.values()
    assert mounted.engine is not None
    mounted.engine.mover.shelf.__class__ = _Liar
    _hands(red).put("a", NEW * 100)
    await _rest(world)
    for name, found in _files(blue).items():
        if found != NEW * 100:
            world.fail(f"{name} on blue has bytes that nobody wrote: {found[:30]!r}")


async def _copy_of_what_is_replaced(world: World) -> None:
    red, _ = await _devices(world, "red", "blue")
    _hands(red).put("a", OLD)
    _hands(red).put("b", OLD)
    await _rest(world)
    _hands(red).save("a", NEW)
    await _rest(world)
    await world.pair(world.device("green", world.site("green's home", _NEAR)), red)
    await _demand(world, NEW, OLD)


async def _events_lost(world: World) -> None:
    red, blue = await _devices(world, "red", "blue")
    red.disk.watch_faults.overflow = 1.0
    for number in range(12):
        _hands(red).put(f"f{number}", b"file %d" % number)
    await trio.sleep(30)
    if len(_files(blue)) != 12:
        world.fail(f"red was told that events were lost, and blue has {len(_files(blue))} of 12 files")


async def _unreadable_for_a_while(world: World) -> None:
    red, blue = await _devices(world, "red", "blue")
    _hands(red).fill({"d": None, "d/a": OLD, "d/b": OTHER})
    await _rest(world)
    await red.stop()
    refused = red.disk.fail(errno.EACCES, times=-1, calls=("open_dir", "stat"))
    refused.names = {"d"}
    await red.start()
    await trio.sleep(60)
    if len(_files(blue)) != 2:
        world.fail(f"red cannot read a directory, and of two files in it blue has {len(_files(blue))}")
    refused.times = 0
    await _demand(world, OLD, OTHER)


async def _away(world: World) -> None:
    _, blue = await _miss_one(world)
    await trio.sleep(30)
    if list(_files(blue).values()) != [NEW]:
        world.fail("blue is back for a while, and does not have what was made meanwhile")


async def _away_and_on(world: World) -> None:
    red, _ = await _miss_one(world)
    _hands(red).put("b", OTHER)
    await trio.sleep(30)
    await _demand(world, NEW, OTHER)


async def _miss_one(world: World) -> tuple[SimDevice, SimDevice]:
    """Blue is away while red makes a file. Nobody asks blue whether it is in step: that alone would make it so."""
    red, blue = await _devices(world, "red", "blue")
    site = world.net.site_of(blue.host)
    site.cut()
    _hands(red).put("a", NEW)
    await trio.sleep(10)
    world.net.reset(blue.host)  # what was on its way to blue is lost
    await trio.sleep(30)
    site.mend()
    await trio.sleep(30 * world.draw("when").random())
    return red, blue


async def _saved_in_that_instant(world: World) -> None:
    red, blue = await _devices(world, "red", "blue")
    _hands(red).fill({"a": OLD, "b": OLD})
    await _rest(world)
    _once(blue, lambda call: call == "exchange", lambda: _hands(blue).save("a", OTHER))
    _hands(red).save("a", NEW)
    await _demand(world, NEW, OTHER, OLD)


async def _made_in_what_goes(world: World) -> None:
    red, blue = await _devices(world, "red", "blue")
    _hands(red).fill({"d": None, "d/a": OLD})
    await _rest(world)
    _once(blue, lambda call: call == "list_names", lambda: _hands(blue).put("d/new", NEW))
    _hands(red).delete("d")
    await _demand(world, NEW)


async def _deleted_unseen(world: World) -> None:
    red, blue = await _devices(world, "red", "blue")
    numbers = range(8)
    for number in numbers:
        _hands(red).make(f"d{number}")
    await _rest(world)
    for device in (red, blue):
        site = world.net.site_of(device.host)
        site.up.quality = site.down.quality = _FAR
    draw = world.draw("when")
    for number in numbers:
        _hands(blue).put(f"d{number}/new", b"file %d" % number)
        await trio.sleep(draw.random() * 3)
        if f"d{number}/new" not in _files(red):
            _hands(red).delete(f"d{number}")
        await trio.sleep(5)
    await _demand(world, *(b"file %d" % number for number in numbers))


SAME_EDIT_TWICE = Story("the same edit on two devices, against a third one's", _same_edit_twice)
ALL_DELETED = Story("somebody deletes everything", _all_deleted)
NAMES_ALIKE = Story("two names that look the same", _names_alike)
WRITTEN_WHILE_READ = Story("a file written while it is read", _written_while_read)
MADE_EXECUTABLE = Story("a file made executable", _made_executable)
DELETED_UNSEEN = Story("directories deleted while somebody puts something into them", _deleted_unseen)
SAVED_AGAIN = Story("killed, saved again, started", _saved_again_while_stopped)
ANSWERS_LOST = Story("answers that do not arrive", _answers_lost)
BIT_ROT = Story("a bit of the coordinator's disk flips", _bit_rot)
LIAR_NEARBY = Story("a member on the LAN that serves something else", _liar_nearby)
AWAY = Story("a device away for a minute", _away)
AWAY_AND_ON = Story("a device away for a minute, and more to come", _away_and_on)
COPY_OF_REPLACED = Story("a copy of what is replaced, and a new device", _copy_of_what_is_replaced)
EVENTS_LOST = Story("a burst of files, and events of the watch lost", _events_lost)
UNREADABLE = Story("a directory that cannot be read for a while", _unreadable_for_a_while)
SAVED_IN_THAT_INSTANT = Story("a file saved in the instant in which another version arrives", _saved_in_that_instant)
MADE_IN_WHAT_GOES = Story("a file made in a directory that is being removed", _made_in_what_goes)
