"""`make show`: the list of the shows, or one of them run. Exit status 0: it holds; 1: it does not; 2: there is none."""

import argparse
import os
import signal
import sys
import time
from types import FrameType
from typing import NoReturn

from tests.acceptance.shows import SHOWS
from tests.acceptance.telling import NotShown, is_run_again
from tests.common.processes import ProgramFailed, user_for_programs


def _end(_number: int, _frame: FrameType | None) -> NoReturn:
    """A show that is stopped cleans up like one that ends."""
    sys.exit(1)


def _give_up_root() -> None:
    """Root plays no part in what is promised: where we are root, another user who can run Python does all of it."""
    uid = user_for_programs()
    if uid is not None:
        os.setgroups([])
        os.setgid(uid)
        os.setuid(uid)
        user_for_programs.cache_clear()


def main(arguments: list[str]) -> int:
    signal.signal(signal.SIGTERM, _end)
    parser = argparse.ArgumentParser(prog="make show", description=__doc__)
    parser.add_argument("name", nargs="?", help="which one; without it they are listed")
    parser.add_argument("--short", action="store_true", help="only the names of those that take less than two minutes")
    options, rest = parser.parse_known_args(arguments)
    if options.short:
        print(*(show.name for show in SHOWS if show.is_short), sep="\n")
        return 0
    if options.name is None:
        for show in SHOWS:
            print(f"make show NAME={show.name:<14} {show.promise}")
        return 0
    for show in SHOWS:
        if show.name == options.name:
            if not is_run_again():
                print(f"{show.name}: {show.promise}", flush=True)
            started = time.monotonic()
            _give_up_root()
            try:
                show.load()(rest)
            except (NotShown, ProgramFailed) as failure:
                print(f"NOT SHOWN after {time.monotonic() - started:.0f} s: {failure}", file=sys.stderr)
                return 1
            if not is_run_again():
                print(f"shown in {time.monotonic() - started:.0f} s")
            return 0
    print(f"no show is called {options.name}", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
