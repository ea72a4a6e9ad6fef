"""Copies of users' files in the private directory's `rescue`.

Owns keeping what a file holds now, beside the file: the file itself is only read.
"""

from peer.disk.apply import make_durable
from peer.disk.private import rescue
from peer.disk.reading import read_stable
from peer.disk.root import Root
from peer.disk.temporary import discard_temp, open_temp
from peer.fingerprint import Fingerprint, Path


def rescue_copy(root: Root, path: Path, expected: Fingerprint) -> str | None:
    """Copy the file at `path` into `rescue` and return the copy's name there; None if it is not as `expected`.

    The copy is durable when this returns, and has the file's time. Blocks. Raises OSError.
    """
    with root.open_directories() as directories, read_stable(root.fs, directories, path) as reading:
        if reading.before != expected:
            return None
        with open_temp(root, expected.size) as temp:
            copied = temp.copy_from(reading.handle, 0, 0, expected.size)
            whole = copied == expected.size and reading.is_unchanged()
            temp.finish(copied, expected.mtime_ns, expected.executable)
        if not whole:
            discard_temp(root, temp.name)
            return None
    make_durable(root, [temp.name])
    name = rescue(root, root.tmp, temp.name, path[-1])
    root.fs.sync(root.rescue)
    return name


def is_rescued(root: Root, name: str) -> bool:
    """Whether something of that name is still in `rescue`."""
    try:
        root.fs.stat(root.rescue, name)
    except FileNotFoundError:
        return False
    return True
