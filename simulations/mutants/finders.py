"""Where a mistake is looked for: in random histories of one shape, at the crash points of a workload, or in a story.

Owns the search, which ends at the first failure. Knows nothing of mistakes: the unchanged program is searched likewise,
and must have none.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, Protocol

from simulations.crashpoints import Ending, run_workload
from simulations.histories import History, Shape
from simulations.world import World, run_world

WALL_S: Final = 120.0
"""A world is given up after so much real time, which counts as a failure."""


@dataclass(frozen=True)
class Finding:
    """After how many attempts a search ended, and at which failure; empty where there was none."""

    attempts: int
    failures: tuple[str, ...] = ()


class Finder(Protocol):
    """A way to look. Equal names mean equal searches."""

    @property
    def name(self) -> str:
        """Says where, in a few words."""

    @property
    def unit(self) -> str:
        """What an attempt is."""

    def search(self, budget: int) -> Finding:
        """Make attempts, always the same ones in the same order, until one fails; at most so many."""


@dataclass(frozen=True)
class Histories:
    """Random histories, as `shoal-sim explore` has them, but for what is `fixed` of their shape."""

    name: str
    fixed: Mapping[str, Any] = field(default_factory=dict, compare=False)
    unit: str = "history"

    def search(self, budget: int) -> Finding:
        """See `Finder`. The seeds are the name with 1, 2, 3 …"""

        async def story(world: World) -> None:
            await History(world, replace(Shape.draw(world.draw("shape")), **self.fixed)).run()

        return _until_one_fails(self.name, story, budget)


@dataclass(frozen=True)
class Story:
    """What happens, told in code, with what a seed draws in it; fails the world where something is not right."""

    name: str
    told: Callable[[World], Awaitable[None]] = field(compare=False)
    unit: str = "story"

    def search(self, budget: int) -> Finding:
        """See `Finder`."""
        return _until_one_fails(self.name, self.told, budget)


@dataclass(frozen=True)
class Points:
    """The crash points of a workload at one host, in one way of ending, in order."""

    workload: str
    host: str
    ending: Ending
    unit: str = "crash point"

    @property
    def name(self) -> str:
        """See `Finder`."""
        return f"{self.workload}: {self.host}, {self.ending}"

    def search(self, budget: int) -> Finding:
        """See `Finder`."""
        [count] = run_workload(self.workload, [(self.host, self.ending)], most_points=budget, most_failures=1)
        return Finding(count.points + len(count.failures), tuple(count.failures))


def _until_one_fails(name: str, story: Callable[[World], Awaitable[None]], budget: int) -> Finding:
    for number in range(1, budget + 1):
        outcome = run_world(f"{name}/{number}", story, wall_s=WALL_S)
        if outcome.failures:
            return Finding(number, tuple(outcome.failures))
    return Finding(budget)
