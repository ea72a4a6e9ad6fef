"""Rows of a journal are judged, opened and checked before any of them is believed."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import msgspec
import pytest

from crypto import digest, sealing
from crypto.keyring import WorkspaceKeyring
from peer.planner.operations import Agreed, ProposeChange
from peer.planner.trees import Content, Node
from peer.store import workspaces
from peer.store.database import Database, open_database
from peer.store.journal import HASHES, JournalState, Taken, change_id, take_rows
from peer.store.outbox import Outbox
from peer.store.trees import TreeStore
from peer.store.versions import version_body
from protocol.codec import encode
from protocol.ids import ROOT, ChangeId, CommitDigest, EntryId, LogHash, NameKey
from protocol.model import Body, Change, Commit, Genesis, JournalRow, Kind, lists_bytes, sealed_context
from protocol.rules import digest_of
from tests.common.journals import CHUNKER, TestJournal, TestUser, entry_id, seed

SALT = seed("salt", "ana")[:16]
KEYRING = WorkspaceKeyring(SALT, seed("fixed"), {1: seed("epoch 1")})


@dataclass
class Store:
    """A device's store beside the journal that it reads."""

    database: Database
    user: TestUser = field(default_factory=lambda: TestUser("ana"))

    def __post_init__(self) -> None:
        self.journal = TestJournal(self.user)
        self.device = self.user.devices[0]
        genesis = self.journal.commits[0]
        assert isinstance(genesis.body, Genesis)
        self.w = workspaces.add(self.database, self.journal.id, "work", KEYRING, genesis).w
        self.trees = TreeStore(self.database, self.w)
        self.state = JournalState(self.database, self.w)

    def row(self, at: int) -> JournalRow:
        """The journal's row number `at`, from 0."""
        return JournalRow(at + 1, self.journal.log_hashes[at], 1_000, self.journal.commits[at])

    def rows(self) -> list[JournalRow]:
        """What has not been taken yet."""
        return [self.row(at) for at in range(self.state.workspace.seq, len(self.journal.commits))]

    def take(self, *rows: JournalRow) -> Taken:
        """Take these rows, or all that is new."""
        return take_rows(self.database, self.state, self.trees, KEYRING, CHUNKER, rows or self.rows())

    def link(self, label: str, body: Body | bytes | None = None, parent: EntryId = ROOT) -> Change:
        """A change of a symlink called `label` whose sealed part says `body`."""
        key = NameKey(digest.name_key(KEYRING.fixed, parent, label))
        bare = self.journal.change(label, parent, kind=Kind.SYMLINK, name_key=key)
        said = body or Body(label, 6, 0, False, None, b"target", None, None)
        sealed = said if isinstance(said, bytes) else self.seal(bare, encode(said))
        return msgspec.structs.replace(bare, sealed=sealed)

    def seal(self, change: Change, packed: bytes) -> bytes:
        context = sealed_context(self.journal.id, change.clear, HASHES.lists_hash(lists_bytes(b"", b"")))
        return sealing.seal(KEYRING.newest.seal, bytes(24), packed, context)

    def name_of(self, label: str) -> tuple[str, bool]:
        """An entry's name here, and whether its head is to be believed."""
        row = self.database.one("SELECT name, usable FROM remote WHERE entry = ?", (entry_id(label),))
        assert row is not None
        return row[0], bool(row[1])


@pytest.fixture
def store() -> Iterator[Store]:
    with open_database(None) as database:
        yield Store(database)


def test_legal_rows_become_the_remote_tree(store: Store) -> None:
    store.journal.put(store.device, store.link("a"), store.link("b"))
    taken = store.take()
    assert taken.invalid is None
    assert taken.bad == ()
    assert set(taken.touched) == {entry_id("a"), entry_id("b")}
    assert taken.seq == store.state.workspace.seq == 2
    assert store.name_of("a") == ("a", True)
    head = store.state.entry(entry_id("a"))
    assert head is not None
    body = version_body(store.database, store.w, head.head)
    assert body is not None
    assert body.target == b"target"


def test_what_was_read_is_there_for_the_next_to_open_it(store: Store) -> None:
    store.journal.put(store.device, store.link("a"))
    store.take()
    again = JournalState(store.database, store.w)
    assert again.workspace == store.state.workspace
    assert again.entry(entry_id("a")) == store.state.entry(entry_id("a"))
    assert again.device(store.device.id) == store.state.device(store.device.id)


@pytest.mark.parametrize(
    "said",
    [
        b"not sealed at all",
        Body("another name", 6, 0, False, None, b"target", None, None),
        Body("a", 5, 0, False, None, b"target", None, None),
        Body("a", 6, 0, True, None, b"target", None, None),
        Body("a", 0, 0, False, None, None, None, None),
        Body("a", 7, 0, False, None, b"tar\0get", None, None),
    ],
    ids=["unsealed", "name", "size", "executable", "no target", "zero byte"],
)
def test_a_sealed_part_that_says_another_thing_is_not_believed(store: Store, said: Body | bytes) -> None:
    store.journal.put(store.device, store.link("a", said), store.link("b"))
    taken = store.take()
    assert taken.invalid is None, "the journal is legal all the same"
    assert [(one.entry, one.device) for one in taken.bad] == [(entry_id("a"), store.device.id)]
    assert store.name_of("a") == ("", False)
    assert store.name_of("b") == ("b", True)


