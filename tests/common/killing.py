"""Programs killed at random moments while people work, and what must hold whenever they rest.

The moments, the victims and the work are drawn from a seed; what a moment meets depends on the machine.
"""

import contextlib
import random  # noqa: TID251 - drawn from a seed
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from peer.control.client import NoDaemon
from simulations.checkers.a02_lost_update import Kept, kept
from simulations.checkers.at_rest import check_at_rest
from simulations.ledger import Ledger
from tests.common.editing import SHARED, Person
from tests.common.fleet import Fleet, Host, Peer, Tree, read_contents, read_tree
from tests.common.witness import open_witness

SIZES = (120, 700, 3_000, 3_000, 40_000, 200_000, 2_000_000)
PAUSE_S = 0.6
"""The longest time between two kills, but for what starting takes."""


@dataclass
class Figures:
    """What was done and found."""

    phases: int = 0
    kills: dict[str, int] = field(default_factory=dict)
    starting: int = 0
    """Kills of a program within its first moments, besides those in `kills`."""
    syncing: int = 0
    """Of the kills of devices, those of one that said just before that it was not at rest."""
    actions: int = 0
    copies: int = 0
    rounds: int = 0
    reads: int = 0
    contents: int = 0
    kept: Kept | None = None


def kill_at_random(
    fleet: Fleet,
    seed: int,
    *,
    peers: int,
    hosts: int,
    per_phase: int = 12,
    tell: Callable[[Figures], None] = lambda _: None,
) -> Figures:
    """Kill so many devices' and coordinators' processes, resting between phases. Fails where a promise is broken."""
    draw, ledger, figures = random.Random(seed), Ledger(), Figures(kills={"coordinator": 0})
    devices = fleet.pair_of("red", "blue", fill=lambda folder: (folder / SHARED).mkdir())
    people = [Person(peer, ledger, draw, SIZES) for peer in devices]
    for person in people:
        person.begin()
        figures.kills[person.peer.name] = 0
    victims: list[Host | Peer] = [devices[number % 2] for number in range(peers)] + [fleet.host] * hosts
    draw.shuffle(victims)
    with open_witness(people, ledger) as witness:
        while victims:
            now, victims = victims[:per_phase], victims[per_phase:]
            while now:
                _kill(draw, people, [now.pop() for _ in range(draw.choice((1, 1, 1, 2))) if now], figures)
            figures.phases += 1
            witness.check()
            figures.copies += check_rest(fleet, people, ledger)
            figures.actions = sum(person.actions for person in people)
            figures.rounds, figures.reads, figures.contents = witness.rounds, witness.reads, len(ledger.contents)
            tell(figures)
            draw.choice(people).delete_copies()
        fleet.settle()
    devices[0].stop()
    figures.kept = kept(ledger, devices[0].home)
    assert not figures.kept.lost, f"lost: {figures.kept.lost[:5]}"
    assert not figures.kept.doubled_versions, f"{figures.kept.doubled_versions} versions are there twice"
    return figures


def check_rest(fleet: Fleet, people: list[Person], ledger: Ledger) -> int:
    """Let all come to rest and compare with the ledger; the number of conflicted copies.

    What somebody has in the directory that nobody else writes to is afterwards everywhere as it was before.
    """
    own = {person.peer.name: read_tree(person.own) for person in people}
    tree = fleet.settle()
    for name, before in own.items():
        assert _below(tree, name) == before, (
            f"what only {name} writes to is not as it was left: {_differing(tree, name, before)}"
        )
    contents = read_contents(people[0].peer.folder)
    wrong = check_at_rest(ledger, contents, [person.peer.name for person in people if person.take_restarted()])
    assert not wrong, f"{len(wrong)} things are not as they must be:\n" + "\n".join(wrong[:10])
    ledger.revived(data for data in contents.values() if data is not None)
    return sum("conflicted copy" in path for path in contents)


def _kill(draw: random.Random, people: list[Person], victims: list[Host | Peer], figures: Figures) -> None:
    """Some work, a moment, the kill, some more work, and the start."""
    _work(draw, people, 16)
    threading.Event().wait(draw.random() * PAUSE_S)  # the moment of the fault, not a synchronisation
    for victim in victims:
        if isinstance(victim, Peer):
            with contextlib.suppress(NoDaemon):
                figures.syncing += victim.workspace.state != "up_to_date"
        victim.kill()
        figures.kills["coordinator" if isinstance(victim, Host) else victim.name] += 1
        if draw.random() < 0.2:
            victim.launch()
            threading.Event().wait(draw.random() * PAUSE_S)  # the moment of the fault
            victim.kill()
            figures.starting += 1
    _work(draw, people, 6)
    for victim in dict.fromkeys(victims):
        victim.start()


def _work(draw: random.Random, people: list[Person], most: int) -> None:
    for _ in range(draw.randrange(most)):
        draw.choice(people).act()


def _below(tree: Tree, name: str) -> Tree:
    return {path.removeprefix(f"{name}/"): one for path, one in tree.items() if path.startswith(f"{name}/")}


def _differing(tree: Tree, name: str, before: Tree) -> list[str]:
    after = _below(tree, name)
    paths = sorted(path for path in before.keys() | after.keys() if before.get(path) != after.get(path))
    return [f"{path}: {before.get(path)} | {after.get(path)}" for path in paths[:10]]
