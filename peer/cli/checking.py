"""`verify` and `doctor`: are the files, and is the set-up, as they should be.

Owns printing what was found, and which exit status that makes.
"""

import itertools
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

import click
import msgspec

from peer.cli.asking import ask, converse, expect
from peer.cli.command import CommandFailed, Exit, Session, example, with_session
from peer.cli.printing import (
    count_shown,
    is_terminal,
    line_shown,
    print_document,
    print_json,
    say,
    size_shown,
    terminal,
)
from peer.cli.targets import folder_meant
from peer.control.client import NoDaemon
from peer.control.messages import Status, StatusRequest
from peer.control.upkeep import Verified, VerifiedFolder, Verify, Verifying

if TYPE_CHECKING:
    from peer.checkup import Check


@click.command(epilog=example("shoal verify ~/Documents"))
@click.argument("folder", type=click.Path(), required=False)
@with_session
def verify(session: Session, folder: str | None) -> None:
    """Read every file and compare it with what was synced.

    Finds files whose bytes changed though nobody saved them, and changes that were not noticed. Nothing is altered. Of
    all synced folders where none is named.

    The exit status is 1 where something is not as it should be.
    """
    verified = _ask(session, Verify(folder=None if folder is None else folder_meant(folder)))
    found = sum(len(each.findings) for each in verified.folders)
    if session.as_json:
        print_document(verified)
    else:
        for each in verified.folders:
            for line in _lines(each):
                click.echo(line_shown(line))
    if found:
        which = "1 file is not as it" if found == 1 else f"{found:,} files are not as they"
        raise CommandFailed(f"{which} should be: compare with `shoal cat`, and look at the disk")


def _lines(folder: VerifiedFolder) -> list[str]:
    lines = [f"{each.what:<10}  {folder.folder}/{each.path}: {each.message}" for each in folder.findings]
    total = f"{folder.workspace}: {count_shown(folder.files, 'file')}, {size_shown(folder.bytes)} as they were synced"
    if folder.not_in_step:
        total += f", {folder.not_in_step:,} of them still to be sent or replaced"
    return [*lines, total]


def _ask(session: Session, request: Verify) -> Verified:
    """The answer; on a terminal with a bar until then."""
    with converse(session, request) as replies:
        if is_terminal(sys.stderr) and not session.as_json:
            from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

            columns = (TextColumn("{task.description}", markup=False), BarColumn(), TimeRemainingColumn())
            with Progress(*columns, console=terminal(sys.stderr), transient=True) as bars:
                task = bars.add_task("reading", total=None)
                for reply in replies:
                    if not isinstance(reply, Verifying):
                        return expect(reply, Verified)
                    words = f"{reply.files:,} of {count_shown(reply.total_files, 'file')}, {size_shown(reply.bytes)}"
                    bars.update(task, description=words, completed=reply.bytes, total=reply.total_bytes or None)
        for reply in replies:
            if not isinstance(reply, Verifying):
                return expect(reply, Verified)
    raise CommandFailed("the daemon ended before all was read: start it again with `shoal start`", Exit.UNREACHABLE)


_STYLES: Final = {"ok": "green", "warning": "yellow", "problem": "bold red"}


@click.command(epilog=example("shoal doctor"))
@with_session
def doctor(session: Session) -> None:
    """Look this device over, and say what is wrong.

    Checks the home, the daemon, the local database, the connection to the coordinator, the clock, the synced folders,
    the system's limit of watched directories and the room on the disks; then what the daemon itself complains about.
    Works without a daemon. Nothing is altered.

    The exit status is 5 where there are problems.
    """
    from peer.checkup import look_over  # much of the program, for this command alone

    found: list[Check] = []
    for check in itertools.chain(look_over(session.home), _complaints(session)):
        found.append(check)
        if not session.as_json:
            _print_check(check)
    problems = sum(each.state == "problem" for each in found)
    warnings = sum(each.state == "warning" for each in found)
    if session.as_json:
        print_json({"checks": msgspec.to_builtins(found)})
    else:
        counted = ", ".join(
            count_shown(number, noun) for number, noun in ((problems, "problem"), (warnings, "warning")) if number
        )
        say(counted or "nothing is wrong")
    if problems:
        raise click.exceptions.Exit(Exit.PROBLEMS)


def _complaints(session: Session) -> "Iterator[Check]":
    """What the daemon says; nothing where there is none, which was said already."""
    from peer.checkup import Check

    try:
        status = ask(session, StatusRequest(), Status)
    except (CommandFailed, NoDaemon):
        return
    for each in status.workspaces:
        for one in each.problems:
            message = f"{one.path or each.folder}: {one.message} [{one.code}]"
            yield Check(f"problem in {each.name}", "problem", message)


def _print_check(check: "Check") -> None:
    advice = f": {check.advice}" if check.advice and check.advice not in check.message else ""
    if not is_terminal(sys.stdout):
        click.echo("\t".join(line_shown(cell) for cell in (check.state, check.check, f"{check.message}{advice}")))
        return
    from rich.table import Table
    from rich.text import Text

    table = Table.grid(padding=(0, 2), expand=False)
    for width in (7, 22):
        table.add_column(width=width, overflow="fold")
    table.add_column(overflow="fold")
    said = Text(line_shown(check.message))
    if advice:
        said.append(f"\n{line_shown(check.advice)}", "italic")
    table.add_row(Text(check.state, _STYLES[check.state]), Text(line_shown(check.check), "bold"), said)
    terminal(sys.stdout).print(table)
