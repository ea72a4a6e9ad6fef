"""What a device waited for: all its time, by what kept it from being up to date. Pure; owns the order of reasons."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from simulations.report.model import Span, Transfer, Wait
from simulations.report.recording import OFF, STARTING
from simulations.report.spans import Lookup

_SAID: Final = {
    "up_to_date": "up to date",
    OFF: "not running",
    "asleep": "asleep",
    "paused": "paused",
    STARTING: "starting",
    "scanning": "looking through the folder",
    "waiting": "somebody's answer",
    "error": "a problem",
    "offline": "reaching the coordinator",
    "syncing": "commits, the journal and the disk",
}


@dataclass(frozen=True)
class Surroundings:
    """What else there was while a device was in its states."""

    cuts: Sequence[Span]
    """Cuts of any line on its way to the coordinator."""
    coordinator: Sequence[Span]
    transfers: Sequence[Transfer]


def waits_of(states: Sequence[Span], around: Surroundings) -> tuple[Wait, ...]:
    """Every moment of a device counted under one reason, the outermost first: what is off cannot wait for a line, and
    behind a cut line it does not matter how slow the line is."""
    own, cuts, coordinator = Lookup(states), Lookup(around.cuts), Lookup(around.coordinator)
    up, down = (
        Lookup([Span(one.begins_s, one.ends_s, "", "") for one in _apart(around.transfers, is_up)])
        for is_up in (True, False)
    )
    edges = sorted({at_s for one in (own, cuts, coordinator, up, down) for at_s in one.edges()})
    lasted_s: defaultdict[tuple[str, str], float] = defaultdict(float)
    for begins_s, ends_s in pairwise(edges):
        state = own.at(begins_s)
        if state is None:
            continue
        cut, there = cuts.at(begins_s), coordinator.at(begins_s)
        moving = "down" if down.at(begins_s) else "up" if up.at(begins_s) else None
        lasted_s[_reason(state, cut, there, moving)] += ends_s - begins_s
    return tuple(
        Wait(kind, what, seconds)
        for (kind, what), seconds in sorted(lasted_s.items(), key=lambda one: (-one[1], one[0]))
        if seconds > 0
    )


def _reason(state: Span, cut: Span | None, coordinator: Span | None, moving: str | None) -> tuple[str, str]:
    if state.kind in ("up_to_date", OFF, "asleep", "paused"):
        return state.kind, _SAID[state.kind]
    if cut is not None:
        return "cut", cut.what
    if coordinator is not None and coordinator.kind in (OFF, "asleep"):
        return "coordinator", "the coordinator was away"
    if state.what and state.kind in ("waiting", "error"):
        return "error", state.what.replace("_", " ")
    if moving is not None:
        return moving, "blocks to come" if moving == "down" else "blocks to go"
    if state.what and state.kind != "offline":
        return "error", state.what.replace("_", " ")
    return state.kind, _SAID.get(state.kind, state.kind)


def _apart(transfers: Sequence[Transfer], is_up: bool) -> list[Transfer]:
    """The transfers of a direction, overlaps joined."""
    found: list[Transfer] = []
    for one in sorted((one for one in transfers if one.is_up is is_up), key=lambda one: one.begins_s):
        if found and one.begins_s <= found[-1].ends_s:
            last = found.pop()
            one = Transfer(last.begins_s, max(last.ends_s, one.ends_s), is_up, one.by_lan, last.size + one.size)
        found.append(one)
    return found
