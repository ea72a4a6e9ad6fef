"""Revoking another device of this user, as a person asks for it. Owns finding who is meant, and seeing it through:
what is not entered into a journal when this ends is entered later, by this device or another one."""

from dataclasses import dataclass
from typing import Final

import trio

from peer.engine.device import DeviceEngine, Unreachable
from peer.engine.folders import CannotDo
from peer.engine.mounted import MountedWorkspace
from peer.link.errors import LinkError
from protocol.chains import UserChain
from protocol.ids import DeviceId
from protocol.model import LinkBody, Revocation

ENTER_S: Final = 20.0
"""So long it is waited until the journals have it."""


@dataclass(frozen=True, slots=True)
class Revoked:
    """A device that may do nothing any more. The workspaces synced here whose journals say so already, and those in
    which that is still to be entered, by name."""

    device: DeviceId
    name: str
    entered: tuple[str, ...]
    to_enter: tuple[str, ...]


async def revoke(engine: DeviceEngine, wanted: str) -> Revoked:
    """Revoke the device of that name or id; asked again, go on with what is left to do. Raises `CannotDo`."""
    following = engine.following
    if not await following.follow():
        raise CannotDo("the local database failed: see `shoal status`, then try again")
    device = _meant(engine, following.known.chain, wanted)
    if device not in following.known.chain.revoked_devices:
        try:
            refusal = await following.revoke(device)
        except LinkError as error:
            raise Unreachable(f"cannot reach the coordinator ({error}): try again when it can be reached") from None
        if refusal is not None:
            raise CannotDo(f"the coordinator refused: {refusal.message}")
    following.on_revoked()
    mounted = list(engine.mounted.values())
    with trio.move_on_after(ENTER_S):
        for one in mounted:
            while not (_may_not_enter(one) or await _is_entered(engine, one, device)):
                with trio.move_on_after(1.0):
                    await engine.wait_changed()
    done = {one.record.name: await _is_entered(engine, one, device) for one in mounted}
    return Revoked(
        device,
        following.known.chain.devices[device].keys.name,
        tuple(sorted(name for name, is_done in done.items() if is_done)),
        tuple(sorted(name for name, is_done in done.items() if not is_done)),
    )


def _meant(engine: DeviceEngine, chain: UserChain, wanted: str) -> DeviceId:
    found = [device for device, known in chain.devices.items() if wanted in (known.keys.name, device.hex())]
    active = [device for device in found if chain.devices[device].active]
    if not found and engine.machine.client.status.current.state != "connected":
        raise Unreachable(f"no device called {wanted} is known here, and the coordinator cannot be reached: try later")
    if not found:
        raise CannotDo(f"you have no device called {wanted}: see `shoal devices`")
    (device,) = (active or found)[:1]
    if device != engine.identity.device:
        return device
    if len(chain.active_devices()) == 1:
        raise CannotDo(
            f"{wanted} is this device, and the only one you have: nobody could let you in again. `shoal pair` another "
            "one first, and revoke this one there"
        )
    raise CannotDo(f"{wanted} is this device: revoke it on another one of yours")


def _may_not_enter(one: MountedWorkspace) -> bool:
    """Whether nothing is committed there until a person, or a disk, lets it go on."""
    engine = one.engine
    return engine is None or engine.paused or engine.stopped


async def _is_entered(engine: DeviceEngine, one: MountedWorkspace, device: DeviceId) -> bool:
    if one.engine is None:
        return False
    context, links = one.engine.context, engine.known.links
    at = next((at for at, signed in enumerate(links) if _revokes(signed.link.body, device)), None)

    def look() -> bool:
        seen, known = context.journal.chain(engine.identity.user), context.journal.device(device)
        entered = at is not None and seen is not None and at < seen.length
        return entered and (known is None or not known.active)

    return await engine.machine.database_work.run(look)


def _revokes(body: LinkBody, device: DeviceId) -> bool:
    return isinstance(body, Revocation) and body.device == device
