"""What a disk says about one file: its kind and its fingerprint.

Owns the two values that scanner, planner, store and disk layer compare. Pure; it never looks at a
disk.
"""

import enum

import msgspec

Path = tuple[str, ...]
"""Names from a workspace's root down, as the disk spells them; `()` is the root itself."""


class DiskKind(enum.Enum):
    """What a name on the disk is. Only the first three are ever synced."""

    FILE = "file"
    DIRECTORY = "directory"
    SYMLINK = "symlink"
    SPECIAL = "special"
    """A socket, a device or a pipe."""


class Fingerprint(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Tells one state of a file from another without reading it.

    Times are signed nanoseconds since 1970 as the file system keeps them; `executable` is the
    owner's execute bit of a file, and False for everything else. `born_ns` is when a directory was
    made, which tells it from one that has its inode after it; 0 for everything else, and where the
    file system does not say.
    """

    device: int
    inode: int
    size: int
    mtime_ns: int
    ctime_ns: int
    executable: bool
    born_ns: int = 0

    def is_same_file(self, other: "Fingerprint") -> bool:
        """Whether both are states of one inode."""
        return self.inode == other.inode and self.device == other.device

    def is_renamed_from(self, before: "Fingerprint") -> bool:
        """Whether this is the state `before` after nothing but renames.

        A rename changes ctime, so everything else is compared; whoever can should compare the
        whole fingerprint just before renaming.
        """
        return (
            self.inode == before.inode
            and self.device == before.device
            and self.size == before.size
            and self.mtime_ns == before.mtime_ns
            and self.executable == before.executable
        )


class Status(msgspec.Struct, frozen=True, gc=False):
    """One answer of `stat`: kind, fingerprint, permission bits and number of names."""

    kind: DiskKind
    fingerprint: Fingerprint
    mode: int
    links: int
