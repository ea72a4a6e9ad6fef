"""What goes on after an error of the disk or the database, a refusal, or the commits of another copy of a home."""

import errno
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
import trio

from peer.disk.private import open_new_root
from peer.disk.real import LinuxFilesystem
from peer.disk.root import Root
from peer.engine import placing
from peer.engine.context import Context, Identity, Machine, Signal
from peer.engine.feed import BeginAnew, Feed, Pulled
from peer.engine.folders import SystemFolders
from peer.engine.limiting import Limiting
from peer.engine.mounted import FAILED_S, MountedWorkspace
from peer.engine.problems import Problems
from peer.engine.workspace import WorkspaceEngine
from peer.home import Home
from peer.link.chain import judge_received
from peer.link.coordinator import CoordinatorClient
from peer.link.network import TrioNetwork
from peer.machine import SystemEntropy, ThreadOffload
from peer.planner.operations import WriteContent
from peer.planner.trees import Attributes, Content
from peer.ports import Filesystem
from peer.scan.watcher import InotifyWatching
from peer.store import workspaces
from peer.store.contents import ContentStore
from peer.store.database import Database, open_database
from peer.store.journal import JournalState
from peer.transfer.counters import TransferCounters
from protocol.ids import ROOT, ChangeId
from protocol.messages import JournalPage, JournalRequest, Refusal, RefusalCode
from protocol.model import JournalRow, Kind
from tests.common.disks import MTIME_NS, hooked, make_temp
from tests.common.journals import TestJournal, TestUser, entry_id, seed
from tests.unit.peer.engine.clocks import SetClock
from tests.unit.peer.store.test_taking_rows import KEYRING, Store


@pytest.fixture
def database() -> Iterator[Database]:
    with open_database(None) as opened:
        yield opened


# --- the disk and the database ------------------------------------------------------------------------


class Bench:
    """A folder that belongs to a workspace, on a machine whose coordinator cannot be reached."""

    def __init__(self, database: Database, folder: Path, filesystem: Filesystem | None = None) -> None:
        user, filesystem = TestUser("ana"), filesystem or LinuxFilesystem()
        journal, device = TestJournal(user), user.devices[0]
        entropy, disk_work = SystemEntropy(), ThreadOffload(2)
        self.clock = SetClock(1_000.0)
        self.folder = folder
        record = workspaces.add(database, journal.id, "work", KEYRING, journal.commits[0])
        with open_new_root(filesystem, entropy, str(folder), journal.id) as (_, marker):
            workspaces.set_mounted(database, record.w, str(folder), marker)
        client = CoordinatorClient(
            addresses=(),
            identity=bytes(32),
            keys=device.secret,
            network=TrioNetwork(),
            clock=self.clock,
            entropy=entropy,
        )
        machine = Machine(
            clock=self.clock,
            entropy=entropy,
            database_work=ThreadOffload(1),
            disk_work=disk_work,
            compute=ThreadOffload(1),
            watching=InotifyWatching(filesystem, disk_work),
            client=client,
            database=database,
            counters=TransferCounters(),
            folders=SystemFolders(),
            limiting=Limiting(Home(folder.parent / "home"), self.clock),
            boot="a run of the system",
        )
        self._changed = trio.Event()
        self.mounted = MountedWorkspace(
            machine,
            Identity(device.id, device.name, user.id, device.secret),
            workspaces.reread(database, record),
            filesystem,
            lambda: judge_received(tuple(user.links)),
            self._note,
        )

    def _note(self) -> None:
        self._changed.set()
        self._changed = trio.Event()

    async def wait_engine(self, there: bool) -> WorkspaceEngine | None:
        """Until an engine has begun, or there is none."""
        with trio.fail_after(60):
            while True:
                engine = self.mounted.engine
                if (engine is not None and engine.begun.is_set()) if there else engine is None:
                    return engine
                await self._changed.wait()


async def test_a_database_that_fails_ends_the_engine_and_another_goes_on(database: Database, tmp_path: Path) -> None:
    bench = Bench(database, tmp_path)
    (tmp_path / "file").write_bytes(b"file")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(bench.mounted.run)
        first = await bench.wait_engine(there=True)
        assert first is not None
        with database.transaction():
            database.run("ALTER TABLE local RENAME TO elsewhere")
        first.look_anew()
        await bench.wait_engine(there=False)
        assert bench.mounted.problems.has("unreadable")
        with database.transaction():
            database.run("ALTER TABLE elsewhere RENAME TO local")
        bench.clock.advance(FAILED_S)
        assert await bench.wait_engine(there=True) is not first
        assert not bench.mounted.problems.all()
        bench.mounted.scope.cancel()


