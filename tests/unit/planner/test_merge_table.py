"""Every row of the merge table, in both orders where it has two."""

from dataclasses import replace

from peer.planner.operations import (
    AdoptEntry,
    ForgetEntry,
    ForkEntry,
    MarkSynced,
    ProposeChange,
    SetAttributes,
    Undone,
    WriteContent,
)
from peer.planner.trees import Attributes, Node, SyncedNode
from protocol.ids import ChangeId
from protocol.model import Kind
from tests.properties.planner.edits import content, derive, fingerprint, put_local, put_remote
from tests.properties.planner.playing import play, steps_of
from tests.unit.planner.story import COPY, DIRECTORY_COPY, T0, Story

HOUR = 3600 * 10**9


def test_nothing_changed_nothing_is_done() -> None:
    story = Story().given(d=None, d__a=1)
    assert story.plan().waves == ()
    assert story.plan().target == ()


def test_a_remote_change_is_applied_to_the_disk() -> None:
    story = Story().given(d=None, a=1, b=2, c=3)
    story.there.edit("a", 4)
    story.there.move("b", "d/b2")
    story.there.delete("c")
    story.there.directory("e")
    story.there.file("e/f", 5)
    assert story.settle() == {"d": None, "a": 4, "d/b2": 2, "e": None, "e/f": 5}
    assert not story.operations(ProposeChange)


def test_a_local_change_is_proposed() -> None:
    story = Story().given(d=None, a=1, b=2, c=3)
    story.here.edit("a", 4)
    story.here.move("b", "d/b2")
    story.here.delete("c")
    story.here.directory("e")
    story.here.file("e/f", 5)
    assert story.settle() == {"d": None, "a": 4, "d/b2": 2, "e": None, "e/f": 5}
    assert {type(one) for one in story.operations()} == {ProposeChange}


def test_a_removed_directory_is_proposed_as_one_deletion() -> None:
    story = Story().given(d=None, d__e=None, d__e__a=1, d__b=2)
    story.here.delete("d")
    assert story.settle() == {}
    assert len(story.operations(ProposeChange)) == 1
    assert not story.operations(ForgetEntry), "their bases go with the directory's"
    assert not list(story.trees.synced_rows)


def test_what_somebody_moves_out_of_a_directory_while_its_deletion_is_under_way_lives() -> None:
    story = Story().given(d=None, d__a=1, d__b=2)
    story.here.delete("d")
    steps = [step for step in steps_of(story.plan()) if isinstance(step[0], ProposeChange)]
    story.there.move("d/a", "a")
    play(story.trees, steps[0])
    assert story.settle() == {"a": 1}


def test_the_same_value_on_both_sides_is_adopted_and_nothing_moves() -> None:
    story = Story().given(d=None, a=1, b=2, c=3)
    for side in (story.here, story.there):
        side.edit("a", 4)
        side.move("b", "d/b2")
        side.delete("c")
    assert story.settle() == {"d": None, "a": 4, "d/b2": 2}
    assert {type(one) for one in story.operations()} == {MarkSynced, ForgetEntry}


def test_content_changed_on_both_sides_keeps_both() -> None:
    story = Story().given(**{"a.txt": 1})
    entry = story.here.find("a.txt").entry
    story.there.edit("a.txt", 2)
    story.here.edit("a.txt", 3)
    assert story.settle() == {"a.txt": 2, f"a{COPY}.txt": 3}
    copy = story.here.find(f"a{COPY}.txt")
    before, digest = bytes(31) + b"\1", bytes(31) + b"\3"
    assert copy.entry == derive("conflicted copy", (entry, before, digest, bytes(3) + b"\1"))
    assert story.trees.remote_rows.rows[copy.entry].copy_of == entry
    kinds = [type(one) for one in story.operations(ForkEntry, WriteContent)]
    assert kinds == [ForkEntry, WriteContent], "renamed first, overwritten after"


