"""How members of a workspace recognise each other on the LAN, and nobody else does.

Owns the keys of an hour, what is sealed under them, and the tag of a knock. Never sends anything, and keeps nothing.

All of it follows from the beacon sub-key of an epoch: whoever has left the workspace recognises nobody from the next
rotation on. An *hour* is the number of hours since 1970. To anybody without the key a tag is random, and another one
each hour.
"""

import struct
from dataclasses import dataclass, field
from typing import Final

from crypto import aead
from crypto.digest import KEY_BYTES, SUITE_BYTE, derive
from crypto.labels import Label

HOUR_MS: Final = 3_600_000
NONCE_BYTES: Final = aead.NONCE_BYTES
TAG_BYTES: Final = 8
RECORD_BODY_BYTES: Final = 10
"""What is sealed in a record."""
RECORD_BYTES: Final = TAG_BYTES + RECORD_BODY_BYTES + aead.TAG_BYTES
KNOCK_NONCE_BYTES: Final = 16
KNOCK_BYTES: Final = 16

_HOUR: Final = struct.Struct(">Q")


@dataclass(frozen=True, slots=True)
class HourlyKeys:
    """One device in one workspace for one hour: the tag that it shows, and the key of what it says with it."""

    tag: bytes
    key: bytes = field(repr=False)


def hourly_keys(beacon_key: bytes, hour: int, device_id: bytes) -> HourlyKeys:
    """A device's tag and key of this hour."""
    both = derive(Label.BEACON, beacon_key, _HOUR.pack(hour), device_id, size=TAG_BYTES + KEY_BYTES)
    return HourlyKeys(both[:TAG_BYTES], both[TAG_BYTES:])


def seal_record(keys: HourlyKeys, nonce: bytes, body: bytes) -> bytes:
    """A record of `RECORD_BYTES`: the tag, and XChaCha20-Poly1305 of the body under the hour's key.

    The nonce is fresh and random, and may serve all records of one datagram, since each has a key of its own.
    """
    assert len(body) == RECORD_BODY_BYTES
    return keys.tag + aead.encrypt(keys.key, nonce, body, SUITE_BYTE + keys.tag)


def open_record(keys: HourlyKeys, nonce: bytes, record: bytes) -> bytes | None:
    """The body, or None where this is not what the device that these keys are of has sealed."""
    if len(record) != RECORD_BYTES or len(nonce) != NONCE_BYTES or record[:TAG_BYTES] != keys.tag:
        return None
    return aead.decrypt(keys.key, nonce, record[TAG_BYTES:], SUITE_BYTE + keys.tag)


def knock_tag(beacon_key: bytes, hour: int, listener_id: bytes, nonce: bytes, address: str) -> bytes:
    """16 bytes by which a device that is called knows that a member calls it, before it says who it is.

    `address` is the one called, without its zone: whoever has somebody call them in another's place cannot pass it on.
    """
    called = address.partition("%")[0].encode()
    return derive(Label.KNOCK, beacon_key, _HOUR.pack(hour), listener_id, nonce, called, size=KNOCK_BYTES)
