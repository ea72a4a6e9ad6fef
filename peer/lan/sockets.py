"""The real local network. Implements `LocalNetwork` with sockets on Linux; never looks into what it carries.

Multicast stays on the link: IPv4 with a time to live of 1, IPv6 in a link-local group. Several homes of one machine
hear each other: the port is shared, and what is sent comes back.
"""

import contextlib
import errno
import socket
import struct
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import trio

from peer.lan.interfaces import Interface, InterfaceWatch, list_interfaces
from peer.lan.ports import Accepted, Heard, Listener, Multicast
from protocol.beacon import BEACON_BYTES, GROUP_V4, GROUP_V6, PORT

BATCH: Final = 32
BATCH_S: Final = 0.05
"""In a flood so many datagrams are read in so long a time, by each of the two sockets."""
_BUFFER_BYTES: Final = 64 * 1024
_BACKLOG: Final = 32
_IP_MULTICAST_ALL, _IPV6_MULTICAST_ALL = 49, 29  # linux/in.h, linux/in6.h: hear the groups joined here and no others
_MREQN: Final = struct.Struct("4s4si")  # ip(7)
_MREQ6: Final = struct.Struct("16sI")  # ipv6(7)
_V4: Final = socket.inet_aton(GROUP_V4)
_V6: Final = socket.inet_pton(socket.AF_INET6, GROUP_V6)


class SystemLan:
    """The networks by the operating system. `port` is where beacons go; tests take others."""

    def __init__(self, port: int = PORT) -> None:
        self._port = port

    def addresses(self) -> tuple[bytes, ...]:
        """See `LocalNetwork`."""
        interfaces = list_interfaces()
        v4 = [each.v4 for each in interfaces if each.v4]
        return (*v4, *(bytes.fromhex(address) for each in interfaces for address in each.v6))

    @asynccontextmanager
    async def open_multicast(self) -> AsyncIterator[Multicast]:
        """See `LocalNetwork`. One of IPv4 and IPv6 is enough."""
        watch = InterfaceWatch()
        opened: list[_Socket] = []
        try:
            problem: OSError | None = None
            for kind in (_SocketV4, _SocketV6):
                try:
                    opened.append(kind(self._port))
                except OSError as error:
                    problem = error
            if not opened:
                raise problem or OSError(errno.EADDRNOTAVAIL, "no multicast")
            async with trio.open_nursery() as nursery:
                # No buffer: what nobody takes waits in the socket's own.
                to_heard, heard = trio.open_memory_channel[Heard](0)
                multicast = _Multicast(watch, opened, heard)
                for each in opened:
                    nursery.start_soon(each.read, to_heard)
                yield multicast
                nursery.cancel_scope.cancel()
        finally:
            for each in opened:
                each.socket.close()
            watch.close()

    @asynccontextmanager
    async def open_listener(self) -> AsyncIterator[Listener]:
        """See `LocalNetwork`."""
        try:
            listening = trio.socket.socket(socket.AF_INET6, socket.SOCK_STREAM)
        except OSError:  # IPv6 is off
            listening = trio.socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        with listening:
            if listening.family == socket.AF_INET6:
                listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
            await listening.bind(("::" if listening.family == socket.AF_INET6 else "0.0.0.0", 0))  # noqa: S104
            listening.listen(_BACKLOG)
            yield _Listener(listening)


class _Socket(ABC):
    """One family's socket, joined to the group on each interface."""

    def __init__(self, bound: socket.socket) -> None:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER_BYTES)
        self.socket = trio.socket.from_stdlib_socket(bound)

    @abstractmethod
    def join(self, interface: Interface) -> None:
        """Hear the group on one more interface."""

    @abstractmethod
    async def send(self, data: bytes, interface: Interface) -> None:
        """Say it to the group there."""

    async def read(self, to_heard: trio.MemorySendChannel[Heard]) -> None:
        """Hand on what comes, no faster than `BATCH` in `BATCH_S`."""
        while True:
            start_s = trio.current_time()
            for _ in range(BATCH):
                try:
                    data, address = await self.socket.recvfrom(BEACON_BYTES + 1)
                except OSError:  # an answer to something sent, of no interest
                    await trio.sleep(BATCH_S)
                    continue
                await to_heard.send(Heard(data, _host(address)))
            await trio.sleep(max(0.0, start_s + BATCH_S - trio.current_time()))


