"""Runs `shoal-sim crashpoints`: every point of every small workload, at each host, in each way; all is well after."""

import argparse
import json
import os
import time
from collections import Counter
from collections.abc import Sequence
from typing import Final

from tests.acceptance.telling import demand, tell
from tests.common.processes import run_program

WORKLOADS: Final = 40
DEADLINE_S: Final = 4 * 3600.0


def run(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--every", type=int, default=1, help="only every so-manieth point")
    parser.add_argument("--jobs", type=int, default=len(os.sched_getaffinity(0)))
    options = parser.parse_args(arguments)
    asked = ["shoal-sim", "crashpoints", "--every", str(options.every), "--jobs", str(options.jobs), "--json"]
    began_s = time.monotonic()
    status, out, err = run_program(asked, deadline_s=DEADLINE_S)
    demand(out.startswith("["), err)
    counts = json.loads(out)
    points: Counter[tuple[str, str]] = Counter()
    for count in counts:
        points[count["host"], count["ending"]] += count["points"]
    for (host, ending), number in points.items():
        tell(f"{host}, {ending}", f"{number:,} points")
    workloads = {count["workload"] for count in counts}
    tell("workloads", str(len(workloads)))
    tell("points in all", f"{points.total():,} in {time.monotonic() - began_s:.0f} s")
    failures = [failure for count in counts for failure in count["failures"]]
    demand(status == 0 and not failures, f"{len(failures)} failed: {failures[:5]}")
    demand(len(workloads) >= WORKLOADS, f"fewer than {WORKLOADS} workloads")
    silent = sorted({f"{host}, {ending}" for (host, ending), number in points.items() if not number})
    demand(not silent, f"no point was ever met at: {silent}")
