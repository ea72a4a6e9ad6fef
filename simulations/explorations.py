"""An honest account of all explorations: a file with a line for each. Owns the file, and what it adds up to.

A line says which seeds were run at which commit and what came of them. A seed means the same history only at the same
commit, so no two lines of one commit may have a seed in common. What was run in a changed checkout is not counted: no
one could run it again. Which histories are run twice is a rule: where fewer were, there is no new line. A failure is
open until a line says by what it was closed.
"""

import json
import subprocess
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NamedTuple

ALWAYS_TWICE: Final = 1_000
"""So many seeds of an exploration are run twice; afterwards every twentieth."""
EVERY: Final = 20
CHANGED: Final = "+"
"""What a commit ends with where the checkout was not as committed."""
_SHOWN: Final = 12
_PACKAGES: Final = ("coordinator", "peer", "protocol", "chunking", "crypto", "simulations")
_PROGRAMS: Final = (*(f":(glob){package}/**/*.py" for package in _PACKAGES), "requirements.lock")


def is_twice(number: int) -> bool:
    """Whether the exploration's history of this number is run twice."""
    return number < ALWAYS_TWICE or number % EVERY == 0


class BadLedger(Exception):
    """The file cannot be counted, or a line would make it so; the text says why."""


@dataclass(frozen=True)
class Line:
    """One exploration."""

    seeds: range
    commit: str
    histories: int
    twice: int
    failed: tuple[int, ...]
    unequal: tuple[int, ...]
    virtual_s: float
    wall_s: float
    jobs: int = 1
    alone: int = 0
    """Histories in which devices beside each other went on while the coordinator was away."""

    @property
    def is_counted(self) -> bool:
        """Whether somebody could run the same again."""
        return bool(self.commit) and not self.commit.endswith(CHANGED)

    def packed(self) -> dict[str, Any]:
        """As it is in the file."""
        return {
            "seeds": [self.seeds.start, self.seeds.stop - 1],
            "commit": self.commit,
            "histories": self.histories,
            "twice": self.twice,
            "failed": sorted(self.failed),
            "unequal": sorted(self.unequal),
            "virtual_s": round(self.virtual_s),
            "wall_s": round(self.wall_s, 1),
            "jobs": self.jobs,
            "alone": self.alone,
        }


@dataclass(frozen=True)
class Again:
    """Histories of one exploration that were run two more times later, in other processes, under other hash seeds."""

    seeds: range
    commit: str
    unequal: tuple[int, ...]

    def is_of(self, line: Line) -> bool:
        """Whether they are of that exploration."""
        return (
            line.commit == self.commit and line.seeds.start <= self.seeds.start and self.seeds.stop <= line.seeds.stop
        )


@dataclass
class Totals:
    """What a file adds up to."""

    explorations: int = 0
    compared: int = 0
    """Of these, ones of which some histories were run twice, then or later."""
    histories: int = 0
    twice: int = 0
    """Of these, run a second time in another process, under another hash seed."""
    again: int = 0
    """Of the others, run two more times later."""
    unequal: int = 0
    """Seeds of which two runs were not the same, and that no line closes: such a history has failed as well."""
    failed: int = 0
    open: list[str] = field(default_factory=list)
    """Failures that no line closes, as `SEED@COMMIT`."""
    virtual_s: float = 0.0
    wall_s: float = 0.0
    by_commit: Counter[str] = field(default_factory=Counter)
    alone: int = 0
    """Of these, ones in which devices beside each other went on while the coordinator was away."""
    alone_by_commit: Counter[str] = field(default_factory=Counter)
    not_counted: int = 0
    """Histories of changed checkouts."""

    @property
    def per_minute(self) -> float:
        """Runs a minute."""
        return (self.histories + self.twice) * 60 / self.wall_s if self.wall_s else 0.0

    @property
    def ratio(self) -> float:
        """Virtual seconds a real one."""
        return self.virtual_s / self.wall_s if self.wall_s else 0.0


class _Read(NamedTuple):
    """What is in a file: explorations, by what failures were closed, and what was run again later."""

    lines: list[Line]
    closed: dict[str, str]
    again: list[Again]


