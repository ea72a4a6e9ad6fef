"""The `Watching` port on a simulated volume.

Owns the kernel's side of inotify(7): watches by inode, and queues whose events come late, doubled, merged, or not at
all but for a word of overflow. What the events mean is worked out by the peer's own watcher.
"""

import errno
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TypeVar, TypeVarTuple

import trio
from inotify_simple import Event, flags

from peer.fingerprint import Path
from peer.ports import Handle, Offload, Watch
from peer.scan.watcher import WATCHED, WatchStream
from simulations.disk.filesystem import SimFilesystem
from simulations.disk.inodes import Draw, Inode, error

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

_ALWAYS_TOLD = flags.IGNORED | flags.Q_OVERFLOW
_CAN_DOUBLE = flags.MODIFY | flags.CLOSE_WRITE | flags.ATTRIB | flags.CREATE | flags.DELETE


@dataclass
class WatchFaults:
    """How watching goes wrong; probabilities are for one event. All may be changed at any time."""

    late: float = 0.0
    late_s: float = 2.0
    """Up to so much later; those behind it in the queue wait too."""
    doubled: float = 0.0
    overflow: float = 0.0
    """The queue is full at this event: it and those after it, until the queue is read, are lost."""
    queue_events: int = 16_384
    watches: int = 1 << 20


class _InlineOffload:
    async def run(self, fn: Callable[[*Ts], T], *args: *Ts) -> T:
        await trio.lowlevel.checkpoint()
        return fn(*args)


class _SimQueue:
    """One reader's queue. Times are trio's."""

    def __init__(self, fs: SimFilesystem, faults: WatchFaults, draw: Draw) -> None:
        self._fs = fs
        self._faults = faults
        self._draw = draw
        self._watches: dict[int, Inode] = {}
        self._numbers: dict[Inode, int] = {}
        self._next = 1
        self._events: deque[tuple[float, Event]] = deque()
        self._is_full = False
        self._arrived = trio.Event()

    def add(self, directory: Handle) -> int:
        inode = self._fs.inode_of(directory)
        known = self._numbers.get(inode)
        if known is not None:
            return known
        if len(self._watches) >= self._faults.watches:
            raise error(errno.ENOSPC)
        watch, self._next = self._next, self._next + 1
        self._watches[watch] = inode
        self._numbers[inode] = watch
        return watch

    def remove(self, watch: int) -> None:
        inode = self._watches.pop(watch, None)
        if inode is None:
            raise error(errno.EINVAL)
        del self._numbers[inode]
        self._put(Event(watch, int(flags.IGNORED), 0, ""))

    def has_events(self) -> bool:
        return bool(self._events)

    async def wait(self) -> None:
        await trio.lowlevel.checkpoint()
        while not self._events:
            self._arrived = trio.Event()
            await self._arrived.wait()
        await trio.sleep_until(self._events[0][0])

    def read(self) -> list[Event]:
        now = trio.current_time()
        ready = []
        while self._events and self._events[0][0] <= now:
            ready.append(self._events.popleft()[1])
        self._is_full = self._is_full and bool(self._events)
        return ready

    def observe(self, inode: Inode, mask: int, cookie: int, name: str) -> None:
        """Take an event from the volume."""
        watch = self._numbers.get(inode)
        if watch is None or not mask & (WATCHED & ~flags.ONLYDIR):
            return
        self._put(Event(watch, int(mask), cookie, name))
        if mask & flags.DELETE_SELF:
            del self._watches[watch], self._numbers[inode]
            self._put(Event(watch, int(flags.IGNORED), 0, ""))

    def _put(self, event: Event) -> None:
        if self._is_full:
            return
        faults = self._faults
        if self._events and self._events[-1][1] == event and not event.mask & flags.Q_OVERFLOW:
            return
        is_told = bool(event.mask & _ALWAYS_TOLD)
        if len(self._events) >= faults.queue_events or (not is_told and self._draw.random() < faults.overflow):
            self._is_full = True
            event = Event(-1, int(flags.Q_OVERFLOW), 0, "")
        when = max(trio.current_time(), self._events[-1][0] if self._events else 0.0)
        # The kernel queues both halves of a rename at once: the second one is never late by itself.
        if self._draw.random() < faults.late and not event.mask & flags.MOVED_TO:
            when += faults.late_s * self._draw.random()
        self._events.append((when, event))
        if event.mask & _CAN_DOUBLE and self._draw.random() < faults.doubled:
            self._events.append((when, event))
        self._arrived.set()


class SimWatching:
    """The `Watching` port for one life of a program."""

    def __init__(self, fs: SimFilesystem, offload: Offload | None, faults: WatchFaults, draw: Draw) -> None:
        self._fs = fs
        self._offload = offload or _InlineOffload()
        self._faults = faults
        self._draw = draw

    @asynccontextmanager
    async def open_watch(self, path: str, skips: Callable[[Path], bool]) -> AsyncIterator[Watch]:
        """See the port."""
        root = self._fs.open_root(path)
        queue = _SimQueue(self._fs, self._faults, self._draw)
        observers = self._fs.volume.observers
        observers.append(queue.observe)
        try:
            stream = WatchStream(self._fs, self._offload, root, queue, skips)
            await stream.start()
            yield stream
        finally:
            observers.remove(queue.observe)
            self._fs.close(root)
