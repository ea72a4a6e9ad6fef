"""The handle of a synced folder: its root, its private directory, and paths resolved inside it.

Owns how a path becomes an open parent directory: name by name, never through a link, never into
the private directory. Never changes anything.
"""

import errno
import os
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from peer.fingerprint import Path
from peer.ports import Entropy, Filesystem, Handle

PRIVATE_NAME = ".shoal"
"""The one name of Shoal's own in a synced folder, in its root."""

MAX_DEPTH = 120
"""Names in a path. Deeper directories are neither read nor made."""

CACHED_DIRECTORIES = 256
"""Directory handles kept open in one batch: two paths of the greatest depth, at least."""


@dataclass(frozen=True)
class Root:
    """An opened synced folder. `peer.disk.private` opens and closes it.

    `tmp` holds files in the making, `swap` what is being put in place or was just replaced,
    `held` bytes that are kept until they are stored elsewhere, `rescue` what nobody may destroy.
    `can_exchange` says whether this file system swaps two names in one step.
    """

    fs: Filesystem
    entropy: Entropy
    path: str
    device: int
    inode: int
    handle: Handle
    private: Handle
    tmp: Handle
    swap: Handle
    held: Handle
    rescue: Handle
    can_exchange: bool

    def fresh_name(self) -> str:
        """Return a name that nobody has or guesses."""
        return self.entropy.token(12).hex()

    @contextmanager
    def open_directories(self) -> Iterator["Directories"]:
        """Open handles for one batch; all are closed afterwards."""
        directories = Directories(self)
        try:
            yield directories
        finally:
            directories.close()


def check_path(path: Path) -> None:
    """Raise EINVAL for a path that may not name anything synced: empty, dotted or private."""
    if not path or path[0] == PRIVATE_NAME:
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL), "/".join(path))
    if len(path) > MAX_DEPTH:
        raise OSError(errno.ENAMETOOLONG, os.strerror(errno.ENAMETOOLONG), "/".join(path))
    for name in path:
        if name in ("", ".", "..") or "/" in name or "\0" in name:
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL), "/".join(path))


class Directories:
    """Open directories of a root, by path, for the length of one batch.

    A directory that somebody moves during the batch is still the same directory; what is done
    through its handle goes where it went.
    """

    def __init__(self, root: Root) -> None:
        self._fs = root.fs
        self._root = root
        self._open: OrderedDict[Path, Handle] = OrderedDict()
        self._touched: set[Path] = set()
        self._evicted_touched = False

    def handle(self, path: Path) -> Handle:
        """Return the open directory at `path`; valid while one more path is opened.

        Raises FileNotFoundError, NotADirectoryError or ELOOP where there is no directory.
        """
        if not path:
            return self._root.handle
        if path[0] == PRIVATE_NAME:
            check_path(path)
        cached = self._open.get(path)
        if cached is not None:
            self._open.move_to_end(path)
            return cached
        opened = self._fs.open_dir(self.handle(path[:-1]), path[-1])
        self._open[path] = opened
        if len(self._open) > CACHED_DIRECTORIES:
            oldest, handle = self._open.popitem(last=False)
            self._evicted_touched |= oldest in self._touched
            self._fs.close(handle)
        return opened

    def parent(self, path: Path) -> tuple[Handle, str]:
        """Return the open parent directory of `path`, and its last name."""
        check_path(path)
        return self.handle(path[:-1]), path[-1]

    def touch(self, directory: Path) -> None:
        """Note that names in `directory` changed, for `sync_touched`."""
        self._touched.add(directory)

    def forget(self, path: Path) -> None:
        """Close what is cached of `path` and below it, which is no longer there."""
        depth = len(path)
        for known in [known for known in self._open if known[:depth] == path]:
            self._evicted_touched |= known in self._touched
            self._fs.close(self._open.pop(known))

    def sync_touched(self, few: int) -> None:
        """Make the names in all touched directories survive a power loss."""
        if not self._touched:
            return
        open_ones = [path for path in sorted(self._touched) if not path or path in self._open]
        if self._evicted_touched or len(open_ones) < len(self._touched) or len(open_ones) > few:
            self._fs.sync_all(self._root.handle)
        else:
            for path in open_ones:
                self._fs.sync(self.handle(path))
        self._touched.clear()
        self._evicted_touched = False

    def close(self) -> None:
        """Close every handle."""
        while self._open:
            self._fs.close(self._open.popitem()[1])
