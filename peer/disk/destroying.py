"""The one place where bytes that were at a user path are destroyed, and what must be known before.

Owns the rule: a step takes away only what is a version in the journal (so the coordinator has it, verified) or what is
to be held; any other step is refused before it touches anything. And what was taken away is destroyed only if it still
is what was checked, and nobody has it open for writing; else it goes to `rescue`. Nothing else in the disk layer
unlinks anything but temporary files of its own, and nothing overwrites or truncates.
"""

from collections.abc import Collection
from contextlib import suppress

from peer.disk.private import is_open_for_writing, move_aside, rescue
from peer.disk.root import Root
from peer.disk.steps import Failed, PutFile, PutLink, RemoveFile, RemoveLink, Step
from peer.disk.swapping import Displaced
from peer.fingerprint import DiskKind

REFUSED = Failed("suspect_file", "nobody else is known to have what is here, so it stays")


def is_safe(step: Step) -> bool:
    """Whether what the step takes away is known to be stored elsewhere, or is to be held, or is nothing."""
    match step:
        case PutFile() | PutLink():
            return step.expected is None or step.acknowledged is not None or step.hold is not None
        case RemoveFile():
            return step.acknowledged is not None or step.hold is not None
        case RemoveLink():
            return step.acknowledged is not None
        case _:
            return True


def dispose(root: Root, displaced: Displaced) -> str | None:
    """Unlink or hold what a safe step took away; returns the name in `rescue` where somebody wrote to it since.

    Where the system refuses it stays in `swap`, and `recover` judges it at the next start.
    """
    name = displaced.swap_name
    with suppress(OSError):
        found = root.fs.stat(root.swap, name)
        touched = found.fingerprint != displaced.state or (
            found.kind is DiskKind.FILE and is_open_for_writing(root, root.swap, name)
        )
        if touched:
            rescued = rescue(root, root.swap, name, displaced.label)
            root.fs.sync(root.rescue)
            return rescued
        if displaced.hold:
            move_aside(root, name, root.held, displaced.hold)
            root.fs.sync(root.held)
        else:
            root.fs.unlink(root.swap, name)
    return None


def let_go(root: Root, names: Collection[str]) -> None:
    """Unlink what was held under these names, of versions that are durable now, or given up.

    When it was put aside nobody had it open for writing, and nobody looks there. Raises OSError.
    """
    for name in names:
        root.fs.unlink(root.held, name)
