"""The order of operations and of proposals, and what is held back."""

from dataclasses import replace

import pytest

from peer.planner.effects import Refuted, apply
from peer.planner.operations import (
    PARKED,
    Brake,
    Lately,
    MakeDirectory,
    MarkAbsent,
    MoveEntry,
    ProposeChange,
    RemoveEntry,
    WriteContent,
)
from peer.planner.proposals import cut_commits
from protocol.ids import ROOT
from protocol.limits import COMMIT_CHANGES
from tests.properties.planner.edits import put_local, put_remote
from tests.properties.planner.playing import NOTHING, play, steps_of
from tests.unit.planner.story import COPY, Story


def swap(story: Story, side: str, one: str, other: str) -> None:
    put = put_local if side == "here" else put_remote
    nodes = story.here if side == "here" else story.there
    first, second = nodes.find(one), nodes.find(other)
    put(story.trees, replace(first, name=second.name))
    put(story.trees, replace(second, name=first.name))


def test_names_swapped_here_are_proposed_in_one_commit() -> None:
    story = Story().given(a=1, b=2, c=3)
    swap(story, "here", "a", "b")
    story.here.move("c", "d")
    assert story.settle() == {"a": 2, "b": 1, "d": 3}
    proposals = [one for one in story.operations(ProposeChange) if isinstance(one, ProposeChange)]
    assert [len(one) for one in cut_commits(proposals, 1)] == [1, 2]


def test_names_swapped_there_park_one_entry_with_its_intended_place() -> None:
    story = Story().given(a=1, b=2)
    swap(story, "there", "a", "b")
    made = story.plan()
    moves = [one for wave in made.waves for one in wave]
    assert all(isinstance(one, MoveEntry) for one in moves)
    assert len(moves) == 3
    play(story.trees, (moves[0],))
    parked = story.trees.local_rows.rows[moves[0].entry]
    assert parked.node.name.startswith(PARKED)
    assert parked.intended in ((ROOT, "a"), (ROOT, "b"))
    assert story.settle() == {"a": 2, "b": 1}
    assert not story.operations(ProposeChange)


def test_a_parked_entry_that_was_moved_here_keeps_its_move_after_a_crash() -> None:
    story = Story().given(d=None, d__a=1, e=None, e__b=2)
    swap(story, "there", "d", "e")
    story.here.move("d/a", "d/c")
    made = story.plan()
    play(story.trees, steps_of(made)[0])
    assert story.settle() == {"e": None, "e/c": 1, "d": None, "d/b": 2}


def test_a_circle_of_names_longer_than_a_commit_is_cut_by_a_temporary_name() -> None:
    story = Story()
    count = COMMIT_CHANGES + 1
    story.given(**{f"n{at}": None for at in range(count)})
    nodes = [story.here.find(f"n{at}") for at in range(count)]
    for at, node in enumerate(nodes):
        put_local(story.trees, replace(node, name=f"n{(at + 1) % count}"))
    parked = story.plan()
    assert [[type(one) for one in wave] for wave in parked.waves] == [[ProposeChange]]
    for _ in range(2):
        for step in steps_of(story.plan()):
            play(story.trees, step)
    assert not story.plan().waves
    assert story.there.find("n1").entry == nodes[0].entry


def test_directories_come_before_what_is_in_them_and_contents_in_one_wave() -> None:
    story = Story()
    story.there.directory("d")
    story.there.directory("d/e")
    story.there.file("d/e/a", 1)
    story.there.file("b", 2)
    kinds = [[type(one) for one in wave] for wave in story.plan().waves]
    assert kinds == [[MakeDirectory], [MakeDirectory], [WriteContent, WriteContent]]


def test_removals_come_last_deepest_first() -> None:
    story = Story().given(d=None, d__e=None, d__e__a=1)
    story.there.delete("d")
    story.there.file("b", 2)
    kinds = [[type(one) for one in wave] for wave in story.plan().waves]
    assert kinds == [[WriteContent], [RemoveEntry], [RemoveEntry], [RemoveEntry]]


def test_a_removal_that_makes_room_comes_first() -> None:
    story = Story().given(d=None, d__a=1)
    story.there.delete("d")
    story.there.file("d", 2)
    kinds = [[type(one) for one in wave] for wave in story.plan().waves]
    assert kinds == [[RemoveEntry], [RemoveEntry], [WriteContent]]