class Explorations:
    """The file at `path`, which need not be there yet."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def lines(self) -> list[Line]:
        """All explorations. Raises `BadLedger`."""
        return self._read().lines

    def check(self, seeds: range, at: str) -> None:
        """Raises `BadLedger` where one of these seeds was run at this commit already."""
        for line in self.lines():
            if line.commit == at and line.is_counted and _meet(line.seeds, seeds):
                raise BadLedger(
                    f"seeds {line.seeds.start}-{line.seeds.stop - 1} were run at {at} already, says {self._path}: "
                    "take others, they would be the same histories"
                )

    def add(self, line: Line) -> None:
        """Raises `BadLedger` where its seeds were run at its commit already, or too few of them twice."""
        due = sum(map(is_twice, range(line.histories)))
        if line.twice < due:
            raise BadLedger(f"{line.twice} of {line.histories} histories were run twice: {due} are to be")
        self.check(line.seeds, line.commit)
        self._append(line.packed())

    def close(self, failure: str, by: str) -> None:
        """A failure (`SEED@COMMIT`) is closed by a fix with its test. Raises `BadLedger` where it is not open."""
        if failure not in self.totals().open:
            raise BadLedger(f"no failure {failure} is open in {self._path}")
        self._append({"closed": failure, "by": by})

    def totals(self) -> Totals:
        """What it adds up to. Raises `BadLedger`."""
        read = self._read()
        lines, closed = read.lines, read.closed
        found = Totals()
        for at, line in enumerate(lines):
            if not line.is_counted:
                found.not_counted += line.histories
                continue
            for other in lines[:at]:
                if other.commit == line.commit and _meet(other.seeds, line.seeds):
                    raise BadLedger(f"{self._path} has seeds of {line.commit} twice: from {line.seeds.start} on")
            found.explorations += 1
            later = [again for again in read.again if again.is_of(line)]
            found.compared += bool(line.twice or later)
            found.again += sum(len(again.seeds) for again in later)
            found.unequal += sum(len(again.unequal) for again in later)
            found.histories += line.histories
            found.twice += line.twice
            found.unequal += sum(f"{seed}@{line.commit}" not in closed for seed in line.unequal)
            found.failed += len(line.failed)
            found.open += [name for seed in line.failed if (name := f"{seed}@{line.commit}") not in closed]
            found.virtual_s += line.virtual_s
            found.wall_s += line.wall_s
            found.by_commit[line.commit] += line.histories
            found.alone += line.alone
            found.alone_by_commit[line.commit] += line.alone
        return found

    def _read(self) -> "_Read":
        lines: list[Line] = []
        closed: dict[str, str] = {}
        again: list[Again] = []
        texts = self._path.read_text(encoding="utf-8").splitlines() if self._path.exists() else []
        for number, text in enumerate(texts, 1):
            try:
                packed = json.loads(text)
                if "closed" in packed:
                    closed[packed["closed"]] = packed["by"]
                    continue
                if "again" in packed:
                    first, last = packed["again"]
                    again.append(Again(range(first, last + 1), packed["commit"], tuple(packed["unequal"])))
                    continue
                first, last = packed.pop("seeds")
                packed["failed"], packed["unequal"] = tuple(packed["failed"]), tuple(packed["unequal"])
                lines.append(Line(range(first, last + 1), **packed))
            except (ValueError, TypeError, KeyError):
                raise BadLedger(f"line {number} of {self._path} is no line of a ledger") from None
        return _Read(lines, closed, again)

    def _append(self, packed: dict[str, Any]) -> None:
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(packed) + "\n")


def _meet(some: range, others: range) -> bool:
    return some.start < others.stop and others.start < some.stop


def commit() -> str:
    """The last commit that changed the programs, with `+` where one is changed since; empty where there is no checkout.

    Programs are what a history runs: the packages without their tests, and the versions of libraries. So the commit
    that adds an exploration to the file is not a new one to explore.
    """
    here = str(Path(__file__).parent.parent)

    def ask(*words: str) -> str:
        asked: Sequence[str] = ("git", "-C", here, *words, "--", *_PROGRAMS)
        return subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip()

    try:
        changed = ask("status", "--porcelain")
        return ask("log", "-1", "--format=%H")[:_SHOWN] + (CHANGED if changed else "")
    except (OSError, subprocess.CalledProcessError):
        return ""
