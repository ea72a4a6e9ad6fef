"""Files that were copied and removed are known again by what is in them."""

from peer.scan.by_content import match_content
from protocol.ids import EntryId

A, B, C, D = (EntryId(bytes([number]) * 16) for number in range(4))


def test_a_new_file_is_the_vanished_one_with_its_content() -> None:
    assert match_content({A: b"a", B: b"b"}, {C: b"a", D: b"other"}) == {C: A}
    assert match_content({A: b"a", B: b"b"}, {C: b"b", D: b"a"}) == {C: B, D: A}


def test_what_is_ambiguous_on_either_side_is_new() -> None:
    assert match_content({A: b"a", B: b"a"}, {C: b"a"}) == {}
    assert match_content({A: b"a"}, {C: b"a", D: b"a"}) == {}
    assert match_content({}, {C: b"a"}) == {}
