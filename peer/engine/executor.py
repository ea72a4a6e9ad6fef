"""Carrying out a plan on this disk. Owns the translation of operations into disk steps and of results into rows.

A wave is one batch: one look at the rows, one batch of steps (durable when it returns), one transaction of rows. A
version that has not been fetched yet is set aside until its temporary file is there. A result that was not expected
makes the plan stale; a step that the disk refuses holds up what builds on it. What was done stays done.
"""

import errno
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from peer.disk import steps
from peer.disk.apply import apply
from peer.disk.temporary import discard_temp
from peer.engine import placing
from peer.engine.context import Context
from peer.engine.holding import Holding
from peer.engine.problems import path_text
from peer.engine.rests import DISK_S, Rests
from peer.engine.scanning import Scanner
from peer.fingerprint import Fingerprint, Path
from peer.planner import effects
from peer.planner.operations import (
    AdoptEntry,
    ForgetEntry,
    ForkEntry,
    MakeDirectory,
    MoveEntry,
    Operation,
    ProposeChange,
    RemoveEntry,
    SetAttributes,
    WriteContent,
)
from peer.planner.trees import Attributes
from peer.scan.findings import Changed, Renamed
from peer.store.notes import add_note
from peer.store.offers import OfferStore
from peer.store.outbox import Outbox
from peer.store.versions import is_kept, version_body, version_with
from protocol.ids import EntryId
from protocol.model import FlatManifest, Kind
from protocol.names import is_conflict_name
from protocol.offered import Standing

BATCH_STEPS: Final = 1000
_NOBODY: Final = Fingerprint(0, 0, 0, 0, 0, False)


@dataclass(frozen=True, slots=True)
class Ready:
    """A version in a temporary file."""

    operation: WriteContent
    temp: str
    manifest: FlatManifest


@dataclass(frozen=True, slots=True)
class _Task:
    """An operation with its step on disk; none where it only concerns rows."""

    operation: Operation
    step: steps.Step | None
    path: Path
    manifest: FlatManifest | None = None


