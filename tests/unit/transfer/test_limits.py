"""Rates, patience and the reading of answers."""

import pytest
import trio
import trio.testing
from hypothesis import given, settings
from hypothesis import strategies as st

from peer.machine import SystemClock
from peer.transfer.coordinator_blocks import held_blocks
from peer.transfer.limits import SLICE_BYTES, RateLimiter, TokenBucket, Unlimited, slices
from peer.transfer.sources import Patience, SourceCut
from protocol.ids import BlockId
from protocol.messages import HaveReply
from tests.common.blocks import ImpatientClock
from tests.common.disks import CountingEntropy


@settings(deadline=None)
@given(
    st.integers(1, 10**9),
    st.integers(1, 10**7),
    st.lists(st.tuples(st.integers(0, 10**7), st.floats(0, 100)), max_size=50),
)
def test_a_bucket_never_lets_more_through_than_its_rate_and_one_burst(
    rate: int, burst: int, takes: list[tuple[int, float]]
) -> None:
    bucket = TokenBucket(rate, burst, 0.0)
    now = 0.0
    gone = 0
    for count, pause in takes:
        now += pause
        now += bucket.take(count, now)
        gone += count
        assert gone <= burst + rate * now * (1 + 1e-9) + count * 1e-6 + 1


async def test_a_limiter_waits_for_the_debt_and_can_be_lifted() -> None:
    clock = ImpatientClock()
    limiter = RateLimiter(clock, 1_000.0, burst_bytes=500)
    await limiter.take(500)
    await limiter.take(2_000)
    assert sum(clock.slept_s) == pytest.approx(2.0, abs=0.5)
    slept = len(clock.slept_s)
    limiter.set_rate(None)
    await limiter.take(10**9)
    assert len(clock.slept_s) == slept


async def test_who_waits_goes_on_when_the_limit_is_changed(autojump_clock: trio.testing.MockClock) -> None:
    limiter = RateLimiter(SystemClock(), 1.0, burst_bytes=1)
    with trio.fail_after(5):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(limiter.take, 10**6)
            await trio.sleep(2)
            limiter.set_rate(10.0**9)


async def test_the_same_rate_again_forgives_no_debt() -> None:
    clock = ImpatientClock()
    limiter = RateLimiter(clock, 1_000.0, burst_bytes=1)
    await limiter.take(10_000)
    limiter.set_rate(1_000.0)
    await limiter.take(1)
    assert sum(clock.slept_s) == pytest.approx(20.0, abs=1)


async def test_what_goes_at_a_rate_goes_in_small_portions() -> None:
    data = bytes(range(256)) * 500
    limited = RateLimiter(ImpatientClock(), 10.0**6)
    assert b"".join(slices(data, limited)) == data
    assert max(map(len, slices(data, limited))) == SLICE_BYTES
    assert list(slices(data, Unlimited())) == [data]


async def test_patience_ends_after_failures_in_a_row_only() -> None:
    clock = ImpatientClock()
    patience = Patience(clock, CountingEntropy(), tries=3)
    assert [await patience.again() for _ in range(3)] == [True] * 3
    patience.progressed()
    assert [await patience.again() for _ in range(4)] == [True, True, True, False]
    assert clock.slept_s[0] == 0
    assert clock.slept_s[1] < clock.slept_s[2]


async def test_nobody_is_made_to_wait_for_ever_by_an_answer() -> None:
    clock = ImpatientClock()
    await Patience(clock, CountingEntropy()).again(10.0**9)
    assert clock.slept_s == [30.0]


def test_the_bits_of_an_answer_name_the_blocks_that_are_held() -> None:
    blocks = [BlockId(bytes([number]) * 32) for number in range(10)]
    assert held_blocks(blocks, HaveReply(bytes([0b10000001, 0b01000000]))) == {blocks[0], blocks[7], blocks[9]}
    with pytest.raises(SourceCut):
        held_blocks(blocks, HaveReply(b"\xff"))
