"""The set of versions that are not durable, in memory: the model of what the coordinator keeps. Owns nothing else."""

from collections.abc import Collection, Iterable

from protocol.ids import BlockId, ChangeId
from protocol.limits import OFFERED_MARKS
from protocol.offered import Mark, OfferedPage, Standing, follows


class OfferedSet:
    """The set of one workspace: marks in the order of their numbers, one for each version that ever was offered."""

    def __init__(self, generation: int) -> None:
        self.generation = generation
        self.last = 0
        self._marks: dict[ChangeId, Mark] = {}
        self._lacking: dict[ChangeId, set[BlockId]] = {}

    def offer(self, change: ChangeId, missing: Collection[BlockId]) -> None:
        """A version was committed whose blocks are not all stored; one of which none is missing needs no mark."""
        assert change not in self._marks
        if missing:
            self._lacking[change] = set(missing)
            self._mark(change, Standing.OFFERED)

    def stored(self, blocks: Iterable[BlockId]) -> list[ChangeId]:
        """These blocks are stored now; the versions that are durable by that, the longest offered first."""
        there = set(blocks)
        durable = []
        for change in list(self._lacking):
            self._lacking[change] -= there
            if not self._lacking[change]:
                del self._lacking[change]
                if self.standing(change) is Standing.OFFERED:
                    durable.append(change)
        durable.sort(key=lambda change: self._marks[change].number)
        for change in durable:
            self._mark(change, Standing.DURABLE)
        return durable

    def give_up(self, change: ChangeId) -> bool:
        """Nobody will ever store a version; False where it is not offered (any more). What it lacks is still known."""
        if change not in self._marks or self.standing(change) is not Standing.OFFERED:
            return False
        self._mark(change, Standing.NOT_KEPT)
        return True

    def begin_anew(self, generation: int, beyond: int) -> None:
        """The numbers may not be a continuation of those told before."""
        self.generation = generation
        if self._marks:
            *_, newest = self._marks.values()
            self.last = max(self.last, beyond - 1)
            self._mark(newest.change, newest.standing)

    def lacking(self, change: ChangeId) -> frozenset[BlockId]:
        """What is still to be stored of a version that is offered, or was when it was given up."""
        return frozenset(self._lacking.get(change, ()))

    def standing(self, change: ChangeId) -> Standing:
        """How a version stands."""
        mark = self._marks.get(change)
        return Standing.DURABLE if mark is None else mark.standing

    def since(self, generation: int, number: int, most: int = OFFERED_MARKS) -> OfferedPage:
        """What a device has to be told that has followed that generation up to that number."""
        whole = generation != self.generation or number > self.last
        after = 0 if whole else number
        marks = [
            mark
            for mark in self._marks.values()
            if mark.number > after and not (whole and mark.standing is Standing.DURABLE and mark.number != self.last)
        ]
        return OfferedPage(self.generation, whole, self.last, tuple(marks[:most]))

    def _mark(self, change: ChangeId, standing: Standing) -> None:
        self.last += 1
        self._marks.pop(change, None)
        self._marks[change] = Mark(self.last, change, standing)


class OfferedCopy:
    """What a device knows that follows the set. A version that is in no mark is durable."""

    def __init__(self) -> None:
        self.generation = 0
        self.number = 0
        self._standing: dict[ChangeId, Standing] = {}

    def take(self, page: OfferedPage) -> bool:
        """Follow; False, and nothing done, where the page does not go on from here."""
        if not follows(page, self.generation, self.number):
            return False
        if page.whole:
            self._standing.clear()
        self.generation = page.generation
        self._standing |= {ChangeId(mark.change): mark.standing for mark in page.marks}
        self.number = page.marks[-1].number if page.marks else page.last
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