class _SocketV4(_Socket):
    def __init__(self, port: int) -> None:
        bound = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            bound.setsockopt(socket.IPPROTO_IP, _IP_MULTICAST_ALL, 0)
            bound.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, 1)
            bound.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_LOOP, 1)
            bound.bind((GROUP_V4, port))
        except OSError:
            bound.close()
            raise
        self._to = (GROUP_V4, port)
        super().__init__(bound)

    def join(self, interface: Interface) -> None:
        request = _MREQN.pack(_V4, bytes(4), interface.index)
        self.socket.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, request)

    async def send(self, data: bytes, interface: Interface) -> None:
        request = _MREQN.pack(bytes(4), bytes(4), interface.index)
        self.socket.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, request)
        await self.socket.sendto(data, self._to)


class _SocketV6(_Socket):
    def __init__(self, port: int) -> None:
        bound = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
        try:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            bound.setsockopt(socket.IPPROTO_IPV6, _IPV6_MULTICAST_ALL, 0)
            bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 1)
            bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_LOOP, 1)
            bound.bind(("::", port))
        except OSError:
            bound.close()
            raise
        self._port = port
        super().__init__(bound)

    def join(self, interface: Interface) -> None:
        request = _MREQ6.pack(_V6, interface.index)
        self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, request)

    async def send(self, data: bytes, interface: Interface) -> None:
        self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, interface.index)
        await self.socket.sendto(data, (GROUP_V6, self._port, 0, interface.index))


class _Multicast:
    def __init__(self, watch: InterfaceWatch, sockets: list[_Socket], heard: trio.MemoryReceiveChannel[Heard]) -> None:
        self._watch = watch
        self._sockets = sockets
        self._heard = heard
        self._join_all()

    async def send(self, data: bytes) -> None:
        """See `Multicast`."""
        for each in self._sockets:
            for interface in self._watch.interfaces:
                with contextlib.suppress(OSError):  # no address of this family there, or no carrier
                    await each.send(data, interface)

    async def receive(self) -> Heard:
        """See `Multicast`."""
        return await self._heard.receive()

    async def wait_changed(self) -> None:
        """See `Multicast`."""
        await self._watch.wait_changed()
        self._join_all()

    def _join_all(self) -> None:
        for each in self._sockets:
            for interface in self._watch.interfaces:
                with contextlib.suppress(OSError):  # joined already, or not possible there
                    each.join(interface)


class _Listener:
    def __init__(self, listening: trio.socket.SocketType) -> None:
        self._listening = listening
        self.port: int = listening.getsockname()[1]

    async def accept(self) -> Accepted:
        """See `Listener`."""
        while True:
            try:
                accepted, address = await self._listening.accept()
                called = accepted.getsockname()
            except OSError as error:
                if error.errno in (errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS):
                    await trio.sleep(BATCH_S)
                continue
            return Accepted(trio.SocketStream(accepted), _host(address), _host(called))


def _host(address: tuple[str, int] | tuple[str, int, int, int]) -> str:
    """A numeric address: IPv4 as such, and IPv6 within a link with its interface."""
    host = address[0].partition("%")[0]
    if host == "0.0.0.0":  # noqa: S104 - heard, where this machine has no address to say it from: it is itself
        return "127.0.0.1"
    if host.startswith("::ffff:") and "." in host:
        return host.removeprefix("::ffff:")
    zone = address[3] if len(address) == 4 else 0
    return f"{host}%{zone}" if zone else host
