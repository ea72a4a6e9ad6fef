"""Crash points without a gap: each small workload, ended at every point where something has just become durable.

Owns the points, and the round that is made for each: a tree in common, the deed, the end at that point, a new start,
rest, and a look at whether all is as it must be. A point is a call that changes a disk or a database, or a piece that
came over the network. Also every disk call that fails instead.
"""

import errno
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Final, Literal

import trio

from simulations.canonical import WORKLOADS, Hands, Tree, Workload
from simulations.coordinating import SimCoordinator
from simulations.devices import NotRunning, SimDevice
from simulations.disk import CHANGING
from simulations.machine import Killed
from simulations.network.line import Quality
from simulations.world import World, run_world

Ending = Literal["kill", "power", "again", "message", "EIO", "ENOSPC", "EACCES", "start"]
ENDINGS: Final[tuple[Ending, ...]] = ("kill", "power", "again", "message", "EIO", "ENOSPC", "EACCES", "start")
"""A program killed at a point of its disk or database; without power there; the same, and killed once more at one of
the first points of its next life; killed when it hears something; a call of its disk that fails, at the coordinator
one to its blocks or one of SQLite to its database; and, at the coordinator alone, such a call while it starts anew."""
STARTED: Final = ("a small file", "a tree deleted")
"""Workloads with which the coordinator is started anew: what it does then hardly depends on them."""
_ERRORS: Final = (errno.EIO, errno.ENOSPC, errno.EACCES)
Wanted = Callable[[Tree], bool]
"""Says whether a tree is as it must be."""
HOSTS: Final = ("red", "blue", "coordinator")
DURABLE: Final = CHANGING | {"commit", "committed"}
REST_S: Final = 900.0
"""In so much virtual time all must have come to rest."""
_LOOK_S: Final = 0.25
_QUIET: Final = 6
"""So many looks in a row must find rest."""
_MOST_FAILURES: Final = 3
_EARLY: Final = 30
_ROUNDS: Final = 60
"""So many rounds are made in one world; what they leave behind stays in its folder."""
_BEYOND: Final = 3
"""So many points in a row that are not met are the end: rounds differ a little in what they wait for."""


@dataclass
class Count:
    """What came of one workload at one host with one kind of ending."""

    workload: str
    host: str
    ending: Ending
    points: int = 0
    failures: list[str] = field(default_factory=list)


def cases(hosts: Sequence[str] = HOSTS, endings: Sequence[Ending] = ENDINGS) -> list[tuple[str, Ending]]:
    """Where and how a workload is ended: at each of these hosts in each of these ways that it knows."""
    return [(host, ending) for host in hosts for ending in endings if ending != "start" or host == "coordinator"]


def run_workload(
    name: str,
    wanted: Sequence[tuple[str, Ending]],
    *,
    first: int = 0,
    every: int = 1,
    most_points: int | None = None,
    most_failures: int = _MOST_FAILURES,
) -> list[Count]:
    """Try every point of each case, or every so-manieth from `first` on, until there is none any more.

    All in one world, as long as nothing is wrong; after a failure with the next point in a new one. A case ends early
    after `most_points` that were well, or `most_failures` that were not.
    """
    counts = {case: Count(name, *case) for case in wanted}
    left, at = [case for case in wanted if case[1] != "start" or name in STARTED], first
    while left:
        rounds = _Rounds(WORKLOADS[name], left, at, every, counts, most_points)
        outcome = run_world(f"{name}/{left[0]}/{at}", rounds.run, wall_s=3600)
        case = rounds.case
        if not outcome.failures:
            if rounds.is_done:
                break
            left, at = left[left.index(case) :], rounds.at
            continue
        where = f"{name}, {case[0]}, {case[1]}, point {rounds.at}"
        counts[case].failures.append(f"{where}: " + " | ".join(outcome.failures[:4]))
        left, at = left[left.index(case) :], rounds.at + every
        if len(counts[case].failures) >= most_failures:
            left, at = left[1:], first
    return list(counts.values())


