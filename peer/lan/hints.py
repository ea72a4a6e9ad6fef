"""Address hints: telling the coordinator where this device listens, and trying where it says that others do.

Owns when it is asked, how long its answer counts, and which of it is worth a try. Of an answer nothing is believed: a
hint is a place to try TLS at, like one that a beacon came from, for devices that we share a workspace with anyway.
"""

from collections.abc import Awaitable, Callable
from typing import Final

import trio

from peer.lan.members import Members
from peer.lan.ports import LocalNetwork
from peer.lan.sightings import PLACES, Place
from peer.link.errors import LinkError
from peer.ports import Clock, Entropy
from protocol import limits
from protocol.ids import DeviceId
from protocol.messages import Refusal
from protocol.nearby import Nearby, NearbyRequest, host_text, is_worth_trying, may_be_told

EVERY_S: Final = 300.0
"""The coordinator is asked so often, within a fifth, and at every change,"""
LEAST_GAP_S: Final = 60.0 / limits.NEARBY_A_MINUTE
"""but never twice within this time."""
ANSWER_S: Final = 20.0
HINT_S: Final = 3600.0
"""So long a hint counts where the coordinator says nothing else, as while it is away."""

Ask = Callable[[NearbyRequest], Awaitable[Nearby | Refusal]]
"""The coordinator's answer. Raises `LinkError`."""


class Hints:
    """What the coordinator has said. `found` is called, without awaiting, for each device of which that is news."""

    def __init__(
        self,
        lan: LocalNetwork,
        clock: Clock,
        entropy: Entropy,
        members: Members,
        port: int,
        ask: Ask,
        found: Callable[[DeviceId], None],
    ) -> None:
        self._lan = lan
        self._clock = clock
        self._entropy = entropy
        self._members = members
        self._port = port
        self._ask = ask
        self._found = found
        self._own: tuple[bytes, ...] = ()
        self._places: dict[DeviceId, tuple[Place, ...]] = {}
        self._until_s = 0.0
        self._reason = trio.Event()

    async def run(self) -> None:
        """Tell and ask until cancelled."""
        wait_s = LEAST_GAP_S
        while True:
            with trio.move_on_after(wait_s):
                await self._reason.wait()
            self._reason = trio.Event()
            if not self._members.is_alone:
                await self._tell()
                await self._clock.sleep(LEAST_GAP_S)
            wait_s = EVERY_S * self._entropy.jitter(0.8, 1.2)

    def ask_soon(self) -> None:
        """The coordinator can be reached again, or we have other fellows now."""
        self._reason.set()

    def places(self, device: DeviceId) -> tuple[Place, ...]:
        """Where to try to reach a device."""
        return self._places.get(device, ()) if self._clock.monotonic_s() < self._until_s else ()

    def devices(self) -> tuple[DeviceId, ...]:
        """Who is said to be somewhere."""
        return tuple(device for device in self._places if self.places(device))

    async def _tell(self) -> None:
        own = tuple(filter(may_be_told, dict.fromkeys(self._lan.addresses())))[: limits.NEARBY_HOSTS]
        if own != self._own:  # elsewhere now
            self._own = own
            self._places.clear()
        if not own:
            return
        with trio.move_on_after(ANSWER_S):
            try:
                answer = await self._ask(NearbyRequest(self._port, own))
            except LinkError:  # it is told as soon as it is back
                return
            if isinstance(answer, Nearby):
                self._take(answer)

    def _take(self, answer: Nearby) -> None:
        before = {device: self.places(device) for device in self.devices()}
        self._until_s = self._clock.monotonic_s() + HINT_S
        self._places = {}
        for each in answer.devices:
            hosts = [host_text(host) for host in each.hosts if is_worth_trying(host, self._own)]
            if hosts and each.device in self._members.devices:
                self._places[DeviceId(each.device)] = tuple(Place(host, each.port) for host in hosts[:PLACES])
        for device, places in self._places.items():
            if before.get(device) != places:
                self._found(device)
