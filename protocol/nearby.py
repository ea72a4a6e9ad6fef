"""Address hints: where a device listens on its local networks, and who else listens on the same ones. Pure.

Owns the words, and which addresses are worth telling. A hint says no more than "try TLS there".
"""

from collections.abc import Collection
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Annotated, Final

from msgspec import Meta

from protocol import limits
from protocol.codec import Array, Message
from protocol.ids import WireDeviceId

Host = Annotated[bytes, Meta(min_length=4, max_length=16)]
"""An IPv4 or IPv6 address in network order: 4 or 16 bytes, and nothing between."""
Hosts = Annotated[tuple[Host, ...], Meta(max_length=limits.NEARBY_HOSTS)]
Port = Annotated[int, Meta(ge=1, le=65_535)]

_TOLD: Final = (
    IPv4Network("10.0.0.0/8"),
    IPv4Network("172.16.0.0/12"),
    IPv4Network("192.168.0.0/16"),
    IPv6Network("fc00::/7"),
    IPv6Network("2000::/3"),
)
"""What is private, and the IPv6 addresses that hosts of a local network have. An address within a link (fe80::,
169.254.) says nothing without its interface, and some of those answer for a machine's host."""
_PUBLIC: Final = _TOLD[-1]
_SUBNET_BYTES: Final = 8
"""A network of IPv6 is the first half of an address (RFC 4291)."""


class NearbyRequest(Message, frozen=True):
    """Where this device listens: a TCP port, at these addresses of its interfaces. Asks who else is near."""

    port: Port
    hosts: Hosts


class NearDevice(Array, frozen=True):
    """Where another device says that it listens."""

    device: WireDeviceId
    port: Port
    hosts: Hosts


class Nearby(Message, frozen=True, tag="nearby"):
    """Devices that share a workspace with the asker, and reach the coordinator from the same network."""

    devices: Annotated[tuple[NearDevice, ...], Meta(max_length=limits.NEARBY)]


def may_be_told(host: bytes) -> bool:
    """Whether an address may be one of a local network's host: not loopback, multicast, unspecified, or cut short."""
    address = _address(host)
    return address is not None and any(address in network for network in _TOLD)


def is_worth_trying(host: bytes, own: Collection[bytes]) -> bool:
    """Whether to try an address that somebody was told; `own` are our own ones.

    One that the whole world can reach is tried only in a network that we are in: nobody has us connect to others.
    """
    if not may_be_told(host):
        return False
    return _address(host) not in _PUBLIC or any(host[:_SUBNET_BYTES] == each[:_SUBNET_BYTES] for each in own)


def host_text(host: bytes) -> str:
    """An address as text. Only for one that `may_be_told`."""
    return str(ip_address(host))


def network_of(seen_from: str) -> str | None:
    """The network that a connection comes from, by the address that it is seen from; None where that says nothing.

    Behind a translator that is the address itself; without one, where addresses are private or of IPv6, the subnet
    that it is most likely in. This machine's own address is that of whatever passes connections on here.
    """
    try:
        address = ip_address(seen_from.partition("%")[0])
    except ValueError:
        return None
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is None:
            return None if _says_nothing(address) else str(IPv6Network((address.packed, 64), strict=False))
        address = address.ipv4_mapped
    if _says_nothing(address):
        return None
    return str(address) if address.is_global else str(IPv4Network((address.packed, 24), strict=False))


def _says_nothing(address: IPv4Address | IPv6Address) -> bool:
    return address.is_loopback or address.is_unspecified or address.is_multicast


def _address(host: bytes) -> IPv4Address | IPv6Address | None:
    return ip_address(host) if len(host) in (4, 16) else None
