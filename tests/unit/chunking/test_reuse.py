"""What is fetched and what is taken from here."""

import pytest

from chunking.reuse import plan_reuse


def test_each_missing_chunk_is_fetched_once_and_in_order() -> None:
    held = {b"b": "old file"}
    plan = plan_reuse([(b"c", 3), (b"b", 2), (b"a", 1), (b"c", 3), (b"b", 2)], held.get)
    assert plan.fetch == ((b"c", 3), (b"a", 1))
    assert [(s.offset, s.held) for s in plan.spans] == [
        (0, None),
        (3, "old file"),
        (5, None),
        (6, None),
        (9, "old file"),
    ]
    assert (plan.size_bytes, plan.fetch_bytes, plan.held_bytes) == (11, 4, 2)


def test_the_lookup_is_asked_once_for_each_chunk() -> None:
    asked: list[bytes] = []
    plan_reuse([(b"a", 1), (b"a", 1), (b"b", 1)], asked.append)
    assert asked == [b"a", b"b"]


def test_an_empty_file_needs_nothing() -> None:
    plan = plan_reuse([], dict[bytes, str]().get)
    assert plan.spans == ()
    assert plan.fetch == ()


def test_a_list_that_contradicts_itself_is_refused() -> None:
    with pytest.raises(ValueError, match="two lengths"):
        plan_reuse([(b"a", 1), (b"a", 2)], lambda _: None)
