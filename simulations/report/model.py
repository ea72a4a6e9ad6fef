"""What a report shows, as plain data: no markup, no positions. Owns the kinds of things on the page.

Times are virtual seconds since the world began, sizes are bytes.
"""

from dataclasses import dataclass
from enum import Enum


class MarkKind(Enum):
    """What a moment is of."""

    DEED = "deed"
    COMMIT = "commit"
    CONFLICT = "conflict"
    STARTS = "starts"
    STOPS = "stops"
    KILLED = "killed"
    POWER = "power"
    FAILS = "fails"
    CARRIED = "carried"
    CUT = "cut"
    MENDED = "mended"
    STILL = "still"
    GOES_ON = "goes on"
    FAULT = "fault"
    IN_STEP = "in step"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Span:
    """A while. `kind` is a word of the page's legend."""

    begins_s: float
    ends_s: float
    kind: str
    what: str = ""


@dataclass(frozen=True, slots=True)
class Mark:
    """A moment. `number` is that of a deed in the list of all that happened."""

    at_s: float
    kind: MarkKind
    what: str
    number: int | None = None


@dataclass(frozen=True, slots=True)
class Transfer:
    """Blocks under way, to or from a device, by the LAN or by the server."""

    begins_s: float
    ends_s: float
    is_up: bool
    by_lan: bool
    size: int


@dataclass(frozen=True, slots=True)
class Wait:
    """How long, in all, something kept a device from being up to date. `kind` is a word of the legend."""

    kind: str
    what: str
    lasted_s: float


@dataclass(frozen=True, slots=True)
class Blocks:
    """Block bytes of a device, by path and direction."""

    server_up: int = 0
    server_down: int = 0
    lan_up: int = 0
    lan_down: int = 0


@dataclass(frozen=True)
class Lane:
    """One device, or the coordinator, through time."""

    name: str
    sites: tuple[str, ...]
    """Where it was, in order."""
    is_coordinator: bool
    states: tuple[Span, ...]
    cuts: tuple[Span, ...]
    """While the line of the place where it was is cut, one way or both."""
    transfers: tuple[Transfer, ...]
    marks: tuple[Mark, ...]
    waits: tuple[Wait, ...]
    """All its time, by what it was spent with; the longest first."""
    blocks: Blocks


@dataclass(frozen=True, slots=True)
class SiteBytes:
    """All bytes that passed the lines of a place."""

    name: str
    up: int
    down: int
    lan: int


@dataclass(frozen=True, slots=True)
class InStepAt:
    """When all were found in step, and how long that had been waited for."""

    at_s: float
    after_s: float


@dataclass(frozen=True, slots=True)
class Expectation:
    """What was expected, and whether it held."""

    what: str
    holds: bool


@dataclass(frozen=True, slots=True)
class Moment:
    """One line of the list of what happened."""

    at_s: float
    who: str
    kind: MarkKind
    what: str
    number: int | None = None


@dataclass(frozen=True)
class Report:
    """One run."""

    title: str
    expects: str
    command: str
    """What to type to have it again."""
    seed: str
    digest: str
    virtual_s: float
    real_s: float
    lanes: tuple[Lane, ...]
    sites: tuple[SiteBytes, ...]
    in_step: tuple[InStepAt, ...]
    expectations: tuple[Expectation, ...]
    failures: tuple[str, ...]
    moments: tuple[Moment, ...]
    versions: int
    conflicts: int
    bytes_held: int
    """Of the files that are there in the end."""

    @property
    def ok(self) -> bool:
        """Whether everything was as expected."""
        return not self.failures

    @property
    def converged_s(self) -> float | None:
        """How long was waited in all until devices were in step; None where they never were found so."""
        return sum(one.after_s for one in self.in_step) if self.in_step else None

    @property
    def lan_bytes(self) -> int:
        """Block bytes that came to devices from devices."""
        return sum(lane.blocks.lan_down for lane in self.lanes)

    @property
    def server_bytes(self) -> int:
        """Block bytes between devices and the server, both ways."""
        return sum(lane.blocks.server_up + lane.blocks.server_down for lane in self.lanes)
