"""The account of all explorations: enough histories, enough of them on this commit, and no failure that is open."""

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from simulations.explorations import commit
from tests.acceptance.telling import demand, tell

LEDGER: Final = Path(__file__).parents[2] / "simulations" / "explored.jsonl"
IN_ALL: Final = 20_000
ON_THIS_COMMIT: Final = 2_000
ALONE: Final = 5_000
"""So many of them in which devices on a LAN went on without the coordinator,"""
ALONE_ON_THIS_COMMIT: Final = 500
"""and so many of those on this commit."""
_OF_ROOT: Final = {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "safe.directory", "GIT_CONFIG_VALUE_0": "*"}
"""A show does not run as root, and the checkout may be root's: git is to read it all the same."""


def run(arguments: Sequence[str]) -> None:
    argparse.ArgumentParser().parse_args(arguments)
    said = subprocess.run(
        [sys.executable, "-P", "-m", "simulations", "ledger", str(LEDGER), "--json"], stdout=subprocess.PIPE, text=True
    )
    demand(said.stdout.startswith("{"), f"{LEDGER.name} does not add up")
    ledger: dict[str, Any] = json.loads(said.stdout)
    os.environ.update(_OF_ROOT)
    here = commit()
    on_this_commit, alone_here = ledger["by_commit"].get(here, 0), ledger["alone_by_commit"].get(here, 0)
    tell("histories, of them run twice", f"{ledger['histories']:,}, {ledger['twice']:,}")
    tell("explorations, of them with histories run twice", f"{ledger['explorations']}, {ledger['compared']}")
    tell(f"on this commit, {here}", f"{on_this_commit:,}")
    tell("without the coordinator, of them on this commit", f"{ledger['alone']:,}, {alone_here:,}")
    tell("failed, of them open", f"{ledger['failed']}, {len(ledger['open'])}")
    demand(not ledger["open"], f"these failures are open: {' '.join(ledger['open'])}")
    demand(not ledger["unequal"], f"two runs of {ledger['unequal']} histories were not the same")
    demand(ledger["compared"] == ledger["explorations"], "of some explorations nothing was run twice")
    demand(ledger["alone"] >= ALONE, f"fewer than {ALONE:,} without the coordinator")
    demand(alone_here >= ALONE_ON_THIS_COMMIT, f"fewer than {ALONE_ON_THIS_COMMIT:,} of these on this commit")
    demand(ledger["histories"] >= IN_ALL, f"fewer than {IN_ALL:,}")
    demand(on_this_commit >= ON_THIS_COMMIT, f"fewer than {ON_THIS_COMMIT:,} on this commit")
