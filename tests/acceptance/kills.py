"""kill -9 of devices and coordinator at random moments while people work on both devices, against a ledger.

At each rest all folders are equal, and alive are exactly the contents that nobody replaced or deleted, each once: so
nothing is lost, doubled or came back. All the time somebody reads what is at people's paths: never a piece.
"""

import argparse
import time
from collections.abc import Sequence

from tests.acceptance.telling import NotShown, demand, tell
from tests.common.fleet import open_fleet
from tests.common.killing import Figures, kill_at_random

PEERS, HOSTS = 304, 104


def run(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument(
        "--kills", type=int, default=PEERS + HOSTS, help="how many in all; a quarter of the coordinator"
    )
    parser.add_argument("--seed", type=int, default=int(time.monotonic_ns() % 1_000_000), help="what all is drawn from")
    options = parser.parse_args(arguments)
    hosts = options.kills * HOSTS // (PEERS + HOSTS)
    tell("seed", options.seed)
    try:
        with open_fleet() as fleet:
            figures = kill_at_random(fleet, options.seed, peers=options.kills - hosts, hosts=hosts, tell=_tell_phase)
    except AssertionError as failure:
        raise NotShown(f"with seed {options.seed}: {failure}") from failure
    _tell(figures)
    demand(sum(figures.kills.values()) >= options.kills, "there were too few kills")


def _tell_phase(figures: Figures) -> None:
    if figures.phases % 5 == 0:
        tell(
            f"rest {figures.phases}: equal, nothing lost, nothing doubled",
            f"{sum(figures.kills.values())} kills so far",
        )


def _tell(figures: Figures) -> None:
    assert figures.kept is not None
    for name, count in figures.kills.items():
        tell(f"kills of {name}", count)
    tell("killed again in the first moments of a start", figures.starting)
    tell("kills of a device that said it was not at rest", figures.syncing)
    tell("rests at which everything was compared", figures.phases)
    tell("things that people did, at either device", f"{figures.actions:,}")
    tell("contents written", f"{figures.contents:,}")
    tell("of these replaced or deleted by the same hand before they were seen", f"{figures.kept.unseen:,}")
    tell("lost", len(figures.kept.lost))
    tell("versions in the journal", f"{figures.kept.versions:,}")
    tell("of these equal to the one before", figures.kept.doubled_versions)
    tell("contents in the history of more than one file", figures.kept.entries_twice)
    tell("conflicted copies, all of edits that met", figures.copies)
    tell("times that all paths were looked at, files read", f"{figures.rounds:,}, {figures.reads:,}")
    tell("pieces of contents or strange names at people's paths", 0)
    tell("tracebacks or errors in a log", 0)
