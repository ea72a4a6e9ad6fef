"""The shows that there are: what each promises, whether it is short enough for every run of CI, and where it is."""

import importlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import cast

Run = Callable[[Sequence[str]], None]
"""Runs a show with its own arguments. Raises `NotShown` if what it promises does not hold."""


@dataclass(frozen=True)
class Show:
    """One promise, shown by the installed programs on real input."""

    name: str
    promise: str
    is_short: bool

    def load(self) -> Run:
        """Its `run`, imported when it is wanted."""
        module = importlib.import_module(f"tests.acceptance.{self.name.replace('-', '_')}")
        return cast(Run, module.run)


SHOWS = (
    Show("fresh-clone", "from a fresh clone with an empty cache: the demonstration, then every test", False),
    Show("real-tree", "15,000 files and one of 1 GiB: two devices, both directions, equal, small, near rsync", False),
    Show("cut-upload", "an upload cut at any byte goes on at the next block, and no block is sent twice", True),
    Show("confidential", "neither the coordinator's data nor its traffic has a name, a content or a key in it", True),
    Show("forgetful", "power cuts that forget what was not synced: nothing acknowledged is lost or torn", False),
    Show("planner", "100,000 generated cases keep every promise of the planner, each counted by name", True),
    Show(
        "kills", "kill -9 of devices and coordinator, 400 times, against a ledger: nothing lost, nothing doubled", False
    ),
    Show("mutants", "known mistakes, each put into the program by itself, are all found by the simulator", False),
    Show(
        "crash-points", "small workloads, ended at every point or with any disk call failing: all is well after", False
    ),
    Show("hundred-devices", "a hundred devices in one simulated world, in less than a minute", True),
    Show(
        "lan-first",
        "a long file is beside at the LAN's speed, while a narrow line still carries it",
        False,
    ),
    Show("nobody", "what nobody has who can be reached: the version before is shown, and waiting ends with 5", False),
    Show("swarm", "five devices take one new file, and its author sends at most one and a half copies", True),
    Show("alone", "a working session without the coordinator is on all devices, and in order when it is back", True),
    Show("capture", "what passes on a LAN, looked through frame by frame, has no name, id or content in clear", True),
    Show("hostile-lan", "strangers, forgers, floods and bad members on one LAN: nothing gained, nothing lost", True),
    Show("hour", "an hour of people and faults on three devices: nothing lost or doubled, and nothing grows", False),
    Show(
        "table", "which tests stand for which row of the merge table, code of a problem and fault; what is left", True
    ),
    Show(
        "scenario",
        "the example of docs/simulation.md, as a newcomer runs it: as expected, with a page that is whole",
        True,
    ),
    Show("explore", "simulated worlds: fixed histories the same in two runs, fresh ones, and none fails", True),
    Show("kept-seeds", "the seeds of all failures that explorations have found, run again: none fails", True),
    Show("explored", "20,000 explored histories in the account, 2,000 of them on this commit, no failure open", False),
)
