"""Rates, repetitions and bounds of discovery, in a time that is an argument."""

from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from peer.lan.members import Beacon
from peer.lan.sightings import (
    ALL_BEACONS_S,
    BURST_S,
    DEVICES,
    EVERY_S,
    FORGET_S,
    LEAST_GAP_S,
    PLACES,
    SOURCE_BEACONS_S,
    SOURCES,
    Announcing,
    Place,
    Sightings,
)
from protocol.beacon import Called
from protocol.ids import DeviceId, WorkspaceId
from tests.common.link_server import SeededEntropy

ANA = DeviceId(b"a" * 16)
HERE = frozenset({WorkspaceId(b"h" * 32)})


def beacon(time_ms: int, device: DeviceId = ANA, port: int = 4_000, *, is_current: bool = True) -> Beacon:
    return Beacon(device, HERE, Called(port, time_ms), is_current)


def test_a_device_that_was_heard_is_found_where_it_was_heard() -> None:
    sightings = Sightings()
    assert sightings.take(beacon(1), "192.0.2.1", 0.0)
    assert sightings.places(ANA, 1.0) == (Place("192.0.2.1", 4_000),)
    assert not sightings.take(beacon(2), "192.0.2.1", 30.0), "no news"
    assert sightings.take(beacon(3), "fe80::1%3", 31.0)
    assert sightings.places(ANA, 40.0) == (Place("fe80::1%3", 4_000), Place("192.0.2.1", 4_000))


def test_a_beacon_that_comes_again_is_no_sign_of_life() -> None:
    sightings = Sightings()
    sightings.take(beacon(5), "192.0.2.1", 0.0)
    for now_s in range(1, int(FORGET_S)):
        assert not sightings.take(beacon(5), "192.0.2.1", float(now_s))
        assert not sightings.take(beacon(4), "192.0.2.66", float(now_s))
    assert sightings.places(ANA, FORGET_S) == ()


def test_who_has_left_and_kept_the_old_keys_cannot_have_a_devices_own_beacons_ignored() -> None:
    sightings = Sightings()
    forged = beacon(10_000_000, is_current=False)
    assert sightings.take(forged, "192.0.2.66", 0.0), "so beacons were before the keys changed"
    assert sightings.take(beacon(5), "192.0.2.1", 1.0)
    assert not sightings.take(forged, "192.0.2.67", 2.0)
    assert not sightings.take(beacon(6), "192.0.2.1", 3.0), "no news, but heard"
    assert sightings.places(ANA, 4.0)[0] == Place("192.0.2.1", 4_000)
    assert sightings.places(ANA, 3.0 + FORGET_S - 1) == (Place("192.0.2.1", 4_000),)


def test_a_repetition_from_forged_addresses_does_not_push_out_the_true_one() -> None:
    sightings = Sightings()
    sightings.take(beacon(5), "192.0.2.1", 0.0)
    for number in range(100):
        sightings.take(beacon(5), f"198.51.100.{number}", 1.0)
    places = sightings.places(ANA, 2.0)
    assert len(places) == PLACES
    assert Place("192.0.2.1", 4_000) in places
    sightings.take(beacon(6), "192.0.2.1", 30.0)
    assert sightings.places(ANA, 30.0)[0] == Place("192.0.2.1", 4_000)


def test_who_is_silent_is_forgotten_and_is_news_when_it_comes_back_even_with_an_earlier_clock() -> None:
    sightings = Sightings()
    sightings.take(beacon(1_000_000), "192.0.2.1", 0.0)
    assert sightings.devices(FORGET_S - 1) == (ANA,)
    assert sightings.devices(FORGET_S) == ()
    assert sightings.take(beacon(5), "192.0.2.1", FORGET_S + 1)


def test_an_old_address_is_not_tried_for_ever() -> None:
    sightings = Sightings()
    sightings.take(beacon(1), "192.0.2.1", 0.0)
    for number in range(1, 10):
        sightings.take(beacon(1 + number), "192.0.2.2", number * EVERY_S)
    assert sightings.places(ANA, 9 * EVERY_S) == (Place("192.0.2.2", 4_000),)


def test_one_source_cannot_have_more_looked_at_than_its_share() -> None:
    sightings = Sightings()
    looked = sum(sightings.may_look("192.0.2.9", number / 10_000) for number in range(100_000))
    assert looked <= SOURCE_BEACONS_S * (10 + BURST_S) + 1
    assert sightings.may_look("192.0.2.1", 10.0), "the others are heard"


def test_all_sources_together_cannot_either_and_are_remembered_within_bounds() -> None:
    sightings = Sightings()
    looked = sum(sightings.may_look(f"host {number}", number / 10_000) for number in range(100_000))
    assert looked <= ALL_BEACONS_S * (10 + BURST_S) + 1
    assert len(sightings._sources) == SOURCES


def test_no_more_devices_are_remembered_than_so_many() -> None:
    sightings = Sightings()
    for number in range(DEVICES + 10):
        sightings.take(beacon(1, DeviceId(number.to_bytes(16, "big"))), "192.0.2.1", 0.0)
    assert len(sightings.devices(0.0)) == DEVICES


def test_who_shares_nothing_any_more_is_forgotten_at_once() -> None:
    sightings = Sightings()
    sightings.take(beacon(1), "192.0.2.1", 0.0)
    sightings.keep_only(frozenset())
    assert sightings.devices(0.0) == ()


def beacons_sent(announcing: Announcing, until_s: float, news_s: list[float]) -> list[float]:
    """When beacons go out, if news comes at these times."""
    sent: list[float] = []
    waiting = sorted(news_s)
    while True:
        due_s = announcing.due_s
        if waiting and waiting[0] <= due_s:
            announcing.heard_news(waiting.pop(0))
        elif due_s > until_s:
            return sent
        else:
            announcing.sent(due_s)
            sent.append(due_s)


def test_a_start_is_announced_a_few_times_and_then_every_half_minute() -> None:
    sent = beacons_sent(Announcing(SeededEntropy(), 0.0), 300.0, [])
    assert sent[0] < 0.5
    assert sum(1 for at in sent if at < 10) == 4
    assert all(0.7 * EVERY_S < b - a < 1.3 * EVERY_S for a, b in pairwise(sent[4:]))


def test_somebody_new_is_answered_soon() -> None:
    sent = beacons_sent(Announcing(SeededEntropy(), 0.0), 101.0, [100.0])
    assert 100.0 < sent[-1] < 100.7


@settings(deadline=None)
@given(st.lists(st.floats(0, 100), max_size=300), st.integers(0, 1_000))
def test_whatever_is_heard_no_two_beacons_go_out_within_a_second(news_s: list[float], seed: int) -> None:
    sent = beacons_sent(Announcing(SeededEntropy(seed), 0.0), 120.0, news_s)
    assert all(b - a >= LEAST_GAP_S - 1e-9 for a, b in pairwise(sent))
