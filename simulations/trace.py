"""What happened in a world, in order. Owns the running hash by which two runs of a seed are compared.

Only what a seed determines may be noted: no bytes that come out of encryption, no addresses, no real time.
"""

import sqlite3
from collections import deque
from collections.abc import Callable, Iterable
from hashlib import blake2b
from typing import Final, NamedTuple

import trio

from simulations.happenings import Checked, Deed, Fault, Happening, Listener, StoreListener

KEPT: Final = 4_000
"""So many of the last notes are kept to be shown."""


class Note(NamedTuple):
    """One thing that happened, at a virtual time in seconds."""

    at_s: float
    who: str
    what: str

    def __str__(self) -> str:
        return f"{self.at_s:10.3f}  {self.who:<12} {self.what}"


class Trace:
    """The notes of one run."""

    def __init__(self, *, keep_all: bool = False, show_all: bool = False, listener: Listener | None = None) -> None:
        self.listener = listener
        """Hears of what happens as data; the hash knows nothing of it."""
        self.stores: StoreListener | None = None
        """Hears of what devices' databases have; nor of that."""
        self._show_all = show_all
        self._hash = blake2b(digest_size=16)
        self.count = 0
        self.is_over = False
        """Whether what follows is the taking apart of the world, which counts and is not shown."""
        self.notes: deque[Note] = deque(maxlen=None if keep_all else KEPT)

    def note(self, who: str, what: str, *, shown: bool = True) -> None:
        """This happened now; `shown` is false for what is too small to be read by a person, but counts."""
        note = Note(trio.current_time(), who, what)
        self._hash.update(f"{note.at_s:.6f}|{who}|{what}\n".encode())
        self.count += 1
        if (shown and not self.is_over) or self._show_all:
            self.notes.append(note)

    def happened(self, what: Happening) -> None:
        """Tell whoever listens."""
        if self.listener is not None:
            self.listener.happened(trio.current_time(), what)

    def carried(self, ends: tuple[str, str], size: int) -> None:
        """Tell whoever listens of bytes on their way."""
        if self.listener is not None:
            self.listener.carried(trio.current_time(), *ends, size)

    def deed(self, name: str, what: str) -> None:
        """The person at a device did this."""
        self.note(f"{name}'s person", what)
        self.happened(Deed(name, what))

    def fault(self, what: str) -> None:
        """This was made to go wrong."""
        self.note("fault", what)
        self.happened(Fault(what))

    def failed(self, what: str) -> None:
        """A promise was broken."""
        self.note("checker", what)
        self.happened(Checked(what, holds=False))
        if self.stores is not None:
            self.stores.failed(trio.current_time())

    def follow(self, contents: Callable[[], Iterable[tuple[str, bytes]]]) -> None:
        """What people write is told by this, whenever somebody asks."""
        if self.stores is not None:
            self.stores.follow(contents)

    def stored(self, name: str, connection: sqlite3.Connection) -> None:
        """A device's database was committed, and is read by this connection."""
        if self.stores is not None and not self.is_over:
            self.stores.stored(trio.current_time(), name, connection)

    def digest(self) -> str:
        """A hash of all notes so far."""
        return self._hash.hexdigest()
