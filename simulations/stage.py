"""The world as a story has it. Owns what a story does to the world as a whole, and what it looks at.

Paths begin with the name of what is shared: `Holiday/plan.txt`.
"""

import linecache
import re
import sys
from collections.abc import Iterable, Sequence
from typing import Final

import trio

from peer.control.messages import Add, Mount, PairReply
from peer.control.messages import Pair as PairRequest
from simulations.devices import Image, SimDevice
from simulations.disk import Kind
from simulations.happenings import Checked, InStep
from simulations.network.net import Site
from simulations.plans import DevicePlan, SitePlan
from simulations.programs import Program
from simulations.world import World

_USER: Final = "ana"
_LOOK_S: Final = 1.0


class Unexpected(Exception):
    """What a story expects is not so."""


class Stage:
    """The world as a story has it."""

    def __init__(self, sites: Iterable[SitePlan], devices: Iterable[DevicePlan], world: World) -> None:
        self._world = world
        self._live: dict[DevicePlan, SimDevice] = {}
        self._sites: dict[SitePlan, Site] = {}
        self._shares: dict[str, list[DevicePlan]] = {}
        self._images: dict[DevicePlan, Image] = {}
        self._number = 0
        self.waited_s = 0.0
        """How long was waited, all in all, until devices were in step."""
        for site in sites:
            self._sites[site] = world.net.add_site(site.name, site.uplink, site.lan)
        for device in devices:
            kind = Kind() if device.capacity is None else Kind(capacity=device.capacity)
            self._live[device] = world.device(device.name, self._sites[device.at], kind)
            device._stage = self

    # --- happenings ---------------------------------------------------------------------------------------

    async def share(self, name: str, devices: Sequence[DevicePlan]) -> None:
        """Keep a folder of this name in step on these devices. The first may have things in it already."""
        first, *others = devices
        self.tell(first, f"shares {name}")
        await self._join(first, None)
        await self._ask_add(first, name)
        for other in others:
            await self._join(other, first)
            await self.mount(other, name)
        self._shares[name] = list(devices)

    async def mount(self, device: DevicePlan, name: str) -> None:
        """Bring what is shared to one more of the person's devices."""
        await self._join(device, self._shares.get(name, [device])[0])
        live = self.live(device)
        live.disk.make_directory(f"/{name}")
        self.tell(device, f"brings {name} here")
        await live.ask(Mount(workspace=name, folder=f"/{name}"))
        if name in self._shares and device not in self._shares[name]:
            self._shares[name].append(device)

    async def cut(self, site: SitePlan, *, for_: float, up: bool = True, down: bool = True) -> None:
        """The place's line is dead from now on, for so long, in both directions or one."""
        real = self._sites[site]
        real.cut(up=up, down=down)
        self._tell("network", f"the line of {site.name} is cut")

        async def mend() -> None:
            await trio.sleep(for_)
            real.mend()
            self._tell("network", f"the line of {site.name} is whole again")

        self._world.nursery.start_soon(mend)

    async def carry(self, device: DevicePlan, to: SitePlan) -> None:
        """A device is taken to another place."""
        self._world.net.move_host(self.live(device).host, self._sites[to])
        self._tell(device.name, f"is taken to {to.name}")

    async def take_image(self, device: DevicePlan) -> None:
        """Copy the machine's whole disk, its home included; the program is stopped for it."""
        live = self.live(device)
        await live.stop()
        self._images[device] = live.image()
        self.tell(device, "takes an image of the whole disk")
        await live.start()

    async def put_image_back(self, device: DevicePlan) -> None:
        """Put that copy in the place of all that there is, and start."""
        live = self.live(device)
        await live.stop()
        live.restore(self._images[device])
        self.tell(device, "puts the image of the whole disk back")
        await live.start()

    async def wait(self, seconds: float) -> None:
        """Time passes."""
        await trio.sleep(seconds)

    @property
    def coordinator(self) -> Program:
        """The coordinator, to be stopped, killed and started."""
        return self._world.coordinator

    # --- looking ------------------------------------------------------------------------------------------

    async def converged(self, *, within: float, share: str | None = None) -> None:
        """Wait until the devices that run are in step and have the same; raises `Unexpected` where they are not."""
        began_s = trio.current_time()
        for name in [share] if share is not None else list(self._shares):
            if not await self._converged(name, began_s + within):
                await self._world.converged(0.0)
                raise Unexpected(f"{name} is not the same everywhere after {within:.0f} s")
            await self._world.watch.look_at_rest(name)
        after_s = trio.current_time() - began_s
        self.waited_s += after_s
        self._tell("checker", f"all is in step after {after_s:.1f} s")
        self._world.trace.happened(InStep(after_s))

    def expect(self, holds: bool, what: str = "") -> None:
        """Raises `Unexpected` where it does not hold. `what` says it for people; else the line of the story does."""
        meant = what or _line_of_caller()
        if not holds:
            raise Unexpected(meant)
        self._world.trace.happened(Checked(meant, holds=True))

    def carried(self, site: str) -> int:
        """Bytes that have passed the line of a site (the coordinator's is `server`), both ways."""
        found = self._world.net.carried_bytes()
        return found.get(f"{site}:up", 0) + found.get(f"{site}:down", 0)

    async def problems(self, device: DevicePlan) -> set[str]:
        """The codes of the problems that the device's status names."""
        status = await self.live(device).status()
        return {problem.code for one in status.workspaces for problem in one.problems}

    def conflicts(self, share: str) -> int:
        """Conflicted copies on the first device."""
        return sum("conflicted copy" in path for path in self._shares[share][0].tree(share))

    def live(self, device: DevicePlan) -> SimDevice:
        """The device in this world."""
        return self._live[device]

    def tell(self, device: DevicePlan, what: str) -> None:
        """For the trace: what a person did."""
        self._world.trace.deed(device.name, what)

    def next_number(self) -> int:
        """One more than the last."""
        self._number += 1
        return self._number

    # --- how ----------------------------------------------------------------------------------------------

    def _tell(self, who: str, what: str) -> None:
        self._world.trace.note(who, what)

    async def _join(self, device: DevicePlan, by: DevicePlan | None) -> None:
        live = self.live(device)
        if live.home.has_joined():
            return
        if by is None or by is device:
            await live.join(await self._world.coordinator.invite(_USER))
        else:
            offered = await self.live(by).ask(PairRequest())
            assert isinstance(offered, PairReply)
            await live.join(offered.code)
        await live.start()

    async def _ask_add(self, device: DevicePlan, name: str) -> None:
        live = self.live(device)
        live.disk.make_directory(f"/{name}")
        await live.ask(Add(folder=f"/{name}", name=name))

    async def _converged(self, share: str, deadline_s: float) -> bool:
        with trio.move_on_at(deadline_s):
            while True:
                running = [one for one in self._shares[share] if self.live(one).runs]
                states = set()
                for one in running:
                    live = self.live(one)
                    await live.wait_ready()
                    await live.wait(max(_LOOK_S, deadline_s - trio.current_time()))
                    states |= {
                        (its.cursor, its.head, its.state)
                        for its in (await live.status()).workspaces
                        if its.name == share
                    }
                if len(states) == 1 and all(cursor == head for cursor, head, _ in states):
                    trees = [one.tree(share) for one in running]
                    if all(tree == trees[0] for tree in trees):
                        return True
                await trio.sleep(_LOOK_S)
        return False


def _line_of_caller() -> str:
    """The line of a story in which something of the stage was called."""
    frame = sys._getframe(2)
    line = linecache.getline(frame.f_code.co_filename, frame.f_lineno).strip()
    whole = re.fullmatch(r"\w+\.expect\((.+)\)", line)
    return whole[1] if whole else line or "the story expected something else"
