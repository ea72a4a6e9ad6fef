"""Commits that count without the journal, and what is left of them when the journal alone counts again."""

import copy
from collections.abc import Iterator
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from peer.planner.operations import Agreed, ProposeChange
from peer.planner.trees import Content, LocalNode, Node, SyncedNode
from peer.store import workspaces
from peer.store.database import open_database
from peer.store.journal import HASHES, JournalState, change_id
from peer.store.offers import OfferStore
from peer.store.outbox import KeptCommit, Standing
from peer.store.provisional import NotFollowing, NotReadable, Provisional
from protocol.codec import encode
from protocol.ids import ROOT, EntryId
from protocol.model import Body, Change, Commit, Entries, Kind
from protocol.rules import digest_of
from tests.common.journals import CHUNKER, TestDevice, entry_id
from tests.unit.peer.store.test_taking_rows import KEYRING, Store


class Alone(Store):
    """A device that has read a journal with `a` and `b` in it, and has them on its disk; then the coordinator goes.

    `journal` is from then on what the devices nearby have between them, `real` what the coordinator has.
    """

    def __post_init__(self) -> None:
        super().__post_init__()
        self.other = self.user.pair("other")
        self.journal.accept(self.journal.add_device(self.user, self.other))
        self.third = self.user.pair("third")
        self.journal.accept(self.journal.add_device(self.user, self.third))
        self.journal.put(self.device, self.link("a"), self.link("b"))
        assert self.take().invalid is None
        for label in ("a", "b"):
            self.show(label)
        self.real = self.journal
        self.journal = copy.deepcopy(self.real)
        self.provisional = Provisional(self.database, self.state, self.trees, self.device.id)
        self.outbox = self.provisional.outbox

    def show(self, label: str) -> None:
        """Carry out on the disk what counts of an entry."""
        entry = entry_id(label)
        remote, head = self.trees.remote(entry), self.state.entry(entry)
        with self.database.transaction():
            if remote is None or remote.node.deleted or head is None:
                self.trees.drop_local((entry,))
                self.trees.drop_synced((entry,))
            else:
                self.trees.put_local((LocalNode(remote.node, remote.node.name, None),))
                self.trees.put_synced((SyncedNode(remote.node, head.head, None),))

    def local(self, label: str, name: str | None = None) -> None:
        """Somebody made or renamed something here."""
        row = self.trees.local(entry_id("b"))
        assert row is not None
        node = Node(entry_id(label), Kind.SYMLINK, ROOT, name or label, row.node.content, None)
        with self.database.transaction():
            self.trees.put_local((LocalNode(node, node.name, None),))

    def remove(self, label: str) -> None:
        """Somebody deleted something here."""
        with self.database.transaction():
            self.trees.drop_local((entry_id(label),))

    def edit(self, label: str, target: bytes, name: str | None = None) -> Change:
        """A version of an entry with another target, and under another name maybe."""
        said = Body(name or label, len(target), 0, False, None, target, None, None)
        if name is None:
            return self.link(label, said)
        moved = self.link(name, said)
        known = self.journal.state.entry(entry_id(label))
        bare = self.journal.change(label, kind=Kind.SYMLINK, name_key=moved.clear.name_key)
        assert known is not None
        return Change(bare.clear, self.seal_as(bare, said), b"", b"")

    def seal_as(self, bare: Change, said: Body) -> bytes:
        return self.seal(bare, encode(said))

    def delete(self, label: str) -> Change:
        """The version that ends an entry."""
        bare, remote = self.journal.deletion(label), self.trees.remote(entry_id(label))
        assert remote is not None
        return Change(
            bare.clear, self.seal_as(bare, Body(remote.node.name, 0, 0, False, None, None, None, None)), b"", b""
        )

    def commit(self, device: TestDevice, *changes: Change) -> Commit:
        """A commit that a device makes nearby."""
        head = self.real.state.workspace
        self.journal.put(device, *changes, head_seq=head.seq, head_hash=head.log_hash)
        return self.journal.commits[-1]

    def hand_over(self, commit: Commit) -> KeptCommit:
        """It came from another device."""
        digest = digest_of(commit, HASHES)
        with self.database.transaction():
            self.outbox.put_other(digest, commit)
        return KeptCommit(commit, digest, Standing.WAITS)

    def follow(self, kept: KeptCommit) -> None:
        """Let it count."""
        with self.database.transaction():
            self.provisional.follow(kept, KEYRING, CHUNKER)

    def theirs(self, *changes: Change, by: TestDevice | None = None) -> KeptCommit:
        """Another device's commit, which counts."""
        kept = self.hand_over(self.commit(by or self.other, *changes))
        self.follow(kept)
        return kept

    def ours(self, change: Change) -> KeptCommit:
        """This device's own commit of what is on its disk, which counts."""
        entry = EntryId(change.clear.entry)
        commit = self.commit(self.device, change)
        digest, row = digest_of(commit, HASHES), self.trees.local(entry)
        agreed = None if row is None else Agreed((row.node.parent, row.node.name), row.node.content, None, None)
        node = Node(entry, Kind.SYMLINK, ROOT, "", None, None, change.clear.deleted)
        proposal = ProposeChange(entry, None, node, None, None, None, agreed)
        with self.database.transaction():
            changes = [change_id(self.journal.id, change)]
            self.outbox.put(commit.header.number, digest, commit, [proposal], changes)
        kept = KeptCommit(commit, digest, Standing.IN_FLIGHT)
        self.follow(kept)
        return kept

    def roll_back(self) -> None:
        with self.database.transaction():
            self.provisional.roll_back()

    def dump(self, *but: str) -> dict[str, list[object]]:
        """All tables, but for what is noted of commits, and of what a plan is to look at."""
        names = [name for (name,) in self.database.all("SELECT name FROM sqlite_master WHERE type = 'table'")]
        left_out = {"outbox", "differing", *but}
        return {
            name: sorted(self.database.all(f"SELECT * FROM {name}"), key=repr) for name in names if name not in left_out
        }

    def standing(self, kept: KeptCommit) -> Standing | None:
        return self.outbox.standings().get(kept.digest)


