"""The `Filesystem` port on a simulated volume.

Owns what each call does. One object is one program's view: when the program dies its view does, and the volume stays.
"""

import errno
from collections.abc import Iterable
from typing import cast

from inotify_simple import flags

from peer.fingerprint import DiskKind, Status
from peer.ports import Handle
from simulations.disk.content import Content
from simulations.disk.handles import WRITE, Handles, Open
from simulations.disk.inodes import Entry, Inode, error

_TARGET_BYTES = 4095


class SimFilesystem(Handles):
    """One program's view of a volume. Calls never wait; the order in which they come is all there is."""

    # --- looking -------------------------------------------------------------------------------------------

    def stat(self, parent: Handle, name: str) -> Status:
        """See the port."""
        self._begin("stat", parent, name)
        return self._find(parent, name).inode.status()

    def stat_handle(self, handle: Handle) -> Status:
        """See the port."""
        self._begin("stat_handle", handle)
        return self._of(handle).inode.status()

    def list_dir(self, directory: Handle) -> Iterable[tuple[str, Status | OSError]]:
        """See the port."""
        self._begin("list_dir", directory)
        inode = self._listed(directory)
        can_look = self.volume.kind.privileged or inode.mode & 0o100
        return [
            (each.name, each.inode.status() if can_look else error(errno.EACCES, each.name))
            for each in inode.children.values()
        ]

    def list_names(self, directory: Handle) -> list[tuple[str, bool]]:
        """See the port."""
        self._begin("list_names", directory)
        return [(each.name, each.inode.is_directory) for each in self._listed(directory).children.values()]

    def _listed(self, directory: Handle) -> Inode:
        inode = self._of(directory).inode
        if not inode.is_directory:
            raise error(errno.ENOTDIR)
        return inode

    def read_link(self, parent: Handle, name: str) -> str:
        """See the port."""
        self._begin("read_link", parent, name)
        inode = self._find(parent, name).inode
        if inode.kind is not DiskKind.SYMLINK:
            raise error(errno.EINVAL, name)
        return inode.target

    def free_bytes(self, handle: Handle) -> int:
        """See the port."""
        self._begin("free_bytes", handle)
        self._of(handle)
        return self.volume.room()

    def is_being_written(self, handle: Handle) -> bool:
        """See the port."""
        self._begin("is_being_written", handle)
        return self.volume.kind.reports_writers and self._of(handle).inode.writers > 0

    # --- bytes ---------------------------------------------------------------------------------------------

    def _readable(self, handle: Handle) -> Inode:
        opened = self._of(handle)
        if opened.inode.is_directory:
            raise error(errno.EISDIR)
        if not opened.reads:
            raise error(errno.EBADF)
        return opened.inode

    def _writable(self, handle: Handle) -> Open:
        opened = self._of(handle)
        if not opened.writes:
            raise error(errno.EBADF)
        return opened

    def read_into(self, handle: Handle, buffer: memoryview, offset: int) -> int:
        """See the port."""
        self._begin("read_into", handle, len(buffer), offset)
        inode = self._readable(handle)
        if offset < 0:
            raise error(errno.EINVAL)
        wanted = len(buffer)
        if self._faults is not None:
            wanted = self._faults.shortened(wanted, self._faults.short_reads)
        data = inode.content.read(offset, wanted)
        buffer[: len(data)] = data
        return len(data)

    def write_at(self, handle: Handle, data: bytes | memoryview, offset: int) -> int:
        """See the port."""
        self._change("write_at", handle, len(data), offset)
        opened = self._writable(handle)
        if offset < 0:
            raise error(errno.EINVAL)
        wanted = len(data)
        if self._faults is not None:
            wanted = self._faults.shortened(wanted, self._faults.short_writes)
        return self._put(opened, offset, Content.of(data[:wanted]))

    def put_content(self, handle: Handle, content: Content, offset: int) -> None:
        """Write a content that need not be held; not of the port. Raises ENOSPC where not all of it has room."""
        self._change("write_at", handle, content.size, offset)
        if self._put(self._writable(handle), offset, content) < content.size:
            raise error(errno.ENOSPC)

    def _put(self, opened: Open, offset: int, new: Content) -> int:
        """Write as much as there is room for."""
        if new.size == 0:
            return 0
        volume, inode = self.volume, opened.inode
        try:
            volume.set_content(inode, inode.content.put(offset, new))
        except OSError:
            new = new.cut(0, max(0, volume.room() - (offset % 4096 if offset else 0)))
            if new.size == 0:
                raise
            volume.set_content(inode, inode.content.put(offset, new))
        volume.emit_of(opened.entry, flags.MODIFY)
        return new.size

    def copy_range(self, source: Handle, source_offset: int, target: Handle, target_offset: int, length: int) -> int:
        """See the port."""
        self._change("copy_range", source, source_offset, target, target_offset, length)
        if self._of(source).inode.is_directory or self._of(target).inode.is_directory:
            raise error(errno.EISDIR)
        inode, opened = self._readable(source), self._writable(target)
        if min(source_offset, target_offset, length) < 0:
            raise error(errno.EINVAL)
        new = inode.content.cut(source_offset, length)
        if inode is opened.inode and abs(source_offset - target_offset) < new.size:
            raise error(errno.EINVAL)
        return self._put(opened, target_offset, new)

    def allocate(self, handle: Handle, size: int) -> None:
        """See the port."""
        if size <= 0:
            return
        self._change("allocate", handle, size)
        opened = self._writable(handle)
        self.volume.reserve(opened.inode, size)
        self.volume.emit_of(opened.entry, flags.MODIFY)

    def truncate(self, handle: Handle, size: int) -> None:
        """See the port."""
        self._change("truncate", handle, size)
        opened = self._of(handle)
        if size < 0 or not opened.writes:
            raise error(errno.EINVAL)
        opened.inode.reserved = min(opened.inode.reserved, -(-size // 4096) * 4096)
        self.volume.set_content(opened.inode, opened.inode.content.resized(size))
        self.volume.emit_of(opened.entry, flags.MODIFY)

    def set_mode(self, handle: Handle, mode: int) -> None:
        """See the port."""
        self._change("set_mode", handle, mode)
        opened = self._of(handle)
        opened.inode.mode = mode & 0o7777
        self._changed_attributes(opened)

    def set_mtime(self, handle: Handle, mtime_ns: int) -> None:
        """See the port."""
        self._change("set_mtime", handle, mtime_ns)
        opened = self._of(handle)
        step = self.volume.kind.time_step_ns
        opened.inode.mtime_ns = mtime_ns // step * step
        self._changed_attributes(opened)

    def _changed_attributes(self, opened: Open) -> None:
        self.volume.stamp(opened.inode)
        self.volume.emit_of(opened.entry, flags.ATTRIB)
        self.volume.emit(opened.inode, flags.ATTRIB)

    def sync(self, handle: Handle) -> None:
        """See the port."""
        inode = self._of(handle).inode if handle in self._handles else None
        try:
            self._begin("sync", handle)
        except OSError:
            self.volume.fail_saving([inode] if inode else [])
            raise
        self.volume.save(self._of(handle).inode)

    def sync_all(self, handle: Handle) -> None:
        """See the port."""
        try:
            self._begin("sync_all", handle)
        except OSError:
            if not self.is_severed:
                self.volume.fail_saving(self.volume.dirty)
            raise
        self._of(handle)
        self.volume.save_all()

    # --- names ---------------------------------------------------------------------------------------------

    def _make(self, parent: Handle, name: str, kind: DiskKind, mode: int) -> tuple[Inode, Entry]:
        volume = self.volume
        directory = self._directory(parent, name)
        volume.check_free(directory, name)
        self._may(directory, WRITE, name)
        inode = volume.make_inode(kind, mode if kind is DiskKind.SYMLINK else mode & ~self.umask)
        return inode, volume.add(directory, name, inode)

    def create(self, parent: Handle, name: str) -> Handle:
        """See the port."""
        self._change("create", parent, name)
        inode, entry = self._make(parent, name, DiskKind.FILE, 0o666)
        return self._opened(inode, entry, writes=True)

    def make_dir(self, parent: Handle, name: str, mode: int) -> None:
        """See the port."""
        self._change("make_dir", parent, name)
        self._make(parent, name, DiskKind.DIRECTORY, mode)

    def make_link(self, parent: Handle, name: str, target: str) -> None:
        """See the port."""
        self._change("make_link", parent, name, target)
        if not target:
            raise error(errno.ENOENT, name)
        if len(target.encode(errors="surrogateescape")) > _TARGET_BYTES:
            raise error(errno.ENAMETOOLONG, name)
        inode, _ = self._make(parent, name, DiskKind.SYMLINK, 0o777)
        inode.target = target

    def make_special(self, parent: Handle, name: str) -> None:
        """Make a pipe; not of the port."""
        self._change("make_special", parent, name)
        self._make(parent, name, DiskKind.SPECIAL, 0o644)

    def link(self, parent: Handle, name: str, new_parent: Handle, new_name: str) -> None:
        """Give a file one more name; not of the port."""
        self._change("link", parent, name, new_parent, new_name)
        entry = self._find(parent, name)
        target = self._directory(new_parent, new_name)
        self.volume.check_free(target, new_name)
        self._may(target, WRITE, new_name)
        if entry.inode.is_directory:
            raise error(errno.EPERM, name)
        entry.inode.ctime_ns = self.volume.now()
        self.volume.add(target, new_name, entry.inode)

    def rename_new(self, parent: Handle, name: str, new_parent: Handle, new_name: str) -> None:
        """See the port."""
        self._change("rename_new", parent, name, new_parent, new_name)
        source, target = self._directory(parent, name), self._directory(new_parent, new_name)
        entry = self.volume.find(source, name)
        self.volume.check_free(target, new_name)
        self._rename(entry, source, target, new_name)

    def rename_over(self, parent: Handle, name: str, new_parent: Handle, new_name: str) -> None:
        """Rename as rename(2) does, in the place of what is there; not of the port."""
        self._change("rename_over", parent, name, new_parent, new_name)
        source, target = self._directory(parent, name), self._directory(new_parent, new_name)
        entry = self.volume.find(source, name)
        there = target.children.get(self.volume.kind.rules.key(new_name))
        if there is None:
            self.volume.check_free(target, new_name)
        elif there.inode is not entry.inode:
            if there.inode.is_directory and self.volume.is_above(there.inode, source):
                raise error(errno.ENOTEMPTY, new_name)
            if there.inode.is_directory != entry.inode.is_directory:
                raise error(errno.EISDIR if there.inode.is_directory else errno.ENOTDIR, new_name)
            if there.inode.children:
                raise error(errno.ENOTEMPTY, new_name)
        if there is None or there.inode is not entry.inode or there is entry:
            self._rename(entry, source, target, new_name)

    def _rename(self, entry: Entry, source: Inode, target: Inode, new_name: str) -> None:
        inode = entry.inode
        if inode.is_directory and self.volume.is_above(inode, target):
            raise error(errno.EINVAL, new_name)
        self._may(source, WRITE, entry.name)
        self._may(target, WRITE, new_name)
        if inode.is_directory and source is not target:
            self._may(inode, WRITE, entry.name)
        self.volume.rename(entry, target, new_name)

    def exchange(self, parent: Handle, name: str, other: Handle, other_name: str) -> None:
        """See the port."""
        self._change("exchange", parent, name, other, other_name)
        if not self.volume.kind.exchanges:
            raise error(errno.EINVAL, name)
        source, target = self._directory(parent, name), self._directory(other, other_name)
        one, two = self.volume.find(source, name), self.volume.find(target, other_name)
        for moved, place in ((one, target), (two, source)):
            if moved.inode.is_directory and self.volume.is_above(moved.inode, place):
                raise error(errno.EINVAL, other_name)
        if one.inode is two.inode:
            return
        for directory in (source, target):
            self._may(directory, WRITE, name)
        for moved in (one, two):
            if moved.inode.is_directory and source is not target:
                self._may(moved.inode, WRITE, moved.name)
        self.volume.exchange(one, two)

    def unlink(self, parent: Handle, name: str) -> None:
        """See the port."""
        self._change("unlink", parent, name)
        entry = self._find(parent, name)
        self._may(cast(Inode, entry.parent), WRITE, name)
        if entry.inode.is_directory:
            raise error(errno.EISDIR, name)
        self.volume.remove(entry)

    def remove_dir(self, parent: Handle, name: str) -> None:
        """See the port."""
        self._change("remove_dir", parent, name)
        entry = self._find(parent, name)
        self._may(cast(Inode, entry.parent), WRITE, name)
        if not entry.inode.is_directory:
            raise error(errno.ENOTDIR, name)
        if entry.inode.children:
            raise error(errno.ENOTEMPTY, name)
        self.volume.remove(entry)
