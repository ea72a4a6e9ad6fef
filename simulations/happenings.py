"""What happens in a world, as data: the kinds of it, and how somebody hears of them. Owns no history of its own.

Whoever listens is told within the step in which it happens, and changes nothing by it: a run is the same without.
"""

import sqlite3
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from peer.engine.device import DeviceEngine
from peer.home import Home


class Run(Enum):
    """What a program can come to."""

    STARTS = "starts"
    STOPS = "stops"
    KILLED = "is killed"
    POWER = "loses power"
    FAILS = "ends by itself"


@dataclass(frozen=True, slots=True)
class Ran:
    """A program began or ended."""

    who: str
    what: Run


@dataclass(frozen=True, slots=True)
class Stood:
    """A machine stands still from now on, or goes on."""

    who: str
    still: bool


@dataclass(frozen=True, slots=True)
class Placed:
    """A machine is at a place from now on."""

    who: str
    site: str


@dataclass(frozen=True, slots=True)
class Lined:
    """What of a place's line is cut from now on."""

    site: str
    up: bool
    down: bool


@dataclass(frozen=True, slots=True)
class Deed:
    """A person did something at a device."""

    who: str
    what: str


@dataclass(frozen=True, slots=True)
class Fault:
    """Something was made to go wrong."""

    what: str


@dataclass(frozen=True, slots=True)
class Checked:
    """Something that was expected was looked at."""

    what: str
    holds: bool


@dataclass(frozen=True, slots=True)
class InStep:
    """All that run were found in step, so many seconds after somebody began to wait for it."""

    after_s: float


Happening = Ran | Stood | Placed | Lined | Deed | Fault | Checked | InStep


class Listener(Protocol):
    """Hears of what happens. None of it may wait, draw from the world's chance or touch what it is told of."""

    def happened(self, at_s: float, what: Happening) -> None:
        """This happened now, in virtual seconds."""

    def carried(self, at_s: float, source: str, target: str, size: int) -> None:
        """So many bytes went on their way from one machine to another."""

    def attach(self, name: str, engine: DeviceEngine) -> None:
        """This device's program has an engine now, which may be looked at until it ends."""

    def ended(self, at_s: float, lines: dict[str, int], homes: Sequence[Home]) -> None:
        """The story is over: bytes by line, and the devices' homes, which are gone afterwards."""


class StoreListener(Protocol):
    """Hears of each commit of a device's database. None of it may wait, draw from the world's chance or write."""

    def follow(self, contents: Callable[[], Iterable[tuple[str, bytes]]]) -> None:
        """What people have written, whenever it is asked: what to call it, its bytes."""

    def stored(self, at_s: float, name: str, connection: sqlite3.Connection) -> None:
        """This device's database is as this connection reads it, and may be as it was; it is another connection after
        each start of the device's program."""

    def failed(self, at_s: float) -> None:
        """A promise was found broken."""