def test_one_edit_is_one_copy_whichever_version_of_the_same_content_it_was_made_over() -> None:
    copies = set()
    for is_committed_again in (False, True):
        story = Story().given(a=1)
        entry = story.here.find("a").entry
        row = story.trees.synced(entry)
        assert row is not None
        if is_committed_again:
            story.trees.put_synced((replace(row, content_base=ChangeId(bytes(32))),))
        story.there.edit("a", 2)
        story.here.edit("a", 3)
        assert story.settle() == {"a": 2, f"a{COPY}": 3}
        copies.add(story.here.find(f"a{COPY}").entry)
    assert len(copies) == 1


def test_a_later_version_that_was_put_here_without_a_row_is_no_edit() -> None:
    story = Story().given(a=1)
    story.there.edit("a", 2)
    story.here.edit("a", 2)
    story.there.edit("a", 3)
    assert story.settle() == {"a": 3}
    assert [type(one) for one in story.operations()] == [WriteContent]


def test_a_later_version_that_was_put_here_without_a_row_goes_with_its_deletion() -> None:
    story = Story().given(a=1)
    story.there.edit("a", 2)
    story.here.edit("a", 2)
    story.there.delete("a")
    assert story.settle() == {}
    assert not story.operations(ProposeChange)


def test_an_executable_bit_that_came_with_a_later_version_put_here_is_nobodys_edit() -> None:
    story = Story().given(a=1)
    story.there.edit("a", 2)
    story.there.mark("a", executable=True)
    story.here.edit("a", 2)
    story.here.mark("a", executable=True)
    story.there.mark("a", executable=False)
    assert story.settle() == {"a": 2}
    assert not story.operations(ProposeChange)


def test_content_from_before_the_base_is_an_edit_that_brings_it_back() -> None:
    story = Story().given(a=1)
    story.there.edit("a", 2)
    story.settle()
    story.here.edit("a", 1)
    story.there.edit("a", 3)
    assert story.settle() == {"a": 3, "a" + COPY: 1}


def test_content_that_others_took_back_to_the_base_is_an_edit() -> None:
    story = Story().given(a=1, b=1)
    for name in "ab":
        story.there.edit(name, 2)
        story.there.edit(name, 1)
        story.here.edit(name, 2)
    story.there.edit("b", 3)
    assert story.settle() == {"a": 2, "b": 3, "b" + COPY: 2}


def test_a_conflicted_copy_whose_name_is_taken_is_numbered() -> None:
    story = Story().given(**{"a.txt": 1, f"a{COPY}.txt": 7})
    story.there.edit("a.txt", 2)
    story.here.edit("a.txt", 3)
    assert story.settle() == {"a.txt": 2, f"a{COPY}.txt": 7, f"a{COPY}-2.txt": 3}


def test_a_conflicted_copy_whose_id_was_deleted_gets_another_id() -> None:
    story = Story().given(a=1)
    story.there.edit("a", 2)
    story.here.edit("a", 3)
    again = story.trees.copy()
    story.settle()
    gone = story.here.find("a" + COPY)
    story.there.delete("a" + COPY)
    again.remote_rows = story.trees.remote_rows
    story.trees = again
    assert story.settle() == {"a": 2, "a" + COPY: 3}
    assert story.here.find("a" + COPY).entry != gone.entry


def _copied_elsewhere(story: Story) -> None:
    """Another device has made, of the same edit of `a`, the conflicted copy that this one would make."""
    entry, above = story.here.find("a").entry, story.here.find("")
    copy = derive("conflicted copy", (entry, content(1).digest, content(3).digest, bytes(3) + b"\1"))
    put_remote(story.trees, Node(copy, Kind.FILE, above.entry, "a of Bob", content(3), Attributes(False, T0)))
    story.there.edit("a", 2)


def test_the_same_edit_on_two_devices_is_one_conflicted_copy() -> None:
    story = Story().given(a=1)
    story.here.edit("a", 3)
    _copied_elsewhere(story)
    assert story.settle() == {"a": 2, "a of Bob": 3}


