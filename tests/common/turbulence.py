"""Hours of people's work and faults on three devices, with rests at which everything is compared.

`green` is never ended and the coordinator not in the second half, or not at all, so that what grows in a long life
shows. Everything is drawn from a seed; what a moment meets depends on the machine.
"""

import contextlib
import random  # noqa: TID251 - drawn from a seed
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from simulations.checkers.a02_lost_update import Kept, kept
from simulations.ledger import Ledger
from tests.common.editing import SHARED, Person
from tests.common.fleet import Fleet, Host, Peer
from tests.common.killing import check_rest
from tests.common.vitals import Lifetimes
from tests.common.wire import Wire
from tests.common.witness import open_witness

SIZES = (120,) * 8 + (700,) * 8 + (3_000,) * 12 + (40_000,) * 6 + (200_000,) * 4 + (2_000_000,) * 2
BIG_BYTES = 30_000_000
BIG_EVERY_S = 90.0
PHASE_S = 50.0
"""How long a time of work and faults is, where nothing else is said. Each is followed by a rest."""
ACTION_S = 0.3
"""The longest that nobody does anything."""
FAULT_S = 4.0
"""The longest that no fault begins."""
AWAY_S = 12.0
"""The longest that a fault lasts, but for every tenth one, which lasts up to three times as long."""


@dataclass
class Figures:
    """What was done and found."""

    faults: Counter[str] = field(default_factory=Counter)
    phases: int = 0
    actions: int = 0
    contents: int = 0
    copies: int = 0
    rounds: int = 0
    reads: int = 0
    rest_s: list[float] = field(default_factory=list)
    lifetimes: Lifetimes = field(default_factory=Lifetimes)
    kept: Kept | None = None


class Faults:
    """What is wrong now, and when it is put right."""

    def __init__(self, fleet: Fleet, wire: Wire, draw: random.Random, counted: Counter[str]) -> None:
        self._fleet, self._wire, self._draw, self._counted = fleet, wire, draw, counted
        self._undo: dict[object, tuple[float, Callable[[], None]]] = {}
        self.coordinator_too = True

    def begin(self) -> None:
        """One more thing goes wrong, unless its victim is down already."""
        red, blue, green = self._fleet.peers
        choices: list[tuple[str, object, Callable[[], Callable[[], None]]]] = [
            ("the line cut", self._wire, self._cut),
            ("the line silent", self._wire, self._silence),
            *(("a device stopped", peer, lambda peer=peer: self._stop(peer)) for peer in (red, blue, green)),
            *(("a device killed", peer, lambda peer=peer: self._kill(peer)) for peer in (red, blue)),
        ]
        host = self._fleet.host
        if self.coordinator_too:
            choices += [
                ("the coordinator killed", host, lambda: self._kill(host)),
                ("the coordinator restarted", host, lambda: self._end(host)),
            ]
        choices.append(("the coordinator stopped", host, lambda: self._stop(host)))
        name, victim, begin = self._draw.choice(choices)
        if victim in self._undo:
            return
        lasts_s = self._draw.random() * AWAY_S * (3 if self._draw.random() < 0.1 else 1)
        self._undo[victim] = (time.monotonic() + lasts_s, begin())
        self._counted[name] += 1

    def put_right(self, *, all_of_them: bool = False) -> None:
        """End what is due."""
        for victim, (ends, undo) in list(self._undo.items()):
            if all_of_them or time.monotonic() > ends:
                del self._undo[victim]
                undo()

    def _cut(self) -> Callable[[], None]:
        self._wire.refuse()
        return self._wire.restore

    def _silence(self) -> Callable[[], None]:
        self._wire.silence()
        return self._wire.restore

    def _stop(self, victim: Peer | Host) -> Callable[[], None]:
        victim.program.signal(signal.SIGSTOP)
        return lambda: victim.program.signal(signal.SIGCONT)

    def _kill(self, victim: Peer | Host) -> Callable[[], None]:
        victim.kill()
        return victim.start

    def _end(self, victim: Peer | Host) -> Callable[[], None]:
        victim.stop()
        return victim.start


def live(
    fleet: Fleet,
    wire: Wire,
    seed: int,
    duration_s: float,
    tell: Callable[[Figures], None] = lambda _: None,
    *,
    phase_s: float = PHASE_S,
    ends_coordinator: bool = True,
) -> Figures:
    """Let people work and things fail for so long. Fails where a promise is broken at a rest."""
    draw, ledger, figures = random.Random(seed), Ledger(), Figures()
    devices = fleet.pair_of("red", "blue", "green", fill=lambda folder: (folder / SHARED).mkdir())
    people = [Person(peer, ledger, draw, SIZES) for peer in devices]
    for person in people:
        person.begin()
    faults = Faults(fleet, wire, draw, figures.faults)
    began = time.monotonic()
    with open_witness(people, ledger) as witness:
        while time.monotonic() < began + duration_s:
            faults.coordinator_too = ends_coordinator and time.monotonic() < began + duration_s / 2
            _turbulent(people, faults, draw, phase_s)
            rested = time.monotonic()
            witness.check()
            figures.copies += check_rest(fleet, people, ledger)
            figures.rest_s.append(time.monotonic() - rested)
            figures.phases += 1
            for name, program in ((peer.name, peer.program) for peer in fleet.peers):
                figures.lifetimes.look(name, program)
            figures.lifetimes.look("coordinator", fleet.host.program)
            figures.actions, figures.contents = sum(person.actions for person in people), len(ledger.contents)
            figures.rounds, figures.reads = witness.rounds, witness.reads
            tell(figures)
            draw.choice(people).delete_copies()
        fleet.settle()
    devices[0].stop()
    figures.kept = kept(ledger, devices[0].home)
    assert not figures.kept.lost, f"lost: {figures.kept.lost[:5]}"
    assert not figures.kept.doubled_versions, f"{figures.kept.doubled_versions} versions are there twice"
    return figures


def _turbulent(people: list[Person], faults: Faults, draw: random.Random, phase_s: float) -> None:
    """Work and faults, one phase long; all is right again at the end."""
    ends = time.monotonic() + phase_s
    big = time.monotonic() + draw.random() * BIG_EVERY_S
    fault = time.monotonic() + draw.random() * FAULT_S
    with _put_right(faults):
        while (now := time.monotonic()) < ends:
            person = draw.choice(people)
            if now > big:
                person.write_big(BIG_BYTES)
                big = ends
            person.act()
            if now > fault:
                faults.begin()
                fault = now + draw.random() * FAULT_S
            faults.put_right()
            threading.Event().wait(draw.random() * ACTION_S)  # people's pace, not a synchronisation


@contextlib.contextmanager
def _put_right(faults: Faults) -> Iterator[None]:
    try:
        yield
    finally:
        faults.put_right(all_of_them=True)
