"""Machines whose disks are copied, and have the copy put back later. Owns what is copied and put back.

Copies are taken at rest. So a machine that has one put back must come to exactly what all others have, whatever was
done since: nothing is lost, nothing comes back.
"""

from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from random import Random  # noqa: TID251 - drawn from the world's seed
from typing import Final

import trio

from peer.control.messages import Confirm
from simulations.devices import Image, NotRunning, SimDevice
from simulations.world import World

PARTS: Final = ("disk", "home", "folder")
"""What of a copy is put back: all of it, or only what the program keeps beside the folder, or only the folder."""
OLD_FOLDER: Final = "root_replaced"
_LOOK_S: Final = 5.0

Tree = Mapping[str, bytes | None]


class Images:
    """The copies that there are in a world. A device has one put back once at most: it is not a daily thing."""

    def __init__(self, world: World, draw: Random, counted: Counter[str]) -> None:
        self._world = world
        self._draw = draw
        self._counted = counted
        self._images: dict[str, Image] = {}
        self._done: set[str] = set()

    async def take(self) -> None:
        """Copy a machine's disk, while its program is stopped for it."""
        device = self._draw.choice(list(self._world.devices.values()))
        if device.name not in self._done:
            self._images[device.name] = await take_image(device)
            self._world.trace.note("fault", f"the disk of {device.name} is copied")

    async def put_back(self) -> bool:
        """Put a copy, or a part of one, in the place of what there is; False where there is none."""
        if not self._images:
            return False
        name = self._draw.choice(sorted(self._images))
        device, image, part = self._world.devices[name], self._images.pop(name), self._draw.choice(PARTS)
        self._done.add(name)
        await device.stop()
        device.restore(image, disk=part != "home", home=part != "folder")
        self._world.trace.note("fault", f"{name} has an old copy of its {part} put back")
        self._counted[f"{part} put back"] += 1
        await device.start()
        return True

    async def confirm(self) -> None:
        """The person at a machine whose folder alone is an old copy says that this is meant; runs until cancelled."""
        while True:
            for name in sorted(self._done):
                device = self._world.devices[name]
                with suppress(NotRunning):
                    found = (await device.status()).workspaces
                    if any(problem.code == OLD_FOLDER for one in found for problem in one.problems):
                        await device.ask(Confirm(folder=device.disk.folder))
            await trio.sleep(_LOOK_S)


def is_unchanged(tree: Tree, before: Tree) -> bool:
    """Whether all is as it was.

    Directories that were deleted or moved since the copy was made may be there, empty: nothing tells those on an old
    copy from new ones.
    """
    return {path: data for path, data in tree.items() if path in before or data is not None} == before


async def take_image(device: SimDevice) -> Image:
    """A copy of all that a machine has on its disk; its program is stopped for it."""
    await device.stop()
    image = device.image()
    await device.start()
    return image
