"""The datagram by which devices find each other on the LAN. Owns its layout; what is in a record is sealed (`crypto`).

    beacon = "SHL1" | nonce (24) | records of 34 bytes, 4, 8, 16 or 32 of them, in rising order
    record = tag (8) | sealed (26), and when opened: port (2, big endian) | time in milliseconds since 1970 (8)

One record for each workspace whose members the sender wants to be found by, the rest random. To a stranger all of it
is random but the first four bytes, and no two hours have anything in common.
"""

import struct
from collections.abc import Sequence
from itertools import pairwise
from typing import Final, NamedTuple

MAGIC: Final = b"SHL1"
NONCE_BYTES: Final = 24
TAG_BYTES: Final = 8
RECORD_BYTES: Final = 34
RECORDS: Final = (4, 8, 16, 32)
MAX_RECORDS: Final = RECORDS[-1]
BEACON_BYTES: Final = len(MAGIC) + NONCE_BYTES + MAX_RECORDS * RECORD_BYTES
"""Longest beacon: it fits into one packet of any network."""
PORT: Final = 8441
"""The UDP port on which devices listen for beacons."""
GROUP_V4: Final = "239.255.84.41"
"""Within the site (RFC 2365), and sent with a time to live of 1."""
GROUP_V6: Final = "ff12::5348:4c31"
"""Transient, and within the link (RFC 4291)."""

_HEAD: Final = len(MAGIC) + NONCE_BYTES
_BODY: Final = struct.Struct(">HQ")
BODY_BYTES: Final = _BODY.size


class Datagram(NamedTuple):
    """A beacon taken apart: 4 to 32 records, none of them opened."""

    nonce: bytes
    records: tuple[bytes, ...]


class Called(NamedTuple):
    """What a record says: where the sender listens for links (TCP), and its clock."""

    port: int
    time_ms: int


def record_count(records: int) -> int:
    """How many records a beacon with so many real ones has, so that their number shows as little as may be."""
    return next(count for count in RECORDS if records <= count)


def pack_beacon(nonce: bytes, records: Sequence[bytes]) -> bytes:
    """A beacon; `records` are as many as `record_count` says, the random ones among them."""
    assert len(nonce) == NONCE_BYTES
    assert len(records) in RECORDS
    return MAGIC + nonce + b"".join(sorted(records))


def unpack_beacon(data: bytes) -> Datagram | None:
    """A datagram taken apart; None for anything that `pack_beacon` would not have made."""
    count, rest = divmod(len(data) - _HEAD, RECORD_BYTES)
    if rest or count not in RECORDS or not data.startswith(MAGIC):
        return None
    records = tuple(data[at : at + RECORD_BYTES] for at in range(_HEAD, len(data), RECORD_BYTES))
    if any(a >= b for a, b in pairwise(records)):
        return None
    return Datagram(data[len(MAGIC) : _HEAD], records)


def pack_body(called: Called) -> bytes:
    """What is sealed in a record."""
    return _BODY.pack(*called)


def unpack_body(body: bytes) -> Called | None:
    """The reverse; None for a port or a length that nobody has."""
    if len(body) != BODY_BYTES:
        return None
    called = Called(*_BODY.unpack(body))
    return called if called.port else None