def test_the_same_edit_on_two_devices_is_one_conflicted_copy_also_where_that_has_arrived_before() -> None:
    story = Story().given(a=1)
    _copied_elsewhere(story)
    node = story.there.find("a of Bob")
    put_local(story.trees, node)
    head = story.trees.remote_rows.rows[node.entry].head
    story.trees.synced_rows.put(SyncedNode(node, head, fingerprint(node)))
    story.here.edit("a", 3)
    assert story.settle() == {"a": 2, "a of Bob": 3}
    (written,) = story.operations()
    assert isinstance(written, WriteContent)
    assert written.kept_as == node.entry


def test_a_copy_that_has_been_edited_since_keeps_nothing_of_the_same_edit_here() -> None:
    story = Story().given(a=1)
    _copied_elsewhere(story)
    node = story.there.find("a of Bob")
    put_local(story.trees, replace(node, content=content(4)))
    head = story.trees.remote_rows.rows[node.entry].head
    story.trees.synced_rows.put(SyncedNode(node, head, fingerprint(node)))
    story.here.edit("a", 3)
    assert story.settle() == {"a": 2, "a of Bob": 4, "a" + COPY: 3}


def test_a_copy_that_conflicts_again_is_another_copy_of_the_original() -> None:
    story = Story().given(a=1)
    original = story.here.find("a").entry
    story.there.edit("a", 2)
    story.here.edit("a", 3)
    story.settle()
    story.there.edit("a" + COPY, 4)
    story.here.edit("a" + COPY, 5)
    assert story.settle() == {"a": 2, "a" + COPY: 4, f"a{COPY}-2": 5}
    rows = story.trees.remote_rows.rows.values()
    assert [row.copy_of for row in rows if row.node.content and row.node.content.size == 5] == [original]


def test_moved_on_both_sides_the_remote_place_wins_and_it_is_said() -> None:
    story = Story().given(a=1)
    entry = story.here.find("a").entry
    story.there.move("a", "b")
    story.here.move("a", "c")
    assert story.settle() == {"b": 1}
    assert story.plans[0].undone == (Undone(entry, "moved"),)


def test_moved_there_and_edited_here_both_apply() -> None:
    story = Story().given(a=1)
    story.there.move("a", "b")
    story.here.edit("a", 2)
    assert story.settle() == {"b": 2}


def test_edited_there_and_moved_here_both_apply() -> None:
    story = Story().given(a=1)
    story.there.edit("a", 2)
    story.here.move("a", "b")
    assert story.settle() == {"b": 2}


def test_a_conflict_of_contents_keeps_the_local_move() -> None:
    story = Story().given(a=1)
    story.there.edit("a", 2)
    story.here.move("a", "b")
    story.here.edit("b", 3)
    assert story.settle() == {"b": 2, "b" + COPY: 3}


def test_attributes_there_and_content_here_both_apply() -> None:
    story = Story().given(a=1)
    story.there.mark("a", executable=True, mtime_ns=T0 + 1)
    story.here.edit("a", 2, mtime_ns=T0 + HOUR)
    assert story.settle() == {"a": 2}
    assert story.here.find("a").attributes == Attributes(True, T0 + HOUR)


def test_content_there_and_attributes_here_both_apply() -> None:
    story = Story().given(a=1)
    story.there.edit("a", 2, mtime_ns=T0 + HOUR)
    story.here.mark("a", executable=True, mtime_ns=T0 + 1)
    assert story.settle() == {"a": 2}
    assert story.here.find("a").attributes == Attributes(True, T0 + HOUR)


def test_of_two_executable_bits_and_two_mtimes_the_remote_ones_win_without_a_copy() -> None:
    story = Story().given(a=1)
    story.there.mark("a", executable=True, mtime_ns=T0 + 1)
    story.here.mark("a", mtime_ns=T0 + 2)
    assert story.settle() == {"a": 1}
    assert story.here.find("a").attributes == Attributes(True, T0 + 1)
    assert story.operations(SetAttributes)
    assert not story.operations(WriteContent, ForkEntry)


def test_a_remote_delete_beats_local_attributes() -> None:
    story = Story().given(a=1)
    story.there.delete("a")
    story.here.mark("a", executable=True)
    assert story.settle() == {}


