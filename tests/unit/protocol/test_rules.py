"""The judge: every rule, and every reason for which a commit is refused."""

from dataclasses import dataclass, replace

import msgspec
import pytest

from protocol import limits
from protocol.ids import NO_LOG, NO_WORKSPACE, ROOT, EntryId, LogHash
from protocol.messages import ChangeReason, CommitReason
from protocol.model import (
    Chunker,
    Commit,
    Entries,
    Header,
    JournalRow,
    Kind,
    PurgedChange,
    Role,
    SealedKey,
    lists_bytes,
)
from protocol.rules import Delta, Refused, Repeated, Verdict, judge, judge_row
from protocol.state import MemoryState
from tests.common.journals import (
    HASHES,
    TestDevice,
    TestJournal,
    TestUser,
    block_id,
    entry_id,
    genesis_of,
    key_of,
    make_device,
    other_change,
    other_head,
    seed,
    signed_commit,
)


@dataclass
class Scene:
    journal: TestJournal
    ana: TestUser
    laptop: TestDevice
    phone: TestDevice


@pytest.fixture
def scene() -> Scene:
    ana = TestUser("ana")
    phone = ana.pair("phone")
    return Scene(TestJournal(ana), ana, ana.devices[0], phone)


def refused(verdict: Verdict) -> Refused:
    assert isinstance(verdict, Refused), verdict
    return verdict


def change_reasons(verdict: Verdict) -> dict[EntryId, ChangeReason]:
    assert refused(verdict).reason is CommitReason.CHANGES
    return {EntryId(change.entry): change.reason for change in refused(verdict).changes}


# --- the genesis ---------------------------------------------------------------------------------------


def genesis_commit(user: TestUser, **overrides: object) -> Commit:
    device = user.devices[0]
    return signed_commit(device, Header(1, NO_WORKSPACE, device.id, 1, 0, 0, NO_LOG, 0), genesis_of(user, **overrides))


def test_a_genesis_makes_a_workspace_named_by_its_digest_and_owned_by_its_author() -> None:
    ana = TestUser("ana")
    phone = ana.pair("phone")
    verdict = judge(MemoryState(), genesis_commit(ana), HASHES)
    assert isinstance(verdict, Delta)
    assert bytes(verdict.workspace.workspace) == bytes(verdict.digest) == verdict.workspace.last_control
    assert verdict.workspace.log_hash == HASHES.log_hash(NO_LOG, verdict.digest)
    assert (verdict.workspace.seq, verdict.workspace.epoch) == (1, 1)
    assert verdict.roles == ((ana.id, Role.OWNER),)
    assert {device: known.last_number for device, known in verdict.devices} == {ana.devices[0].id: 1, phone.id: 0}


def test_a_second_genesis_is_denied(scene: Scene) -> None:
    ben = TestUser("ben")
    assert refused(scene.journal.judge(genesis_commit(ben))).reason is CommitReason.DENIED


def test_a_genesis_of_another_workspace_is_denied_where_one_is_expected(scene: Scene) -> None:
    state = MemoryState()
    state.workspace = replace(state.workspace, workspace=scene.journal.id)
    assert refused(judge(state, genesis_commit(TestUser("ben")), HASHES)).reason is CommitReason.DENIED
    assert isinstance(judge(state, scene.journal.commits[0], HASHES), Delta)


@pytest.mark.parametrize(
    ("overrides", "reason"),
    [
        ({"owner": bytes(16)}, CommitReason.DENIED),
        ({"chunker": Chunker("fastcdc2020", 4096, 1024, 8192)}, CommitReason.MALFORMED),
        ({"keys": ()}, CommitReason.MALFORMED),
        ({"keys": (SealedKey(make_device("ana-1").id, bytes(64)),) * 2}, CommitReason.MALFORMED),
        (
            {"keys": (SealedKey(make_device("ana-1").id, bytes(64)), SealedKey(bytes(16), bytes(64)))},
            CommitReason.MALFORMED,
        ),
    ],
    ids=["not the owner's chain", "chunker out of order", "no keys", "keys twice", "keys for a stranger"],
)
def test_a_genesis_that_contradicts_itself_is_refused(overrides: dict[str, object], reason: CommitReason) -> None:
    commit = genesis_commit(TestUser("ana"), **overrides)
    assert refused(judge(MemoryState(), commit, HASHES)).reason is reason


def test_a_genesis_may_seal_keys_to_an_unused_pairing() -> None:
    ana = TestUser("ana")
    pairing = ana.admit("later")
    keys = (SealedKey(ana.devices[0].id, bytes(64)), SealedKey(pairing.box.public[:16], bytes(64)))
    assert isinstance(judge(MemoryState(), genesis_commit(ana, keys=keys), HASHES), Delta)


