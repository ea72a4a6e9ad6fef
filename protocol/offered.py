"""The set beside the journal: which versions are not durable. Owns its words, and a device's copy of it. Pure.

A version that is committed before its blocks are stored is *offered* by its author until they all are, then *durable*,
or it is given up, and is *not kept*. That is the coordinator's state and no history. Each change of it has a number
that rises by one; pokes carry the last one, and a device asks for what came after the one that it has.
"""

import enum
from itertools import pairwise
from typing import Annotated

from msgspec import Meta

from protocol import limits
from protocol.codec import Array, Message
from protocol.ids import WireChangeId
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


def follows(page: OfferedPage, generation: int, number: int) -> bool:
    """Whether a page goes on from a copy of that generation that is the set up to that change."""
    if not page.whole and page.generation != generation:
        return False
    numbers = [0 if page.whole else number, *(mark.number for mark in page.marks), page.last + 1]
    return all(before < after for before, after in pairwise(numbers))
