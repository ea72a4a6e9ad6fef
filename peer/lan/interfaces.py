"""This machine's network interfaces, on Linux. Owns finding them and noticing changes; never sends anything."""

import fcntl
import socket
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import trio

POLL_S: Final = 15.0
"""So often interfaces are looked at where the system does not tell of changes."""
SETTLE_S: Final = 0.2
"""Changes come in groups; after the first one so long is waited for the others."""

_UP, _LOOPBACK, _MULTICAST = 0x1, 0x8, 0x1000  # netdevice(7)
_SIOCGIFFLAGS, _SIOCGIFADDR = 0x8913, 0x8915
_IFREQ: Final = struct.Struct("16s24x")
_GROUPS: Final = 0x1 | 0x10 | 0x100  # rtnetlink(7): links, IPv4 addresses, IPv6 addresses
_V6_ADDRESSES: Final = Path("/proc/self/net/if_inet6")


@dataclass(frozen=True, slots=True, order=True)
class Interface:
    """An interface that is up and takes multicast (or is the machine's own loopback), and its addresses."""

    index: int
    v4: bytes
    v6: tuple[str, ...]


def list_interfaces() -> tuple[Interface, ...]:
    """The interfaces at this moment, by index. One that vanishes meanwhile is left out."""
    v6: dict[int, list[str]] = {}
    for line in _lines_of(_V6_ADDRESSES):
        address, number, *_ = line.split()
        v6.setdefault(int(number, 16), []).append(address)
    found = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        for index, name in socket.if_nameindex():
            request = _IFREQ.pack(name.encode())
            try:
                (flags,) = struct.unpack_from("H", fcntl.ioctl(probe, _SIOCGIFFLAGS, request), 16)
            except OSError:
                continue
            if not flags & _UP or not flags & (_MULTICAST | _LOOPBACK):
                continue
            try:
                v4 = fcntl.ioctl(probe, _SIOCGIFADDR, request)[20:24]
            except OSError:
                v4 = b""
            found.append(Interface(index, v4, tuple(sorted(v6.get(index, ())))))
    return tuple(sorted(found))


def _lines_of(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="ascii").splitlines()
    except OSError:  # IPv6 is off
        return []


class InterfaceWatch:
    """Says when the interfaces are others than they were."""

    def __init__(self) -> None:
        self.interfaces = list_interfaces()
        self._events = _open_events()

    async def wait_changed(self) -> None:
        """Return once `interfaces` has changed, which it does only here."""
        while True:
            with trio.move_on_after(POLL_S):
                await self._wait_for_event()
            now = list_interfaces()
            if now != self.interfaces:
                self.interfaces = now
                return

    def close(self) -> None:
        """Listen no longer."""
        if self._events is not None:
            self._events.close()

    async def _wait_for_event(self) -> None:
        if self._events is None:
            await trio.sleep_forever()
        else:
            await self._receive(self._events)
            with trio.move_on_after(SETTLE_S):
                while True:
                    await self._receive(self._events)

    async def _receive(self, events: trio.socket.SocketType) -> None:
        try:
            await events.recv(65_536)
        except OSError:  # more happened than the system kept (ENOBUFS): something did
            await trio.lowlevel.checkpoint()


def _open_events() -> trio.socket.SocketType | None:
    try:
        events = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE)
    except OSError:  # forbidden to this process: look from time to time
        return None
    try:
        events.bind((0, _GROUPS))
        return trio.socket.from_stdlib_socket(events)
    except OSError:
        events.close()
        return None
