"""Who was seen on the LAN and where, and when to be seen. Owns every rate and every bound of discovery; pure.

Time is an argument, in monotonic seconds. What is held is bounded by the constants here, whatever is heard.
"""

from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

from peer.lan.members import Beacon
from peer.ports import Entropy
from peer.transfer.limits import TokenBucket
from protocol.ids import DeviceId

SOURCE_BEACONS_S: Final = 10.0
"""So many datagrams a second are looked at from one address,"""
ALL_BEACONS_S: Final = 100.0
"""and so many from all together; what is more is dropped unread."""
BURST_S: Final = 2
SOURCES: Final = 256
DEVICES: Final = 1_000
PLACES: Final = 4
"""So many addresses of one device are kept, the newest."""
FORGET_S: Final = 150.0
"""After so long a silence a device is taken to be gone: five beacons."""

EVERY_S: Final = 30.0
"""A device announces itself so often, within a fifth,"""
SOON_S: Final = (0.0, 1.0, 3.0, 9.0)
"""and after a change (a start, an interface, a workspace) so much later,"""
ANSWER_S: Final = (0.1, 0.6)
"""and between these when it has heard somebody new, who may not have heard it;"""
LEAST_GAP_S: Final = 1.0
"""but never twice within this time, whatever is heard."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a device may be reached: a numeric address (with its zone, where IPv6 needs one) and a TCP port."""

    host: str
    port: int


@dataclass(slots=True)
class _Seen:
    heard_s: float
    made: tuple[bool, int]
    """Whether with the newest keys, and when. What is made with older ones, as somebody may who has left, never takes
    the place of what is not."""
    places: dict[Place, float]


class Sightings:
    """What was heard of others."""

    def __init__(self) -> None:
        self._all = TokenBucket(ALL_BEACONS_S, int(ALL_BEACONS_S) * BURST_S, 0.0)
        self._sources: OrderedDict[str, TokenBucket] = OrderedDict()
        self._seen: OrderedDict[DeviceId, _Seen] = OrderedDict()

    def may_look(self, host: str, now_s: float) -> bool:
        """Whether a datagram from this address is to be looked at; counts it."""
        bucket = self._sources.pop(host, None)
        if bucket is None:
            bucket = TokenBucket(SOURCE_BEACONS_S, int(SOURCE_BEACONS_S) * BURST_S, now_s)
        self._sources[host] = bucket
        if len(self._sources) > SOURCES:
            self._sources.popitem(last=False)
        if bucket.take(0, now_s) > 0 or self._all.take(0, now_s) > 0:
            return False
        bucket.take(1, now_s)
        self._all.take(1, now_s)
        return True

    def take(self, beacon: Beacon, host: str, now_s: float) -> bool:
        """Note a recognised beacon; whether it is news: a device that was not there, or an address it did not have.

        One made no later than the last one of its device is a repetition, and is ignored while the device is there.
        (The same beacon comes once by each interface: then the address is another one.)
        """
        self.forget(now_s)
        place, made = Place(host, beacon.called.port), (beacon.is_current, beacon.called.time_ms)
        seen = self._seen.get(beacon.device)
        if seen is None:
            self._seen[beacon.device] = _Seen(now_s, made, {place: now_s})
            if len(self._seen) > DEVICES:
                self._seen.popitem(last=False)
            return True
        if made < seen.made:
            return False
        if made == seen.made and (place in seen.places or len(seen.places) == PLACES):
            return False
        news = place not in seen.places
        seen.places.pop(place, None)
        seen.places[place] = now_s
        if len(seen.places) > PLACES:
            del seen.places[next(iter(seen.places))]
        seen.heard_s, seen.made = now_s, made
        self._seen.move_to_end(beacon.device)
        return news

    def places(self, device: DeviceId, now_s: float) -> tuple[Place, ...]:
        """Where to try to reach a device, the newest first."""
        self.forget(now_s)
        seen = self._seen.get(device)
        if seen is None:
            return ()
        return tuple(place for place, heard_s in reversed(seen.places.items()) if now_s - heard_s < FORGET_S)

    def devices(self, now_s: float) -> tuple[DeviceId, ...]:
        """Who is there."""
        self.forget(now_s)
        return tuple(self._seen)

    def keep_only(self, devices: frozenset[DeviceId]) -> None:
        """Forget all others: we share nothing with them any more."""
        for device in [device for device in self._seen if device not in devices]:
            del self._seen[device]

    def forget(self, now_s: float) -> None:
        """Forget who was not heard for too long."""
        while self._seen:
            device, seen = next(iter(self._seen.items()))
            if now_s - seen.heard_s < FORGET_S:
                return
            del self._seen[device]


class Announcing:
    """When to send the next beacon. A stranger's datagrams change nothing; a member's at most the moment."""

    def __init__(self, entropy: Entropy, now_s: float) -> None:
        self._entropy = entropy
        self._last_s = now_s - LEAST_GAP_S
        self._due_s: list[float] = []
        self.changed(now_s)

    def changed(self, now_s: float) -> None:
        """Something about us is new: say so soon, a few times, since datagrams get lost."""
        self._due_s = sorted(now_s + soon_s + self._entropy.jitter(0.0, 0.2) for soon_s in SOON_S)

    def heard_news(self, now_s: float) -> None:
        """Somebody came who may not know of us."""
        due_s = now_s + self._entropy.jitter(*ANSWER_S)
        if not self._due_s or due_s < self._due_s[0]:
            self._due_s = sorted([due_s, *self._due_s])[: len(SOON_S) + 1]

    def sent(self, now_s: float) -> None:
        """A beacon has gone."""
        self._last_s = now_s
        self._due_s = [due_s for due_s in self._due_s if due_s > now_s]
        if not self._due_s:
            self._due_s = [now_s + EVERY_S * self._entropy.jitter(0.8, 1.2)]

    @property
    def due_s(self) -> float:
        """When to send the next one, if nothing happens before."""
        return max(self._due_s[0], self._last_s + LEAST_GAP_S)
