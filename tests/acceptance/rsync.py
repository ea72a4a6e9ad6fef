"""What is measured against: `rsync -a` from a daemon on loopback."""

import contextlib
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from tests.acceptance.telling import NotShown, demand

_START_S = 20.0


@contextlib.contextmanager
def open_rsync_daemon(directory: Path, folder: Path) -> Iterator[str]:
    """A daemon that serves `folder`; gives the address to copy from. Its own files are put into `directory`."""
    demand(shutil.which("rsync") is not None, "rsync is not installed (on Debian: apt-get install rsync)")
    port = _free_port()
    config = directory / "rsyncd.conf"
    user = "uid = 0\ngid = 0\n" if os.geteuid() == 0 else ""
    config.write_text(
        f"use chroot = no\nlog file = {directory}/rsyncd.log\n{user}[tree]\npath = {folder}\nread only = yes\n"
    )
    daemon = subprocess.Popen(
        ["rsync", "--daemon", "--no-detach", f"--config={config}", "--address=127.0.0.1", f"--port={port}"],
        stdin=subprocess.DEVNULL,
    )
    try:
        _await_port(port, daemon)
        yield f"rsync://127.0.0.1:{port}/tree/"
    finally:
        daemon.terminate()
        daemon.wait()


def timed_rsync_s(source: str, target: Path) -> float:
    """How long `rsync -a` takes, in seconds."""
    started = time.monotonic()
    done = subprocess.run(["rsync", "-a", source, f"{target}/"], capture_output=True, text=True)
    took_s = time.monotonic() - started
    demand(done.returncode == 0, f"rsync ended with {done.returncode}: {done.stderr}")
    return took_s


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as held:
        port: int = held.getsockname()[1]
        return port


def _await_port(port: int, daemon: "subprocess.Popen[bytes]") -> None:
    ends = time.monotonic() + _START_S
    while daemon.poll() is None and time.monotonic() < ends:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1.0):
            return
    raise NotShown("the rsync daemon did not start")
