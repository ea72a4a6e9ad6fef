"""Puts a report on the page: what is where, and what is drawn together because it would not fit. Pure.

Owns positions and the words on the page; markup and colours are the template's. However large the world was, the page
has a bounded number of things on it.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from simulations.report.model import Lane, Mark, MarkKind, Moment, Report, Span, Transfer
from simulations.report.scale import Scale, Stretch, Tick, bytes_shown, clock, lasted

FEW_LANES: Final = 14
"""Up to so many lanes each has room for all of its rows."""
SOME_LANES: Final = 45
MOST_MOMENTS: Final = 300
"""So many lines of what happened are on the page; in between, most are left out."""
NUMBERED: Final = 99
"""Up to so many deeds have their numbers on the time line."""
_NEAR: Final = {"full": 1.9, "small": 1.1, "tiny": 1.4}
"""How near, in percent, two deeds of a lane may be and still be drawn apart; other things are smaller."""
_NEAR_STATES: Final = {"full": 0.22, "small": 0.35, "tiny": 0.7}
_WRITTEN: Final = 0.01
"""Transfers below this share of the largest one have no size beside them."""
_ROOM: Final = 7.0
"""What a written size takes, in percent."""
_NAMED_TOGETHER: Final = {"full": 6, "small": 3, "tiny": 2}

WORDS: Final = {
    "up_to_date": "up to date",
    "running": "running",
    "syncing": "syncing",
    "scanning": "looking through the folder",
    "starting": "starting",
    "offline": "without the coordinator",
    "paused": "paused",
    "waiting": "waiting for somebody",
    "error": "stopped by a problem",
    "asleep": "asleep",
    "off": "not running",
    "cut": "line cut",
    "coordinator": "coordinator away",
    "up": "blocks to go",
    "down": "blocks to come",
}
"""What kinds of spans and waits are called in the legend."""
_LIFE: Final = (MarkKind.STARTS, MarkKind.STOPS, MarkKind.KILLED, MarkKind.POWER, MarkKind.FAILS, MarkKind.CARRIED)
_HEAVY: Final = {"off": 4.0, "asleep": 4.0, "error": 4.0, "waiting": 4.0, "offline": 2.0, "syncing": 2.0}
"""How much more than their time these count where many states share a place too small to show them all."""


@dataclass(frozen=True, slots=True)
class Bar:
    """Something from left to right, in percent."""

    left: float
    width: float
    kind: str
    tip: str
    label: str = ""
    is_before: bool = False
    """Whether the label stands before it."""


@dataclass(frozen=True, slots=True)
class Dot:
    """Something at a place, in percent; several at nearly the same place are one."""

    left: float
    kind: str
    tip: str
    label: str = ""


@dataclass(frozen=True)
class Row:
    """A lane on the page."""

    name: str
    place: str
    is_coordinator: bool
    states: Sequence[Bar]
    cuts: Sequence[Bar]
    up: Sequence[Bar]
    down: Sequence[Bar]
    deeds: Sequence[Dot]
    lives: Sequence[Dot]
    commits: Sequence[Dot]
    conflicts: Sequence[Dot]


@dataclass(frozen=True, slots=True)
class Line:
    """One line of what happened."""

    at: str
    who: str
    kind: str
    what: str
    number: int | None


@dataclass(frozen=True)
class Spent:
    """A device's time, by what it was spent with."""

    name: str
    parts: Sequence[Bar]
    said: Sequence[tuple[str, str, str]]
    """Kind, what, how long."""


@dataclass(frozen=True)
class Layout:
    """The page, but for its markup."""

    report: Report
    size: str
    """`full`, `small` or `tiny`: how high a lane is."""
    numbered: bool
    """Whether deeds have their numbers on the time line."""
    ticks: Sequence[Tick]
    breaks: Sequence[Bar]
    checks: Sequence[Dot]
    """When all were found in step."""
    rows: Sequence[Row]
    spent: Sequence[Spent]
    lines: Sequence[Line]
    left_out: int
    tiles: Sequence[tuple[str, str, str]]
    """Name, figure, remark."""
    kinds: Sequence[tuple[str, str]]
    """The states and waits that occur: kind, and what it is called."""
    has: frozenset[str]
    """The kinds of marks that occur."""


