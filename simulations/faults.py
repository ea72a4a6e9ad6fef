"""What goes wrong in a world, and how it is put right again. Owns the kinds of faults that are drawn at random."""

from collections import Counter
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final

import trio

from simulations.devices import SimDevice
from simulations.network.net import Site
from simulations.programs import Program
from simulations.world import World

KINDS: Final = (
    "device killed",
    "device killed at a call",
    "device without power",
    "device killed while starting",
    "device stopped",
    "device frozen",
    "coordinator killed",
    "coordinator frozen",
    "line cut",
    "line cut one way",
    "connections reset",
)
AWAY_S: Final = 12.0
"""The longest that a fault lasts, but for every tenth, which lasts up to five times as long."""
CALLS: Final = 400
"""The most calls after which a device that is to be killed at a call is."""

Undo = Callable[[], Awaitable[None]]


class Faults:
    """Lets things go wrong until cancelled. What is wrong then is put right by `put_right`."""

    def __init__(self, world: World, kinds: tuple[str, ...], pause_s: float, counted: Counter[str]) -> None:
        self._world = world
        self._kinds = kinds
        self._pause_s = pause_s
        self._counted = counted
        self._draw = world.draw(f"faults at {trio.current_time():.3f}")
        self._undo: dict[object, tuple[float, Undo]] = {}

    async def run(self) -> None:
        """One fault after another."""
        if not self._kinds:
            return
        while True:
            due_s = trio.current_time() + self._draw.random() * self._pause_s
            ends_s = min((one[0] for one in self._undo.values()), default=due_s)
            await trio.sleep_until(min(due_s, ends_s))
            await self._put_right_due()
            if trio.current_time() >= due_s:
                await self._begin(self._draw.choice(self._kinds))

    async def put_right(self) -> None:
        """All is well again: every program runs, every line is whole."""
        for victim in list(self._undo):
            await self._undo.pop(victim)[1]()
        for device in self._world.devices.values():
            device.points.kill_at = None
            await self._run_again(device)
        await self._run_again(self._world.coordinator)

    async def _put_right_due(self) -> None:
        for victim, (ends_s, undo) in list(self._undo.items()):
            if ends_s <= trio.current_time():
                del self._undo[victim]
                await undo()

    async def _begin(self, kind: str) -> None:
        devices, coordinator = list(self._world.devices.values()), self._world.coordinator
        device = self._draw.choice(devices)
        site = self._world.net.site_of(device.host)
        victim: object = coordinator if kind.startswith("coordinator") else device
        if "line" in kind:
            victim = site
        if victim in self._undo:
            return
        undo = await self._do(kind, device, site)
        if undo is None:
            return
        self._counted[kind] += 1
        self._world.trace.note("fault", f"{kind}: {site.name if victim is site else getattr(victim, 'name', '')}")
        lasts_s = self._draw.random() * AWAY_S * (5 if self._draw.random() < 0.1 else 1)
        self._undo[victim] = (trio.current_time() + lasts_s, undo)

    async def _do(self, kind: str, device: SimDevice, site: Site) -> Undo | None:
        coordinator, draw = self._world.coordinator, self._draw
        match kind:
            case "device killed":
                return await self._kill(device)
            case "device killed at a call":
                device.points.kill_at = device.points.passed + 1 + draw.randrange(CALLS)
                return partial(self._run_again, device)
            case "device without power":
                return await self._kill(device, power=True)
            case "device killed while starting":
                await self._kill(device)
                device.launch()
                await trio.sleep(draw.random() * 0.5)
                return await self._kill(device)
            case "device stopped":
                if device.runs:
                    await device.stop()
                return partial(self._run_again, device)
            case "coordinator killed":
                return await self._kill(coordinator)
            case "device frozen" | "coordinator frozen":
                host = (coordinator if kind.startswith("coordinator") else device).host
                host.freeze()
                return partial(_later, host.thaw)
            case "line cut":
                site.cut()
                return partial(_later, site.mend)
            case "line cut one way":
                up = draw.random() < 0.5
                site.cut(up=up, down=not up)
                return partial(_later, site.mend)
            case "connections reset":
                self._world.net.reset(device.host)
                return None
            case _:
                raise AssertionError(kind)

    async def _kill(self, program: Program, *, power: bool = False) -> Undo:
        if program.runs:
            await program.kill(power=power)
        return partial(self._run_again, program)

    async def _run_again(self, program: Program) -> None:
        if program.life.is_dead:
            await program.ended.wait()
            program.launch()


async def _later(undo: Callable[[], None]) -> None:
    undo()
    await trio.lowlevel.checkpoint()