def test_a_genesis_by_a_device_outside_the_chain_is_denied() -> None:
    ana, stranger = TestUser("ana"), make_device("stranger")
    commit = signed_commit(stranger, Header(1, NO_WORKSPACE, stranger.id, 1, 0, 0, NO_LOG, 0), genesis_of(ana))
    assert refused(judge(MemoryState(), commit, HASHES)).reason is CommitReason.DENIED


def test_a_genesis_that_names_a_head_is_malformed() -> None:
    ana = TestUser("ana")
    device = ana.devices[0]
    commit = signed_commit(device, Header(1, NO_WORKSPACE, device.id, 1, 0, 1, NO_LOG, 0), genesis_of(ana))
    assert refused(judge(MemoryState(), commit, HASHES)).reason is CommitReason.MALFORMED


def test_nothing_but_a_genesis_begins_a_journal(scene: Scene) -> None:
    commit = scene.journal.commit(scene.laptop)
    assert refused(judge(MemoryState(), commit, HASHES)).reason in (CommitReason.DENIED, CommitReason.NOT_NEXT)
    assert not isinstance(judge(MemoryState(), scene.journal.add_device(scene.ana, scene.phone), HASHES), Delta)


# --- rule 1: commit numbers ----------------------------------------------------------------------------


def test_an_accepted_commit_seen_again_gets_the_same_place_again(scene: Scene) -> None:
    commit = scene.journal.commit(scene.laptop, scene.journal.change("a"))
    place = scene.journal.accept(commit).workspace
    scene.journal.put(scene.laptop, scene.journal.change("b"))
    assert scene.journal.judge(commit) == Repeated(place.seq, place.log_hash)
    assert isinstance(scene.journal.judge(scene.journal.commits[0]), Repeated)


def test_a_number_used_before_for_something_else_is_superseded(scene: Scene) -> None:
    scene.journal.put(scene.laptop, scene.journal.change("a"))
    verdict = scene.journal.judge(scene.journal.commit(scene.laptop, scene.journal.change("b"), number=2, after=1))
    assert refused(verdict) == Refused(CommitReason.SUPERSEDED, 2, detail=refused(verdict).detail)


def test_a_commit_not_after_the_last_accepted_one_is_not_next(scene: Scene) -> None:
    verdict = scene.journal.judge(scene.journal.commit(scene.laptop, number=9, after=8))
    assert (refused(verdict).reason, refused(verdict).last_number) == (CommitReason.NOT_NEXT, 1)


def test_numbers_may_leave_gaps(scene: Scene) -> None:
    scene.journal.put(scene.laptop, number=7)
    scene.journal.put(scene.laptop, number=70, after=7)


def test_numbers_of_devices_do_not_touch_each_other(scene: Scene) -> None:
    scene.journal.put(scene.phone)
    scene.journal.put(scene.laptop, number=2, after=1)


# --- rule 2: the named head ----------------------------------------------------------------------------


def test_a_head_of_another_journal_is_unknown(scene: Scene) -> None:
    scene.journal.put(scene.laptop)
    for seq in (1, 2, 3):
        verdict = scene.journal.judge(scene.journal.commit(scene.phone, head_seq=seq, head_hash=other_head()))
        assert refused(verdict).reason is CommitReason.UNKNOWN_HEAD


def test_an_earlier_head_of_this_journal_is_known(scene: Scene) -> None:
    before = scene.journal.state.workspace
    scene.journal.put(scene.laptop, scene.journal.change("a"))
    scene.journal.put(scene.phone, scene.journal.change("b"), head_seq=before.seq, head_hash=before.log_hash)


def test_heads_older_than_what_is_kept_are_taken_as_known() -> None:
    journal = TestJournal(TestUser("ana"))
    state = MemoryState(known_heads=1)
    for commit in (*journal.commits, journal.commit(journal.owner.devices[0])):
        verdict = judge(state, commit, HASHES)
        assert isinstance(verdict, Delta)
        state.apply(verdict)
    assert state.head_known(1, other_head())
    assert not state.head_known(2, other_head())
    assert not state.head_known(0, LogHash(NO_LOG))


def test_a_commit_of_another_workspace_is_denied(scene: Scene) -> None:
    verdict = scene.journal.judge(scene.journal.commit(scene.laptop, workspace=bytes(32)))
    assert refused(verdict).reason is CommitReason.DENIED


# --- rule 3: devices, roles, signatures ----------------------------------------------------------------


def test_a_device_that_was_never_added_is_denied(scene: Scene) -> None:
    stranger = make_device("stranger")
    assert refused(scene.journal.judge(scene.journal.commit(stranger))).reason is CommitReason.DENIED