class Executor:
    """Carries out one plan after the other; `begin` is called for each."""

    def __init__(self, context: Context, scanner: Scanner, rests: Rests) -> None:
        self._context = context
        self._scanner = scanner
        self._rests = rests
        self._offers = OfferStore(context.machine.database, context.record.w)
        self._touched: dict[EntryId, Fingerprint | None] = {}
        self._being_read: dict[tuple[EntryId, str], EntryId] = {}
        """What was found and is not read yet, by its place: it has no row, or that of what was there before."""
        self.holding = Holding(context.trees.local)
        self.stale = False
        """Something was not as planned: make a new plan."""
        self.waiting: dict[EntryId, WriteContent] = {}
        """Versions wanted whose content is not here yet."""
        self._planned: set[EntryId] = set()
        self._troubles: dict[EntryId, tuple[str, str]] = {}

    def begin(self) -> None:
        """A new plan is about to be carried out."""
        self._touched.clear()
        self._planned.clear()
        self.waiting.clear()
        self.holding.begin()
        self.stale = False

    def end(self) -> None:
        """A whole plan was carried out: what it has nothing more to do with is no trouble any more."""
        for entry in self._troubles.keys() - self._planned:
            self._context.problems.clear(*self._troubles.pop(entry))
            self._rests.end(step_of(entry))

    def trouble(self, entry: EntryId, path: Path, code: str, message: str) -> None:
        """Say what hinders an entry, for as long as there is anything to be done with it."""
        known, now = self._troubles.get(entry), ("/".join(path), code)
        if known is not None and known != now:
            self._context.problems.clear(*known)
        self._troubles[entry] = now
        self._context.problems.put(*now, message)

    async def run_wave(self, wave: Sequence[Operation]) -> None:
        """Carry out the operations of one wave that are not proposals."""
        mine = [one for one in wave if not isinstance(one, ProposeChange)]
        self._planned.update(operation_entry(one) for one in mine)
        for at in range(0, len(mine), BATCH_STEPS):
            await self._run(mine[at : at + BATCH_STEPS], {})

    async def write(self, ready: Sequence[Ready]) -> None:
        """Put fetched versions in place. Temporary files that are not used are removed."""
        temps = {one.operation.entry: one for one in ready}
        for at in range(0, len(ready), BATCH_STEPS):
            await self._run([one.operation for one in ready[at : at + BATCH_STEPS]], temps)

    async def _run(self, operations: Sequence[Operation], temps: dict[EntryId, Ready]) -> None:
        machine = self._context.machine
        tasks = await machine.database_work.run(self._prepare, operations, temps)
        results = await machine.disk_work.run(self._apply, tasks)
        await machine.database_work.run(self._record, tasks, results)
        if unused := _unused(operations, temps, tasks, results):
            await machine.disk_work.run(self._discard, unused)
        self._context.changed()

    # --- before: in the database's thread ---------------------------------------------------------------

    def _prepare(self, operations: Sequence[Operation], temps: dict[EntryId, Ready]) -> list[_Task]:
        trees = self._context.trees
        places: dict[EntryId, Path | None] = {}
        in_flight = self._in_flight(operations)
        self._being_read = {(one.parent, one.name): entry for entry, one in self._scanner.reading.items()}
        tasks: list[_Task] = []
        early: list[ForkEntry | MoveEntry] = []
        for operation in operations:
            entry = operation_entry(operation)
            if self.holding.holds(operation) or self._rests.rests(step_of(entry)) or entry in in_flight:
                self.holding.hold(operation)
                continue
            task = self._task(operation, temps, places)
            if task is None:
                continue
            tasks.append(task)
            if isinstance(operation, ForkEntry) or (isinstance(operation, MoveEntry) and operation.intended):
                early.append(operation)
        placed: list[tuple[placing.Placed, str | None]] = [
            (task.operation, task.step.temp if isinstance(task.step, steps.PutFile) else None)
            for task in tasks
            if isinstance(task.operation, MakeDirectory | WriteContent)
        ]
        if early or placed:
            # What a rename is for is recorded before it, so that a crash in between leaves no riddle.
            database, w = self._context.machine.database, self._context.record.w
            with database.transaction():
                placing.note(database, w, self._context.root, placed, self._context.machine.boot)
                for operation in early:
                    if isinstance(operation, MoveEntry):
                        row = trees.local(operation.entry)
                        if row is not None:
                            trees.put_local((replace(row, intended=operation.intended),))
                    else:
                        self._effect(operation, None)
        return tasks

    def _in_flight(self, operations: Sequence[Operation]) -> set[EntryId]:
        """The entries whose base is to be forgotten while a version of theirs is in flight: if that was accepted, what
        is gone here now was deleted after it."""
        forgotten = {one.entry for one in operations if isinstance(one, ForgetEntry)}
        if not forgotten:
            return forgotten
        return forgotten & Outbox(self._context.machine.database, self._context.record.w).entries()

    def _task(
        self, operation: Operation, temps: dict[EntryId, Ready], places: dict[EntryId, Path | None]
    ) -> _Task | None:
        """The step of an operation; None where it cannot be done now."""
        trees = self._context.trees

        def place(parent: EntryId, name: str) -> Path | None:
            if parent not in places:
                places[parent] = trees.path(parent)
            above = places[parent]
            return None if above is None else (*above, name)

        match operation:
            case MakeDirectory():
                path = self._free(operation, place)
                return None if path is None else _Task(operation, steps.MakeDirectory(path), path)
            case WriteContent():
                # A file that is there may be called otherwise on this disk, in another Unicode form.
                path = trees.path(operation.entry) if operation.expected else self._free(operation, place)
                return None if path is None else self._write_task(operation, path, temps.get(operation.entry))
            case MoveEntry() | ForkEntry():
                source = trees.path(operation.entry)
                path = self._free(operation, place)
                if source is None or path is None:
                    self.stale = True
                    return None
                if source == path:  # a file that has the name of a copy already becomes the copy
                    return _Task(operation, None, path)
                return _Task(
                    operation, steps.Move(source, path, self._expected(operation.entry, operation.expected)), path
                )
            case RemoveEntry():
                return self._remove_task(operation)
            case SetAttributes():
                path = trees.path(operation.entry)
                expected = self._expected(operation.entry, operation.expected)
                if path is None or expected is None:
                    self.stale = True
                    return None
                its = operation.attributes
                return _Task(operation, steps.SetAttributes(path, expected, its.executable, its.mtime_ns), path)
            case _:
                return _Task(operation, None, ())

    def _remove_task(self, operation: RemoveEntry) -> _Task | None:
        path = self._context.trees.path(operation.entry)
        expected = self._expected(operation.entry, operation.expected)
        if path is None:
            self.stale = True
            return None
        if operation.kind is Kind.DIRECTORY:
            return _Task(operation, steps.RemoveDirectory(path, self._context.rules.ignores), path)
        if expected is None or self._is_other(operation.entry, expected):
            self.stale = True
            return None
        known = self._acknowledged(operation.entry, expected)
        if operation.kind is Kind.SYMLINK:
            return _Task(operation, steps.RemoveLink(path, expected, known), path)
        hold = self._hold(operation.entry, known)
        return _Task(operation, steps.RemoveFile(path, expected, known, hold), path)

    def _is_here(self, operation: Operation) -> bool:
        """Whether an entry that was to be new has been found since, or is about to be: what it is comes first."""
        if self._context.trees.local(operation.entry) is not None:
            self.stale = True
        elif operation.entry not in self._scanner.reading:
            return False
        self.holding.hold(operation)
        return True

    def _free(
        self,
        operation: MakeDirectory | WriteContent | MoveEntry | ForkEntry,
        place: Callable[[EntryId, str], Path | None],
    ) -> Path | None:
        """Where its name is, if no other entry is known to be there: what did not move away as it was to has to be
        looked for first, or what is put there would be taken for it."""
        entry, parent, name = operation.entry, operation.parent, operation.name
        if isinstance(operation, MakeDirectory | WriteContent) and self._is_here(operation):
            return None
        path = place(parent, name)
        holders = {self._context.trees.local_named(parent, name), self._being_read.get((parent, name))}
        if path is not None and holders - {None, entry}:
            self.stale = True
            self._scanner.look_again(path)
            return None
        return path

    def _write_task(self, operation: WriteContent, path: Path, ready: Ready | None) -> _Task | None:
        context = self._context
        expected = self._expected(operation.entry, operation.expected)
        if expected is not None and self._is_other(operation.entry, expected):
            self.stale = True
            return None
        known = None if expected is None else self._acknowledged(operation.entry, expected, operation.kept_as)
        if ready is not None:
            its = operation.attributes or Attributes(False, 0)
            hold = self._hold(operation.entry, known)
            step = steps.PutFile(path, ready.temp, expected, its.mtime_ns, its.executable, known, hold)
            return _Task(operation, step, path, ready.manifest)
        if operation.kind is not Kind.SYMLINK:
            self.waiting[operation.entry] = self._to_fetch(operation)
            return None
        body = version_body(context.machine.database, context.record.w, operation.version)
        if body is None or body.target is None:
            message = "this version cannot be read: save the link again elsewhere"
            context.problems.put("/".join(path), "bad_change", message)
            return None
        context.contents.put_target(operation.content.digest, body.target)
        target = body.target.decode("utf-8", "surrogateescape")
        return _Task(operation, steps.PutLink(path, target, expected, known), path)

    def _to_fetch(self, operation: WriteContent) -> WriteContent:
        """The same with the version that has the content, where it is that of one before a head that was given up."""
        if self._offers.standing(operation.version) is not Standing.NOT_KEPT:
            return operation
        database, w = self._context.machine.database, self._context.record.w
        found = version_with(database, w, operation.version, operation.content.digest)
        return operation if found is None else replace(operation, version=found[0])

    def _expected(self, entry: EntryId, planned: Fingerprint | None) -> Fingerprint | None:
        return self._touched.get(entry, planned)

    def _is_other(self, entry: EntryId, expected: Fingerprint) -> bool:
        """Whether a scan found something else there since the plan was made."""
        row = self._context.trees.local(entry)
        return row is None or row.fingerprint != expected

    def _acknowledged(self, entry: EntryId, expected: Fingerprint, copy: EntryId | None = None) -> bytes | None:
        """The digest of what is at the entry's path if that is a version in the journal, or the head of its conflicted
        `copy`; None if it may be nobody else's. The scan that found the content found this fingerprint, which the disk
        compares."""
        trees = self._context.trees
        row = trees.local(entry)
        if row is None or row.node.content is None or row.fingerprint != expected:
            return None
        digest = row.node.content.digest
        synced = trees.synced(entry)
        heads = [head for one in (entry, copy) if one is not None and (head := trees.remote(one)) is not None]
        known = [None if synced is None else synced.base.content, *(head.node.content for head in heads)]
        if any(content is not None and content.digest == digest for content in known):
            return digest
        return digest if is_kept(self._context.machine.database, self._context.record.w, entry, digest) else None

    def _hold(self, entry: EntryId, digest: bytes | None) -> str | None:
        """Under which name bytes are kept that are about to be replaced: those of a version that is not durable, or
        that the journal does not have."""
        change = None if digest is None else self._offers.offered_with(digest)
        synced = self._context.trees.synced(entry)
        if change is None and digest is not None and synced is not None and synced.content_base is not None:
            is_base = synced.base.content is not None and synced.base.content.digest == digest
            if is_base and not self._offers.is_version(synced.content_base):
                change = synced.content_base
        return None if change is None else change.hex()

    # --- on disk ----------------------------------------------------------------------------------------

    def _apply(self, tasks: Sequence[_Task]) -> list[steps.StepResult]:
        root = self._context.root
        todo = [task.step for task in tasks if task.step is not None]
        return apply(root, todo) if todo else []

    def _discard(self, unused: Iterable[str]) -> None:
        for temp in sorted(unused):  # a set of names has another order in each process
            discard_temp(self._context.root, temp)

    # --- after: in the database's thread ----------------------------------------------------------------

    def _record(self, tasks: Sequence[_Task], results: Sequence[steps.StepResult]) -> None:
        context, left = self._context, iter(results)
        removing = any(isinstance(task.operation, RemoveEntry) for task in tasks)
        before, removed = context.trees.synced_count() if removing else 0, 0
        staying: set[EntryId] = set()
        with context.machine.database.transaction():
            for task in tasks:
                result = None if task.step is None else next(left)
                if result is None or isinstance(result, steps.Applied):
                    self._done(task, None if result is None else result.fingerprint)
                    removed += isinstance(task.operation, RemoveEntry)
                else:
                    self._refused(task, result)
                    if (
                        isinstance(result, steps.Failed)
                        and result.may_stay
                        and not isinstance(task.step, steps.PutLink)
                    ):
                        staying.add(operation_entry(task.operation))
            context.trees.settle_agreed([operation_entry(task.operation) for task in tasks])
            placing.forget(context.machine.database, context.record.w, staying)
        context.losses.note("local", removed, before)
        context.trees.forget(task.operation.entry for task in tasks if isinstance(task.operation, WriteContent))
        if staying:
            # Until it has its row nothing may be looked at: the next start makes good for it.
            raise OSError(errno.EIO, "what was put in place may not last, and could not be taken back")

    def _done(self, task: _Task, found: Fingerprint | None) -> None:
        operation, context = task.operation, self._context
        if isinstance(operation, MoveEntry):
            self._note_undone(task, operation)
        if not isinstance(operation, ForkEntry) and not self._effect(operation, found):
            if task.step is not None:
                self._scanner.look_again(task.path)
            return
        entry = operation.fork if isinstance(operation, ForkEntry) else operation_entry(operation)
        if task.step is None:
            return
        self._touched[entry] = found
        row = context.trees.local(entry)
        if row is not None and found is not None and row.fingerprint != found:
            context.trees.put_local((replace(row, fingerprint=found),))
        if task.manifest is not None:
            context.contents.put_places(entry, ((ref.chunk, ref.length) for ref in task.manifest.chunks))
        self.waiting.pop(entry, None)
        if self.is_earlier(operation):
            return
        if entry in self._troubles:
            context.problems.clear(*self._troubles.pop(entry))
        context.problems.clear(
            "/".join(task.path), "disk_full", "unreadable", "busy_file", "waiting_for_blocks", "damaged_block"
        )

    def is_earlier(self, operation: Operation) -> bool:
        """Whether it puts an earlier content in place, so that the journal's is still waited for. In any thread."""
        if not isinstance(operation, WriteContent):
            return False
        row = self._context.trees.remote(operation.entry)
        return row is not None and row.node.content != operation.content

    def _note_undone(self, task: _Task, operation: MoveEntry) -> None:
        """Where somebody here had moved what is moved now, that is undone: it is said in the log."""
        context = self._context
        row, synced = context.trees.local(operation.entry), context.trees.synced(operation.entry)
        if row is None or synced is None or operation.intended or row.intended or is_conflict_name(operation.name):
            return
        here, base = (row.node.parent, row.node.name), (synced.base.parent, synced.base.name)
        source = task.step.source if isinstance(task.step, steps.Move) else task.path
        if here == base or source == task.path:
            return
        add_note(
            context.machine.database,
            context.record.w,
            context.machine.clock.wall_ns() // 1_000_000,
            "move_undone",
            path_text(task.path),
            f"it was moved to {path_text(source)} here, and others had moved things before",
        )

    def _effect(self, operation: Operation, found: Fingerprint | None) -> bool:
        """The operation's effect on the rows; False where it has none, as they are not as planned any more.

        The disk has checked the preimage, or is about to.
        """
        trees = self._context.trees
        if isinstance(operation, WriteContent | MoveEntry | RemoveEntry | SetAttributes | ForkEntry):
            row = trees.local(operation.entry)
            if row is not None:
                operation = replace(operation, expected=row.fingerprint)
        try:
            effects.apply(trees, operation, found or _NOBODY)
            if isinstance(operation, AdoptEntry):
                self._scanner.adopted(operation.local, operation.entry)
        except effects.Refuted:
            self.stale = True
            return False
        return True

    def _refused(self, task: _Task, result: steps.StepResult) -> None:
        """A step was not done: look there again and plan anew, or leave it for a while."""
        scanner = self._scanner
        match result:
            case steps.Failed(code, message):
                self._rests.rest(step_of(operation_entry(task.operation)), DISK_S)
                self.holding.hold(task.operation)
                again = f"it is tried again every {DISK_S:.0f} seconds"
                advice = f"free some space, {again}" if code == "disk_full" else again
                code = "unreadable" if code == "io_error" else code
                self.trouble(operation_entry(task.operation), task.path, code, f"{message}; {advice}")
                if isinstance(task.operation, ForkEntry) and isinstance(task.step, steps.Move):
                    # The copy's row is where its file was to be by now.
                    scanner.notice(Changed({}, moved=(Renamed(task.path, task.step.source, False),)))
            case steps.NotEmpty():
                self.stale = True
                scanner.rescan(task.path)
            case _:
                self.stale = True
                scanner.look_again(task.path)
        if isinstance(task.step, steps.Move):
            scanner.look_again(task.step.source)


def _unused(
    operations: Sequence[Operation],
    temps: dict[EntryId, Ready],
    tasks: Sequence[_Task],
    results: Sequence[steps.StepResult],
) -> set[str]:
    """The temporary files of these operations that were not put in place."""
    unused = {temps[one.entry].temp for one in operations if one.entry in temps}
    todo = [task.step for task in tasks if task.step is not None]
    for step, result in zip(todo, results, strict=True):
        if isinstance(step, steps.PutFile) and isinstance(result, steps.Applied):
            unused.discard(step.temp)
    return unused


def step_of(entry: EntryId) -> tuple[str, EntryId]:
    """The rest of an entry after the disk refused a step on it."""
    return ("step", entry)


def operation_entry(operation: Operation) -> EntryId:
    """The entry that an operation is about."""
    return operation.entry
