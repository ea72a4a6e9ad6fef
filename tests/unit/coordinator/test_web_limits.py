"""Rates, counts and budgets hold, under virtual time."""

import trio
import trio.testing

from coordinator.web.limits import Budget, Counts, Rates


async def test_a_rate_lets_a_burst_through_then_its_share(autojump_clock: trio.testing.MockClock) -> None:
    rates: Rates[str] = Rates(rate=10, burst=5)
    assert [rates.take("a") for _ in range(5)] == [0.0] * 5
    assert rates.take("a") == 0.1
    assert rates.take("b") == 0.0
    await trio.sleep(0.25)
    assert [bool(rates.take("a")) for _ in range(3)] == [False, False, True]
    await trio.sleep(100)
    assert [bool(rates.take("a")) for _ in range(6)] == [False] * 5 + [True]


async def test_pacing_makes_a_stream_take_its_time(autojump_clock: trio.testing.MockClock) -> None:
    rates: Rates[str] = Rates(rate=100, burst=100)
    since = trio.current_time()
    for _ in range(10):
        await rates.pace("a", 100)
    assert round(trio.current_time() - since, 6) == 9


async def test_the_parties_remembered_are_bounded() -> None:
    rates: Rates[int] = Rates(rate=1, burst=1)
    for key in range(30_000):
        rates.take(key)
    assert len(rates._buckets) <= 20_000


def test_no_more_of_a_key_at_once_than_allowed() -> None:
    counts: Counts[str] = Counts(1)
    with counts.one("a") as first, counts.one("a") as second, counts.one("b") as third:
        assert (first, second, third) == (True, False, True)
    with counts.one("a") as again:
        assert again
    assert not counts._counts


async def test_a_budget_is_never_overdrawn_and_everybody_gets_a_turn() -> None:
    budget = Budget(10)
    held = most = 0

    async def use(size: int) -> None:
        nonlocal held, most
        async with budget.part(size):
            held += min(size, 10)
            most = max(most, held)
            await trio.lowlevel.checkpoint()
            held -= min(size, 10)

    async with trio.open_nursery() as nursery:
        for size in (3, 20, 4, 6, 1, 10, 2, 9):
            nursery.start_soon(use, size)
    assert most <= 10


async def test_who_gives_up_waiting_for_a_budget_leaves_it_as_it_was(autojump_clock: trio.testing.MockClock) -> None:
    budget = Budget(10)
    async with budget.part(10):
        with trio.move_on_after(1):
            async with budget.part(1):
                raise AssertionError("there is no room")
    async with budget.part(10):
        pass
