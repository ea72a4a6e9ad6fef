import itertools

from hypothesis import given, settings
from hypothesis import strategies as st

from peer.scan.findings import Touch
from peer.scan.settle import CALM_S, LONGEST_S, SAVES_S, WRITING_S, Settling

EVENTS = st.lists(
    st.tuples(st.floats(0, 5, allow_nan=False), st.integers(0, 3), st.sampled_from([*Touch, "unstable"])),
    max_size=60,
)


def test_a_saved_file_is_due_within_a_few_milliseconds() -> None:
    settling = Settling[str]()
    settling.touched("a", Touch.CREATED, 0)
    settling.touched("a", Touch.WRITING, 0)
    settling.touched("a", Touch.SAVED, 0)
    due_s = settling.next_due_s()
    assert due_s is not None
    assert due_s <= 0.005
    assert settling.take_due(due_s) == ["a"]
    assert settling.next_due_s() is None


def test_every_save_by_hand_is_taken_at_once() -> None:
    settling = Settling[str]()
    for number in range(1000):
        now_s = number * 2 * CALM_S
        settling.touched("a", Touch.SAVED, now_s)
        assert settling.take_due(now_s + 0.005) == ["a"]


def test_a_file_that_is_saved_all_the_time_is_taken_ever_more_rarely_but_always_again() -> None:
    settling = Settling[str]()
    taken = []
    for number in range(3000):
        now_s = number * 0.02
        settling.touched("a", Touch.SAVED, now_s)
        if settling.take_due(now_s + 0.015):
            taken.append(now_s)
    assert len(taken) < 60
    assert max(b - a for a, b in itertools.pairwise(taken)) <= SAVES_S + 0.1


def test_a_growing_file_waits_for_quiet_that_grows_with_it_and_for_its_close_not_at_all() -> None:
    settling = Settling[str]()
    now_s = 0.0
    for _ in range(100):
        now_s += 0.1
        settling.touched("a", Touch.WRITING, now_s)
        assert settling.take_due(now_s + 0.09) == []
    due_s = settling.next_due_s()
    assert due_s is not None
    assert due_s - now_s > 2 * WRITING_S
    settling.touched("a", Touch.SAVED, now_s + 0.1)
    assert settling.take_due(now_s + 0.11) == ["a"]


def test_a_file_that_changes_while_it_is_read_waits_twice_as_long_each_time() -> None:
    settling = Settling[str]()
    now_s, waits = 0.0, []
    for _ in range(12):
        settling.unstable("a", now_s)
        due_s = settling.next_due_s()
        assert due_s is not None
        waits.append(due_s - now_s)
        now_s = due_s
        assert settling.take_due(now_s) == ["a"]
    assert waits[1] == 2 * waits[0]
    assert waits[-1] == LONGEST_S


def test_asking_again_and_again_for_a_look_does_not_put_it_off() -> None:
    settling = Settling[str]()
    for number in range(20):
        settling.unstable("a", 5.0 * number)
        if settling.take_due(5.0 * number + 4.9):
            break
    else:
        raise AssertionError("never looked at")
    for number in range(8):
        settling.unstable("b", 0.1 * number)
    due_s = settling.next_due_s()
    assert due_s is not None
    assert due_s <= 0.1 * 8 + WRITING_S


@given(EVENTS)
@settings(deadline=None)
def test_whatever_was_touched_is_due_once_and_within_the_longest_wait(
    events: list[tuple[float, int, Touch | str]],
) -> None:
    settling = Settling[int]()
    now_s = 0.0
    waiting: dict[int, float] = {}
    for pause_s, key, event in events:
        now_s += pause_s
        for taken in settling.take_due(now_s):
            del waiting[taken]
        if isinstance(event, Touch):
            settling.touched(key, event, now_s)
            waiting.setdefault(key, now_s)
        else:
            settling.unstable(key, now_s)
            waiting.setdefault(key, now_s)
        assert len(settling) == len(waiting)
        for since_s in waiting.values():
            assert now_s - since_s < LONGEST_S + 5
    taken_last = settling.take_due(now_s + LONGEST_S)
    assert sorted(taken_last) == sorted(waiting)
    assert settling.next_due_s() is None


def test_memory_follows_the_files_that_wait_not_all_that_ever_changed() -> None:
    settling = Settling[int]()
    for number in range(20_000):
        settling.touched(number, Touch.SAVED, number * 1.0)
        settling.take_due(number + 0.5)
    assert len(settling._states) < 3000


def test_a_file_that_was_renamed_is_due_under_its_new_name_when_it_would_have_been() -> None:
    settling = Settling[str]()
    settling.touched("a", Touch.WRITING, 0)
    due_s = settling.next_due_s()
    assert due_s is not None
    settling.rename(lambda key: {"a": "b"}.get(key, key))
    assert settling.next_due_s() == due_s
    assert settling.take_due(due_s) == ["b"]
    assert len(settling) == 0


def test_a_file_that_was_not_found_is_due_after_the_time_that_is_given() -> None:
    settling = Settling[str]()
    settling.missing("a", 1.0, 0.5)
    assert settling.next_due_s() == 1.5
