"""Small things that people do with files, one at a time: what exhaustive crash points are tried on.

Owns the workloads and what must have come of each. A workload is a tree that two devices have in common, and what
somebody then does to it at one of them, or both do at the same moment.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import shake_128
from typing import Final

from peer.fingerprint import DiskKind
from peer.ports import Handle
from simulations.disk import SimDisk

Tree = dict[str, bytes | None]
"""What is in files, by path; None for a directory, `-> TARGET` for a link."""

OLD, NEW, OTHER = b"as it was", b"as it is now", b"as somebody else has it"
BIG: Final = bytes(range(256)) * 1600
"""400 KiB: several chunks."""


class Hands:
    """A person at a device, below one directory of the folder. Paths are relative to it. Errors are `OSError`.

    On the disk contents are masked, otherwise for each directory: the same work below another one sends other blocks.
    """

    def __init__(self, disk: SimDisk, prefix: str) -> None:
        self.disk = disk
        self.prefix = prefix
        self._fs = disk.people

    @contextmanager
    def _in(self, path: str) -> Iterator[tuple[Handle, str]]:
        above, _, name = path.rpartition("/")
        handle = self._fs.open_root(f"{self.disk.folder}/{self.prefix}/{above}")
        try:
            yield handle, name
        finally:
            self._fs.close(handle)

    def put(self, path: str, data: bytes) -> None:
        """Write a file, in place if it is there."""
        self.disk.put(f"{self.disk.folder}/{self.prefix}/{path}", self._masked(data))

    def _masked(self, data: bytes, offset: int = 0) -> bytes:
        """What stands for these bytes on the disk, and the other way round."""
        mask = shake_128(self.prefix.encode()).digest(offset + len(data))[offset:]
        return (int.from_bytes(data, "big") ^ int.from_bytes(mask, "big")).to_bytes(len(data), "big")

    def save(self, path: str, data: bytes) -> None:
        """Write a file beside and rename it over, as editors do."""
        self.put(path + "~", data)
        with self._in(path) as (parent, name):
            self._fs.rename_over(parent, name + "~", parent, name)

    def patch(self, path: str, data: bytes, offset: int) -> None:
        """Write into a file."""
        with self._open(path) as handle:
            self._fs.write_at(handle, self._masked(data, offset), offset)

    def cut(self, path: str, size: int) -> None:
        """Set a file's length."""
        with self._open(path) as handle:
            self._fs.truncate(handle, size)

    def mode(self, path: str, mode: int) -> None:
        """Set permissions."""
        with self._open(path) as handle:
            self._fs.set_mode(handle, mode)

    def date(self, path: str, mtime_ns: int) -> None:
        """Set a file's time."""
        with self._open(path) as handle:
            self._fs.set_mtime(handle, mtime_ns)

    @contextmanager
    def _open(self, path: str) -> Iterator[Handle]:
        with self._in(path) as (parent, name):
            handle = self._fs.open_write(parent, name)
        try:
            yield handle
        finally:
            self._fs.close(handle)

    def make(self, path: str) -> None:
        """Make a directory."""
        with self._in(path) as (parent, name):
            self._fs.make_dir(parent, name, 0o755)

    def link(self, path: str, target: str) -> None:
        """Make a symbolic link."""
        with self._in(path) as (parent, name):
            self._fs.make_link(parent, name, target)

    def name_also(self, path: str, new: str) -> None:
        """Give a file a second name."""
        with self._in(path) as (parent, name), self._in(new) as (target, new_name):
            self._fs.link(parent, name, target, new_name)

    def move(self, path: str, new: str) -> None:
        """Rename to a free name."""
        with self._in(path) as (parent, name), self._in(new) as (target, new_name):
            self._fs.rename_new(parent, name, target, new_name)

    def swap(self, path: str, other: str) -> None:
        """Exchange two names."""
        with self._in(path) as (parent, name), self._in(other) as (target, other_name):
            self._fs.exchange(parent, name, target, other_name)

    def delete(self, path: str) -> None:
        """Delete a file, a link, or a directory with all in it."""
        with self._in(path) as (parent, name):
            if self._fs.stat(parent, name).kind is not DiskKind.DIRECTORY:
                self._fs.unlink(parent, name)
                return
            opened = self._fs.open_dir(parent, name)
            below = [each for each, _ in self._fs.list_names(opened)]
            self._fs.close(opened)
            for each in below:
                self.delete(f"{path}/{each}")
            self._fs.remove_dir(parent, name)

    def fill(self, tree: Tree) -> None:
        """Make all of a tree; parents come first."""
        for path, data in tree.items():
            if data is None:
                self.make(path)
            elif data.startswith(b"-> "):
                self.link(path, data[3:].decode())
            else:
                self.put(path, data)

    def tree(self, path: str = "") -> Tree:
        """What is there."""
        found: Tree = {}
        with self._in(f"{path}/x") as (parent, _):
            for name, status in sorted(self._fs.list_dir(parent), key=lambda one: one[0]):
                here = f"{path}/{name}".lstrip("/")
                if isinstance(status, OSError):
                    raise status
                if status.kind is DiskKind.DIRECTORY:
                    found[here] = None
                    found |= self.tree(here)
                elif status.kind is DiskKind.SYMLINK:
                    found[here] = b"-> " + self._fs.read_link(parent, name).encode()
                else:
                    found[here] = self._masked(bytes(self.disk.content(f"{self.disk.folder}/{self.prefix}/{here}")))
        return found


