"""The programs of the demonstration: one coordinator and two devices with their homes and folders.

Owns starting them, asking them, and that none of them and nothing of theirs is left behind. Everything is done through
the installed commands, as anybody would.
"""

import contextlib
import json
import queue
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from tests.common.processes import command, environment

DEADLINE_S = 30.0


class Failed(Exception):
    """A program did not do what it should have. The text has what it said."""


class Running:
    """A program that stays: its output lines are kept apart from its log file."""

    def __init__(self, arguments: list[str], log: Path) -> None:
        self.name = " ".join(arguments[:1])
        self._log = log
        with log.open("ab") as errors:
            self.process = subprocess.Popen(
                [*command(arguments[0]), *arguments[1:]],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
                env=environment({"SHOAL_LAN": "on"}),
                cwd="/",
                start_new_session=True,  # Ctrl-C is ours: we end them in order
            )
        assert self.process.stdout is not None
        self._lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._reader = threading.Thread(target=self._read, args=(self.process.stdout,), daemon=True)
        self._reader.start()

    def _read(self, stream: IO[bytes]) -> None:
        for line in stream:
            self._lines.put(line.decode().rstrip("\n"))
        self._lines.put(None)

    def line(self, beginning: str) -> str:
        """The next line that begins so. Raises `Failed` where it does not come."""
        ends = time.monotonic() + DEADLINE_S
        with contextlib.suppress(queue.Empty):
            while (line := self._lines.get(timeout=max(0.0, ends - time.monotonic()))) is not None:
                if line.startswith(beginning):
                    return line
        raise Failed(f"{self.name} never said {beginning!r}: {self._last_words()}")

    def lines(self) -> Iterator[str]:
        """All lines until its end."""
        while (line := self._lines.get()) is not None:
            yield line

    def end(self) -> None:
        """SIGTERM, and what it takes after that."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(12)
            except subprocess.TimeoutExpired:
                self.process.kill()
        self.process.wait()
        self._reader.join(5)
        if self.process.stdout is not None:
            self.process.stdout.close()

    def _last_words(self) -> str:
        with contextlib.suppress(OSError):
            return " / ".join(self._log.read_text(errors="replace").splitlines()[-3:])
        return "nothing in its log"


class Device:
    """One home with its folder, and the daemon when it runs."""

    def __init__(self, name: str, place: Path) -> None:
        self.name = name
        self.place = place
        self.home = place / f"{name}-home"
        self.folder = place / name
        self.folder.mkdir()
        self.daemon: Running | None = None
        self.status: dict[str, Any] = {}
        """The last thing that was heard of its state."""
        self._watcher: Running | None = None

    def run(self, *arguments: str) -> str:
        """A command of this device; what it prints. Raises `Failed`."""
        return run(["shoal", "--home", str(self.home), *arguments])

    def start(self) -> None:
        """Start syncing; ready for commands on return."""
        self.daemon = Running(["shoal", "--home", str(self.home), "start", "--foreground"], self._log("daemon"))
        self.daemon.line("ready")

    def stop(self) -> None:
        """Stop syncing."""
        if self._watcher is not None:
            self._watcher.end()
            self._watcher = None
        if self.daemon is not None:
            self.daemon.end()
            self.daemon = None
        self.status = {}

    def watch(self) -> None:
        """Keep `status` fresh from now on, until the daemon stops."""
        watcher = Running(["shoal", "--home", str(self.home), "status", "--watch", "--json"], self._log("watch"))

        def follow() -> None:
            for line in watcher.lines():
                self.status = json.loads(line)

        self._watcher = watcher
        threading.Thread(target=follow, daemon=True).start()

    def moved(self) -> tuple[int, int, int]:
        """Block bytes sent to the coordinator, received, and of these by the LAN, since the daemon started."""
        transfer = json.loads(self.run("status", "--json"))["transfer"]
        return transfer["server_out"], transfer["server_in"] + transfer["lan_in"], transfer["lan_in"]

    def wait(self) -> None:
        """Until all is in step on this device. Raises `Failed`."""
        self.run("wait", "--timeout", str(DEADLINE_S))

    def _log(self, of: str) -> Path:
        return self.place / f"{self.name}-{of}.log"


class Stage:
    """All of it. Made by `open_stage`."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self.data = place / "coordinator"
        self.url = ""
        self.left, self.right = Device("laptop", place), Device("desk", place)
        self._server: Running | None = None

    @property
    def devices(self) -> tuple[Device, Device]:
        """The laptop, then the desk."""
        return self.left, self.right

    def serve(self) -> None:
        """Start the coordinator on a free port of this machine."""
        arguments = ["shoal-coordinator", "serve", "--data", str(self.data), "--listen", "127.0.0.1:0"]
        self._server = Running(arguments, self.place / "coordinator.log")
        self.url = self._server.line("listening on ").removeprefix("listening on ")

    def invite(self, user: str) -> str:
        """A join code."""
        said = run(["shoal-coordinator", "invite", user, "--data", str(self.data), "--json"])
        return str(json.loads(said)["code"])

    def evidence(self) -> list[str]:
        """What the programs last said of themselves, for when something went wrong."""
        lines = []
        for device in self.devices:
            with contextlib.suppress(Failed, subprocess.TimeoutExpired):
                lines += device.run("status").splitlines()
        for log in sorted(self.place.glob("*.log")):
            with contextlib.suppress(OSError):
                lines += [f"{log.stem}: {line}" for line in log.read_text(errors="replace").splitlines()[-15:]]
        return lines

    def close(self) -> None:
        """End whatever runs."""
        with contextlib.ExitStack() as stack:
            if self._server is not None:
                stack.callback(self._server.end)
            for device in self.devices:
                stack.callback(device.stop)


@contextlib.contextmanager
def open_stage() -> Iterator[Stage]:
    """A stage in a new directory. Programs, files and folders are gone when the context ends, however it does."""
    place = Path(tempfile.mkdtemp(prefix="shoal-demo-"))
    try:
        stage = Stage(place)
        try:
            yield stage
        finally:
            stage.close()
    finally:
        shutil.rmtree(place, ignore_errors=True)


def run(arguments: list[str]) -> str:
    """A command to its end; what it printed. Raises `Failed` unless its status is 0."""
    done = subprocess.run(
        [*command(arguments[0]), *arguments[1:]],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        env=environment(),
        cwd="/",
        timeout=2 * DEADLINE_S,
        start_new_session=True,
    )
    if done.returncode != 0:
        raise Failed(f"`{' '.join(arguments)}` ended with {done.returncode}: {done.stderr.strip()}")
    return done.stdout
