"""What is put in place is nothing that has turned up elsewhere since the plan was made."""

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from peer.disk.private import open_new_root
from peer.disk.real import LinuxFilesystem
from peer.engine.context import Context, Identity, Machine, Signal
from peer.engine.executor import Executor
from peer.engine.problems import Problems
from peer.engine.rests import Rests
from peer.engine.scanning import Scanner
from peer.fingerprint import DiskKind, Fingerprint
from peer.machine import SystemClock, SystemEntropy, ThreadOffload
from peer.planner.operations import MakeDirectory
from peer.planner.trees import LocalNode, Node
from peer.scan.findings import Found
from peer.scan.identity import Assigned
from peer.store import workspaces
from peer.store.contents import ContentStore
from peer.store.database import open_database
from peer.store.journal import JournalState
from peer.store.trees import TreeStore
from protocol.ids import ROOT
from protocol.model import Genesis, Kind
from tests.common.journals import TestJournal, TestUser, entry_id
from tests.unit.peer.store.test_taking_rows import KEYRING

ENTRY = entry_id("d")
NEW = MakeDirectory(ENTRY, ROOT, "new", None)


@pytest.fixture
def context(tmp_path: Path) -> Iterator[Context]:
    journal, clock, entropy = TestJournal(TestUser("ana")), SystemClock(), SystemEntropy()
    genesis = journal.commits[0]
    assert isinstance(genesis.body, Genesis)
    with (
        open_database(None) as database,
        open_new_root(LinuxFilesystem(), entropy, str(tmp_path), journal.id) as (root, _),
    ):
        record = workspaces.add(database, journal.id, "work", KEYRING, genesis)
        pools = {name: ThreadOffload(1) for name in ("database_work", "disk_work")}
        machine = SimpleNamespace(database=database, clock=clock, entropy=entropy, boot="", **pools)
        yield Context(
            machine=cast(Machine, machine),
            identity=cast(Identity, None),
            record=record,
            root=root,
            trees=TreeStore(database, record.w),
            journal=JournalState(database, record.w),
            contents=ContentStore(database, record.w),
            signal=Signal(),
            changed=lambda: None,
            problems=Problems(clock),
        )


def at_work(context: Context) -> tuple[Executor, Scanner]:
    scanner = Scanner(context)
    executor = Executor(context, scanner, Rests(context.machine.clock))
    executor.begin()
    return executor, scanner


async def test_what_is_nowhere_is_put_in_place(context: Context, tmp_path: Path) -> None:
    executor, _ = at_work(context)
    await executor.run_wave([NEW])
    assert (tmp_path / "new").is_dir()
    assert context.trees.local_named(ROOT, "new") == ENTRY
    assert not executor.stale


async def test_what_has_turned_up_elsewhere_is_not_put_in_place_too(context: Context, tmp_path: Path) -> None:
    executor, _ = at_work(context)
    row = LocalNode(Node(ENTRY, Kind.DIRECTORY, ROOT, "elsewhere", None, None), "elsewhere", None)
    with context.machine.database.transaction():
        context.trees.put_local([row])
    await executor.run_wave([NEW])
    assert not (tmp_path / "new").exists()
    assert context.trees.local(ENTRY) == row
    assert executor.stale


async def test_what_is_being_read_elsewhere_is_waited_for(context: Context, tmp_path: Path) -> None:
    executor, scanner = at_work(context)
    found = Found(("elsewhere",), DiskKind.FILE, Fingerprint(1, 2, 3, 4, 5, False))
    scanner.reading[ENTRY] = Assigned(ENTRY, ROOT, "elsewhere", found, "path")
    await executor.run_wave([NEW])
    assert not (tmp_path / "new").exists()
    assert not executor.holding.is_empty
    assert not executor.stale
