import pytest

from peer.engine.noticing import ELSEWHERE_S, MISSING_S, RESCANNED_S, Notices
from peer.fingerprint import Path
from peer.scan.findings import Changed, Overflow, Renamed, Touch, WatchEvent
from protocol.ids import EntryId

ONE = EntryId(bytes(15) + b"\x01")


def noticed(*events: Changed, now_s: float = 0.0) -> Notices:
    notices = Notices()
    notices.take_due(now_s)  # the scan of everything at the start
    for event in events:
        notices.take(event, now_s)
    return notices


def missed(notices: Notices, path: Path, now_s: float, *, is_behind: bool = False) -> bool:
    """Look at all that is due, miss `ONE` at `path`; whether it is believed to be gone."""
    gone = notices.believe({ONE: path}, notices.take_due(now_s), now_s, is_behind=is_behind)
    if not gone:
        notices.seek(ONE, path, now_s)
    return bool(gone)


def test_what_is_not_found_is_looked_for_again_before_it_is_believed_to_be_gone() -> None:
    notices = noticed()
    assert not missed(notices, ("a",), 1.0)
    assert (notices.misses, notices.is_idle) == (True, False)
    due_s = notices.next_due_s()
    assert due_s is not None
    assert due_s >= 1.0 + MISSING_S
    assert missed(notices, ("a",), due_s)
    assert (notices.misses, notices.is_idle) == (False, True)


@pytest.mark.parametrize(
    "elsewhere", [Changed({("b",): Touch.SAVED}), Changed({}, frozenset({("d",)}))], ids=["a file", "a directory"]
)
def test_what_is_not_found_may_be_where_nobody_has_looked_yet(elsewhere: Changed) -> None:
    notices = noticed()
    assert not missed(notices, ("a",), 1.0)
    due_s = 1.0 + 2 * MISSING_S
    looks = notices.take_due(due_s)
    notices.take(elsewhere, due_s)
    assert notices.believe({ONE: ("a",)}, looks, due_s, is_behind=False) == set()
    assert missed(notices, ("a",), due_s + 0.5), "all else was looked at"


def test_what_is_not_found_is_believed_to_be_gone_although_something_else_is_written_all_the_time() -> None:
    notices = noticed()
    assert not missed(notices, ("a",), 1.0)
    for step in range(1, 12):
        notices.take(Changed({("b",): Touch.WRITING}), 1.0 + step / 10)
        assert missed(notices, ("a",), 1.0 + step / 10) == (step / 10 >= ELSEWHERE_S)
        if step / 10 >= ELSEWHERE_S:
            return


def test_nothing_is_believed_to_be_gone_while_the_watcher_has_not_told_all() -> None:
    notices = noticed()
    assert not missed(notices, ("a",), 1.0)
    assert not missed(notices, ("a",), 2.0, is_behind=True)
    assert missed(notices, ("a",), 3.0)


@pytest.mark.parametrize("lost", [Overflow(), Changed({}, rescan=frozenset({("d",)}))])
def test_nothing_is_believed_to_be_gone_before_a_scan_that_was_asked_for_meanwhile(lost: WatchEvent) -> None:
    notices = noticed()
    assert not missed(notices, ("a",), 1.0)
    looks = notices.take_due(3.0)
    notices.take(lost, 3.0)  # while that look goes on: the watcher has told all, but nobody has looked there
    assert notices.believe({ONE: ("a",)}, looks, 3.0, is_behind=False) == set()
    notices.seek(ONE, ("a",), 3.0)
    assert missed(notices, ("a",), 5.0), "not found by that scan either"


def test_what_is_gone_is_believed_to_be_gone_also_where_every_scan_brings_the_next() -> None:
    notices, now_s = noticed(), 1.0
    gone: set[EntryId] = set()
    while not gone and now_s < 1.0 + 2 * RESCANNED_S:
        looks = notices.take_due(now_s)
        notices.take(Changed({}, rescan=frozenset({("d",)})), now_s)
        gone = notices.believe({ONE: ("a",)}, looks, now_s, is_behind=False)
        assert bool(gone) == (now_s >= 1.0 + RESCANNED_S)
        now_s += 1.0
    assert gone == {ONE}