@pytest.fixture
def alone() -> Iterator[Alone]:
    with open_database(None) as database:
        yield Alone(database)


def test_what_others_committed_counts_until_it_is_rolled_back_and_leaves_nothing(alone: Alone) -> None:
    before = alone.dump()
    kept = [
        alone.theirs(alone.link("new")),
        alone.theirs(alone.edit("a", b"another")),
        alone.theirs(alone.delete("b"), by=alone.third),
        alone.theirs(alone.edit("new", b"edited"), by=alone.third),
    ]
    assert alone.state.is_provisional
    assert alone.state.workspace.seq == alone.state.verified.seq + 4
    assert alone.name_of("new") == ("new", True)
    assert alone.dump() != before
    assert {alone.standing(one) for one in kept} == {Standing.SHOWN}
    alone.roll_back()
    assert alone.dump() == before
    assert alone.state.workspace == alone.state.verified
    assert alone.state.entry(entry_id("new")) is None
    assert {alone.standing(one) for one in kept} == {Standing.BACK}


def test_another_process_finds_the_same_provisional_end(alone: Alone) -> None:
    alone.theirs(alone.link("new"))
    again = JournalState(alone.database, alone.w)
    assert again.workspace == alone.state.workspace
    assert again.verified == alone.state.verified
    assert again.is_provisional


def test_what_another_device_deleted_comes_back_and_is_not_deleted_by_this_one(alone: Alone) -> None:
    alone.theirs(alone.delete("a"))
    alone.show("a")
    alone.roll_back()
    assert alone.trees.synced(entry_id("a")) is None, "as if it had never been here: the journal's is new"
    remote = alone.trees.remote(entry_id("a"))
    assert remote is not None
    assert not remote.node.deleted


def test_what_this_device_deleted_is_still_to_be_proposed(alone: Alone) -> None:
    alone.remove("a")
    alone.ours(alone.delete("a"))
    assert alone.trees.synced(entry_id("a")) is None
    alone.roll_back()
    assert alone.trees.synced(entry_id("a")) is not None, "gone from the disk, and known: a deletion"
    assert alone.trees.local(entry_id("a")) is None


def test_content_that_was_shown_counts_as_an_edit_of_what_it_replaced(alone: Alone) -> None:
    before = alone.trees.synced(entry_id("a"))
    alone.theirs(alone.edit("a", b"another"))
    alone.show("a")
    alone.roll_back()
    synced, local = alone.trees.synced(entry_id("a")), alone.trees.local(entry_id("a"))
    assert before is not None
    assert synced is not None
    assert local is not None
    assert synced.base.content == before.base.content
    assert synced.content_base == before.content_base
    assert local.node.content != synced.base.content


def test_what_another_device_made_and_was_shown_is_here_as_something_new(alone: Alone) -> None:
    alone.theirs(alone.link("new"))
    alone.show("new")
    alone.roll_back()
    assert alone.trees.synced(entry_id("new")) is None
    assert alone.trees.local(entry_id("new")) is not None


def test_what_another_device_moved_is_moved_back_and_never_proposed(alone: Alone) -> None:
    alone.theirs(alone.edit("a", b"target", "elsewhere"))
    alone.show("a")
    alone.roll_back()
    synced, remote = alone.trees.synced(entry_id("a")), alone.trees.remote(entry_id("a"))
    assert synced is not None
    assert synced.base.name == "elsewhere", "as on the disk: nothing to be proposed"
    assert remote is not None
    assert remote.node.name == "a"


@pytest.mark.parametrize("label", ["a", "new"])
def test_what_the_journal_takes_after_all_advances_what_is_synced(label: str, alone: Alone) -> None:
    kept = alone.theirs(alone.edit(label, b"another"))
    alone.show(label)
    shown = alone.trees.synced(entry_id(label))
    alone.roll_back()
    assert alone.trees.synced(entry_id(label)) != shown
    alone.real = alone.journal
    assert alone.take().invalid is None
    with alone.database.transaction():
        assert alone.outbox.accepted(alone.trees, kept.digest).entries == (entry_id(label),)
    assert alone.trees.synced(entry_id(label)) == shown
    assert alone.standing(kept) is None


