"""The fingerprint of a file on disk. Owns the type only."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """What `fstat` says of a file: equal fingerprints mean that nobody touched it."""

    device: int
    inode: int
    size: int
    mtime_ns: int
    ctime_ns: int
    executable: bool
