"""A user's chain of devices. Owns what makes one valid; never asks for the time, and signs nothing.

A chain is founded by a user's first device with the recovery keys; an active device admits a pairing key, and that key
adds exactly one device; an active device revokes another one for good. A link's own `time` is checked against the
expiry it refers to; whether that time is true, the coordinator judges by its clock when it takes the link.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import assert_never

from protocol import limits, model
from protocol.ids import NO_LINK, NO_USER, DeviceId, LinkHash, UserId
from protocol.model import DeviceKeys, DevicePaired, Founded, PairingAdmitted, Revocation, SignedLink
from protocol.names import device_name_problem, user_name_problem
from protocol.view import ChainState, Hashes


@dataclass(frozen=True, slots=True)
class AdmittedPairing:
    """A pairing key that may add one device, or did. `recipient` is how sealed keys are addressed to it."""

    sign: bytes
    box: bytes
    author: DeviceId
    expires: int

    @property
    def recipient(self) -> bytes:
        """16 bytes: the beginning of the box key."""
        return self.box[:16]


@dataclass(frozen=True, slots=True)
class ChainDevice:
    """One device of a user. `pairing` is the pairing that added it, None for the first."""

    keys: DeviceKeys
    active: bool
    pairing: AdmittedPairing | None


@dataclass(frozen=True, slots=True)
class UserChain:
    """What a valid chain says. `pairings` are those admitted and not used, by signing key; `spent` the used keys.

    Pairings that a revoked device left open count as used. `link_hashes` has one hash a link, so that an earlier
    length can be recognised.
    """

    user: UserId
    founded: Founded
    devices: Mapping[DeviceId, ChainDevice]
    pairings: Mapping[bytes, AdmittedPairing]
    spent: frozenset[bytes]
    link_hashes: tuple[LinkHash, ...]

    @property
    def name(self) -> str:
        """The user's name."""
        return self.founded.name

    @property
    def length(self) -> int:
        """How many links."""
        return len(self.link_hashes)

    @property
    def last(self) -> LinkHash:
        """Hash of the last link."""
        return self.link_hashes[-1]

    @property
    def state(self) -> ChainState:
        """Length and last hash, as a journal keeps them."""
        return ChainState(self.length, self.last)

    def active_devices(self) -> dict[DeviceId, DeviceKeys]:
        """The devices that may act."""
        return {device: known.keys for device, known in self.devices.items() if known.active}

    @property
    def revoked_devices(self) -> frozenset[DeviceId]:
        """The devices that may act no more."""
        return frozenset(device for device, known in self.devices.items() if not known.active)

    def extends(self, seen: ChainState) -> bool:
        """Whether this chain is `seen` or goes on from it."""
        return seen.length <= self.length and self.link_hashes[seen.length - 1] == seen.last


@dataclass(frozen=True, slots=True)
class BadChain:
    """The link at `index` is not valid there. `detail` names the rule and no content."""

    index: int
    detail: str


ChainVerdict = UserChain | BadChain


class _Broken(Exception):
    """Internal: a rule that a link breaks."""


def judge_chain(links: Iterable[SignedLink], hashes: Hashes, start: UserChain | None = None) -> ChainVerdict:
    """Whether `links` are a valid chain, or a valid continuation of `start`. Without links, `start` itself."""
    reading = _Reading(hashes, start)
    for signed in links:
        try:
            reading.take(signed)
        except _Broken as broken:
            return BadChain(len(reading.link_hashes), str(broken))
    return reading.result() or BadChain(0, "there is no link")


