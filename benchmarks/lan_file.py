"""One new file, from the device where it was saved to the one beside it: hashed, encrypted, durable on the other disk.

Two devices on a switch, each on a machine of its own, their coordinator behind a line of 100 Mbit/s, so that all comes
by the LAN; beside it, in turns, `cp` of the same file to the same disk, and its fsync. Both files are compared before a
time is printed. The processor time is that of the author's daemon, of the taker's, and of the coordinator, until the
file is there. Flags: `--mib`, `--runs`.
"""

import argparse
import os
import platform
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from tests.acceptance.lan_first import digest_of, write
from tests.acceptance.rooms import in_own_network, open_room
from tests.common.fleet import cpu_s

MIB = 1 << 20
WITHIN_S = 600.0


def main(arguments: list[str]) -> int:
    """Run and print."""
    parser = argparse.ArgumentParser(prog="make bench NAME=lan_file", description=__doc__)
    parser.add_argument("--mib", type=int, default=1024)
    parser.add_argument("--runs", type=int, default=3)
    options = parser.parse_args(arguments)
    if not in_own_network("benchmarks.lan_file", *arguments):
        return 0
    size = options.mib * MIB
    took: list[float] = []
    copied: list[float] = []
    spent: list[list[float]] = []
    with open_room(("red", "blue"), "100mbit") as (red, blue):
        assert red.host is not None
        programs = (red.program, blue.program, red.host.program)
        for number in range(options.runs):
            # Another one each time: of what was there once, much is known.
            digest = write(red.place / "film", size, number)
            copied.append(_copy(red.place / "film", blue.place / "copy"))
            before = [cpu_s(program) for program in programs]
            begun_s = time.monotonic()
            (red.place / "film").rename(red.folder / "film")
            _wait_for(blue.folder / "film", size)
            took.append(time.monotonic() - begun_s)
            spent.append([cpu_s(program) - then for program, then in zip(programs, before, strict=True)])
            if digest_of(blue.folder / "film") != digest:
                print("the two files differ", file=sys.stderr)
                return 1
            print(
                f"run {number + 1}: {took[-1]:.2f} s, processor {_told(spent[-1])}; cp {copied[-1]:.2f} s", flush=True
            )
            (red.folder / "film").unlink()
            blue.until(lambda _: not (blue.folder / "film").exists())
    middle = statistics.median(took)
    print(f"A to B: median {middle:.2f} s, {min(took):.2f} to {max(took):.2f}; {options.mib / middle:,.0f} MiB/s")
    print(f"processor, median: {_told([statistics.median(column) for column in zip(*spent, strict=True)])}")
    both = statistics.median(author + taker for author, taker, _ in spent)
    print(f"processor in both devices: median {both:.1f} s, {both * 1024 / options.mib:.1f} s for a GiB")
    print(f"against cp and fsync: {statistics.median(a / b for a, b in zip(took, copied, strict=True)):.1f} times")
    print(f"Python {platform.python_version()}, Linux {platform.release()}, {os.cpu_count()} cores")
    return 0


def _told(spent_s: Sequence[float]) -> str:
    author_s, taker_s, coordinator_s = spent_s
    return f"author {author_s:.1f} s, taker {taker_s:.1f} s, coordinator {coordinator_s:.1f} s"


def _wait_for(path: Path, size: int) -> None:
    """Until it is in place, which it is no earlier than it is durable. `status` is not said so often."""
    ends_s = time.monotonic() + WITHIN_S
    while not path.exists() or path.stat().st_size != size:
        if time.monotonic() > ends_s:
            raise TimeoutError(f"no {path} after {WITHIN_S:.0f} s")
        time.sleep(0.01)


def _copy(source: Path, target: Path) -> float:
    begun_s = time.monotonic()
    shutil.copyfile(source, target)
    subprocess.run(["sync", str(target)], check=True)
    took_s = time.monotonic() - begun_s
    target.unlink()
    return took_s


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
