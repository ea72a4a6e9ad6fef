"""Unicode twins: two names in one directory that are equal after NFC. Owns giving one of them a name of its own."""

from collections.abc import Iterable
from typing import Final

from peer.disk.apply import apply
from peer.disk.root import Root
from peer.disk.steps import Applied, Move, Occupied
from peer.fingerprint import DiskKind, Path
from peer.scan.identity import Twin
from protocol.names import nfc, twin_name

_NAMES: Final = 100
"""So many names are tried."""


def rename_twins(root: Root, twins: Iterable[Twin]) -> list[Twin]:
    """Rename the second of each two; returns those that could not be renamed. Blocks."""
    return [twin for twin in twins if not _rename(root, twin.other)]


def _rename(root: Root, path: Path) -> bool:
    try:
        with root.open_directories() as directories:
            directory, name = directories.parent(path)
            status = root.fs.stat(directory, name)
    except OSError:
        return False
    for number in range(1, _NAMES):
        free = twin_name(nfc(name), number, directory=status.kind is DiskKind.DIRECTORY)
        (result,) = apply(root, [Move(path, (*path[:-1], free), status.fingerprint)])
        if not isinstance(result, Occupied):
            return isinstance(result, Applied)
    return False
