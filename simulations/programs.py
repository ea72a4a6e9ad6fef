"""A program on a simulated host: started, stopped and killed. Owns its lives; what it does is said by its kinds."""

from abc import ABC, abstractmethod
from collections.abc import Callable

import trio

from simulations.happenings import Ran, Run
from simulations.machine import Host, Killed, Life
from simulations.network.net import Net
from simulations.points import Points
from simulations.scheduling import belong_to
from simulations.trace import Trace


class Program(ABC):
    """The base of the coordinator and of a device. At most one life at a time."""

    def __init__(self, host: Host, net: Net, trace: Trace, nursery: trio.Nursery) -> None:
        self.host = host
        self.net = net
        self.trace = trace
        self.life = Life(host)
        self.life.is_dead = True
        self.points = Points(self.life)
        """Its calls to its disk and its database; another one for each life."""
        self.told_next: Callable[[str], bool] | None = None
        """What the next life's points are to be told to, from its first one on; see `Points.told`."""
        self.committed: Callable[[], None] = lambda: None
        """Told after each of its transactions, of any life; see `Points.committed`."""
        self.bugs: list[BaseException] = []
        """With what it ended though nobody had ended it."""
        self.kills = 0
        self.lives = 0
        self._nursery = nursery
        self._scope = trio.CancelScope()
        self.ready = trio.Event()
        self.ended = trio.Event()
        self.ended.set()

    @property
    def name(self) -> str:
        """Its host's."""
        return self.host.name

    @property
    def runs(self) -> bool:
        """Whether it has a life."""
        return not self.ended.is_set()

    def launch(self) -> None:
        """Begin a life; the last one must have ended."""
        assert self.ended.is_set(), f"{self.name} runs already"
        self.net.begin(self.host)
        self.lives += 1
        self.life, self._scope = Life(self.host), trio.CancelScope()
        self.ready, self.ended = trio.Event(), trio.Event()
        self.trace.note(self.name, "starts")
        self.trace.happened(Ran(self.name, Run.STARTS))
        self._nursery.start_soon(self._live, self.life, name=f"{self.name} (program)")

    async def start(self) -> None:
        """Begin a life and wait until it answers; also returns where it ended before."""
        self.launch()
        await self.wait_ready()

    async def wait_ready(self) -> None:
        """Until it answers, or has ended."""
        async with trio.open_nursery() as nursery:
            for event in (self.ready, self.ended):
                nursery.start_soon(_end_with, event, nursery.cancel_scope)

    async def stop(self) -> None:
        """End it gracefully."""
        self.trace.note(self.name, "stops")
        self._scope.cancel()
        await self.ended.wait()
        self.trace.happened(Ran(self.name, Run.STOPS))

    async def kill(self, *, power: bool = False) -> None:
        """End it at once, by a signal or by the loss of its machine's power. Returns when nothing of it is left."""
        if not self.life.is_dead:
            self.end_now(power=power)
        await self.ended.wait()

    def end_now(self, *, power: bool = False) -> None:
        """The same, but what is left of it is dismantled later; of no effect on anything any more.

        A machine that stood still does so no longer.
        """
        self.host.thaw()
        self.trace.note(self.name, "loses power" if power else "is killed")
        self.trace.happened(Ran(self.name, Run.POWER if power else Run.KILLED))
        self.kills += 1
        self.life.is_dead = True
        self.sever(power=power)
        self.net.end(self.life, silently=power)
        self._scope.cancel()

    def kill_after(self, calls: int) -> None:
        """Have it killed after so many more calls to its disk and its database."""
        self.points.kill_at = self.points.passed + calls

    def spare(self) -> None:
        """Do not, after all."""
        self.points.kill_at = None

    # --- what the kinds say -------------------------------------------------------------------------------

    @abstractmethod
    async def be(self, life: Life) -> None:
        """Do what the program does until cancelled; sets `ready`."""

    @abstractmethod
    def sever(self, *, power: bool) -> None:
        """Whatever holds on to durable things lets go of them, as the kernel sees to when a process ends."""

    def may_end_with(self, error: BaseException) -> bool:
        """Whether it is as it should be that it has ended by itself with this."""
        del error
        return False

    # --- a life -------------------------------------------------------------------------------------------

    async def _live(self, life: Life) -> None:
        belong_to(self.host)
        try:
            with self._scope:
                await self.be(life)
        except* Killed:
            pass
        except* Exception as error:  # noqa: BLE001 - told as what it is
            if not life.is_dead:
                self.trace.note(self.name, f"ends by itself: {error!r}")
                self.trace.happened(Ran(self.name, Run.FAILS))
                if any(not self.may_end_with(each) for each in leaves(error)):
                    self.bugs.append(error)
        finally:
            if not life.is_dead:
                life.is_dead = True
                self.net.end(life, silently=False)
            self.ended.set()


def leaves(error: BaseException) -> list[BaseException]:
    """The errors that are in a group, or the one that is none."""
    if not isinstance(error, BaseExceptionGroup):
        return [error]
    return [leaf for each in error.exceptions for leaf in leaves(each)]


async def _end_with(event: trio.Event, scope: trio.CancelScope) -> None:
    await event.wait()
    scope.cancel()
