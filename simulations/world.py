"""One world: virtual time, a network, a coordinator, devices and what happened. Owns making and ending it.

All chance comes from the seed, by purpose, so that a further draw for one purpose changes nothing of the others.
"""

import logging
import traceback
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random  # noqa: TID251 - drawn from the world's seed
from typing import Final

import trio

from peer.control.messages import Add, Mount, PairReply
from peer.control.messages import Pair as PairRequest
from simulations.checkers.reading import read_only
from simulations.checkers.watch import Watch
from simulations.coordinating import SimCoordinator
from simulations.devices import NotRunning, SimDevice
from simulations.disk import Kind, SimDisk
from simulations.folder import Folder
from simulations.guard import Guard, told_tasks
from simulations.ledger import Ledger
from simulations.machine import Host, SimClock
from simulations.network.line import Quality
from simulations.network.net import Net, Site
from simulations.scheduling import deterministic, make_clock
from simulations.scratch import open_scratch
from simulations.trace import Trace
from simulations.tree_tables import told
from simulations.trees import read_trees

_LOOK_S: Final = 0.5
_LONGEST_LOOK_S: Final = 5.0
COORDINATOR: Final = "coordinator"
BACKBONE: Final = "server"
"""The machine of the coordinator, and the place where it is."""
SHARE: Final = "folder"
"""What the workspace of a world is called."""


@dataclass
class Outcome:
    """What came of a run."""

    seed: str
    digest: str = ""
    virtual_s: float = 0.0
    notes: int = 0
    failures: list[str] = field(default_factory=list)
    figures: dict[str, int] = field(default_factory=dict)
    events: list[str] = field(default_factory=list)
    """What was done and went wrong, by names under which it can be left out of another run."""


class World:
    """A world at work."""

    def __init__(self, seed: str, place: Path, nursery: trio.Nursery, trace: Trace) -> None:
        self.seed = seed
        self.trace = trace
        self.nursery = nursery
        self.place = place
        self.net = Net(self.draw("network"), trace)
        self.devices: dict[str, SimDevice] = {}
        self.failures: list[str] = []
        backbone = self.net.add_site(BACKBONE, Quality(latency_s=0.005), Quality(latency_s=0.0005))
        host = Host(COORDINATOR)
        self.net.add_host(host, backbone)
        self.coordinator = SimCoordinator(
            host, self.net, trace, nursery, place / "coordinator", self.draw("coordinator"), f"{seed}/coordinator keys"
        )

        self.watch = Watch(self.coordinator, self.net.carried_bytes, self.fail, trace.stored)

    def draw(self, purpose: str) -> Random:
        """Chance for one purpose."""
        return Random(f"{self.seed}/{purpose}")

    def site(
        self,
        name: str,
        uplink: Quality,
        lan: Quality | None = None,
        *,
        is_behind_nat: bool = False,
        carries_multicast: bool = True,
    ) -> Site:
        """A further place on the network."""
        lan = lan or Quality(latency_s=0.0005)
        return self.net.add_site(name, uplink, lan, is_behind_nat=is_behind_nat, carries_multicast=carries_multicast)

    def device(self, name: str, at: Site, kind: Kind | None = None) -> SimDevice:
        """A machine for a device that nobody has yet; see `found` and `pair`. `kind` is its disk's."""
        host = Host(name)
        self.net.add_host(host, at)
        place = self.place / name
        device = self.devices[name] = SimDevice(
            host,
            self.net,
            self.trace,
            self.nursery,
            place / "home",
            SimDisk(SimClock(host), self.draw(f"{name}'s disk"), kind),
            self.draw(name),
            f"{self.seed}/{name} keys",
        )
        self.watch.look_at(device)
        return device

    def follow(self, ledger: Ledger) -> None:
        """From now on people's deeds are in this ledger."""
        self.watch.follow(ledger)
        self.trace.follow(ledger.called)

    def tell_end(self) -> None:
        """The story is over."""
        if self.trace.listener is not None:
            homes = [device.home for device in self.devices.values()]
            self.trace.listener.ended(trio.current_time(), self.net.carried_bytes(), homes)

    # --- beginnings ---------------------------------------------------------------------------------------

    async def found(self, device: SimDevice, user: str) -> None:
        """A person's first device, with a workspace."""
        await device.join(await self.coordinator.invite(user))
        await device.start()
        await device.ask(Add(folder=device.disk.folder, name=SHARE))

    async def pair(self, device: SimDevice, by: SimDevice) -> None:
        """One more device of the same person, with the same workspace."""
        offered = await by.ask(PairRequest())
        assert isinstance(offered, PairReply)
        await device.join(offered.code)
        await device.start()
        await device.ask(Mount(workspace=SHARE, folder=device.disk.folder))

    # --- looking ------------------------------------------------------------------------------------------

    def folder(self, device: SimDevice) -> Folder:
        """The device's folder as people see it."""
        return Folder(device.disk.people, device.disk.folder)

    def fail(self, what: str) -> None:
        """A promise was broken."""
        self.trace.failed(what)
        self.failures.append(what)

    async def converged(self, within_s: float) -> dict[str, bytes | None] | None:
        """Wait until all devices are in step and their folders are equal; the tree, None where that does not happen.

        They have to come to it by themselves: a device that is asked to wait looks anew at all that it has, so each is
        asked only then, and has to be in step after that too. One whose folder cannot be used at the moment has looked
        at nothing, and is asked again.
        """
        with trio.move_on_after(within_s):
            try:
                await self._in_step()
                for device in self.devices.values():
                    await device.wait(within_s)
                    while (await device.status()).workspaces[0].state == "error":
                        await trio.sleep(_LONGEST_LOOK_S)
                        await device.wait(within_s)
                return await self._in_step()
            except NotRunning as error:
                self.fail(f"{error} does not run")
                return None
        await self._tell_not_converged()
        return None

    async def _in_step(self) -> dict[str, bytes | None]:
        pause_s = _LOOK_S
        while True:
            for device in self.devices.values():
                await device.wait_ready()
            states = [(await device.status()).workspaces[0] for device in self.devices.values()]
            if len({state.cursor for state in states}) == 1 and all(one.cursor == one.head for one in states):
                first, *others = (self.folder(device).tree() for device in self.devices.values())
                if all(tree == first for tree in others):
                    return first
            await trio.sleep(pause_s)
            pause_s = min(pause_s * 1.5, _LONGEST_LOOK_S)

    async def stored(self, within_s: float) -> bool:
        """Wait until all say that the coordinator has whatever has not been given up; whether it comes to that."""
        with trio.move_on_after(within_s):
            for device in self.devices.values():
                await device.wait(within_s, durable=True)
            return True
        self.fail("what was offered is neither durable nor given up")
        return False

    async def _tell_not_converged(self) -> None:
        self.fail("no convergence")
        for name, device in self.devices.items():
            try:
                self.failures.append(f"{name}: {(await device.status()).workspaces}")
            except NotRunning:
                self.failures.append(f"{name} does not run")
        for name, device in self.devices.items():
            if not device.home.database.is_file():
                continue
            with read_only(device.home.database) as connection:
                rows = [row for row in read_trees(connection).values() if not row.is_same]
            if rows:
                self.failures.append("\n".join([f"{name}'s trees differ:", *told(trio.current_time(), name, rows)]))
        with suppress(NotRunning):
            await self.watch.look_for_causes()
        root = trio.lowlevel.current_root_task()
        assert root is not None
        self.failures.append("every task waits for:\n" + "\n".join(told_tasks(root)))
        trees = {name: self.folder(device).tree() for name, device in self.devices.items()}
        for path in sorted(set().union(*trees.values())):
            if len({tree.get(path, b"absent") for tree in trees.values()}) > 1:
                shown = {name: _shown(tree, path) for name, tree in trees.items()}
                self.failures.append(f"{path}: {shown}")

    def note_error(self, source: str, text: str) -> None:
        """A program has logged an error: none is expected, but that a disk that fails was not flushed."""
        if source != "coordinator.segments" or not self.coordinator.disk.faults.given:
            self.fail(f"logged as an error: {text}")

    def check_programs(self) -> None:
        """No program ended by a bug."""
        for program in (self.coordinator, *self.devices.values()):
            for bug in program.bugs:
                self.fail(f"{program.name} ended by itself: {_leaf(bug)!r}")
            program.bugs.clear()