def test_what_leaves_a_directory_is_proposed_before_its_deletion() -> None:
    story = Story().given(d=None, d__a=1, d__b=2)
    story.here.move("d/a", "a")
    story.here.delete("d")
    proposals = [one for wave in story.plan().waves for one in wave if isinstance(one, ProposeChange)]
    assert [one.node.deleted for one in proposals] == [False, True]


def test_a_directory_whose_entries_were_not_all_here_stays_and_the_removed_ones_go_singly() -> None:
    story = Story().given(d=None, d__a=1, d__b=2)
    story.absent("d/a")
    story.here.delete("d")
    made = story.plan()
    deleted = [one.node.name for wave in made.waves for one in wave if isinstance(one, ProposeChange)]
    assert deleted == ["b"]
    assert any(isinstance(one, MakeDirectory) for wave in made.waves for one in wave)


def test_absence_by_design_is_no_deletion_and_follows_the_journal() -> None:
    story = Story().given(a=1, b=2)
    story.absent("a")
    story.absent("b")
    assert not story.plan().waves
    story.there.edit("a", 3)
    story.there.delete("b")
    for step in steps_of(story.plan()):
        play(story.trees, step)
    assert story.folder("here") == {}
    assert not story.plan().waves
    assert story.trees.synced_count() == 1


def test_what_comes_below_a_directory_absent_by_design_is_absent_too() -> None:
    story = Story().given(d=None)
    story.absent("d")
    story.there.file("d/a", 1)
    assert [[type(one) for one in wave] for wave in story.plan().waves] == [[MarkAbsent]]


def test_nothing_is_inferred_of_or_done_to_what_could_not_be_read() -> None:
    story = Story().given(d=None, d__a=1, d__e=None, d__e__b=2, c=3)
    story.trees.unreadable.add(story.here.find("d").entry)
    for path in ("d/a", "d/e"):
        story.here.delete(path)
    story.there.edit("d/a", 4)
    story.there.delete("c")
    made = story.plan()
    assert [[type(one) for one in wave] for wave in made.waves] == [[RemoveEntry]]
    assert not set(made.settled) & set(story.trees.local_rows.rows)
    story.trees.unreadable.clear()
    assert story.settle() == {"d": None, "d/a": 4}


def test_a_directory_deleted_there_stays_while_something_in_it_cannot_be_read() -> None:
    story = Story().given(d=None, d__a=1, d__e=None, d__e__b=2)
    story.trees.unreadable.add(story.here.find("d/e").entry)
    story.there.delete("d")
    removed = [one.entry for wave in story.plan().waves for one in wave if isinstance(one, RemoveEntry)]
    assert removed == [story.here.find("d/a").entry]


def test_a_directory_is_not_deleted_elsewhere_while_what_was_moved_out_of_it_cannot_be_read() -> None:
    story = Story().given(d=None, d__e=None, d__e__a=1)
    story.here.move("d/e", "e")
    story.here.delete("d")
    story.trees.unreadable.add(story.here.find("e").entry)
    assert not [one for wave in story.plan().waves for one in wave if isinstance(one, ProposeChange)]
    story.trees.unreadable.clear()
    assert story.settle() == {"e": None, "e/a": 1}


def test_a_viewers_edits_stay_and_removed_files_come_back() -> None:
    story = Story(may_write=False).given(edited=1, both=2, removed=3)
    story.here.edit("edited", 4)
    story.here.edit("both", 5)
    story.there.edit("both", 6)
    story.here.delete("removed")
    story.here.file("new", 7)
    assert story.settle() == {"edited": 4, "both": 6, "both" + COPY: 5, "removed": 3, "new": 7}
    assert not story.operations(ProposeChange)
    withheld = {story.trees.local_rows.rows[entry].node.name for entry in story.plans[-1].withheld}
    assert withheld == {"edited", "both" + COPY, "new"}
    story.policy = replace(story.policy, may_write=True)
    assert story.settle() == {"edited": 4, "both": 6, "both" + COPY: 5, "removed": 3, "new": 7}


