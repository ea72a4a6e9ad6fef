"""Histories of simulated worlds: those of fixed seeds, run twice, and some that nobody has seen."""

import argparse
import json
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

from tests.acceptance.telling import demand, tell


def run(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--fixed", type=int, default=30, help="so many fixed seeds, each run twice")
    parser.add_argument("--fresh", type=int, default=3, help="so many fresh ones, each run twice")
    options = parser.parse_args(arguments)
    fixed = _explore("--seeds", f"0-{options.fixed - 1}")
    demand(fixed["twice"] == options.fixed, f"only {fixed['twice']} fixed seeds were run twice")
    tell("run twice, in another process with another hash seed", f"{fixed['twice']}, all equal")
    _explore("--fresh", str(options.fresh))


def _explore(*words: str) -> dict[str, Any]:
    """What came of an exploration; its seeds are printed first, so that whatever becomes of it can be looked into."""
    command = [sys.executable, "-P", "-m", "simulations", "explore", *words, "--json"]
    said = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    demand(said.stdout.startswith("{"), f"{' '.join(words)}: ended with {said.returncode}")
    account: dict[str, Any] = json.loads(said.stdout)
    first, last = account["seeds"]
    tell(f"histories of seeds {first}-{last}", f"{account['histories']}, in {account['wall_s']:.0f} s")
    demand(not account["failed"], f"these fail, see `shoal-sim replay SEED`: {account['failed']}")
    demand(not account["unequal"], f"two runs of these are not the same: {account['unequal']}")
    return account
