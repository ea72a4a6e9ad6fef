"""Occasions on which a device is revoked, and the keys change. Owns what happens on them and what must have come of it.
Each is also passed by the program without a mistake.
"""

from typing import Final

import trio

from peer.control.upkeep import Peers, PeersRequest, RevokedDevice, RevokeDevice
from peer.engine import epochs, founding
from peer.engine.context import Context
from simulations.canonical import NEW, OTHER
from simulations.devices import SimDevice
from simulations.mutants.finders import Story
from simulations.network.line import Quality
from simulations.world import World

_LINE: Final = Quality(latency_s=0.02, rate=200_000.0)
_MINUTE: Final = 60.0


async def _at_home(world: World) -> tuple[SimDevice, SimDevice, SimDevice]:
    """Three devices of one person on one LAN, in step and linked. Green is the one that will be revoked."""
    home = world.site("home", _LINE)
    red, blue, green = (world.device(name, home) for name in ("red", "blue", "green"))
    await world.found(red, "ana")
    for device in (blue, green):
        await world.pair(device, red)
    await world.converged(5 * _MINUTE)
    await trio.sleep(_MINUTE)
    return red, blue, green


def _context(device: SimDevice) -> Context:
    assert device.engine is not None
    (mounted,) = device.engine.mounted.values()
    assert mounted.engine is not None
    return mounted.engine.context


async def _revoke_green(world: World, red: SimDevice) -> None:
    answer = await red.ask(RevokeDevice("green"))
    if not isinstance(answer, RevokedDevice) or answer.to_enter:
        world.fail(f"green could not be revoked: {answer}")


async def _away_while_keys_changed(world: World) -> None:
    red, blue, _ = await _at_home(world)
    await blue.stop()
    await _revoke_green(world, red)
    world.folder(red).create("plan", NEW)
    await red.wait(_MINUTE)
    await blue.start()
    await trio.sleep(_MINUTE)
    if world.folder(blue).tree().get("plan") != NEW:
        world.fail("blue does not have what was written with the new keys while it was away")
    (status,) = (await blue.status()).workspaces
    if status.problems:
        world.fail(f"blue was away while keys changed, and says {[one.message for one in status.problems]}")
    world.folder(blue).create("answer", OTHER)
    await trio.sleep(_MINUTE)
    if world.folder(red).tree().get("answer") != OTHER:
        world.fail("red does not have what blue wrote with the new keys")


async def _new_keys_tried_by_who_was_revoked(world: World) -> None:
    red, _, green = await _at_home(world)
    boxes = _context(green).identity.boxes
    await _revoke_green(world, red)
    context = _context(red)
    salt, begun = context.keyring.salt, 0
    for body in epochs.control_bodies(context.machine.database, context.journal):
        rotation = epochs.rotation_of(body)
        if rotation is None:
            continue
        begun += 1
        if list(founding.opened_rings(rotation.keys, salt, boxes)):
            world.fail(f"green was revoked, and can open the keys of epoch {rotation.epoch}")
    if not begun:
        world.fail("green was revoked, and no keys were made")


async def _revoked_while_asleep(world: World) -> None:
    red, blue, green = await _at_home(world)
    green.host.freeze()
    await _revoke_green(world, red)
    await trio.sleep(5)
    world.net.sites["home"].cut()  # nobody tells green
    green.host.thaw()
    await trio.sleep(_MINUTE)
    for device in (red, blue):
        answer = await device.ask(PeersRequest())
        assert isinstance(answer, Peers)
        if any(one.device == "green" and one.state == "linked" for one in answer.peers):
            world.fail(f"green was revoked, and {device.name} is still linked with it")


AWAY_WHILE_KEYS_CHANGED = Story("a device away while another one is revoked", _away_while_keys_changed)
KEYS_TRIED = Story("a revoked device that tries the new keys", _new_keys_tried_by_who_was_revoked)
REVOKED_ASLEEP = Story("a device revoked while it sleeps, back on the LAN alone", _revoked_while_asleep)