class _Reading:
    """A chain while its links are taken one by one. A link that is refused leaves it unfit for more."""

    def __init__(self, hashes: Hashes, start: UserChain | None) -> None:
        self.hashes = hashes
        self.start = start
        self.user = start.user if start else NO_USER
        self.founded: Founded | None = start.founded if start else None
        self.devices = dict(start.devices) if start else {}
        self.pairings = dict(start.pairings) if start else {}
        self.spent = set(start.spent) if start else set()
        self.link_hashes = list(start.link_hashes) if start else []

    def result(self) -> UserChain | None:
        if self.founded is None:
            return None
        return UserChain(
            user=self.user,
            founded=self.founded,
            devices=MappingProxyType(self.devices),
            pairings=MappingProxyType(self.pairings),
            spent=frozenset(self.spent),
            link_hashes=tuple(self.link_hashes),
        )

    def take(self, signed: SignedLink) -> None:
        link, body = signed.link, signed.link.body
        _require(len(self.link_hashes) < limits.CHAIN_LINKS, "the chain is too long")
        _require(link.index == len(self.link_hashes), "the link's number is not the next one")
        _require(link.previous == (self.link_hashes[-1] if self.link_hashes else NO_LINK), "the link follows another")
        _require(link.user == self.user, "the link is another user's")
        _require(isinstance(body, Founded) == (self.founded is None), "the first link, and no other, founds a chain")
        link_hash = LinkHash(self.hashes.link_hash(model.link_bytes(link)))
        match body:
            case Founded():
                signers = self.found(body, link_hash)
            case PairingAdmitted():
                signers = self.admit(body)
            case DevicePaired():
                signers = self.pair(body, link.time)
            case Revocation():
                signers = self.revoke(body)
            case _:
                assert_never(body)
        _require(len(signed.signatures) == len(signers), "the link has the wrong number of signatures")
        for key, signature in zip(signers, signed.signatures, strict=True):
            _require(self.hashes.verify_link(key, link_hash, signature), "a signature does not hold")
        self.link_hashes.append(link_hash)

    def found(self, body: Founded, link_hash: LinkHash) -> tuple[bytes, ...]:
        problem = user_name_problem(body.name)
        _require(problem is None, f"the user's name {problem}")
        self.user = UserId(link_hash[:16])
        self.founded = body
        self.add(body.device, None)
        return body.device.sign, body.recovery_sign

    def admit(self, body: PairingAdmitted) -> tuple[bytes, ...]:
        author = self.devices.get(body.author)
        if author is None or not author.active:
            raise _Broken("a pairing is admitted by a device that is not active")
        known = body.pairing_sign in self.pairings or body.pairing_sign in self.spent
        _require(not known, "a pairing key is admitted twice")
        pairing = AdmittedPairing(body.pairing_sign, body.pairing_box, body.author, body.expires)
        self.pairings[body.pairing_sign] = pairing
        return (author.keys.sign,)

    def pair(self, body: DevicePaired, time: int) -> tuple[bytes, ...]:
        _require(body.pairing_sign not in self.spent, "a pairing key is used twice")
        pairing = self.pairings.pop(body.pairing_sign, None)
        if pairing is None:
            raise _Broken("a device is added by a pairing key that nobody admitted")
        _require(time <= pairing.expires, "the pairing had expired")
        self.spent.add(body.pairing_sign)
        self.add(body.device, pairing)
        return body.pairing_sign, body.device.sign

    def revoke(self, body: Revocation) -> tuple[bytes, ...]:
        author, device = self.devices.get(body.author), self.devices.get(body.device)
        if author is None or not author.active:
            raise _Broken("a device is revoked by one that is not active")
        if device is None or not device.active:
            raise _Broken("a device that is not active is revoked")
        _require(body.author != body.device, "a device revokes itself")
        self.devices[body.device] = replace(device, active=False)
        for key in [key for key, pairing in self.pairings.items() if pairing.author == body.device]:
            del self.pairings[key]
            self.spent.add(key)
        return (author.keys.sign,)

    def add(self, keys: DeviceKeys, pairing: AdmittedPairing | None) -> None:
        problem = device_name_problem(keys.name)
        _require(problem is None, f"the device's name {problem}")
        device = DeviceId(self.hashes.device_id(keys.sign, keys.box, keys.tls))
        _require(device not in self.devices, "a device is added twice")
        active = [known for known in self.devices.values() if known.active]
        _require(len(active) < limits.DEVICES_PER_USER, "the user has too many devices")
        _require(all(known.keys.name != keys.name for known in active), "two devices have one name")
        self.devices[device] = ChainDevice(keys, active=True, pairing=pairing)


def _require(holds: bool, rule: str) -> None:
    if not holds:
        raise _Broken(rule)
