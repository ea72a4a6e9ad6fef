"""Finding each other. Owns the loop between the local network and what is known of others; never opens a connection.

Beacons go out when `Announcing` says, and what comes in passes `Sightings` and `Members`. Whoever was found is told
to `found`; that it is there is no more than a hint.
"""

from collections.abc import Callable
from typing import Final

import trio

from peer.lan.members import Members
from peer.lan.ports import LocalNetwork, Multicast
from peer.lan.sightings import Announcing, Place, Sightings
from peer.ports import Clock, Entropy
from protocol.beacon import Called
from protocol.ids import DeviceId

AGAIN_S: Final = 30.0
"""So long after the network refused multicast it is asked again."""


class Discovery:
    """This device's discovery. `found` is called, without awaiting, for each device that is heard."""

    def __init__(
        self,
        lan: LocalNetwork,
        clock: Clock,
        entropy: Entropy,
        members: Members,
        port: int,
        found: Callable[[DeviceId], None],
    ) -> None:
        self._lan = lan
        self._clock = clock
        self._entropy = entropy
        self._members = members
        self._port = port
        self._found = found
        self._sightings = Sightings()
        self._announcing = Announcing(entropy, clock.monotonic_s())
        self._sooner = trio.Event()
        self.heard = 0
        """How many datagrams came,"""
        self.recognised = 0
        """and how many of them were a member's."""

    async def run(self) -> None:
        """Find and be found until cancelled. Where there is no multicast, wait for it."""
        while True:
            try:
                async with self._lan.open_multicast() as multicast, trio.open_nursery() as nursery:
                    nursery.start_soon(self._announce, multicast)
                    nursery.start_soon(self._listen, multicast)
                    nursery.start_soon(self._follow, multicast)
            except* OSError:
                await self._clock.sleep(AGAIN_S)

    def members_changed(self, *, tags: bool = True) -> None:
        """`members` are others now: whoever shares nothing any more is forgotten, and who is new is told of us soon.

        `tags`: what this device shows of itself is different too; without that once is enough.
        """
        self._sightings.keep_only(self._members.devices)
        if tags:
            self._change()
        else:
            self._announcing.heard_news(self._clock.monotonic_s())
            self._sooner.set()

    def places(self, device: DeviceId) -> tuple[Place, ...]:
        """Where to try to reach a device, the newest first."""
        return self._sightings.places(device, self._clock.monotonic_s())

    def devices(self) -> tuple[DeviceId, ...]:
        """Who was heard lately."""
        return self._sightings.devices(self._clock.monotonic_s())

    def _change(self) -> None:
        self._announcing.changed(self._clock.monotonic_s())
        self._sooner.set()

    async def _announce(self, multicast: Multicast) -> None:
        while True:
            wait_s = self._announcing.due_s - self._clock.monotonic_s()
            if wait_s > 0:
                self._sooner = trio.Event()
                with trio.move_on_after(wait_s):
                    await self._sooner.wait()
                continue
            if not self._members.is_alone:
                called = Called(self._port, self._clock.wall_ns() // 1_000_000)
                await multicast.send(self._members.beacon(called, self._entropy))
            self._announcing.sent(self._clock.monotonic_s())

    async def _listen(self, multicast: Multicast) -> None:
        while True:
            data, host = await multicast.receive()
            self.heard += 1
            if not self._sightings.may_look(host, self._clock.monotonic_s()):
                continue
            beacon = self._members.recognise(data, self._clock.wall_ns() // 1_000_000)
            if beacon is None:
                continue
            self.recognised += 1
            now_s = self._clock.monotonic_s()
            if self._sightings.take(beacon, host, now_s):
                self._announcing.heard_news(now_s)
                self._sooner.set()
            self._found(beacon.device)

    async def _follow(self, multicast: Multicast) -> None:
        while True:
            await multicast.wait_changed()
            self._change()
