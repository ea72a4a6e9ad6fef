"""The local network of a site, for one program's life. Owns datagrams to everybody nearby, and where devices listen.

A datagram takes the site's LAN, and is lost as often as a piece of a connection is; a host that stands still hears it
later, if it has room. Connections are the network's own.
"""

import socket
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import trio

from peer.lan.ports import Accepted, Heard, Listener, Multicast
from simulations.machine import Life
from simulations.network.net import Net, SimListener

ROOM: Final = 64
"""So many datagrams wait to be heard; more are lost."""


class SimMulticast:
    """See `Multicast`."""

    def __init__(self, net: Net, life: Life) -> None:
        self.life = life
        self._net = net
        self._heard: deque[Heard] = deque()
        self._news = trio.lowlevel.ParkingLot()
        self._moved = trio.Event()

    async def send(self, data: bytes) -> None:
        """See `Multicast`."""
        await self.life.host.gate()
        await trio.lowlevel.checkpoint()
        self.life.check()
        self._net.say_nearby(self, data)

    async def receive(self) -> Heard:
        """See `Multicast`."""
        await trio.lowlevel.checkpoint()
        while not self._heard:
            await self._news.park()
        await self.life.host.gate()
        return self._heard.popleft()

    async def wait_changed(self) -> None:
        """See `Multicast`."""
        await self._moved.wait()
        self._moved = trio.Event()

    def hear(self, data: bytes, host: str) -> None:
        """A datagram is here."""
        if len(self._heard) < ROOM:
            self._heard.append(Heard(data, host))
            self._news.unpark_all()

    def moved(self) -> None:
        """The host is somewhere else now."""
        self._moved.set()


class _Listener:
    """See `peer.lan.ports.Listener`."""

    def __init__(self, listening: SimListener, port: int) -> None:
        self._listening = listening
        self.port = port

    async def accept(self) -> Accepted:
        """See `Listener`."""
        stream = await self._listening.accept()
        return Accepted(stream, stream.other, stream.called)


class SimLan:
    """See `LocalNetwork`."""

    def __init__(self, net: Net, life: Life) -> None:
        self._net = net
        self._life = life

    @asynccontextmanager
    async def open_multicast(self) -> AsyncIterator[Multicast]:
        """See `LocalNetwork`."""
        await trio.lowlevel.checkpoint()
        multicast = SimMulticast(self._net, self._life)
        with self._net.hearing(multicast):
            yield multicast

    def addresses(self) -> tuple[bytes, ...]:
        """See `LocalNetwork`."""
        return (socket.inet_aton(self._net.address_of(self._life.host)),)

    @asynccontextmanager
    async def open_listener(self) -> AsyncIterator[Listener]:
        """See `LocalNetwork`."""
        await trio.lowlevel.checkpoint()
        port = self._net.free_port()
        with self._net.listening(self._life, port) as listening:
            yield _Listener(listening, port)
