"""`add`, `mount`, `unmount`, `workspaces` and `confirm`: what is synced here. Owns asking and telling."""

import sys

import click

from peer.cli.asking import ask
from peer.cli.command import Session, example, with_session
from peer.cli.printing import count_shown, line_shown, print_document, print_json, print_rows, say, size_shown
from peer.cli.targets import folder_meant
from peer.control.messages import (
    Add,
    Confirm,
    Confirmed,
    Done,
    Mount,
    Mounted,
    Unmount,
    Workspaces,
    WorkspacesRequest,
)

_FOLDER = click.Path(file_okay=True, dir_okay=True)


@click.command(epilog=example("shoal add ~/Documents --name Papers"))
@click.argument("folder", type=_FOLDER)
@click.option("--name", help="What to call the workspace; the folder's name if not given.")
@with_session
def add(session: Session, folder: str, name: str | None) -> None:
    """Make a workspace out of FOLDER.

    It is kept in step with the other devices that mount it from now on."""
    mounted = ask(session, Add(folder=folder_meant(folder), name=name), Mounted, None)
    _tell_mounted(session, mounted)


@click.command(epilog=example("shoal mount Documents ~/Documents"))
@click.argument("workspace")
@click.argument("folder", type=_FOLDER)
@with_session
def mount(session: Session, workspace: str, folder: str) -> None:
    """Bring WORKSPACE to FOLDER on this device.

    WORKSPACE is a name, user/name or an id. FOLDER may hold files already: equal ones are kept without a transfer,
    others under the same name become conflicted copies, and what the workspace lacks is uploaded.
    """
    mounted = ask(session, Mount(workspace=workspace, folder=folder_meant(folder)), Mounted, None)
    _tell_mounted(session, mounted)


def _tell_mounted(session: Session, mounted: Mounted) -> None:
    if session.as_json:
        print_document(mounted)
    else:
        say(f"{mounted.name} is in step with {mounted.folder} from now on: `shoal status` shows how far it is")


@click.command(epilog=example("shoal unmount ~/Documents"))
@click.argument("folder", type=_FOLDER)
@with_session
def unmount(session: Session, folder: str) -> None:
    """Stop keeping FOLDER in step here; its files stay."""
    meant = folder_meant(folder)
    done = ask(session, Unmount(folder=meant), Done)
    if session.as_json:
        print_json({"folder": meant})
    else:
        say(done.message or f"{meant} is no longer kept in step; its files stay")


@click.command(epilog=example("shoal workspaces"))
@with_session
def workspaces(session: Session) -> None:
    """List the workspaces that may be mounted here."""
    reply = ask(session, WorkspacesRequest(), Workspaces)
    if session.as_json:
        print_document(reply)
        return
    print_rows(
        ("workspace", "role", "entries", "stored", "members", "folder here"),
        (
            (
                f"{each.owner}/{each.name}",
                each.role,
                f"{each.entries:,}",
                size_shown(each.stored_bytes),
                ", ".join(each.members),
                each.folder or "-",
            )
            for each in reply.workspaces
        ),
        right=frozenset({2, 3}),
    )


@click.command(epilog=example("shoal confirm ~/Documents"))
@click.argument("folder", type=_FOLDER, required=False)
@click.option("--reject", is_flag=True, help="Answer no: nothing is deleted, and what is missing comes back.")
@with_session
def confirm(session: Session, folder: str | None, reject: bool) -> None:
    """Answer what a workspace waits for.

    That is a large deletion, or a folder that was replaced; the answer is yes without --reject.

    The question is shown. On a terminal you are asked before yes is said; in a script the command is the answer.
    """
    meant = None if folder is None else folder_meant(folder)
    if not session.as_json and not reject and sys.stdin.isatty() and sys.stderr.isatty():
        shown = ask(session, Confirm(folder=meant, show=True), Confirmed)
        for question in shown.questions:
            say(question)
        if not shown.questions:
            say("nothing waits for an answer")
            return
        click.confirm("Go on?", abort=True, err=True)
    confirmed = ask(session, Confirm(folder=meant, reject=reject), Confirmed)
    if session.as_json:
        print_document(confirmed)
        return
    for question in confirmed.questions:
        click.echo(line_shown(question))
    if not confirmed.questions:
        say("nothing waits for an answer")
    elif confirmed.answered:
        say(f"{count_shown(len(confirmed.questions), 'question')} answered with {'no' if reject else 'yes'}")
