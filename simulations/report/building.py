"""Makes a report of what was recorded. Pure: owns what a recording means for a reader, and nothing of how it looks."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from simulations.happenings import Checked, Deed, Fault, InStep, Lined, Placed, Ran, Run, Stood
from simulations.report.model import (
    Blocks,
    Expectation,
    InStepAt,
    Lane,
    Mark,
    MarkKind,
    Moment,
    Report,
    SiteBytes,
    Span,
    Transfer,
    Wait,
)
from simulations.report.recording import OFF, STARTING, Recording
from simulations.report.spans import overlaid, until
from simulations.report.waits import Surroundings, waits_of
from simulations.world import Outcome

RUNS: Final = {
    Run.STARTS: MarkKind.STARTS,
    Run.STOPS: MarkKind.STOPS,
    Run.KILLED: MarkKind.KILLED,
    Run.POWER: MarkKind.POWER,
    Run.FAILS: MarkKind.FAILS,
}
NETWORK: Final = "network"
"""Who cuts and mends lines, in the list of what happened."""
EVERYBODY: Final = "everybody"
CHECKER: Final = "the story"


@dataclass(frozen=True)
class Told:
    """What is known of a run besides what was recorded."""

    title: str
    expects: str
    command: str
    seed: str
    real_s: float


def make_report(recording: Recording, outcome: Outcome, told: Told) -> Report:
    """The report of a run that has ended."""
    ends_s = recording.ended_s
    places = _places(recording)
    coordinator = next(iter(places), "")
    lines = _cuts(recording, ends_s)
    moments = _moments(recording, coordinator)
    lanes = [_Lane(recording, name, places[name], coordinator, lines, moments).made() for name in places]
    return Report(
        title=told.title,
        expects=told.expects,
        command=told.command,
        seed=told.seed,
        digest=outcome.digest,
        virtual_s=ends_s,
        real_s=told.real_s,
        lanes=tuple(lanes),
        sites=_sites(recording),
        in_step=tuple(InStepAt(at_s, one.after_s) for at_s, one in recording.happened_at if isinstance(one, InStep)),
        expectations=tuple(
            Expectation(one.what, one.holds) for _, one in recording.happened_at if isinstance(one, Checked)
        ),
        failures=tuple(outcome.failures),
        moments=tuple(moments),
        versions=recording.journals.versions,
        conflicts=recording.journals.conflicts,
        bytes_held=recording.journals.bytes_held,
    )


def _places(recording: Recording) -> dict[str, list[tuple[float, str]]]:
    """Where each machine was from when on. The coordinator's comes first, as in every world."""
    found: dict[str, list[tuple[float, str]]] = {}
    for at_s, one in recording.happened_at:
        if isinstance(one, Placed):
            found.setdefault(one.who, []).append((at_s, one.site))
    return found


def _cuts(recording: Recording, ends_s: float) -> dict[str, list[Span]]:
    """While the line of each site is cut."""
    changes: dict[str, list[tuple[float, str, str]]] = {}
    for at_s, one in recording.happened_at:
        if isinstance(one, Lined):
            changes.setdefault(one.site, []).append((at_s, "cut" if one.up or one.down else "", _how(one)))
    return {site: [one for one in until(found, ends_s) if one.kind] for site, found in changes.items()}


def _how(line: Lined) -> str:
    if line.up and line.down:
        return f"the line of {line.site} is cut"
    if line.up or line.down:
        return f"nothing gets {'out of' if line.up else 'into'} {line.site}"
    return f"the line of {line.site} is whole"


def _sites(recording: Recording) -> tuple[SiteBytes, ...]:
    by_site: dict[str, dict[str, int]] = {}
    for line, size in recording.lines.items():
        site, _, way = line.rpartition(":")
        by_site.setdefault(site, {})[way] = size
    return tuple(
        SiteBytes(site, ways.get("up", 0), ways.get("down", 0), ways.get("lan", 0)) for site, ways in by_site.items()
    )


# --- what happened ----------------------------------------------------------------------------------------


def _moments(recording: Recording, coordinator: str) -> list[Moment]:
    """All that happened, in order; deeds have numbers."""
    found: list[Moment] = []
    cut: dict[str, Lined] = {}
    seen: set[str] = set()
    for at_s, one in recording.happened_at:
        match one:
            case Ran(who, what):
                found.append(Moment(at_s, who, RUNS[what], what.value))
            case Stood(who, still):
                kind = MarkKind.STILL if still else MarkKind.GOES_ON
                found.append(Moment(at_s, who, kind, "stands still" if still else "goes on"))
            case Placed(who, site):
                if who in seen:
                    found.append(Moment(at_s, who, MarkKind.CARRIED, f"is at {site} now"))
                seen.add(who)
            case Lined():
                # Both directions are told one after the other; what counts is how it is in the end.
                if found and found[-1].at_s == at_s and one.site in cut and found[-1].who == NETWORK:
                    found.pop()
                cut[one.site] = one
                kind = MarkKind.CUT if one.up or one.down else MarkKind.MENDED
                found.append(Moment(at_s, NETWORK, kind, _how(one)))
            case Deed(who, what):
                found.append(Moment(at_s, who, MarkKind.DEED, what))
            case Fault(what):
                found.append(Moment(at_s, CHECKER, MarkKind.FAULT, what))
            case InStep(after_s):
                found.append(Moment(at_s, EVERYBODY, MarkKind.IN_STEP, f"in step after {after_s:.1f} s"))
            case Checked(what, holds):
                if not holds:
                    found.append(Moment(at_s, CHECKER, MarkKind.FAILED, what))
    found += _commits(recording, coordinator)
    found.sort(key=lambda one: one.at_s)
    return _numbered(found)


