"""`status` and `wait`: how far things are. Owns which exit status that makes, and following it while it changes."""

import contextlib
import signal
import sys
import threading
import time
from collections.abc import Iterator
from types import FrameType
from typing import NoReturn

import click

from peer.cli.asking import ask, converse, expect
from peer.cli.command import CommandFailed, Exit, Session, example, with_session
from peer.cli.lines import status_lines
from peer.cli.printing import is_terminal, line_shown, print_document, say, size_shown, terminal
from peer.cli.rates import Pace
from peer.cli.targets import path_meant
from peer.control import client
from peer.control.messages import PathStatus, Problem, Status, StatusRequest, Wait, Waited, Watch

_GRACE_S = 15.0
"""How much later than asked for the daemon may say that a wait timed out, before it counts as hung."""


@click.command(epilog=example("shoal status --watch"))
@click.argument("path", required=False)
@click.option("--watch", is_flag=True, help="Go on showing it as it changes, until Ctrl-C.")
@with_session
def status(session: Session, path: str | None, watch: bool) -> None:
    """Show how far this device is, or one path.

    The exit status is 5 where there are problems to look at.
    """
    if watch and path is not None:
        raise click.UsageError("--watch shows everything: leave out PATH")
    if watch:
        _follow(session)
    elif path is not None:
        _show_path(session, path)
    else:
        _show(session)


def _show(session: Session) -> None:
    reply = ask(session, StatusRequest(), Status)
    if session.as_json:
        print_document(reply)
    elif is_terminal(sys.stdout):
        from peer.cli import panels  # only where there is a terminal, as below: scripts start commands often

        terminal(sys.stdout).print(panels.status_panel(reply, {}))
    else:
        for line in status_lines(reply):
            click.echo(line)
    if any(each.problems for each in reply.workspaces):
        raise click.exceptions.Exit(Exit.PROBLEMS)


def _show_path(session: Session, path: str) -> None:
    reply = ask(session, StatusRequest(path=path_meant(path)), PathStatus)
    if session.as_json:
        print_document(reply)
    else:
        durable = "durable" if reply.durable else "not durable yet"
        size = f", {size_shown(reply.size)}" if reply.kind == "file" else ""
        why = f" ({reply.why})" if reply.why else ""
        click.echo(
            line_shown(f"{reply.path or reply.workspace}: {reply.state.replace('_', ' ')}, {durable}{size}{why}")
        )
    if reply.state == "problem":
        raise click.exceptions.Exit(Exit.PROBLEMS)


def _follow(session: Session) -> None:
    """A status now and at each change, until the daemon ends or somebody has seen enough."""
    signal.signal(signal.SIGTERM, _end)
    with converse(session, Watch()) as replies, contextlib.suppress(KeyboardInterrupt):
        if session.as_json:
            for reply in replies:
                print_document(expect(reply, Status))
        elif is_terminal(sys.stdout):
            _follow_live(expect(reply, Status) for reply in replies)
        else:
            shown: list[str] = []
            for reply in replies:
                lines = status_lines(expect(reply, Status))
                if lines != shown:
                    click.echo("\n".join(lines))
                    sys.stdout.flush()
                shown = lines
        raise CommandFailed("the daemon has ended: start it again with `shoal start`", Exit.UNREACHABLE)


def _follow_live(replies: Iterator[Status]) -> None:
    from rich.live import Live

    from peer.cli import panels

    paces: dict[str, Pace] = {}
    with Live(console=terminal(sys.stdout), auto_refresh=False, vertical_overflow="crop") as live:
        for reply in replies:
            for each in reply.workspaces:
                pending = each.pending
                pace = paces.setdefault(each.id, Pace())
                pace.see(pending.up_bytes + pending.down_bytes, pending.up_files + pending.down_files, time.monotonic())
            live.update(panels.status_panel(reply, paces), refresh=True)


def _end(_number: int, _frame: FrameType | None) -> NoReturn:
    raise click.exceptions.Exit(Exit.DONE)


@click.command(epilog=example("shoal wait --timeout 60 ~/Documents"))
@click.argument("path", required=False)
@click.option("--timeout", type=click.FloatRange(min=0), metavar="S", help="Give up after S seconds, with status 4.")
@click.option("--durable", is_flag=True, help="Also until the coordinator holds every block.")
@with_session
def wait(session: Session, path: str | None, timeout: float | None, durable: bool) -> None:
    """Wait until all is in step.

    That is once everything here is committed and everything from elsewhere is here.

    The exit status is 5 where what is left cannot go on by itself, and 4 after --timeout.
    """
    request = Wait(timeout_s=timeout, durable=durable, path=None if path is None else path_meant(path))
    shows = is_terminal(sys.stderr) and not session.as_json
    with _progress(session) if shows else contextlib.nullcontext():
        waited = ask(session, request, Waited, None if timeout is None else timeout + _GRACE_S)
    if session.as_json:
        print_document(waited)
    match waited.outcome:
        case "in_step":
            return
        case "timed_out":
            raise CommandFailed(
                f"not in step within {timeout or 0:g} s: `shoal status` shows what is left", Exit.TIMED_OUT
            )
        case "problems":
            if not session.as_json:
                _say_problems(waited.problems)
                for folder in waited.paused:
                    say(f"{folder} is paused: `shoal resume` lets it go on")
            raise click.exceptions.Exit(Exit.PROBLEMS)


def _say_problems(problems: list[Problem]) -> None:
    for each in problems:
        say(f"{each.path or 'the whole workspace'}: {each.message} [{each.code}]")


@contextlib.contextmanager
def _progress(session: Session) -> Iterator[None]:
    """Bars on standard error for as long as the context lasts, fed by a second conversation."""
    from peer.cli import panels

    bars = panels.progress_bars(terminal(sys.stderr))
    over = threading.Event()

    def follow() -> None:
        pace, task = Pace(), bars.add_task("in step", total=None, rate="", left="")
        with contextlib.suppress(client.NoDaemon, CommandFailed), converse(session, Watch()) as replies:
            for reply in replies:
                if over.is_set():
                    return
                panels.feed(bars, task, expect(reply, Status), pace, time.monotonic())

    with bars:
        threading.Thread(target=follow, daemon=True).start()
        try:
            yield
        finally:
            over.set()
