"""The model of one file on several devices explains what may be seen, and nothing else."""

import pytest

from simulations.checkers.l11_agreement import Observation, Read, Stable, Write, disagreement, first_unexplained

NODES = ("red", "blue", "green")
NONE: frozenset[int] = frozenset()

EXPLAINED: dict[str, list[Observation]] = {
    "nothing": [Stable(None, NONE)],
    "a file comes to others": [Write("red", 1, None), Read("blue", None), Read("blue", 1), Stable(1, NONE)],
    "one person writes twice": [Write("red", 1, None), Write("red", 2, 1), Stable(2, NONE)],
    "others may see the first of two": [
        Write("red", 1, None),
        Read("blue", 1),
        Write("red", 2, 1),
        Read("blue", 1),
        Read("blue", 2),
        Stable(2, NONE),
    ],
    "one after the other": [Write("red", 1, None), Write("blue", 2, 1), Write("green", 3, 2), Stable(3, NONE)],
    "both write at once": [Write("red", 1, None), Write("blue", 2, None), Stable(1, frozenset({2}))],
    "both write at once, the other way round": [
        Write("red", 1, None),
        Write("blue", 2, None),
        Stable(2, frozenset({1})),
    ],
    "three write at once": [
        Write("red", 1, None),
        Write("blue", 2, None),
        Write("green", 3, None),
        Stable(2, frozenset({1, 3})),
    ],
    "a loser writes again before anybody has looked": [
        Write("red", 1, None),
        Write("blue", 2, None),
        Write("blue", 3, 2),
        Stable(1, frozenset({3})),
    ],
    "a loser's both values are seen": [
        Write("red", 1, None),
        Write("blue", 2, None),
        Write("blue", 3, 2),
        Stable(1, frozenset({2, 3})),
    ],
    "a deletion": [Write("red", 1, None), Write("blue", None, 1), Read("red", None), Stable(None, NONE)],
    "an edit wins over a deletion": [
        Write("red", 1, None),
        Stable(1, NONE),
        Write("red", None, 1),
        Write("blue", 2, 1),
        Stable(2, NONE),
    ],
    "a deletion of what was seen": [
        Write("red", 1, None),
        Write("blue", 2, 1),
        Write("red", None, 2),
        Stable(None, NONE),
    ],
    "deleted and made again": [
        Write("red", 1, None),
        Stable(1, NONE),
        Write("red", None, 1),
        Write("red", 2, None),
        Stable(2, NONE),
    ],
    "deleted and made again while another edits": [
        Write("red", 1, None),
        Stable(1, NONE),
        Write("red", None, 1),
        Write("blue", 2, 1),
        Write("red", 3, None),
        Stable(3, frozenset({2})),
    ],
    "an edit meets what has been deleted since": [
        Write("red", 1, None),
        Stable(1, NONE),
        Write("red", 2, 1),
        Write("blue", 3, 1),
        Read("blue", None),
        Read("blue", 2),
        Write("green", None, 2),
        Stable(None, frozenset({3})),
    ],
    "an edit meets the deletion of what it would have met": [
        Write("red", 1, None),
        Stable(1, NONE),
        Write("red", 2, 1),
        Write("green", None, 2),
        Write("blue", 3, 1),
        Stable(3, NONE),
    ],
    "what was read goes up after a deletion though it was written over": [
        Write("blue", 1, None),
        Write("red", 2, None),
        Write("red", 3, 2),
        Read("green", 1),
        Write("green", None, 1),
        Read("blue", None),
        Read("blue", 2),
        Stable(3, NONE),
    ],
    "no file for a moment where a copy was made": [
        Write("red", 1, None),
        Write("blue", 2, None),
        Read("blue", None),
        Read("blue", 1),
        Stable(1, frozenset({2})),
    ],
    "an older value comes late": [
        Write("red", 1, None),
        Stable(1, NONE),
        Write("red", 2, 1),
        Read("green", 2),
        Write("red", 3, 2),
        Read("green", 3),
        Read("blue", 1),
        Read("blue", 2),
        Read("blue", 3),
        Stable(3, NONE),
    ],
    "copies stay": [
        Write("red", 1, None),
        Write("blue", 2, None),
        Stable(1, frozenset({2})),
        Write("blue", 3, 1),
        Stable(3, frozenset({2})),
    ],
}

