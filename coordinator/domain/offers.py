"""What makes a version that is offered durable or ends it, and who sends its blocks. Pure.

Owns who is counted on for a version's bytes, the rule by which it is given up, and the leases by which no two devices
send the same block. The set that devices copy is kept in the storage.
"""

from collections.abc import Collection, Iterable
from typing import Final

from coordinator.records import OpenOffer
from protocol.ids import BlockId, DeviceId, WorkspaceId

LEASE_MS: Final = 60_000
"""So long a device has a block to itself, from the last sign that it is sending."""
LEASES: Final = 20_000
"""Most blocks of one workspace that one device has to itself at a time."""
SILENT_MS: Final = 30 * 24 * 3600 * 1000
"""After so long a silence an author is not expected back."""


class Leases:
    """Who is sending which block. Times in milliseconds of one clock that does not go back.

    Only advice: what they keep apart is devices that mean well. No workspace knows of another's.
    """

    def __init__(self) -> None:
        self._held: dict[tuple[WorkspaceId, BlockId], tuple[DeviceId, int]] = {}
        """With each block its holder, and until when if nothing more is heard of the holder."""
        self._sending: dict[tuple[WorkspaceId, DeviceId], _Sending] = {}

    def ask(self, workspace: WorkspaceId, device: DeviceId, blocks: Iterable[BlockId], now_ms: int) -> list[BlockId]:
        """Those of these blocks that this device may send now: nobody else has them, or has had them for too long."""
        granted: list[BlockId] = []
        own = self._sending.setdefault((workspace, device), _Sending())
        for block in blocks:
            holder = self._held.get((workspace, block))
            if holder is not None and holder[0] != device:
                if self._until(workspace, *holder) > now_ms:
                    continue
                self._let_go(workspace, holder[0], block)
            if block not in own.blocks and len(own.blocks) >= LEASES and not self._forget(workspace, device, now_ms):
                break
            self._sending[workspace, device] = own
            own.blocks[block] = None
            self._held[workspace, block] = (device, now_ms + LEASE_MS)
            granted.append(block)
        if not own.blocks:
            self._sending.pop((workspace, device), None)
        return granted

    def renew(self, workspace: WorkspaceId, device: DeviceId, now_ms: int) -> None:
        """The device is sending: it keeps what it has."""
        own = self._sending.get((workspace, device))
        if own is not None:
            own.until_ms = now_ms + LEASE_MS

    def end(self, workspace: WorkspaceId, device: DeviceId, blocks: Iterable[BlockId] | None = None) -> None:
        """These (or all of its) blocks were stored, or will not be sent by this device."""
        own = self._sending.get((workspace, device))
        if own is not None:
            for block in [block for block in (list(own.blocks) if blocks is None else blocks) if block in own.blocks]:
                self._let_go(workspace, device, block)

    def forget(self, now_ms: int) -> None:
        """Let go of what devices have had for too long."""
        for workspace, device in tuple(self._sending):
            self._forget(workspace, device, now_ms)

    def __len__(self) -> int:
        """How many blocks somebody has."""
        return len(self._held)

    def _until(self, workspace: WorkspaceId, device: DeviceId, until_ms: int) -> int:
        return max(until_ms, self._sending[workspace, device].until_ms)

    def _forget(self, workspace: WorkspaceId, device: DeviceId, now_ms: int) -> bool:
        """Whether the device had anything for too long."""
        own = self._sending[workspace, device]
        late = [block for block in own.blocks if self._until(workspace, *self._held[workspace, block]) <= now_ms]
        for block in late:
            self._let_go(workspace, device, block)
        return bool(late)

    def _let_go(self, workspace: WorkspaceId, device: DeviceId, block: BlockId) -> None:
        own = self._sending[workspace, device]
        del own.blocks[block]
        del self._held[workspace, block]
        if not own.blocks:
            del self._sending[workspace, device]


class _Sending:
    """What one device has of one workspace, and until when it has all of that at least."""

    __slots__ = ("blocks", "until_ms")

    def __init__(self) -> None:
        self.blocks: dict[BlockId, None] = {}
        self.until_ms = 0


def counted_on(device: DeviceId, base: OpenOffer | None, *, offers: bool) -> tuple[bool, frozenset[DeviceId]]:
    """Whether the author of a version that lacks blocks has its bytes, and which other devices have.

    `base` is the version before it, if that is offered too: who has its bytes has all that this one took over. An
    author who `offers` says so; one who only made a version out of another, a renaming say, need not have them.
    """
    if base is None:
        return True, frozenset()
    holders = base.holders | ({base.author} if base.counted else frozenset())
    return offers or device in holders, holders - {device}


def is_lost(*, author_active: bool, silent_ms: int, holders: Collection[DeviceId]) -> bool:
    """Whether an offered version is to be given up: its author will not come back, and nobody else says to have it.

    `holders` are active devices, other than the author, that said so. (An author whose person has overwritten the bytes
    gives the version up itself.)
    """
    return not holders and (not author_active or silent_ms >= SILENT_MS)
