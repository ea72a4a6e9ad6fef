"""Watches a folder through inotify.

Owns the kernel's watches. Events only say where to look; whoever gets them decides by looking.
Nothing that happens after `open_watch` was entered is missed silently: a new directory is watched
first and asked to be scanned afterwards, and what the kernel could not tell leads to `Overflow` or
`WatchLimit`. Never reads or changes a file.
"""

import errno
import select
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack, asynccontextmanager
from typing import Protocol

import trio
from inotify_simple import Event, INotify, flags

from peer.disk.root import MAX_DEPTH, PRIVATE_NAME
from peer.fingerprint import Path
from peer.ports import Filesystem, Handle, Offload, Watch
from peer.scan.findings import Overflow, RootGone, WatchEvent, WatchLimit
from peer.scan.watch_tree import WatchTree

WATCHED = (
    flags.CREATE
    | flags.DELETE
    | flags.MODIFY
    | flags.CLOSE_WRITE
    | flags.ATTRIB
    | flags.MOVED_FROM
    | flags.MOVED_TO
    | flags.DELETE_SELF
    | flags.MOVE_SELF
    | flags.ONLYDIR
    | flags.EXCL_UNLINK
)
"""The kinds of events that are asked for."""
_PAIR_S = 0.002
"""How long a rename's second half is waited for; the kernel queues it right after the first."""
_PAIR_WAITS = 4
"""How often it is waited for while other events keep coming."""


class EventQueue(Protocol):
    """The kernel's queue of one reader's events, see inotify(7)."""

    def add(self, directory: Handle) -> int:
        """Watch an open directory and return the watch, the same as before if it is watched already.

        Raises OSError; ENOSPC where there are no watches left.
        """
        ...

    def remove(self, watch: int) -> None:
        """Watch no longer. Raises OSError with EINVAL where the watch is gone."""
        ...

    def has_events(self) -> bool:
        """Whether something has happened that was not read; it need not be there to be read yet."""
        ...

    async def wait(self) -> None:
        """Wait until there is something to read."""
        ...

    def read(self) -> list[Event]:
        """Take all events out, in order; none where there are none."""
        ...


class _KernelQueue:
    """The `EventQueue` of a Linux machine."""

    def __init__(self, inotify: INotify) -> None:
        self._inotify = inotify

    def add(self, directory: Handle) -> int:
        # By way of the handle: a path could have led through a link since it was opened.
        return int(self._inotify.add_watch(f"/proc/self/fd/{int(directory)}", WATCHED))

    def remove(self, watch: int) -> None:
        self._inotify.rm_watch(watch)

    def has_events(self) -> bool:
        return bool(select.select([self._inotify], [], [], 0)[0])

    async def wait(self) -> None:
        await trio.lowlevel.wait_readable(self._inotify.fileno())

    def read(self) -> list[Event]:
        return list(self._inotify.read(timeout=0))


class InotifyWatching:
    """The `Watching` port of a Linux machine."""

    def __init__(self, fs: Filesystem, offload: Offload) -> None:
        self._fs = fs
        self._offload = offload

    @asynccontextmanager
    async def open_watch(self, path: str, skips: Callable[[Path], bool]) -> AsyncIterator[Watch]:
        """See the port. What `skips` says must not change while the watch is open.

        Where the system gives no watches at all, the one event is a `WatchLimit` of the root.
        Cancelling a wait for the next event loses nothing. Raises OSError if there is no folder.
        """
        with ExitStack() as opened:
            root = self._fs.open_root(path)
            opened.callback(self._fs.close, root)
            try:
                inotify = opened.enter_context(INotify(nonblocking=True))
            except OSError as error:
                if error.errno not in (errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOSYS):
                    raise
                yield _NoWatch()
                return
            stream = WatchStream(self._fs, self._offload, root, _KernelQueue(inotify), skips)
            await stream.start()
            yield stream


class _NoWatch:
    """A stream that says once that there is no watch."""

    def __init__(self) -> None:
        self._said = False

    def __aiter__(self) -> AsyncIterator[WatchEvent]:
        return self

    async def __anext__(self) -> WatchEvent:
        if self._said:
            await trio.sleep_forever()
        self._said = True
        return WatchLimit(())

    def is_behind(self) -> bool:
        """It never tells anything, so nothing more is to be waited for."""
        return False