def test_a_device_no_longer_active_is_denied_but_told_of_what_was_accepted(scene: Scene) -> None:
    commit = scene.journal.commit(scene.phone)
    scene.journal.accept(commit)
    known = scene.journal.state.devices[scene.phone.id]
    scene.journal.state.devices[scene.phone.id] = type(known)(known.user, known.keys, False, known.last_number)
    assert refused(scene.journal.judge(scene.journal.commit(scene.phone))).reason is CommitReason.DENIED
    assert isinstance(scene.journal.judge(commit), Repeated)


def test_a_signature_over_anything_else_is_denied(scene: Scene) -> None:
    good = scene.journal.commit(scene.laptop, scene.journal.change("a"))
    other = scene.journal.commit(scene.laptop, scene.journal.change("a", sealed=b"other"))
    for commit in (
        msgspec.structs.replace(good, body=other.body),
        msgspec.structs.replace(good, signature=bytes(64)),
        msgspec.structs.replace(good, header=msgspec.structs.replace(good.header, time=1)),
    ):
        assert refused(scene.journal.judge(commit)).reason is CommitReason.DENIED


def test_block_lists_cannot_be_exchanged_under_a_signature(scene: Scene) -> None:
    good = scene.journal.commit(scene.laptop, scene.journal.change("a", added=[block_id(1)]))
    assert isinstance(good.body, Entries)
    change = msgspec.structs.replace(good.body.changes[0], added=block_id(2))
    commit = msgspec.structs.replace(good, body=Entries((change,)))
    assert refused(scene.journal.judge(commit)).reason is CommitReason.DENIED


def test_a_viewer_may_not_change_entries(scene: Scene) -> None:
    scene.journal.state.roles[scene.ana.id] = Role.VIEWER
    verdict = scene.journal.judge(scene.journal.commit(scene.laptop, scene.journal.change("a")))
    assert refused(verdict).reason is CommitReason.DENIED


@pytest.mark.parametrize("role", [Role.EDITOR, Role.MANAGER, Role.OWNER])
def test_an_editor_and_above_may_change_entries(scene: Scene, role: Role) -> None:
    scene.journal.state.roles[scene.ana.id] = role
    scene.journal.put(scene.laptop, scene.journal.change("a"))


def test_a_commit_without_changes_needs_only_a_valid_device(scene: Scene) -> None:
    del scene.journal.state.roles[scene.ana.id]
    scene.journal.put(scene.laptop)
    verdict = scene.journal.judge(scene.journal.commit(scene.laptop, scene.journal.change("a")))
    assert refused(verdict).reason is CommitReason.DENIED


# --- adding a device -----------------------------------------------------------------------------------


def test_a_device_of_a_member_adds_itself(scene: Scene) -> None:
    tablet = scene.ana.pair("tablet")
    delta = scene.journal.accept(scene.journal.add_device(scene.ana, tablet))
    assert delta.workspace.last_control == delta.digest
    assert scene.journal.state.chains[scene.ana.id].length == len(scene.ana.links)
    scene.journal.put(tablet, scene.journal.change("from the tablet"))


def test_a_viewers_device_may_add_itself(scene: Scene) -> None:
    scene.journal.state.roles[scene.ana.id] = Role.VIEWER
    scene.journal.accept(scene.journal.add_device(scene.ana, scene.ana.pair("tablet")))


def test_a_device_is_added_once(scene: Scene) -> None:
    verdict = scene.journal.judge(scene.journal.add_device(scene.ana, scene.phone))
    assert refused(verdict).reason is CommitReason.DENIED


def test_a_device_of_nobody_here_is_not_added(scene: Scene) -> None:
    ben = TestUser("ben")
    verdict = scene.journal.judge(scene.journal.add_device(ben, ben.devices[0]))
    assert refused(verdict).reason is CommitReason.DENIED
    disguised = scene.journal.add_device(ben, ben.devices[0], user=scene.ana.id)
    assert refused(scene.journal.judge(disguised)).reason is CommitReason.DENIED


def test_two_devices_adding_themselves_at_once_are_told_that_the_control_commit_moved(scene: Scene) -> None:
    tablet, desk = scene.ana.pair("tablet"), scene.ana.pair("desk")
    late = scene.journal.add_device(scene.ana, desk)
    scene.journal.accept(scene.journal.add_device(scene.ana, tablet))
    assert refused(scene.journal.judge(late)).reason is CommitReason.CONTROL_MOVED
    scene.journal.accept(scene.journal.add_device(scene.ana, desk))


