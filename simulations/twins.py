"""A machine whose disk is brought to life a second time, on another machine: two of them are one device.

Owns how that goes on, and what must hold then: one of them or none stops, all others come to the same, and nothing that
anybody wrote is lost.
"""

from collections.abc import Iterable
from typing import Final

import trio

from peer.control.messages import WorkspaceStatus
from simulations.devices import NotRunning, SimDevice
from simulations.folder import rescue_area
from simulations.images import take_image
from simulations.ledger import Ledger
from simulations.network.line import Quality
from simulations.world import World

TWIN: Final = "twin"
STOPPED: Final = "cloned_home"
_LOOK_S: Final = 5.0
_IN_STEP_S: Final = 60.0


async def bring_twin(world: World, device: SimDevice) -> SimDevice:
    """Another machine with a copy of that one's disk, beside it."""
    twin = world.device(TWIN, world.site("the twin's home", Quality(latency_s=0.02)))
    twin.restore(await take_image(device))
    world.watch.note_twin(twin)
    world.trace.note("fault", f"the disk of {device.name} is copied to another machine")
    await twin.start()
    return twin


async def rest_of_twins(world: World, within_s: float) -> list[SimDevice] | None:
    """Wait until all have the same but for those that stopped since two of them were one device; which go on, None
    where that does not happen."""
    with trio.move_on_after(within_s):
        while True:
            going: dict[str, WorkspaceStatus] = {}
            for name, device in world.devices.items():
                try:
                    await device.wait_ready()
                    await device.wait(_IN_STEP_S)
                    (state,) = (await device.status()).workspaces
                except NotRunning:
                    world.fail(f"{name} does not run")
                    return None
                if not any(problem.code == STOPPED for problem in state.problems):
                    going[name] = state
            devices = [world.devices[name] for name in going]
            trees = [world.folder(device).tree() for device in devices]
            at_rest = all(one.cursor == one.head and one.state == "up_to_date" for one in going.values())
            if at_rest and len({one.head for one in going.values()}) == 1 and all(tree == trees[0] for tree in trees):
                return devices
            await trio.sleep(_LOOK_S)
    return None


def check_twins(world: World, ledger: Ledger, going: Iterable[SimDevice]) -> None:
    """All that nobody replaced or deleted is somewhere: at those that go on, or on a disk of one that stopped."""
    found: set[int] = set()
    stopped = [device for device in world.devices.values() if device not in going]
    for device in (*list(going)[:1], *stopped):
        for folder in (world.folder(device), rescue_area(device.disk)):
            contents = (ledger.whole(data) for data in folder.tree().values() if data is not None)
            found.update(content.serial for content in contents if content is not None)
    for content in ledger.contents.values():
        if content.serial not in found and ledger.gone_on(content) is None:
            world.fail(f"lost since two machines were one device: {content}")
