"""A hundred devices in one simulated world: a simple story, whole, in less than a minute of this machine."""

import argparse
import json
import time
from collections.abc import Sequence
from typing import Final

from tests.acceptance.telling import demand, tell
from tests.common.processes import run_program

STORY: Final = "hundred-devices"
MOST_S: Final = 60.0
DEADLINE_S: Final = 900.0


def run(arguments: Sequence[str]) -> None:
    argparse.ArgumentParser().parse_args(arguments)
    began_s = time.monotonic()
    status, out, err = run_program(["shoal-sim", "run", STORY, "--quiet", "--json"], deadline_s=DEADLINE_S)
    took_s = time.monotonic() - began_s
    demand(out.startswith("{"), err)
    told = json.loads(out)
    tell("virtual seconds", f"{told['virtual_s']:.0f}")
    tell("real seconds, with the start of the program", f"{took_s:.1f}")
    tell("virtual seconds a real one", f"{told['virtual_s'] / took_s:.1f}")
    demand(status == 0 and told["ok"], f"not as expected: {err}")
    demand(took_s < MOST_S, f"longer than {MOST_S:.0f} s")
