"""Fuzzing for as long as one likes, from the command line."""

import argparse
import time
from collections.abc import Callable


def fuzz(run: Callable[[int, Callable[[int], bool]], int], what: str | None) -> None:
    """Have `run(seed, go_on)` do rounds for the seconds that were asked for."""
    parser = argparse.ArgumentParser(description=what)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=None)
    arguments = parser.parse_args()
    seed = time.time_ns() if arguments.seed is None else arguments.seed
    end = time.monotonic() + arguments.seconds
    print(f"seed {seed}")
    print(f"{run(seed, lambda _: time.monotonic() < end)} rounds, no failure")
