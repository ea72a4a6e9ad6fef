"""What every store of the three trees promises: the answers that the reference in memory gives, whatever was written,
dropped, settled or read in between; and so the same plans, with the same effects."""

from dataclasses import astuple, replace
from itertools import product

import pytest

from crypto.keyring import WorkspaceKeyring
from peer.fingerprint import Fingerprint
from peer.planner import effects
from peer.planner.memory import MemoryTrees
from peer.planner.operations import ProposeChange
from peer.planner.plan import plan
from peer.planner.trees import RemoteNode, rows_differ
from peer.store import schema, workspaces
from peer.store.database import Database, open_database
from peer.store.trees import TreeStore
from protocol.codec import encode
from protocol.ids import ROOT, ChangeId, EntryId, WorkspaceId
from protocol.model import Body, Kind
from tests.common.journals import TestJournal, TestUser
from tests.properties.planner.edits import NAMES, Editor, change_id, content, edit_disk, edit_journal
from tests.properties.planner.one_device import grown, policy_of
from tests.properties.planner.playing import Step, play, steps_of
from tests.properties.planner.tape import Tape

TAPES = 24
CONTENTS = (content(1), content(3))
HUGE = 2**64 - 1
"""Inode and device numbers use all 64 bits."""


def opened_store(database: Database) -> TreeStore:
    keyring = WorkspaceKeyring(bytes(16), bytes(32), {1: bytes(32)})
    genesis = TestJournal(TestUser("ana")).commits[0]
    # Another workspace comes first, so that a statement that forgets `w` is found out.
    other = workspaces.add(database, WorkspaceId(bytes(32)), "other", keyring, genesis)
    mine = workspaces.add(database, WorkspaceId(bytes([1]) * 32), "mine", keyring, genesis)
    with database.transaction():
        TreeStore(database, other.w).touch([EntryId(b"another's entry.")])
    return TreeStore(database, mine.w)


