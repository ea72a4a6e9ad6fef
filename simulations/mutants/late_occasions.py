"""Occasions on which a commit comes to the coordinator late, after its author has begun anew. Owns what happens on them
and what must have come of it. Each is also passed by the program without a mistake.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import trio

from coordinator.service.context import Context, Session
from coordinator.service.endpoints import SIGNED_IN
from simulations.canonical import NEW, OLD
from simulations.mutants.finders import Story
from simulations.network.line import Quality
from simulations.world import World

_COMMIT: Final = "/v1/commit"
_REST_S: Final = 300.0


class _Door:
    """Where commits come in. The next one `holds` lets none through until `opens`, whoever waits for the answer."""

    def __init__(self) -> None:
        self._commit = SIGNED_IN[_COMMIT]
        self.holds = False
        self.came, self.opens, self.answered = trio.Event(), trio.Event(), trio.Event()

    async def commit(self, context: Context, session: Session, request: Any) -> object:
        """The coordinator's own answer, sooner or later."""
        if not self.holds:
            return await self._commit(context, session, request)
        self.holds = False
        self.came.set()
        with trio.CancelScope(shield=True):
            await self.opens.wait()
            answer = await self._commit(context, session, request)
        self.answered.set()
        return answer


@contextmanager
def _held_up() -> Iterator[_Door]:
    """For a coordinator that begins in it."""
    commit, door = SIGNED_IN[_COMMIT], _Door()
    SIGNED_IN[_COMMIT] = door.commit
    try:
        yield door
    finally:
        door.opens.set()
        SIGNED_IN[_COMMIT] = commit


async def _taken_back(world: World) -> None:
    with _held_up() as door:
        await world.coordinator.kill()
        await world.coordinator.start()
        await _take_back(world, door)


async def _take_back(world: World, door: _Door) -> None:
    red, blue = (world.device(name, world.site(f"{name}'s home", Quality(latency_s=0.01))) for name in ("red", "blue"))
    await world.found(red, "ana")
    await world.pair(blue, red)
    world.folder(red).create("kept", OLD)
    await world.converged(_REST_S)
    door.holds = True
    world.folder(red).create("text", NEW)
    await _happens(world, door.came, "red's commit is on its way")
    await red.kill()
    world.folder(red).delete("text")
    await red.start()
    await world.converged(_REST_S)
    await trio.sleep(world.draw("when").random() * 60)
    door.opens.set()
    await _happens(world, door.answered, "red's commit has come in")
    await trio.sleep(10)
    tree = await world.converged(_REST_S)
    if tree is not None and tree != {"kept": OLD}:
        world.fail(f"somebody took back what they had saved, and there is {sorted(tree)}")


async def _happens(world: World, event: trio.Event, what: str) -> None:
    with trio.move_on_after(_REST_S) as scope:
        await event.wait()
    if scope.cancelled_caught:
        world.fail(f"after {_REST_S:.0f} s not yet: {what}")


TAKEN_BACK = Story("a save taken back before its commit came in", _taken_back)
