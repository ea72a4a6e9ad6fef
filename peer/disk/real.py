"""The file system of a Linux machine behind the `Filesystem` port.

Owns the system calls and nothing else: what they are used for is decided above. Never follows a
link at the name it is given, and never takes a path of more than one name but in `open_root`.
"""

import ctypes
import errno
import fcntl
import os
import signal
import stat as modes
import struct
from collections.abc import Callable, Iterator

from peer.fingerprint import DiskKind, Fingerprint, Status
from peer.ports import Handle

_RENAME_NOREPLACE = 1
_RENAME_EXCHANGE = 2
_FALLOC_FL_KEEP_SIZE = 1
_AT_SYMLINK_NOFOLLOW = 0x100
_AT_EMPTY_PATH = 0x1000
_STATX_INO = 0x100
_STATX_BTIME = 0x800
_STATX_BYTES = 256
_UNSUPPORTED = (errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP)
_KINDS = {
    modes.S_IFREG: DiskKind.FILE,
    modes.S_IFDIR: DiskKind.DIRECTORY,
    modes.S_IFLNK: DiskKind.SYMLINK,
}
_DIRECTORY_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | os.O_NOFOLLOW

_libc = ctypes.CDLL(None, use_errno=True)


def _libc_function(name: str, *arguments: type) -> Callable[..., int]:
    """Return a C function that raises OSError, or one that says ENOSYS where libc lacks it."""
    function = getattr(_libc, name, None)
    if function is not None:
        function.argtypes = arguments
        function.restype = ctypes.c_int

    def call(*values: object) -> int:
        if function is None:
            raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS), name)
        while (result := int(function(*values))) == -1:
            code = ctypes.get_errno()
            if code != errno.EINTR:
                raise OSError(code, os.strerror(code), name)
        return result

    return call


_renameat2 = _libc_function(
    "renameat2",
    ctypes.c_int,
    ctypes.c_char_p,
    ctypes.c_int,
    ctypes.c_char_p,
    ctypes.c_uint,
)
_statx = _libc_function("statx", ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_uint, ctypes.c_char_p)
_syncfs = _libc_function("syncfs", ctypes.c_int)
_fallocate = _libc_function("fallocate64", ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64)


def _born_ns(found: os.stat_result, at: int, name: str) -> int:
    """Return when the directory at this name was made, 0 if the file system does not say.

    `os.stat` has no such time; `struct statx` is laid out in linux/stat.h, in the machine's byte order.
    """
    answer = ctypes.create_string_buffer(_STATX_BYTES)
    flags = _AT_SYMLINK_NOFOLLOW | (0 if name else _AT_EMPTY_PATH)
    try:
        _statx(at, os.fsencode(name), flags, _STATX_INO | _STATX_BTIME, answer)
    except OSError:
        return 0
    (mask,) = struct.unpack_from("=I", answer, 0)
    (inode,) = struct.unpack_from("=Q", answer, 32)
    if not mask & _STATX_BTIME or inode != found.st_ino:
        return 0
    seconds, nanoseconds = struct.unpack_from("=qI", answer, 80)
    return int(seconds) * 1_000_000_000 + int(nanoseconds)


def _status(found: os.stat_result, at: int, name: str = "") -> Status:
    """Return what `stat` says of `name` in the directory `at`; of `at` itself without a name."""
    mode = found.st_mode
    kind = _KINDS.get(mode & 0o170000, DiskKind.SPECIAL)
    return Status(
        kind,
        Fingerprint(
            found.st_dev,
            found.st_ino,
            found.st_size,
            found.st_mtime_ns,
            found.st_ctime_ns,
            kind is DiskKind.FILE and mode & 0o100 != 0,
            _born_ns(found, at, name) if kind is DiskKind.DIRECTORY else 0,
        ),
        mode & 0o7777,
        found.st_nlink,
    )