def test_a_local_delete_beats_remote_attributes() -> None:
    story = Story().given(a=1)
    story.there.mark("a", executable=True)
    story.here.delete("a")
    assert story.settle() == {}


def test_a_local_edit_wins_over_a_remote_delete() -> None:
    story = Story().given(a=1)
    entry = story.here.find("a").entry
    story.there.delete("a")
    story.here.edit("a", 2)
    assert story.settle() == {"a": 2}
    assert story.here.find("a").entry == entry


def test_a_remote_edit_wins_over_a_local_delete() -> None:
    story = Story().given(a=1)
    entry = story.here.find("a").entry
    story.there.edit("a", 2)
    story.here.delete("a")
    assert story.settle() == {"a": 2}
    assert story.plans[0].undone == (Undone(entry, "deleted"),)


def test_a_remote_delete_wins_over_a_local_move() -> None:
    story = Story().given(a=1, d=None, d__x=2)
    story.there.delete("a")
    story.there.delete("d")
    story.here.move("a", "b")
    story.here.move("d", "e")
    assert story.settle() == {}


def test_a_local_delete_wins_over_a_remote_move() -> None:
    story = Story().given(a=1, d=None, d__x=2)
    story.there.move("a", "b")
    story.there.move("d", "e")
    story.here.delete("a")
    story.here.delete("d")
    assert story.settle() == {}


def test_what_was_moved_out_here_of_a_directory_deleted_there_lives() -> None:
    story = Story().given(d=None, d__a=1, d__e=None, d__e__b=2, d__c=3)
    story.there.delete("d")
    story.here.move("d/a", "a")
    story.here.move("d/e", "e")
    assert story.settle() == {"a": 1, "e": None, "e/b": 2}


def test_what_was_moved_out_there_of_a_directory_deleted_here_lives() -> None:
    story = Story().given(d=None, d__a=1, d__e=None, d__e__b=2, d__c=3)
    story.there.move("d/a", "a")
    story.there.move("d/e", "e")
    story.there.edit("e/b", 4)
    story.here.delete("d")
    assert story.settle() == {"a": 1, "e": None, "e/b": 4}


def test_what_was_moved_out_there_keeps_all_that_is_in_it_whatever_was_deleted_here() -> None:
    story = Story().given(d=None, d__e=None, d__e__f=None, d__e__f__b=2, d__e__x=3)
    story.there.move("d/e", "e")
    story.there.move("e/x", "e/f/x")
    story.here.delete("d")
    assert story.settle() == {"e": None, "e/f": None, "e/f/b": 2, "e/f/x": 3}


def test_what_was_moved_there_below_a_directory_deleted_here_lives_with_the_directory() -> None:
    story = Story().given(d=None, d__a=1, d__b=2)
    story.there.move("d/a", "d/c")
    story.here.delete("d")
    assert story.settle() == {"d": None, "d/c": 1}


def test_what_was_deleted_alone_here_stays_deleted_though_it_was_moved_there() -> None:
    story = Story().given(d=None, d__a=1, d__b=2)
    story.there.move("d/a", "a")
    story.here.delete("d/a")
    assert story.settle() == {"d": None, "d/b": 2}


def test_below_a_directory_deleted_there_only_what_changed_here_survives() -> None:
    story = Story().given(d=None, d__e=None, d__e__edited=1, d__e__same=2, d__other=3, moved=4)
    old = story.here.find("d/e")
    story.there.delete("d")
    ended = story.trees.remote_rows.rows[story.here.find("d").entry].head
    story.here.edit("d/e/edited", 5)
    story.here.file("d/e/new", 6)
    story.here.move("moved", "d/e/moved")
    assert story.settle() == {"d": None, "d/e": None, "d/e/edited": 5, "d/e/new": 6, "d/e/moved": 4}
    assert story.here.find("d/e").entry == derive("directory made again", (old.entry, ended))


