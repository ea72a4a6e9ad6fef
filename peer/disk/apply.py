"""Carries out batches of steps on a synced folder without losing a byte of anybody's.

Owns the order of things. What survives a power loss, point by point:

1. *Prepared*: every temporary file and link of the batch is durable in the private directory. User
   paths are as before.
2. *Swapped*: each step checks what is there against what it was planned against, then renames. At
   any instant a user path holds, whole, either what was there or what is to be there; whatever is
   taken away lies in `.shoal/swap` and was checked *after* it was taken. A thing that is not what
   was planned against goes back where it was. A power loss may undo any of these renames, and
   `private.recover` sorts out what lies in `swap`.
3. *Durable*: the touched directories are synced. Only now are results given out, so a database row
   written by the caller never gets ahead of the bytes on the disk.
4. *Disposed of*: what was taken away is looked at once more, and unlinked, or held; or rescued, if
   somebody who had it open wrote to it meanwhile. A power loss here leaves names in `swap`.

Never decides what is to be done, never writes a database row.
"""

import errno
import logging
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import assert_never

from peer.disk.attributes import set_attributes
from peer.disk.destroying import REFUSED, dispose, is_safe
from peer.disk.failures import failure
from peer.disk.private import rescue
from peer.disk.root import Directories, Root
from peer.disk.steps import (
    Applied,
    Failed,
    MakeDirectory,
    Move,
    NotEmpty,
    Occupied,
    PreimageChanged,
    PutFile,
    PutLink,
    RemoveDirectory,
    RemoveFile,
    RemoveLink,
    SetAttributes,
    Step,
    StepResult,
)
from peer.disk.swap_names import make_swap_name
from peer.disk.swapping import Displaced, replace, take_away, take_back
from peer.disk.temporary import with_executable
from peer.fingerprint import DiskKind, Fingerprint, Path, Status

FEW = 4
"""Up to so many files or directories are synced one by one; more, with the whole file system."""

_log = logging.getLogger("shoal.disk")
_GONE = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP)


def apply(root: Root, steps: Sequence[Step]) -> list[StepResult]:
    """Carry out `steps` in order and return one result for each, in the same order.

    A step that cannot be done leaves everything as it is and does not stop those after it; its
    temporary file stays in `tmp` under its name. When this returns, all that the results say is
    durable. Blocks: run it in one piece inside `Offload`. Raises nothing but bugs.
    """
    with root.open_directories() as directories:
        return _Batch(root, directories, steps).run()


def make_durable(root: Root, temps: Sequence[str]) -> None:
    """Make finished temporary files survive a power loss. Raises OSError if they may not."""
    if len(temps) > FEW:
        root.fs.sync_all(root.handle)
        return
    for name in temps:
        handle = root.fs.open_read(root.tmp, name)
        try:
            root.fs.sync(handle)
        finally:
            root.fs.close(handle)


