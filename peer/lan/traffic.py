"""How much came from whom and went to whom on the LAN. Owns the counts; never decides anything by them."""

from dataclasses import dataclass, field

from peer.transfer.counters import TransferCounters
from protocol.ids import DeviceId


@dataclass(slots=True)
class Moved:
    """Chunk bytes exchanged with one device since the program started."""

    received: int = 0
    sent: int = 0


@dataclass(frozen=True, slots=True)
class Traffic:
    """The counts of all devices. There are never more than devices that proved who they are."""

    counters: TransferCounters = field(default_factory=TransferCounters)
    devices: dict[DeviceId, Moved] = field(default_factory=dict)

    def received(self, device: DeviceId, count: int) -> None:
        """So many bytes of chunks came from there, of use or not."""
        self.devices.setdefault(device, Moved()).received += count
        self.counters.lan_in += count

    def sent(self, device: DeviceId, count: int) -> None:
        """So many bytes of chunks were given to a link with that device."""
        self.devices.setdefault(device, Moved()).sent += count
        self.counters.lan_out += count
