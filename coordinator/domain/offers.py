"""Which versions of a workspace are not durable yet, and what makes them so or ends them. Pure.

Owns the set that devices copy (`protocol.offered`), the leases by which no two send the same block, and the rule by
which a version is given up. Not used yet: the storage of it, and the requests about it, are still to be made.
"""

from collections.abc import Collection, Iterable
from typing import Final

from protocol.ids import BlockId, ChangeId, DeviceId
from protocol.limits import OFFERED_MARKS
from protocol.offered import Mark, OfferedPage, Standing

LEASE_MS: Final = 60_000
"""So long a device has a block to itself, from the last sign that it is sending."""
LEASES: Final = 20_000
"""Most blocks that one device has to itself at a time."""
SILENT_MS: Final = 30 * 24 * 3600 * 1000
"""After so long a silence an author is not expected back."""


class Offers:
    """The set of one workspace: marks in the order of their numbers, one for each version that ever was offered."""

    def __init__(self, generation: int) -> None:
        self.generation = generation
        self.last = 0
        self._marks: dict[ChangeId, Mark] = {}
        self._missing: dict[ChangeId, set[BlockId]] = {}
        self._waiting: dict[BlockId, dict[ChangeId, None]] = {}

    def offer(self, change: ChangeId, missing: Collection[BlockId]) -> None:
        """A version was committed whose blocks are not all stored; one of which none is missing needs no mark."""
        assert change not in self._marks
        if missing:
            self._missing[change] = set(missing)
            for block in missing:
                self._waiting.setdefault(block, {})[change] = None
            self._mark(change, Standing.OFFERED)

    def stored(self, blocks: Iterable[BlockId]) -> list[ChangeId]:
        """These blocks are stored now; the versions that are durable by that."""
        durable: list[ChangeId] = []
        for block in blocks:
            for change in self._waiting.pop(block, {}):
                left = self._missing[change]
                left.discard(block)
                if not left:
                    del self._missing[change]
                    self._mark(change, Standing.DURABLE)
                    durable.append(change)
        return durable

    def give_up(self, change: ChangeId) -> bool:
        """Nobody will ever store a version; False where it is not offered (any more)."""
        left = self._missing.pop(change, None)
        if left is None:
            return False
        for block in left:
            waiting = self._waiting[block]
            del waiting[change]
            if not waiting:
                del self._waiting[block]
        self._mark(change, Standing.NOT_KEPT)
        return True

    def missing(self, change: ChangeId) -> frozenset[BlockId]:
        """What is still to be stored of a version."""
        return frozenset(self._missing.get(change, ()))

    def is_wanted(self, block: BlockId) -> bool:
        """Whether an offered version waits for a block."""
        return block in self._waiting

    def standing(self, change: ChangeId) -> Standing:
        """How a version stands."""
        mark = self._marks.get(change)
        return Standing.DURABLE if mark is None else mark.standing

    def since(self, generation: int, number: int, most: int = OFFERED_MARKS) -> OfferedPage:
        """What a device has to be told that has followed that generation up to that number."""
        whole = generation != self.generation or number > self.last
        after = 0 if whole else number
        marks = [mark for mark in self._marks.values() if mark.number > after][:most]
        return OfferedPage(self.generation, whole, self.last, tuple(marks))

    def _mark(self, change: ChangeId, standing: Standing) -> None:
        self.last += 1
        self._marks.pop(change, None)
        self._marks[change] = Mark(self.last, change, standing)


class Leases:
    """Who is sending which block. Times in milliseconds of one clock that does not go back."""

    def __init__(self) -> None:
        self._held: dict[BlockId, tuple[DeviceId, int]] = {}
        self._blocks: dict[DeviceId, dict[BlockId, None]] = {}

    def ask(self, device: DeviceId, blocks: Iterable[BlockId], now_ms: int) -> list[BlockId]:
        """Those of these blocks that this device may send now: nobody else has them, or has had them for too long."""
        granted: list[BlockId] = []
        own = self._blocks.setdefault(device, {})
        for block in blocks:
            holder = self._held.get(block)
            if holder is not None and holder[0] != device and holder[1] > now_ms:
                continue
            if block not in own and len(own) >= LEASES:
                break
            if holder is not None and holder[0] != device:
                self._let_go(holder[0], block)
            own[block] = None
            self._held[block] = (device, now_ms + LEASE_MS)
            granted.append(block)
        if not own:
            del self._blocks[device]
        return granted

    def renew(self, device: DeviceId, now_ms: int) -> None:
        """The device is sending: it keeps what it has."""
        for block in self._blocks.get(device, ()):
            self._held[block] = (device, now_ms + LEASE_MS)

    def end(self, device: DeviceId, blocks: Iterable[BlockId] | None = None) -> None:
        """These (or all of its) blocks were stored, or will not be sent by this device."""
        own = self._blocks.get(device, {})
        for block in [block for block in (list(own) if blocks is None else blocks) if block in own]:
            self._let_go(device, block)
            del self._held[block]

    def _let_go(self, device: DeviceId, block: BlockId) -> None:
        own = self._blocks[device]
        del own[block]
        if not own:
            del self._blocks[device]


def is_lost(*, author_active: bool, silent_ms: int, holders: Collection[DeviceId]) -> bool:
    """Whether an offered version is to be given up: its author will not come back, and nobody else says to have it.

    `holders` are active devices, other than the author, that said so. (An author whose person has overwritten the bytes
    gives the version up itself.)
    """
    return not holders and (not author_active or silent_ms >= SILENT_MS)
