"""What goes wrong in a world, and how it is put right again. Owns the kinds of faults that are drawn at random."""

import errno
from collections import Counter
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final

import trio

from simulations.devices import SimDevice
from simulations.machine import Host
from simulations.network.net import Site
from simulations.programs import Program
from simulations.world import World

ENDINGS: Final = (
    "device killed",
    "device killed at a call",
    "device without power",
    "device killed while starting",
    "device stopped",
    "coordinator killed",
    "coordinator killed at a call",
    "coordinator without power",
)
KINDS: Final = (
    *ENDINGS,
    "device frozen",
    "coordinator frozen",
    "line cut",
    "line cut one way",
    "connections reset",
    "disk errors",
    "disk full",
    "coordinator disk errors",
    "coordinator disk full",
    "clock jumps",
)
AWAY_S: Final = 12.0
"""The longest that a fault lasts, but for every tenth, which lasts up to five times as long."""
CALLS: Final = 400
"""The most calls after which a device that is to be killed at a call is."""
BLOCK_CALLS: Final = 60
"""The same for the coordinator, of calls to the disk of its blocks; and after how many of all calls that disk fails."""
SOON_S: Final = 0.5
"""The first fault of all comes within so long: a history is short where people do everything at once."""

Undo = Callable[[], Awaitable[None]]


class Faults:
    """Lets things go wrong until cancelled. What is wrong then is put right by `put_right`."""

    def __init__(
        self,
        world: World,
        kinds: tuple[str, ...],
        pause_s: float,
        counted: Counter[str],
        phase: int = 0,
        dropped: frozenset[str] = frozenset(),
    ) -> None:
        self._world = world
        self.events: list[str] = []
        """What went wrong, by names that stay the same while earlier ones are dropped."""
        self.begun = trio.Event()
        """Set when a first one was due, or where there is none to come."""
        self._phase = phase
        self._dropped = dropped
        self._number = 0
        self._kinds = kinds
        self._pause_s = pause_s
        self._counted = counted
        self._draw = world.draw(f"faults of phase {phase}")
        self._undo: dict[object, tuple[float, Undo]] = {}

    async def run(self) -> None:
        """One fault after another."""
        if not self._kinds:
            self.begun.set()
            return
        while True:
            pause_s = self._pause_s if self._number or self._phase else min(SOON_S, self._pause_s)
            due_s = trio.current_time() + self._draw.random() * pause_s
            ends_s = min((one[0] for one in self._undo.values()), default=due_s)
            await trio.sleep_until(min(due_s, ends_s))
            await self._put_right_due()
            if trio.current_time() >= due_s:
                await self._begin(self._draw.choice(self._kinds))
                self.begun.set()

    async def put_right(self) -> None:
        """All is well again: every program runs, every line is whole."""
        for victim in list(self._undo):
            await self._undo.pop(victim)[1]()
        for device in self._world.devices.values():
            device.spare()
            device.disk.faults.planned.clear()
            await self._run_again(device)
        coordinator = self._world.coordinator
        coordinator.disk.faults.planned.clear()
        if coordinator.life.is_dead:
            await self._run_again(coordinator)
        coordinator.spare()

    async def _put_right_due(self) -> None:
        for victim, (ends_s, undo) in list(self._undo.items()):
            if ends_s <= trio.current_time():
                del self._undo[victim]
                await undo()

    async def _begin(self, kind: str) -> None:
        devices, coordinator = list(self._world.devices.values()), self._world.coordinator
        device = self._draw.choice(devices)
        program: Program = coordinator if kind.startswith("coordinator") else device
        site = self._world.net.site_of(device.host)
        victim: object = site if kind.startswith("line") else program
        self._number += 1
        event = f"fault {self._phase}.{self._number}"
        if victim in self._undo or event in self._dropped:
            return
        self.events.append(event)
        undo = await self._end(kind, program) if kind in ENDINGS else self._spoil(kind, program.host, device, site)
        self._counted[kind] += 1
        self._world.trace.fault(f"{kind}: {site.name if victim is site else program.name}")
        if undo is not None:
            lasts_s = self._draw.random() * AWAY_S * (5 if self._draw.random() < 0.1 else 1)
            self._undo[victim] = (trio.current_time() + lasts_s, undo)

    async def _end(self, kind: str, program: Program) -> Undo:
        """A program ends, now or at one of its next calls."""
        again = partial(self._run_again, program)
        match kind.partition(" ")[2]:
            case "stopped":
                if program.runs:
                    await program.stop()
            case "killed at a call":
                program.kill_after(1 + self._draw.randrange(CALLS if isinstance(program, SimDevice) else BLOCK_CALLS))
            case "killed while starting":
                await self._kill(program)
                program.launch()
                await trio.sleep(self._draw.random() * 0.5)
                await self._kill(program)
            case ending:
                await self._kill(program, power=ending == "without power")
        return again

    def _spoil(self, kind: str, host: Host, device: SimDevice, site: Site) -> Undo | None:
        """Something around the programs goes wrong; None where there is nothing to put right."""
        draw = self._draw
        match kind:
            case "device frozen" | "coordinator frozen":
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
            case "disk errors":
                code, times = draw.choice((errno.EIO, errno.EACCES)), draw.choice((1, 5))
                device.disk.fail(code, skip=draw.randrange(80), times=times)
            case "coordinator disk errors":
                code, times = draw.choice((errno.EIO, errno.EACCES)), draw.choice((1, 5, -1))
                errors = self._world.coordinator.disk.fail(code, skip=draw.randrange(BLOCK_CALLS), times=times)
                return partial(_later, lambda: setattr(errors, "times", 0))
            case "disk full" | "coordinator disk full":
                disk = device.disk if kind == "disk full" else self._world.coordinator.disk
                full = disk.fail(errno.ENOSPC, times=-1)
                return partial(_later, lambda: setattr(full, "times", 0))
            case "clock jumps":
                device.host.skew_s = draw.uniform(-100_000, 100_000)
            case _:
                raise AssertionError(kind)
        return None

    async def _kill(self, program: Program, *, power: bool = False) -> None:
        if program.runs:
            await program.kill(power=power)

    async def _run_again(self, program: Program) -> None:
        if program.life.is_dead:
            await program.ended.wait()
            program.launch()


async def _later(undo: Callable[[], None]) -> None:
    undo()
    await trio.lowlevel.checkpoint()