def _commits(recording: Recording, coordinator: str) -> Iterable[Moment]:
    for one in recording.journals.committed:
        at_s = min(max(one.at_s, 0.0), recording.ended_s)  # the coordinator's clock may be wrong
        kind = MarkKind.CONFLICT if one.action == "conflict" else MarkKind.COMMIT
        what = f"{one.action.replace('_', ' ')} {one.path}".strip() or "a version"
        yield Moment(at_s, one.device or coordinator, kind, f"{what} ({one.detail})" if one.detail else what)


def _numbered(moments: Sequence[Moment]) -> list[Moment]:
    found: list[Moment] = []
    number = 0
    for one in moments:
        if one.kind is MarkKind.DEED:
            number += 1
            found.append(Moment(one.at_s, one.who, one.kind, one.what, number))
        else:
            found.append(one)
    return found


# --- one lane ---------------------------------------------------------------------------------------------

_HERE: Final = frozenset(MarkKind) - {MarkKind.CUT, MarkKind.MENDED, MarkKind.IN_STEP, MarkKind.FAULT, MarkKind.FAILED}
_TAKEN: Final = (MarkKind.COMMIT, MarkKind.CONFLICT)


class _Lane:
    """One lane in the making."""

    def __init__(
        self,
        recording: Recording,
        name: str,
        places: Sequence[tuple[float, str]],
        coordinator: str,
        lines: dict[str, list[Span]],
        moments: Sequence[Moment],
    ) -> None:
        self._recording = recording
        self._name = name
        self._places = places
        self._coordinator = coordinator
        self._lines = lines
        self._moments = moments
        self._ends_s = recording.ended_s

    def made(self) -> Lane:
        """The lane."""
        is_coordinator = self._name == self._coordinator
        moved = self._recording.moved.get(self._name, ())
        transfers = tuple(Transfer(one.begins_s, one.ends_s, one.is_up, one.by_lan, one.size) for one in moved)
        states, cuts = self._states(self._name), self._cuts(self._places)
        waits: tuple[Wait, ...] = ()
        if not is_coordinator:
            around = Surroundings(
                cuts=overlaid_cuts(cuts, self._lines.get(self._places_of_coordinator(), [])),
                coordinator=self._states(self._coordinator),
                transfers=transfers,
            )
            waits = waits_of(states, around)
        return Lane(
            name=self._name,
            sites=tuple(dict.fromkeys(site for _, site in self._places)),
            is_coordinator=is_coordinator,
            states=tuple(states),
            cuts=tuple(cuts),
            transfers=transfers,
            marks=tuple(self._marks(is_coordinator)),
            waits=waits,
            blocks=_blocks(transfers),
        )

    def _places_of_coordinator(self) -> str:
        return next(
            (one.site for _, one in self._recording.happened_at if isinstance(one, Placed)),
            "",
        )

    def _states(self, name: str) -> list[Span]:
        """What it says of itself, and over that, that it stands still."""
        is_coordinator = name == self._coordinator
        changes = [
            (
                one.at_s,
                "running" if is_coordinator and one.name == STARTING else one.name,
                ", ".join(one.problems),
            )
            for one in self._recording.states.get(name, ())
        ]
        first = self._places[0][0] if name == self._name else 0.0
        states = [one for one in until([(first, "", ""), *changes], self._ends_s) if one.kind]
        stood = [
            (at_s, "asleep" if one.still else "", "")
            for at_s, one in self._recording.happened_at
            if isinstance(one, Stood) and one.who == name
        ]
        asleep = [one for one in until(stood, self._ends_s) if one.kind]
        awake = [one for one in states if one.kind != OFF]
        return sorted(
            [*(one for one in states if one.kind == OFF), *overlaid(awake, asleep)], key=lambda one: one.begins_s
        )

    def _cuts(self, places: Sequence[tuple[float, str]]) -> list[Span]:
        """The cuts of the places where it was, while it was there."""
        stays = until([(at_s, site, "") for at_s, site in places], self._ends_s)
        return [
            Span(max(cut.begins_s, stay.begins_s), min(cut.ends_s, stay.ends_s), cut.kind, cut.what)
            for stay in stays
            for cut in self._lines.get(stay.kind, ())
            if min(cut.ends_s, stay.ends_s) > max(cut.begins_s, stay.begins_s)
        ]

    def _marks(self, is_coordinator: bool) -> Iterable[Mark]:
        """What happened here; the coordinator takes everybody's commits."""
        for one in self._moments:
            if one.kind in _HERE and (one.who == self._name or (is_coordinator and one.kind in _TAKEN)):
                what = f"{one.who}: {one.what}" if is_coordinator and one.kind in _TAKEN else one.what
                yield Mark(one.at_s, one.kind, what, one.number)


def overlaid_cuts(own: Sequence[Span], of_coordinator: Sequence[Span]) -> tuple[Span, ...]:
    """What stands between a device and the coordinator: its own line's cuts, and beside them the other's."""
    outside = [Span(0.0, float("inf"), "", "")]
    return tuple(one for one in overlaid(overlaid(outside, of_coordinator), own) if one.kind)


def _blocks(transfers: Iterable[Transfer]) -> Blocks:
    sums = {(is_up, by_lan): 0 for is_up in (True, False) for by_lan in (True, False)}
    for one in transfers:
        sums[one.is_up, one.by_lan] += one.size
    return Blocks(sums[True, False], sums[False, False], sums[True, True], sums[False, True])
