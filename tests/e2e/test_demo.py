"""The demonstration runs unattended, says that all was equal, and leaves nothing behind."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.common.processes import environment, work_directory
from tests.demo.stage import Running


def children_of(place: Path) -> list[str]:
    """The command lines of all programs that work below a place."""
    found = []
    for each in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = each.read_bytes().decode(errors="replace")
        except OSError:
            continue
        if str(place) in line:
            found.append(line.replace("\0", " "))
    return found


@pytest.mark.slow
def test_the_script_ends_with_0_and_leaves_nothing_behind() -> None:
    with work_directory() as place:
        done = subprocess.run(
            [sys.executable, "-P", "-m", "tests.demo", "--script"],
            capture_output=True,
            text=True,
            env=environment({"TMPDIR": str(place)}),
            cwd="/",
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert done.stdout.count("both folders equal, by hash") == 6
        assert list(place.iterdir()) == []
        assert children_of(place) == []


@pytest.mark.slow
def test_ended_in_the_middle_it_leaves_nothing_behind() -> None:
    with work_directory() as place:
        arguments = [sys.executable, "-P", "-m", "tests.demo", "--script"]
        with subprocess.Popen(
            arguments,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment({"TMPDIR": str(place)}),
            cwd="/",
        ) as program:
            assert program.stdout is not None
            for line in program.stdout:
                if b"laptop: joined" in line:
                    break
            assert children_of(place)
            os.kill(program.pid, signal.SIGTERM)
            program.stdout.read()
            assert program.wait() == 1
        assert list(place.iterdir()) == []
        assert children_of(place) == []


def test_a_program_that_says_nothing_is_noticed_by_its_end(tmp_path: Path) -> None:
    running = Running(["shoal", "--home", str(tmp_path / "none"), "status"], tmp_path / "log")
    assert list(running.lines()) == []
    running.end()
    assert running.process.returncode == 3
