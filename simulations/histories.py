"""Random histories: people at several devices, and faults, drawn from a seed; what must have come of it is checked.

A history has phases. In each there is first turmoil, then calm, in which all must come to rest and be as the ledger
says. Each seed draws which kinds of deeds and faults it has at all, so that not every history is the same mixture.
"""

import re
from collections import Counter
from dataclasses import asdict, dataclass
from functools import partial
from random import Random  # noqa: TID251 - drawn from the world's seed
from typing import Final

import trio

from simulations.board import BOARD, Board, BoardReader
from simulations.checkers.a02_lost_update import kept
from simulations.checkers.at_rest import check_at_rest
from simulations.checkers.l05_idle import busy
from simulations.devices import SimDevice
from simulations.disk import WatchFaults
from simulations.disk.disk import FOLDER
from simulations.faults import KINDS, Faults
from simulations.folder import Folder, rescue_area
from simulations.happenings import InStep
from simulations.images import Images, is_unchanged
from simulations.journals import told_lives
from simulations.ledger import Ledger
from simulations.network.line import Quality
from simulations.network.net import Site
from simulations.people import SHARED, Person
from simulations.trace import Trace
from simulations.twins import bring_twin, check_twins, rest_of_twins
from simulations.world import Outcome, World, run_world

READERS: Final = 3
"""At so many devices at most there is somebody at the board: what was seen is to be explained in a moment."""
DEEDS: Final = (30, 200)
"""The fewest and the most things that people do in a history. Most are short, so that there can be many."""
_LONG: Final = 10
"""The higher, the fewer are long: of 100 histories some 10 have more than 90 deeds."""
MOST_BESIDE_BOARD: Final = 50
"""With more deeds than that there is nobody at the board, who has deeds of his own to do. Nor is there where
disks are put back: who reads an old copy sees what was."""
CALM_S: Final = 900.0
"""In so much virtual time all must have come to rest."""
UNASKED_S: Final = 300.0
"""In so much virtual time they must have come to rest without anybody asking them to."""
IDLE_S: Final = 120.0
"""For so long nothing may happen in the end."""
NEWCOMERS: Final = 0.2
"""The share of histories at whose end one more device joins, which must have the same."""
SIZES: Final = (120,) * 6 + (700,) * 6 + (3_000,) * 6 + (40_000,) * 3 + (300_000,)
TROUBLE_S: Final = 30.0
"""For so long at most there are faults while a machine finds that its disk is an old one."""
TWIN_DEEDS: Final = 6
"""So many each do at a machine and at the one that has a copy of its disk."""
_IMAGES: Final = 100
"""What the numbers of the phases begin with in which a copy is put back."""
TOGETHER: Final = 0.6
"""The share of histories in which devices meet on a LAN."""
ALONE: Final = 0.7
"""The share of these in which the coordinator is away whenever people work,"""
LONELY_S: Final = 30.0
"""for at most so long before they begin, and after they have ended."""
ALONE_SEEDS: Final = range(5_000_000, 6_000_000)
"""The histories of these seeds are all such ones: for a campaign about them."""
NAMES: Final = ("red", "blue", "green", "amber", "violet")
"""What devices are called."""