def test_what_was_renamed_to_where_nobody_has_looked_yet_is_not_gone() -> None:
    for path in (("a",), ("a", "below")):
        notices = noticed(Changed({}, moved=(Renamed(("a",), ("b",), True), Renamed(("b",), ("c",), True))))
        notices.take_due(0.1)
        notices.take(Changed({("c",): Touch.WRITING}, moved=(Renamed(("x",), ("c",), False),)), 0.2)
        notices.take(Changed({("c",): Touch.WRITING}), 0.2)
        assert not missed(notices, ("x",), 0.21)
        assert not missed(notices, ("x",), 0.21 + MISSING_S), "it is at c, which is being written to"
        notices = noticed(
            Changed({}, moved=(Renamed(("a",), ("b",), True), Renamed(("b",), ("c",), True))),
            Changed({("c",): Touch.WRITING}),
        )
        looks = notices.take_due(0.1)
        assert ("a",) in looks.paths
        assert not missed(notices, path, 0.1)
        assert not missed(notices, path, 0.1 + MISSING_S), "by way of b it is at c"
        looks = notices.take_due(1.0)
        assert looks.moved == {("c",): ("a",)}
        notices.found([ONE])
        assert not notices.misses


@pytest.mark.parametrize("hidden", [("d", "b"), ("d",)])
def test_what_was_renamed_to_where_nothing_can_be_seen_is_not_gone(hidden: Path) -> None:
    notices = noticed(Changed({}, moved=(Renamed(("a",), ("d", "b"), False),)))
    notices.unreadable[hidden] = "io_error"
    notices.rescan_later(0.0)
    for now_s in (1.0, 2.0, 3.0, 10.0):
        assert not missed(notices, ("a",), now_s)
    del notices.unreadable[hidden]
    assert missed(notices, ("a",), 60.0), "and it is not there either"


def test_what_came_to_nothing_is_looked_at_with_all_that_was_known_of_renames() -> None:
    notices = noticed(Changed({}, moved=(Renamed(("a",), ("b",), False),)))
    notices.put_back(notices.take_due(1.0))
    assert notices.take_due(1.0).moved == {("b",): ("a",)}


def test_what_stays_missing_is_looked_for_more_and_more_rarely() -> None:
    notices, looks, now_s = noticed(), 0, 0.0
    while now_s < 100.0:
        assert not missed(notices, ("a",), now_s, is_behind=True)
        due_s = notices.next_due_s()
        assert due_s is not None
        looks, now_s = looks + 1, due_s
    assert looks < 40


def test_what_was_noticed_below_a_directory_follows_its_rename() -> None:
    notices = noticed(
        Changed({("d", "saved"): Touch.SAVED, ("e", "saved"): Touch.SAVED}, frozenset({("d", "new")})),
        Changed({("d", "another"): Touch.SAVED}, moved=(Renamed(("d",), ("n",), True),)),
    )
    looks = notices.take_due(1.0)
    assert looks.trees == {("n", "new")}
    assert set(looks.paths) == {("n", "saved"), ("e", "saved"), ("d",), ("n",), ("d", "another")}


@pytest.mark.parametrize("told", ["before", "after"])
def test_what_was_to_be_looked_at_where_no_directory_was_is_looked_at_where_that_is_now(told: str) -> None:
    renamed = Changed({}, moved=(Renamed(("d",), ("n",), True),))
    notices = noticed(Changed({("d", "a"): Touch.SAVED}, frozenset({("d", "e")})))
    looks = notices.take_due(1.0)
    if told == "before":
        notices.take(renamed, 1.0)
    notices.follow_up(looks, {("d",)}, 1.0, is_behind=told == "after")
    if told == "after":
        assert notices.is_idle
        notices.take(renamed, 1.5)
    looks = notices.take_due(3.0)
    assert ("n", "a") in looks.paths
    assert looks.trees == {("n", "e")}


def test_what_was_to_be_looked_at_where_no_directory_is_any_more_is_forgotten_once_all_was_told() -> None:
    notices = noticed(Changed({("d", "a"): Touch.SAVED}))
    looks = notices.take_due(1.0)
    notices.follow_up(looks, {("d",)}, 1.0, is_behind=True)
    notices.follow_up(notices.take_due(1.0), {("x",)}, 1.0, is_behind=False)
    notices.take(Changed({}, moved=(Renamed(("d",), ("n",), True),)), 1.5)
    assert ("n", "a") not in notices.take_due(3.0).paths


def test_a_file_that_is_sought_in_a_directory_is_sought_where_that_is_now() -> None:
    notices = noticed()
    assert not missed(notices, ("d", "a"), 1.0)
    notices.take(Changed({}, moved=(Renamed(("d",), ("n",), True),)), 1.0)
    assert ("n", "a") in notices.take_due(2.0).paths


def test_what_was_neither_found_nor_missed_where_it_was_sought_is_not_sought_for_ever() -> None:
    notices = noticed()
    assert not missed(notices, ("a",), 1.0)
    assert notices.believe({}, notices.take_due(2.0), 2.0, is_behind=False) == set()
    assert not notices.misses


def test_a_directory_that_is_put_back_is_looked_at_whole() -> None:
    notices = noticed(Changed({("d", "a"): Touch.SAVED}))
    notices.put_back(notices.take_due(1.0))
    assert notices.take_due(1.0).trees == {("d",)}