Deed = Callable[[Hands], None]


@dataclass(frozen=True)
class Workload:
    """`here` is done at one device; where `there` is given, that at the other one, at the same moment.

    All must then have what the first device had, or, where both did something, what `ends` says yes to.
    """

    before: Tree
    here: Deed
    there: Deed | None = None
    ends: Callable[[Tree], bool] = field(default=lambda tree: True)


def _kept(*contents: bytes, names: int | None = None) -> Callable[[Tree], bool]:
    """All these contents are there, once each, and nothing else, but directories; maybe of so many names."""

    def ends(tree: Tree) -> bool:
        return sorted(data for data in tree.values() if data is not None) == sorted(contents) and (
            names is None or len(tree) == names
        )

    return ends


def _is(*trees: Tree) -> Callable[[Tree], bool]:
    return lambda tree: tree in trees


def _both(*deeds: Deed) -> Deed:
    def do(hands: Hands) -> None:
        for deed in deeds:
            deed(hands)

    return do


_A: Final[Tree] = {"a": OLD}
_TREE: Final[Tree] = {"d": None, "d/a": OLD, "d/e": None, "d/e/b": OTHER}
_TWO: Final[Tree] = {"a": OLD, "b": OTHER}

WORKLOADS: Final[dict[str, Workload]] = {
    "a small file": Workload({}, lambda at: at.put("a", NEW)),
    "an empty file": Workload({}, lambda at: at.put("a", b"")),
    "a file of several chunks": Workload({}, lambda at: at.put("a", BIG)),
    "a program": Workload({}, _both(lambda at: at.put("a", NEW), lambda at: at.mode("a", 0o755))),
    "an edit in place": Workload(_A, lambda at: at.patch("a", b"AS", 0)),
    "an edit in the middle of a large file": Workload({"a": BIG}, lambda at: at.patch("a", b"here", 200_000)),
    "an append": Workload(_A, lambda at: at.patch("a", b" and more", len(OLD))),
    "a file cut short": Workload({"a": BIG}, lambda at: at.cut("a", 5)),
    "a file emptied": Workload(_A, lambda at: at.cut("a", 0)),
    "a file saved by a rename": Workload(_A, lambda at: at.save("a", NEW)),
    "a file saved twice": Workload(_A, _both(lambda at: at.save("a", OTHER), lambda at: at.save("a", NEW))),
    "a file written anew": Workload(_A, lambda at: at.put("a", NEW)),
    "a file deleted": Workload(_TWO, lambda at: at.delete("a")),
    "a file renamed": Workload(_A, lambda at: at.move("a", "b")),
    "a file moved": Workload({"a": OLD, "d": None}, lambda at: at.move("a", "d/a")),
    "a file moved to a new directory": Workload(_A, _both(lambda at: at.make("d"), lambda at: at.move("a", "d/b"))),
    "a file moved and edited": Workload(_A, _both(lambda at: at.move("a", "b"), lambda at: at.save("b", NEW))),
    "a file edited and moved": Workload(_A, _both(lambda at: at.put("a", NEW), lambda at: at.move("a", "b"))),
    "a file moved and another at its name": Workload(
        _A, _both(lambda at: at.move("a", "b"), lambda at: at.put("a", NEW))
    ),
    "a file deleted and made again": Workload(_A, _both(lambda at: at.delete("a"), lambda at: at.put("a", OLD))),
    "a copy": Workload(_A, lambda at: at.put("b", OLD)),
    "a second name": Workload(_A, lambda at: at.name_also("a", "b")),
    "two names swapped": Workload(_TWO, lambda at: at.swap("a", "b")),
    "three names turned": Workload(
        _TWO | {"c": NEW}, _both(lambda at: at.swap("a", "b"), lambda at: at.swap("b", "c"))
    ),
    "case changed": Workload(_A, lambda at: at.move("a", "A")),
    "a name with an accent": Workload({}, lambda at: at.put("caf\u00e9", NEW)),
    "a long name": Workload({}, lambda at: at.put("n" * 200, NEW)),
    "the executable bit": Workload(_A, lambda at: at.mode("a", 0o755)),
    "a date": Workload(_A, lambda at: at.date("a", 1_500_000_000_000_000_000)),
    "a link": Workload({}, lambda at: at.link("l", "a")),
    "a link to something else": Workload(
        {"l": b"-> a"}, _both(lambda at: at.delete("l"), lambda at: at.link("l", "b"))
    ),
    "a link deleted": Workload({"l": b"-> a"}, lambda at: at.delete("l")),
    "a link in the place of a file": Workload(_A, _both(lambda at: at.delete("a"), lambda at: at.link("a", "b"))),
    "a directory": Workload({}, lambda at: at.make("d")),
    "a tree": Workload({}, lambda at: at.fill(_TREE)),
    "a directory renamed": Workload(_TREE, lambda at: at.move("d", "f")),
    "a directory moved": Workload(_TREE | {"f": None}, lambda at: at.move("d", "f/d")),
    "a directory moved up": Workload(_TREE, lambda at: at.move("d/e", "e")),
    "a directory turned inside out": Workload(
        _TREE, _both(lambda at: at.move("d/e", "e"), lambda at: at.move("d", "e/d"))
    ),
    "two directories swapped": Workload(_TREE | {"f": None, "f/c": NEW}, lambda at: at.swap("d", "f")),
    "a tree deleted": Workload(_TREE | {"x": NEW}, lambda at: at.delete("d")),
    "an empty directory deleted": Workload({"d": None}, lambda at: at.delete("d")),
    "a directory in the place of a file": Workload(
        _A, _both(lambda at: at.delete("a"), lambda at: at.fill({"a": None, "a/b": NEW}))
    ),
    "a file in the place of a directory": Workload(
        _TREE, _both(lambda at: at.delete("d"), lambda at: at.put("d", NEW))
    ),
    "a dozen files": Workload({}, lambda at: at.fill({f"f{n}": b"file %d" % n for n in range(12)})),
    "two edits of one file": Workload(
        _A, lambda at: at.save("a", NEW), lambda at: at.save("a", OTHER), _kept(NEW, OTHER, names=2)
    ),
    "two new files of one name": Workload(
        {}, lambda at: at.put("a", NEW), lambda at: at.put("a", OTHER), _kept(NEW, OTHER, names=2)
    ),
    "the same new file twice": Workload({}, lambda at: at.put("a", NEW), lambda at: at.put("a", NEW), _is({"a": NEW})),
    "an edit and a deletion": Workload(_A, lambda at: at.save("a", NEW), lambda at: at.delete("a"), _is({"a": NEW})),
    "an edit and a move": Workload(_A, lambda at: at.save("a", NEW), lambda at: at.move("a", "b"), _is({"b": NEW})),
    "two moves of one file": Workload(
        _A, lambda at: at.move("a", "b"), lambda at: at.move("a", "c"), _is({"b": OLD}, {"c": OLD})
    ),
    "two directories into each other": Workload(
        {"d": None, "d/a": OLD, "e": None, "e/b": OTHER},
        lambda at: at.move("d", "e/d"),
        lambda at: at.move("e", "d/e"),
        _kept(OLD, OTHER, names=4),
    ),
    "a tree deleted and a file made in it": Workload(
        _TREE,
        lambda at: at.delete("d"),
        lambda at: at.put("d/e/new", NEW),
        _is({"d": None, "d/e": None, "d/e/new": NEW}),
    ),
    "two new directories of one name": Workload(
        {},
        lambda at: at.fill({"d": None, "d/a": NEW}),
        lambda at: at.fill({"d": None, "d/b": OTHER}),
        _is({"d": None, "d/a": NEW, "d/b": OTHER}),
    ),
}
