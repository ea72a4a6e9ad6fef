"""What the daemon answers to requests about keeping it in order. Owns the way from those words to the device."""

from collections.abc import AsyncGenerator

from peer.control.base import Reply
from peer.control.upkeep import Limit, UpkeepRequest
from peer.engine.device import DeviceEngine


class Tending:
    """Answers these requests about one device. Raises `CannotDo` where one cannot be granted."""

    def __init__(self, device: DeviceEngine) -> None:
        self._device = device

    async def __call__(self, request: UpkeepRequest) -> AsyncGenerator[Reply, None]:
        """The answers to one request, in order."""
        device = self._device
        match request:
            case Limit():
                yield device.machine.limiting.change(request)
