"""Commits that wait for the coordinator go from device to device: real links and sessions, a network in memory."""

import hashlib

import pytest
import trio
from trio.testing import MockClock

from protocol import limits
from protocol.ids import CommitDigest, DeviceId, WorkspaceId
from protocol.lan import LanKept
from simulations.noise import noise
from tests.common.memory_lan import MemoryLan
from tests.unit.lan.test_exchange import HERE, Peer, together


def name(data: bytes) -> CommitDigest:
    return CommitDigest(hashlib.sha256(data).digest())


def waiting(*commits: bytes) -> dict[CommitDigest, bytes]:
    return {name(data): data for data in commits}


async def test_commits_that_wait_go_to_whoever_lacks_them_in_their_order(autojump_clock: MockClock) -> None:
    lan = MemoryLan()
    author, taker = Peer(lan, 1), Peer(lan, 2)
    author.waiting = waiting(b"first", b"second", b"third")
    async with together(author, taker):
        assert list(taker.waiting.items()) == list(author.waiting.items()), "told when they met"
        author.waiting |= waiting(b"fourth")
        author.exchange.tell_kept(HERE)
        await trio.sleep(1)
        assert list(taker.waiting.items()) == list(author.waiting.items())


async def test_each_has_in_the_end_what_either_had(autojump_clock: MockClock) -> None:
    lan = MemoryLan()
    some, other = Peer(lan, 1), Peer(lan, 2)
    some.waiting, other.waiting = waiting(b"one", b"both"), waiting(b"both", b"two")
    async with together(some, other):
        assert some.waiting == other.waiting == waiting(b"one", b"two", b"both")


async def test_a_commit_longer_than_a_part_comes_whole(autojump_clock: MockClock) -> None:
    lan = MemoryLan()
    author, taker = Peer(lan, 1), Peer(lan, 2)
    lengths = (limits.LAN_PART_BYTES, limits.LAN_PART_BYTES + 1, 5 * limits.LAN_PART_BYTES - 7, 1)
    author.waiting = waiting(*(noise(length) for length in lengths))
    async with together(author, taker):
        assert taker.waiting == author.waiting


async def test_a_commit_that_is_not_to_be_had_does_not_stop_the_next(autojump_clock: MockClock) -> None:
    lan = MemoryLan()
    author, taker = Peer(lan, 1), Peer(lan, 2)
    async with together(author, taker):
        author.waiting = waiting(b"before", b"after")
        named = (name(b"never was"), name(b"before"), name(b"gone since"), name(b"after"), name(b"nor this"))
        link = author.meeting.links[taker.id]
        link.session.say(LanKept(HERE, named))
        link.wake()
        await trio.sleep(1)
        assert taker.waiting == author.waiting


async def test_what_a_third_device_brought_meanwhile_is_not_fetched_again(autojump_clock: MockClock) -> None:
    lan = MemoryLan()
    one, two, taker = Peer(lan, 1), Peer(lan, 2), Peer(lan, 3)
    commits = [noise(40_000) + bytes([number]) for number in range(10)]
    async with together(one, two, taker):
        before = one.uplink.sent_bytes + two.uplink.sent_bytes
        one.waiting, two.waiting = waiting(*commits), waiting(*reversed(commits))
        one.exchange.tell_kept(HERE)
        two.exchange.tell_kept(HERE)
        await trio.sleep(5)
        assert taker.waiting == one.waiting
        sent = one.uplink.sent_bytes + two.uplink.sent_bytes - before
        assert sent < 1.5 * sum(map(len, commits)), "at most the one that both were asked for in the middle"


async def test_a_flood_of_names_is_bounded_and_the_link_goes_on(autojump_clock: MockClock) -> None:
    lan = MemoryLan()
    flood, taker = Peer(lan, 1), Peer(lan, 2)
    async with together(flood, taker):
        link = flood.meeting.links[taker.id]
        for start in range(0, 20 * limits.LAN_KEPT, limits.LAN_KEPT):
            names = tuple(name(b"%d" % number) for number in range(start, start + limits.LAN_KEPT))
            link.session.say(LanKept(HERE, names))
            link.wake()
            await trio.sleep(0.001)
            assert len(taker.exchange._kept._links[flood.id][1].due) <= limits.LAN_KEPT
        await trio.sleep(60)
        assert not taker.exchange._kept._links[flood.id][1].due, "each was asked for, and is not to be had"
        flood.waiting = waiting(b"a real one")
        flood.exchange.tell_kept(HERE)
        await trio.sleep(1)
        assert taker.waiting == flood.waiting
        assert flood.id in taker.meeting.links


async def test_a_link_that_breaks_in_the_middle_of_a_commit_leaves_nothing_of_it(autojump_clock: MockClock) -> None:
    lan = MemoryLan()
    author, taker = Peer(lan, 1, rate_s=50e3), Peer(lan, 2)
    async with together(author, taker):
        author.waiting = waiting(noise(500_000))
        author.exchange.tell_kept(HERE)
        await trio.sleep(3)
        assert not taker.waiting
        author.meeting.links[taker.id].end("for the test")
        await trio.sleep(1)
        author.uplink.rate_s = 10e6
        await trio.sleep(60)
        assert taker.waiting == author.waiting, "it was told of again on the next link, and came from its beginning"


@pytest.mark.parametrize("length", [10, 3 * limits.LAN_PART_BYTES])
async def test_names_that_come_together_with_an_answer_do_not_confuse_it(
    length: int, autojump_clock: MockClock
) -> None:
    lan = MemoryLan()
    author, taker = Peer(lan, 1), Peer(lan, 2)
    commits = [noise(length) + bytes([number]) for number in range(10)]
    async with together(author, taker):
        author.waiting = waiting(*commits)
        link = author.meeting.links[taker.id]
        names = LanKept(HERE, tuple(author.waiting) + tuple(map(name, (b"%d" % n for n in range(900)))))
        for _ in range(100):
            link.session.say(names)
            link.wake()
            await trio.sleep(0.001)
        await trio.sleep(5)
        assert taker.waiting == author.waiting
        assert author.meeting.links[taker.id] is link


async def test_one_commit_of_a_link_at_a_time_is_held_while_it_is_looked_at(autojump_clock: MockClock) -> None:
    lan = MemoryLan()
    author, taker = Peer(lan, 1), Peer(lan, 2)
    looked_at: list[CommitDigest] = []

    async with together(author, taker):
        take = taker.take_commit

        async def take_slowly(device: DeviceId, workspace: WorkspaceId, commit: CommitDigest, data: bytes) -> None:
            looked_at.append(commit)
            await trio.sleep(1)
            await take(device, workspace, commit, data)

        taker.take_commit = take_slowly  # type: ignore[method-assign]
        author.waiting = waiting(*(noise(1_000) + bytes([number]) for number in range(5)))
        for _ in range(10):
            author.exchange.tell_kept(HERE)
            await trio.sleep(0.05)
        assert len(looked_at) == 1
        assert not taker.exchange._kept._to_do.statistics().current_buffer_used
        await trio.sleep(10)
        assert taker.waiting == author.waiting
        assert looked_at == list(author.waiting)
