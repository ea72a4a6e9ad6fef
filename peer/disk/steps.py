"""The words of the disk layer: what it is asked to do and what it answers.

Owns the step and result types of `peer.disk.apply`. Pure values; nothing here touches a disk.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from peer.fingerprint import DiskKind, Fingerprint, Path

FailureCode = Literal["disk_full", "unreadable", "name_not_allowed", "busy_file", "suspect_file", "io_error"]


@dataclass(frozen=True, slots=True)
class PutFile:
    """Put the finished temporary file `temp` at `path`.

    `expected` is the file or link to be replaced, or None where the name must be free. Where
    `hold` is given the replaced bytes are kept under that name in the private directory's `held`,
    else they are unlinked after the swap is durable; that is refused without `acknowledged`, the
    digest of the version in the journal that those bytes are.
    """

    path: Path
    temp: str
    expected: Fingerprint | None
    mtime_ns: int
    executable: bool
    acknowledged: bytes | None = None
    hold: str | None = None


@dataclass(frozen=True, slots=True)
class PutLink:
    """Put a symbolic link to `target` at `path`; the rest as for `PutFile`."""

    path: Path
    target: str
    expected: Fingerprint | None
    acknowledged: bytes | None = None
    hold: str | None = None


@dataclass(frozen=True, slots=True)
class MakeDirectory:
    """Make an empty directory at a free name."""

    path: Path


@dataclass(frozen=True, slots=True)
class Move:
    """Rename a file, link or directory to a free name.

    `expected` is the source as it was planned against; of a directory only device and inode count.
    """

    source: Path
    destination: Path
    expected: Fingerprint | None


@dataclass(frozen=True, slots=True)
class RemoveFile:
    """Remove a file that still is what it was; `acknowledged` and `hold` as for `PutFile`."""

    path: Path
    expected: Fingerprint
    acknowledged: bytes | None = None
    hold: str | None = None


@dataclass(frozen=True, slots=True)
class RemoveLink:
    """Remove a symbolic link that still is what it was; `acknowledged` as for `PutFile`."""

    path: Path
    expected: Fingerprint
    acknowledged: bytes | None = None


@dataclass(frozen=True, slots=True)
class RemoveDirectory:
    """Remove a directory that holds nothing but ignored things.

    `ignored(path, is_directory)` is asked about each name in it. Ignored leftovers are not
    destroyed but moved to the private directory's `rescue`, the directory with them.
    """

    path: Path
    ignored: Callable[[Path, bool], bool]


@dataclass(frozen=True, slots=True)
class SetAttributes:
    """Set a file's executable bit and modification time; None leaves one as it is."""

    path: Path
    expected: Fingerprint
    executable: bool | None
    mtime_ns: int | None


Step = PutFile | PutLink | MakeDirectory | Move | RemoveFile | RemoveLink | RemoveDirectory | SetAttributes


@dataclass(frozen=True, slots=True)
class Applied:
    """Done and durable. `fingerprint` is what now is at the path, None after a removal.

    `rescued` names what was put under the private directory's `rescue` on the way: ignored
    leftovers of a directory, or bytes that somebody wrote into the replaced file at the last
    moment.
    """

    fingerprint: Fingerprint | None
    rescued: str | None = None


@dataclass(frozen=True, slots=True)
class PreimageChanged:
    """Not done: something else is there than was planned against. Rescan and plan again.

    `found` is what is there now, None if nothing or if a directory on the way is missing.
    `rescued` as for `Applied`.
    """

    found: Fingerprint | None
    rescued: str | None = None


@dataclass(frozen=True, slots=True)
class Occupied:
    """Not done: the name that had to be free is taken by this."""

    kind: DiskKind | None
    found: Fingerprint | None


@dataclass(frozen=True, slots=True)
class NotEmpty:
    """Not done: the directory holds these names, which are not ignored."""

    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Failed:
    """Not done: the system refused. `message` is for a person.

    `may_stay`: what was to be put in place may be there all the same, and may not last.
    """

    code: FailureCode
    message: str
    may_stay: bool = False


StepResult = Applied | PreimageChanged | Occupied | NotEmpty | Failed
