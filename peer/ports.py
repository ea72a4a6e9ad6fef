"""The doors between the peer and its machine.

Owns the protocols for time, chance, the network, threads and the file system. Real implementations are made
only in `peer.app`, simulated ones only in `simulations`; everything else takes them as arguments.
Nothing here does anything.
"""

import pathlib
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from typing import NewType, Protocol, TypeVar, TypeVarTuple

from trio.abc import Stream

from peer.fingerprint import Path, Status
from peer.home import Home
from peer.scan.findings import WatchEvent

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

Handle = NewType("Handle", int)
"""An open directory or file; valid until it is closed, never reused by the caller afterwards."""


class Clock(Protocol):
    """Time. Wall time orders nothing; it is only shown and stamped."""

    def wall_ns(self) -> int:
        """Return nanoseconds since 1970 in UTC; may jump in either direction."""
        ...

    def monotonic_s(self) -> float:
        """Return seconds since some fixed moment; never goes back."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait; a checkpoint and cancellable even for zero seconds."""
        ...


class Entropy(Protocol):
    """Chance."""

    def token(self, size: int) -> bytes:
        """Return `size` bytes fit for keys, nonces and ids."""
        ...

    def jitter(self, low: float, high: float) -> float:
        """Return a number between `low` and `high`, evenly spread; for back-off, never for keys."""
        ...


class Network(Protocol):
    """Connections to other machines. Deadlines belong to callers."""

    async def connect(self, host: str, port: int) -> Stream:
        """Connect to a host by name or numeric address; raises `OSError` where nobody answers.

        The stream is a plain, reliable one: no TLS. Cancelling leaves nothing open.
        """
        ...


class Offload(Protocol):
    """Threads for work that blocks or computes; a simulation runs it inline."""

    async def run(self, fn: Callable[[*Ts], T], *args: *Ts) -> T:
        """Run `fn(*args)` elsewhere and return or raise what it does.

        Not cancellable once begun: the call returns when `fn` has. Send whole batches, since a hop
        costs more than most single system calls.
        """
        ...


