"""An edit of what cannot be had at the moment waits where it is; everything else goes on."""

from dataclasses import replace

from peer.planner.operations import ProposeChange, WriteContent
from tests.unit.planner.story import COPY, Story


def test_an_edit_waits_until_the_head_can_be_had_and_then_the_ordinary_merge_decides() -> None:
    story = Story().given(d=None, film=1, text=2)
    entry = story.here.find("film").entry
    story.here.edit("film", 7)
    story.there.edit("film", 5)
    story.here.edit("text", 8)
    story.here.file("d/new", 3)
    story.policy = replace(story.policy, waiting={entry})
    made = story.plan()
    assert made.waiting == (entry,)
    assert entry not in {one.entry for wave in made.waves for one in wave}
    assert len([one for wave in made.waves for one in wave if isinstance(one, ProposeChange)]) == 2
    story.policy = replace(story.policy, waiting=frozenset())
    assert story.settle() == {"d": None, "d/new": 3, "film": 5, f"film{COPY}": 7, "text": 8}


def test_what_was_not_edited_here_waits_for_nothing() -> None:
    story = Story().given(a=1, b=2)
    entries = {story.here.find(name).entry for name in ("a", "b")}
    story.there.edit("a", 5)
    story.there.edit("b", 6)
    story.here.edit("b", 6)
    story.policy = replace(story.policy, waiting=entries)
    assert story.plan().waiting == ()
    assert story.settle() == {"a": 5, "b": 6}
    assert len(story.operations(WriteContent)) == 1


def test_an_edit_of_a_head_that_was_given_up_is_proposed() -> None:
    """Then the journal's content counts as the one before it, which is what was edited."""
    story = Story().given(film=1)
    entry = story.here.find("film").entry
    story.here.edit("film", 7)
    story.policy = replace(story.policy, waiting={entry})
    assert story.plan().waiting == ()
    assert story.settle() == {"film": 7}