UNEXPLAINED: dict[str, tuple[list[Observation], int]] = {
    "a write is lost": ([Write("red", 1, None), Stable(None, NONE)], 1),
    "a later write is lost": ([Write("red", 1, None), Write("red", 2, 1), Stable(1, NONE)], 2),
    "a value is there that nobody wrote": ([Read("red", 7)], 0),
    "a conflicted copy is missing": ([Write("red", 1, None), Write("blue", 2, None), Stable(1, NONE)], 2),
    "a conflicted copy of what nobody wrote": ([Write("red", 1, None), Stable(1, frozenset({9}))], 1),
    "a conflicted copy without need": (
        [Write("red", 1, None), Read("blue", 1), Write("blue", 2, 1), Stable(2, frozenset({1}))],
        3,
    ),
    "a deleted file is there again": (
        [Write("red", 1, None), Stable(1, NONE), Write("blue", None, 1), Stable(1, NONE)],
        3,
    ),
    "a deleted file comes back for a moment": (
        [Write("red", 1, None), Stable(1, NONE), Write("blue", None, 1), Stable(None, NONE), Read("red", 1)],
        4,
    ),
    "a deletion wins over an edit": (
        [Write("red", 1, None), Stable(1, NONE), Write("red", None, 1), Write("blue", 2, 1), Stable(None, NONE)],
        4,
    ),
    "an edit becomes a copy though it meets a deletion alone": (
        [
            Write("red", 1, None),
            Stable(1, NONE),
            Write("red", None, 1),
            Write("blue", 2, 1),
            Stable(None, frozenset({2})),
        ],
        4,
    ),
    "a copy is followed by what came before what it met": (
        [
            Write("red", 1, None),
            Stable(1, NONE),
            Write("red", 2, 1),
            Read("blue", 2),
            Write("red", 3, 2),
            Write("green", None, 3),
            Write("blue", 4, 2),
            Read("blue", 1),
        ],
        7,
    ),
    "what was written over comes back after what replaced it": (
        [
            Write("blue", 1, None),
            Write("red", 2, None),
            Write("red", 3, 2),
            Write("green", None, 1),
            Read("blue", 3),
            Read("blue", 2),
        ],
        5,
    ),
    "a new file is deleted": ([Write("red", 1, None), Read("red", None)], 1),
    "a node goes back": (
        [Write("red", 1, None), Read("blue", 1), Write("red", 2, 1), Read("blue", 2), Read("blue", 1)],
        4,
    ),
    "what a person wrote is replaced by what came before it": (
        [Write("red", 1, None), Stable(1, NONE), Write("blue", 2, 1), Read("blue", 1)],
        3,
    ),
    "a copy disappears": (
        [Write("red", 1, None), Write("blue", 2, None), Stable(1, frozenset({2})), Stable(1, NONE)],
        3,
    ),
    "a write replaces what was not there": ([Write("red", 1, None), Write("red", 2, None)], 1),
}


@pytest.mark.parametrize("name", EXPLAINED)
def test_what_may_be_seen_is_explained(name: str) -> None:
    assert first_unexplained(NODES, EXPLAINED[name]) is None


@pytest.mark.parametrize("name", UNEXPLAINED)
def test_what_may_not_be_seen_is_not(name: str) -> None:
    observations, index = UNEXPLAINED[name]
    assert first_unexplained(NODES, observations) == index
    assert str(observations[index]) in str(disagreement("page-1.txt", NODES, observations))
