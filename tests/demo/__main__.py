"""`python -P -m tests.demo [--script]`: the demonstration. Owns its command line and how it ends.

On a terminal it is shown live and stays until Ctrl-C; elsewhere, and with `--script`, it prints plain lines and ends.
The exit status is 0 only if both folders were equal by hash after every step.
"""

import argparse
import signal
import sys
import threading
import time
from types import FrameType
from typing import NoReturn

from rich.console import Console

from peer.cli.printing import line_shown, size_shown
from tests.demo.screen import Screen, costs_table
from tests.demo.stage import Failed, Stage, open_stage
from tests.demo.story import Cost, Story

_BREATH_S = 2.0
"""Between two steps, when somebody watches."""


def main() -> int:
    """The exit status."""
    parser = argparse.ArgumentParser(
        prog="python -P -m tests.demo", description="Two devices in step, on this machine."
    )
    parser.add_argument("--script", action="store_true", help="print plain lines, and end")
    script = parser.parse_args().script
    signal.signal(signal.SIGTERM, _end)
    try:
        with open_stage() as stage:
            try:
                return _tell(stage) if script or not sys.stdout.isatty() else _show(stage)
            except Failed:
                for line in stage.evidence():
                    print(line_shown(line), file=sys.stderr)
                raise
    except Failed as error:
        print(f"FAILED: {line_shown(str(error))}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 0


def _end(_number: int, _frame: FrameType | None) -> NoReturn:
    raise SystemExit(1)


def _tell(stage: Stage) -> int:
    """Plain lines, one after the other."""
    began = time.monotonic()

    def say(text: str) -> None:
        print(f"{time.monotonic() - began:6.1f} s  {line_shown(text)}", flush=True)

    def paid(cost: Cost) -> None:
        note = f" ({cost.note})" if cost.note else ""
        say(
            f"  {cost.title}: {cost.seconds:.2f} s, {size_shown(cost.sent)} up, {size_shown(cost.received)} down,"
            f" {size_shown(cost.by_lan)} of it by the LAN{note};"
            " both folders equal, by hash"
        )

    for step in Story(stage, say, paid).steps():
        step()
    say("done: nothing is left behind")
    return 0


def _show(stage: Stage) -> int:
    """A live screen, until Ctrl-C."""
    console = Console()
    failure = None
    with Screen(stage, console) as screen:
        story = Story(stage, screen.tell, screen.paid)
        story.watching = True
        try:
            for step in story.steps():
                step()
                time.sleep(_BREATH_S)
            screen.tell("that was all: it is your turn now", "bold")
            threading.Event().wait()
        except KeyboardInterrupt:
            pass
        except Failed as error:
            failure = error
    console.print(costs_table(screen.costs))
    if failure is not None:
        raise failure
    return 0


if __name__ == "__main__":
    sys.exit(main())
