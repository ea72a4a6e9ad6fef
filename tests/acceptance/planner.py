"""Runs the planner's bulk check in a process of its own, and demands that every promise P1-P13 was put to the test."""

import argparse
import re
import subprocess
import sys
from collections.abc import Sequence

from tests.acceptance.telling import demand, tell

PROMISES = [f"P{number}" for number in range(1, 14)]


def run(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--cases", type=int, default=100_000)
    options = parser.parse_args(arguments)
    done = subprocess.run(
        [sys.executable, "-P", "-m", "tests.properties.planner.bulk", "--cases", str(options.cases)],
        stdout=subprocess.PIPE,
        text=True,
    )
    print(done.stdout, end="", flush=True)
    demand(done.returncode == 0, f"the bulk check ended with {done.returncode}")
    counts = {name: int(count) for name, count in re.findall(r"^\s*(P\d+)\b[^:]*:\s*(\d+)", done.stdout, re.MULTILINE)}
    for name in PROMISES:
        demand(counts.get(name, 0) > 0, f"{name} was never put to the test")
    tell("promises checked", f"{len(PROMISES)}, {sum(counts.values()):,} times in all")
