"""Somebody who looks at synced folders all the time: is there ever a piece of a content, or a name of nobody's?

Owns one thread. Reads each file again whenever its inode, size or times differ from when it was last read.
"""

import contextlib
import os
import threading
import time
from collections.abc import Iterator, Sequence

from simulations.checkers.l02_phantom import strange_names
from simulations.ledger import Ledger, shown
from tests.common.editing import Person

PAUSE_S = 0.01
FRESH_NS = 50_000_000
"""Times on a file system are no finer than the clock's ticks: what changed within that time is read once more."""

_Seen = tuple[int, int, int, int]


class Witness:
    """What was seen so far."""

    def __init__(self, people: Sequence[Person], ledger: Ledger) -> None:
        self._people, self._ledger = people, ledger
        self._seen: dict[str, _Seen] = {}
        self._over = threading.Event()
        self.rounds = 0
        self.reads = 0
        self.found: list[str] = []

    def look(self) -> None:
        """Until it is over."""
        while not self._over.wait(PAUSE_S):
            self.rounds += 1
            for person in self._people:
                self._walk(person, os.fspath(person.peer.folder))

    def check(self) -> None:
        """Fails with what was seen that must never be."""
        assert not self.found, f"seen at people's paths, {len(self.found)} times: {self.found[:5]}"

    def end(self) -> None:
        """It is over."""
        self._over.set()

    def _walk(self, person: Person, top: str) -> None:
        waiting = [top]
        while waiting:
            directory = waiting.pop()
            try:
                with os.scandir(directory) as listing:
                    entries = list(listing)
            except (FileNotFoundError, NotADirectoryError):
                continue
            for entry in entries:
                if directory == top and entry.name == ".shoal":
                    continue
                if directory != top and strange_names([entry.name]):
                    self.found.append(f"{entry.path}: nobody's name")
                with contextlib.suppress(FileNotFoundError):
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(entry.path)
                    else:
                        self._read(person, entry.path)

    def _read(self, person: Person, path: str) -> None:
        now = os.stat(path)
        seen = (now.st_ino, now.st_size, now.st_mtime_ns, now.st_ctime_ns)
        if self._seen.get(path) == seen:
            return
        with person.in_place, open(path, "rb") as file:
            # All of it through one descriptor: a path may lead to another file a moment later.
            data = file.read()
            status = os.fstat(file.fileno())
        self.reads += 1
        if self._ledger.whole(data) is None:
            self.found.append(f"{path}: {shown(data)}")
        # The clock that files' times are of.
        if time.clock_gettime_ns(time.CLOCK_REALTIME) - status.st_ctime_ns > FRESH_NS:
            self._seen[path] = (status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)


@contextlib.contextmanager
def open_witness(people: Sequence[Person], ledger: Ledger) -> Iterator[Witness]:
    """Somebody looks during the block. Fails at its end with what was seen that must never be."""
    witness = Witness(people, ledger)
    thread = threading.Thread(target=witness.look, daemon=True)
    thread.start()
    try:
        yield witness
    finally:
        witness.end()
        thread.join()
    witness.check()
