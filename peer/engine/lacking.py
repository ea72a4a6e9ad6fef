"""Versions of which nobody who was asked had all blocks. Owns what the last asking found, which earlier version is
shown in place of such a head, and when it counts as certain that nobody is bringing what is missing.

Never asks anybody: fetches are ordered elsewhere, and tried again whatever is noted here.
"""

from collections.abc import Container, Iterable
from dataclasses import dataclass
from typing import Final

from peer.engine.context import Context
from peer.planner.trees import Attributes, Content, Earlier
from peer.store.offers import OfferStore, Past
from protocol.ids import ChangeId, EntryId
from protocol.offered import Standing

STUCK_S: Final = 90.0
"""A version of which no block has come for so long, though it was asked for, is not on its way: holders that are not
its author begin to send after a minute, and it is asked for every half minute."""


@dataclass(frozen=True, slots=True)
class Lack:
    """Of a version `blocks` blocks are nowhere to be had, and none has come since `since_s` (monotonic)."""

    entry: EntryId
    blocks: int
    since_s: float


def decide_earlier(past: Iterable[Past], lacking: Container[ChangeId]) -> Past | None:
    """Which version to show, of those of a file from its head back, where nobody has the head's content: the newest one
    of another content that may be had. None where the head may be had itself, and where there is no such version.

    `lacking` are the versions that nobody had who was asked. What was given up counts as not there. What was before a
    deletion is not shown again: the file was gone, and what brought it back is what nobody has.
    """
    absent: set[bytes] = set()
    for one in past:
        if one.standing is Standing.NOT_KEPT or one.body is None:
            continue
        if one.body.digest is None:
            return None
        is_lacking = one.change in lacking
        if not absent and not (is_lacking and one.standing is Standing.OFFERED):
            return None
        if is_lacking or not absent:
            absent.add(one.body.digest)
        elif one.body.digest not in absent and one.body.manifest is not None:
            return one
    return None


class Lacking:
    """What one workspace's engine has asked for in vain, in memory only. Belongs to the loop."""

    def __init__(self, context: Context, offers: OfferStore) -> None:
        self._context = context
        self._offers = offers
        self._lacks: dict[ChangeId, Lack] = {}

    def note(self, entry: EntryId, version: ChangeId, blocks: int) -> bool:
        """Nobody has so many blocks of a version. Whether that is news of this version."""
        before = self._lacks.get(version)
        if before is None or before.blocks != blocks:
            self._lacks[version] = Lack(entry, blocks, self._context.machine.clock.monotonic_s())
        return before is None

    def had(self, version: ChangeId) -> None:
        """All of it has come."""
        self._lacks.pop(version, None)

    def keep(self, entries: Container[EntryId]) -> None:
        """Forget what was noted of all others."""
        self._lacks = {version: lack for version, lack in self._lacks.items() if lack.entry in entries}

    def is_stuck(self, version: ChangeId) -> bool:
        """Whether nobody has it who can be reached, and it is not being brought within reach either."""
        lack = self._lacks.get(version)
        return lack is not None and self._context.machine.clock.monotonic_s() - lack.since_s >= STUCK_S

    def earlier(self) -> dict[EntryId, Earlier]:
        """What stands for heads of which nothing is here. In the database's thread."""
        trees = self._context.trees
        found: dict[EntryId, Earlier] = {}
        for entry in {lack.entry for lack in self._lacks.values()}:
            row = trees.remote(entry)
            if row is None or not row.usable or trees.local(entry) is not None:
                continue
            past = decide_earlier(self._offers.past(row.head), self._lacks)
            if past is not None and past.body is not None and past.body.digest is not None:
                its = past.body
                content = Content(past.body.digest, its.size)
                found[entry] = Earlier(past.change, content, Attributes(its.executable, its.mtime_ns))
        return found
