"""Looks at what is in a synced folder.

Owns the reading of directories. Reports what it saw, what it could not see, and which directories
it read to their end; only of those can a missing name be called absent. Never follows a link,
never leaves the root's file system, never changes anything.

A walk of 120,000 files takes about half a second; it blocks, so run it inside `Offload`.
"""

import errno
from collections.abc import Iterable, Iterator

from peer.disk.root import MAX_DEPTH, PRIVATE_NAME, Directories, Root
from peer.fingerprint import DiskKind, Path, Status
from peer.ports import Filesystem, Handle
from peer.scan.findings import (
    Absent,
    BadName,
    Finding,
    Found,
    Ignored,
    Special,
    Unreadable,
    WasRead,
)
from peer.scan.ignore import IGNORE_NAME, MAX_IGNORE_BYTES, IgnoreRules

_LISTING_TRIES = 5


def walk(root: Root, subtree: Path, rules: IgnoreRules) -> Iterator[Finding]:
    """Yield all that is found in the directory `subtree` and below it, parents before children.

    The directory itself comes first, unless it is the root. Ignore files met on the way are put
    into `rules`. A directory whose names changed while it was read, five times over, is reported
    unreadable besides what was seen of it. Raises OSError only where the root itself fails.
    """
    with root.open_directories() as directories:
        yield from look(root, directories, [subtree], rules)
        try:
            handle = directories.handle(subtree)
        except OSError as error:
            if not subtree:
                raise
            if error.errno not in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
                yield Unreadable(subtree, reason(error))
            return
        if subtree and rules.ignores(subtree, True):
            return
        yield from _Walk(root, rules).below(subtree, handle)


def look(root: Root, directories: Directories, paths: Iterable[Path], rules: IgnoreRules) -> Iterator[Finding]:
    """Yield what each of `paths` is, without looking into directories.

    Of a path below something that is missing, or is no directory, that something is reported.
    """
    for path in paths:
        for depth in range(1, len(path) + 1):
            finding, goes_on = _look_at(root, directories, path[:depth], rules)
            if depth == len(path) or not goes_on:
                yield finding
                break


def _look_at(root: Root, directories: Directories, path: Path, rules: IgnoreRules) -> tuple[Finding, bool]:
    """Return what `path` is, and whether something can be below it."""
    try:
        parent, name = directories.parent(path)
        status = root.fs.stat(parent, name)
        if rules.ignores(path, status.kind is DiskKind.DIRECTORY):
            return Ignored(path), False
        finding = _finding(root, parent, path, status)
    except FileNotFoundError:
        return Absent(path), False
    except UnicodeEncodeError:
        return BadName(path), False
    except OSError as error:
        return Unreadable(path, reason(error)), False
    return finding, isinstance(finding, Found) and finding.kind is DiskKind.DIRECTORY


def _finding(root: Root, parent: Handle, path: Path, status: Status) -> Finding:
    """Return what a name with this status is. Raises OSError for a link that cannot be read."""
    if not _is_utf8(path[-1]):
        return BadName(path)
    match status.kind:
        case DiskKind.FILE:
            return Found(path, DiskKind.FILE, status.fingerprint)
        case DiskKind.DIRECTORY:
            if status.fingerprint.device != root.device:
                return Unreadable(path, "other_device")
            return Found(path, DiskKind.DIRECTORY, status.fingerprint)
        case DiskKind.SYMLINK:
            target = root.fs.read_link(parent, path[-1])
            if not _is_utf8(target):
                return BadName(path)
            return Found(path, DiskKind.SYMLINK, status.fingerprint, target)
        case DiskKind.SPECIAL:
            return Special(path)


class _Walk:
    """One walk; a stack of open directories as deep as the tree."""

    def __init__(self, root: Root, rules: IgnoreRules) -> None:
        self._root = root
        self._fs = root.fs
        self._rules = rules

    def below(self, path: Path, handle: Handle) -> Iterator[Finding]:
        found, complete = self._read(path, handle)
        below = []
        for finding in found:
            yield finding
            if type(finding) is Found and finding.kind is DiskKind.DIRECTORY:
                below.append(finding.path)
        del found
        yield WasRead(path) if complete else Unreadable(path, "changed_while_read")
        for child in below:
            if len(child) >= MAX_DEPTH:
                yield Unreadable(child, "too_deep")
                continue
            try:
                opened = self._fs.open_dir(handle, child[-1])
            except FileNotFoundError:
                yield Unreadable(child, "changed_while_read")
                continue
            except OSError as error:
                yield Unreadable(child, reason(error))
                continue
            try:
                yield from self.below(child, opened)
            except OSError as error:
                yield Unreadable(child, reason(error))
            finally:
                self._fs.close(opened)

    def _read(self, path: Path, handle: Handle) -> tuple[list[Finding], bool]:
        """Return what is in a directory, and whether its names held still while it was read."""
        found: list[Finding] = []
        for _ in range(_LISTING_TRIES):
            before = self._fs.stat_handle(handle).fingerprint
            entries = list(self._fs.list_dir(handle))
            found = self._judge_all(path, handle, entries)
            if self._fs.stat_handle(handle).fingerprint == before:
                return found, True
        return found, False

    def _judge_all(self, path: Path, handle: Handle, entries: list[tuple[str, Status | OSError]]) -> list[Finding]:
        rules = self._rules
        update_rules(self._fs, handle, path, {name for name, _ in entries}, rules)
        device = self._root.device
        found: list[Finding] = []
        add = found.append
        for name, status in entries:
            here = (*path, name)
            if isinstance(status, OSError):
                add(Unreadable(here, reason(status)))
                continue
            kind = status.kind
            if rules.ignores_name(path, name, kind is DiskKind.DIRECTORY):
                if path or name != PRIVATE_NAME:
                    add(Ignored(here))
            elif kind is DiskKind.FILE and name.isascii():
                add(Found(here, kind, status.fingerprint))
            elif kind is DiskKind.DIRECTORY and status.fingerprint.device != device:
                add(Unreadable(here, "other_device"))
            else:
                try:
                    add(_finding(self._root, handle, here, status))
                except OSError as error:
                    add(Unreadable(here, reason(error)))
        return found


def update_rules(fs: Filesystem, directory: Handle, path: Path, names: set[str], rules: IgnoreRules) -> bool:
    """Read the ignore file of a directory with these names into `rules`; say if it changed.

    One that cannot be read leaves the rules as they were.
    """
    if IGNORE_NAME not in names:
        return rules.put(path, None)
    try:
        handle = fs.open_read(directory, IGNORE_NAME)
        try:
            if fs.stat_handle(handle).kind is not DiskKind.FILE:
                return False
            buffer = memoryview(bytearray(MAX_IGNORE_BYTES))
            size = 0
            while count := fs.read_into(handle, buffer[size:], size):
                size += count
        finally:
            fs.close(handle)
    except OSError:
        return False
    return rules.put(path, bytes(buffer[:size]).decode("utf-8", "replace"))


def reason(error: OSError) -> str:
    """Return the short word for why something could not be looked at."""
    return "denied" if error.errno in (errno.EACCES, errno.EPERM) else "io_error"


def _is_utf8(name: str) -> bool:
    if name.isascii():
        return True
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
