"""The judge: rules 4 and 5, which look at each change and the state it makes."""

import pytest

from protocol import limits
from protocol.ids import ROOT
from protocol.messages import ChangeReason
from tests.common.journals import (
    entry_id,
    key_of,
    other_change,
)
from tests.unit.protocol.rules.scene import Scene, change_reasons, refused

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
