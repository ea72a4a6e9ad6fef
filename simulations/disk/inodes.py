"""What a simulated volume is made of: inodes, the entries that name them, and the rules for names.

Owns plain mutable records; `volume` keeps them consistent.
"""

import errno
import os
import unicodedata
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from peer.fingerprint import DiskKind, Fingerprint, Status
from simulations.disk.content import EMPTY, Content

DEVICE = 64
"""The number of the one device of every simulated disk."""
BLOCK_BYTES = 4096


class Draw(Protocol):
    """Chance that a seed decides; a `random.Random` is one."""

    def random(self) -> float:
        """A number from 0 up to, not including, 1."""

    def randrange(self, stop: int, /) -> int:
        """A whole number from 0 up to, not including, `stop`."""


class Time(Protocol):
    """Where a disk's times come from."""

    def wall_ns(self) -> int:
        """Nanoseconds since 1970; may jump in either direction."""


def error(code: int, name: str = "") -> OSError:
    """The `OSError` of this number."""
    return OSError(code, os.strerror(code), name)


class Saved(NamedTuple):
    """What of an inode a power loss leaves for sure."""

    content: Content
    mode: int
    mtime_ns: int


_NEVER_SAVED = Saved(EMPTY, 0, 0)


@dataclass(eq=False, slots=True)
class Inode:
    """A file, directory or link. `entries` are its names, `opens` and `writers` count open handles."""

    number: int
    kind: DiskKind
    mode: int
    mtime_ns: int
    ctime_ns: int
    born_ns: int = 0
    content: Content = EMPTY
    target: str = ""
    children: "dict[str, Entry]" = field(default_factory=dict)
    entries: "list[Entry]" = field(default_factory=list)
    opens: int = 0
    writers: int = 0
    reserved: int = 0
    charge: int = 0
    saved: Saved = _NEVER_SAVED
    stuck: Content | None = None
    """A content whose writing to the disk failed once: another `sync` proves nothing about it."""

    @property
    def is_directory(self) -> bool:
        """Whether it can have children."""
        return self.kind is DiskKind.DIRECTORY

    def is_dead(self) -> bool:
        """Whether it is a directory that was removed while somebody had it open."""
        return not self.entries

    def status(self) -> Status:
        """What `stat` says."""
        if self.is_directory:
            below = sum(each.inode.is_directory for each in self.children.values())
            size, links = BLOCK_BYTES, 2 + below if self.entries else 0
        else:
            size = len(os.fsencode(self.target)) if self.kind is DiskKind.SYMLINK else self.content.size
            links = len(self.entries)
        executable = self.kind is DiskKind.FILE and self.mode & 0o100 != 0
        return Status(
            self.kind,
            Fingerprint(DEVICE, self.number, size, self.mtime_ns, self.ctime_ns, executable, self.born_ns),
            self.mode,
            links,
        )


@dataclass(eq=False, slots=True)
class Entry:
    """One name of an inode; `parent` is None for the root, and once the name is gone."""

    parent: Inode | None
    name: str
    inode: Inode


@dataclass(frozen=True)
class NameRules:
    """Which names a volume takes, and which it takes for the same."""

    folds_case: bool = False
    """`Ä` and `ä` are one name; it is shown as it was given first."""
    decomposes: bool = False
    """Names are kept in NFD, whatever they were given in."""
    forbidden: frozenset[str] = frozenset()
    """Characters, and whole lower-case stems such as `aux`, that no name may have."""

    def key(self, name: str) -> str:
        """What the name is compared by. Raises `OSError` for one that cannot be."""
        if not name:
            raise error(errno.ENOENT)
        if len(os.fsencode(self.shown(name))) > 255:
            raise error(errno.ENAMETOOLONG, name)
        if "/" in name or name in (".", ".."):
            raise error(errno.EINVAL, name)
        if self.decomposes:
            name = unicodedata.normalize("NFD", name)
        return unicodedata.normalize("NFD", name.casefold()) if self.folds_case else name

    def check_new(self, name: str) -> None:
        """Raise EINVAL for a name that may not be made."""
        if self.forbidden and (
            any(each in self.forbidden for each in name)
            or name.partition(".")[0].casefold() in self.forbidden
            or name.endswith((".", " "))
        ):
            raise error(errno.EINVAL, name)

    def shown(self, name: str) -> str:
        """How a name that was made so comes back."""
        return unicodedata.normalize("NFD", name) if self.decomposes else name


PLAIN_NAMES = NameRules()
WINDOWS_NAMES = NameRules(folds_case=True, forbidden=frozenset({*'<>:"\\|?*', "con", "prn", "aux", "nul"}))