def test_ordinary_commits_do_not_move_the_control_commit(scene: Scene) -> None:
    adding = scene.journal.add_device(scene.ana, scene.ana.pair("tablet"))
    scene.journal.put(scene.laptop, scene.journal.change("a"))
    scene.journal.accept(adding)


def test_a_chain_that_does_not_extend_the_longest_seen_is_denied(scene: Scene) -> None:
    fork = TestUser("ana")
    tablet = fork.pair("tablet")
    assert refused(scene.journal.judge(scene.journal.add_device(fork, tablet))).reason is CommitReason.DENIED
    desk = scene.ana.pair("desk")
    short = tuple(scene.ana.links)
    scene.journal.accept(scene.journal.add_device(scene.ana, scene.ana.pair("tablet")))
    verdict = scene.journal.judge(scene.journal.add_device(scene.ana, desk, chain=short))
    assert refused(verdict).reason is CommitReason.DENIED


def test_an_invalid_chain_is_denied(scene: Scene) -> None:
    tablet = scene.ana.pair("tablet")
    broken = (*scene.ana.links[:-1], msgspec.structs.replace(scene.ana.links[-1], signatures=(bytes(64), bytes(64))))
    verdict = scene.journal.judge(scene.journal.add_device(scene.ana, tablet, chain=broken))
    assert refused(verdict).reason is CommitReason.DENIED


# --- rule 4: bases -------------------------------------------------------------------------------------


def test_a_change_on_an_older_version_is_stale_and_is_told_the_head(scene: Scene) -> None:
    stale = scene.journal.change("a")
    scene.journal.put(scene.laptop, stale)
    verdict = refused(scene.journal.judge(scene.journal.commit(scene.phone, stale)))
    assert change_reasons(verdict) == {entry_id("a"): ChangeReason.STALE}
    assert verdict.changes[0].head == scene.journal.state.entries[entry_id("a")].head


def test_a_base_that_never_was_is_stale(scene: Scene) -> None:
    verdict = scene.journal.judge(scene.journal.commit(scene.phone, scene.journal.change("a", base=other_change())))
    assert change_reasons(verdict) == {entry_id("a"): ChangeReason.STALE}


def test_bases_are_known_before_anybody_has_ordered_the_changes(scene: Scene) -> None:
    first = scene.journal.put(scene.laptop, scene.journal.change("a"))
    second = scene.journal.change("a", sealed=b"second", base=first.entries[0][1].head)
    delta = scene.journal.put(scene.laptop, second)
    assert delta.entries[0][1].head != first.entries[0][1].head


def test_one_refused_change_refuses_all_of_the_commit(scene: Scene) -> None:
    scene.journal.put(scene.laptop, scene.journal.change("a"))
    commit = scene.journal.commit(
        scene.laptop, scene.journal.change("b"), scene.journal.change("a", base=other_change())
    )
    assert change_reasons(scene.journal.judge(commit)) == {entry_id("a"): ChangeReason.STALE}


# --- rule 5: the resulting state -----------------------------------------------------------------------


def test_a_name_in_use_is_taken_and_its_holder_is_named(scene: Scene) -> None:
    scene.journal.put(scene.laptop, scene.journal.change("a", name="x"))
    verdict = refused(scene.journal.judge(scene.journal.commit(scene.phone, scene.journal.change("b", name="x"))))
    assert change_reasons(verdict) == {entry_id("b"): ChangeReason.NAME_TAKEN}
    assert verdict.changes[0].ids == (entry_id("a"),)


def test_of_two_new_entries_with_one_name_the_first_has_it(scene: Scene) -> None:
    commit = scene.journal.commit(
        scene.laptop, scene.journal.change("a", name="x"), scene.journal.change("b", name="x")
    )
    assert change_reasons(scene.journal.judge(commit)) == {entry_id("b"): ChangeReason.NAME_TAKEN}


def test_an_entry_that_is_edited_in_place_keeps_its_name_against_one_that_comes(scene: Scene) -> None:
    scene.journal.put(scene.laptop, scene.journal.change("a", name="x"))
    commit = scene.journal.commit(
        scene.laptop, scene.journal.change("b", name="x"), scene.journal.change("a", name="x", sealed=b"edited")
    )
    assert change_reasons(scene.journal.judge(commit)) == {entry_id("b"): ChangeReason.NAME_TAKEN}


def test_two_entries_swap_names_without_a_third(scene: Scene) -> None:
    scene.journal.put(scene.laptop, scene.journal.change("a"), scene.journal.change("b"))
    scene.journal.put(scene.laptop, scene.journal.change("a", name="b"), scene.journal.change("b", name="a"))


