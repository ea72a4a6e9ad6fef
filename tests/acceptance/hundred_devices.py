"""A hundred devices in one simulated world: a simple story, whole, in less than a minute.

A world is one process that waits for nothing: what it takes is the time of one core. That is what is counted, so that
whatever else the machine does is not; the time on the clock is told beside it.
"""

import argparse
import json
import os
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
    began_s, before = time.monotonic(), os.times()
    status, out, err = run_program(["shoal-sim", "run", STORY, "--quiet", "--json"], deadline_s=DEADLINE_S)
    took_s, after = time.monotonic() - began_s, os.times()
    core_s = after.children_user + after.children_system - before.children_user - before.children_system
    demand(out.startswith("{"), err)
    told = json.loads(out)
    tell("virtual seconds", f"{told['virtual_s']:.0f}")
    tell("real seconds, with the start of the program", f"{took_s:.1f}, {core_s:.1f} of them of a core")
    tell("virtual seconds a real one", f"{told['virtual_s'] / took_s:.1f}")
    demand(status == 0 and told["ok"], f"not as expected: {err}")
    demand(core_s < MOST_S, f"longer than {MOST_S:.0f} s")
