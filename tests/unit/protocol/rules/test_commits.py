"""The judge: rules 1 to 3, which look at a commit as a whole, and devices that add themselves."""

import msgspec
import pytest

from protocol.ids import NO_LOG, LogHash
from protocol.messages import CommitReason
from protocol.model import (
    Entries,
    Role,
)
from protocol.rules import Delta, Refused, Repeated, judge
from protocol.state import MemoryState
from tests.common.journals import (
    HASHES,
    TestJournal,
    TestUser,
    block_id,
    make_device,
    other_head,
)
from tests.unit.protocol.rules.scene import Scene, refused

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
    known = scene.journal.state.known_devices[scene.phone.id]
    scene.journal.state.known_devices[scene.phone.id] = type(known)(known.user, known.keys, False, known.last_number)
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
