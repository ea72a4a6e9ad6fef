"""`ls`, `cat` and `conflicts`: what is in a workspace. Owns printing it."""

import sys

import click

from peer.cli.asking import ask, converse, expect
from peer.cli.command import CommandFailed, Session, example, with_session
from peer.cli.printing import print_document, print_rows, say, size_shown, time_shown
from peer.cli.targets import listing_meant, path_meant
from peer.control.messages import Cat, CatData, Conflicts, ConflictsRequest, Done, Listing, Ls


@click.command(epilog=example("shoal ls Documents:reports"))
@click.argument("target", metavar="[WORKSPACE[:PATH]]", required=False)
@with_session
def ls(session: Session, target: str | None) -> None:
    """List a directory of a workspace.

    Shows what is directly below it; of a file, the file itself."""
    meant, otherwise = listing_meant(target)
    try:
        listing = ask(session, Ls(target=meant), Listing)
    except CommandFailed:
        if otherwise is None:
            raise
        second = _list_or_none(session, otherwise)
        if second is None:
            raise
        listing = second
    if session.as_json:
        print_document(listing)
        return
    print_rows(
        ("path", "kind", "size"),
        (
            (
                each.path if each.target is None else f"{each.path} -> {each.target}",
                each.kind,
                size_shown(each.size) if each.kind == "file" else "",
            )
            for each in listing.entries
        ),
        right=frozenset({2}),
    )


def _list_or_none(session: Session, path: str) -> Listing | None:
    try:
        return ask(session, Ls(target=path), Listing)
    except CommandFailed:
        return None


@click.command(epilog=example("shoal cat Documents:notes.txt"))
@click.argument("path")
@click.option("--version", metavar="ID", help="Not the newest version: an id of `shoal history`, or its beginning.")
@with_session
def cat(session: Session, path: str, version: str | None) -> None:
    """Write a file's bytes to standard output.

    They are fetched where this device does not hold them.

    With --json they come in base64, one document of {"data"} for each piece.
    """
    with converse(session, Cat(path=path_meant(path), version=version)) as replies:
        for reply in replies:
            if isinstance(reply, Done):
                sys.stdout.buffer.flush()
                return
            piece = expect(reply, CatData)
            if session.as_json:
                print_document(piece)
            else:
                sys.stdout.buffer.write(piece.data)
    raise CommandFailed("the daemon ended before the file did: what was printed is not all of it")


@click.command(epilog=example("shoal conflicts"))
@with_session
def conflicts(session: Session) -> None:
    """List the conflicted copies that are still there."""
    reply = ask(session, ConflictsRequest(), Conflicts)
    if session.as_json:
        print_document(reply)
        return
    print_rows(
        ("conflicted copy", "copy of", "edited on", "found"),
        (
            (f"{each.workspace}:{each.path}", each.of or "-", each.device, time_shown(each.time))
            for each in reply.conflicts
        ),
    )
    if not reply.conflicts:
        say("there are no conflicted copies")
