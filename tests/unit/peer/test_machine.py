import threading

import pytest
import trio

from peer.machine import SystemClock, SystemEntropy, ThreadOffload
from peer.ports import Clock, Entropy, Offload


async def test_time_never_goes_back_and_sleeping_is_trios(autojump_clock: object) -> None:
    clock: Clock = SystemClock()
    before_s, start_s = clock.monotonic_s(), trio.current_time()
    await clock.sleep(1000)
    assert trio.current_time() - start_s == pytest.approx(1000)
    assert clock.monotonic_s() >= before_s
    assert clock.wall_ns() > 1_700_000_000 * 10**9


def test_tokens_differ_and_jitter_stays_between_its_bounds() -> None:
    entropy: Entropy = SystemEntropy()
    assert len({entropy.token(16) for _ in range(100)}) == 100
    assert all(1 <= entropy.jitter(1, 2) <= 2 for _ in range(100))


async def test_at_most_so_many_calls_run_at_a_time_in_other_threads() -> None:
    offload: Offload = ThreadOffload(2)
    lock = threading.Lock()
    running, most = 0, 0
    met = threading.Barrier(2)

    def work(number: int) -> tuple[int, int]:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        met.wait(timeout=10)
        with lock:
            running -= 1
        return number, threading.get_ident()

    results = []

    async def one(number: int) -> None:
        results.append(await offload.run(work, number))

    async with trio.open_nursery() as nursery:
        for number in range(6):
            nursery.start_soon(one, number)
    assert sorted(number for number, _ in results) == list(range(6))
    assert threading.get_ident() not in {thread for _, thread in results}
    assert most == 2
