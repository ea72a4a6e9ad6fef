"""Which earlier version stands for a head that nobody has, over every short history there can be."""

from collections.abc import Sequence
from itertools import product

from peer.engine.lacking import decide_earlier
from peer.store.offers import Past
from protocol.ids import ChangeId
from protocol.model import Body, FlatManifest
from protocol.offered import Standing

OFFERED, DURABLE, NOT_KEPT = Standing.OFFERED, Standing.DURABLE, Standing.NOT_KEPT
UNREAD = b"?"
"""What stands for a version that could not be read; None: one that is a deletion."""
CONTENTS = (None, UNREAD, b"a", b"b")
ONE = [(standing, digest, lacks) for standing in Standing for digest in CONTENTS for lacks in (False, True)]


def past_of(number: int, standing: Standing, digest: bytes | None) -> Past:
    manifest = None if digest is None else FlatManifest(())
    body = None if digest == UNREAD else Body("film", 1, 0, False, digest, None, manifest, None)
    return Past(ChangeId(bytes([number]) * 32), standing, body)


def decided(history: Sequence[tuple[Standing, bytes | None, bool]]) -> int | None:
    """Of a history from its head back, which version is shown instead."""
    past = [past_of(number, standing, digest) for number, (standing, digest, _) in enumerate(history)]
    lacking = {one.change for one, (_, _, lacks) in zip(past, history, strict=True) if lacks}
    found = decide_earlier(past, lacking)
    return None if found is None else past.index(found)


def test_the_newest_version_before_is_shown_only_while_nobody_has_what_was_offered() -> None:
    assert decided([(OFFERED, b"c", True), (DURABLE, b"b", False), (DURABLE, b"a", False)]) == 1
    assert decided([(OFFERED, b"c", False), (DURABLE, b"b", False)]) is None
    assert decided([(DURABLE, b"c", True), (DURABLE, b"b", False)]) is None
    assert decided([(OFFERED, b"c", True)]) is None


def test_what_was_given_up_could_not_be_read_or_is_lacking_too_is_passed_over() -> None:
    assert decided([(NOT_KEPT, b"d", False), (OFFERED, b"c", True), (DURABLE, b"b", False)]) == 2
    assert decided([(OFFERED, b"d", True), (OFFERED, b"c", True), (DURABLE, UNREAD, True), (DURABLE, b"a", False)]) == 3
    assert decided([(OFFERED, b"d", True), (OFFERED, b"c", False), (DURABLE, b"b", False)]) == 1


def test_what_was_deleted_before_somebody_brought_it_back_is_not_shown_again() -> None:
    assert decided([(OFFERED, b"c", True), (DURABLE, None, False), (DURABLE, b"a", False)]) is None
    assert decided([(OFFERED, b"c", True), (DURABLE, b"b", False), (DURABLE, None, False)]) == 1


def test_the_same_content_under_another_version_is_not_tried_in_its_place() -> None:
    assert decided([(OFFERED, b"a", True), (OFFERED, b"a", False), (DURABLE, b"b", False)]) == 2


def test_of_every_short_history_what_is_shown_is_the_newest_that_may_be_had_and_nothing_where_the_head_may() -> None:
    for history in product(ONE, repeat=4):
        counts = [number for number, one in enumerate(history) if one[0] is not NOT_KEPT and one[1] != UNREAD]
        counts = counts[: next((at for at, number in enumerate(counts) if history[number][1] is None), len(counts))]
        expected = None
        if counts and history[counts[0]][0] is OFFERED and history[counts[0]][2]:
            for at, number in enumerate(counts):
                absent = {history[one][1] for one in counts[:at] if history[one][2]}
                if not history[number][2] and history[number][1] not in absent:
                    expected = number
                    break
        assert decided(history) == expected, history
