"""What a program is about to do to its disk, in terms of places: people's, the program's own, or neither's.

Owns turning handles and names into places. Looks at the disk directly, so that nothing that is asked here counts as a
call or fails.
"""

import enum
from dataclasses import dataclass
from typing import Final

from peer.disk.root import PRIVATE_NAME
from simulations.disk import SimFilesystem
from simulations.disk.inodes import Inode

WRITES: Final = frozenset({"write_at", "copy_range", "truncate", "allocate"})
"""Calls that change the bytes of a file that is open."""
NAMES: Final = frozenset(
    {"create", "make_dir", "make_link", "rename_new", "rename_over", "exchange", "unlink", "remove_dir", "link"}
)
"""Calls that change what names stand for."""
CHANGES: Final = WRITES | NAMES | {"set_mode", "set_mtime"}
"""All calls that change anything."""
TWO_NAMES: Final = frozenset({"rename_new", "rename_over", "exchange", "link"})
"""Those of them that are about two names."""
_ONE: Final = (0,)
_TWO: Final = (0, 2)
_NOT_SYNCED: Final = "drafts"


class Place(enum.Enum):
    """Whose a directory is."""

    PEOPLE = "in a synced folder"
    OWN = "in a private directory"
    OUTSIDE = "outside of every synced folder"
    NOWHERE = "removed"


@dataclass(frozen=True, slots=True)
class Name:
    """A name in a directory, and what it stands for now."""

    place: Place
    path: str
    inode: Inode | None
    is_peoples: bool
    """Whether it stands for a file or a link that is at a place of people's, or was taken from one."""


@dataclass(frozen=True, slots=True)
class DiskCall:
    """A call that is about to change something."""

    device: str
    call: str
    names: tuple[Name, ...]
    """For a change of names, in the order of the call's arguments; else the name of the open file."""


class DiskCalls:
    """One device's calls in terms of places. Follows what its programs take from people's places."""

    def __init__(self, device: str) -> None:
        self._device = device
        self._taken: set[Inode] = set()

    def resolve(self, view: SimFilesystem, call: str, arguments: tuple[object, ...]) -> DiskCall | None:
        """The call, one of `CHANGES`; None where its handles lead nowhere."""
        if call in NAMES:
            pairs = _TWO if call in TWO_NAMES else _ONE
            found = [self._named(view, arguments[at], arguments[at + 1]) for at in pairs]
        else:
            found = [self._opened(view, arguments[2] if call == "copy_range" else arguments[0])]
        names = tuple(one for one in found if one is not None)
        if len(names) != len(found):
            return None
        if call in TWO_NAMES:
            self._follow(names[0], names[1])
            self._follow(names[1], names[0])
        return DiskCall(self._device, call, names)

    def _follow(self, source: Name, target: Name) -> None:
        if source.is_peoples and source.inode is not None:
            if target.place is Place.OWN:
                self._taken.add(source.inode)
            else:
                self._taken.discard(source.inode)

    def _named(self, view: SimFilesystem, handle: object, name: object) -> Name | None:
        directory = _inode(view, handle)
        if directory is None or not isinstance(name, str):
            return None
        place, path = place_of(directory)
        try:
            entry = directory.children.get(view.volume.kind.rules.key(name))
        except OSError:
            entry = None
        return self._name(place, f"{path}/{name}", None if entry is None else entry.inode)

    def _opened(self, view: SimFilesystem, handle: object) -> Name | None:
        inode = _inode(view, handle)
        if inode is None:
            return None
        if not inode.entries or inode.entries[0].parent is None:
            return self._name(Place.NOWHERE, "", inode)
        place, path = place_of(inode.entries[0].parent)
        return self._name(place, f"{path}/{inode.entries[0].name}", inode)

    def _name(self, place: Place, path: str, inode: Inode | None) -> Name:
        is_file = inode is not None and not inode.is_directory
        if place is Place.PEOPLE and path.split("/")[2:] == [PRIVATE_NAME]:
            place = Place.OWN
        return Name(place, path, inode, is_file and (place is Place.PEOPLE or inode in self._taken))


def _inode(view: SimFilesystem, handle: object) -> Inode | None:
    assert isinstance(handle, int)
    opened = view._handles.get(handle)
    return None if opened is None else opened.inode


def place_of(directory: Inode) -> tuple[Place, str]:
    """Whose a directory is, and its path."""
    names: list[str] = []
    at = directory
    while at.entries:
        entry = at.entries[0]
        if entry.parent is None:
            break
        names.append(entry.name)
        at = entry.parent
    else:
        return Place.NOWHERE, ""
    names.reverse()
    path = "/" + "/".join(names)
    if not names or names[0] == _NOT_SYNCED:
        return Place.OUTSIDE, path
    return (Place.OWN if PRIVATE_NAME in names[1:2] else Place.PEOPLE), path