def lay_out(report: Report) -> Layout:
    """Where everything is."""
    scale = _scale(report)
    count = len(report.lanes)
    size = "full" if count <= FEW_LANES else "small" if count <= SOME_LANES else "tiny"
    numbered = size == "full" and sum(one.kind is MarkKind.DEED for one in report.moments) <= NUMBERED
    largest = max((one.size for lane in report.lanes for one in lane.transfers), default=0)
    rows = [_Rows(lane, scale, size, largest, numbered=numbered).made() for lane in report.lanes]
    lines, left_out = _lines(report.moments)
    return Layout(
        report=report,
        size=size,
        numbered=numbered,
        ticks=scale.ticks(),
        breaks=[_break(one) for one in scale.breaks()],
        checks=[
            Dot(scale.at(one.at_s), "in step", f"{clock(one.at_s)}: all in step, after {lasted(one.after_s)}")
            for one in report.in_step[:100]
        ],
        rows=rows,
        spent=[_spent(lane) for lane in report.lanes if not lane.is_coordinator],
        lines=lines,
        left_out=left_out,
        tiles=_tiles(report),
        kinds=_kinds(report),
        has=frozenset(mark.kind.value for lane in report.lanes for mark in lane.marks)
        | ({"cut"} if any(lane.cuts for lane in report.lanes) else set())
        | ({"up"} if any(lane.transfers for lane in report.lanes) else set())
        | ({"break"} if scale.breaks() else set())
        | ({"in step"} if report.in_step else set()),
    )


def _scale(report: Report) -> Scale:
    busy = {one.at_s for one in report.moments} | {one.at_s for one in report.in_step}
    whiles: list[tuple[float, float]] = []
    for lane in report.lanes:
        busy |= {at_s for one in lane.states if one.kind != "offline" for at_s in (one.begins_s, one.ends_s)}
        whiles += [(one.begins_s, one.ends_s) for one in lane.transfers]
    return Scale(report.virtual_s, busy, whiles)


def _break(one: Stretch) -> Bar:
    length = lasted(one.ends_s - one.begins_s)
    return Bar(one.left, one.right - one.left, "break", f"{length} in which nothing happens, shown short", length)


# --- lanes ------------------------------------------------------------------------------------------------


class _Rows:
    """One lane in the making."""

    def __init__(self, lane: Lane, scale: Scale, size: str, largest: int, *, numbered: bool) -> None:
        self._lane = lane
        self._scale = scale
        self._size = size
        self._least_written = largest * _WRITTEN
        self._numbered = numbered

    def made(self) -> Row:
        """The row."""
        lane, scale = self._lane, self._scale
        near = _NEAR[self._size]
        return Row(
            name=lane.name,
            place=" → ".join(lane.sites),
            is_coordinator=lane.is_coordinator,
            states=_states(lane.states, scale, _NEAR_STATES[self._size]),
            cuts=[_bar(one, scale) for one in lane.cuts[:200]],
            up=_transfers([one for one in lane.transfers if one.is_up], scale, near / 2, self._least_written),
            down=_transfers([one for one in lane.transfers if not one.is_up], scale, near / 2, self._least_written),
            deeds=self._dots(near, MarkKind.DEED),
            lives=[one for kind in _LIFE for one in self._dots(near / 2, kind)],
            commits=self._dots(near / 2.5, MarkKind.COMMIT),
            conflicts=self._dots(near / 2, MarkKind.CONFLICT),
        )

    def _dots(self, near: float, kind: MarkKind) -> list[Dot]:
        """The marks of a kind; those that would lie on each other are one."""
        found: list[Dot] = []
        for group in _groups([one for one in self._lane.marks if one.kind is kind], self._scale, near):
            left = (self._scale.at(group[0].at_s) + self._scale.at(group[-1].at_s)) / 2
            tip = _tip(group, _NAMED_TOGETHER[self._size])
            found.append(Dot(left, kind.value, tip, self._label(group, kind)))
        return found

    def _label(self, group: Sequence[Mark], kind: MarkKind) -> str:
        numbers = [one.number for one in group if one.number is not None]
        if kind is MarkKind.DEED and self._numbered and numbers:
            return str(numbers[0]) if len(numbers) == 1 else f"{numbers[0]}+"
        return f"{len(group)}x" if len(group) > 1 else ""


