"""A workspace that belongs to a folder here. Owns opening the folder, looking for it where it is gone, and running the
engine while it is there."""

import errno
import logging
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import trio

from peer.disk.private import inodes_inside, open_root, recover
from peer.disk.root import Root
from peer.engine import epochs, placing
from peer.engine.ages import Ages, Verdict
from peer.engine.committing import Chains
from peer.engine.context import Context, Identity, Machine, Signal
from peer.engine.feed import BeginAnew
from peer.engine.problems import Problems
from peer.engine.scanning import RootTrouble, root_trouble
from peer.engine.workspace import RootLost, WorkspaceEngine
from peer.ports import Filesystem
from peer.store import workspaces
from peer.store.contents import ContentStore
from peer.store.journal import JournalState
from peer.store.trees import TreeStore
from peer.store.workspaces import Record
from protocol.ids import LogHash
from protocol.messages import Poke

LOOK_S: Final = 2.0
"""How often a folder that is gone is looked for."""
FAILED_S: Final = 10.0
"""How long a workspace rests after the disk or the local database failed it."""
_NO_SPACE: Final = (errno.ENOSPC, errno.EDQUOT)

_log = logging.getLogger("shoal.engine")


AGE_S: Final = 60.0
"""How often home and folder note that they belong together."""
AGAIN_MS: Final = 24 * 3600 * 1000
"""A home that turns out to be an old one twice within this time is one of two that are at work."""
CLONED: Final = (
    "another copy of this device's home is at work: stop the one, join anew in a fresh home and mount the folder there"
)
HINDRANCES: Final = ("root_missing", "root_replaced", "disk_full", "unreadable")
"""Problems of a whole workspace for which no engine runs."""


@dataclass(frozen=True, slots=True)
class Tally:
    """What there is in the journal's tree at one head, with so many versions given up; counted once for each."""

    head: LogHash
    given_up: int
    entries: int
    bytes: int
    conflicts: int


