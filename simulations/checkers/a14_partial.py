"""A14 and A18, nothing partial and nothing wrong: what is in a file is whole, or somebody writes it this very moment.

Owns two looks: at every call by which a program puts something at a place of people's, which must be a version of the
journal, or of a commit that waits for the coordinator, or was people's before; and at rest. Bytes that were damaged on
their way would be neither.
"""

from simulations.checkers.disk_calls import WRITES, DiskCall, Name, Place
from simulations.checkers.resting import Resting
from simulations.checkers.versions import Versions
from simulations.ledger import shown


def misplaced(call: DiskCall, versions: Versions) -> str | None:
    """The broken promise, if the call breaks it."""
    first = call.names[0]
    if first.place is Place.PEOPLE and (call.call in WRITES or call.call == "create"):
        return f"A14 partial content: {call.device} writes in place at {first.path}"
    if call.call not in {"rename_new", "rename_over", "exchange"}:
        return None
    wrong = _put(call, first, call.names[1], versions)
    return wrong or (_put(call, call.names[1], first, versions) if call.call == "exchange" else None)


def _put(call: DiskCall, source: Name, target: Name, versions: Versions) -> str | None:
    inode = source.inode
    if inode is None or inode.is_directory or source.is_peoples or target.place is not Place.PEOPLE:
        return None
    if versions.has_link(inode.target) if inode.target else versions.has(inode.content):
        return None
    if versions.is_handed_link(inode.target) if inode.target else versions.is_handed(inode.content):
        return None
    what = shown(inode.content.read(0, 200))
    return f"A14 partial content: {call.device} puts at {target.path} what is no version: {what}"


def partial(rest: Resting) -> list[str]:
    """Files at rest whose content nobody wrote as a whole."""
    return [
        f"A14 partial content: {path}: not a whole content: {shown(rest.alive[path])}"
        for path, content in rest.contents.items()
        if content is None
    ]
