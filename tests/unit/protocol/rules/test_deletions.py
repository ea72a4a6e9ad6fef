"""The judge: rule 6, what whoever deletes a directory must have seen."""

import msgspec

from protocol.ids import ROOT
from protocol.messages import ChangeReason
from tests.common.journals import (
    entry_id,
)
from tests.unit.protocol.rules.scene import Below, change_reasons, refused


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
