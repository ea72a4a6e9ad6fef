"""Many histories, on all cores. Owns in which processes they run, and what came of an exploration.

It goes in rounds, each in fresh processes. What is run twice has its second run when all of its round had their first,
in fresh processes again: always in another process, under another hash seed.
"""

import gc
import multiprocessing
import os
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from simulations.explorations import Line, is_twice
from simulations.histories import run_history
from simulations.scratch import sweep_scratch
from simulations.world import Outcome

LIVES: Final = 100
"""So many histories of a round, for each process."""


@dataclass
class Account:
    """What came of an exploration so far."""

    seeds: range
    jobs: int = 1
    histories: int = 0
    twice: int = 0
    failed: list[int] = field(default_factory=list)
    unequal: list[int] = field(default_factory=list)
    """Seeds of which two runs were not the same."""
    virtual_s: float = 0.0
    wall_s: float = 0.0
    figures: Counter[str] = field(default_factory=Counter)

    @property
    def per_minute(self) -> float:
        """Runs a minute."""
        return (self.histories + self.twice) * 60 / self.wall_s if self.wall_s else 0.0

    @property
    def ratio(self) -> float:
        """Virtual seconds a real one."""
        return self.virtual_s / self.wall_s if self.wall_s else 0.0

    def line(self, commit: str) -> Line:
        """For the ledger, where no round is under way."""
        return Line(
            self.seeds[: self.histories],
            commit,
            self.histories,
            self.twice,
            tuple(self.failed),
            tuple(self.unequal),
            self.virtual_s,
            self.wall_s,
            self.jobs,
            self.figures["alone"],
        )


class Exploration:
    """The histories of these seeds; `told` is called after each run.

    Ends early, between two rounds, after `within_s` or after so many failures (0: never).
    """

    def __init__(
        self,
        seeds: range,
        jobs: int,
        told: Callable[[Account, Outcome], None],
        *,
        most_failures: int = 0,
        within_s: float = float("inf"),
    ) -> None:
        self.account = Account(seeds, jobs)
        self.settled = Account(seeds, jobs)
        """The account as of the end of the last round: all that counts where the exploration is cut short."""
        self._told = told
        self._most_failures = most_failures
        self._within_s = within_s
        self._digests: dict[int, str] = {}
        self._began_s = 0.0

    def run(self) -> Account:
        """Do it."""
        sweep_scratch()
        self._began_s = time.monotonic()
        for seeds in self._rounds():
            self._run_all(seeds)
            self._run_all([seed for seed in seeds if seed in self._digests])
            self._settle()
            if self._is_over():
                break
        return self.settled

    def _rounds(self) -> Iterator[range]:
        seeds, size = self.account.seeds, LIVES * self.account.jobs
        for at in range(0, len(seeds), size):
            yield seeds[at : at + size]

    def _is_over(self) -> bool:
        failures = len(self.account.failed)
        return self.account.wall_s >= self._within_s or bool(self._most_failures and failures >= self._most_failures)

    def _run_all(self, seeds: Sequence[int]) -> None:
        if not seeds:
            return
        jobs = min(self.account.jobs, len(seeds))
        with multiprocessing.get_context("spawn").Pool(jobs, _begin) as pool:
            for outcome in pool.imap_unordered(_run, seeds):
                self._take(outcome)

    def _settle(self) -> None:
        account = self.account
        self.settled = replace(
            account, failed=[*account.failed], unequal=[*account.unequal], figures=Counter(account.figures)
        )

    def _take(self, outcome: Outcome) -> None:
        account, seed = self.account, int(outcome.seed)
        account.wall_s = time.monotonic() - self._began_s
        account.virtual_s += outcome.virtual_s
        if seed in self._digests:
            account.twice += 1
            if self._digests.pop(seed) != outcome.digest:
                account.unequal.append(seed)
                outcome.failures.append("its two runs were not the same")
        else:
            account.histories += 1
            account.figures.update(outcome.figures)
            if is_twice(seed - account.seeds.start):
                self._digests[seed] = outcome.digest
        if outcome.failures and seed not in account.failed:
            account.failed.append(seed)
        self._told(account, outcome)


def _begin() -> None:
    """What a worker process has loaded lives on, and garbage is looked for only between histories."""
    gc.collect()
    gc.freeze()
    gc.disable()


def _run(seed: int) -> Outcome:
    outcome = run_history(seed)
    gc.collect()
    return outcome


def jobs_here() -> int:
    """One process for each core that this one may use."""
    return len(os.sched_getaffinity(0))
