"""The set beside the journal: which versions are not durable. Owns its words, and a device's copy of it. Pure.

A version that is committed before its blocks are stored is *offered* by its author until they all are, then *durable*,
or it is given up, and is *not kept*. That is the coordinator's state and no history. Each change of it has a number
that rises by one; pokes carry the last one, and a device asks for what came after the one that it has.
"""

import enum
from typing import Annotated

from msgspec import Meta

from protocol import limits
from protocol.codec import Array, Message
from protocol.ids import ChangeId, WireChangeId
from protocol.model import Count


class Standing(enum.IntEnum):
    """How a version stands."""

    OFFERED = 1
    DURABLE = 2
    NOT_KEPT = 3


class Mark(Array, frozen=True):
    """How a version stands since change `number` of the set."""

    number: Count
    change: WireChangeId
    standing: Standing


class OfferedPage(Message, frozen=True, tag="offered"):
    """What changed in the set, the oldest first: the last change of each version only.

    `generation` is drawn anew whenever the numbers may not be a continuation, as after a backup was put back. Where
    `whole` is true the receiver begins with an empty copy, and marks of durable versions may be left out. `last` is the
    set's last number, which always is a mark's: as long as the copy's number is another one there is more.
    """

    generation: Count
    whole: bool
    last: Count
    marks: Annotated[tuple[Mark, ...], Meta(max_length=limits.OFFERED_MARKS)]


class OfferedCopy:
    """What a device knows of the set. A version that is in no mark is durable: it never was anything else."""

    def __init__(self) -> None:
        self.generation = 0
        self.number = 0
        """Up to this change the copy is the set."""
        self._standing: dict[ChangeId, Standing] = {}

    def take(self, page: OfferedPage) -> bool:
        """Follow; False, and nothing done, where the page does not go on from here."""
        numbers = [mark.number for mark in page.marks]
        if not page.whole and page.generation != self.generation:
            return False
        begins_at = 0 if page.whole else self.number
        if any(after <= before for before, after in zip([begins_at, *numbers], numbers, strict=False)):
            return False
        if numbers and numbers[-1] > page.last:
            return False
        if page.whole:
            self._standing.clear()
        self.generation = page.generation
        for mark in page.marks:
            if mark.standing is Standing.DURABLE:
                self._standing.pop(ChangeId(mark.change), None)
            else:
                self._standing[ChangeId(mark.change)] = mark.standing
        self.number = numbers[-1] if numbers else begins_at
        return True

    def standing(self, change: ChangeId) -> Standing:
        """How a version stands, as far as is known."""
        return self._standing.get(change, Standing.DURABLE)

    @property
    def offered(self) -> frozenset[ChangeId]:
        """The versions that are not durable and not given up."""
        return frozenset(change for change, its in self._standing.items() if its is Standing.OFFERED)

    @property
    def not_kept(self) -> frozenset[ChangeId]:
        """The versions that were given up."""
        return frozenset(change for change, its in self._standing.items() if its is Standing.NOT_KEPT)
