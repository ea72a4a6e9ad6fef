"""Handles of a simulated volume, and the moment before each call.

Owns one program's open files and directories, how names become handles, permissions, and where a program may be
stopped or given an error. Changes nothing but what counts who has what open.
"""

import errno
from collections.abc import Callable
from dataclasses import dataclass

from inotify_simple import flags

from peer.fingerprint import DiskKind
from peer.ports import Handle
from simulations.disk.faults import Faults
from simulations.disk.inodes import Entry, Inode, error
from simulations.disk.volume import Volume

READ, WRITE, SEARCH = 4, 2, 1
_LINKS = 40
"""Symbolic links followed on the way to a root."""

Before = Callable[[str, tuple[object, ...]], None]
"""Told of each call before it does anything; whatever it raises comes out of the call."""


@dataclass(slots=True)
class Open:
    """What a handle is for, and by which name it was opened."""

    inode: Inode
    entry: Entry
    reads: bool
    writes: bool


class Handles:
    """The half of a program's view that opens and closes."""

    def __init__(self, volume: Volume, before: Before | None = None, faults: Faults | None = None) -> None:
        self.volume = volume
        self._before = before
        self._faults = faults
        self._handles: dict[int, Open] = {}
        self._next = 3
        self.is_severed = False
        self._ended_by: type[BaseException] | None = None
        self.umask = 0o022

    @property
    def opened(self) -> int:
        """How many handles are open."""
        return len(self._handles)

    def sever(self) -> None:
        """The program is dead: nothing it still calls has an effect, and its handles are closed."""
        self.is_severed = True
        self.close_all()

    def close_all(self) -> None:
        """Close every handle."""
        for handle in list(self._handles):
            self._release(handle)

    # --- before and after ----------------------------------------------------------------------------------

    def _begin(self, call: str, *arguments: object) -> None:
        if self.is_severed:
            raise self._ended_by() if self._ended_by is not None else error(errno.EIO)
        try:
            if self._before is not None:
                self._before(call, arguments)
            if self._faults is not None:
                self._faults.check(call, arguments)
        except Exception:
            raise
        except BaseException as end:
            self._ended_by = type(end)
            self.sever()
            raise

    def _change(self, call: str, *arguments: object) -> None:
        self._begin(call, *arguments)
        if self.volume.read_only:
            raise error(errno.EROFS)

    def _opened(self, inode: Inode, entry: Entry, *, writes: bool = False, reads: bool = True) -> Handle:
        number, self._next = self._next, self._next + 1
        self._handles[number] = Open(inode, entry, reads, writes)
        inode.opens += 1
        inode.writers += writes
        return Handle(number)

    def _release(self, handle: int) -> None:
        opened = self._handles.pop(handle)
        opened.inode.opens -= 1
        if opened.writes:
            opened.inode.writers -= 1
            self.volume.emit_of(opened.entry, flags.CLOSE_WRITE)
        self.volume.settle(opened.inode)

    def _of(self, handle: Handle) -> Open:
        found = self._handles.get(handle)
        if found is None:
            raise error(errno.EBADF)
        return found

    def inode_of(self, handle: Handle) -> Inode:
        """What a handle leads to."""
        return self._of(handle).inode

    def _may(self, inode: Inode, wanted: int, name: str = "") -> None:
        if not self.volume.kind.privileged and (inode.mode >> 6) & wanted != wanted:
            raise error(errno.EACCES, name)

    def _directory(self, handle: Handle, name: str) -> Inode:
        """The directory in which `name` is to be looked up."""
        inode = self._of(handle).inode
        if not name:
            raise error(errno.ENOENT)
        if not inode.is_directory:
            raise error(errno.ENOTDIR, name)
        self._may(inode, SEARCH, name)
        return inode

    def _find(self, parent: Handle, name: str) -> Entry:
        return self.volume.find(self._directory(parent, name), name)

    # --- opening -------------------------------------------------------------------------------------------

    def open_root(self, path: str) -> Handle:
        """See the port."""
        self._begin("open_root", path)
        entry = self._walk(path, _LINKS)
        if not entry.inode.is_directory:
            raise error(errno.ENOTDIR, path)
        self._may(entry.inode, READ, path)
        return self._opened(entry.inode, entry)

    def _walk(self, path: str, links: int) -> Entry:
        """What is at an absolute path, links followed."""
        if not path.startswith("/"):
            raise error(errno.ENOENT, path)
        entry = self.volume.root.entries[0]
        names = [name for name in path.split("/") if name and name != "."]
        for index, name in enumerate(names):
            inode = entry.inode
            if not inode.is_directory:
                raise error(errno.ENOTDIR, path)
            self._may(inode, SEARCH, path)
            if name == "..":
                entry = (entry.parent or self.volume.root).entries[0]
                continue
            entry = self.volume.find(inode, name)
            if entry.inode.kind is DiskKind.SYMLINK:
                if links == 0:
                    raise error(errno.ELOOP, path)
                target = entry.inode.target
                if not target.startswith("/"):
                    target = f"{self.path_of(inode)}/{target}"
                return self._walk("/".join([target, *names[index + 1 :]]), links - 1)
        return entry

    def path_of(self, inode: Inode) -> str:
        """The absolute path of a directory."""
        names: list[str] = []
        entry = inode.entries[0]
        while entry.parent is not None:
            names.append(entry.name)
            entry = entry.parent.entries[0]
        return "/" + "/".join(reversed(names))

    def open_dir(self, parent: Handle, name: str) -> Handle:
        """See the port."""
        self._begin("open_dir", parent, name)
        entry = self._find(parent, name)
        if not entry.inode.is_directory:
            raise error(errno.ENOTDIR, name)
        self._may(entry.inode, READ, name)
        return self._opened(entry.inode, entry)

    def open_read(self, parent: Handle, name: str) -> Handle:
        """See the port."""
        self._begin("open_read", parent, name)
        entry = self._find(parent, name)
        if entry.inode.kind is DiskKind.SYMLINK:
            raise error(errno.ELOOP, name)
        self._may(entry.inode, READ, name)
        return self._opened(entry.inode, entry)

    def open_write(self, parent: Handle, name: str) -> Handle:
        """See the port."""
        self._begin("open_write", parent, name)
        entry = self._find(parent, name)
        if entry.inode.kind is DiskKind.SYMLINK:
            raise error(errno.ELOOP, name)
        if entry.inode.is_directory:
            raise error(errno.EISDIR, name)
        self._may(entry.inode, READ | WRITE, name)
        if self.volume.read_only:
            raise error(errno.EROFS)
        return self._opened(entry.inode, entry, writes=True)

    def close(self, handle: Handle) -> None:
        """See the port."""
        if self.is_severed:
            return
        self._of(handle)
        self._release(handle)
