"""The real programs as child processes: started unprivileged, listened to, ended for sure."""

import contextlib
import functools
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Final

import protocol

MODULES: Final = {"shoal": "peer", "shoal-coordinator": "coordinator", "shoal-sim": "simulations"}
DEADLINE_S: Final = 60.0
"""How long anything is waited for by default: far beyond what a slow machine needs."""
UNPRIVILEGED: Final = 65534


class ProgramFailed(AssertionError):
    """A program did not do what was waited for. The text has all that it said."""


@functools.cache
def user_for_programs() -> int | None:
    """The uid that programs run as, where the tests run as root and that user can run Python; else None (as we are)."""
    if os.geteuid() != 0:
        return None
    try:
        tried = subprocess.run(
            [sys.executable, "-P", "-c", "import trio"], user=UNPRIVILEGED, group=UNPRIVILEGED, extra_groups=[], cwd="/"
        )
    except OSError:
        return None
    return UNPRIVILEGED if tried.returncode == 0 else None


def unprivileged() -> dict[str, Any]:
    """How `subprocess` is asked to run something as the user that programs run as. Needs root, if we are root."""
    uid = user_for_programs()
    return {} if uid is None else {"user": uid, "group": uid, "extra_groups": []}


def give(path: Path) -> Path:
    """Hands a file or directory to the user that programs run as; returns it."""
    uid = user_for_programs()
    if uid is not None:
        os.chown(path, uid, uid)
    return path


@contextlib.contextmanager
def work_directory() -> Iterator[Path]:
    """A fresh directory that programs may write to, removed at the end."""
    path = Path(tempfile.mkdtemp(prefix="shoal-test-"))
    try:
        yield give(path)
    finally:
        shutil.rmtree(path)