class LinuxFilesystem:
    """The `Filesystem` port over Linux system calls. Holds no state; handles are descriptors."""

    def open_root(self, path: str) -> Handle:
        """See the port."""
        return Handle(os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC))

    def open_dir(self, parent: Handle, name: str) -> Handle:
        """See the port."""
        return Handle(os.open(name, _DIRECTORY_FLAGS, dir_fd=parent))

    def open_read(self, parent: Handle, name: str) -> Handle:
        """See the port."""
        flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
        try:
            return Handle(os.open(name, flags | os.O_NOATIME, dir_fd=parent))
        except PermissionError:
            # O_NOATIME is only for the file's owner.
            return Handle(os.open(name, flags, dir_fd=parent))

    def open_write(self, parent: Handle, name: str) -> Handle:
        """See the port."""
        return Handle(os.open(name, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW, dir_fd=parent))

    def create(self, parent: Handle, name: str) -> Handle:
        """See the port."""
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
        return Handle(os.open(name, flags, 0o666, dir_fd=parent))

    def close(self, handle: Handle) -> None:
        """See the port."""
        os.close(handle)

    def stat(self, parent: Handle, name: str) -> Status:
        """See the port."""
        return _status(os.stat(name, dir_fd=parent, follow_symlinks=False), parent, name)

    def stat_handle(self, handle: Handle) -> Status:
        """See the port."""
        return _status(os.fstat(handle), handle)

    def list_dir(self, directory: Handle) -> Iterator[tuple[str, Status | OSError]]:
        """See the port."""
        with os.scandir(directory) as entries:
            for entry in entries:
                try:
                    yield entry.name, _status(entry.stat(follow_symlinks=False), directory, entry.name)
                except FileNotFoundError:
                    continue
                except OSError as error:
                    yield entry.name, error

    def list_names(self, directory: Handle) -> list[tuple[str, bool]]:
        """See the port."""
        with os.scandir(directory) as entries:
            return [(entry.name, entry.is_dir(follow_symlinks=False)) for entry in entries]

    def read_into(self, handle: Handle, buffer: memoryview, offset: int) -> int:
        """See the port."""
        return os.preadv(handle, [buffer], offset)

    def write_at(self, handle: Handle, data: bytes | memoryview, offset: int) -> int:
        """See the port."""
        return os.pwrite(handle, data, offset)

    def copy_range(self, source: Handle, source_offset: int, target: Handle, target_offset: int, length: int) -> int:
        """See the port."""
        return os.copy_file_range(source, target, length, source_offset, target_offset)

    def allocate(self, handle: Handle, size: int) -> None:
        """See the port."""
        if size <= 0:
            return
        try:
            _fallocate(handle, _FALLOC_FL_KEEP_SIZE, 0, size)
        except OSError as error:
            if error.errno not in _UNSUPPORTED:
                raise

    def truncate(self, handle: Handle, size: int) -> None:
        """See the port."""
        os.ftruncate(handle, size)

    def set_mode(self, handle: Handle, mode: int) -> None:
        """See the port."""
        os.fchmod(handle, mode)

    def set_mtime(self, handle: Handle, mtime_ns: int) -> None:
        """See the port."""
        os.utime(handle, ns=(os.fstat(handle).st_atime_ns, mtime_ns))

    def is_being_written(self, handle: Handle) -> bool:
        """Take and give back a read lease, which the kernel refuses while there is a writer.

        See fcntl(2), "Leases". A writer that comes in between waits for the microsecond until the
        lease is gone; the signal that announces it is one that is ignored unless asked for.
        """
        try:
            fcntl.fcntl(handle, fcntl.F_SETSIG, signal.SIGURG)
            fcntl.fcntl(handle, fcntl.F_SETLEASE, fcntl.F_RDLCK)
        except OSError as error:
            return error.errno == errno.EAGAIN
        fcntl.fcntl(handle, fcntl.F_SETLEASE, fcntl.F_UNLCK)
        return False

    def sync(self, handle: Handle) -> None:
        """See the port."""
        os.fsync(handle)

    def sync_all(self, handle: Handle) -> None:
        """See the port."""
        _syncfs(handle)

    def make_dir(self, parent: Handle, name: str, mode: int) -> None:
        """See the port."""
        os.mkdir(name, mode, dir_fd=parent)

    def make_link(self, parent: Handle, name: str, target: str) -> None:
        """See the port."""
        os.symlink(target, name, dir_fd=parent)

    def read_link(self, parent: Handle, name: str) -> str:
        """See the port."""
        return os.readlink(name, dir_fd=parent)

    def rename_new(self, parent: Handle, name: str, new_parent: Handle, new_name: str) -> None:
        """See the port.

        Where the file system cannot do it in one step, a file or link gets its second name first,
        which fails in the same way if that is taken; a directory is renamed plainly, which never
        replaces anything but an empty directory.
        """
        try:
            _renameat2(parent, os.fsencode(name), new_parent, os.fsencode(new_name), _RENAME_NOREPLACE)
        except OSError as error:
            if error.errno not in _UNSUPPORTED:
                raise
        else:
            return
        if self.stat(parent, name).kind is DiskKind.DIRECTORY:
            os.rename(name, new_name, src_dir_fd=parent, dst_dir_fd=new_parent)
        else:
            os.link(name, new_name, src_dir_fd=parent, dst_dir_fd=new_parent, follow_symlinks=False)
            os.unlink(name, dir_fd=parent)

    def exchange(self, parent: Handle, name: str, other: Handle, other_name: str) -> None:
        """See the port."""
        _renameat2(parent, os.fsencode(name), other, os.fsencode(other_name), _RENAME_EXCHANGE)

    def unlink(self, parent: Handle, name: str) -> None:
        """See the port."""
        os.unlink(name, dir_fd=parent)

    def remove_dir(self, parent: Handle, name: str) -> None:
        """See the port."""
        os.rmdir(name, dir_fd=parent)

    def free_bytes(self, handle: Handle) -> int:
        """See the port."""
        found = os.fstatvfs(handle)
        return found.f_bavail * found.f_frsize
