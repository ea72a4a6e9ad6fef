"""Which hosts there are on the network and how they reach each other. Owns sites, listeners and connections.

A host is at a site; a site has a LAN and an uplink. Between hosts of one site bytes take the LAN, otherwise both
uplinks. All names resolve, everywhere, to the host of that name.
"""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import copy_context
from dataclasses import dataclass, field, replace
from random import Random  # noqa: TID251 - drawn from the world's seed
from typing import Final, Protocol

import trio
from trio.abc import Listener, Stream

from simulations.happenings import Lined, Placed, Stood
from simulations.machine import Host, Life
from simulations.network.line import Line, Quality
from simulations.network.stream import Pipe, SimStream
from simulations.scheduling import belong_to
from simulations.trace import Trace

FIRST_PORT: Final = 41_000
"""Ports that programs are given where they ask for any begin here."""
CONNECT_S: Final = 60.0
"""How long a connection is tried for where nothing comes back."""


@dataclass(eq=False)
class Site:
    """A place on the network. Its lines are pairs: outwards and inwards, and the LAN for both."""

    name: str
    up: Line
    down: Line
    lan: Line
    is_behind_nat: bool = False
    """Whether its hosts reach others, and nobody at another site reaches them."""
    carries_multicast: bool = True
    """Whether its LAN brings a datagram to everybody, as many a wireless one does not."""
    address: str = ""
    """Where its hosts' connections come from, for whoever is elsewhere."""

    def cut(self, *, up: bool = True, down: bool = True) -> None:
        """The uplink is dead, in one direction or both."""
        if up:
            self.up.cut()
        if down:
            self.down.cut()

    def mend(self) -> None:
        """It is as before."""
        self.up.mend()
        self.down.mend()


@dataclass(eq=False)
class _Station:
    """A host on the network."""

    host: Host
    site: Site
    address: str
    """Its own, within a site; at another one it may be somebody else's or nobody's."""
    listeners: dict[int, "SimListener"] = field(default_factory=dict)
    streams: dict[Life, list[SimStream]] = field(default_factory=dict)
    lost: list[SimStream] = field(default_factory=list)
    hearers: list["Hearer"] = field(default_factory=list)
    is_up: bool = True
    refuses: bool = False


class Hearer(Protocol):
    """A program that hears what is said to everybody nearby."""

    life: Life

    def hear(self, data: bytes, host: str) -> None:
        """A datagram is here, from that host."""
        ...

    def moved(self) -> None:
        """The host is at another site now."""
        ...


class SimListener(Listener[SimStream]):
    """Where a program waits for connections."""

    def __init__(self, life: Life) -> None:
        self.life = life
        self._offer, self._offered = trio.open_memory_channel[SimStream](1_024)  # a backlog, as of a real listener

    def offer(self, stream: SimStream) -> None:
        """Somebody has connected. Raises `trio.WouldBlock` or `trio.BrokenResourceError`."""
        self._offer.send_nowait(stream)

    async def accept(self) -> SimStream:
        """See trio."""
        return await self._offered.receive()

    async def aclose(self) -> None:
        """See trio."""
        self._offered.close()
        await trio.lowlevel.checkpoint()


