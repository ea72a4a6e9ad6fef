"""What scanning and watching report.

Owns the plain values that leave `peer.scan`. Never looks at a disk.
"""

import enum
from dataclasses import dataclass
from typing import NamedTuple

import msgspec

from peer.fingerprint import DiskKind, Fingerprint, Path


class Found(msgspec.Struct, frozen=True, gc=False):
    """A file, directory or symlink that was seen. `target` is a symlink's, else None."""

    path: Path
    kind: DiskKind
    fingerprint: Fingerprint
    target: str | None = None


class WasRead(msgspec.Struct, frozen=True, gc=False):
    """The directory at `path` was read to its end: a name not reported in it is not there."""

    path: Path


class Unreadable(msgspec.Struct, frozen=True, gc=False):
    """Something is or may be at `path`, and nothing is known of it or of anything below it.

    Unknown is never deleted. `reason` is a short word: `denied`, `io_error`, `other_device`,
    `changed_while_read`.
    """

    path: Path
    reason: str


class Special(msgspec.Struct, frozen=True, gc=False):
    """A socket, device or pipe; never synced, only shown."""

    path: Path


class BadName(msgspec.Struct, frozen=True, gc=False):
    """A name that is not UTF-8; the undecodable bytes are surrogate escapes in `path`."""

    path: Path


class Ignored(msgspec.Struct, frozen=True, gc=False):
    """A name that `.shoalignore` rules out; it is there, and not looked into."""

    path: Path


class Absent(msgspec.Struct, frozen=True, gc=False):
    """The name asked for is positively not there: its directory could be read."""

    path: Path


Finding = Found | WasRead | Unreadable | Special | BadName | Ignored | Absent


class Touch(enum.Enum):
    """What an event says about a path; the later one of a batch wins where it says more."""

    SAVED = "saved"
    """Closed after writing, or moved into place: at rest as far as anybody can tell."""
    WRITING = "writing"
    """Written to, and not closed yet."""
    CREATED = "created"
    """New, and nothing said about its content yet: a link, a pipe, or a file about to be filled."""
    ATTRIBUTES = "attributes"
    """Mode, times or number of names changed."""
    GONE = "gone"
    """Removed or moved away."""


class Renamed(NamedTuple):
    """A file or directory has another name, both inside the folder."""

    source: Path
    destination: Path
    is_directory: bool


@dataclass(frozen=True)
class Changed:
    """A batch of changes, in the order of the kernel's queue where order matters.

    `touched` names files and links; `rescan` names directories whose whole subtree must be
    scanned, since things may be in them that made no event; `moved` holds renames inside the
    folder, oldest first. Both ends of a moved file are in `touched` too; a moved directory needs no
    rescan, and what is in `touched` and `rescan` below it is named as it is called at the end.
    """

    touched: dict[Path, Touch]
    rescan: frozenset[Path] = frozenset()
    moved: tuple[Renamed, ...] = ()


@dataclass(frozen=True)
class Overflow:
    """Events were lost: everything must be rescanned."""


@dataclass(frozen=True)
class WatchLimit:
    """The system gives no more watches; `path` and what is below it must be rescanned at times."""

    path: Path


@dataclass(frozen=True)
class RootGone:
    """The folder itself was moved, deleted or unmounted. No more events come."""


WatchEvent = Changed | Overflow | WatchLimit | RootGone