class Pair:
    """The store and the reference, written in the same way."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.store = opened_store(database)
        self.reference = MemoryTrees()
        self.entries: set[EntryId] = {ROOT}

    def put_version(self, row: RemoteNode) -> None:
        node = row.node
        digest, size = (None, 0) if node.content is None else (node.content.digest, node.content.size)
        mtime_ns, executable = (0, False) if node.attributes is None else astuple(node.attributes)[::-1]
        target = digest if node.kind is Kind.SYMLINK else None
        plain = None if node.kind is Kind.SYMLINK else digest
        body = encode(Body(node.name, size, mtime_ns, executable, plain, target, None, None)) if row.usable else None
        values = (row.head, node.entry, None, row.seq, node.deleted, node.parent, body, bytes(16), 0)
        with self.database.transaction():
            self.database.insert(schema.versions, [(self.store.w, *values)])
            if target is not None:
                self.database.insert(schema.contents, [(self.store.w, digest, target, None, False)])

    def put_remote(self, row: RemoteNode) -> None:
        """As the journal does: past the cache, which is told afterwards."""
        node = row.node
        content = (None, 0) if node.content is None else (node.content.digest, node.content.size)
        marks = (0, False) if node.attributes is None else (node.attributes.mtime_ns, node.attributes.executable)
        judged = (node.parent, int(node.kind), bytes(32), node.deleted, row.head, row.seq, bytes(16))
        values = (*judged, row.usable, node.name, *content, *marks, row.copy_of, node.parent)
        with self.database.transaction():
            self.database.insert(schema.remote, [(self.store.w, node.entry, *values)])
            self.store.touch([node.entry])
        self.store.forget_remote([node.entry])

    def stored(self, table: str) -> set[EntryId]:
        return {row[0] for row in self.database.all(f"SELECT entry FROM {table} WHERE w = ?", (self.store.w,))}

    def follow(self) -> None:
        """Bring the store to where the reference is, row by row."""
        reference = self.reference
        with self.database.transaction():
            synced, local = reference.synced_rows.rows, reference.local_rows.rows
            self.store.drop_synced(sorted(self.stored("synced") - synced.keys()))
            self.store.put_synced([row for entry, row in synced.items() if self.store.synced(entry) != row])
            self.store.drop_local(sorted(self.stored("local") - local.keys()))
            self.store.put_local([row for entry, row in local.items() if self.store.local(entry) != row])
        for entry, row in reference.remote_rows.rows.items():
            if self.store.remote(entry) != row:
                self.put_remote(row)
                for version in reference.remote_rows.versions[entry]:
                    self.put_version(version)
        self.store.unknown_entries = set(reference.unreadable)

    def check_rows(self) -> None:
        """Every row is the same, read anew."""
        fresh = TreeStore(self.database, self.store.w)
        self.entries |= {*self.reference.remote_rows.rows, *self.reference.synced_rows.rows}
        for entry in sorted(self.entries | self.reference.local_rows.rows.keys()):
            for trees in (self.store, fresh):
                assert trees.remote(entry) == self.reference.remote(entry)
                assert trees.synced(entry) == self.reference.synced(entry)
                assert trees.local(entry) == self.reference.local(entry)

    def check(self) -> None:
        """Every question has the same answer."""
        store, reference = self.store, self.reference
        self.entries |= {*reference.remote_rows.rows, *reference.synced_rows.rows, *reference.local_rows.rows}
        for entry in sorted(self.entries):
            assert store.remote(entry) == reference.remote(entry)
            assert store.synced(entry) == reference.synced(entry)
            assert store.local(entry) == reference.local(entry)
            assert store.unknown(entry) == reference.unknown(entry)
            for method in ("remote_children", "synced_children", "local_children", "intended_for"):
                assert sorted(getattr(store, method)(entry)) == sorted(getattr(reference, method)(entry)), method
            for name in NAMES:
                assert store.remote_named(entry, name) == reference.remote_named(entry, name)
                assert store.local_named(entry, name) == reference.local_named(entry, name)
            assert store.path(entry) == path_of(reference, entry)
            for base, here in product(CONTENTS, CONTENTS) if reference.remote(entry) is not None else ():
                later = store.later_with(entry, base, here)
                assert list(later) == list(reference.later_with(entry, base, here)), "later_with"
        assert store.synced_count() == reference.synced_count()
        differing = set(store.differing())
        assert set(reference.differing()) <= differing, "an entry that differs would never be planned for"
        assert differing <= self.entries
        assert store.differing_count() == len(differing)


def path_of(trees: MemoryTrees, entry: EntryId) -> tuple[str, ...] | None:
    names: list[str] = []
    while entry != ROOT:
        row = trees.local(entry)
        if row is None:
            return None
        names.append(row.disk_name)
        entry = row.node.parent
    return tuple(reversed(names))


def edit_rows(pair: Pair, tape: Tape) -> None:
    """One thing that no person does: rows with all that a row can hold, unreadable ones, dropped ones."""
    reference = pair.reference
    entries = sorted(pair.entries - {ROOT})
    if not entries:
        return
    entry, choice = tape.pick(entries), tape.below(7)
    shown = Fingerprint(HUGE - tape.below(2), HUGE - tape.below(2), tape.below(9), -tape.below(9), tape.below(9), True)
    local, synced, remote = reference.local(entry), reference.synced(entry), reference.remote(entry)
    copied = tape.pick(entries)
    if choice == 0 and local is not None:
        where = (tape.pick((ROOT, *entries)), tape.pick(NAMES))
        reference.put_local([replace(local, intended=where, fingerprint=shown, disk_name="as the disk has it")])
    elif choice == 1 and local is not None:
        base = ChangeId(bytes(32)) if tape.one_in(2) else None
        reference.put_local([replace(local, copy_of=(copied, base), intended=None)])
    elif choice == 2 and synced is not None:
        base = None if tape.one_in(2) else change_id(synced.base, synced.content_base)
        reference.put_synced([replace(synced, shown=shown, content_base=base)])
    elif choice == 3 and synced is not None:
        deleted = replace(synced.base, deleted=not synced.base.deleted)
        reference.put_synced([replace(synced, base=deleted, shown=None, absent_by_design=tape.one_in(2))])
    elif choice == 4 and remote is not None:
        reference.remote_rows.put(replace(remote, usable=not remote.usable, copy_of=copied))
    elif choice == 5:
        reference.drop_synced([entry])
    elif choice == 6:
        reference.unreadable ^= {entry}


def settle_some(pair: Pair, tape: Tape) -> None:
    """What the engine says between plans: these agree, nothing will be asked of those soon."""
    some = [entry for entry in sorted(pair.entries) if tape.one_in(2)]
    with pair.database.transaction():
        pair.store.settle_agreed(some)
    reference = pair.reference
    left = set(pair.store.differing())
    for entry in some:
        rows = reference.remote(entry), reference.synced(entry), reference.local(entry)
        assert rows_differ(*rows) or entry not in left, "what agrees is not settled"
    match tape.below(4):
        case 0:
            pair.store.forget_cache()
        case 1:
            pair.store.forget(some)
        case 2:
            pair.store.load_differing()
        case _:
            pass


@pytest.mark.parametrize("number", range(TAPES))
def test_the_stored_trees_answer_as_the_reference_does(number: int) -> None:
    tape = Tape.of_seed(f"trees {number}")
    with open_database(None) as database:
        pair = Pair(database)
        pair.reference = grown(tape)
        pair.follow()
        editors = Editor(tape, "far"), Editor(tape, "near")
        for _ in range(8):
            edit_journal(pair.reference, editors[0])
            edit_disk(pair.reference, editors[1])
            pair.follow()
            pair.check()
            settle_some(pair, tape)
            pair.check()
            edit_rows(pair, tape)
            pair.follow()
            pair.check()


def carry_out(pair: Pair, step: Step) -> None:
    """One step on both, as the planner's definitions say."""
    reference, store = pair.reference, pair.store
    play(reference, step)
    first = step[0]
    with pair.database.transaction():
        if not isinstance(first, ProposeChange):
            row = reference.local(first.entry)
            left = None if row is None else row.fingerprint
            effects.apply(store, first, left or Fingerprint(1, 0, 0, 0, 0, executable=False))
            store.settle_agreed([first.entry])
    for one in step:
        if isinstance(one, ProposeChange):
            row_ = reference.remote(one.entry)
            assert row_ is not None
            pair.put_remote(row_)
            with pair.database.transaction():
                effects.accept_synced(store, one, row_.head)
                store.settle_agreed([one.entry])


@pytest.mark.parametrize("number", range(TAPES))
def test_plans_over_the_stored_trees_are_those_over_the_reference(number: int) -> None:
    tape = Tape.of_seed(f"plans {number}")
    policy = replace(policy_of(tape), confirmed_deletions=True)
    with open_database(None) as database:
        pair = Pair(database)
        pair.reference = grown(tape)
        editors = Editor(tape, "far"), Editor(tape, "near")
        for _ in range(3):
            for _ in range(tape.below(5)):
                edit_journal(pair.reference, editors[0])
                edit_disk(pair.reference, editors[1])
            pair.follow()
            for _ in range(2):
                pair.store.load_differing()
                here, there = plan(pair.store, policy), plan(pair.reference, policy)
                assert replace(here, settled=()) == replace(there, settled=())
                with database.transaction():
                    pair.store.settle(here.settled)
                for step in steps_of(there):
                    carry_out(pair, step)
                pair.check_rows()