async def test_a_folder_that_cannot_be_used_is_tried_again(database: Database, tmp_path: Path) -> None:
    bench = Bench(database, tmp_path)
    lock = tmp_path / ".shoal" / "lock"
    lock.mkdir()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(bench.mounted.run)
        with trio.fail_after(60):
            await bench.mounted.begun.wait()
        assert bench.mounted.engine is None
        assert bench.mounted.problems.has("unreadable")
        lock.rmdir()
        bench.clock.advance(FAILED_S)
        await bench.wait_engine(there=True)
        assert not bench.mounted.problems.all()
        bench.mounted.scope.cancel()


async def test_what_was_not_in_place_is_known_before_the_private_directory_is_cleared(
    database: Database, tmp_path: Path
) -> None:
    calls: list[str] = []

    def refuse(number: int, name: str, arguments: tuple[object, ...]) -> None:
        calls.append(name)
        if calls[-2:] == ["unlink", "list_names"]:
            raise OSError(errno.EIO, "no")

    bench = Bench(database, tmp_path, hooked(refuse))
    content, marks = Content(seed("digest"), 5), Attributes(False, MTIME_NS)
    put = WriteContent(entry_id("f"), ROOT, "f", Kind.FILE, ChangeId(seed("v")), content, marks, None, None)
    with bench.mounted.open_beside() as root, database.transaction():
        name = make_temp(root, b"never")
        placing.note(database, bench.mounted.record.w, root, [(put, name)], "a run of the system")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(bench.mounted.run)
        with trio.fail_after(60):
            await bench.mounted.begun.wait()
        assert bench.mounted.problems.has("unreadable")
        assert not (tmp_path / ".shoal" / "tmp" / name).exists()
        assert database.one("SELECT count(*) FROM placing") == (0,), "the next start would take it for deleted"
        bench.mounted.scope.cancel()


# --- what the coordinator says ------------------------------------------------------------------------


class Answering:
    """Answers in the order given."""

    def __init__(self, *replies: JournalPage | Refusal) -> None:
        self._replies = list(replies)

    async def request(self, request: JournalRequest) -> JournalPage | Refusal:
        await trio.lowlevel.checkpoint()
        return self._replies.pop(0)


def feed_of(store: Store, *replies: JournalPage | Refusal, own: bool = True) -> Feed:
    clock = SetClock(1_000.0)
    machine = SimpleNamespace(
        database=store.database, database_work=ThreadOffload(1), clock=clock, client=Answering(*replies)
    )
    device, owner = store.device, store.user if own else TestUser("eve")
    record = workspaces.record(store.database, store.journal.id)
    assert record is not None
    context = Context(
        machine=cast(Machine, machine),
        identity=Identity(device.id, device.name, owner.id, device.secret),
        record=record,
        root=cast(Root, None),
        trees=store.trees,
        journal=JournalState(store.database, store.w),
        contents=ContentStore(store.database, store.w),
        signal=Signal(),
        changed=lambda: None,
        problems=Problems(clock),
    )
    return Feed(context)


def page(store: Store, rows: list[JournalRow]) -> JournalPage:
    return JournalPage(tuple(rows), len(store.journal.commits), store.journal.log_hashes[-1])


@pytest.mark.parametrize("code", [RefusalCode.NOT_FOUND, RefusalCode.OLD_CLIENT])
async def test_a_refusal_is_over_when_the_coordinator_answers_again(database: Database, code: RefusalCode) -> None:
    store = Store(database)
    feed = feed_of(store, Refusal(code, "no"), page(store, store.rows()), own=False)
    problem = {RefusalCode.NOT_FOUND: "access_removed", RefusalCode.OLD_CLIENT: "old_client"}[code]
    assert await feed.pull() is not Pulled.AT_HEAD
    assert feed._context.problems.has(problem)
    assert await feed.pull() is Pulled.AT_HEAD
    assert not feed._context.problems.all()


async def test_commits_of_this_device_that_this_home_did_not_make_are_told(database: Database) -> None:
    store = Store(database)
    store.journal.put(store.device, store.link("a"))
    first, second = store.rows()
    with database.transaction():
        database.run("UPDATE workspaces SET last_signed = 2")
    feed = feed_of(store, page(store, [first, second]))
    assert await feed.pull() is Pulled.AT_HEAD
    with database.transaction():
        database.run(
            "INSERT INTO synced SELECT w, entry, parent, name, kind, digest, size, mtime_ns, executable, 0, "
            "NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL FROM remote"
        )
    store.journal.put(store.device, store.link("b"))
    row = store.row(2)
    feed = feed_of(store, page(store, [row]))
    with pytest.raises(BeginAnew):
        await feed.pull()
    assert database.one("SELECT last_signed FROM workspaces") == (3,)
    assert JournalState(database, store.w).workspace.seq == 3