def test_a_file_gives_its_name_to_a_directory_that_replaces_it(scene: Scene) -> None:
    scene.journal.put(scene.laptop, scene.journal.change("file", name="x"))
    scene.journal.put(scene.laptop, scene.journal.directory("dir", name="x"), scene.journal.deletion("file"))


def test_a_directory_and_what_is_in_it_may_come_in_one_commit_in_any_order(scene: Scene) -> None:
    changes = (scene.journal.change("file", parent=entry_id("dir")), scene.journal.directory("dir"))
    scene.journal.put(scene.laptop, *changes)


@pytest.mark.parametrize("parent", ["missing", "file", "deleted", "below deleted"])
def test_a_parent_must_be_a_live_directory(scene: Scene, parent: str) -> None:
    journal = scene.journal
    journal.put(scene.laptop, journal.change("file"), journal.directory("deleted"))
    journal.put(scene.laptop, journal.directory("below deleted", entry_id("deleted")))
    journal.put(scene.laptop, journal.deletion("deleted"))
    verdict = journal.judge(journal.commit(scene.laptop, journal.change("new", entry_id(parent))))
    assert change_reasons(verdict) == {entry_id("new"): ChangeReason.PARENT_GONE}


def test_nothing_is_put_into_a_directory_that_the_same_commit_deletes(scene: Scene) -> None:
    scene.journal.put(scene.laptop, scene.journal.directory("dir"))
    commit = scene.journal.commit(
        scene.laptop, scene.journal.deletion("dir"), scene.journal.change("new", entry_id("dir"))
    )
    assert change_reasons(scene.journal.judge(commit)) == {entry_id("new"): ChangeReason.PARENT_GONE}


def test_a_directory_is_not_moved_below_itself(scene: Scene) -> None:
    journal = scene.journal
    journal.put(scene.laptop, journal.directory("a"), journal.directory("b", entry_id("a")), journal.directory("c"))
    verdict = journal.judge(journal.commit(scene.laptop, journal.directory("a", entry_id("b"))))
    assert change_reasons(verdict) == {entry_id("a"): ChangeReason.CYCLE}
    verdict = journal.judge(journal.commit(scene.laptop, journal.directory("c", entry_id("c"))))
    assert change_reasons(verdict) == {entry_id("c"): ChangeReason.CYCLE}


def test_two_directories_are_not_moved_into_each_other_by_one_commit(scene: Scene) -> None:
    journal = scene.journal
    journal.put(scene.laptop, journal.directory("a"), journal.directory("b"))
    commit = journal.commit(scene.laptop, journal.directory("a", entry_id("b")), journal.directory("b", entry_id("a")))
    assert set(change_reasons(journal.judge(commit)).values()) == {ChangeReason.CYCLE}


def test_parent_and_child_may_change_places(scene: Scene) -> None:
    journal = scene.journal
    journal.put(scene.laptop, journal.directory("a"), journal.directory("b", entry_id("a")))
    journal.put(scene.laptop, journal.directory("b", ROOT), journal.directory("a", entry_id("b")))


def test_a_kind_never_changes(scene: Scene) -> None:
    scene.journal.put(scene.laptop, scene.journal.change("a"))
    verdict = scene.journal.judge(scene.journal.commit(scene.laptop, scene.journal.directory("a")))
    assert change_reasons(verdict) == {entry_id("a"): ChangeReason.WRONG_KIND}


def test_what_is_deleted_is_not_deleted_again(scene: Scene) -> None:
    journal = scene.journal
    journal.put(scene.laptop, journal.directory("dir"), journal.change("file", entry_id("dir")))
    journal.put(scene.laptop, journal.deletion("dir"))
    for label in ("dir", "file"):
        verdict = journal.judge(journal.commit(scene.laptop, journal.deletion(label)))
        assert change_reasons(verdict) == {entry_id(label): ChangeReason.NOT_LIVE}


def test_a_directory_and_what_is_in_it_may_be_deleted_by_one_commit(scene: Scene) -> None:
    journal = scene.journal
    journal.put(scene.laptop, journal.directory("dir"), journal.change("file", entry_id("dir")))
    journal.put(scene.laptop, journal.deletion("dir"), journal.deletion("file"))


def test_a_change_below_a_deleted_directory_must_bring_its_entry_out(scene: Scene) -> None:
    journal = scene.journal
    journal.put(scene.laptop, journal.directory("dir"), journal.change("file", entry_id("dir")))
    journal.put(scene.laptop, journal.deletion("dir"))
    edit = journal.change("file", entry_id("dir"), sealed=b"edit")
    assert change_reasons(journal.judge(journal.commit(scene.laptop, edit))) == {
        entry_id("file"): ChangeReason.PARENT_GONE
    }
    journal.put(scene.laptop, journal.change("file", ROOT))