class Program:
    """One running program. Leaving the context kills it if it still runs."""

    def __init__(self, process: subprocess.Popen[bytes], args: Sequence[str]) -> None:
        self.process = process
        self._args = list(args)
        self._news = threading.Condition()
        self._out: list[str] = []
        self._err: list[str] = []
        self._readers = [
            threading.Thread(target=self._collect, args=(stream, lines), daemon=True)
            for stream, lines in ((process.stdout, self._out), (process.stderr, self._err))
        ]
        for reader in self._readers:
            reader.start()

    def __enter__(self) -> "Program":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.kill()

    @property
    def pid(self) -> int:
        """The process id."""
        return self.process.pid

    @property
    def stdout(self) -> str:
        """All of standard output so far."""
        with self._news:
            return "\n".join(self._out)

    @property
    def stderr(self) -> str:
        """All of standard error so far."""
        with self._news:
            return "\n".join(self._err)

    def line(self, beginning: str, deadline_s: float = DEADLINE_S) -> str:
        """The first line on standard output that begins so, waited for. Raises `ProgramFailed` if it never comes."""
        return self._line(lambda line: line.startswith(beginning), beginning, deadline_s)

    def line_with(self, part: str, deadline_s: float = DEADLINE_S) -> str:
        """The first line on standard output that has this in it, as `line`."""
        return self._line(lambda line: part in line, part, deadline_s)

    def _line(self, is_meant: Callable[[str], bool], meant: str, deadline_s: float) -> str:
        ends = time.monotonic() + deadline_s
        with self._news:
            while True:
                for line in self._out:
                    if is_meant(line):
                        return line
                silent = self.process.poll() is not None and not any(each.is_alive() for each in self._readers)
                if silent or time.monotonic() > ends:
                    break
                self._news.wait(0.2)
        raise ProgramFailed(f"{self._args} never said {meant!r} (status {self.process.poll()})\n{self._said()}")

    def signal(self, number: signal.Signals) -> None:
        """Sends a signal."""
        self.process.send_signal(number)

    def wait(self, deadline_s: float = DEADLINE_S) -> int:
        """The exit status, waited for. Raises `ProgramFailed` if it does not end."""
        try:
            status = self.process.wait(deadline_s)
        except subprocess.TimeoutExpired:
            raise ProgramFailed(f"{self._args} did not end\n{self._said()}") from None
        for reader in self._readers:
            reader.join(deadline_s)
        return status

    def stop(self, deadline_s: float = DEADLINE_S) -> int:
        """SIGTERM, then the exit status."""
        self.signal(signal.SIGTERM)
        return self.wait(deadline_s)

    def kill(self) -> None:
        """Ends it at once, if it runs."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        for reader in self._readers:
            reader.join()
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            if stream is not None:
                stream.close()

    def rss_bytes(self) -> int:
        """Resident memory now."""
        return self._status_kib("VmRSS") * 1024

    def peak_bytes(self) -> int:
        """The most resident memory it ever had."""
        return self._status_kib("VmHWM") * 1024

    def threads(self) -> int:
        """How many threads it has now."""
        return len(os.listdir(f"/proc/{self.pid}/task"))

    def descriptors(self) -> int:
        """How many files and sockets it has open now."""
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def tasks(self, deadline_s: float = DEADLINE_S) -> int:
        """How many tasks it says that it has, asked with SIGUSR1."""
        ends = time.monotonic() + deadline_s
        with self._news:
            before = self._told_tasks()
            self.signal(signal.SIGUSR1)
            while len(told := self._told_tasks()) == len(before):
                if self.process.poll() is not None or time.monotonic() > ends:
                    raise ProgramFailed(f"{self._args} never said how many tasks it has\n{self._said()}")
                self._news.wait(0.2)
        return told[-1]

    def _told_tasks(self) -> list[int]:
        return [int(line.split()[1]) for line in self._err if line.startswith("tasks ")]

    def _status_kib(self, name: str) -> int:
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith(name + ":"):
                return int(line.split()[1])
        raise ProgramFailed(f"{self._args} has ended\n{self._said()}")

    def _collect(self, stream: IO[bytes], lines: list[str]) -> None:
        for raw in stream:
            with self._news:
                lines.append(raw.decode("utf-8", "replace").rstrip("\n"))
                self._news.notify_all()

    def _said(self) -> str:
        return "\n".join(["--- stdout", *self._out[-100:], "--- stderr", *self._err[-100:]])


def command(name: str) -> list[str]:
    """How to run a program: its console script where one is installed beside Python, else its module."""
    script = Path(sys.executable).parent / name
    return [str(script)] if script.exists() else [sys.executable, "-P", "-m", MODULES[name]]


def environment(more: Mapping[str, str] | None = None) -> dict[str, str]:
    """What programs see: ours without what would steer Python or Shoal, with the packages that we test.

    They stay away from the local network, and so from the programs of other tests, unless `more` says otherwise.
    """
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PYTHON", "SHOAL", "XDG_", "COV_")) and name not in {"HOME", "NO_COLOR"}
    }
    root = Path(protocol.__file__).parent.parent
    if root.name != "site-packages":
        kept["PYTHONPATH"] = str(root)
    return {**kept, "PYTHONUNBUFFERED": "1", "SHOAL_LAN": "off", **(more or {})}


def start_program(
    args: Sequence[str],
    env: Mapping[str, str] | None = None,
    *,
    cwd: Path | None = None,
    stdin: bytes | None = None,
    inside: Sequence[str] = (),
) -> Program:
    """Start `args` (the first one is `shoal`, `shoal-coordinator` or `shoal-sim`), unprivileged where we are root.

    `inside` is a command that runs another one, somewhere else.
    """
    process = subprocess.Popen(
        [*inside, *command(args[0]), *args[1:]],
        stdin=subprocess.DEVNULL if stdin is None else subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(env),
        cwd=cwd or "/",
        **unprivileged(),
    )
    if stdin is not None and process.stdin is not None:
        with contextlib.suppress(BrokenPipeError):
            process.stdin.write(stdin)
            process.stdin.close()
    return Program(process, args)


def run_program(
    args: Sequence[str],
    env: Mapping[str, str] | None = None,
    *,
    cwd: Path | None = None,
    stdin: bytes | None = None,
    deadline_s: float = DEADLINE_S,
    inside: Sequence[str] = (),
) -> tuple[int, str, str]:
    """Run to the end: exit status, standard output, standard error."""
    with start_program(args, env, cwd=cwd, stdin=stdin, inside=inside) as program:
        status = program.wait(deadline_s)
        return status, program.stdout, program.stderr
