"""`pause` and `resume`: hold syncing back for a while. Owns asking and telling."""

import click

from peer.cli.asking import ask
from peer.cli.command import Session, example, with_session
from peer.cli.printing import print_document, say
from peer.cli.targets import folder_meant
from peer.control.upkeep import Pause, Paused

_FOLDER = click.Path(file_okay=True, dir_okay=True)


@click.command(epilog=example("shoal pause ~/Documents"))
@click.argument("folder", type=_FOLDER, required=False)
@with_session
def pause(session: Session, folder: str | None) -> None:
    """Transfer and commit nothing at FOLDER until it is resumed.

    All folders that are synced now are paused where none is named. What changes is noticed meanwhile, here and
    elsewhere, and `shoal status` shows it; a restart changes nothing about it.
    """
    _ask(session, folder, resume=False)


@click.command(epilog=example("shoal resume"))
@click.argument("folder", type=_FOLDER, required=False)
@with_session
def resume(session: Session, folder: str | None) -> None:
    """Go on where syncing was paused: at FOLDER, or everywhere."""
    _ask(session, folder, resume=True)


def _ask(session: Session, folder: str | None, *, resume: bool) -> None:
    paused = ask(session, Pause(folder=None if folder is None else folder_meant(folder), resume=resume), Paused)
    if session.as_json:
        print_document(paused)
        return
    for each in paused.folders:
        say(f"{each.workspace} at {each.folder} {'goes on' if resume else 'is paused: `shoal resume` lets it go on'}")
    if not paused.folders:
        say("no folder is synced here")