def _groups(marks: Sequence[Mark], scale: Scale, near: float) -> list[list[Mark]]:
    groups: list[list[Mark]] = []
    begins = 0.0
    for one in marks:
        left = scale.at(one.at_s)
        if groups and left - begins < near:
            groups[-1].append(one)
        else:
            groups.append([one])
            begins = left
    return groups


def _tip(group: Sequence[Mark], most: int) -> str:
    lines = [f"{clock(one.at_s)} {f'({one.number}) ' if one.number else ''}{_short(one.what)}" for one in group[:most]]
    if len(group) > most:
        lines.append(f"and {len(group) - most} more")
    return "\n".join(lines)


def _short(text: str, most: int = 160) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _states(states: Sequence[Span], scale: Scale, near: float) -> list[Bar]:
    """As they are where there is room; the most important one of each place where there is none."""
    found: list[Bar] = []
    crowd: list[Span] = []

    def end_crowd() -> None:
        if crowd:
            found.append(_bar(_worst(crowd), scale, crowd[0].begins_s, crowd[-1].ends_s))
            crowd.clear()

    for one in states:
        if scale.at(one.ends_s) - scale.at(one.begins_s) >= near:
            end_crowd()
            found.append(_bar(one, scale))
            continue
        crowd.append(one)
        if scale.at(crowd[-1].ends_s) - scale.at(crowd[0].begins_s) >= near:
            end_crowd()
    end_crowd()
    return found


def _worst(crowd: Sequence[Span]) -> Span:
    heavy: Counter[str] = Counter()
    for one in crowd:
        heavy[one.kind] += int((one.ends_s - one.begins_s) * 1e6 * _HEAVY.get(one.kind, 1.0)) + 1
    kind = heavy.most_common(1)[0][0]
    return next(one for one in crowd if one.kind == kind)


def _bar(one: Span, scale: Scale, begins_s: float | None = None, ends_s: float | None = None) -> Bar:
    begins_s, ends_s = one.begins_s if begins_s is None else begins_s, one.ends_s if ends_s is None else ends_s
    left = scale.at(begins_s)
    name = one.what if one.kind == "cut" else WORDS.get(one.kind, one.kind)
    problems = f" ({one.what.replace('_', ' ')})" if one.what and one.kind != "cut" else ""
    tip = f"{name}{problems}: {clock(begins_s)} to {clock(ends_s)}, {lasted(ends_s - begins_s)}"
    return Bar(left, max(scale.at(ends_s) - left, 0.05), one.kind, tip)


def _transfers(transfers: Sequence[Transfer], scale: Scale, near: float, least_written: float) -> list[Bar]:
    """Bars with sizes; what would lie on each other is one. Sizes are written where there is room for them."""
    groups: list[list[Transfer]] = []
    right = -100.0
    for one in sorted(transfers, key=lambda each: each.begins_s):
        left = scale.at(one.begins_s)
        if groups and left - right < near:
            groups[-1].append(one)
        else:
            groups.append([one])
        right = max(right, scale.at(one.ends_s), left)
    found: list[Bar] = []
    for group in groups:
        begins_s, ends_s = group[0].begins_s, max(one.ends_s for one in group)
        left, size = scale.at(begins_s), sum(one.size for one in group)
        is_up, by_lan = group[0].is_up, {one.by_lan for one in group}
        through = "the LAN and the server" if len(by_lan) > 1 else "the LAN" if by_lan == {True} else "the server"
        way = f"{'to' if is_up else 'from'} {through}"
        tip = f"{bytes_shown(size)} {way}: {clock(begins_s)}, {lasted(ends_s - begins_s)}"
        kind = f"{'up' if is_up else 'down'}{' LAN' if by_lan == {True} else ''}"
        label = bytes_shown(size) if size >= least_written else ""
        found.append(Bar(left, max(scale.at(ends_s) - left, 0.35), kind, tip, label))
    return list(_written(found))


