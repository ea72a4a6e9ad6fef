"""Where on the page a moment is. Pure. Owns the time axis: long quiet stretches are shown short, and marked as such.

Positions are shares of the width, from 0 to 100.
"""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

QUIET: Final = 0.12
"""No stretch in which nothing happens takes more of the width than this, if that can be had."""
SQUEEZED: Final = 0.02
UNSQUEEZED: Final = 0.35
"""Where what happens had less of the width than the first, it gets the second; all stretches that are `LONG` share the
rest evenly."""
LONG: Final = 0.02
SHORT_S: Final = 0.5
"""Nothing as short as this is ever shortened."""
WORTH: Final = 1.3
"""A quiet stretch is shown shorter only where it is so much longer than that."""
TICKS: Final = 9
APART: Final = 7.5
"""The least distance between two labels of the axis, in percent of the width."""
_STEPS_S: Final = (
    *(0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 30.0),
    *(60.0, 120.0, 300.0, 600.0, 1200.0, 1800.0, 3600.0, 7200.0, 14_400.0, 21_600.0, 43_200.0),
    *(86_400.0, 172_800.0, 604_800.0),
)


@dataclass(frozen=True, slots=True)
class Stretch:
    """A part of the axis."""

    begins_s: float
    ends_s: float
    left: float
    right: float
    is_short: bool
    """Whether it is shown shorter than it was."""


@dataclass(frozen=True, slots=True)
class Tick:
    """A label of the axis."""

    left: float
    what: str


class Scale:
    """From seconds to percent. `busy` are the moments at which something happens, `whiles` those that last."""

    def __init__(self, ends_s: float, busy: Iterable[float], whiles: Iterable[tuple[float, float]] = ()) -> None:
        self.ends_s = max(ends_s, 1e-3)
        inside = _union(whiles)
        moments = sorted({0.0, self.ends_s, *(at_s for at_s in busy if 0 <= at_s <= ends_s), *_edges(inside, ends_s)})
        self._stretches = tuple(_placed(_widths(moments, inside)))
        self._begins = [one.begins_s for one in self._stretches]

    def at(self, at_s: float) -> float:
        """Where a moment is."""
        at_s = min(max(at_s, 0.0), self.ends_s)
        one = self._stretches[max(0, bisect_right(self._begins, at_s) - 1)]
        if one.ends_s == one.begins_s:
            return one.left
        return one.left + (at_s - one.begins_s) / (one.ends_s - one.begins_s) * (one.right - one.left)

    def breaks(self) -> list[Stretch]:
        """The stretches that are shown shorter than they were."""
        return [one for one in self._stretches if one.is_short]

    def ticks(self) -> list[Tick]:
        """Labels for round moments, and for where a quiet stretch ends."""
        shown_s = sum(one.ends_s - one.begins_s for one in self._stretches if not one.is_short)
        step_s = next((step for step in _STEPS_S if shown_s / step <= TICKS), _STEPS_S[-1])
        found = [Tick(0.0, clock(0.0, 1.0))]

        def add(at_s: float, precision_s: float) -> None:
            left = self.at(at_s)
            if left - found[-1].left >= APART and left <= 100 - APART / 2:
                found.append(Tick(left, clock(at_s, precision_s)))

        for one in self._stretches:
            if one.is_short:
                continue
            if one.begins_s:
                add(one.begins_s, step_s)
            for number in range(int(one.begins_s / step_s) + 1, int(one.ends_s / step_s) + 1):
                add(number * step_s, step_s)
        return found


def _union(whiles: Iterable[tuple[float, float]]) -> list[tuple[float, float]]:
    """Overlapping ones as one, in order."""
    found: list[tuple[float, float]] = []
    for begins_s, ends_s in sorted(whiles):
        if found and begins_s <= found[-1][1]:
            found[-1] = (found[-1][0], max(found[-1][1], ends_s))
        else:
            found.append((begins_s, ends_s))
    return found


def _edges(whiles: Sequence[tuple[float, float]], ends_s: float) -> Iterator[float]:
    for one in whiles:
        yield from (at_s for at_s in one if 0 <= at_s <= ends_s)