def test_the_last_good_version_stays_when_a_bad_one_follows(store: Store) -> None:
    store.journal.put(store.device, store.link("a"))
    store.take()
    store.journal.put(store.device, store.link("a", b"garbage"))
    assert len(store.take().bad) == 1
    assert store.name_of("a") == ("a", False)


def test_a_sealed_part_of_another_entry_does_not_open(store: Store) -> None:
    other = store.link("b")
    store.journal.put(store.device, store.link("a", other.sealed))
    (bad,) = store.take().bad
    assert "open" in bad.reason


def forged(commit: Commit) -> Commit:
    return msgspec.structs.replace(commit, signature=bytes(64))


def test_an_illegal_row_ends_the_reading_and_what_came_before_it_stays(store: Store) -> None:
    store.journal.put(store.device, store.link("a"))
    store.journal.put(store.device, store.link("b"))
    genesis, first, second = store.rows()
    taken = store.take(genesis, first, msgspec.structs.replace(second, commit=forged(second.commit)))
    assert taken.invalid is not None
    assert "commit 3" in taken.invalid
    assert taken.seq == store.state.workspace.seq == 2
    assert store.state.entry(entry_id("b")) is None
    assert store.take(second).invalid is None


def test_rows_out_of_order_or_of_another_chain_are_illegal(store: Store) -> None:
    store.journal.put(store.device, store.link("a"))
    store.journal.put(store.device, store.link("b"))
    genesis, first, second = store.rows()
    assert store.take(first).invalid is not None
    assert store.take(genesis, second).invalid is not None
    assert store.take(msgspec.structs.replace(first, log_hash=LogHash(seed("another")))).invalid is not None
    assert store.state.workspace.seq == 1
    assert store.take(first, second).invalid is None


def test_the_coordinators_time_of_a_commit_never_goes_back(store: Store) -> None:
    for label in ("a", "b", "c"):
        store.journal.put(store.device, store.link(label))
    one, two, three, four = store.rows()
    store.take(one, msgspec.structs.replace(two, received=2_000))
    assert store.state.received == 2_000
    taken = store.take(msgspec.structs.replace(three, received=1_999))
    assert taken.seq == 2
    assert taken.invalid is not None
    assert "received before" in taken.invalid
    again = JournalState(store.database, store.w)
    assert again.received == 2_000
    assert store.take(*(msgspec.structs.replace(row, received=2_000) for row in (three, four))).invalid is None


def in_flight(store: Store, one: ProposeChange, change: Change, *, kept: bool = True) -> None:
    """A commit that reaches the journal, and whose answer never comes."""
    store.journal.put(store.device, change)
    commit = store.journal.commits[-1]
    with store.database.transaction():
        changes = [change_id(store.journal.id, change)]
        if kept:
            Outbox(store.database, store.w).put(7, digest_of(commit, HASHES), commit, [one], changes)


def take_with_outbox(store: Store) -> list[EntryId]:
    """Take all that is new as an engine does; the entries that this device had proposed."""
    found: list[EntryId] = []
    outbox = Outbox(store.database, store.w)

    def written(commit: CommitDigest) -> None:
        found.extend(outbox.accepted(store.trees, commit).entries)

    take_rows(store.database, store.state, store.trees, KEYRING, CHUNKER, store.rows(), written)
    return found


def proposal(content: Content, location: tuple[EntryId, str] | None, base: ChangeId | None) -> ProposeChange:
    node = Node(entry_id("a"), Kind.SYMLINK, ROOT, "a", content, None)
    return ProposeChange(node.entry, base, node, None, None, None, Agreed(location, content, None, None))


def test_what_was_in_flight_when_the_program_ended_counts_as_synced_once_the_journal_has_it(store: Store) -> None:
    content = Content(b"a" * 32, 6)
    change = store.link("a")
    in_flight(store, proposal(content, (ROOT, "a"), None), change)
    assert take_with_outbox(store) == [entry_id("a")]
    row = store.trees.synced(entry_id("a"))
    assert row is not None, "what is not on this disk any more was deleted by a person: it must not come back"
    assert (row.base.parent, row.base.name, row.base.content) == (ROOT, "a", content)
    assert row.content_base == change_id(store.journal.id, change)
    assert store.database.one("SELECT number FROM outbox") is None


def test_only_the_fields_that_were_agreed_upon_count_as_synced(store: Store) -> None:
    first = Content(b"a" * 32, 6)
    in_flight(store, proposal(first, (ROOT, "a"), None), store.link("a"))
    take_with_outbox(store)
    second = Content(b"b" * 32, 6)
    in_flight(store, proposal(second, None, None), store.link("a", Body("a", 6, 0, False, None, b"tegrat", None, None)))
    assert take_with_outbox(store) == [entry_id("a")]
    row = store.trees.synced(entry_id("a"))
    assert row is not None
    assert (row.base.name, row.base.content) == ("a", second)


def test_what_another_device_committed_is_not_synced_here_because_it_is_in_the_journal(store: Store) -> None:
    in_flight(store, proposal(Content(b"a" * 32, 6), (ROOT, "a"), None), store.link("a"), kept=False)
    assert take_with_outbox(store) == []
    assert store.trees.synced(entry_id("a")) is None