@pytest.mark.parametrize("what", ["edited", "deleted", "renamed"])
def test_a_commit_over_what_was_changed_here_waits(what: str, alone: Alone) -> None:
    kept = alone.hand_over(alone.commit(alone.other, alone.edit("a", b"another")))
    match what:
        case "edited":
            row = alone.trees.local(entry_id("a"))
            assert row is not None
            content = edited(row)
            with alone.database.transaction():
                alone.trees.put_local((content,))
        case "deleted":
            alone.remove("a")
        case _:
            alone.local("a", "renamed")
    before = alone.dump()
    with pytest.raises(NotFollowing, match=r"changed here too|edited here too"):
        alone.follow(kept)
    assert alone.dump() == before
    assert alone.standing(kept) is Standing.WAITS


def edited(row: LocalNode) -> LocalNode:
    return replace(row, node=replace(row.node, content=Content(b"e" * 32, 4)))


def test_a_commit_that_takes_a_name_which_is_taken_here_waits(alone: Alone) -> None:
    alone.local("made here", "new")
    kept = alone.hand_over(alone.commit(alone.other, alone.link("new")))
    with pytest.raises(NotFollowing, match="has its name"):
        alone.follow(kept)
    assert alone.standing(kept) is Standing.WAITS
    assert not alone.state.is_provisional


def test_a_commit_whose_predecessor_is_not_here_waits_for_it(alone: Alone) -> None:
    first = alone.hand_over(alone.commit(alone.other, alone.link("new")))
    second = alone.hand_over(alone.commit(alone.other, alone.edit("new", b"edited")))
    with pytest.raises(NotFollowing, match="not legal"):
        alone.follow(second)
    alone.follow(first)
    alone.follow(second)
    assert [one.digest for one in alone.outbox.all()] == [first.digest, second.digest]


def test_what_is_not_readable_leaves_nothing(alone: Alone) -> None:
    before = alone.dump()
    kept = alone.hand_over(alone.commit(alone.other, alone.link("new", b"garbage")))
    with pytest.raises(NotReadable):
        alone.follow(kept)
    alone.state.forget_cache()
    alone.trees.forget_cache()
    assert alone.dump() == before
    assert alone.state.entry(entry_id("new")) is None


def test_a_workspace_that_is_unmounted_keeps_nothing_provisional(alone: Alone) -> None:
    before = alone.dump("synced", "local", "workspaces", "before")
    alone.theirs(alone.link("new"), alone.edit("a", b"another"))
    alone.show("new")
    with alone.database.transaction():
        workspaces._forget_trees(alone.database, alone.w)
    assert alone.dump("synced", "local", "workspaces", "before") == before
    assert alone.database.all("SELECT * FROM outbox") == []
    assert alone.database.all("SELECT * FROM before") == []


DEEDS = st.lists(
    st.tuples(st.sampled_from("abcd"), st.sampled_from(["edit", "move", "delete"]), st.integers(0, 2), st.booleans()),
    min_size=1,
    max_size=12,
)


@settings(deadline=None, max_examples=60)
@given(DEEDS)
def test_whatever_counted_the_journals_tables_are_as_before_when_it_is_rolled_back(
    deeds: list[tuple[str, str, int, bool]],
) -> None:
    with open_database(None) as database:
        alone = Alone(database)
        before = alone.dump("synced", "local")
        untouched = alone.dump()
        any_shown = False
        for number, (label, deed, who, is_shown) in enumerate(deeds):
            known = alone.journal.state.entry(entry_id(label))
            is_there = known is not None and not known.deleted
            device = (alone.other, alone.third, alone.other)[who]
            if deed == "edit" or (not is_there and deed != "delete"):
                change = (
                    alone.edit(label, b"%d" % number)
                    if not is_there or known is None
                    else alone.edit(label, b"%d" % number, f"{label}{number}")
                )
            elif is_there:
                change = alone.edit(label, b"same", f"{label}{number}") if deed == "move" else alone.delete(label)
            else:
                continue
            alone.theirs(change, by=device)
            if is_shown:
                alone.show(label)
                any_shown = True
        alone.roll_back()
        assert alone.dump("synced", "local") == before
        if not any_shown:
            assert alone.dump() == untouched


def test_what_counts_without_the_journal_is_no_version_that_its_bytes_could_be_had_of(alone: Alone) -> None:
    offers = OfferStore(alone.database, alone.state.w)
    in_journal = alone.state.entry(entry_id("a"))
    assert in_journal is not None
    kept = alone.theirs(alone.link("new"))
    counting = alone.state.entry(entry_id("new"))
    assert counting is not None
    assert isinstance(kept.commit.body, Entries)
    assert offers.is_version(in_journal.head)
    assert not offers.is_version(counting.head)
