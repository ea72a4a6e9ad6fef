"""The simulated network: what lines do to bytes, and what the ends of a connection see."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from random import Random  # noqa: TID251 - seeded, for tests

import pytest
import trio
import trio.testing

from simulations.machine import Host, Life
from simulations.network.line import Quality
from simulations.network.net import Net, SimListener, Site
from simulations.trace import Trace

PORT = 7


class Pair:
    """Two hosts at two sites, the second of which listens."""

    def __init__(self, quality: Quality) -> None:
        self.net = Net(Random(1), Trace())
        self.near, self.far = Life(Host("near")), Life(Host("far"))
        self.here: Site = self.net.add_site("here", quality, Quality())
        self.there: Site = self.net.add_site("there", Quality(), Quality())
        self.net.add_host(self.near.host, self.here)
        self.net.add_host(self.far.host, self.there)
        self.listener: SimListener

    async def connect(self) -> tuple[trio.abc.Stream, trio.abc.Stream]:
        """Both ends of a new connection."""
        near = await self.net.connect(self.near, "far", PORT)
        return near, await self.listener.accept()


@asynccontextmanager
async def open_pair(quality: Quality) -> AsyncIterator[Pair]:
    pair = Pair(quality)
    async with trio.open_nursery() as nursery:
        await nursery.start(pair.net.run)
        with pair.net.listening(pair.far, PORT) as pair.listener:
            yield pair
        nursery.cancel_scope.cancel()


async def read(stream: trio.abc.Stream, size: int) -> bytes:
    data = b""
    while len(data) < size:
        piece = await stream.receive_some()
        if not piece:
            break
        data += piece
    return data


async def test_bytes_arrive_in_order_after_the_latency_and_no_faster_than_the_rate(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with open_pair(Quality(latency_s=0.2, rate=100_000.0)) as pair:
        near, far = await pair.connect()
        connected_s = trio.current_time()
        assert connected_s >= 0.4, "there and back"
        data = bytes(range(256)) * 2_000
        async with trio.open_nursery() as nursery:
            nursery.start_soon(near.send_all, data)
            assert await read(far, len(data)) == data
        took_s = trio.current_time() - connected_s
        assert 5.12 <= took_s < 6
        assert pair.net.carried_bytes()["here:up"] >= len(data)


async def test_loss_costs_time_and_no_bytes(autojump_clock: trio.testing.MockClock) -> None:
    async with open_pair(Quality(loss=0.3)) as pair:
        near, far = await pair.connect()
        began_s = trio.current_time()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(near.send_all, b"x" * 500_000)
            assert await read(far, 500_000) == b"x" * 500_000
        assert trio.current_time() - began_s > 0.2


async def test_what_is_sent_into_a_cut_line_arrives_when_it_is_whole_again(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with open_pair(Quality()) as pair:
        near, far = await pair.connect()
        pair.here.cut()
        await near.send_all(b"hello")
        with trio.move_on_after(100) as waiting:
            await far.receive_some()
        assert waiting.cancelled_caught
        pair.here.mend()
        assert await read(far, 5) == b"hello"


async def test_a_line_can_be_dead_in_one_direction(autojump_clock: trio.testing.MockClock) -> None:
    async with open_pair(Quality()) as pair:
        near, far = await pair.connect()
        pair.here.cut(up=False)
        await near.send_all(b"question")
        assert await read(far, 8) == b"question"
        await far.send_all(b"answer")
        with trio.move_on_after(100) as waiting:
            await near.receive_some()
        assert waiting.cancelled_caught


async def test_nobody_can_be_reached_over_a_cut_line(autojump_clock: trio.testing.MockClock) -> None:
    async with open_pair(Quality()) as pair:
        pair.there.cut()
        with pytest.raises(OSError, match="timed out"):
            await pair.connect()


async def test_a_reset_breaks_both_ends(autojump_clock: trio.testing.MockClock) -> None:
    async with open_pair(Quality()) as pair:
        near, far = await pair.connect()
        pair.net.reset(pair.near.host)
        with pytest.raises(trio.BrokenResourceError):
            await near.receive_some()
        with pytest.raises(trio.BrokenResourceError):
            await far.send_all(b"x")


async def test_a_program_that_ends_is_the_end_of_its_connections(autojump_clock: trio.testing.MockClock) -> None:
    async with open_pair(Quality()) as pair:
        near, far = await pair.connect()
        await near.send_all(b"last words")
        pair.net.end(pair.near, silently=False)
        assert await read(far, 100) == b"last words"
        await far.send_all(b"x")
        await trio.sleep(1)
        with pytest.raises(trio.BrokenResourceError):
            await far.send_all(b"x")


async def test_of_a_machine_without_power_nothing_is_heard_until_it_is_back(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with open_pair(Quality()) as pair:
        _, far = await pair.connect()
        pair.net.end(pair.near, silently=True)
        with trio.move_on_after(100) as waiting:
            await far.receive_some()
        assert waiting.cancelled_caught
        pair.net.begin(pair.near.host)
        with pytest.raises(trio.BrokenResourceError):
            await far.receive_some()


async def test_a_sender_waits_for_a_reader_that_does_not_read(autojump_clock: trio.testing.MockClock) -> None:
    async with open_pair(Quality()) as pair:
        near, far = await pair.connect()
        with trio.move_on_after(100) as waiting:
            await near.send_all(bytes(1_000_000))
        assert waiting.cancelled_caught
        pair.far.host.freeze()
        with trio.move_on_after(100) as frozen:
            await far.receive_some()
        assert frozen.cancelled_caught
        pair.far.host.thaw()
        assert await far.receive_some()


async def test_an_end_that_was_closed_here_says_so(autojump_clock: trio.testing.MockClock) -> None:
    async with open_pair(Quality()) as pair:
        near, far = await pair.connect()
        async with trio.open_nursery() as nursery:

            async def listen() -> None:
                with pytest.raises(trio.ClosedResourceError):
                    await near.receive_some()

            nursery.start_soon(listen)
            await trio.testing.wait_all_tasks_blocked()
            await near.aclose()
        with pytest.raises(trio.ClosedResourceError):
            await near.send_all(b"x")
        assert await far.receive_some() == b""


async def test_behind_nat_one_reaches_others_and_is_reached_by_neighbours_alone(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with open_pair(Quality(latency_s=0.01)) as pair:
        pair.here.is_behind_nat = True
        near, far = await pair.connect()
        await far.send_all(b"an answer comes through")
        assert await read(near, 23) == b"an answer comes through"
        neighbour = Life(Host("neighbour"))
        pair.net.add_host(neighbour.host, pair.here)
        with pair.net.listening(pair.near, PORT):
            await pair.net.connect(neighbour, "near", PORT)
            with pytest.raises(OSError, match="timed out"):
                await pair.net.connect(pair.far, "near", PORT)
