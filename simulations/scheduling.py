"""How trio runs a world: repeatably, in virtual time, and without a turn for machines that stand still.

Owns all that is asked of trio's insides, and so the version of trio that it was written for.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from random import Random  # noqa: TID251 - drawn from the world's seed
from typing import Any, Final

import trio
import trio.testing

_VERSION: Final = "0.35.0"
"""Where trio is another one: check that what is used of its insides here is still so, then change this line."""
_TURNS: Final = 0.3
"""How often others have a turn though the task need not wait."""
_machine: ContextVar[object | None] = ContextVar("machine", default=None)


@contextmanager
def deterministic(seed: str) -> Iterator[None]:
    """Have trio schedule tasks by their age and a seeded draw in the runs within the context.

    Where a task need not wait but lets others have a turn, it is drawn as well whether it does: all of these turns
    would be a third of a run, and most orders of events come about without them.
    """
    assert trio.__version__ == _VERSION, "see _VERSION"
    runner: Any = sys.modules["trio._core._run"]
    real, draw = trio.lowlevel.cancel_shielded_checkpoint, Random(f"turns of {seed}").random

    async def perhaps() -> None:
        if draw() < _TURNS:
            await real()

    before = runner._ALLOW_DETERMINISTIC_SCHEDULING
    runner._ALLOW_DETERMINISTIC_SCHEDULING = True
    runner._r.seed(seed)
    places: tuple[Any, ...] = (trio.lowlevel, sys.modules["trio._core"], runner)
    for place in places:
        place.cancel_shielded_checkpoint = perhaps
    try:
        yield
    finally:
        runner._ALLOW_DETERMINISTIC_SCHEDULING = before
        for place in places:
            place.cancel_shielded_checkpoint = real


def make_clock() -> trio.testing.MockClock:
    """Virtual time, which jumps to whatever is due next as soon as nothing else is left to do.

    It is trio's own, with shorter ways to the same: the time is asked for tens of thousands of times a history.
    """
    clock: Any = trio.testing.MockClock(autojump_threshold=0)

    def jump() -> None:
        due_s = _runner().deadlines.next_deadline()
        if clock._virtual_base < due_s < float("inf"):
            clock._virtual_base = due_s

    clock.current_time = lambda: clock._virtual_base
    clock._autojump = jump
    made: trio.testing.MockClock = clock
    return made


def belong_to(machine: object | None) -> None:
    """This task, and all that it starts from now on, is at work on that machine."""
    _machine.set(machine)


class Stillness(trio.abc.Instrument):
    """While one machine stands still: none of its tasks has a turn, whatever becomes due for them."""

    def __init__(self, machine: object) -> None:
        self._machine = machine
        self._runner = runner = _runner()
        self._held = [task for task in runner.runq if self._is_its(task)]
        for task in self._held:
            runner.runq.remove(task)
        trio.lowlevel.add_instrument(self)

    def end(self) -> None:
        """All that became due meanwhile goes on now."""
        trio.lowlevel.remove_instrument(self)
        self._runner.runq.extend(self._held)
        self._held.clear()

    def task_scheduled(self, task: trio.lowlevel.Task) -> None:
        """See trio."""
        if self._is_its(task):
            last = self._runner.runq.pop()
            assert last is task, "see _VERSION"
            self._held.append(task)

    def _is_its(self, task: trio.lowlevel.Task) -> bool:
        return task.context.get(_machine) is self._machine


def _runner() -> Any:
    return sys.modules["trio._core._run"].GLOBAL_RUN_CONTEXT.runner
