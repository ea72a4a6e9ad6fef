"""Commits whose answers are lost: nothing is there twice, and nobody conflicts with themselves."""

from typing import Any

import pytest
import trio

from coordinator.service.context import Context, Session
from coordinator.service.endpoints import SIGNED_IN
from protocol.messages import CommitRequest
from simulations.devices import SimDevice
from simulations.network.line import Quality
from simulations.world import World, run_world

LONG_S = 300.0
COMMIT = "/v1/commit"


class Late:
    """The coordinator's door for commits: the next one comes in only once it is let in, whoever waits for it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._commit = SIGNED_IN[COMMIT]
        self.holds = self.is_lost = False
        self.came = trio.Event()
        self.let_in = trio.Event()
        self.answered = trio.Event()
        monkeypatch.setitem(SIGNED_IN, COMMIT, self.commit)

    async def commit(self, context: Context, session: Session, request: Any) -> object:
        assert isinstance(request, CommitRequest)
        if not self.holds:
            return await self._commit(context, session, request)
        self.holds = False
        let_in = self.let_in = trio.Event()
        self.came.set()
        if self.is_lost:
            await trio.sleep_forever()
        with trio.CancelScope(shield=True):
            await let_in.wait()
            answer = await self._commit(context, session, request)
        self.answered.set()
        return answer


async def pair(world: World) -> SimDevice:
    home, away = (world.site(name, Quality(latency_s=0.01)) for name in ("home", "away"))
    red, blue = world.device("red", home), world.device("blue", away)
    await world.found(red, "ana")
    await world.pair(blue, red)
    world.folder(red).create("kept", b"before")
    assert await world.converged(LONG_S) is not None
    return red


async def journal_read(device: SimDevice) -> None:
    """Until a device that began anew has read the journal, and has sent what it has to."""
    await device.start()
    await device.wait_ready()
    assert device.engine is not None
    (one,) = device.engine.mounted.values()
    await one.begun.wait()


def test_a_commit_that_arrives_after_its_author_began_anew_and_read_the_journal_is_its_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    late = Late(monkeypatch)

    async def story(world: World) -> None:
        red = await pair(world)
        late.holds = True
        world.folder(red).create("text", b"first")
        await late.came.wait()
        await red.kill()
        world.folder(red).overwrite("text", b"second", 0, cut=True)
        late.holds = True  # what it sends after it began waits too: the old one is first
        first, late.came = late.let_in, trio.Event()
        await journal_read(red)
        await late.came.wait()
        first.set()
        await late.answered.wait()
        late.let_in.set()
        assert await world.converged(LONG_S) == {"kept": b"before", "text": b"second"}

    assert run_world("arrived late", story).failures == []


@pytest.mark.parametrize("arrives", [True, False], ids=["it arrives after all", "it never arrives"])
def test_what_was_taken_back_after_its_answer_was_lost_stays_taken_back(
    monkeypatch: pytest.MonkeyPatch, *, arrives: bool
) -> None:
    late = Late(monkeypatch)

    async def story(world: World) -> None:
        red = await pair(world)
        late.holds, late.is_lost = True, not arrives
        world.folder(red).create("text", b"first")
        await late.came.wait()
        await red.kill()
        world.folder(red).delete("text")
        await journal_read(red)
        if arrives:
            assert await world.converged(LONG_S) is not None
            late.let_in.set()
            await late.answered.wait()
        assert await world.converged(LONG_S) == {"kept": b"before"}

    assert run_world("taken back", story).failures == []
