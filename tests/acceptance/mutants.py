"""Runs `shoal-sim mutants`: every known mistake, put into the program by itself, is found; without any, nothing is."""

import argparse
import json
import os
from collections.abc import Sequence

from tests.acceptance.telling import demand, tell
from tests.common.processes import run_program

LEAST = 46
DEADLINE_S = 3600.0


def run(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--budget", type=int, default=60)
    parser.add_argument("--jobs", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("names", nargs="*")
    options = parser.parse_args(arguments)
    asked = [
        "shoal-sim",
        "mutants",
        *options.names,
        "--budget",
        str(options.budget),
        "--jobs",
        str(options.jobs),
        "--json",
    ]
    status, out, err = run_program(asked, deadline_s=DEADLINE_S)
    demand(bool(out), err)
    trials = json.loads(out)
    mutated = [trial for trial in trials if trial["mutant"]]
    plain = [trial for trial in trials if not trial["mutant"]]
    for trial in mutated:
        after = f"{trial['unit']} {trial['attempts']}, {trial['seconds']:.0f} s"
        tell(trial["mutant"], f"{after}: {trial['disaster']}")
        tell("", trial["finding"][:100])
    tell("found", f"{sum(trial['is_good'] for trial in mutated)} of {len(mutated)}")
    tell("attempts without a mistake", sum(trial["attempts"] for trial in plain))
    for trial in trials:
        demand(trial["is_good"], f"{trial['mutant'] or 'without a mistake'}, {trial['finder']}: {trial['failures']}")
    demand(bool(options.names) or len(mutated) >= LEAST, f"there are only {len(mutated)} mistakes")
    demand(status == 0, f"it ended with {status}: {err}")