def test_a_restored_directory_brings_back_what_was_in_it(scene: Scene) -> None:
    journal = scene.journal
    journal.put(scene.laptop, journal.directory("dir"), journal.change("file", entry_id("dir")))
    journal.put(scene.laptop, journal.deletion("dir"))
    journal.put(scene.laptop, journal.directory("dir"))
    journal.put(scene.laptop, journal.change("file", entry_id("dir"), sealed=b"edit"))
    twin = journal.commit(scene.laptop, journal.change("twin", entry_id("dir"), "file"))
    assert change_reasons(journal.judge(twin)) == {entry_id("twin"): ChangeReason.NAME_TAKEN}


def test_a_name_given_up_by_a_deletion_is_free_until_somebody_restores(scene: Scene) -> None:
    journal = scene.journal
    journal.put(scene.laptop, journal.change("old", name="x"))
    journal.put(scene.laptop, journal.deletion("old"))
    journal.put(scene.laptop, journal.change("new", name="x"))
    verdict = journal.judge(journal.commit(scene.laptop, journal.change("old", name="x")))
    assert change_reasons(verdict) == {entry_id("old"): ChangeReason.NAME_TAKEN}


def test_a_deletion_keeps_parent_and_name(scene: Scene) -> None:
    journal = scene.journal
    journal.put(scene.laptop, journal.change("a"), journal.directory("dir"))
    for moved in (
        journal.change("a", name="b", deleted=True),
        journal.change("a", entry_id("dir"), deleted=True, name_key=key_of(ROOT, "a")),
    ):
        verdict = journal.judge(journal.commit(scene.laptop, moved))
        assert change_reasons(verdict) == {entry_id("a"): ChangeReason.MALFORMED}


def test_an_entry_is_not_born_deleted(scene: Scene) -> None:
    verdict = scene.journal.judge(scene.journal.commit(scene.laptop, scene.journal.change("a", deleted=True)))
    assert change_reasons(verdict) == {entry_id("a"): ChangeReason.MALFORMED}


def test_the_root_is_never_changed(scene: Scene) -> None:
    verdict = scene.journal.judge(scene.journal.commit(scene.laptop, scene.journal.directory(ROOT)))
    assert change_reasons(verdict) == {ROOT: ChangeReason.MALFORMED}


def test_one_commit_changes_an_entry_once(scene: Scene) -> None:
    commit = scene.journal.commit(scene.laptop, scene.journal.change("a"), scene.journal.change("a", name="b"))
    assert change_reasons(scene.journal.judge(commit)) == {entry_id("a"): ChangeReason.MALFORMED}


def test_nothing_is_put_too_deep(scene: Scene) -> None:
    journal = scene.journal
    parents = [ROOT, *(entry_id(level) for level in range(1, limits.PATH_DEPTH + 1))]
    journal.put(scene.laptop, *(journal.directory(level, parents[level - 1]) for level in range(1, len(parents))))
    verdict = journal.judge(journal.commit(scene.laptop, journal.change("new", parents[-1])))
    assert change_reasons(verdict) == {entry_id("new"): ChangeReason.TOO_DEEP}
    journal.put(scene.laptop, journal.change("new", parents[-2]))


# --- rule 6: deletions of directories ------------------------------------------------------------------


@dataclass
class Below(Scene):
    """dir/sub/file, seen by both at `seen`."""

    seen: int


@pytest.fixture
def below(scene: Scene) -> Below:
    journal = scene.journal
    journal.put(scene.laptop, journal.directory("dir"), journal.directory("sub", entry_id("dir")))
    journal.put(scene.laptop, journal.change("file", entry_id("sub")))
    return Below(journal, scene.ana, scene.laptop, scene.phone, journal.state.workspace.seq)


def test_an_edit_that_the_deleter_never_saw_refuses_the_deletion_and_is_named(below: Below) -> None:
    journal = below.journal
    journal.put(below.phone, journal.change("file", entry_id("sub"), sealed=b"edit"))
    verdict = refused(journal.judge(journal.commit(below.laptop, journal.deletion("dir", seen_seq=below.seen))))
    assert change_reasons(verdict) == {entry_id("dir"): ChangeReason.UNSEEN}
    assert verdict.changes[0].ids == (entry_id("file"),)
    journal.put(below.laptop, journal.deletion("dir"))


def test_a_deletion_that_saw_the_edit_beyond_its_seq_is_legal(below: Below) -> None:
    journal = below.journal
    edit = journal.put(below.phone, journal.change("file", entry_id("sub"), sealed=b"edit"))
    journal.put(below.laptop, journal.deletion("dir", seen_seq=below.seen, seen=[edit.digest]))


