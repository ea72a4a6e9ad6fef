"""Every mistake on trial, one a process, and the program as it is with the same attempts. Owns what counts as found."""

import gc
import multiprocessing
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from simulations.mutants.finders import Finder
from simulations.mutants.mutant import introduced
from simulations.mutants.register import MUTANTS

BUDGET: Final = 60
"""So many attempts are made to find a mistake: histories, stories or crash points."""
UNCHANGED: Final = ""
"""Stands for the program without a mistake."""


@dataclass(frozen=True)
class Trial:
    """What came of the search for one mistake, or for none (`mutant` is empty) with a finder."""

    mutant: str
    finder: str
    unit: str
    attempts: int
    reached: int
    """How often the mistake took effect."""
    seconds: float
    failures: tuple[str, ...]

    @property
    def is_good(self) -> bool:
        """A mistake was made and found; or there was none, and none was found."""
        return bool(self.failures and self.reached) if self.mutant else not self.failures

    @property
    def finding(self) -> str:
        """The first failure in a line."""
        return self.failures[0].splitlines()[0] if self.failures else ""


def try_all(names: Sequence[str], budget: int, jobs: int, told: Callable[[Trial], None]) -> list[Trial]:
    """Look for each of these mistakes, then make the same attempts without any; `told` is called after each."""
    trials: list[Trial] = []
    for stage, lives in ((_mutated(names, budget), 1), (_unchanged(names, trials), None)):
        with multiprocessing.get_context("spawn").Pool(
            jobs, gc.set_threshold, (50_000, 20, 50), maxtasksperchild=lives
        ) as pool:
            for trial in pool.imap_unordered(_try, stage):
                trials.append(trial)
                told(trial)
    return trials


def _mutated(names: Iterable[str], budget: int) -> Iterator[tuple[str, str, int]]:
    for name in names:
        yield name, MUTANTS[name].finder.name, budget


def _unchanged(names: Iterable[str], trials: Sequence[Trial]) -> Iterator[tuple[str, str, int]]:
    most: dict[str, int] = {}
    for trial in trials:
        most[trial.finder] = max(trial.attempts, most.get(trial.finder, 0))
    for finder in dict.fromkeys(MUTANTS[name].finder.name for name in names):
        yield UNCHANGED, finder, most[finder]


def _try(task: tuple[str, str, int]) -> Trial:
    name, finder, budget = task
    return try_one(name, _finder(finder), budget)


def try_one(name: str, finder: Finder, budget: int) -> Trial:
    """Look for one mistake (or none) in this process; the program is as it was afterwards."""
    changes = MUTANTS[name].changes if name else ()
    began_s = time.monotonic()
    with introduced(changes) as reached:
        finding = finder.search(budget)
    seconds = time.monotonic() - began_s
    return Trial(name, finder.name, finder.unit, finding.attempts, reached.times, seconds, finding.failures)


def _finder(name: str) -> Finder:
    return next(mutant.finder for mutant in MUTANTS.values() if mutant.finder.name == name)
