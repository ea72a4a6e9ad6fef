"""An hour of three devices, with random people at work and faults: kills, stops, restarts, cut and silent lines.

About once a minute all faults end, all come to rest, and everything is compared: the folders with each other, and with
the ledger of what people did. Memory, descriptors, threads and tasks of each process are looked at then, and may not
grow: of one device and, in the second half, the coordinator the process stays the same. Shorter times of work between
rests and a coordinator that is never ended (`--phase 15 --keep-coordinator`) make a long life of its in less time.
"""

import argparse
import time
from collections.abc import Sequence

from tests.acceptance.telling import NotShown, demand, tell
from tests.common.fleet import open_fleet
from tests.common.turbulence import PHASE_S, Figures, live
from tests.common.vitals import growth
from tests.common.wire import open_wire

MINUTES = 60.0
LONG_LOOKS = 4
"""Growth is judged over at least so many rests, but for the first of a process, when it may still be warming up."""


def run(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--minutes", type=float, default=MINUTES, help="how long people work, rests included")
    parser.add_argument("--seed", type=int, default=time.monotonic_ns() % 1_000_000, help="what all is drawn from")
    parser.add_argument("--phase", type=float, default=PHASE_S, metavar="SECONDS", help="from one rest to the next")
    parser.add_argument("--keep-coordinator", action="store_true", help="never end it, only stop it and its lines")
    options = parser.parse_args(arguments)
    tell("seed", options.seed)
    try:
        with open_wire(forgets=True) as wire, open_fleet(wire) as fleet:
            figures = live(
                fleet,
                wire,
                options.seed,
                options.minutes * 60,
                _tell_phase,
                phase_s=options.phase,
                ends_coordinator=not options.keep_coordinator,
            )
    except AssertionError as failure:
        raise NotShown(f"with seed {options.seed}: {failure}") from failure
    _tell(figures)
    grown = _tell_vitals(figures)
    demand(not grown, "; ".join(grown))


def _tell_phase(figures: Figures) -> None:
    if figures.phases % 5 == 0:
        tell(f"rest {figures.phases}: equal, nothing lost, nothing doubled", f"{figures.faults.total()} faults so far")


def _tell(figures: Figures) -> None:
    assert figures.kept is not None
    for name, count in sorted(figures.faults.items()):
        tell(f"faults: {name}", count)
    tell("rests at which everything was compared", figures.phases)
    longest_s, mean_s = max(figures.rest_s), sum(figures.rest_s) / len(figures.rest_s)
    tell("until all rested and was compared: mean, longest", f"{mean_s:.1f} s, {longest_s:.1f} s")
    tell("things that people did, at the three devices", f"{figures.actions:,}")
    tell("contents written", f"{figures.contents:,}")
    tell("of these gone by the same hand before they were seen", f"{figures.kept.unseen:,}")
    tell("lost", len(figures.kept.lost))
    tell(
        "versions in the journal", f"{figures.kept.versions:,}, {figures.kept.doubled_versions} equal to the one before"
    )
    tell("contents in the history of more than one file", figures.kept.entries_twice)
    tell("conflicted copies, all of edits that met", figures.copies)
    tell("times that all paths were looked at, files read", f"{figures.rounds:,}, {figures.reads:,}")


def _tell_vitals(figures: Figures) -> list[str]:
    grown: list[str] = []
    for name, looks in figures.lifetimes.longest().items():
        warm = looks[1:] if len(looks) > LONG_LOOKS else looks
        tell(f"{name}, process of {len(looks)} rests: at the first", looks[0])
        tell("  when warm", warm[0])
        tell("  at the last", looks[-1])
        tell("  its memory grew by", f"{(looks[-1].rss_bytes - warm[0].rss_bytes) / 2**20:+.1f} MiB")
        tell("  most of any of its processes", figures.lifetimes.most(name))
        if len(warm) >= LONG_LOOKS:
            grown += [f"{name}: {each}" for each in growth(warm)]
    return grown