def _written(bars: Sequence[Bar]) -> Iterator[Bar]:
    """Each with its size after it or else before it, where there is room for that, or else without."""
    taken = 0.0
    for one, after in zip(bars, [*(one.left for one in bars[1:]), 100.0], strict=False):
        right = one.left + one.width
        if one.label and after - right >= _ROOM:
            yield one
            taken = right + _ROOM
        elif one.label and one.left - taken >= _ROOM:
            yield replace(one, is_before=True)
            taken = right
        else:
            yield replace(one, label="")
            taken = right


# --- beside the time line ---------------------------------------------------------------------------------


def _spent(lane: Lane) -> Spent:
    """A bar of all its time but what it was off for, and the longest reasons in words."""
    whole_s = sum(one.lasted_s for one in lane.waits) or 1.0
    parts: list[Bar] = []
    left = 0.0
    for one in sorted(lane.waits, key=lambda each: each.kind != "up_to_date"):
        width = one.lasted_s / whole_s * 100
        parts.append(Bar(left, width, one.kind, f"{one.what}: {lasted(one.lasted_s)} ({width:.0f} %)"))
        left += width
    said = [(one.kind, one.what, lasted(one.lasted_s)) for one in lane.waits if one.lasted_s / whole_s >= 0.0005]
    return Spent(lane.name, [one for one in parts if one.width >= 0.05], said[:5])


def _lines(moments: Sequence[Moment]) -> tuple[list[Line], int]:
    """What happened, a line each: neighbours of one kind from one hand are told together where there are too many."""
    told = list(moments)
    if len(told) > MOST_MOMENTS:
        told = list(_together(told))
    left_out = max(0, len(told) - MOST_MOMENTS)
    if left_out:
        told = told[: MOST_MOMENTS // 2] + told[-MOST_MOMENTS // 2 :]
    return [Line(clock(one.at_s), one.who, one.kind.value, _short(one.what, 300), one.number) for one in told], left_out


def _together(moments: Iterable[Moment]) -> Iterable[Moment]:
    group: list[Moment] = []
    for one in moments:
        if group and (one.who, one.kind) != (group[0].who, group[0].kind):
            yield _as_one(group)
            group = []
        group.append(one)
    if group:
        yield _as_one(group)


def _as_one(group: Sequence[Moment]) -> Moment:
    first = group[0]
    if len(group) == 1:
        return first
    return Moment(first.at_s, first.who, first.kind, f"{first.what}, and {len(group) - 1:,} more", first.number)


def _tiles(report: Report) -> list[tuple[str, str, str]]:
    longest = max((one.after_s for one in report.in_step), default=None)
    times = len(report.in_step)
    wire = sum(one.up + one.down for one in report.sites) // 2
    lan = sum(one.lan for one in report.sites)
    return [
        (
            "in step after",
            "never" if longest is None else lasted(longest),
            ("nothing waited for it" if report.ok else "it did not come to that")
            if longest is None
            else "once"
            if times == 1
            else f"the longest of {times} waits",
        ),
        ("by the server", bytes_shown(report.server_bytes), f"of blocks; {bytes_shown(wire)} in all on the lines"),
        ("by the LAN", bytes_shown(report.lan_bytes), f"of blocks; {bytes_shown(lan)} in all"),
        ("versions", f"{report.versions:,}", f"{bytes_shown(report.bytes_held)} of files in the end"),
        ("conflicted copies", f"{report.conflicts:,}", "in the end"),
        ("it took", lasted(report.virtual_s), f"of virtual time, {lasted(report.real_s)} of yours"),
    ]


def _kinds(report: Report) -> list[tuple[str, str]]:
    found = {one.kind for lane in report.lanes for one in lane.states}
    found |= {one.kind for lane in report.lanes for one in lane.waits}
    return [(kind, WORDS[kind]) for kind in WORDS if kind in found and kind not in ("up", "down", "cut")]