@dataclass(frozen=True)
class Shape:
    """What a seed makes of a history."""

    devices: int
    phases: int
    deeds: int
    """Of all people together, in all phases; up to half as many more in between, and never more than `DEEDS` in all."""
    pause_s: float
    """The longest between two deeds of a person, on an average over those that follow at once."""
    bursts: float
    """How likely a deed follows the one before at once."""
    faults: tuple[str, ...]
    """What kinds there may be; one at least there is."""
    fault_s: float
    """The longest between two faults."""
    disturbed: float
    """How likely somebody acts between two calls of an engine to its disk."""
    line: Quality
    watch: WatchFaults
    board: int
    """How often in a phase somebody reads, writes or deletes the one file that is everybody's, at each device."""
    skew_s: float
    """The most by which a device's clock is wrong from the beginning."""
    are_behind_nat: bool
    images: float
    """How likely, at each rest, some machine's disk is copied, and how likely a copy is put back."""
    twin: float
    """How likely, in the end, some machine's disk is brought to life a second time."""
    are_together: bool
    """Whether all devices are at one place, and so meet on its LAN."""
    lan: Quality
    """What that LAN is like."""
    offers: bool
    """Whether even short files are committed before they are sent, where somebody is near."""
    are_alone: bool
    """Whether they are together and the coordinator is away for all of each phase."""

    @classmethod
    def draw(cls, draw: Random, *, alone: bool = False) -> "Shape":
        """A shape; of a history in which devices go on without the coordinator where that is asked for."""
        kinds = tuple(kind for kind in KINDS if draw.random() < 0.6) or KINDS
        are_together = draw.random() < TOGETHER or alone
        are_alone = (draw.random() < ALONE or alone) and are_together
        deeds, images = _draw_deeds(draw), draw.choice((0.0, 0.0, 0.5))
        return cls(
            devices=draw.choice((2, 2, 2, 2, 2, 3, 3, 4, 5)),
            phases=draw.choice((1, 2, 3)),
            deeds=deeds,
            pause_s=draw.choice((0.5, 2.0, 6.0)),
            bursts=draw.choice((0.2, 0.6, 0.8)),
            faults=kinds,
            fault_s=draw.choice((1.0, 3.0, 8.0)),
            disturbed=draw.choice((0.0, 0.0, 0.002, 0.01)),
            line=Quality(
                latency_s=draw.choice((0.001, 0.02, 0.15)),
                jitter_s=draw.choice((0.0, 0.05)),
                rate=draw.choice((None, 1_000_000.0, 200_000.0)),
                loss=draw.choice((0.0, 0.0, 0.02)),
                resets=draw.choice((0.0, 0.0, 0.002)),
            ),
            watch=WatchFaults(
                late=draw.choice((0.0, 0.0, 0.2)),
                doubled=draw.choice((0.0, 0.0, 0.1)),
                overflow=draw.choice((0.0, 0.0, 0.01)),
            ),
            # The board's model has one server in it, and nobody who goes on without.
            board=0 if images or deeds > MOST_BESIDE_BOARD or are_alone else draw.choice((0, 5, 10)),
            skew_s=draw.choice((0.0, 0.0, 5.0, 100_000.0)),
            are_behind_nat=draw.random() < 0.5,
            images=images,
            twin=0.05,
            are_together=are_together,
            lan=Quality(
                latency_s=draw.choice((0.0005, 0.02)),
                rate=draw.choice((None, 1_000_000.0)),
                loss=draw.choice((0.0, 0.02, 0.3)),
                resets=draw.choice((0.0, 0.0, 0.01)),
            ),
            offers=draw.random() < 0.5,
            are_alone=are_alone,
        )

    def share(self, phase: int, person: int) -> int:
        """How many of the deeds one of the people does in a phase."""
        places, at = self.phases * self.devices, phase * self.devices + person
        return self.deeds // places + (at < self.deeds % places)

    @property
    def most_in_between(self) -> int:
        """So many deeds there may be between two calls of an engine to its disk."""
        return min(self.deeds // 2, DEEDS[1] - self.deeds)


def _draw_deeds(draw: Random) -> int:
    fewest, most = DEEDS
    return fewest + int((most - fewest + 1) * draw.random() ** _LONG)


class History:
    """One history in one world. After `run`, `figures` says what there was in it."""

    def __init__(self, world: World, shape: Shape, dropped: frozenset[str] = frozenset()) -> None:
        self._world = world
        self._dropped = dropped
        self._fault_events: list[str] = []
        self.shape = shape
        self.figures: Counter[str] = Counter()
        self._ledger = Ledger()
        world.follow(self._ledger)
        self._ledger.was_handed = world.watch.versions.is_handed_data
        self._people: list[Person] = []
        self._board = Board(self._ledger)
        self._readers: list[BoardReader] = []
        self._lives: dict[str, int] = {}
        """How often each device had begun to run at the last rest."""
        self._draw = world.draw("history")
        self._images = Images(world, world.draw("images"), self.figures)

    async def run(self) -> None:
        """Let it happen. Failures are the world's."""
        await self._begin()
        for phase in range(self.shape.phases):
            await self._turmoil(phase)
            tree = await self._calm()
            if tree is None or not await self._handle_images(phase, tree):
                break
            self._draw.choice(self._people).delete_copies()
        else:
            await self._end()
        self.figures["deeds"] = sum(person.actions for person in self._people)
        self.figures["contents"] = len(self._ledger.contents)
        self.figures["phases"] += self.shape.phases

    async def _begin(self) -> None:
        world, shape = self._world, self.shape
        devices: list[SimDevice] = []
        sites: list[Site] = []
        for name in NAMES[: shape.devices]:
            if not (sites and shape.are_together):
                place, line = f"{name}'s home", Quality(latency_s=0.001)
                sites.append(world.site(place, line, shape.lan, is_behind_nat=shape.are_behind_nat))
            site = sites[-1]
            device = world.device(name, site)
            if shape.offers:
                device.offer_bytes = 0
            device.host.skew_s = self._draw.uniform(-shape.skew_s, shape.skew_s)
            devices.append(device)
        world.folder(devices[0]).make_directory(SHARED)
        world.folder(devices[0]).make_directory(BOARD)
        await world.found(devices[0], "ana")
        for device in devices[1:]:
            await world.pair(device, devices[0])
        for device in devices:
            site = world.net.site_of(device.host)
            for name, value in asdict(shape.watch).items():  # of the watch that is open already
                setattr(device.disk.watch_faults, name, value)
            site.up.quality = site.down.quality = shape.line
        for device in devices:
            self._people.append(self._make_person(device))
            self._people[-1].begin()
            if len(self._readers) < READERS:
                folder, drafts = world.folder(device), Folder(device.disk.people, device.disk.drafts)
                tell = partial(world.trace.note, f"{device.name}'s person")
                reader = self._board.reader(device.name, folder, drafts, world.draw(f"{device.name}'s board"), tell)
                self._readers.append(reader)

    def _make_person(self, device: SimDevice) -> Person:
        folder, drafts = self._world.folder(device), Folder(device.disk.people, device.disk.drafts)
        draw, trace = self._world.draw(f"{device.name}'s person"), self._world.trace
        return Person(device.name, folder, drafts, self._ledger, draw, trace, SIZES, self._dropped)

    # --- turmoil ------------------------------------------------------------------------------------------

    @property
    def events(self) -> list[str]:
        """All that was done and went wrong, by name."""
        return [event for person in self._people for event in person.events] + self._fault_events

    async def _turmoil(self, phase: int) -> None:
        shape = self.shape
        self._disturb()
        kinds = shape.faults
        if shape.are_alone:
            self.figures["alone"] = 1
            await self._world.coordinator.kill()
            kinds = tuple(kind for kind in kinds if not kind.startswith("coordinator"))
            await trio.sleep(self._draw.random() * LONELY_S)
        faults = Faults(self._world, kinds, shape.fault_s, self.figures, phase, self._dropped)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(faults.run)
            async with trio.open_nursery() as working:
                if phase == 0:
                    working.start_soon(faults.begun.wait)
                for number, person in enumerate(self._people):
                    working.start_soon(self._work, person, shape.share(phase, number))
                for reader in self._readers:
                    working.start_soon(reader.stay, shape.board, shape.pause_s, self._dropped, self._fault_events)
            if shape.are_alone:
                await trio.sleep(self._draw.random() * LONELY_S)
            nursery.cancel_scope.cancel()
        await faults.put_right()
        self._fault_events += faults.events
        for device in self._world.devices.values():
            device.disturb = device.points.disturb = None

    async def _work(self, person: Person, deeds: int) -> None:
        draw = self._world.draw(f"{person.name} at work {person.actions}")
        for _ in range(deeds):
            if draw.random() >= self.shape.bursts:
                await trio.sleep(draw.random() ** 2 * self.shape.pause_s / (1 - self.shape.bursts))
            await person.act()

    def _disturb(self) -> None:
        share = self.shape.disturbed
        if not share:
            return
        for person, device in zip(self._people, self._world.devices.values(), strict=True):
            draw = self._world.draw(f"{person.name} in between")

            def perhaps(person: Person = person, draw: Random = draw) -> None:
                if draw.random() < share and self.figures["in between"] < self.shape.most_in_between:
                    self.figures["in between"] += 1
                    person.act_now()

            device.disturb = device.points.disturb = perhaps

    # --- calm ---------------------------------------------------------------------------------------------

    async def _calm(self) -> dict[str, bytes | None] | None:
        """What all have, where they came to rest as they must."""
        world = self._world
        own = {person.name: person.folder.tree_below(person.name) for person in self._people}
        began_s = trio.current_time()
        await world.watch.come_to_rest(FOLDER, UNASKED_S)
        tree = await world.converged(CALM_S)
        self.figures["calm_s"] += int(trio.current_time() - began_s)
        if tree is None:
            return None
        world.trace.happened(InStep(trio.current_time() - began_s))
        for name, before in own.items():
            after = {path: data for path, data in tree.items() if path.startswith(f"{name}/")}
            for path in sorted(before.keys() | after.keys()):
                if before.get(path, b"absent") != after.get(path, b"absent"):
                    world.fail(f"{path}, which only {name} writes to, is not as it was left")
        restarted = [one.name for one in world.devices.values() if one.lives != self._lives.get(one.name, 1)]
        self._lives = {one.name: one.lives for one in world.devices.values()}
        for wrong in check_at_rest(self._ledger, tree, restarted):
            world.fail(wrong)
        world.watch.tell(self._board.rest(tree))
        if world.failures:
            self._tell_lives()
        self.figures["copies"] += sum("conflicted copy" in path for path in tree)
        await world.watch.look_at_rest()
        self._ledger.revived(data for data in tree.values() if data is not None)
        world.check_programs()
        return None if world.failures else tree

    async def _handle_images(self, phase: int, tree: dict[str, bytes | None]) -> bool:
        """Maybe copy a machine's disk, or put a copy back while this and that goes wrong; whether all is as it was."""
        draw, world = self._world.draw(f"images of phase {phase}"), self._world
        if draw.random() < self.shape.images and await self._images.put_back():
            faults = Faults(world, self.shape.faults, self.shape.fault_s, self.figures, _IMAGES + phase, self._dropped)
            with trio.move_on_after(draw.random() * TROUBLE_S):
                await faults.run()
            await faults.put_right()
            self._fault_events += faults.events
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._images.confirm)
                found = await world.converged(CALM_S)
                nursery.cancel_scope.cancel()
            if found is not None and not is_unchanged(found, tree):
                changed = sorted(path for path in found | tree if found.get(path, b"-") != tree.get(path, b"-"))
                world.fail(f"a machine with an old copy of its disk has changed what there is: {changed}")
        if draw.random() < self.shape.images:
            await self._images.take()
        self._lives = {one.name: one.lives for one in world.devices.values()}
        world.check_programs()
        return not world.failures

    def _tell_lives(self) -> None:
        """Add what the journal has of the contents that failures are about."""
        serials = {int(number) for text in self._world.failures for number in re.findall(r"serial=(\d+)", text)}
        lines = {self._ledger.contents[serial].line for serial in serials}
        contents = [
            (f"content {one.serial} of {one.line}", one.data())
            for one in self._ledger.contents.values()
            if one.line in lines
        ]
        devices = self._world.devices.values()
        names = {bytes(device.home.read_identity().device): device.name for device in devices}
        self._world.failures.append("\n".join(told_lives(next(iter(devices)).home, contents, names)))

    async def _end(self) -> None:
        """Stand still, maybe have one more device, and look into the journal as the first device has it."""
        world = self._world
        tree = await world.converged(CALM_S)
        if tree is None or not await world.stored(CALM_S):
            return
        before = world.watch.activity()
        await trio.sleep(IDLE_S)
        for wrong in busy(before, world.watch.activity(), IDLE_S):
            world.fail(wrong)
        if self._draw.random() < NEWCOMERS:
            for site in world.net.sites.values():
                site.up.quality.resets = site.down.quality.resets = 0.0  # joining is asked once, by a person
            late = world.device("latecomer", world.site("the latecomer's home", Quality(latency_s=0.01)))
            await world.pair(late, next(iter(world.devices.values())))
            if await world.converged(CALM_S) != tree:
                world.fail("a device that comes late has something else")
        first = next(iter(self._world.devices.values()))
        await first.stop()
        areas = [rescue_area(device.disk) for device in world.devices.values()]
        rescued = {data for area in areas for data in area.tree().values() if data is not None}
        found = kept(self._ledger, first.home.path, rescued)
        for content in found.lost:
            self._world.fail(f"A2 lost update: not in the journal: {content}")
        if found.doubled_versions:
            self._world.fail(f"A12 not idempotent: {found.doubled_versions} versions are there twice")
        self.figures["versions"] += found.versions
        if self._world.draw("twin").random() < self.shape.twin:
            await self._live_twice(first)

    async def _live_twice(self, device: SimDevice) -> None:
        """A copy of that machine's disk is brought to life beside it, and people work at both."""
        world = self._world
        await device.start()
        twin = await bring_twin(world, device)
        person = self._make_person(twin)
        person.begin()
        async with trio.open_nursery() as nursery:
            for one in (self._people[0], person):
                one.is_twin = True
                nursery.start_soon(self._work, one, TWIN_DEEDS)
        going = await rest_of_twins(world, CALM_S)
        if going is None:
            world.fail("since two machines are one device they do not come to rest")
        else:
            self.figures["twins"] += 1
            check_twins(world, self._ledger, going)


def is_alone(seed: int | str) -> bool:
    """Whether the history of a seed is one without the coordinator, whatever is drawn."""
    return str(seed).isdecimal() and int(seed) in ALONE_SEEDS


def run_history(seed: int | str, *, trace: Trace | None = None, dropped: frozenset[str] = frozenset()) -> Outcome:
    """The history of a seed, whole, or without some of its events."""
    figures: Counter[str] = Counter()
    events: list[str] = []

    async def story(world: World) -> None:
        history = History(world, Shape.draw(world.draw("shape"), alone=is_alone(seed)), dropped)
        try:
            await history.run()
        finally:
            figures.update(history.figures)
            events.extend(history.events)

    outcome = run_world(str(seed), story, trace=trace)
    outcome.figures, outcome.events = dict(figures), events
    return outcome
