"""Runs the benchmarks: all of them, or the one that is named, with its own flags after the name."""

import pkgutil
import subprocess
import sys
from pathlib import Path


def names() -> list[str]:
    """Every benchmark there is."""
    return sorted(module.name for module in pkgutil.iter_modules([str(Path(__file__).parent)]) if module.name[0] != "_")


def main(arguments: list[str]) -> int:
    """Each in a process of its own, one after the other."""
    chosen, flags = ([arguments[0]], arguments[1:]) if arguments else (names(), [])
    if chosen[0] not in names():
        print(f"no benchmark is called {chosen[0]}; there are: {' '.join(names())}", file=sys.stderr)
        return 2
    status = 0
    for name in chosen:
        print(f"== {name}", flush=True)
        status |= subprocess.run([sys.executable, "-P", "-m", f"benchmarks.{name}", *flags]).returncode
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
