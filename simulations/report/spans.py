"""Arithmetic of whiles: sorted spans that do not overlap. Pure."""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from itertools import pairwise

from simulations.report.model import Span


def overlaid(below: Sequence[Span], above: Sequence[Span]) -> list[Span]:
    """`below`, with what is in `above` in its place where both are."""
    found: list[Span] = []
    for one in below:
        at_s = one.begins_s
        for over in above:
            begins_s, ends_s = max(over.begins_s, one.begins_s), min(over.ends_s, one.ends_s)
            if ends_s <= begins_s:
                continue
            if begins_s > at_s:
                found.append(Span(at_s, begins_s, one.kind, one.what))
            found.append(Span(begins_s, ends_s, over.kind, over.what))
            at_s = ends_s
        if one.ends_s > at_s:
            found.append(Span(at_s, one.ends_s, one.kind, one.what))
    return joined(found)


def joined(spans: Iterable[Span]) -> list[Span]:
    """Neighbours of one kind as one."""
    found: list[Span] = []
    for one in spans:
        last = found[-1] if found else None
        if last is not None and last.ends_s == one.begins_s and (last.kind, last.what) == (one.kind, one.what):
            found[-1] = Span(last.begins_s, one.ends_s, one.kind, one.what)
        else:
            found.append(one)
    return found


def until(changes: Sequence[tuple[float, str, str]], ends_s: float) -> list[Span]:
    """Spans from moments at which something became otherwise: (when, kind, what); the last lasts until `ends_s`."""
    moments = [*changes, (ends_s, "", "")]
    return joined(Span(one[0], other[0], one[1], one[2]) for one, other in pairwise(moments) if other[0] > one[0])


class Lookup:
    """Which span there is at a moment."""

    def __init__(self, spans: Sequence[Span]) -> None:
        self._spans = sorted(spans, key=lambda one: one.begins_s)
        self._begins = [one.begins_s for one in self._spans]

    def at(self, at_s: float) -> Span | None:
        """The one that covers it."""
        found = bisect_right(self._begins, at_s) - 1
        one = self._spans[found] if found >= 0 else None
        return one if one is not None and at_s < one.ends_s else None

    def edges(self) -> Iterable[float]:
        """Where spans begin and end."""
        for one in self._spans:
            yield one.begins_s
            yield one.ends_s
