"""A ledger of everything that people wrote into synced folders: what they did. What must come of it is in `checkers`.

Every content says what it is: which file it is a state of, its serial number and its size, so that a piece of one is
told from a whole one. People never use a name twice. The ledger knows, of each content, which other one it took the
place of on its device's disk, and which were deleted: so what must be alive at rest are exactly the contents that
nobody replaced or deleted, each at one place. That is more than that nothing is lost: nothing may be doubled, come
back or be kept as a conflicted copy without need either.
"""

import re
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, field

from blake3 import blake3

from simulations.noise import noise

_HEAD = re.compile(rb"ledger (\d+) of (\d+) by ([a-z]+), (\d+) bytes\n")


@dataclass(frozen=True)
class Content:
    """One state of one file."""

    serial: int
    line: int
    """The serial number of the file's first content."""
    device: str
    size: int

    def data(self) -> bytes:
        """Its bytes."""
        head = b"ledger %d of %d by %s, %d bytes\n" % (self.serial, self.line, self.device.encode(), self.size)
        tail = b"\nend of %d\n" % self.serial
        return head + noise(max(0, self.size - len(head) - len(tail)), head) + tail


@dataclass
class Ledger:
    """All contents, and what people did with them since the last rest."""

    contents: dict[int, Content] = field(default_factory=dict)
    _wholes: dict[bytes, Content] = field(default_factory=dict)
    _gone: dict[int, str] = field(default_factory=dict)
    """On which device a content was replaced or deleted."""
    _below: dict[int, set[str]] = field(default_factory=dict)
    """Below which directories a file was when it was deleted or moved, by the first names of these; by its line."""
    _directories_gone: set[tuple[str, str]] = field(default_factory=set)
    _moved: set[tuple[int, str]] = field(default_factory=set)
    _directories_moved: set[tuple[str, str]] = field(default_factory=set)
    _first_names: dict[str, str] = field(default_factory=dict)
    """What a directory was called when it was made, by its later names."""
    _touched: set[tuple[int, str]] = field(default_factory=set)
    """Which files were ever deleted or moved on which device, by their lines."""
    _replaced: set[tuple[int, str]] = field(default_factory=set)
    """Which contents were ever replaced or deleted on which device."""
    _directories_touched: set[tuple[str, str]] = field(default_factory=set)
    _serial: int = 0
    was_handed: Callable[[bytes], bool] = lambda data: False
    """Whether devices had these bytes from each other while the coordinator was away."""

    # --- what people do -----------------------------------------------------------------------------------

    def new(self, device: str, size: int, line: int | None = None) -> bytes:
        """The bytes of a new content, which a person is about to write. `line`: of which file; None: of a new one."""
        self._serial += 1
        content = Content(self._serial, self._serial if line is None else line, device, max(size, 120))
        data = content.data()
        self._wholes[blake3(data).digest()] = content
        self.contents[content.serial] = content
        return data

    def gone(self, content: Content, device: str, above: Collection[str] = ()) -> None:
        """On that device's disk a person replaced it, or deleted it from below the directories of these names."""
        self._gone.setdefault(content.serial, device)
        self._replaced.add((content.serial, device))
        self._note_below(content, above)
        if above:
            self._touched.add((content.line, device))

    def directory_gone(self, name: str, device: str) -> None:
        """On that device's disk a person deleted a directory, maybe after what was in it."""
        self._directories_gone.add((self._first_name(name), device))
        self._directories_touched.add((self._first_name(name), device))

    def moved(self, content: Content, device: str, above: Iterable[str] = ()) -> None:
        """On that device's disk a person moved it from below these directories, or with a directory that it is in."""
        self._moved.add((content.line, device))
        self._touched.add((content.line, device))
        self._note_below(content, above)

    def _note_below(self, content: Content, above: Iterable[str]) -> None:
        self._below.setdefault(content.line, set()).update(self._first_name(name) for name in above)

    def directory_moved(self, name: str, new_name: str, device: str) -> None:
        """On that device's disk a person moved a directory, with whatever others may have put there meanwhile."""
        self._first_names[new_name] = self._first_name(name)
        self._directories_moved.add((self._first_names[new_name], device))
        self._directories_touched.add((self._first_names[new_name], device))

    def _first_name(self, name: str) -> str:
        plain = name.partition(" (")[0]
        return self._first_names.get(plain, plain)

    def whole(self, data: bytes) -> Content | None:
        """The content that these bytes are, if they are a whole one."""
        return self._wholes.get(blake3(data).digest())

    # --- what may have come of it -------------------------------------------------------------------------

    def note_unseen(self, restarted: Collection[str]) -> None:
        """On these devices no program ran for a while. A directory that was moved there then, and in which nothing is
        as it was, cannot be told from a new one: the old one may count as deleted."""
        self._directories_gone |= {(name, device) for name, device in self._directories_moved if device in restarted}

    def has_touched(self, content: Content, device: str) -> bool:
        """Whether a person ever deleted or moved that file on that device, or replaced that very content there."""
        return (content.line, device) in self._touched or (content.serial, device) in self._replaced

    def has_touched_directory(self, name: str, device: str) -> bool:
        """The same of a directory, by any of its names."""
        return (self._first_name(name), device) in self._directories_touched

    def is_of_handed(self, content: Content, paths: Iterable[str]) -> bool:
        """Whether devices had it from each other while the coordinator was away, and one of the files of its line, at
        `paths`, is a conflicted copy.

        What somebody has made of it since may have been refused together with it: then whoever has either keeps it, as
        something edited there, since the journal has no version of it.
        """
        return self.was_handed(content.data()) and any("conflicted copy" in path for path in paths)

    def called(self) -> Iterator[tuple[str, bytes]]:
        """What each content is called in tables, and its bytes."""
        return ((f"#{content.serial}", content.data()) for content in self.contents.values())

    def gone_on(self, content: Content) -> str | None:
        """On which device a person replaced or deleted it; None where nobody did."""
        return self._gone.get(content.serial)

    def is_moved_out(self, content: Content) -> bool:
        """Whether one device deleted a directory that it was in, and another one may have moved it out of there.

        Then it lives, even if somebody deleted it by itself: the journal may have had the directory's deletion first.
        """
        below = self._below.get(content.line, set())
        deleters = {device for name, device in self._directories_gone if name in below}
        movers = {device for line, device in self._moved if line == content.line}
        movers |= {device for name, device in self._directories_moved if name in below}
        return any(mover != deleter for mover in movers for deleter in deleters)

    def end_phase(self) -> None:
        """All is at rest: what happens from now on has nothing to do with what was deleted or moved so far."""
        self._below.clear()
        self._directories_gone.clear()
        self._directories_moved.clear()
        self._moved.clear()

    def revived(self, alive: Iterable[bytes]) -> None:
        """Take what is alive for what is not gone: what was let pass is a file like any other from now on."""
        for data in alive:
            content = self.whole(data)
            if content is not None:
                self._gone.pop(content.serial, None)


def line_of(data: bytes) -> int | None:
    """Which file the bytes are a state of."""
    head = _HEAD.match(data)
    return None if head is None else int(head.group(2))


def shown(data: bytes) -> str:
    """What can be said of bytes that are not a content."""
    return f"{len(data)} bytes: {data[:60]!r} … {data[-20:]!r}"
