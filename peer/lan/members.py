"""By what this device knows others on the LAN, and shows itself to them. Owns the tags of the hour; pure.

A workspace's members are its active devices. Nobody's word is taken for anything: a beacon that is recognised says
where it may be worth trying TLS, and no more.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from crypto.beacon import HOUR_MS, KNOCK_NONCE_BYTES, HourlyKeys, hourly_keys, knock_tag, open_record, seal_record
from peer.ports import Entropy
from protocol.beacon import (
    MAX_RECORDS,
    NONCE_BYTES,
    RECORD_BYTES,
    TAG_BYTES,
    Called,
    pack_beacon,
    pack_body,
    record_count,
    unpack_beacon,
    unpack_body,
)
from protocol.ids import DeviceId, WorkspaceId

MOST_PAIRS: Final = 20_000
"""So many pairs of workspace and device are recognised at most; who comes later in the order given is not."""
KNOCKS: Final = 4_096
"""So many knocks that were let in are remembered, so that none is used twice within its hour."""


@dataclass(frozen=True)
class Membership:
    """A workspace whose devices may meet. `keys` are beacon keys, the newest first; at most two are used."""

    workspace: WorkspaceId
    keys: Sequence[bytes] = field(repr=False)
    devices: frozenset[DeviceId]


class Beacon(NamedTuple):
    """A beacon of a device that we share workspaces with; those named are the ones it showed a tag for."""

    device: DeviceId
    workspaces: frozenset[WorkspaceId]
    called: Called
    is_current: bool
    """Whether any of it was made with the newest keys that are known here: then nobody made it who has left since."""


class _Known(NamedTuple):
    workspace: WorkspaceId
    device: DeviceId
    key: bytes
    hour: int
    is_newest: bool


class Members:
    """The device's memberships, and the tags that follow from them for the hour that it is, the last and the next."""

    def __init__(self, own: DeviceId, memberships: Sequence[Membership] = ()) -> None:
        self._own = own
        self._memberships = tuple(memberships)
        self._tags: dict[int, dict[bytes, _Known]] = {}
        self._derived: dict[_Known, HourlyKeys] = {}
        self._shown = 0
        self._knocks: dict[bytes, None] = {}

    def replace(self, memberships: Sequence[Membership]) -> bool:
        """These are the memberships from now on; whether that changes anything."""
        if tuple(memberships) == self._memberships:
            return False
        self._memberships = tuple(memberships)
        self._tags.clear()
        return True

    @property
    def is_alone(self) -> bool:
        """Whether there is nobody to be found."""
        return not any(membership.devices - {self._own} for membership in self._memberships)

    @property
    def devices(self) -> frozenset[DeviceId]:
        """Everybody that this device shares a workspace with."""
        return frozenset[DeviceId]().union(*(each.devices for each in self._memberships)) - {self._own}

    def shared_with(self, device: DeviceId) -> frozenset[WorkspaceId]:
        """The workspaces that a device is an active member of together with this one."""
        return frozenset(each.workspace for each in self._memberships if device in each.devices)

    # --- beacons ----------------------------------------------------------------------------------------

    def beacon(self, called: Called, entropy: Entropy) -> bytes:
        """The beacon to send now. Of more workspaces than fit, others are shown the next time."""
        hour = called.time_ms // HOUR_MS
        nonce = entropy.token(NONCE_BYTES)
        some = [each for each in self._memberships if each.keys and each.devices - {self._own}]
        if len(some) > MAX_RECORDS:
            at = self._shown % len(some)
            self._shown = at + MAX_RECORDS
            some = (some[at:] + some[:at])[:MAX_RECORDS]
        body = pack_body(called)
        records = [seal_record(hourly_keys(each.keys[0], hour, self._own), nonce, body) for each in some]
        records += [entropy.token(RECORD_BYTES) for _ in range(record_count(len(records)) - len(records))]
        return pack_beacon(nonce, records)

    def recognise(self, data: bytes, now_ms: int) -> Beacon | None:
        """Whose beacon a datagram is; None for anything but an unaltered one of a member's device, made about now.

        Costs no more than looking up its tags, unless one of them is known.
        """
        datagram = unpack_beacon(data)
        if datagram is None:
            return None
        tags = self._tags_about(now_ms // HOUR_MS)
        found: Beacon | None = None
        for record in datagram.records:
            known = tags.get(record[:TAG_BYTES])
            if known is None:
                continue
            body = open_record(self._derived[known], datagram.nonce, record)
            called = None if body is None else unpack_body(body)
            if called is None or (found is not None and (found.device, found.called) != (known.device, called)):
                return None
            workspaces = found.workspaces if found else frozenset[WorkspaceId]()
            is_current = known.is_newest or (found is not None and found.is_current)
            found = Beacon(known.device, workspaces | {known.workspace}, called, is_current)
        return found

    def _tags_about(self, hour: int) -> dict[bytes, _Known]:
        tags = self._tags.get(hour)
        if tags is None:
            self._tags.clear()
            before = self._derived
            self._derived = {
                known: before.get(known) or hourly_keys(known.key, known.hour, known.device)
                for known in self._pairs(hour)
            }
            tags = self._tags[hour] = {keys.tag: known for known, keys in self._derived.items()}
        return tags

    def _pairs(self, hour: int) -> list[_Known]:
        pairs: list[_Known] = []
        count = 0
        for each in self._memberships:
            for device in sorted(each.devices - {self._own})[: MOST_PAIRS - count]:
                count += 1
                pairs += (
                    _Known(each.workspace, device, key, near, at == 0)
                    for at, key in enumerate(each.keys[:2])
                    for near in (hour - 1, hour, hour + 1)
                )
        return pairs

    # --- knocks -----------------------------------------------------------------------------------------

    def knock(self, listener: DeviceId, host: str, now_ms: int, entropy: Entropy) -> str | None:
        """What to call a device with at that address, so that it shows who it is; None where we share nothing with it.

        A TLS server name: the nonce and the tag in hexadecimal, with a dot between.
        """
        for each in self._memberships:
            if listener in each.devices and each.keys:
                nonce = entropy.token(KNOCK_NONCE_BYTES)
                tag = knock_tag(each.keys[0], now_ms // HOUR_MS, listener, nonce, host)
                return f"{nonce.hex()}.{tag.hex()}"
        return None

    def admits(self, knock: str, host: str, now_ms: int) -> bool:
        """Whether a member made this knock for us at this address of ours, about now, and nobody has used it before."""
        first, _, second = knock.partition(".")
        try:
            nonce, tag = bytes.fromhex(first), bytes.fromhex(second)
        except ValueError:
            return False
        if len(nonce) != KNOCK_NONCE_BYTES or nonce in self._knocks:
            return False
        hour = now_ms // HOUR_MS
        for each in self._memberships:
            for key in each.keys[:2]:
                if any(tag == knock_tag(key, near, self._own, nonce, host) for near in (hour, hour - 1, hour + 1)):
                    self._remember(nonce)
                    return True
        return False

    def _remember(self, nonce: bytes) -> None:
        self._knocks[nonce] = None
        if len(self._knocks) > KNOCKS:
            del self._knocks[next(iter(self._knocks))]
