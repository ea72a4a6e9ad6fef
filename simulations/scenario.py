"""Stories told by users: who has which devices where, what people do, what happens on the way, and what is expected.

A scenario is a plan; `run_scenario` makes a world of it, as often as one likes. Owns how it is put together and told.
"""

from collections import Counter
from collections.abc import Awaitable, Callable

from protocol.names import device_name_problem
from simulations.network.line import Quality
from simulations.plans import DevicePlan, SitePlan
from simulations.stage import Stage, Unexpected
from simulations.trace import Trace
from simulations.world import BACKBONE, COORDINATOR, Outcome, World, run_world

Story = Callable[[Stage], Awaitable[None]]


class Scenario:
    """A story with its places and devices. `expects` says in a sentence what must come of it."""

    def __init__(self, title: str, expects: str = "") -> None:
        self.title = title
        self.expects = expects
        self.sites: list[SitePlan] = []
        self.devices: list[DevicePlan] = []
        self._told: Story | None = None

    def site(
        self,
        name: str,
        *,
        lan: float | None = None,
        uplink: float | None = None,
        latency_ms: float = 10.0,
        jitter_ms: float = 0.0,
        loss: float = 0.0,
    ) -> SitePlan:
        """A place. `lan` and `uplink` are bytes a second (see `mbit`), None for no bound; `loss` a share of pieces.

        Raises `ValueError` where the name is taken.
        """
        if name == BACKBONE or any(one.name == name for one in self.sites):
            raise ValueError(f"there is another place called {name!r}")
        quality = Quality(latency_s=latency_ms / 1000, jitter_s=jitter_ms / 1000, rate=uplink, loss=loss)
        site = SitePlan(name, Quality(latency_s=0.0005, rate=lan), quality)
        self.sites.append(site)
        return site

    def device(self, name: str, *, at: SitePlan, capacity: int | None = None) -> DevicePlan:
        """A device of the one person whom the story is about; `capacity` is its disk's, in bytes.

        Raises `ValueError` where the name is taken, or is none that a device may have.
        """
        problem = device_name_problem(name)
        if problem is not None:
            raise ValueError(f"the device name {name!r} {problem}")
        if name == COORDINATOR or any(one.name == name for one in self.devices):
            raise ValueError(f"there is another machine called {name!r}")
        device = DevicePlan(name, at, capacity)
        self.devices.append(device)
        return device

    def story(self, told: Story) -> Story:
        """Decorates the function that tells the story."""
        self._told = told
        return told

    @property
    def told(self) -> Story:
        """The story."""
        assert self._told is not None, f"{self.title!r} has no story"
        return self._told


def run_scenario(scenario: Scenario, seed: str = "1", *, trace: Trace | None = None, wall_s: float = 300.0) -> Outcome:
    """Let a scenario happen. What it expected and was not so is among the failures."""
    figures: Counter[str] = Counter()

    async def story(world: World) -> None:
        stage = Stage(scenario.sites, scenario.devices, world)
        try:
            await scenario.told(stage)
        except Unexpected as error:
            world.fail(str(error))
        finally:
            for device in scenario.devices:
                device._stage = None
            figures["bytes by the server"] = world.net.carried_bytes().get("server:down", 0)
            figures["bytes from the server"] = world.net.carried_bytes().get("server:up", 0)
            figures["seconds waited"] = round(stage.waited_s)

    outcome = run_world(f"{scenario.title}/{seed}", story, trace=trace, wall_s=wall_s)
    outcome.figures = dict(figures)
    return outcome
