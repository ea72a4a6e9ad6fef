"""The seeds of all failures that explorations have found, run as the histories that they are now.

`tests/simulations/kept_seeds.py` has them, and says what they are good for; that each has a test of its own besides is
checked by `make test`.
"""

import argparse
import multiprocessing
import time
from collections.abc import Sequence

from simulations.explore import jobs_here
from simulations.histories import run_history
from simulations.scratch import sweep_scratch
from simulations.world import Outcome
from tests.acceptance.telling import demand, tell
from tests.simulations.kept_seeds import KEPT


def run(arguments: Sequence[str]) -> None:
    argparse.ArgumentParser().parse_args(arguments)
    seeds, began_s = sorted({kept.seed for kept in KEPT}), time.monotonic()
    sweep_scratch()
    with multiprocessing.get_context("spawn").Pool(jobs_here()) as pool:
        outcomes: list[Outcome] = list(pool.imap_unordered(run_history, seeds))
    tell("failures that were found, their seeds", f"{len(KEPT)}, {len(seeds)}")
    tell("histories", f"{len(outcomes)}, in {time.monotonic() - began_s:.0f} s")
    failed = {outcome.seed: outcome.failures[0][:300] for outcome in outcomes if outcome.failures}
    tell("failed", len(failed))
    told = "\n".join(f"{seed}: {failure}" for seed, failure in sorted(failed.items()))
    demand(not failed, f"see `shoal-sim replay SEED`:\n{told}")
