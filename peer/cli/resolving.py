"""`resolve`: settle a conflicted copy. Owns asking and telling."""

import click

from peer.cli.asking import ask
from peer.cli.command import Session, example, with_session
from peer.cli.printing import print_document, say
from peer.cli.targets import path_meant
from peer.control.upkeep import Resolve, Resolved


@click.command(epilog=example("shoal resolve Documents:plan.txt --keep mine"))
@click.argument("path")
@click.option(
    "--keep",
    required=True,
    type=click.Choice(["mine", "theirs", "both", "copy", "original"]),
    help="Which version stays: mine is the one edited on this device, theirs the other one.",
)
@with_session
def resolve(session: Session, path: str, keep: str) -> None:
    """Settle a conflict: PATH is the conflicted copy, or the file that it is a copy of.

    The version that is kept gets the file's name, on all devices; the other one stays in the history. With both, the
    copy stays beside the file under a name of its own. Where mine says nothing, since neither or both were edited on
    this device, copy and original say which one is meant.
    """
    done = ask(session, Resolve(path=path_meant(path), keep=keep), Resolved, None)  # type: ignore[arg-type]  # a Choice
    if session.as_json:
        print_document(done)
        return
    match done.kept:
        case "both":
            say(f"{done.path} stays as it is, and the copy is {done.copy_at} now")
        case "copy":
            say(f"{done.path} is what {done.copy} was; what it was before is in the history")
        case "original":
            say(f"{done.path} stays as it is; {done.copy} is gone from here and is in the history")