class Net:
    """The network. `run` while it is used."""

    def __init__(self, draw: Random, trace: Trace) -> None:
        self._draw = draw
        self._trace = trace
        self._nursery: trio.Nursery | None = None
        self._stations: dict[str, _Station] = {}
        self._count = 0
        self._port = FIRST_PORT
        self.sites: dict[str, Site] = {}

    async def run(self, *, task_status: trio.TaskStatus[None]) -> None:
        """Carry what is sent, until cancelled."""
        async with trio.open_nursery() as self._nursery:
            task_status.started()
            await trio.sleep_forever()

    # --- what there is ------------------------------------------------------------------------------------

    def add_site(
        self,
        name: str,
        uplink: Quality,
        lan: Quality,
        down: Quality | None = None,
        *,
        is_behind_nat: bool = False,
        carries_multicast: bool = True,
    ) -> Site:
        """A new site; `down` where its uplink is not the same in both directions."""
        site = Site(
            name,
            Line(f"{name}:up", uplink, self._draw),
            Line(f"{name}:down", down or replace(uplink), self._draw),
            Line(f"{name}:lan", lan, self._draw),
            is_behind_nat,
            carries_multicast,
            f"9.0.0.{len(self.sites) + 1}",
        )
        self.sites[name] = site
        for line in (site.up, site.down):
            line.told = lambda: self._trace.happened(Lined(name, site.up.is_cut, site.down.is_cut))
        return site

    def add_host(self, host: Host, site: Site) -> None:
        """A host, with its network cable in."""
        number = len(self._stations) + 1
        self._stations[host.name] = _Station(host, site, f"10.0.{number >> 8}.{number & 0xFF}")
        host.told = lambda still: self._trace.happened(Stood(host.name, still))
        self._trace.happened(Placed(host.name, site.name))

    def move_host(self, host: Host, site: Site) -> None:
        """It is somewhere else from now on; connections from before break."""
        self._stations[host.name].site = site
        self._trace.happened(Placed(host.name, site.name))
        self.reset(host)
        for hearer in self._stations[host.name].hearers:
            hearer.moved()

    def reset(self, host: Host) -> None:
        """All of a host's connections break."""
        for streams in self._stations[host.name].streams.values():
            for stream in streams:
                stream.reset()

    def carried_bytes(self) -> dict[str, int]:
        """Bytes by line."""
        lines = [line for site in self.sites.values() for line in (site.up, site.down, site.lan)]
        return {line.name: line.carried_bytes for line in lines if line.carried_bytes}

    def site_of(self, host: Host) -> Site:
        """Where a host is."""
        return self._stations[host.name].site

    def address_of(self, host: Host) -> str:
        """A host's own address."""
        return self._stations[host.name].address

    # --- what hosts do ------------------------------------------------------------------------------------

    @contextmanager
    def listening(self, life: Life, port: int) -> Iterator[SimListener]:
        """Accept connections to a host's port while the context lasts."""
        station = self._stations[life.host.name]
        listener = station.listeners[port] = SimListener(life)
        try:
            yield listener
        finally:
            if station.listeners.get(port) is listener:
                del station.listeners[port]

    def free_port(self) -> int:
        """A port that nobody has had."""
        self._port += 1
        return self._port

    @contextmanager
    def hearing(self, hearer: Hearer) -> Iterator[None]:
        """Hear what is said to everybody nearby while the context lasts."""
        hearers = self._stations[hearer.life.host.name].hearers
        hearers.append(hearer)
        try:
            yield
        finally:
            if hearer in hearers:
                hearers.remove(hearer)

    def say_nearby(self, hearer: Hearer, data: bytes) -> None:
        """A datagram to all who hear at this site, each of whom it may miss. It comes back to nobody."""
        here = self._stations[hearer.life.host.name]
        line = here.site.lan
        self._trace.note("network", f"{here.host.name} says {len(data)} bytes to all nearby", shown=False)
        if not here.site.carries_multicast:
            return
        for station in self._stations.values():
            if station is here or station.site is not here.site or not station.is_up or line.is_cut:
                continue
            if self._draw.random() < line.quality.loss:
                continue
            at_s = line.pass_at(len(data), trio.current_time())
            for other in station.hearers:
                copy_context().run(self._bring, other, data, here.host.name, at_s)

    def _bring(self, hearer: Hearer, data: bytes, host: str, at_s: float) -> None:
        assert self._nursery is not None
        belong_to(None)

        async def bring() -> None:
            await trio.sleep_until(at_s)
            hearer.hear(data, host)

        self._nursery.start_soon(bring)

    def door(self, life: Life) -> "Door":
        """The `Network` port of a program."""
        return Door(self, life)

    def end(self, life: Life, *, silently: bool) -> None:
        """A program has ended; `silently` where its machine lost power and nobody is told."""
        station = self._stations[life.host.name]
        for stream in station.streams.pop(life, []):
            if silently:
                stream.vanish()
                station.lost.append(stream)
            else:
                stream.close()
        if silently:
            station.is_up = False
        station.listeners.clear()
        station.hearers.clear()

    def begin(self, host: Host) -> None:
        """A machine has power again."""
        station = self._stations[host.name]
        station.is_up = True
        for stream in station.lost:
            stream.reset()
        station.lost.clear()

    async def connect(self, life: Life, name: str, port: int) -> Stream:
        """See the `Network` port."""
        here = self._stations[life.host.name]
        there = self._stations.get(name) or self._at(here.site, name)
        await trio.lowlevel.checkpoint()
        if there is None:
            raise OSError(errno.EHOSTUNREACH, os.strerror(errno.EHOSTUNREACH))
        out, back = self._lines(here.site, there.site), self._lines(there.site, here.site)
        hidden = there.site.is_behind_nat and there.site is not here.site
        if not await self._round_trip(there, out, back, hidden=hidden):
            raise OSError(errno.ETIMEDOUT, os.strerror(errno.ETIMEDOUT))
        listener = there.listeners.get(port)
        if listener is None or there.refuses:
            raise OSError(errno.ECONNREFUSED, os.strerror(errno.ECONNREFUSED))
        self._count += 1
        label = f"{here.host.name}>{name}#{self._count}"
        ends = (here.host.name, there.host.name)
        forth, answer = Pipe(label, ends, out, self._trace), Pipe(f"{label} back", ends[::-1], back, self._trace)
        forth.answer, answer.answer = answer, forth
        near, far = SimStream(here.host, name, forth, answer), SimStream(there.host, here.host.name, answer, forth)
        far.seen_from = here.address if here.site is there.site else here.site.address
        far.called = name
        try:
            listener.offer(far)
        except (trio.WouldBlock, trio.BrokenResourceError):
            raise OSError(errno.ECONNREFUSED, os.strerror(errno.ECONNREFUSED)) from None
        self._carry(forth, answer)
        life.check()
        here.streams.setdefault(life, []).append(near)
        there.streams.setdefault(listener.life, []).append(far)
        return near

    def _at(self, site: Site, address: str) -> _Station | None:
        return next((each for each in self._stations.values() if each.site is site and each.address == address), None)

    def _carry(self, *pipes: Pipe) -> None:
        """Have what is sent carried by the network, which stands still for nobody."""
        assert self._nursery is not None
        for pipe in pipes:
            copy_context().run(self._carry_one, self._nursery, pipe)

    def _carry_one(self, nursery: trio.Nursery, pipe: Pipe) -> None:
        belong_to(None)
        nursery.start_soon(pipe.run)

    async def _round_trip(self, there: _Station, out: list[Line], back: list[Line], *, hidden: bool) -> bool:
        """Knock, and hear back; False where nothing comes for long, as from a host that is hidden."""
        with trio.move_on_after(CONNECT_S):
            while True:
                for line in (*out, *back):
                    await line.wait_whole()
                if there.is_up and not hidden:
                    break
                await trio.sleep(1.0)
            at_s = trio.current_time()
            for line in (*out, *back):
                at_s = line.pass_at(60, at_s)
            await trio.sleep_until(at_s)
            return True
        return False

    def _lines(self, source: Site, target: Site) -> list[Line]:
        return [source.lan] if source is target else [source.up, target.down]


class Door:
    """The `Network` port of one program's life."""

    def __init__(self, net: Net, life: Life) -> None:
        self._net = net
        self._life = life

    async def connect(self, host: str, port: int) -> Stream:
        """See the port."""
        return await self._net.connect(self._life, host, port)
