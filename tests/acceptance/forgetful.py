"""Power cuts: devices and the coordinator killed at random moments, and their disks put back to what was synced.

What is demanded: a commit that a device has seen in the journal is still the coordinator's after its cut; every content
that a user had synced is a version in the end; every block that is recorded is there and whole; nothing is in a folder
twice, nothing that was removed comes back, and at no moment was a part of a file to be seen.
"""

import argparse
import contextlib
import sqlite3
import threading
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random  # noqa: TID251 - drawn from a seed, which is an argument
from typing import Any, Final

from blake3 import blake3

from coordinator.storage.metadata_sql import METADATA_FILE
from peer.home import Home
from tests.acceptance.telling import demand, tell
from tests.common.fleet import Fleet, Host, Peer, open_fleet
from tests.common.processes import give
from tests.faults import saved
from tests.faults.power import Forgetful

LONGEST_S: Final = 0.7
"""A cut comes so long after the edits, at most."""


@dataclass
class Figures:
    """What a run did and found."""

    cuts: Counter[str] = field(default_factory=Counter)
    saved: int = 0
    looks: int = 0
    commits: int = 0
    blocks: int = 0
    files: int = 0


def run(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--cycles", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(arguments)
    figures = play(options.cycles, options.seed, told=True)
    tell("power cuts", ", ".join(f"{count} of {name}" for name, count in sorted(figures.cuts.items())))
    tell("contents that users had synced, all found again", f"{figures.saved:,}")
    tell("commits in the journal, none of them lost", f"{figures.commits:,}")
    tell("blocks recorded, all there and whole", f"{figures.blocks:,}")
    tell("files at the end, each once, on both devices", f"{figures.files:,}")
    tell("new states of files that were looked at, all whole", f"{figures.looks:,}")


def play(cycles: int, seed: int, *, told: bool = False) -> Figures:
    """Raises `NotShown`, or an assertion of the fleet's, where something is not as it should be."""
    draw, figures = Random(seed), Figures()
    with open_fleet() as fleet:
        red, blue = fleet.pair_of("red", "blue")
        for one in (red, blue, fleet.host):
            one.stop()
        machines = [_Machine(fleet, one, figures) for one in (fleet.host, red, blue)]
        for machine in machines:
            machine.victim.start()
        ledger = saved.Ledger(draw)
        with saved.Watcher([red.folder, blue.folder]) as watcher:
            for cycle in range(cycles):
                for machine in machines[1:]:
                    assert isinstance(machine.victim, Peer)
                    ledger.edit(machine.victim, cycle, machine.forgetful.synced)
                for _ in range(2):
                    threading.Event().wait(draw.random() * LONGEST_S)  # the moment of the fault
                    victims = machines if draw.random() < 0.2 else [draw.choice(machines)]
                    _cut(victims, [red, blue], draw, watcher)
                fleet.settle()
                demand(not watcher.partial, f"part of a file was to be seen: {watcher.partial[:3]}")
                if told and cycle % 10 == 9:
                    tell(f"cycles done: {cycle + 1}")
            fleet.settle()
            figures.looks = watcher.looks
        _check(fleet, red, blue, ledger, figures)
    return figures


class _Machine:
    """A program and its disks."""

    def __init__(self, fleet: Fleet, victim: Host | Peer, figures: Figures) -> None:
        self.victim = victim
        self.name = victim.name if isinstance(victim, Peer) else "coordinator"
        self.figures = figures
        place = fleet.place / f"kept of {self.name}"
        place.mkdir()
        give(place)
        roots = [victim.home, victim.folder] if isinstance(victim, Peer) else [victim.data]
        self.forgetful = Forgetful(place, roots)
        victim.env = self.forgetful.env


def _cut(victims: Sequence[_Machine], peers: Sequence[Peer], draw: Random, watcher: saved.Watcher) -> None:
    with watcher.lock:
        for machine in victims:
            machine.victim.kill()
        for machine in victims:
            machine.forgetful.cut(draw)
            machine.figures.cuts[machine.name] += 1
            if isinstance(machine.victim, Host):
                _demand_head(machine.victim, peers)
    for machine in victims:
        machine.victim.start()


def _demand_head(host: Host, peers: Sequence[Peer]) -> None:
    """What a device has verified is still the coordinator's."""
    ((head,),) = _rows(host.data / METADATA_FILE, "SELECT head_seq FROM workspaces")
    for peer in peers:
        ((seq,),) = _rows(Home.at(peer.home).database, "SELECT seq FROM workspaces")
        demand(seq <= head, f"{peer.name} has seen commit {seq}; the coordinator is back at {head}")


def _check(fleet: Fleet, red: Peer, blue: Peer, ledger: saved.Ledger, figures: Figures) -> None:
    for one in (red, blue, fleet.host):
        one.stop()
    for peer in (red, blue):
        lost = saved.lost(peer, ledger.saved)
        demand(not lost, f"{len(lost)} contents are lost, as {peer.name} knows it: {lost[:5]}")
        doubled = saved.doubled(peer.folder)
        demand(not doubled, f"{peer.name} has these twice: {doubled[:5]}")
        back = saved.resurrected(peer.folder, ledger.removed)
        demand(not back, f"{peer.name} has these again, which were removed: {back[:5]}")
    metadata = fleet.host.data / METADATA_FILE
    ((figures.commits,),) = _rows(metadata, "SELECT head_seq FROM workspaces")
    for peer in (red, blue):
        ((seq,),) = _rows(Home.at(peer.home).database, "SELECT seq FROM workspaces")
        demand(seq == figures.commits, f"{peer.name} ends at {seq}, the coordinator at {figures.commits}")
    places = _rows(
        metadata,
        "SELECT block, segments.name, position, length FROM blocks JOIN segments ON segments.id = segment "
        "WHERE state = 0",
    )
    for block, segment, position, length in places:
        with (fleet.host.data / "blocks" / segment).open("rb") as file:
            file.seek(position)
            demand(blake3(file.read(length)).digest() == block, f"block {block.hex()} is recorded and not there")
    missing = _rows(metadata, "SELECT block FROM block_refs WHERE block NOT IN (SELECT block FROM blocks)")
    demand(not missing, f"{len(missing)} blocks of versions are not recorded")
    figures.saved, figures.blocks = len(ledger.saved), len(places)
    figures.files = sum(1 for _ in saved.files(red.folder))


def _rows(path: Path, sql: str) -> list[Any]:
    # Whoever may write moves the log into the database when closing it, and that would be nobody's durable state.
    with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=60)) as database:
        return database.execute(sql).fetchall()
