"""A local network in memory, for virtual time: hosts that connect to each other, cables that are cut."""

import math
from collections.abc import Callable, Sequence

import trio
from trio.abc import Stream

from crypto.identity import DeviceKeys
from peer.lan.link import Answer, Link
from peer.lan.meeting import Meeting
from peer.lan.members import Members, Membership
from peer.lan.ports import Accepted
from peer.lan.sightings import Place
from protocol.ids import DeviceId, LogHash, WorkspaceId
from protocol.lan import GoneReason, LanHead, LanRequest
from protocol.lan_session import Event
from tests.common.link_server import SeededEntropy, TrioClock

PORT = 4_000


class Uplink:
    """What one host can send to all others together, in bytes a second of virtual time."""

    def __init__(self, rate_s: float) -> None:
        self.rate_s = rate_s
        self.sent_bytes = 0
        self._turn = trio.Lock()

    async def carry(self, count: int) -> None:
        async with self._turn:
            await trio.sleep(count / self.rate_s)
            self.sent_bytes += count


class Cable:
    """What two ends of a connection have in common: whether anything passes."""

    def __init__(self) -> None:
        self.is_cut = False


class End(Stream):
    """One end, which holds as much as a socket would, and waits when it is full."""

    def __init__(self, cable: Cable, room_bytes: int = 256 * 1024) -> None:
        self.cable = cable
        self.other: End
        self.uplink: Uplink | None = None
        self.room_bytes = room_bytes
        self._held = bytearray()
        self._changed = trio.Event()
        self._ended = False
        self._closed = False

    def _change(self) -> None:
        self._changed.set()
        self._changed = trio.Event()

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        await trio.lowlevel.checkpoint()
        view = memoryview(data)
        while len(view):
            other = self.other
            if self._closed:
                raise trio.ClosedResourceError
            if other._closed:
                raise trio.BrokenResourceError
            room = self.room_bytes - len(other._held)
            if self.cable.is_cut or room <= 0:
                await other._changed.wait()
                continue
            if self.uplink is not None:
                await self.uplink.carry(min(room, len(view), 16_384))
                room = min(16_384, self.room_bytes - len(other._held))
            other._held += view[:room]
            view = view[room:]
            other._change()

    async def wait_send_all_might_not_block(self) -> None:
        await trio.lowlevel.checkpoint()

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        await trio.lowlevel.checkpoint()
        while not self._held or self.cable.is_cut:
            if self._closed:
                raise trio.ClosedResourceError
            if self._ended and not self.cable.is_cut:
                return b""
            await self._changed.wait()
        data = bytes(self._held[: max_bytes or 65_536])
        del self._held[: len(data)]
        self._change()
        return data

    async def aclose(self) -> None:
        self._closed = True
        self._change()
        self.other._ended = True
        self.other._change()
        await trio.lowlevel.checkpoint()


def connection(cable: Cable) -> tuple[End, End]:
    near, far = End(cable), End(cable)
    near.other, far.other = far, near
    return near, far


class MemoryLan:
    """Hosts by name."""

    def __init__(self) -> None:
        self.listeners: dict[str, trio.MemorySendChannel[Accepted]] = {}
        self.cables: list[Cable] = []
        self.uplinks: dict[str, Uplink] = {}
        self.dials = 0

    def listen(self, host: str) -> "MemoryListener":
        send, receive = trio.open_memory_channel[Accepted](math.inf)
        self.listeners[host] = send
        return MemoryListener(receive)

    def network(self, host: str) -> "MemoryNetwork":
        return MemoryNetwork(self, host)

    def cut(self) -> None:
        """Nothing more passes on any connection made so far."""
        for cable in self.cables:
            cable.is_cut = True


class MemoryListener:
    port = PORT

    def __init__(self, accepted: trio.MemoryReceiveChannel[Accepted]) -> None:
        self._accepted = accepted

    async def accept(self) -> Accepted:
        return await self._accepted.receive()


class MemoryNetwork:
    """The `Network` port of one host."""

    def __init__(self, lan: MemoryLan, host: str) -> None:
        self._lan = lan
        self._host = host

    async def connect(self, host: str, port: int) -> Stream:
        await trio.sleep(0.001)
        self._lan.dials += 1
        listener = self._lan.listeners.get(host)
        if listener is None or port != PORT:
            raise ConnectionRefusedError(host)
        cable = Cable()
        self._lan.cables.append(cable)
        near, far = connection(cable)
        near.uplink, far.uplink = self._lan.uplinks.get(self._host), self._lan.uplinks.get(host)
        listener.send_nowait(Accepted(far, self._host, host))
        return near


class Device:
    """A device with its links, which remembers what it hears and answers from a dictionary."""

    def __init__(self, lan: MemoryLan, seed: int) -> None:
        self.keys = DeviceKeys.from_seed(bytes([seed]) * 32)
        self.id = DeviceId(self.keys.public.device_id)
        self.host = f"host{seed}"
        self.lan = lan
        self.events: list[Event] = []
        self.changed = trio.Event()
        self.ended: list[str] = []
        self.chunks: dict[bytes, bytes] = {}
        self.known: dict[DeviceId, str] = {}
        self.meeting = Meeting(
            self.keys.tls,
            self.id,
            lan.network(self.host),
            TrioClock(),
            SeededEntropy(seed),
            Members(self.id),
            lambda device: [Place(self.known[device], PORT)] if device in self.known else [],
            lambda workspace: LanHead(workspace, 1, LogHash(bytes(32))),
            self,
        )

    def share(self, *others: "Device", workspaces: tuple[bytes, ...] = (b"h" * 32,)) -> None:
        """Be a member of these workspaces together with others, or of none."""
        devices = frozenset({self.id, *(other.id for other in others)})
        memberships = [Membership(WorkspaceId(each), (each,), devices) for each in workspaces] if others else []
        self.meeting.replace(memberships, {other.id: other.keys.tls.public for other in others})

    def find(self, other: "Device", host: str | None = None) -> None:
        """Hear where another one is said to be."""
        self.known[other.id] = host or other.host
        self.meeting.found(other.id)

    async def run(self) -> None:
        await self.meeting.run(self.lan.listen(self.host))

    async def wait_until(self, holds: Callable[[], bool]) -> None:
        """Wait until something that changes with what happens here is so."""
        while not holds():
            await self.changed.wait()

    def linked(self) -> set[DeviceId]:
        """Those with whom we have spoken and still can."""
        return {device for device, link in self.meeting.links.items() if link.greeted}

    def _happened(self) -> None:
        self.changed.set()
        self.changed = trio.Event()

    def came(self, link: Link) -> None:
        self._happened()

    def went(self, link: Link) -> None:
        self.ended.append(link.ending)
        self._happened()

    def take(self, link: Link, event: Event) -> None:
        self.events.append(event)
        self._happened()

    async def answer(self, link: Link, wanted: Sequence[LanRequest]) -> Sequence[Answer]:
        await trio.lowlevel.checkpoint()
        return [self.chunks.get(each.chunk, GoneReason.GONE) for each in wanted]
