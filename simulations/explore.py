"""Many histories, on all cores, and an honest account of them. Owns the ledger file of explorations.

A ledger line says which seeds were run at which commit, how many failed, and how many were run twice and compared.
"""

import gc
import json
import multiprocessing
import os
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from simulations.histories import run_history
from simulations.world import Outcome

ALWAYS_TWICE: Final = 1_000
"""So many seeds of an exploration are run twice; afterwards every twentieth."""
EVERY: Final = 20
LIVES: Final = 50
"""After so many histories a worker process is replaced by a fresh one, with another hash seed."""


@dataclass
class Account:
    """What came of an exploration."""

    first: int
    last: int
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
        """Histories a minute."""
        return (self.histories + self.twice) * 60 / self.wall_s if self.wall_s else 0.0

    @property
    def ratio(self) -> float:
        """Virtual seconds a real one."""
        return self.virtual_s / self.wall_s if self.wall_s else 0.0


def is_twice(number: int) -> bool:
    """Whether the exploration's history of this number is run twice."""
    return number < ALWAYS_TWICE or number % EVERY == 0


def explore(
    seeds: range, jobs: int, told: Callable[[Account, Outcome], None], *, twice: bool = True, most_failures: int = 0
) -> Account:
    """Run the histories of these seeds; `told` is called after each. Ends early after so many failures (0: never)."""
    account, began_s = Account(seeds.start, seeds.stop - 1), time.monotonic()
    digests: dict[int, str] = {}
    with multiprocessing.get_context("spawn").Pool(jobs, _begin, maxtasksperchild=LIVES) as pool:
        for outcome in pool.imap_unordered(_run, _tasks(seeds, twice)):
            seed = int(outcome.seed)
            account.wall_s = time.monotonic() - began_s
            account.virtual_s += outcome.virtual_s
            if seed in digests:
                account.twice += 1
                if digests.pop(seed) != outcome.digest:
                    account.unequal.append(seed)
                    outcome.failures.append("its two runs were not the same")
            else:
                account.histories += 1
                account.figures.update(outcome.figures)
                if twice and is_twice(seed - seeds.start):
                    digests[seed] = outcome.digest
            if outcome.failures and seed not in account.failed:
                account.failed.append(seed)
            told(account, outcome)
            if most_failures and len(account.failed) >= most_failures:
                pool.terminate()
                break
    account.wall_s = time.monotonic() - began_s
    return account


def _tasks(seeds: range, twice: bool) -> Iterator[int]:
    for number, seed in enumerate(seeds):
        yield seed
        if twice and is_twice(number):
            yield seed


def _begin() -> None:
    """What a worker process has loaded lives on: it is not looked through for garbage all the time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)


def _run(seed: int) -> Outcome:
    return run_history(seed)


def write_line(ledger: Path, account: Account) -> None:
    """Add a line to a ledger file."""
    line: dict[str, Any] = {
        "seeds": [account.first, account.last],
        "commit": commit(),
        "histories": account.histories,
        "twice": account.twice,
        "failed": sorted(account.failed),
        "unequal": sorted(account.unequal),
        "virtual_s": round(account.virtual_s),
        "wall_s": round(account.wall_s, 1),
    }
    with ledger.open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")


def totals(ledger: Path) -> dict[str, int]:
    """What a ledger file adds up to."""
    found: Counter[str] = Counter(explorations=0, histories=0, twice=0, failed=0, unequal=0)
    for text in ledger.read_text(encoding="utf-8").splitlines():
        line = json.loads(text)
        found["explorations"] += 1
        for name in ("histories", "twice"):
            found[name] += line[name]
        for name in ("failed", "unequal"):
            found[name] += len(line[name])
    return dict(found)


def commit() -> str:
    """The checkout's commit, with `+` where something in it is changed; empty where there is none."""
    here = Path(__file__).parent
    asked: Sequence[str] = ("git", "-C", os.fspath(here), "describe", "--always", "--dirty=+", "--abbrev=12")
    try:
        return subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""
