"""What the coordinator says is not enough: what is counted as accepted, and who is counted as having the keys."""

from collections.abc import Iterator
from types import SimpleNamespace
from typing import cast

import pytest

from crypto.keyring import WorkspaceKeyring
from peer.disk.root import Root
from peer.engine.context import Context, Identity, Machine, Signal
from peer.engine.moving import Mover
from peer.engine.people import load_chain
from peer.engine.problems import Problems
from peer.engine.proposing import Outcome, Proposer, Sent
from peer.machine import SystemClock, ThreadOffload
from peer.planner.operations import Agreed, ProposeChange
from peer.planner.trees import Node
from peer.store import schema, workspaces
from peer.store.contents import ContentStore
from peer.store.database import Database, StoreError, open_database
from peer.store.journal import JournalState, change_id, take_rows
from peer.store.outbox import Outbox
from peer.store.trees import TreeStore
from protocol.codec import encode
from protocol.ids import ROOT, CommitDigest, LogHash
from protocol.messages import CommitRequest, Refusal, RefusalCode
from protocol.model import Genesis, JournalRow, Kind
from protocol.rules import digest_of
from tests.common.journals import CHUNKER, HASHES, TestJournal, TestUser, entry_id, seed

KEYRING = WorkspaceKeyring(seed("salt")[:16], seed("fixed"), {1: seed("epoch 1")})


@pytest.fixture
def database() -> Iterator[Database]:
    with open_database(None) as opened:
        yield opened


def row(journal: TestJournal, at: int) -> JournalRow:
    return JournalRow(at + 1, LogHash(journal.log_hashes[at]), 1_000, journal.commits[at])


class InFlight:
    """A directory whose commit is in the outbox, and not in the journal as far as is known."""

    def __init__(self, database: Database, client: object = None) -> None:
        user = TestUser("ana")
        self.journal = journal = TestJournal(user)
        genesis = journal.commits[0]
        assert isinstance(genesis.body, Genesis)
        record = workspaces.add(database, journal.id, "work", KEYRING, genesis)
        self.trees, self.state = TreeStore(database, record.w), JournalState(database, record.w)
        clock = SystemClock()
        machine = SimpleNamespace(database=database, clock=clock, client=client, database_work=ThreadOffload(1))
        context = Context(
            machine=cast(Machine, machine),
            identity=cast(Identity, None),
            record=record,
            root=cast(Root, None),
            trees=self.trees,
            journal=self.state,
            contents=ContentStore(database, record.w),
            signal=Signal(),
            changed=lambda: None,
            problems=Problems(clock),
        )
        take_rows(database, self.state, self.trees, KEYRING, CHUNKER, [row(journal, 0)])
        change = journal.change("d", kind=Kind.DIRECTORY)
        journal.put(user.devices[0], change)
        commit = journal.commits[1]
        self.node = Node(entry_id("d"), Kind.DIRECTORY, ROOT, "d", None, None)
        agreed = Agreed((ROOT, "d"), None, None, None)
        proposal = ProposeChange(self.node.entry, None, self.node, None, None, None, agreed)
        self.outbox, digest = Outbox(database, record.w), digest_of(commit, HASHES)
        with database.transaction():
            self.outbox.put(2, digest, commit, [proposal], [change_id(journal.id, change)])
        self.sent = Sent(commit, digest, (proposal,))
        self.proposer = Proposer(context, cast(Mover, None))

    def read(self, database: Database) -> None:
        """Find it in the journal after all."""

        def written(commit: CommitDigest) -> None:
            self.outbox.accepted(self.trees, commit)

        take_rows(database, self.state, self.trees, KEYRING, CHUNKER, [row(self.journal, 1)], written)


def test_a_commit_that_the_verified_journal_does_not_have_counts_as_nothing(database: Database) -> None:
    its = InFlight(database)
    proposer, trees, node, sent = its.proposer, its.trees, its.node, its.sent

    assert not proposer.accepted(sent)
    assert trees.synced(node.entry) is None
    assert database.one("SELECT count(*) FROM outbox") == (1,)

    its.read(database)
    assert proposer.accepted(sent)
    assert trees.synced(node.entry) is not None
    assert database.one("SELECT count(*) FROM outbox") == (0,)


class Refusing:
    """A coordinator that restarted: it has the commit, its answer was lost, and nobody is signed in."""

    async def request(self, question: object) -> Refusal:
        assert isinstance(question, CommitRequest)
        return Refusal(RefusalCode.UNAUTHENTICATED, "sign in first")


async def test_a_refused_question_says_nothing_of_the_commit_which_may_have_come_through_before(
    database: Database,
) -> None:
    its = InFlight(database, Refusing())
    answer = await its.proposer.send(its.sent)
    assert answer.outcome is Outcome.LATER
    its.read(database)
    assert its.trees.synced(its.node.entry) is not None, "its own commit, and nobody else's change"


def test_a_kept_chain_that_is_damaged_gives_way_to_the_one_it_began_with(database: Database) -> None:
    user = TestUser("ana")
    first = tuple(user.links)
    user.pair("ana-2")
    with database.transaction():
        rows = [(user.id, index, encode(link)) for index, link in enumerate(user.links)]
        database.insert(schema.chain_links, rows)
    assert load_chain(database, user.id, first).chain.length == len(user.links)
    with database.transaction():
        database.run('UPDATE chain_links SET link = ? WHERE "index" = 1', (b"damaged",))
    assert load_chain(database, user.id, first).chain.length == 1
    with pytest.raises(StoreError, match="damaged"):
        load_chain(database, user.id, first[:0])
