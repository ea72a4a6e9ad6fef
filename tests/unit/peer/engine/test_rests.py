"""What did not work is left alone for a while."""

from peer.engine.rests import Rests
from tests.unit.peer.engine.clocks import SetClock


def test_each_thing_rests_for_its_own_time() -> None:
    clock = SetClock(100.0)
    rests = Rests(clock)
    assert rests.next_s() is None
    rests.rest("journal", 5.0)
    rests.rest(("fetch", b"one"), 1.0)
    assert rests.next_s() == 101.0
    assert rests.rests("journal")
    assert not rests.rests("commits")
    clock.advance(1.0)
    assert not rests.rests(("fetch", b"one"))
    assert rests.rests("journal"), "a rest that ends ends no other"
    assert rests.take_ended()
    assert not rests.take_ended(), "each rest is reported once"
    assert rests.next_s() == 105.0


def test_the_later_of_two_rests_is_not_forgotten_for_the_earlier() -> None:
    clock = SetClock(0.0)
    rests = Rests(clock)
    rests.rest("journal", 4.0)
    clock.advance(3.0)
    rests.rest("uploads", 5.0)
    clock.advance(1.0)
    assert rests.take_ended()
    assert rests.rests("uploads")
    assert rests.next_s() == 8.0
    clock.advance(4.0)
    assert rests.take_ended()
    assert not rests.rests("uploads")


def test_a_rest_may_be_ended_early_and_be_made_longer() -> None:
    clock = SetClock(0.0)
    rests = Rests(clock)
    rests.rest("plan", 1.0)
    rests.rest("plan", 10.0)
    assert rests.next_s() == 10.0
    rests.end("plan", "never rested")
    assert not rests.rests("plan")
    rests.rest("a", 1.0)
    rests.rest("b", 1.0)
    rests.end_all()
    assert not rests.rests("a")
    assert not rests.rests("b")


def test_rests_that_are_all_ended_early_are_reported_as_ended_so_that_something_is_tried_again() -> None:
    clock = SetClock(5.0)
    rests = Rests(clock)
    rests.rest("a step", 10.0)
    rests.end_all()
    assert rests.next_s() == 5.0
    assert rests.take_ended()
    assert rests.next_s() is None
    assert not rests.take_ended()
