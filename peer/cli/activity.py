"""`log`: what happened to which file, by whom. Owns printing it as it comes."""

import signal
import sys
from types import FrameType
from typing import Final, NoReturn

import click

from peer.cli.asking import converse, expect
from peer.cli.command import CommandFailed, Exit, Session, example, with_session
from peer.cli.printing import is_terminal, line_shown, print_document, say, terminal, time_shown
from peer.cli.targets import path_meant
from peer.control.messages import Done
from peer.control.upkeep import Event, Log

SHOWN: Final = 50
"""So many events are enough on a terminal, unless more are asked for."""
_STYLES: Final = {
    "added": "green",
    "restored": "green",
    "edited": "cyan",
    "renamed": "blue",
    "moved": "blue",
    "deleted": "red",
    "conflict": "bold yellow",
    "workspace_made": "magenta",
    "device_added": "magenta",
    "device_revoked": "magenta",
    "keys_changed": "magenta",
}


@click.command(epilog=example("shoal log Documents:reports --last 20"))
@click.argument("path", required=False)
@click.option("--follow", "-f", is_flag=True, help="Go on as things happen, until Ctrl-C.")
@click.option(
    "--last",
    type=click.IntRange(min=0, max=1_000_000),
    metavar="N",
    help=f"Begin with the last N events: {SHOWN} on a terminal, all of them elsewhere.",
)
@with_session
def log(session: Session, path: str | None, follow: bool, last: int | None) -> None:
    """Show what happened to which file, by whom.

    Oldest first, everywhere or at PATH and below. A path is shown as it was at that time.

    With --json one document a line.
    """
    if last is None and is_terminal(sys.stdout) and not session.as_json:
        last = SHOWN
    signal.signal(signal.SIGTERM, _end)
    try:
        told = _tell(session, path, last, follow)
    except KeyboardInterrupt:
        if not follow:
            raise
        return
    if not told and not session.as_json:
        say("nothing has happened there")


def _tell(session: Session, path: str | None, last: int | None, follow: bool) -> int:
    """Print the events; how many. A bare name that is in no synced folder may be a workspace."""
    if path is None:
        return _print(session, Log(last=last, follow=follow))
    try:
        return _print(session, Log(path=path_meant(path), last=last, follow=follow))
    except CommandFailed as error:
        if error.status != Exit.FAILED or "/" in path or ":" in path:
            raise
        return _print(session, Log(path=f"{path}:", last=last, follow=follow))


def _print(session: Session, request: Log) -> int:
    told = 0
    with converse(session, request) as replies:
        for reply in replies:
            if isinstance(reply, Done):
                return told
            _show(session, expect(reply, Event))
            told += 1
    raise CommandFailed("the daemon has ended: start it again with `shoal start`", Exit.UNREACHABLE)


def _show(session: Session, event: Event) -> None:
    if session.as_json:
        print_document(event)
        return
    where = f"{event.workspace}:{event.path}" if event.path else event.workspace
    cells = (time_shown(event.time), f"{event.device} of {event.user}", event.action.replace("_", " "), where)
    if not is_terminal(sys.stdout):
        click.echo("\t".join(line_shown(cell) for cell in (*cells, event.detail)))
        sys.stdout.flush()
        return
    from rich.table import Table
    from rich.text import Text

    when, who, action, place = (line_shown(cell) for cell in cells)
    line = Table.grid(padding=(0, 2))
    line.add_column(width=16)
    line.add_column(width=14)
    line.add_column(overflow="fold")
    told = Text.assemble((place, "bold"), f"  {line_shown(event.detail)}" if event.detail else "", (f"  {who}", "dim"))
    line.add_row(Text(when, "dim"), Text(action, _STYLES.get(event.action, "")), told)
    terminal(sys.stdout).print(line)


def _end(_number: int, _frame: FrameType | None) -> NoReturn:
    raise click.exceptions.Exit(Exit.DONE)
