"""Hears what happens in a world and keeps it. Owns the raw material of a report; draws no conclusion from it.

What the engines are at is taken from their own status and counters, whenever they say that something has changed and
whenever bytes are on their way.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from peer.engine.device import DeviceEngine
from peer.engine.report import state_of
from peer.home import Home
from simulations.happenings import Happening, Ran, Run
from simulations.report.journal import Journals, read_journals

JOINED_S: Final = 5.0
"""Blocks that move with no longer pause between them are one transfer."""
_REMEMBERED: Final = 4_000
_PIECE: Final = 1_000
"""Smaller pieces than this are hardly of blocks."""
STARTING: Final = "starting"
OFF: Final = "off"


@dataclass(frozen=True, slots=True)
class State:
    """What a device says of its folders from this moment on: the least happy of their states, and all problems. Before
    it has any it is `STARTING`; without a program it is `OFF`."""

    at_s: float
    name: str
    problems: tuple[str, ...]


@dataclass(slots=True)
class Moved:
    """Block bytes of one device, in one direction and by one path, for a while."""

    begins_s: float
    ends_s: float
    is_up: bool
    by_lan: bool
    size: int


@dataclass(slots=True)
class _Watched:
    """An engine at work, and what its counters said last."""

    engine: DeviceEngine
    counted: tuple[int, int, int, int] = (0, 0, 0, 0)


_WORST_FIRST: Final = ("error", "waiting", "offline", "paused", "scanning", "syncing", "up_to_date")
_WAYS: Final = ((True, False), (False, False), (True, True), (False, True))
"""Up and by the LAN, in the order of `_counts`."""


@dataclass
class Recording:
    """A `Listener` that keeps everything; equal things that follow each other are kept once."""

    happened_at: list[tuple[float, Happening]] = field(default_factory=list)
    states: dict[str, list[State]] = field(default_factory=dict)
    moved: dict[str, list[Moved]] = field(default_factory=dict)
    wire: dict[tuple[str, str], int] = field(default_factory=dict)
    """All bytes that one machine sent to another."""
    lines: dict[str, int] = field(default_factory=dict)
    """Bytes by line, `SITE:up`, `SITE:down` and `SITE:lan`, as the network counts them."""
    journals: Journals = field(default_factory=Journals)
    ended_s: float = 0.0
    is_over: bool = False
    """Then the world is taken apart, which is no part of the story."""
    _watched: dict[str, _Watched] = field(default_factory=dict)
    _coming: dict[str, deque[tuple[float, int]]] = field(default_factory=dict)
    """The last pieces on their way to each machine."""

    def happened(self, at_s: float, what: Happening) -> None:
        """See `Listener`."""
        if self.is_over:
            return
        self.happened_at.append((at_s, what))
        if isinstance(what, Ran):
            self._count(at_s, what.who)
            self._watched.pop(what.who, None)
            self._note(what.who, State(at_s, STARTING if what.what is Run.STARTS else OFF, ()))

    def carried(self, at_s: float, source: str, target: str, size: int) -> None:
        """See `Listener`."""
        self.wire[source, target] = self.wire.get((source, target), 0) + size
        self._coming.setdefault(target, deque(maxlen=_REMEMBERED)).append((at_s, size))
        self._count(at_s, source)
        self._count(at_s, target)
        if size >= _PIECE:
            self._still_going(at_s, source)

    def attach(self, name: str, engine: DeviceEngine) -> None:
        """See `Listener`."""
        clock = engine.machine.clock
        watched = self._watched[name] = _Watched(engine)

        def look() -> None:
            if self._watched.get(name) is watched:
                self._look(clock.monotonic_s(), name, engine)
                self._count(clock.monotonic_s(), name)

        engine.on_change = look
        look()

    def ended(self, at_s: float, lines: dict[str, int], homes: Sequence[Home]) -> None:
        """See `Listener`."""
        self.ended_s, self.lines, self.is_over = at_s, lines, True
        for name in list(self._watched):
            self._count(at_s, name)
        self.journals = read_journals(homes)

    def _look(self, at_s: float, name: str, engine: DeviceEngine) -> None:
        mounted = list(engine.mounted.values())
        found = {state_of(one) for one in mounted}
        state = next((one for one in _WORST_FIRST if one in found), STARTING)
        problems = tuple(sorted({problem.code for one in mounted for problem in one.problems.all()}))
        self._note(name, State(at_s, state, problems))

    def _note(self, name: str, state: State) -> None:
        kept = self.states.setdefault(name, [])
        if not kept or (kept[-1].name, kept[-1].problems) != (state.name, state.problems):
            kept.append(state)

    def _count(self, at_s: float, name: str) -> None:
        watched = self._watched.get(name)
        if watched is None:
            return
        its = watched.engine.machine.counters
        counted = (its.server_out, its.server_in, its.lan_out, its.lan_in)
        if counted == watched.counted:
            return
        kept = self.moved.setdefault(name, [])
        for (is_up, by_lan), before, now in zip(_WAYS, watched.counted, counted, strict=True):
            if now > before:
                # What has come is counted when it is complete, what goes before it goes.
                began_s = at_s if is_up else self._began_s(at_s, name, now - before)
                _add(kept, Moved(began_s, at_s, is_up, by_lan, now - before))
        watched.counted = counted

    def _began_s(self, at_s: float, name: str, size: int) -> float:
        """Since when so many bytes have been coming here: as far back as they fill the pieces, but no long pause."""
        for piece_s, piece in reversed(self._coming.get(name, ())):
            if at_s - piece_s > JOINED_S:
                break
            at_s, size = piece_s, size - piece
            if size <= 0:
                break
        return at_s

    def _still_going(self, at_s: float, name: str) -> None:
        """A transfer from here lasts as long as pieces leave that may be its."""
        for one in reversed(self.moved.get(name, [])[-len(_WAYS) :]):
            if one.is_up and at_s - one.ends_s <= JOINED_S:
                one.ends_s = at_s
                return


def _add(kept: list[Moved], new: Moved) -> None:
    """Lengthen the last transfer of this kind, or begin one."""
    for one in reversed(kept[-len(_WAYS) :]):
        if (one.is_up, one.by_lan) == (new.is_up, new.by_lan):
            if new.begins_s - one.ends_s <= JOINED_S:
                one.ends_s, one.size = new.ends_s, one.size + new.size
                return
            break
    kept.append(new)
