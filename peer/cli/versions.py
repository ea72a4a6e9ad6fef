"""`history`: the versions that a path has had. Owns printing them."""

import click

from peer.cli.asking import ask
from peer.cli.command import Session, example, with_session
from peer.cli.printing import print_document, print_rows, size_shown, time_shown
from peer.cli.targets import path_meant
from peer.control.upkeep import History, HistoryRequest, VersionEntry

ID_SHOWN = 12
"""So many digits of an id are enough for people."""


@click.command(epilog=example("shoal history Documents:notes.txt"))
@click.argument("path")
@with_session
def history(session: Session, path: str) -> None:
    """List the versions of a file, the newest first.

    Of a directory, those of everything below it. PATH may be of something that was deleted.

    A version that is not durable is still to be sent to the coordinator, by its author or by another device that has
    it. One that is not kept never was, and nobody has its bytes any more.
    """
    reply = ask(session, HistoryRequest(path=path_meant(path)), History)
    if session.as_json:
        print_document(reply)
        return
    print_rows(
        ("version", "time", "path", "size", "by", ""),
        (
            (
                each.id[:ID_SHOWN],
                time_shown(each.time),
                each.path,
                size_shown(each.size) if each.kind == "file" and not each.deleted else each.kind,
                f"{each.device} of {each.user}",
                _state(each),
            )
            for each in reply.versions
        ),
        right=frozenset({3}),
    )


def _state(version: VersionEntry) -> str:
    said = []
    if version.current:
        said.append("deleted" if version.deleted else "current")
    elif version.deleted:
        said.append("deletion")
    if not version.kept:
        said.append("not kept")
    elif not version.durable:
        said.append("not durable yet")
    return ", ".join(said)
