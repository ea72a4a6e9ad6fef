"""Which tests there are, by collecting them, and which rows name others or none."""

import subprocess
import sys
from collections.abc import Collection
from itertools import chain
from pathlib import Path

from tests.acceptance.shows import SHOWS
from tests.table import Row, codes, faults, merge

ROOT = Path(__file__).parents[2]
ALL: tuple[Row, ...] = (*merge.ROWS, *codes.ROWS, *faults.ROWS)


def collect() -> set[str]:
    """The node ids, without parameters, of all tests in the files that the table names."""
    files = sorted({test.partition("::")[0] for test in chain.from_iterable(row.tests for row in ALL)})
    there = [file for file in files if (ROOT / file).exists()]
    command = [sys.executable, "-P", "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider", *there]
    said = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert said.returncode == 0, said.stdout[-2000:] + said.stderr[-2000:]
    return {line.partition("[")[0] for line in said.stdout.splitlines() if "::" in line}


def missing(there: Collection[str]) -> list[str]:
    """What the table names and is not there, and rows that nothing stands for; a line each."""
    shows = {show.name for show in SHOWS}
    wrong: list[str] = []
    for row in ALL:
        wrong += [f"{row.name}: there is no test {test}" for test in row.tests if test not in there]
        wrong += [f"{row.name}: there is no show {show}" for show in row.shows if show not in shows]
        if not (row.tests or row.shows or row.left):
            wrong.append(f"{row.name}: nothing stands for it, and nobody says why")
    return wrong