@dataclass(frozen=True, slots=True)
class _Gap:
    """What lies between two moments at which something happens; `width_s` of it are shown."""

    begins_s: float
    ends_s: float
    width_s: float

    @property
    def is_short(self) -> bool:
        """Whether less is shown than there is."""
        return self.width_s < self.ends_s - self.begins_s


def _widths(moments: Sequence[float], inside: Sequence[tuple[float, float]]) -> list[_Gap]:
    """No quiet gap wider than `QUIET` of all that is shown, if that can be had; wider ones are as wide as the rest."""
    begins = [one for one, _ in inside]
    gaps: list[tuple[float, float, bool]] = []
    for one, other in pairwise(moments):
        found = bisect_right(begins, one) - 1
        gaps.append((one, other, found < 0 or inside[found][1] <= one))
    most_s = max((other - one for one, other, quiet in gaps if quiet), default=0.0)
    for _ in range(60):
        shown_s = sum(min(other - one, most_s) if quiet else other - one for one, other, quiet in gaps)
        if most_s <= QUIET * shown_s * 1.001:
            break
        most_s = QUIET * shown_s
    most_s = _least(gaps, most_s)
    return [
        _Gap(one, other, most_s if quiet and other - one > max(most_s * WORTH, SHORT_S) else other - one)
        for one, other, quiet in gaps
    ]


def _least(gaps: Sequence[tuple[float, float, bool]], most_s: float) -> float:
    """Less than `most_s` where all that happens would be squeezed into next to nothing between quiet stretches."""
    for _ in range(20):
        shown_s = sum(min(other - one, most_s) if quiet else other - one for one, other, quiet in gaps)
        long = [other - one for one, other, quiet in gaps if quiet and min(other - one, most_s) > LONG * shown_s]
        busy_s = shown_s - sum(min(one, most_s) for one in long)
        if not long or busy_s <= 0 or busy_s >= SQUEEZED * shown_s:
            break
        most_s = busy_s * (1 - UNSQUEEZED) / UNSQUEEZED / len(long)
    return most_s


def _placed(gaps: Sequence[_Gap]) -> Iterator[Stretch]:
    """Neighbours that are shown as long as they were are one stretch."""
    share = 100.0 / sum(one.width_s for one in gaps)
    left = begins_left = begins_s = 0.0
    for one in gaps:
        right = left + one.width_s * share
        if one.is_short:
            if one.begins_s > begins_s:
                yield Stretch(begins_s, one.begins_s, begins_left, left, is_short=False)
            yield Stretch(one.begins_s, one.ends_s, left, right, is_short=True)
            begins_s, begins_left = one.ends_s, right
        left = right
    if gaps and gaps[-1].ends_s > begins_s:
        yield Stretch(begins_s, gaps[-1].ends_s, begins_left, 100.0, is_short=False)


def clock(at_s: float, step_s: float = 0.1) -> str:
    """A moment as `1:02.5`, `1:02:03` or `2d 3:00`: minutes and seconds at least, tenths where steps are so short."""
    tenths = round(at_s * 10)
    seconds, tenth = divmod(tenths, 10)
    minutes, second = divmod(seconds, 60)
    hours, minute = divmod(minutes, 60)
    days, hour = divmod(hours, 24)
    fraction = f".{tenth}" if step_s < 1 else ""
    if days:
        return f"{days}d {hour}:{minute:02}" + (f":{second:02}{fraction}" if step_s < 60 else "")
    if hours:
        return f"{hour}:{minute:02}:{second:02}{fraction}"
    return f"{minute}:{second:02}{fraction}"


def lasted(seconds: float) -> str:
    """How long something took, for people: two units at most."""
    if seconds < 0.0995:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 59.95:
        return f"{seconds:.1f} s" if seconds < 9.95 else f"{seconds:.0f} s"
    whole = round(seconds)
    for size, name, below, small in ((86_400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s")):
        if whole >= size:
            rest = (whole % size) // below
            return f"{whole // size} {name} {rest} {small}" if rest else f"{whole // size} {name}"
    return f"{whole} s"


def bytes_shown(size: int) -> str:
    """A size for people, in the units of the stories."""
    if size < 1000:
        return f"{size} B"
    value = float(size)
    for unit in ("kB", "MB", "GB"):
        value /= 1000
        if value < 999.5 or unit == "GB":
            break
    return f"{value:.1f} {unit}" if value < 9.95 else f"{value:,.0f} {unit}"