class WatchStream:
    """The events of one folder, out of a queue of its own. For one reader."""

    def __init__(
        self,
        fs: Filesystem,
        offload: Offload,
        root: Handle,
        queue: EventQueue,
        skips: Callable[[Path], bool],
    ) -> None:
        self._fs = fs
        self._offload = offload
        self._root = root
        self._queue = queue
        self._skips_other = skips
        self._tree = WatchTree(self._skips)
        self._ready: deque[WatchEvent] = deque()
        self._is_resetting = False
        self._pair_waits = 0
        self._gives_up_pairs = False
        self._has_ended = False

    def _skips(self, path: Path) -> bool:
        return path[:1] == (PRIVATE_NAME,) or self._skips_other(path)

    async def start(self) -> None:
        """Watch all there is."""
        self._tree.to_add.append(())
        await self._settle_watches()

    def __aiter__(self) -> AsyncIterator[WatchEvent]:
        return self

    async def __anext__(self) -> WatchEvent:
        while True:
            # Work that a cancelled call left behind comes first.
            await self._settle_watches()
            if self._ready:
                return self._ready.popleft()
            if self._has_ended:
                raise StopAsyncIteration
            if self._tree.is_root_gone:
                self._has_ended = True
                return RootGone()
            if self._tree.waits_for_pair:
                with trio.move_on_after(_PAIR_S) as pause:
                    await self._queue.wait()
                self._pair_waits += 1
                self._gives_up_pairs = pause.cancelled_caught or self._pair_waits >= _PAIR_WAITS
            else:
                await self._queue.wait()
            self._tree.take(self._queue.read())

    def is_behind(self) -> bool:
        """See the port."""
        if self._has_ended:
            return False
        return bool(self._ready) or self._is_resetting or self._tree.has_news or self._queue.has_events()

    async def _settle_watches(self) -> None:
        """Add and remove the watches that are asked for, then put the batch out."""
        tree = self._tree
        if tree.has_overflowed:
            tree.reset()
            self._is_resetting = True
        if tree.waits_for_pair and not self._gives_up_pairs:
            return
        while tree.to_add:
            await self._offload.run(self._add_all)
        if self._is_resetting:
            tree.finish_reset()
            self._is_resetting = False
            self._ready.append(Overflow())
        if not self._queue.has_events():
            tree.has_told_all()
        changed = tree.finish()
        if changed is not None:
            self._ready.append(changed)
        self._gives_up_pairs = False
        self._pair_waits = 0
        self._remove_all()

    def _remove_all(self) -> None:
        while self._tree.to_remove:
            try:
                self._queue.remove(self._tree.to_remove.pop())
            except OSError as error:
                # The kernel removed it itself, with its directory.
                if error.errno != errno.EINVAL:
                    raise

    def _add_all(self) -> None:
        while self._tree.to_add:
            path = self._tree.to_add.pop()
            if self._skips(path):
                continue
            with ExitStack() as handles:
                handle = self._root
                try:
                    for name in path:
                        handle = self._fs.open_dir(handle, name)
                        handles.callback(self._fs.close, handle)
                except OSError:
                    # It is gone or was renamed; an event says so, or the rescan will.
                    self._tree.not_reached(path)
                    continue
                self._add_below(path, handle)

    def _add_below(self, path: Path, handle: Handle) -> None:
        """Watch a directory, and only then see which others are in it."""
        try:
            watch = self._queue.add(handle)
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.ENOMEM):
                self._ready.append(WatchLimit(path))
            return
        self._tree.added(path, watch)
        if len(path) >= MAX_DEPTH:
            return
        try:
            names = self._fs.list_names(handle)
        except OSError:
            return
        for name, is_directory in names:
            child = (*path, name)
            if not is_directory or self._skips(child):
                continue
            try:
                opened = self._fs.open_dir(handle, name)
            except OSError:
                continue
            try:
                self._add_below(child, opened)
            finally:
                self._fs.close(opened)