def test_below_a_directory_deleted_here_only_what_changed_there_survives() -> None:
    story = Story().given(d=None, d__e=None, d__e__edited=1, d__e__same=2, d__other=3, moved=4)
    old = story.here.find("d/e")
    story.there.edit("d/e/edited", 5)
    story.there.file("d/e/new", 6)
    story.there.move("moved", "d/e/moved")
    story.here.delete("d")
    assert story.settle() == {"d": None, "d/e": None, "d/e/edited": 5, "d/e/new": 6, "d/e/moved": 4}
    assert story.here.find("d/e").entry == old.entry, "it was never deleted in the journal"


def test_created_on_both_sides_with_the_same_bytes_is_one_entry() -> None:
    story = Story()
    entry = story.there.file("a", 1)
    story.here.file("a", 1)
    assert story.settle() == {"a": 1}
    assert story.here.find("a").entry == entry
    assert [type(one) for one in story.operations()] == [AdoptEntry]


def test_created_on_both_sides_with_other_bytes_keeps_both() -> None:
    story = Story()
    entry = story.there.file("a", 1)
    mine = story.here.file("a", 2)
    assert story.settle() == {"a": 1, "a" + COPY: 2}
    assert story.here.find("a").entry == entry
    assert story.here.find("a" + COPY).entry == mine
    assert story.trees.remote_rows.rows[mine].copy_of == entry


def test_directories_created_on_both_sides_are_merged_child_by_child() -> None:
    story = Story()
    for side, number in ((story.there, 1), (story.here, 2)):
        side.directory("d")
        side.directory("d/e")
        side.file("d/same", 9)
        side.file("d/other", number)
        side.file(f"d/e/mine{number}", number)
    wanted = {"d": None, "d/e": None, "d/same": 9, "d/other": 1, f"d/other{COPY}": 2, "d/e/mine1": 1, "d/e/mine2": 2}
    assert story.settle() == wanted


def test_a_name_taken_there_by_a_move_stays_taken_and_the_local_entry_is_renamed() -> None:
    story = Story().given(a=1, mine=2)
    story.there.move("a", "n")
    story.here.move("mine", "n")
    mine = story.here.find("n").entry
    assert story.settle() == {"n": 1, "n" + COPY: 2}
    assert story.here.find("n" + COPY).entry == mine


def test_a_name_taken_there_by_a_creation_stays_taken_and_the_moved_entry_is_renamed() -> None:
    story = Story().given(mine=2)
    story.there.file("n", 1)
    story.here.move("mine", "n")
    assert story.settle() == {"n": 1, "n" + COPY: 2}


def test_a_name_taken_there_by_a_restored_entry_stays_taken() -> None:
    story = Story().given(a=1)
    node = story.there.find("a")
    story.there.delete("a")
    story.settle()
    story.here.file("a", 2)
    story.there.put(story.trees, node)
    assert story.settle() == {"a": 1, "a" + COPY: 2}


def test_a_moved_directory_is_renamed_and_not_merged() -> None:
    story = Story().given(d=None, d__a=1)
    story.there.directory("n")
    story.there.file("n/b", 2)
    story.here.move("d", "n")
    assert story.settle() == {"n": None, "n/b": 2, "n" + DIRECTORY_COPY: None, f"n{DIRECTORY_COPY}/a": 1}


def test_directories_moved_into_each_other_make_no_cycle() -> None:
    story = Story().given(a=None, b=None)
    entry = story.here.find("b").entry
    story.there.move("a", "b/a")
    story.here.move("b", "a/b")
    assert story.settle() == {"b": None, "b/a": None}
    assert story.plans[0].undone == (Undone(entry, "moved"),)


def test_a_file_replaced_here_by_a_directory_is_two_entries() -> None:
    story = Story().given(a=1)
    old = story.here.find("a").entry
    story.here.delete("a")
    story.here.directory("a")
    story.here.file("a/x", 2)
    assert story.settle() == {"a": None, "a/x": 2}
    assert story.here.find("a").entry != old


def test_a_directory_replaced_there_by_a_file_is_two_entries() -> None:
    story = Story().given(a=None, a__x=2)
    story.there.delete("a")
    story.there.file("a", 1)
    assert story.settle() == {"a": 1}