@pytest.mark.parametrize(("side", "brake"), [("there", "local"), ("here", "remote")])
def test_many_deletions_wait_for_an_answer(side: str, brake: str) -> None:
    story = Story().given(d=None, **{f"d__{at}": at for at in range(1, 120)}, other=1)
    (story.here if side == "here" else story.there).delete("d")
    made = story.plan()
    assert made.brakes == (Brake(brake, 120, 121),)
    assert made.waves == ()
    before = story.policy
    story.policy = replace(before, confirmed_deletions=True)
    assert story.plan().waves
    story.policy = replace(before, rejected_deletions=True)
    assert len(story.settle()) == 121


@pytest.mark.parametrize(("side", "brake"), [("there", "local"), ("here", "remote")])
def test_small_deletions_meet_the_brake_together(side: str, brake: str) -> None:
    story = Story().given(**{f"a{at}": at for at in range(1, 201)})
    editor = story.here if side == "here" else story.there
    gone = 0
    while True:
        for _ in range(10):
            gone += 1
            editor.delete(f"a{gone}")
        made = story.plan()
        if made.brakes:
            break
        assert len(story.settle()) == 200 - gone
        lately = story.policy.lately
        counts = {"most": 200, "local": lately.local, "remote": lately.remote}
        story.policy = replace(story.policy, lately=Lately(**{**counts, brake: gone}))
    assert gone == 110
    assert made.brakes == (Brake(brake, 110, 200),)
    story.policy = replace(story.policy, confirmed_deletions=True)
    assert len(story.settle()) == 90


def test_what_is_made_and_deleted_all_the_time_does_not_meet_the_brake() -> None:
    story = Story().given(**{f"a{at}": at for at in range(1, 201)})
    story.policy = replace(story.policy, lately=Lately(most=210, local=0, remote=5000))
    story.here.delete("a1")
    assert len(story.settle()) == 199


def test_deletions_of_the_last_while_alone_do_not_meet_the_brake() -> None:
    story = Story().given(a=1, b=2)
    story.policy = replace(story.policy, lately=Lately(most=1000, local=900, remote=900))
    story.there.edit("a", 3)
    assert story.settle() == {"a": 3, "b": 2}


def test_an_operation_on_a_file_that_has_changed_since_is_refuted() -> None:
    story = Story().given(a=1)
    story.there.edit("a", 2)
    made = story.plan()
    story.here.edit("a", 3)
    with pytest.raises(Refuted):
        apply(story.trees, made.waves[0][0], NOTHING)


def test_a_version_that_was_never_good_is_absent_from_the_disk() -> None:
    story = Story()
    entry = story.there.file("a", 1)
    row = story.trees.remote_rows.rows[entry]
    story.trees.remote_rows.put(replace(row, usable=False, node=replace(row.node, content=None, attributes=None)))
    made = story.plan()
    assert [[type(one) for one in wave] for wave in made.waves] == [[MarkAbsent]]
    for step in steps_of(made):
        play(story.trees, step)
    assert not story.plan().waves


def test_a_good_version_after_ones_that_never_were_is_put_on_the_disk() -> None:
    story = Story()
    entry = story.there.file("a", 1)
    row = story.trees.remote_rows.rows[entry]
    story.trees.remote_rows.put(replace(row, usable=False, node=replace(row.node, content=None, attributes=None)))
    for step in steps_of(story.plan()):
        play(story.trees, step)
    story.trees.remote_rows.put(replace(row, seq=row.seq + 1))
    assert story.settle() == {"a": 1}


def test_what_is_gone_everywhere_is_settled() -> None:
    story = Story().given(d=None, d__a=1)
    story.there.delete("d")
    story.settle()
    assert set(story.plans[-1].settled) == set(story.trees.differing())


def test_deep_trees_are_planned_without_recursion() -> None:
    story = Story()
    path = "d"
    entries = [story.there.directory(path)]
    for _ in range(3000):
        node = replace(story.trees.remote_rows.rows[entries[-1]].node, parent=entries[-1])
        entries.append(type(node.entry)(len(entries).to_bytes(16, "big")))
        put_remote(story.trees, replace(node, entry=entries[-1]))
    assert len(story.plan().waves) == 3001