class _Rounds:
    """One world, and in it a round for each point."""

    def __init__(
        self,
        workload: Workload,
        wanted: Sequence[tuple[str, Ending]],
        first: int,
        every: int,
        counts: dict[tuple[str, Ending], Count],
        most_points: int | None,
    ) -> None:
        self.workload = workload
        self.wanted = wanted
        self.case = wanted[0]
        self.at = first
        self.every = every
        self.counts = counts
        self._most_points = most_points
        self._left = -1
        self._has_ended = False
        self._number = 0
        self.is_done = False

    async def run(self, world: World) -> None:
        """Go on with each case until rounds end without having met their point; ends at a failure."""
        self._world = world
        self._devices = red, blue = [
            world.device(name, world.site(f"{name}'s home", Quality(latency_s=0.001))) for name in ("red", "blue")
        ]
        await world.found(red, "ana")
        await world.pair(blue, red)
        for case in self.wanted:
            self.case = case
            host, _ = case
            self._program: SimDevice | SimCoordinator = (
                world.coordinator if host == "coordinator" else world.devices[host]
            )
            missed = 0
            while missed < _BEYOND and self.counts[case].points != self._most_points:
                if self._number == _ROUNDS:
                    return
                met = await self._round()
                if world.failures:
                    return
                self.counts[self.case].points += met
                missed = 0 if met else missed + 1
                self.at += self.every
            self.at = 0
        self.is_done = True

    async def _round(self) -> bool:
        """Whether its point was met."""
        self._number += 1
        prefix = f"round {self._number}"
        red, blue = (Hands(device.disk, prefix) for device in self._devices)
        Hands(self._devices[0].disk, "").make(prefix)
        red.fill(self.workload.before)
        if not await self._comes_to_rest([red, blue], lambda tree: tree == self.workload.before, "the beginning"):
            return False
        wanted = self._act(red, blue)
        if self.case[1] == "start":
            await self._start()
        met = await self._comes_to_rest([red, blue], wanted, f"after {self._told()}") and self._has_ended
        self._disarm()
        self._world.check_programs()
        return met

    def _act(self, red: Hands, blue: Hands) -> Wanted:
        """Do the deed, with the end to come."""
        self._arm()
        self.workload.here(red)
        if self.workload.there is not None:
            self.workload.there(blue)
        for device in self._devices:
            device.disk.volume.save_all()  # what people did is lasting: it is the program that is tried
        if self.workload.there is not None:
            return self.workload.ends
        tree = red.tree()
        return lambda found: found == tree

    def _told(self) -> str:
        return f"{self.case[1]} at point {self.at} of {self.case[0]}"

    # --- the end ------------------------------------------------------------------------------------------

    def _arm(self) -> None:
        program, ending = self._program, self.case[1]
        program.disk.faults.given = 0
        self._left, self._has_ended = self.at, False
        match ending:
            case "kill" | "power" | "again":
                program.points.told = self._is_due
                program.points.on_kill = partial(program.end_now, power=ending != "kill")
            case "message":
                program.host.heard = self._hear
            case "EIO" | "ENOSPC" | "EACCES":
                program.disk.fail(getattr(errno, ending), skip=self.at)
            case "start":
                program.end_now()

    async def _start(self) -> None:
        """The program begins anew, while one of its calls fails, if it makes so many before it is ready."""
        program = self._program
        await program.ended.wait()
        program.disk.fail(_ERRORS[self.at % len(_ERRORS)], skip=self.at // len(_ERRORS))
        await program.start()
        program.disk.faults.planned = []

    def _is_due(self, call: str) -> bool:
        if call not in DURABLE or self._has_ended:
            return False
        self._left -= 1
        self._has_ended = self._left < 0
        if self._has_ended and self.case[1] == "again":
            self._left = self.at * 7 % _EARLY
            self._program.told_next = self._is_due_again
        return self._has_ended

    def _is_due_again(self, call: str) -> bool:
        self._left -= call in DURABLE
        return self._left == -1 and call in DURABLE

    def _hear(self) -> None:
        if self._has_ended or not self._program.runs:
            return
        self._left -= 1
        if self._left < 0:
            self._has_ended = True
            self._program.end_now()

    def _disarm(self) -> None:
        program = self._program
        program.points.told = program.told_next = program.host.heard = None
        program.disk.faults.planned = []

    # --- rest ---------------------------------------------------------------------------------------------

    async def _comes_to_rest(self, hands: list[Hands], wanted: Wanted, when: str) -> bool:
        """Whether all devices come to have what is wanted, and stay so; else that is a failure of the world's."""
        quiet = 0
        with trio.move_on_after(REST_S):
            while quiet < _QUIET:
                await trio.sleep(_LOOK_S)
                quiet = quiet + 1 if await self._rests(hands, wanted) else 0
                if self._program.disk.faults.given:
                    self._has_ended = True
            return True
        self._world.fail(f"no rest {when}: " + "; ".join(_shown(one) for one in hands))
        for device in self._devices:
            with suppress(NotRunning, Killed):
                self._world.failures.append(f"{device.name}: {(await device.status()).workspaces}")
        return False

    async def _rests(self, hands: list[Hands], wanted: Wanted) -> bool:
        for program in (self._world.coordinator, *self._devices):
            if program.life.is_dead:
                await program.ended.wait()
                program.launch()
                return False
        try:
            states = [(await device.status()).workspaces[0] for device in self._devices]
        except (NotRunning, Killed, IndexError):
            return False
        if any(state.cursor != state.head or state.state != "up_to_date" for state in states):
            return False
        if len({state.cursor for state in states}) > 1:
            return False
        try:
            trees = [one.tree() for one in hands]
        except OSError:
            return False
        return trees[0] == trees[1] and wanted(trees[0])


def _shown(hands: Hands) -> str:
    try:
        tree = hands.tree()
    except OSError as error:
        return repr(error)
    return str({path: None if data is None else data[:20] for path, data in tree.items()})