class Filesystem(Protocol):
    """System calls on one machine's disks, thin enough to imitate.

    All calls are synchronous and block; run them in batches inside `Offload`. Everything but
    `open_root` is relative to an open directory and takes one single name, and no call ever
    follows a symbolic link at that name. Names that are not UTF-8 carry surrogate escapes. Errors
    are `OSError` with the system's errno.
    """

    def open_root(self, path: str) -> Handle:
        """Open a directory by its absolute path; links on the way there are followed."""
        ...

    def open_dir(self, parent: Handle, name: str) -> Handle:
        """Open a directory; a link or a file is ENOTDIR or ELOOP."""
        ...

    def open_read(self, parent: Handle, name: str) -> Handle:
        """Open for reading without touching its access time where that is allowed.

        A link is ELOOP. Opening a pipe does not block.
        """
        ...

    def open_write(self, parent: Handle, name: str) -> Handle:
        """Open an existing file for reading and writing."""
        ...

    def create(self, parent: Handle, name: str) -> Handle:
        """Create a file and open it for reading and writing; EEXIST if the name is taken."""
        ...

    def close(self, handle: Handle) -> None:
        """Close a handle. The handle is gone even if this raises."""
        ...

    def stat(self, parent: Handle, name: str) -> Status:
        """Look at a name, not at what a link there points to."""
        ...

    def stat_handle(self, handle: Handle) -> Status:
        """Look at an open file or directory."""
        ...

    def list_dir(self, directory: Handle) -> Iterable[tuple[str, Status | OSError]]:
        """Return all names of a directory with their status, in no order.

        A name whose status cannot be had comes with the error; one that vanished meanwhile is left
        out. The handle stays open and usable.
        """
        ...

    def list_names(self, directory: Handle) -> list[tuple[str, bool]]:
        """Return all names of a directory and whether each is itself a directory; cheaper."""
        ...

    def read_into(self, handle: Handle, buffer: memoryview, offset: int) -> int:
        """Read at `offset`, and return how many bytes; 0 at the end, else possibly few."""
        ...

    def write_at(self, handle: Handle, data: bytes | memoryview, offset: int) -> int:
        """Write at `offset`, and return how many bytes were; possibly few."""
        ...

    def copy_range(self, source: Handle, source_offset: int, target: Handle, target_offset: int, length: int) -> int:
        """Copy between files inside the kernel; return how many bytes, 0 at the source's end."""
        ...

    def allocate(self, handle: Handle, size: int) -> None:
        """Reserve room for `size` bytes without changing the length; ENOSPC says it is not there.

        Does nothing where the file system cannot.
        """
        ...

    def truncate(self, handle: Handle, size: int) -> None:
        """Set the length."""
        ...

    def set_mode(self, handle: Handle, mode: int) -> None:
        """Set the permission bits."""
        ...

    def set_mtime(self, handle: Handle, mtime_ns: int) -> None:
        """Set the modification time; the disk may keep it more coarsely."""
        ...

    def is_being_written(self, handle: Handle) -> bool:
        """Whether somebody else has this file open for writing, as far as the system can tell."""
        ...

    def sync(self, handle: Handle) -> None:
        """Make one file's data, or one directory's names, survive a power loss.

        After an error the data must be taken as not written; another `sync` proves nothing.
        """
        ...

    def sync_all(self, handle: Handle) -> None:
        """Make everything written so far to the file system of `handle` survive a power loss."""
        ...

    def make_dir(self, parent: Handle, name: str, mode: int) -> None:
        """Make a directory; EEXIST if the name is taken."""
        ...

    def make_link(self, parent: Handle, name: str, target: str) -> None:
        """Make a symbolic link; EEXIST if the name is taken."""
        ...

    def read_link(self, parent: Handle, name: str) -> str:
        """Return a symbolic link's target."""
        ...

    def rename_new(self, parent: Handle, name: str, new_parent: Handle, new_name: str) -> None:
        """Rename to a free name; EEXIST, and nothing changed, if it is taken."""
        ...

    def exchange(self, parent: Handle, name: str, other: Handle, other_name: str) -> None:
        """Swap what two names stand for, in one step; ENOENT if either is free.

        EINVAL or ENOSYS where the file system cannot.
        """
        ...

    def unlink(self, parent: Handle, name: str) -> None:
        """Remove a name that is not a directory."""
        ...

    def remove_dir(self, parent: Handle, name: str) -> None:
        """Remove an empty directory; ENOTEMPTY otherwise."""
        ...

    def free_bytes(self, handle: Handle) -> int:
        """Return how many bytes an ordinary user may still write to the file system of `handle`."""
        ...


class Watch(Protocol):
    """The events of one folder, in the order in which things happened. For one reader."""

    def __aiter__(self) -> AsyncIterator[WatchEvent]: ...

    async def __anext__(self) -> WatchEvent: ...

    def is_behind(self) -> bool:
        """Whether something has happened that the reader was not told yet; a change of this moment is one."""
        ...


class Folders(Protocol):
    """Which of the machine's folders may be synced, and by which home each is."""

    def check(self, folder: pathlib.Path, home: Home, taken: Sequence[pathlib.Path], *, make: bool) -> pathlib.Path:
        """Return the folder's real path if it may become one of the home's, besides those `taken`; `make` it if needed.

        Raises an error whose text says why it may not.
        """
        ...

    def claim(self, folder: pathlib.Path, home: Home) -> None:
        """Leave word in the folder that this home syncs it. Raises `OSError`."""
        ...

    def release(self, folder: pathlib.Path, home: Home) -> None:
        """Take that word back, if it is this home's."""
        ...

    def lock(self, folder: pathlib.Path) -> AbstractContextManager[None]:
        """Hold the folder for this program; raises `BlockingIOError` where another does, and `OSError`."""
        ...


class Watching(Protocol):
    """Somebody who tells what changed in a folder, at best effort; scans make up for the rest."""

    def open_watch(self, path: str, skips: Callable[[Path], bool]) -> AbstractAsyncContextManager[Watch]:
        """Watch the folder at `path` and everything below it, except directories that `skips`.

        Once entered, every later change leads to an event, or to one that asks for a rescan; so
        scan after entering.
        """
        ...
