"""Taking journal rows into the trees."""

from crypto.keyring import WorkspaceKeyring
from peer.store import schema, workspaces
from peer.store.database import open_database
from peer.store.journal import JournalState, take_rows
from peer.store.trees import TreeStore
from protocol.ids import ROOT
from protocol.model import AnyChange, JournalRow
from tests.common.journals import CHUNKER, TestJournal, TestUser, entry_id, genesis_of, seed


def test_what_is_in_a_directory_differs_again_once_that_is_moved_out_of_a_deleted_one() -> None:
    ana = TestUser("ana")
    journal = TestJournal(ana)
    keyring = WorkspaceKeyring(genesis_of(ana).salt, seed("fixed"), {1: seed("epoch 1")})
    with open_database(None) as database:
        record = workspaces.add(database, journal.id, "Docs", keyring, journal.commits[0])
        state, trees = JournalState(database, record.w), TreeStore(database, record.w)
        take_rows(
            database,
            state,
            trees,
            keyring,
            CHUNKER,
            [JournalRow(1, journal.state.workspace.log_hash, 0, journal.commits[0])],
        )

        def differing_after(*changes: AnyChange) -> set[bytes]:
            trees.settle(trees.differing())
            delta = journal.put(ana.devices[0], *changes)
            row = JournalRow(delta.workspace.seq, delta.workspace.log_hash, 0, journal.commits[-1])
            assert take_rows(database, state, trees, keyring, CHUNKER, [row]).invalid is None
            return set(trees.differing())

        top, below, deep, file = (entry_id(label) for label in ("top", "below", "deep", "file"))
        made = (
            journal.directory("top"),
            journal.directory("below", top),
            journal.directory("deep", below),
            journal.change("file", deep),
        )
        assert differing_after(*made) == {top, below, deep, file}
        assert differing_after(journal.directory("below", top, "renamed")) == {below}
        assert differing_after(journal.deletion("top")) == {top, below, deep, file}
        assert differing_after(journal.directory("below")) == {below, deep, file}


def test_what_is_below_a_deleted_directory_is_not_counted() -> None:
    ana = TestUser("ana")
    journal = TestJournal(ana)
    keyring = WorkspaceKeyring(genesis_of(ana).salt, seed("fixed"), {1: seed("epoch 1")})
    with open_database(None) as database:
        record = workspaces.add(database, journal.id, "Docs", keyring, journal.commits[0])
        rows = [
            (b"dir", ROOT, 1, True, 0),
            (b"below", b"dir", 1, False, 0),
            (b"gone", b"below", 0, False, 100),
            (b"gone too", b"dir", 0, True, 100),
            (b"deep", b"below", 1, True, 0),
            (b"deepest", b"deep", 0, False, 100),
            (b"other", ROOT, 1, False, 0),
            (b"file", b"other", 0, False, 7),
        ]
        with database.transaction():
            for entry, place, kind, deleted, size in rows:
                judged = (place, kind, entry, deleted, entry, 1, bytes(16))
                values = (True, "name", None, size, 0, False, None, place)
                database.insert(schema.remote, [(record.w, entry, *judged, *values)])
        assert tuple(workspaces.counts(database, record.w)) == (2, 7)
