"""A failing history made small: events are left out while it fails in the same way. Owns the search and the case file.

Delta debugging (A. Zeller and R. Hildebrandt, "Simplifying and Isolating Failure-Inducing Input", 2002) on the names of
events. Leaving one out does not change what else is drawn, though it may change what that meets.
"""

import math
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from simulations.explorations import commit
from simulations.histories import run_history
from simulations.world import Outcome

_KIND_CHARS = 24
"""So much of a failure's beginning says which kind it is of."""


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """A history, maybe without some of its events, that fails at a commit."""

    seed: str
    commit: str
    failure: str
    dropped: tuple[str, ...] = ()

    def run(self) -> Outcome:
        """Let it happen."""
        return run_history(self.seed, dropped=frozenset(self.dropped))


def write_case(path: Path, case: Case) -> None:
    """Keep a case in a small JSON file."""
    path.write_bytes(msgspec.json.format(msgspec.json.encode(case), indent=1) + b"\n")


def read_case(path: Path) -> Case:
    """Such a file. Raises `OSError` or `msgspec.DecodeError`."""
    return msgspec.json.decode(path.read_bytes(), type=Case)


def kind_of(outcome: Outcome) -> str:
    """What kind of failure it is; empty where there is none."""
    return outcome.failures[0][:_KIND_CHARS] if outcome.failures else ""


def shrink(
    seed: str, told: Callable[[int, int], None], *, within_s: float = math.inf, most_runs: float = math.inf
) -> Case | None:
    """The smallest case found in so much real time and so many runs; None where the seed does not fail.

    `told` is called with how many events are left and how many runs there were, whenever there are fewer.
    """
    first = run_history(seed)
    if not first.failures:
        return None
    wanted, best, ends_s, runs = kind_of(first), first, time.monotonic() + within_s, 1
    dropped: frozenset[str] = frozenset()
    size = max(1, len(best.events) // 2)
    while size and time.monotonic() < ends_s and runs < most_runs:
        progress = False
        for part in _parts(best.events, size):
            if time.monotonic() >= ends_s or runs >= most_runs:
                break
            tried = dropped | frozenset(part)
            outcome, runs = run_history(seed, dropped=tried), runs + 1
            if kind_of(outcome) == wanted and len(outcome.events) < len(best.events):
                dropped, best, progress = tried, outcome, True
                told(len(best.events), runs)
                break
        if not progress:
            size //= 2
        else:
            size = min(size, max(1, len(best.events) // 2))
    return Case(seed=seed, commit=commit(), failure=best.failures[0], dropped=tuple(sorted(dropped)))


def _parts(events: Sequence[str], size: int) -> list[Sequence[str]]:
    return [events[at : at + size] for at in range(0, len(events), size)]