def test_the_deleters_own_later_edits_were_seen(below: Below) -> None:
    journal = below.journal
    journal.put(below.laptop, journal.change("file", entry_id("sub"), sealed=b"edit"))
    journal.put(below.laptop, journal.deletion("dir", seen_seq=below.seen))


def test_something_new_or_moved_in_refuses_the_deletion(below: Below) -> None:
    journal = below.journal
    journal.put(below.phone, journal.directory("away"))
    journal.put(below.phone, journal.change("new", entry_id("sub")), journal.directory("away", entry_id("dir")))
    verdict = refused(journal.judge(journal.commit(below.laptop, journal.deletion("dir", seen_seq=below.seen))))
    assert set(verdict.changes[0].ids) == {entry_id("new"), entry_id("away")}


def test_what_was_moved_out_or_deleted_by_others_refuses_nothing(below: Below) -> None:
    journal = below.journal
    journal.put(below.phone, journal.change("other", entry_id("dir")))
    seen = journal.state.workspace.seq
    journal.put(below.phone, journal.change("file", ROOT), journal.deletion("other"))
    journal.put(below.laptop, journal.deletion("dir", seen_seq=seen))


def test_an_edit_that_the_same_commit_moves_out_refuses_nothing(below: Below) -> None:
    journal = below.journal
    journal.put(below.phone, journal.change("file", entry_id("sub"), sealed=b"edit"))
    journal.put(below.laptop, journal.deletion("dir", seen_seq=below.seen), journal.change("file", ROOT))


def test_an_edit_below_a_nested_deletion_refuses_the_innermost(below: Below) -> None:
    journal = below.journal
    journal.put(below.phone, journal.change("file", entry_id("sub"), sealed=b"edit"))
    commit = journal.commit(
        below.laptop, journal.deletion("dir", seen_seq=below.seen), journal.deletion("sub", seen_seq=below.seen)
    )
    assert change_reasons(journal.judge(commit)) == {entry_id("sub"): ChangeReason.UNSEEN}


def test_what_each_deletion_saw_counts_for_itself(below: Below) -> None:
    journal = below.journal
    journal.put(below.laptop, journal.directory("other"))
    journal.put(below.phone, journal.change("file", entry_id("sub"), sealed=b"edit"))
    seq = journal.state.workspace.seq
    journal.put(below.laptop, journal.deletion("dir", seen_seq=seq), journal.deletion("other", seen_seq=below.seen))


def test_edits_elsewhere_refuse_nothing(below: Below) -> None:
    journal = below.journal
    journal.put(below.phone, journal.change("elsewhere"))
    journal.put(below.laptop, journal.deletion("dir", seen_seq=below.seen))


def test_only_a_directorys_deletion_says_what_was_seen(below: Below) -> None:
    journal = below.journal
    deletion = journal.deletion("dir")
    without = msgspec.structs.replace(deletion, clear=msgspec.structs.replace(deletion.clear, seen=None))
    extra = journal.change("file", entry_id("sub"), seen=deletion.clear.seen)
    ahead = journal.deletion("dir", seen_seq=journal.state.workspace.seq + 1)
    for change in (without, extra, ahead):
        verdict = journal.judge(journal.commit(below.laptop, change))
        assert set(change_reasons(verdict).values()) == {ChangeReason.MALFORMED}


# --- rule 7, everybody's part --------------------------------------------------------------------------


@pytest.mark.parametrize("epoch", [2, 7])
def test_a_sealed_part_of_another_epoch_is_refused(scene: Scene, epoch: int) -> None:
    verdict = scene.journal.judge(scene.journal.commit(scene.laptop, scene.journal.change("a", epoch=epoch)))
    assert refused(verdict).reason is CommitReason.OLD_EPOCH


ONE, TWO = block_id(1), block_id(2)


@pytest.mark.parametrize(
    "parts",
    [
        {"added": [ONE[:31]]},
        {"removed": [ONE, b"x"]},
        {"added": [ONE, ONE]},
        {"removed": [TWO, TWO]},
        {"added": [ONE], "removed": [ONE]},
        {"added": [ONE], "padded_bytes": 0},
        {"padded_bytes": 10},
        {"added": [ONE], "kind": Kind.DIRECTORY},
        {"removed": [ONE], "kind": Kind.SYMLINK},
    ],
    ids=[
        "a piece of an id",
        "an id and a piece",
        "added twice",
        "removed twice",
        "added and removed",
        "blocks without bytes",
        "bytes without blocks",
        "blocks of a directory",
        "blocks of a link",
    ],
)
def test_block_lists_that_cannot_be_right_are_malformed(scene: Scene, parts: dict[str, object]) -> None:
    change = scene.journal.change("a", **parts)  # type: ignore[arg-type]
    verdict = scene.journal.judge(scene.journal.commit(scene.laptop, change))
    assert change_reasons(verdict) == {entry_id("a"): ChangeReason.MALFORMED}


