"""What every store of the judge's state promises: the answers that the reference in memory gives, after every commit.

A store that answers otherwise would take a commit that others refuse, and split the journal.
"""

from collections.abc import Iterator
from itertools import product

from coordinator.ports import Transaction
from coordinator.service.judging import JournalView
from crypto.keyring import WorkspaceKeyring
from peer.store import workspaces
from peer.store.database import open_database
from peer.store.journal import JournalState, take_rows
from peer.store.trees import TreeStore
from protocol.ids import NO_LOG, ROOT, DeviceId, LogHash, UserId
from protocol.model import Commit, JournalRow
from protocol.rules import Delta, judge
from protocol.state import MemoryState
from protocol.view import StateView
from tests.common.coordination import open_coordination, session_of
from tests.common.journals import (
    CHUNKER,
    HASHES,
    TestJournal,
    TestUser,
    entry_id,
    genesis_of,
    key_of,
    make_device,
    other_head,
    seed,
)
from tests.properties.test_judge import DIRECTORIES, FILES, NAMES, START, change_of, draft_of

COMMITS = 60


def history(ana: TestUser) -> Iterator[tuple[Commit, Delta, TestJournal]]:
    """A journal that grows by legal commits of three devices, one of which comes late; the same every time."""
    journal = TestJournal(ana)
    versions: dict[object, list[object]] = {}
    late = ana.pair("late")
    devices = [*ana.devices]

    def accepted(commit: Commit) -> Iterator[tuple[Commit, Delta, TestJournal]]:
        verdict = journal.judge(commit)
        if isinstance(verdict, Delta):
            journal.accept(commit)
            for entry, version in verdict.entries:
                versions.setdefault(entry, []).append(version.head)
            yield commit, verdict, journal

    genesis = judge(MemoryState(), journal.commits[0], HASHES)
    assert isinstance(genesis, Delta)
    yield journal.commits[0], genesis, journal
    yield from accepted(journal.commit(devices[0], *(change_of(draft, journal, {}) for draft in START)))
    yield from accepted(journal.add_device(ana, late))
    number = 0
    while len(journal.commits) < COMMITS:
        number += 1
        drawn = int.from_bytes(seed("draft", number)[:6], "big")
        drafts = [draft_of(drawn >> shift) for shift in (0, 16)[: 1 + drawn % 2]]
        changes = [change_of(draft, journal, versions) for draft in drafts]  # type: ignore[arg-type]
        yield from accepted(journal.commit(devices[drawn % len(devices)], *changes))


def answers(view: StateView, journal: TestJournal, ana: TestUser) -> list[object]:
    """Everything that the judge could ask."""
    entries = [entry_id(label) for label in (*DIRECTORIES, *FILES, "missing")]
    places = [(parent, key_of(parent, name)) for parent, name in product([ROOT, *entries[: len(DIRECTORIES)]], NAMES)]
    devices = [*(device.id for device in ana.devices), DeviceId(make_device("stranger").id)]
    seqs = range(len(journal.commits) + 2)
    heads = [LogHash(NO_LOG), *journal.log_hashes]
    return [
        view.workspace,
        [view.entry(entry) for entry in entries],
        [sorted(view.children(*place)) for place in places],
        [view.device(device) for device in devices],
        sorted(view.devices()),
        [view.role(user) for user in (ana.id, UserId(bytes(16)))],
        [view.chain(user) for user in (ana.id, UserId(bytes(16)))],
        [view.head_known(seq, heads[seq]) for seq in seqs[1:-1]],
        [view.head_known(seq, other_head()) for seq in seqs[1:]],
        [sorted(view.entries_since(seq), key=lambda found: found[0]) for seq in seqs],
        [view.accepted(digest) for digest in journal.state.digests()],
        view.accepted(next(iter(journal.state.digests()))[::-1]),  # type: ignore[arg-type]
    ]


async def test_the_coordinators_store_answers_as_the_reference_does() -> None:
    ana = TestUser("ana")
    ana.pair("phone")
    async with open_coordination(None) as coordination:
        known = False
        for commit, _, journal in history(ana):
            if not known:
                await coordination.know(ana)
                known = True
            device = next(device for device in ana.devices if device.id == commit.header.device)
            await coordination.accept(session_of(ana, device), commit)

            def read(transaction: Transaction, journal: TestJournal = journal) -> list[object]:
                workspace = transaction.journals.workspace(journal.id)
                return answers(JournalView(transaction, workspace), journal, ana)

            assert await coordination.metadata.read(read) == answers(journal.state, journal, ana)


def test_a_devices_store_answers_as_the_reference_does() -> None:
    ana = TestUser("ana")
    ana.pair("phone")
    keyring = WorkspaceKeyring(genesis_of(ana).salt, seed("fixed"), {1: seed("epoch 1")})
    with open_database(None) as database:
        state, trees, expected = None, None, list[object]()
        for commit, delta, journal in history(ana):
            if state is None or trees is None:
                record = workspaces.add(database, journal.id, "Docs", keyring, commit)
                state, trees = JournalState(database, record.w), TreeStore(database, record.w)
            row = JournalRow(delta.workspace.seq, delta.workspace.log_hash, 0, commit)
            taken = take_rows(database, state, trees, keyring, CHUNKER, [row])
            assert taken.invalid is None
            expected = answers(journal.state, journal, ana)
            assert answers(state, journal, ana) == expected
        assert state is not None
        assert expected
        assert answers(JournalState(database, state.w), journal, ana) == expected
