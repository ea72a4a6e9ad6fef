"""`start` and `stop`: the daemon's life, seen from outside.

Owns spawning it, and knowing when it answers and when it is gone. What it does is `peer.daemon`'s.
"""

import contextlib
import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Final

import click

from peer.cli.asking import expect
from peer.cli.command import CommandFailed, Exit, Session, example, with_session
from peer.cli.printing import line_shown, print_json, say
from peer.control import client
from peer.control.messages import Done, Hello, HelloReply, Stop
from peer.home import Home, HomeLocked, running_pid

LAN_VARIABLE: Final = "SHOAL_LAN"
"""Where it is `off`, a daemon stays away from the local network."""
START_S: Final = 30.0
STOP_S: Final = 30.0
_PAUSE_S: Final = 0.05
_TAIL_BYTES: Final = 4096


@click.command(epilog=example("shoal start"))
@click.option("--foreground", is_flag=True, help="Stay, and print `ready` once commands are answered.")
@click.option(
    "--no-lan", is_flag=True, help="Look for no devices on the local network, and be found by none (or SHOAL_LAN=off)."
)
@with_session
def start(session: Session, foreground: bool, no_lan: bool) -> None:
    """Start syncing on this device.

    Returns once the daemon answers commands, whether the coordinator can be reached or not.
    """
    home = session.home
    home.read_identity()
    home.prepare()
    pid = running_pid(home)
    if pid is not None:
        raise HomeLocked(home.path, pid)
    lan = not no_lan and os.environ.get(LAN_VARIABLE, "").strip().lower() != "off"
    if foreground:
        _stay(session, lan)
        return
    process = _spawn(home, lan)
    hello = _await_answer(home, process)
    if session.as_json:
        print_json({"pid": hello.pid, "device": hello.device, "user": hello.user})
    else:
        say(f"running as process {hello.pid}, {hello.device!r} of {hello.user}")


def _stay(session: Session, lan: bool) -> None:
    from peer.daemon import run_daemon  # the whole program, for those alone who become it
    from peer.store.database import StoreError

    def ready() -> None:
        if session.as_json:
            print_json({"ready": True, "pid": os.getpid()})
        else:
            click.echo("ready")
            sys.stdout.flush()

    try:
        run_daemon(session.home, ready, lan=lan)
    except StoreError as error:
        raise CommandFailed(str(error)) from error


def _spawn(home: Home, lan: bool) -> "subprocess.Popen[bytes]":
    """The daemon as a process of its own, which outlives this command and its terminal."""
    arguments = [sys.executable, "-P", "-m", "peer.daemon", "--home", os.fspath(home.path)]
    if not lan:
        arguments.append("--no-lan")
    descriptor = os.open(home.daemon_log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    try:
        return subprocess.Popen(
            arguments,
            stdin=subprocess.DEVNULL,
            stdout=descriptor,
            stderr=descriptor,
            cwd="/",
            start_new_session=True,
        )
    finally:
        os.close(descriptor)


def _await_answer(home: Home, process: "subprocess.Popen[bytes]") -> HelloReply:
    begun = home.daemon_log.stat().st_size
    ends = time.monotonic() + START_S
    while True:
        status = process.poll()
        try:
            reply = expect(client.ask(home.path, Hello(), _PAUSE_S * 100), HelloReply)
        except client.NoDaemon:
            pass
        else:
            if reply.pid == process.pid:
                return reply
            raise HomeLocked(home.path, reply.pid)  # another start was quicker
        if status is not None:
            said = _last_line(home.daemon_log, begun)
            raise CommandFailed(f"the daemon ended at once (status {status}): {said}; more in {home.daemon_log}")
        if time.monotonic() > ends:
            process.kill()
            said = _last_line(home.daemon_log, begun)
            raise CommandFailed(
                f"the daemon did not answer within {START_S:.0f} s: {said}; more in {home.daemon_log}", Exit.TIMED_OUT
            )
        time.sleep(_PAUSE_S)


def _last_line(log: Path, begun: int) -> str:
    """The last thing that was logged since then."""
    try:
        with log.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(begun if begun < size else 0, size - _TAIL_BYTES))
            lines = file.read().decode("utf-8", "replace").split("\n")
    except OSError:
        lines = []
    return line_shown(next((line.strip() for line in reversed(lines) if line.strip()), "it logged nothing"))


@click.command(epilog=example("shoal stop"))
@with_session
def stop(session: Session) -> None:
    """Stop syncing on this device.

    Returns once the daemon has ended.
    """
    home = session.home
    pid = running_pid(home)
    if pid is None:
        raise CommandFailed(f"no daemon is running for {home.path}: there is nothing to stop", Exit.UNREACHABLE)
    with contextlib.ExitStack() as stack:
        process = _watch_process(pid, stack)
        try:
            expect(client.ask(home.path, Stop(), STOP_S), Done)
        except client.NoDaemon:
            _terminate(pid)  # on its way up or down, or hung
        if not _has_ended(home, pid, process):
            raise CommandFailed(
                f"process {pid} has not ended within {STOP_S:.0f} s: see {home.daemon_log}", Exit.TIMED_OUT
            )
    if session.as_json:
        print_json({"pid": pid})
    else:
        say("stopped")


def _watch_process(pid: int, stack: contextlib.ExitStack) -> int | None:
    """A handle that becomes readable when the process ends; None where it has, or cannot be watched."""
    try:
        handle = os.pidfd_open(pid)
    except OSError:
        return None
    stack.callback(os.close, handle)
    return handle


def _terminate(pid: int) -> None:
    if pid:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)


def _has_ended(home: Home, pid: int, process: int | None) -> bool:
    """Whether it has let go of the home and is gone, waited for within the bound."""
    ends = time.monotonic() + STOP_S
    while running_pid(home) == pid:
        if time.monotonic() > ends:
            return False
        time.sleep(_PAUSE_S)
    if process is None:
        return True
    return bool(select.select([process], [], [], max(0.0, ends - time.monotonic()))[0])
