"""What is put in place is nothing that has turned up elsewhere since the plan was made. A copy that the disk refused to
make is still the file that it was to be made of."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from peer.disk.private import open_new_root
from peer.engine.context import Context, Identity, Machine, Signal
from peer.engine.executor import Executor
from peer.engine.problems import Problems
from peer.engine.rests import Rests
from peer.engine.scanning import Scanner
from peer.fingerprint import DiskKind, Fingerprint
from peer.machine import SystemEntropy, ThreadOffload
from peer.planner.operations import Agreed, ForgetEntry, ForkEntry, MakeDirectory, ProposeChange
from peer.planner.trees import Attributes, Content, LocalNode, Node, SyncedNode
from peer.ports import Filesystem
from peer.scan.findings import Found
from peer.scan.identity import Assigned
from peer.store import workspaces
from peer.store.contents import ContentStore
from peer.store.database import open_database
from peer.store.journal import JournalState, change_id
from peer.store.outbox import Outbox
from peer.store.trees import TreeStore
from protocol.ids import ROOT
from protocol.model import Genesis, Kind
from protocol.rules import digest_of
from tests.common.disks import fingerprint as fingerprint_of
from tests.common.disks import hooked
from tests.common.journals import HASHES, TestJournal, TestUser, entry_id, seed
from tests.unit.peer.engine.clocks import SetClock
from tests.unit.peer.store.test_taking_rows import KEYRING

ENTRY = entry_id("d")
NEW = MakeDirectory(ENTRY, ROOT, "new", None)


@pytest.fixture
def refused() -> set[str]:
    """Names for which the disk has no room."""
    return set()


@pytest.fixture
def context(tmp_path: Path, refused: set[str]) -> Iterator[Context]:
    def refuse(number: int, call: str, arguments: tuple[object, ...]) -> None:
        if call == "rename_new" and refused.intersection(one for one in arguments if isinstance(one, str)):
            raise OSError(errno.ENOSPC, "no room")

    with opened(hooked(refuse), str(tmp_path)) as context:
        yield context


@contextmanager
def opened(filesystem: Filesystem, folder: str) -> Iterator[Context]:
    journal, clock, entropy = TestJournal(TestUser("ana")), SetClock(1_000_000.0), SystemEntropy()
    genesis = journal.commits[0]
    assert isinstance(genesis.body, Genesis)
    with (
        open_database(None) as database,
        open_new_root(filesystem, entropy, folder, journal.id) as (root, marker),
    ):
        record = replace(workspaces.add(database, journal.id, "work", KEYRING, genesis), marker=marker)
        pools = {name: ThreadOffload(1) for name in ("database_work", "disk_work")}
        machine = SimpleNamespace(database=database, clock=clock, entropy=entropy, boot="a run of the system", **pools)
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


async def look(context: Context, scanner: Scanner) -> None:
    """Look at all that is to be looked at, when it is due."""
    clock = cast(SetClock, context.machine.clock)
    while (due_s := scanner.notices.next_due_s()) is not None:
        clock.wall_s = max(clock.wall_s, due_s)
        await scanner.scan()


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


@pytest.mark.parametrize("is_looked_for", [False, True])
async def test_a_copy_that_the_disk_refused_is_found_where_its_file_still_is(
    context: Context, tmp_path: Path, refused: set[str], is_looked_for: bool
) -> None:
    executor, scanner = at_work(context)
    (tmp_path / "plan").write_bytes(b"mine")
    found = fingerprint_of(context.root, ("plan",))
    node = Node(ENTRY, Kind.FILE, ROOT, "plan", Content(seed("mine"), 4), Attributes(False, found.mtime_ns))
    with context.machine.database.transaction():
        context.trees.put_local([LocalNode(node, "plan", found)])
    for _ in range(3):
        scanner.look_again(("plan",))  # so restless that it would be looked at late by itself
        await look(context, scanner)
    refused.add("plan (mine)")
    copy = entry_id("copy")
    await executor.run_wave([ForkEntry(ENTRY, copy, ROOT, "plan (mine)", (ENTRY, None), found, None)])
    if is_looked_for:  # where it was to be, and nothing is: that is not its deletion
        scanner.look_again(("plan (mine)",))
    await look(context, scanner)
    row = context.trees.local(copy)
    assert row is not None
    assert (row.node.parent, row.node.name) == (ROOT, "plan")
    assert list(context.trees.local_children(ROOT)) == [copy]


async def test_what_went_while_a_version_of_it_was_in_flight_was_deleted_after_that(context: Context) -> None:
    executor, _ = at_work(context)
    database, trees = context.machine.database, context.trees
    user = TestUser("ana")
    journal = TestJournal(user)
    change = journal.change("d")
    commit = journal.commit(user.devices[0], change)
    old = Node(ENTRY, Kind.FILE, ROOT, "plan", Content(seed("old"), 3), Attributes(False, 1))
    sent = replace(old, content=Content(seed("sent"), 4))
    version = change_id(journal.id, change)
    proposal = ProposeChange(ENTRY, None, sent, None, None, None, Agreed(None, sent.content, version, None))
    outbox, digest = Outbox(database, context.record.w), digest_of(commit, HASHES)
    with database.transaction():
        trees.put_synced([SyncedNode(old, None, None)])
        outbox.put(2, digest, commit, [proposal], [version])
    await executor.run_wave([ForgetEntry(ENTRY)])
    assert not executor.holding.is_empty
    with database.transaction():
        outbox.accepted(trees, digest)
    row = trees.synced(ENTRY)
    assert row is not None
    assert (row.base.content, row.content_base) == (sent.content, version)
    executor.begin()
    await executor.run_wave([ForgetEntry(ENTRY)])
    assert trees.synced(ENTRY) is None


def test_temporary_files_that_nobody_needs_go_in_the_order_of_their_names(tmp_path: Path) -> None:
    """In any other the same history would not be the same in another process."""
    gone: list[object] = []

    def note(number: int, call: str, arguments: tuple[object, ...]) -> None:
        if call == "unlink":
            gone.append(arguments[1])

    with opened(hooked(note), str(tmp_path)) as context:
        executor, _ = at_work(context)
        gone.clear()
        executor._discard({f"{number:024x}" for number in range(50)})
    assert gone == [f"{number:024x}" for number in range(50)]