class _Batch:
    """One call of `apply`."""

    def __init__(self, root: Root, directories: Directories, steps: Sequence[Step]) -> None:
        self.root = root
        self.fs = root.fs
        self.directories = directories
        self.steps = steps
        self.links: dict[int, str] = {}
        self.displaced: list[tuple[int, Displaced]] = []
        self.made: list[tuple[int, Path]] = []
        self.put: list[tuple[int, Fingerprint]] = []

    def run(self) -> list[StepResult]:
        unprepared = self._prepare()
        results: list[StepResult] = []
        for index, step in enumerate(self.steps):
            if index in unprepared:
                results.append(unprepared[index])
                continue
            if not is_safe(step):
                _log.error("refused to destroy what nobody else is known to have: %s", type(step).__name__)
                results.append(REFUSED)
                continue
            try:
                results.append(self._do(index, step))
            except OSError as error:
                gone = error.errno in _GONE
                results.append(PreimageChanged(None) if gone else self._failed(index, step, error))
        try:
            self.directories.sync_touched(FEW)
            if any(isinstance(step, SetAttributes) for step in self.steps):
                self.fs.sync_all(self.root.handle)
        except OSError as error:
            failed = failure(error)
            staying = {*self._take_back_puts(), *self._unmake_directories()}
            return [
                Failed(failed.code, failed.message, index in staying) if isinstance(result, Applied) else result
                for index, result in enumerate(results)
            ]
        for index, displaced in self.displaced:
            result = results[index]
            assert isinstance(result, Applied)
            rescued = dispose(self.root, displaced)
            results[index] = result if rescued is None else Applied(result.fingerprint, rescued)
        for name in self.links.values():
            with suppress(OSError):
                self.fs.unlink(self.root.tmp, name)
        return results

    def _failed(self, index: int, step: Step, error: OSError) -> Failed:
        """The result of a step that was given up half-way: what it put in place may be there still."""
        may_stay = any(made == index for made, _ in self.made)
        if isinstance(step, PutFile):
            try:
                self.fs.stat(self.root.tmp, step.temp)
            except OSError:
                may_stay = True
        failed = failure(error)
        return Failed(failed.code, failed.message, may_stay)

    def _prepare(self) -> dict[int, StepResult]:
        """Finish and make durable all that is to be put in place; return what could not be."""
        failed: dict[int, StepResult] = {}
        temps: list[str] = []
        for index, step in enumerate(self.steps):
            try:
                if isinstance(step, PutFile):
                    self._finish(step)
                    temps.append(step.temp)
                elif isinstance(step, PutLink):
                    name = self.root.fresh_name()
                    self.fs.make_link(self.root.tmp, name, step.target)
                    self.links[index] = name
            except OSError as error:
                failed[index] = failure(error)
        try:
            if temps:
                make_durable(self.root, temps)
            if self.links:
                self.fs.sync(self.root.tmp)
        except OSError as error:
            for index, step in enumerate(self.steps):
                if isinstance(step, (PutFile, PutLink)):
                    failed.setdefault(index, failure(error))
        return failed

    def _finish(self, step: PutFile) -> None:
        """Give a temporary file the mode and time that the step asks for, if it lacks them."""
        status = self.fs.stat(self.root.tmp, step.temp)
        found = status.fingerprint
        if found.mtime_ns != step.mtime_ns or found.executable != step.executable:
            handle = self.fs.open_write(self.root.tmp, step.temp)
            try:
                self.fs.set_mode(handle, with_executable(status.mode, step.executable))
                self.fs.set_mtime(handle, step.mtime_ns)
            finally:
                self.fs.close(handle)

    def _do(self, index: int, step: Step) -> StepResult:
        match step:
            case PutFile():
                return self._put(index, step.temp, step)
            case PutLink():
                return self._put(index, self.links[index], step)
            case MakeDirectory():
                return self._make_directory(index, step)
            case Move():
                return self._move(step)
            case RemoveFile():
                return self._remove(index, step.path, step.expected, step.hold)
            case RemoveLink():
                return self._remove(index, step.path, step.expected, None)
            case RemoveDirectory():
                return self._remove_directory(step)
            case SetAttributes():
                parent, name = self.directories.parent(step.path)
                return set_attributes(self.fs, parent, name, step)
            case _ as never:
                assert_never(never)

    def _put(self, index: int, temp: str, step: PutFile | PutLink) -> StepResult:
        parent, name = self.directories.parent(step.path)
        new = self.fs.stat(self.root.tmp, temp)
        if step.expected is None:
            try:
                self.fs.rename_new(self.root.tmp, temp, parent, name)
            except FileExistsError:
                return self._occupied(step.path)
        else:
            before = self.fs.stat(parent, name)
            if before.fingerprint != step.expected:
                return PreimageChanged(before.fingerprint)
            new = self._copy_mode(temp, new, before)
            swap_name = make_swap_name(self.root.entropy.token(8).hex(), new.fingerprint, step.expected, step.hold)
            taken = replace(self.root, parent, name, temp, swap_name, new, step.expected)
            if not isinstance(taken, Displaced):
                self.directories.touch(step.path[:-1])
                return taken
            self.displaced.append((index, taken))
        self.directories.touch(step.path[:-1])
        self.links.pop(index, None)
        self.put.append((index, new.fingerprint))
        return Applied(self._shown(step.path, new.fingerprint))

    def _copy_mode(self, temp: str, new: Status, before: Status) -> Status:
        """Let a new file keep the permissions of the one that it replaces."""
        if new.kind is not DiskKind.FILE or before.kind is not DiskKind.FILE:
            return new
        mode = with_executable(before.mode & 0o777, new.fingerprint.executable) | 0o600
        if mode == new.mode:
            return new
        handle = self.fs.open_write(self.root.tmp, temp)
        try:
            self.fs.set_mode(handle, mode)
            return self.fs.stat_handle(handle)
        finally:
            self.fs.close(handle)

    def _shown(self, path: Path, new: Fingerprint) -> Fingerprint:
        """Return the fingerprint of what was put at `path`.

        If somebody has already changed it, it is the one from before the rename, which the next
        scan will find to differ: that change is theirs and must not be taken for what was put.
        """
        try:
            parent, name = self.directories.parent(path)
            now = self.fs.stat(parent, name).fingerprint
        except OSError:
            return new
        return now if now.is_renamed_from(new) else new

    def _occupied(self, path: Path) -> StepResult:
        try:
            parent, name = self.directories.parent(path)
            found = self.fs.stat(parent, name)
        except OSError:
            return Occupied(None, None)
        return Occupied(found.kind, found.fingerprint)

    def _make_directory(self, index: int, step: MakeDirectory) -> StepResult:
        parent, name = self.directories.parent(step.path)
        try:
            self.fs.make_dir(parent, name, 0o777)
        except FileExistsError:
            return self._occupied(step.path)
        self.directories.touch(step.path[:-1])
        self.made.append((index, step.path))
        try:
            return Applied(self.fs.stat(parent, name).fingerprint)
        except OSError:
            self.fs.remove_dir(parent, name)
            self.made.pop()
            raise

    def _take_back_puts(self) -> Iterator[int]:
        """Put back what was there before files and links that are not to be told of, since the next scan would take
        them for somebody's. What somebody has changed since stays. Yields the steps of what may be there still."""
        displaced = dict(self.displaced)
        for index, new in reversed(self.put):
            step = self.steps[index]
            assert isinstance(step, (PutFile, PutLink))
            temp = step.temp if isinstance(step, PutFile) else self.root.fresh_name()
            is_back = False
            with suppress(OSError):
                parent, name = self.directories.parent(step.path)
                swap_name = make_swap_name(self.root.entropy.token(8).hex(), None, new, None)
                is_back = take_back(self.root, parent, name, temp, swap_name, new, displaced.get(index))
                if isinstance(step, PutLink):
                    self.fs.unlink(self.root.tmp, temp)
            if not is_back:
                yield index

    def _unmake_directories(self) -> Iterator[int]:
        """Remove directories that are not to be told of: the next scan would take them for somebody's new ones. Yields
        the steps of those that may be there still."""
        for index, path in reversed(self.made):
            try:
                parent, name = self.directories.parent(path)
                self.fs.remove_dir(parent, name)
                self.directories.forget(path)
            except OSError:
                yield index

    def _move(self, step: Move) -> StepResult:
        source, name = self.directories.parent(step.source)
        target, new_name = self.directories.parent(step.destination)
        before = self.fs.stat(source, name)
        if step.expected is not None:
            same = (
                before.fingerprint.is_same_file(step.expected)
                if before.kind is DiskKind.DIRECTORY
                else before.fingerprint == step.expected
            )
            if not same:
                return PreimageChanged(before.fingerprint)
        try:
            self.fs.rename_new(source, name, target, new_name)
        except FileExistsError:
            return self._occupied(step.destination)
        self.directories.touch(step.source[:-1])
        self.directories.touch(step.destination[:-1])
        try:
            moved = self.fs.stat(target, new_name)
        except OSError:
            self.fs.rename_new(target, new_name, source, name)
            raise
        if not moved.fingerprint.is_same_file(before.fingerprint):
            # Something else came to the source in that instant. If its name is taken again it
            # stays where it is, whole, for the next scan to find.
            with suppress(FileExistsError):
                self.fs.rename_new(target, new_name, source, name)
            return PreimageChanged(moved.fingerprint)
        if moved.kind is DiskKind.DIRECTORY:
            self.directories.forget(step.source)
            return Applied(moved.fingerprint)
        kept = moved.fingerprint.is_renamed_from(before.fingerprint)
        return Applied(moved.fingerprint if kept else before.fingerprint)

    def _remove(self, index: int, path: Path, expected: Fingerprint, hold: str | None) -> StepResult:
        parent, name = self.directories.parent(path)
        before = self.fs.stat(parent, name)
        if before.fingerprint != expected:
            return PreimageChanged(before.fingerprint)
        swap_name = make_swap_name(self.root.entropy.token(8).hex(), None, expected, hold)
        self.directories.touch(path[:-1])
        taken = take_away(self.root, parent, name, swap_name, expected)
        if not isinstance(taken, Displaced):
            return taken
        self.displaced.append((index, taken))
        return Applied(None)

    def _remove_directory(self, step: RemoveDirectory) -> StepResult:
        parent, name = self.directories.parent(step.path)
        directory = self.directories.handle(step.path)
        names = self.fs.list_names(directory)
        wanted = [found for found, is_dir in names if not step.ignored((*step.path, found), is_dir)]
        if wanted:
            return NotEmpty(tuple(sorted(wanted)))
        self.directories.touch(step.path[:-1])
        if not names:
            try:
                self.fs.remove_dir(parent, name)
            except OSError as error:
                if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                    raise
                return NotEmpty(tuple(sorted(name for name, _ in self.fs.list_names(directory))))
            self.directories.forget(step.path)
            return Applied(None)
        rescued = rescue(self.root, parent, name, name)
        # Look into what was moved, which need not be what was listed, for what came in meanwhile.
        moved = self.fs.open_dir(self.root.rescue, rescued)
        try:
            late = self._unignored(step, self.fs.list_names(moved))
        finally:
            self.fs.close(moved)
        if not late:
            self.directories.forget(step.path)
            return Applied(None, rescued)
        try:
            self.fs.rename_new(self.root.rescue, rescued, parent, name)
        except FileExistsError:
            self.directories.forget(step.path)
            return PreimageChanged(None, rescued)
        return NotEmpty(late)

    def _unignored(self, step: RemoveDirectory, names: list[tuple[str, bool]]) -> tuple[str, ...]:
        return tuple(sorted(name for name, is_dir in names if not step.ignored((*step.path, name), is_dir)))
