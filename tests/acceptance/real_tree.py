"""A real tree of at least 15,000 files and a file of 1 GiB, kept in step by two devices in both directions.

Copies the Python installation's library with its site-packages, and lets the installed programs sync it. Then both
devices edit, rename big directories and delete, in turn and at the same time. At each rest the folders are compared:
every file's hash, executable bit and modification time, every directory and link.
"""

import argparse
import itertools
import os
import shutil
import sysconfig
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from simulations.noise import noise
from tests.acceptance.rsync import open_rsync_daemon, timed_rsync_s
from tests.acceptance.settling import demand_peace, settle
from tests.acceptance.telling import demand, mib, tell
from tests.acceptance.tree_facts import Fact, differences, facts_of
from tests.common.devices import Device, open_host
from tests.common.processes import Program, work_directory

FILES = 15_000
BIG_BYTES = 1 << 30
MEMORY_BYTES = 150 << 20
RATIO = 5.0
FIRST_SYNC_S = 900.0


def run(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--big-mib", type=int, default=BIG_BYTES >> 20, help="size of the big file")
    options = parser.parse_args(arguments)
    too_much: list[str] = []
    with work_directory() as place:
        one, two = Device(place, "laptop"), Device(place, "desktop")
        folder = place / "laptop" / "tree"
        _make_tree(folder, options.big_mib << 20)
        tell("the tree", _shown(facts_of(folder)))
        with open_host(place) as host:
            one.join(host.invite("ana"))
            with one.open_daemon() as first:
                _first_sync(one, folder)
                other = place / "desktop" / "tree"
                with open_rsync_daemon(place, folder) as source:
                    rsync_s = timed_rsync_s(source, place / "rsynced")
                tell("rsync -a over loopback", f"{rsync_s:.1f} s")
                two.join(str(one.must("pair", "--json").document["code"]))
                with two.open_daemon() as second:
                    too_much += _second_device(two, other, rsync_s)
                    _in_both_directions((one, folder), (two, other))
                    too_much += _tell_memory({"coordinator": host.program, "laptop": first, "desktop": second})
                    for program in (first, second):
                        demand(program.stop() == 0, "a daemon did not end with 0 when asked to")
    demand(not too_much, "; ".join(too_much))


def _first_sync(device: Device, folder: Path) -> None:
    started = time.monotonic()
    device.must("add", str(folder), "--name", "tree")
    settle([device], FIRST_SYNC_S)
    tell("first sync: added, uploaded and durable", f"{time.monotonic() - started:.1f} s")


def _second_device(device: Device, folder: Path, rsync_s: float) -> list[str]:
    started = time.monotonic()
    device.must("mount", "tree", str(folder))
    settle([device], FIRST_SYNC_S)
    took_s = time.monotonic() - started
    tell("the second device, mounting later", f"{took_s:.1f} s, {took_s / rsync_s:.2f} times rsync")
    return (
        [] if took_s <= RATIO * rsync_s else [f"the second device took {took_s / rsync_s:.2f} times as long as rsync"]
    )


def _in_both_directions(one: tuple[Device, Path], two: tuple[Device, Path]) -> None:
    devices = (one[0], two[0])

    def at_rest(what: str) -> None:
        started = time.monotonic()
        settle(devices)
        took_s = time.monotonic() - started
        facts = facts_of(one[1])
        differing = differences(facts, facts_of(two[1]))
        demand(not differing, f"after {what} {len(differing)} paths differ: {differing[:5]}")
        copies = [path for path in facts if "conflicted copy" in path]
        demand(not copies, f"after {what} there are conflicted copies: {copies[:5]}")
        demand_peace(devices)
        tell(f"equal after {what}", f"{took_s:.1f} s; {_shown(facts)}")

    at_rest("the first sync")
    for (_, folder), word in ((one, "laptop"), (two, "desktop")):
        tell(f"on the {word}: edited", _edit(folder, word))
        at_rest(f"edits on the {word}")
    for (_, folder), name in ((one, "encodings"), (two, "site-packages")):
        count = sum(1 for _ in _files(folder / name))
        (folder / name).rename(folder / f"{name} renamed")
        at_rest(f"renaming {name}, {count} files")
    for (_, folder), name in ((one, "lib2to3"), (two, "idlelib")):
        count = sum(1 for _ in _files(folder / name))
        shutil.rmtree(folder / name)
        at_rest(f"deleting {name}, {count} files")
    # At the same time, each in places of its own.
    _edit(one[1] / "asyncio", "both")
    (two[1] / "json").rename(two[1] / "site-packages renamed" / "json")
    shutil.rmtree(two[1] / "unittest")
    (one[1] / "encodings renamed").rename(one[1] / "ctypes" / "encodings")
    at_rest("edits, renames and a deletion on both at once")


def _edit(folder: Path, word: str) -> str:
    """Change files of a folder in the ways people and programs do; says how many."""
    files = list(itertools.islice(_files(folder), 0, 2_000, 10))
    for number, path in enumerate(files):
        if number % 4 == 0:
            path.write_bytes(path.read_bytes() + word.encode())
        elif number % 4 == 1:
            saved = path.with_name(path.name + "~")
            saved.write_bytes(f"{word} replaced\n".encode())
            saved.replace(path)
        elif number % 4 == 2:
            path.chmod(path.stat().st_mode ^ 0o100)
        else:
            os.utime(path, ns=(1_700_000_000_000_000_000 + number, 1_700_000_000_000_000_000 + number))
    made = folder / f"made on the {word}" / "below" / "below that"
    made.mkdir(parents=True)
    for number in range(200):
        (made / f"{number}.txt").write_text(f"{word} {number}\n" * number)
    (made / "empty").mkdir()
    (made / "link").symlink_to("0.txt")
    big = folder / "big.bin"
    if big.exists():
        with big.open("r+b") as file:
            file.seek(big.stat().st_size // 3)
            file.write(noise(4096, word.encode()))
            file.seek(0, os.SEEK_END)
            file.write(noise(1 << 20, word.encode()))
    return f"{len(files)} files, 200 made" + (", the big one" if big.exists() else "")


def _make_tree(folder: Path, big_bytes: int) -> None:
    """A copy of the library with our site-packages, twice where once is not enough files; and the big file."""
    shutil.copytree(sysconfig.get_path("stdlib"), folder, symlinks=True, ignore=shutil.ignore_patterns("site-packages"))
    packages = folder / "site-packages"
    packages.mkdir()
    for number in itertools.count(1):
        shutil.copytree(sysconfig.get_path("purelib"), packages / f"environment {number}", symlinks=True)
        if sum(1 for _ in _files(folder)) >= FILES:
            break
    with (folder / "big.bin").open("wb") as file:
        for piece in range(big_bytes >> 20):
            file.write(noise(1 << 20, b"big %d" % piece))


def _files(folder: Path) -> Iterator[Path]:
    """Its regular files, in an order that is the same each time."""
    for directory, below, names in os.walk(folder):
        below.sort()
        if ".shoal" in below:
            below.remove(".shoal")
        for name in sorted(names):
            path = Path(directory, name)
            if not path.is_symlink() and name != "big.bin":
                yield path


def _shown(facts: dict[str, Fact]) -> str:
    counts = [sum(1 for fact in facts.values() if fact.kind == kind) for kind in ("file", "directory", "symlink")]
    executable = sum(1 for fact in facts.values() if fact.executable)
    return f"{counts[0]:,} files ({executable} executable), {counts[1]:,} directories, {counts[2]} links"


def _tell_memory(programs: dict[str, Program]) -> list[str]:
    """Prints the most that each ever had resident, as the kernel kept count; returns those that had too much."""
    peaks = {name: program.peak_bytes() for name, program in programs.items()}
    for name, peak in peaks.items():
        tell(f"most resident memory: {name}", mib(peak))
    return [f"{name} had {mib(peak)} resident" for name, peak in peaks.items() if peak >= MEMORY_BYTES]
