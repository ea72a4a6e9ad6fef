"""The real client and the real coordinator over a line that is cut at any byte: asked again, all is as it should be."""

import itertools
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import pytest
import trio

from peer.link.errors import LinkError
from peer.link.notify import Notifications
from peer.machine import SystemClock, SystemEntropy
from protocol.ids import NO_LOG, BlockId
from protocol.messages import CommitAccepted, CommitRequest, JournalPage, JournalRequest, Poke, Refusal, Welcome
from tests.common.coordinators import Member, framed, made_blocks, open_member, pieces, served
from tests.common.journals import TestJournal
from tests.common.wire import Wire, open_wire

PLACES = 16
"""At how many bytes each is cut, in each direction."""


@dataclass
class Here:
    wire: Wire
    ana: Member
    journal: TestJournal
    blocks: list[tuple[BlockId, bytes]]


@asynccontextmanager
async def opened(place: Path) -> AsyncIterator[Here]:
    with open_wire() as wire, served(place, "--public-url", f"https://127.0.0.1:{wire.port}") as running:
        wire.server_port = running.address[1]
        async with open_member(running, "ana") as ana:
            journal = await ana.make_workspace()
            blocks = made_blocks(5, lambda at: 3_000 * at + 10)
            await ana.client.upload(journal.id, pieces(framed(blocks)), len(framed(blocks)))
            await ana.commit(journal, journal.change("file", added=[block for block, _ in blocks]))
            for number in range(5):
                await ana.commit(journal, journal.change(f"more {number}", sealed=bytes(2_000)))
            yield Here(wire, ana, journal, blocks)


T = TypeVar("T")
Deed = Callable[[Here], Awaitable[None]]
"""Does it and checks what came of it. Raises `LinkError` where the line broke."""


async def read_the_journal(here: Here) -> None:
    page = await here.ana.client.request(JournalRequest(here.journal.id, 0, NO_LOG))
    assert isinstance(page, JournalPage)
    assert [row.commit for row in page.rows] == here.journal.commits


async def fetch_blocks(here: Here) -> None:
    wanted = [block for block, _ in here.blocks]
    async with here.ana.client.open_download(here.journal.id, wanted) as download:
        assert not isinstance(download, Refusal)
        got = [(frame.block, frame.data) async for batch in download for frame in batch]
    assert got == here.blocks


class Committing:
    """One commit after the other; one whose answer was lost is sent again as it was."""

    def __init__(self) -> None:
        self._numbers = itertools.count()

    async def __call__(self, here: Here) -> None:
        commit = here.journal.commit(here.ana.user.devices[0], here.journal.change(f"new {next(self._numbers)}"))
        answer = await again_until_answered(lambda: here.ana.client.request(CommitRequest(commit)))
        assert isinstance(answer, CommitAccepted)
        assert answer.seq == len(here.journal.commits) + 1
        here.journal.accept(commit)
        assert answer.log_hash == here.journal.log_hashes[-1]


async def again_until_answered(ask: Callable[[], Awaitable[T]]) -> T:
    while True:
        try:
            return await ask()
        except LinkError:
            pass


@pytest.mark.parametrize("deed", [read_the_journal, fetch_blocks, Committing()], ids=["journal", "blocks", "commits"])
async def test_what_is_cut_at_any_byte_is_had_whole_the_next_time(workplace: Path, deed: Deed) -> None:
    async with opened(workplace) as here:
        await deed(here)
        for down in (False, True):
            before = passed(here.wire, down)
            await deed(here)
            size = passed(here.wire, down) - before
            cuts = here.wire.cuts
            for place in range(PLACES):
                here.wire.cut_after(place * size // PLACES, down=down)
                await again_until_answered(lambda: deed(here))
            assert here.wire.cuts == cuts + PLACES
        await read_the_journal(here)


async def test_wake_ups_that_are_cut_at_any_byte_come_again_from_the_welcome_on(workplace: Path) -> None:
    async with opened(workplace) as here:
        before = passed(here.wire, down=True)
        await hear(here)
        size = passed(here.wire, down=True) - before
        for place in range(PLACES):
            here.wire.cut_after(place * size // PLACES, down=True)
            await hear(here)
        assert here.wire.cuts > PLACES / 2


async def hear(here: Here) -> None:
    """Listen until the journal's head was told."""
    notifications = Notifications(here.ana.client, SystemClock(), SystemEntropy(), lambda: ((), 0))
    with trio.fail_after(60):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(notifications.run)
            assert isinstance(await notifications.mailbox.get(), Welcome)
            while True:
                wake = await notifications.mailbox.get()
                if isinstance(wake, Poke):
                    assert wake.head_hash == here.journal.log_hashes[-1]
                    break
            nursery.cancel_scope.cancel()


def passed(wire: Wire, down: bool) -> int:
    return sum(map(len, wire.sent_down() if down else wire.sent_up()))