def test_a_deletion_lists_no_blocks(scene: Scene) -> None:
    scene.journal.put(scene.laptop, scene.journal.change("a", added=[ONE]))
    deletion = msgspec.structs.replace(scene.journal.deletion("a"), removed=ONE)
    verdict = scene.journal.judge(scene.journal.commit(scene.laptop, deletion))
    assert change_reasons(verdict) == {entry_id("a"): ChangeReason.MALFORMED}


# --- what is not supported yet, and purged rows --------------------------------------------------------


def test_mounts_and_offered_versions_are_refused_as_not_supported(scene: Scene) -> None:
    for change in (scene.journal.change("a", kind=Kind.MOUNT), scene.journal.change("a", offered=True)):
        verdict = scene.journal.judge(scene.journal.commit(scene.laptop, change))
        assert refused(verdict).reason is CommitReason.NOT_SUPPORTED


def purged(commit: Commit) -> Commit:
    assert isinstance(commit.body, Entries)
    changes = tuple(
        PurgedChange(
            change.clear,
            HASHES.sealed_hash(change.sealed),
            HASHES.lists_hash(lists_bytes(change.added, change.removed)),
        )
        for change in commit.body.changes
        if not isinstance(change, PurgedChange)
    )
    return msgspec.structs.replace(commit, body=Entries(changes))


def test_a_purged_change_is_no_proposal_but_replays_to_the_same_state(scene: Scene) -> None:
    commit = scene.journal.commit(scene.laptop, scene.journal.change("a", added=[ONE]))
    whole = scene.journal.judge(commit)
    assert isinstance(whole, Delta)
    assert refused(scene.journal.judge(purged(commit))).reason is CommitReason.MALFORMED
    assert judge(scene.journal.state, purged(commit), HASHES, replay=True) == whole


# --- replaying rows ------------------------------------------------------------------------------------


def test_a_journal_replays_row_by_row_to_the_state_it_made(below: Below) -> None:
    journal = below.journal
    journal.put(below.laptop, journal.deletion("dir"))
    state, log_hash = MemoryState(), LogHash(NO_LOG)
    for seq, commit in enumerate(journal.commits, 1):
        row_commit = purged(commit) if isinstance(commit.body, Entries) else commit
        verdict = judge(state, row_commit, HASHES, replay=True)
        assert isinstance(verdict, Delta)
        log_hash = LogHash(HASHES.log_hash(log_hash, verdict.digest))
        row = JournalRow(seq, log_hash, seq, row_commit)
        delta = judge_row(state, row, HASHES)
        assert isinstance(delta, Delta)
        state.apply(delta)
    assert state.entries == journal.state.entries
    assert state.workspace == journal.state.workspace
    assert state.devices == journal.state.devices


def test_a_row_out_of_place_or_with_another_log_hash_is_refused(scene: Scene) -> None:
    journal = scene.journal
    commit = journal.commit(scene.laptop)
    delta = journal.judge(commit)
    assert isinstance(delta, Delta)
    good = JournalRow(delta.workspace.seq, delta.workspace.log_hash, 0, commit)
    assert judge_row(journal.state, good, HASHES) == delta
    for row in (
        msgspec.structs.replace(good, seq=1),
        msgspec.structs.replace(good, seq=3),
        msgspec.structs.replace(good, log_hash=seed("other")),
        JournalRow(2, good.log_hash, 0, journal.commits[0]),
    ):
        assert isinstance(judge_row(journal.state, row, HASHES), Refused)


def test_a_view_that_can_is_asked_once_for_everything_it_will_be_asked_for(scene: Scene) -> None:
    asked: list[tuple[set[EntryId], set[tuple[EntryId, bytes]]]] = []

    class Bulk(MemoryState):
        def prefetch(self, entries: object, names: object) -> None:
            asked.append((set(entries), set(names)))  # type: ignore[call-overload]

    state = Bulk()
    first = judge(state, scene.journal.commits[0], HASHES)
    assert isinstance(first, Delta)
    state.apply(first)
    verdict = judge(state, scene.journal.commit(scene.laptop, scene.journal.change("a")), HASHES)
    assert isinstance(verdict, Delta)
    assert asked == [({entry_id("a"), ROOT}, {(ROOT, key_of(ROOT, "a"))})]
