"""Runs the planner's bulk check in processes of its own, and demands that every promise P1-P16 was put to the test."""

import argparse
import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence

from tests.acceptance.telling import demand, tell

PROMISES = [f"P{number}" for number in range(1, 17)]


def run(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--cases", type=int, default=100_000)
    options = parser.parse_args(arguments)
    cores = len(os.sched_getaffinity(0))
    module = [sys.executable, "-P", "-m", "tests.properties.planner.bulk"]
    running = [
        subprocess.Popen(
            [*module, "--cases", str(-(-options.cases // cores)), "--seed", str(seed)],
            stdout=subprocess.PIPE,
            text=True,
        )
        for seed in range(1, cores + 1)
    ]
    said = [each.communicate()[0] for each in running]
    counts = Counter[str]()
    for process, text in zip(running, said, strict=True):
        demand(process.returncode == 0, f"the bulk check ended with {process.returncode}:\n{text}")
        tell(text.splitlines()[0])
        for name, count in re.findall(r"^\s*(P\d+)\b[^:]*:\s*(\d+)", text, re.MULTILINE):
            counts[name] += int(count)
    for name in PROMISES:
        demand(counts[name] > 0, f"{name} was never put to the test")
        tell(f"{name} checked", f"{counts[name]:,} times")
    tell("promises checked", f"{len(PROMISES)}, {counts.total():,} times in all")
