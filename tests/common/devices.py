"""A coordinator and devices as separate programs, driven by their commands."""

import contextlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from coordinator.__main__ import commands
from tests.common.fleet import call_command
from tests.common.processes import Program, give, run_program, start_program


@dataclass(frozen=True)
class Said:
    """How a command ended."""

    status: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        """The one JSON document that it printed."""
        return json.loads(self.out)


@dataclass(frozen=True)
class Host:
    """A running coordinator."""

    data: Path
    url: str
    program: Program

    def run(self, *args: str) -> Said:
        """A command of `shoal-coordinator` on its data, whatever it ends with."""
        return Said(*run_program(["shoal-coordinator", *args, "--data", str(self.data)]))

    def invite(self, user: str) -> str:
        """A join code for somebody; by the command's own code in this process, which is quicker than a program."""
        return str(json.loads(call_command(commands, "invite", user, "--json", "--data", str(self.data)))["code"])


@contextlib.contextmanager
def open_host(directory: Path) -> Iterator[Host]:
    """A coordinator on a free port of this machine, ended with the context."""
    data = directory / "coordinator"
    with start_program(["shoal-coordinator", "serve", "--data", str(data), "--listen", "127.0.0.1:0"]) as program:
        url = program.line("listening on ").removeprefix("listening on ")
        yield Host(data, url, program)


class Device:
    """One home. `run` calls its commands; `open_daemon` lets it sync."""

    def __init__(self, directory: Path, name: str) -> None:
        self.directory = give_new(directory / name)
        self.home = self.directory / "home"
        self.name = name

    def run(self, *args: str, cwd: Path | None = None, stdin: bytes | None = None) -> Said:
        """A command of this device, whatever it ends with."""
        return Said(*run_program(["shoal", "--home", str(self.home), *args], cwd=cwd, stdin=stdin))

    def must(self, *args: str) -> Said:
        """A command that ends with status 0."""
        said = self.run(*args)
        assert said.status == 0, f"{args}: {said}"
        return said

    def join(self, code: str) -> None:
        """Become one of the code's user's devices."""
        self.must("join", code, "--device", self.name)

    def folder(self, name: str) -> Path:
        """A new folder that the device may sync."""
        return give_new(self.directory / name)

    @contextlib.contextmanager
    def open_daemon(self) -> Iterator[Program]:
        """Its daemon, ready for commands, killed at the end if it still runs."""
        with start_program(["shoal", "--home", str(self.home), "start", "--foreground"]) as program:
            program.line("ready")
            yield program


def give_new(path: Path) -> Path:
    """A new directory for the user that programs run as."""
    path.mkdir()
    return give(path)


def write(path: Path, content: bytes) -> None:
    """Write a file that the programs may change."""
    path.write_bytes(content)
    give(path)
