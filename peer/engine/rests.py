"""What is due, and what rests because it did not work. Owns until when; decides nothing about what is done."""

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Final

from peer.ports import Clock

LINK_S: Final = 5.0
"""For so long rests what the coordinator did not answer."""
REFUSED_S: Final = 30.0
"""For so long rests what was refused, or is not to be had at the moment."""
DISK_S: Final = 10.0
"""For so long rests what this disk refused."""
SOON_S: Final = 1.0
"""For so long rests what may have been a coincidence."""


@dataclass(slots=True)
class Due:
    """What the loop has to do: make a plan, read the journal."""

    plan: bool = True
    journal: bool = True


class Rests:
    """Moments (monotonic) before which something is left alone, each under a name of its own."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._until_s: dict[Hashable, float] = {}

    def rest(self, what: Hashable, seconds: float) -> None:
        """Leave this alone for so long from now."""
        self._until_s[what] = self._clock.monotonic_s() + seconds

    def rests(self, what: Hashable) -> bool:
        """Whether it is still to be left alone."""
        until_s = self._until_s.get(what)
        return until_s is not None and until_s > self._clock.monotonic_s()

    def end(self, *what: Hashable) -> None:
        """Something changed: these may be tried at once."""
        for one in what:
            self._until_s.pop(one, None)

    def end_kind(self, kind: str) -> None:
        """All that rests under names that begin with this may be tried at once; `take_ended` says so."""
        now_s = self._clock.monotonic_s()
        for what in self._until_s:
            if isinstance(what, tuple) and what[0] == kind:
                self._until_s[what] = now_s

    def end_all(self) -> None:
        """Everything may be tried at once; `take_ended` says so, since nothing else may come to."""
        self._until_s = dict.fromkeys(self._until_s, self._clock.monotonic_s())

    def take_ended(self) -> bool:
        """Whether something may be tried again; each rest is reported once."""
        now_s = self._clock.monotonic_s()
        ended = [what for what, until_s in self._until_s.items() if until_s <= now_s]
        self.end(*ended)
        return bool(ended)

    def next_s(self) -> float | None:
        """When the next rest ends; None where nothing rests."""
        return min(self._until_s.values(), default=None)