class MountedWorkspace:
    """One mounted workspace for as long as it stays mounted. `run` until cancelled."""

    def __init__(
        self,
        machine: Machine,
        identity: Identity,
        record: Record,
        filesystem: Filesystem,
        chain: Chains,
        changed: Callable[[], None],
    ) -> None:
        self._machine = machine
        self._identity = identity
        self._filesystem = filesystem
        self._chain = chain
        self._changed = changed
        self.record = record
        self.problems = Problems(machine.clock)
        self.engine: WorkspaceEngine | None = None
        self.tally: Tally | None = None
        self.begun = trio.Event()
        """Set once syncing has begun, or turned out not to be possible; the problems say which."""
        self.ended = trio.Event()
        self.scope = trio.CancelScope()
        self._round = trio.CancelScope()
        self._round_ended = trio.Event()
        self._is_old = False
        if record.stopped is not None:
            code, _, message = record.stopped.partition("\n")
            self.problems.put("", code, message)

    def wake(self, poke: Poke | None = None) -> None:
        """The journal may have moved."""
        if self.engine is not None:
            self.engine.wake(poke)

    async def run(self) -> None:
        """Open the folder and keep it in step; look for it again where it is gone."""
        try:
            with self.scope:
                while True:
                    wait_s = 0.0
                    with trio.CancelScope() as self._round:
                        wait_s = await self._run_round()
                    self.engine = None
                    self._round_ended.set()
                    self._round_ended = trio.Event()
                    self._changed()
                    await self._machine.clock.sleep(wait_s)
        finally:
            self.begun.set()
            self.ended.set()

    async def _run_round(self) -> float:
        """Run until the folder or the disk fails; for how long to rest then."""
        wait_s = LOOK_S
        try:
            if self._is_old:
                self.record = await self._machine.database_work.run(self._begin_anew)
                self._is_old = False
            await self._run_open()
        except* RootLost as lost:
            trouble = _first(lost)
            self.problems.put("", trouble.code, trouble.message)
        except* BeginAnew:
            self._is_old, wait_s = True, 0.0
        except* (OSError, sqlite3.OperationalError) as failed:
            # Rows that were not written may have been counted on: all is read anew by another engine.
            code, message = _judge(_first_of(failed))
            _log.warning("workspace %s: %s", self.record.workspace.hex()[:8], message)
            self.problems.put("", code, message)
            wait_s = FAILED_S
        self.begun.set()
        return wait_s

    async def set_paused(self, paused: bool) -> None:
        """Pause, or go on, with another engine; when this returns nothing is under way that should not be."""
        self.record = replace(self.record, paused=paused)
        if self.engine is not None and self.engine.context.record.paused != paused:
            ended = self._round_ended
            self._round.cancel()
            await ended.wait()

    @contextmanager
    def open_beside(self) -> Iterator[Root]:
        """The folder opened once more, to read in it beside the engine. Raises `RootLost`."""
        record = self.record
        assert record.folder is not None
        assert record.marker is not None
        with open_root(self._filesystem, self._machine.entropy, record.folder, record.marker) as root:
            if not isinstance(root, Root):
                raise RootLost(root_trouble(root, record.folder))
            yield root

    def _begin_anew(self) -> Record:
        """This home is an old copy: what it knew of the folder is forgotten; the second time it stops."""
        database, record = self._machine.database, self.record
        now_ms = self._machine.clock.wall_ns() // 1_000_000
        if record.began_anew_ms and now_ms - record.began_anew_ms < AGAIN_MS:
            workspaces.set_stopped(database, record.w, "cloned_home", CLONED)
            self.problems.put("", "cloned_home", CLONED)
        else:
            _log.warning("workspace %s: this home is older than the journal", record.workspace.hex()[:8])
            workspaces.begin_anew(database, record.w, now_ms)
        return workspaces.reread(database, record)

    async def _run_open(self) -> None:
        machine, record = self._machine, self.record
        assert record.folder is not None
        assert record.marker is not None
        with open_root(self._filesystem, machine.entropy, record.folder, record.marker) as root:
            if not isinstance(root, Root):
                raise RootLost(root_trouble(root, record.folder))
            with self._locked(Path(record.folder)):
                await self._check_ages(root)
                unplaced = await machine.disk_work.run(inodes_inside, root)
                engine = await machine.database_work.run(self._make_engine, root, unplaced)
                await machine.disk_work.run(recover, root)
                self.problems.clear("", *HINDRANCES)
                self.engine = engine
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(self._tell_begun, engine)
                    nursery.start_soon(self._grow_older, engine, root)
                    await engine.run()

    @contextmanager
    def _locked(self, folder: Path) -> Iterator[None]:
        """Raises `RootLost` where another home has the folder."""
        with ExitStack() as stack:
            try:
                stack.enter_context(self._machine.folders.lock(folder))
            except BlockingIOError:
                raise RootLost(
                    RootTrouble("unreadable", f"{folder} is being synced by another home: unmount it there")
                ) from None
            yield

    async def _check_ages(self, root: Root) -> None:
        """Raises `RootLost` where the folder is an older copy than this home knows; an older home begins anew."""
        database_work, ages = self._machine.database_work, Ages(self._machine.database, self.record.w, root)
        match await database_work.run(ages.judge):
            case Verdict.OLD_FOLDER:
                raise RootLost(
                    RootTrouble(
                        "root_replaced",
                        f"{root.path} is an older copy of what was synced (a backup?): put the newer one back, or "
                        "`shoal confirm` to take this one: what it lacks comes back, nothing is deleted",
                    )
                )
            case Verdict.OLD_HOME:
                _log.warning("workspace %s: this home is older than its folder", self.record.workspace.hex()[:8])
                await database_work.run(workspaces.begin_anew, self._machine.database, self.record.w, None)
            case Verdict.TOGETHER:
                pass
        await database_work.run(ages.grow)

    async def _grow_older(self, engine: WorkspaceEngine, root: Root) -> None:
        """Note now and then that home and folder belong together, where something happened in between."""
        ages, noted = Ages(self._machine.database, self.record.w, root), -1
        while True:
            await self._machine.clock.sleep(AGE_S)
            seq = engine.context.journal.verified.seq
            if seq != noted:
                await self._machine.database_work.run(ages.grow)
                noted = seq

    async def _tell_begun(self, engine: WorkspaceEngine) -> None:
        await engine.begun.wait()
        self.begun.set()

    def _make_engine(self, root: Root, unplaced: frozenset[tuple[int, int]]) -> WorkspaceEngine:
        database, w = self._machine.database, self.record.w
        self.record = workspaces.reread(database, self.record)
        journal = JournalState(database, w)
        context = Context(
            machine=self._machine,
            identity=self._identity,
            record=epochs.take_up(database, journal, self.record, self._identity.boxes),
            root=root,
            trees=TreeStore(database, w),
            journal=journal,
            contents=ContentStore(database, w),
            signal=Signal(),
            changed=self._changed,
            problems=self.problems,
        )
        placing.make_good(database, w, root, context.trees, unplaced, self._machine.boot)
        return WorkspaceEngine(context, self._chain)


def _first(group: BaseExceptionGroup[RootLost]) -> RootTrouble:
    error = _first_of(group)
    assert isinstance(error, RootLost)
    return error.trouble


def _first_of(group: BaseExceptionGroup[BaseException]) -> BaseException:
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def _judge(error: BaseException) -> tuple[str, str]:
    """The problem's code, and what to say of it."""
    again = f"it is tried again every {FAILED_S:.0f} seconds"
    full = isinstance(error, OSError) and error.errno in _NO_SPACE
    if full or getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL:
        return "disk_full", f"there is no space left ({error}): free some; {again}"
    return "unreadable", f"the disk or the local database failed ({error}): {again}"
