"""Waits between attempts."""

from hypothesis import given
from hypothesis import strategies as st

from peer.link.backoff import Backoff


def low(low_s: float, _: float) -> float:
    return low_s


def high(_: float, high_s: float) -> float:
    return high_s


def after(failures: int) -> Backoff:
    backoff = Backoff()
    for _ in range(failures):
        backoff = backoff.failed()
    return backoff


def test_nothing_is_waited_for_before_the_first_failure() -> None:
    assert Backoff().delay_s(high) == 0


@given(st.integers(1, 2000))
def test_a_wait_is_never_longer_than_the_cap_nor_shorter_than_half_the_ceiling(failures: int) -> None:
    backoff = after(failures)
    assert 0 < backoff.delay_s(low) <= backoff.delay_s(high) <= backoff.cap_s
    assert backoff.delay_s(low) == backoff.delay_s(high) / 2


def test_waits_double_until_the_cap_and_start_anew_after_a_success() -> None:
    assert [after(n).delay_s(high) for n in (1, 2, 3, 6, 7)] == [0.25, 0.5, 1.0, 8.0, 12.0]
    assert after(9).succeeded().failed().delay_s(high) == 0.25