def _shown(tree: dict[str, bytes | None], path: str) -> str:
    if path not in tree:
        return "absent"
    data = tree[path]
    return "a directory" if data is None else f"{len(data)} bytes {data[:40]!r}"


def _leaf(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


class _Errors(logging.Handler):
    """Takes what programs log as errors, and by whom."""

    def __init__(self, told: Callable[[str, str], None]) -> None:
        super().__init__(logging.ERROR)
        self._told = told

    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage()
        if record.exc_info and record.exc_info[1] is not None:
            text += f": {_leaf(record.exc_info[1])!r}"
        self._told(record.name, text)


@asynccontextmanager
async def open_world(seed: str, trace: Trace) -> AsyncGenerator[World, None]:
    """A world with a running coordinator and no devices."""
    with open_scratch() as place:
        async with trio.open_nursery() as nursery:
            world = World(seed, place, nursery, trace)
            with _errors_told(world.note_error):
                await nursery.start(world.net.run)
                await world.coordinator.start()
                try:
                    yield world
                finally:
                    for program in (*world.devices.values(), world.coordinator):
                        program.host.thaw()  # what stands still would never end
                world.check_programs()
                world.watch.end()
                trace.is_over = True
                for program in (*world.devices.values(), world.coordinator):
                    await program.kill()
            nursery.cancel_scope.cancel()


@contextmanager
def _errors_told(told: Callable[[str, str], None]) -> Iterator[None]:
    handler = _Errors(told)
    logging.getLogger().addHandler(handler)
    try:
        yield
    finally:
        logging.getLogger().removeHandler(handler)


Story = Callable[[World], Awaitable[None]]


def run_world(seed: str, story: Story, *, trace: Trace | None = None, wall_s: float = 120.0) -> Outcome:
    """Let a story happen in a world of its own, to its end. Never raises for what happens in it.

    `wall_s`: after so much real time it is given up, and the failure says what every task was waiting for.
    """
    trace = trace or Trace()
    outcome = Outcome(seed)

    async def run() -> None:
        with Guard(wall_s) as guard:
            try:
                async with open_world(seed, trace) as world:
                    outcome.failures = world.failures
                    try:
                        await story(world)
                    finally:
                        world.tell_end()
            finally:
                outcome.virtual_s = trio.current_time()
                outcome.digest, outcome.notes = trace.digest(), trace.count
                if guard.tripped:
                    outcome.failures.append(guard.tripped)

    try:
        with deterministic(seed):
            trio.run(run, clock=make_clock())
    except (Exception, BaseExceptionGroup) as error:  # noqa: BLE001 - whatever a world comes to is its outcome
        outcome.failures.append(f"the world ended: {_leaf(error)!r}")
        outcome.failures.append("".join(traceback.format_exception(_leaf(error))))
    return outcome
