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
    on_this_commit = ledger["by_commit"].get(here, 0)
    tell("histories, of them run twice", f"{ledger['histories']:,}, {ledger['twice']:,}")
    tell(f"on this commit, {here}", f"{on_this_commit:,}")
    tell("failed, of them open", f"{ledger['failed']}, {len(ledger['open'])}")
    demand(not ledger["open"], f"these failures are open: {' '.join(ledger['open'])}")
    demand(not ledger["unequal"], f"two runs of {ledger['unequal']} histories were not the same")
    demand(ledger["histories"] >= IN_ALL, f"fewer than {IN_ALL:,}")
    demand(on_this_commit >= ON_THIS_COMMIT, f"fewer than {ON_THIS_COMMIT:,} on this commit")
