"""Mailboxes conflate, and nobody is told what they may not know."""

from dataclasses import replace

import trio
import trio.testing
from hypothesis import given, settings
from hypothesis import strategies as st

from coordinator.ports import ChainGrew, Committed, DeviceDropped
from coordinator.service.context import Session
from coordinator.web.notify import CloseCode, Hub, Mailbox
from protocol import limits
from protocol.ids import DeviceId, UserId, WorkspaceId
from protocol.messages import ChainPoke, Poke
from protocol.model import JournalRow
from tests.common.coordination import open_coordination
from tests.common.journals import TestJournal, TestUser, other_head, seed

ANA, BEN = (Session(DeviceId(seed(name)[:16]), UserId(seed("user", name)[:16])) for name in ("ana", "ben"))
HERE, THERE = WorkspaceId(seed("here")), WorkspaceId(seed("there"))
BOTH = frozenset({ANA.device, BEN.device})


def rows(count: int, *, large: bool = False) -> list[JournalRow]:
    journal = TestJournal(TestUser("ana"))
    device = journal.owner.devices[0]
    for number in range(count):
        journal.put(device, journal.change(number, sealed=bytes(limits.INLINE_BYTES if large else 10)))
    found = zip(journal.log_hashes, journal.commits, strict=True)
    return [JournalRow(seq, log_hash, 0, commit) for seq, (log_hash, commit) in enumerate(found, 1)]


def committed(
    seq: int, *new: JournalRow, workspace: WorkspaceId = HERE, audience: frozenset[DeviceId] = BOTH
) -> Committed:
    return Committed(workspace, seq, other_head(seq), new, audience)


def closing(mailbox: Mailbox) -> CloseCode | None:
    return mailbox.closed


def heads(mailbox: Mailbox) -> list[tuple[WorkspaceId, int, int]]:
    return [(each.workspace, each.head_seq, len(each.rows)) for each in mailbox.take()[0]]


def test_consecutive_small_commits_are_joined() -> None:
    hub, made = Hub(), rows(3)
    with hub.opened(ANA, b"t") as mailbox:
        for row in made:
            hub.publish(committed(row.seq, row))
        assert heads(mailbox) == [(HERE, 4, 4)]
        assert heads(mailbox) == []


def test_a_large_commit_or_a_gap_leaves_the_head_alone() -> None:
    hub, small, large = Hub(), rows(3), rows(1, large=True)
    with hub.opened(ANA, b"t") as mailbox:
        hub.publish(committed(1, small[0]))
        hub.publish(committed(3, small[2]))
        assert heads(mailbox) == [(HERE, 3, 0)]
        hub.publish(committed(4, large[1]))
        assert heads(mailbox) == [(HERE, 4, 0)]


@settings(deadline=None)
@given(st.permutations(range(4)))
def test_in_whatever_order_notices_come_the_highest_head_counts(order: list[int]) -> None:
    hub, made = Hub(), rows(3)
    with hub.opened(ANA, b"t") as mailbox:
        for at in order:
            hub.publish(committed(made[at].seq, made[at]))
        (told,) = mailbox.take()[0]
        assert told.head_seq == 4
        numbers = [row.seq for row in told.rows]
        assert numbers == list(range(numbers[0], 5)) if numbers else True


@settings(deadline=None)
@given(st.permutations([(2, 0), (2, 1), (3, 1), (3, 2), (3, 3)]))
def test_in_whatever_order_notices_come_the_highest_durability_counts(order: list[tuple[int, int]]) -> None:
    hub, made = Hub(), rows(2)
    with hub.opened(ANA, b"t") as mailbox:
        for seq, durability in order:
            notice = committed(seq, *(made[seq - 1 : seq] if durability == seq - 2 else ()))
            hub.publish(replace(notice, durability=durability))
        (told,) = mailbox.take()[0]
        assert (told.poke.head_seq, told.poke.durability) == (3, 3)
        assert [row.seq for row in told.rows] in ([2, 3], [3], [])


def test_a_version_that_became_durable_is_told_with_the_commits_that_were_not_told_yet() -> None:
    hub, (row,) = Hub(), rows(0)
    with hub.opened(ANA, b"t") as mailbox:
        hub.publish(committed(1, row))
        hub.publish(replace(committed(1), durability=4))
        (told,) = mailbox.take()[0]
        assert told.poke == Poke(HERE, 1, other_head(1), 4, (row,))


def test_a_mailbox_is_bounded_by_its_workspaces_however_much_happens() -> None:
    hub, (row,) = Hub(), rows(0)
    with hub.opened(ANA, b"t") as mailbox:
        for seq in range(1, 20_000):
            hub.publish(committed(seq, row, workspace=HERE if seq % 2 else THERE))
        news = mailbox.take()[0]
        assert len(news) == 2
        assert sum(each.rows_bytes for each in news) <= 2 * limits.INLINE_BYTES


def test_only_the_audience_hears_and_who_left_it_meanwhile_does_not() -> None:
    hub, (row,) = Hub(), rows(0)
    with hub.opened(ANA, b"t") as ana, hub.opened(BEN, b"t") as ben:
        hub.publish(committed(1, row, audience=frozenset({ANA.device})))
        assert heads(ben) == []
        hub.publish(committed(2, row))
        assert hub.may_hear(BEN.device, HERE)
        hub.publish(committed(3, row, audience=frozenset({ANA.device})))
        assert [workspace for workspace, _, _ in heads(ben) if hub.may_hear(BEN.device, workspace)] == []
        assert hub.may_hear(ANA.device, HERE)
        assert heads(ana) == [(HERE, 3, 0)]


def test_a_grown_chain_is_told_to_its_user() -> None:
    hub = Hub()
    with hub.opened(ANA, b"t") as mailbox:
        for length in (2, 4, 3):
            hub.publish(ChainGrew(ANA.user, length, frozenset({ANA.device})))
        assert mailbox.take() == ([], ChainPoke(ANA.user, 4))


def test_a_dropped_device_is_closed_and_so_are_all_on_stopping() -> None:
    hub = Hub()
    with hub.opened(ANA, b"t") as ana, hub.opened(BEN, b"t") as ben:
        hub.publish(DeviceDropped(ANA.device))
        assert closing(ana) is CloseCode.DENIED
        assert closing(ben) is None
        hub.stop()
        assert closing(ben) is CloseCode.RESTART
    with hub.opened(ANA, b"t") as late:
        assert closing(late) is CloseCode.RESTART


async def test_a_socket_whose_token_has_expired_is_closed_though_nothing_is_sent(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with open_coordination(None) as here:
        hub = Hub()
        here.context.tokens.add(b"good", ANA, here.clock.monotonic_s())
        with hub.opened(ANA, b"good") as mailbox:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(hub.sweep_forever, here.context)
                await trio.sleep(60)
                assert closing(mailbox) is None
                here.clock.advance(limits.TOKEN_S + 1)
                await mailbox.wait()
                assert closing(mailbox) is CloseCode.SIGNED_OUT
                nursery.cancel_scope.cancel()
