"""Machines of a test's own, on a network of its own, which need no privilege.

A test runs once more in a child that owns a user and a network namespace; there a bridge joins one more network
namespace for each machine.
"""

import functools
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest

from tests.common.fleet import as_ourselves

_FLAG: Final = "OWN_NETWORK"
_TOOLS: Final = ("ip", "unshare", "nsenter")


def run_once_more(request: pytest.FixtureRequest, namespace: str, flag: str) -> None:
    """Run a test in a child that is root in a user namespace of its own and has one more (an option of unshare(1));
    there `flag` is set in the environment. Raises `AssertionError` where it does not pass."""
    node = request.node
    command = [sys.executable, "-P", "-m", "pytest", "-q", "-p", "no:cacheprovider", f"{node.path}::{node.name}"]
    with as_ourselves():
        done = subprocess.run(
            ["unshare", "--user", "--map-root-user", namespace, *command],
            cwd=request.config.rootpath,
            env={**os.environ, flag: "1"},
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 passed" in done.stdout, done.stdout


def in_own_network(test: Callable[[], None]) -> Callable[[pytest.FixtureRequest], None]:
    """A test that may make a `Bridge`. It runs in user and network namespaces of its own (unshare(1))."""

    @functools.wraps(test)
    def run(request: pytest.FixtureRequest) -> None:
        if os.environ.get(_FLAG):
            test()
            return
        missing = [tool for tool in _TOOLS if shutil.which(tool) is None]
        if missing:
            pytest.skip(f"needs {' and '.join(missing)}")
        run_once_more(request, "--net", _FLAG)

    del run.__wrapped__  # pytest would look at the test's own arguments
    return run


class Machine:
    """A network namespace in which one program runs, which reads lines and prints lines."""

    def __init__(self, name: str, module: str, arguments: list[str]) -> None:
        self.name = name
        command = ["unshare", "--net", sys.executable, "-P", "-u", "-m", module, *arguments]
        self.program = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2]
        )
        self._passed: list[str] = []
        assert self.line() == "ready", "the program has its namespace"

    def line(self) -> str:
        """The next line that the program prints; an end of them is an error."""
        assert self.program.stdout is not None
        line = self.program.stdout.readline()
        assert line, f"{self.name} has ended"
        return line.rstrip("\n")

    @property
    def printed(self) -> list[str]:
        """What was printed so far and not waited for."""
        return list(self._passed)

    def line_with(self, *words: str) -> str:
        """A line with all of these in it, which may have been printed before others that were waited for."""
        while True:
            for at, line in enumerate(self._passed):
                if all(word in line for word in words):
                    return self._passed.pop(at)
            self._passed.append(self.line())

    def tell(self, line: str) -> None:
        """Send the program a line."""
        assert self.program.stdin is not None
        self.program.stdin.write(line + "\n")
        self.program.stdin.flush()

    def ip(self, *arguments: str) -> None:
        """Run ip(8) there."""
        run("nsenter", f"--net=/proc/{self.program.pid}/ns/net", "ip", *arguments)

    def end(self) -> None:
        """Away with it."""
        self.program.kill()
        self.program.communicate()


class Bridge:
    """A switch to which machines can be connected."""

    def __init__(self, name: str = "br0") -> None:
        self.name = name
        run("ip", "link", "add", name, "type", "bridge", "forward_delay", "0", "mcast_snooping", "0")
        run("ip", "link", "set", name, "up")

    def connect(self, machine: Machine, interface: str, address: str | None) -> None:
        """Give a machine an interface here, with an IPv4 address or with what IPv6 gives itself alone."""
        outside = f"{machine.name}{interface}"[:15]
        inside = ("peer", "name", interface, "netns", str(machine.program.pid))
        run("ip", "link", "add", outside, "type", "veth", *inside)
        run("ip", "link", "set", outside, "master", self.name, "up")
        if address is not None:
            machine.ip("addr", "add", f"{address}/24", "dev", interface)
        machine.ip("link", "set", interface, "up")

    def cut(self, machine: Machine, interface: str) -> None:
        """Pull the plug."""
        run("ip", "link", "del", f"{machine.name}{interface}"[:15])


@contextmanager
def machines(module: str, **arguments: list[str]) -> Iterator[dict[str, Machine]]:
    """Machines by name, each with a program of its own, gone at the end."""
    made: dict[str, Machine] = {}
    try:
        for name, each in arguments.items():
            made[name] = Machine(name, module, each)
        yield made
    finally:
        for machine in made.values():
            machine.end()


def run(*command: str) -> None:
    """A command that has to succeed."""
    subprocess.run(command, check=True)
