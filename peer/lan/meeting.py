"""This device's links: dialled, accepted, one a device, and ended when they may no longer be. Owns who is let in.

Nobody is believed anything: a place is only where TLS is tried, and a link is with the device whose key was proved.
Never looks at what is said on a link; that is its owner's.
"""

import ssl
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextvars import ContextVar
from typing import Final, Protocol

import trio

from crypto.identity import SigningKey
from peer.lan.link import Link, LinkOwner
from peer.lan.members import Members, Membership
from peer.lan.ports import Accepted, Listener
from peer.lan.sightings import Place
from peer.lan.trust import dial_context, listen_context, proved_key, trust_more
from peer.link.backoff import Backoff
from peer.link.tls import TlsStream, open_client_tls, open_server_tls
from peer.ports import Clock, Entropy, Network
from protocol import limits
from protocol.ids import DeviceId, WorkspaceId
from protocol.lan import ByeReason, LanHead, LanHeads, LanHello
from protocol.version import MAJOR, REVISION

LINKS: Final = 32
"""So many links at a time,"""
HANDSHAKES: Final = 16
"""so many connections that have not proved anything yet,"""
HANDSHAKES_A_HOST: Final = 4
"""and so many of them from one address."""
HANDSHAKE_S: Final = 5.0
"""How long somebody has to prove who they are, and how long one place is tried."""
DIALS: Final = 4
"""So many devices are dialled at a time."""
FIRST_S: Final = 1.5
"""Of two devices that hear of each other the one with the smaller id has so long to call the other one."""
HEARD_S: Final = 2.0
"""Who is heard again is tried again at once, but not sooner than so long after it could not be reached."""
BRIEF_S: Final = 5.0
"""A link that ended within so long has come to nothing: it is made anew less and less soon."""
_CALLED: Final = ContextVar("_CALLED", default="")
"""At which address of ours the one called that a handshake is under way with."""
_PATIENCE: Final = Backoff(first_s=0.5, cap_s=300.0)
"""Who is heard is tried every 30 s all the same; whom the coordinator alone says to be somewhere, ever more rarely."""


class MeetingOwner(LinkOwner, Protocol):
    """Whoever uses the links."""

    def came(self, link: Link) -> None:
        """A link is there; nothing has been said on it yet. It may come before the one whose place it takes went."""
        ...

    def went(self, link: Link) -> None:
        """A link that came is no more. What was asked on it does not come."""
        ...


class Meeting:
    """The links of one device. `places` says where another may be reached, `head` how far a journal is verified."""

    def __init__(
        self,
        own: SigningKey,
        own_device: DeviceId,
        network: Network,
        clock: Clock,
        entropy: Entropy,
        members: Members,
        places: Callable[[DeviceId], Sequence[Place]],
        head: Callable[[WorkspaceId], LanHead],
        owner: MeetingOwner,
    ) -> None:
        self._own = own
        self._own_device = own_device
        self._network = network
        self._clock = clock
        self._entropy = entropy
        self._members = members
        self._places = places
        self._head = head
        self._owner = owner
        self._keys: dict[DeviceId, bytes] = {}
        self._devices: dict[bytes, DeviceId] = {}
        self._listening: ssl.SSLContext | None = None
        """For the keys that there are now; made when somebody connects."""
        self._handshakes: Counter[str] = Counter()
        self._to_dial: dict[DeviceId, None] = {}
        self._sooner: dict[DeviceId, trio.Event] = {}
        self._dialling: dict[DeviceId, bool] = {}
        """Who is being tried, and whether it was heard again meanwhile."""
        self._more_to_dial = trio.Event()
        self._patience: dict[DeviceId, Backoff] = {}
        self._at_once = trio.CapacityLimiter(DIALS)
        self.links: dict[DeviceId, Link] = {}
        """Who we are linked with. Changed here alone."""

    # --- who may be linked with -------------------------------------------------------------------------

    def replace(self, memberships: Sequence[Membership], keys: Mapping[DeviceId, bytes]) -> None:
        """These are the memberships from now on, and the TLS keys of their devices.

        A link with a device that shares nothing any more ends at once; on the others no more is said of what is no
        longer shared.
        """
        self._members.replace(memberships)
        wanted = self._members.devices
        known = {device: key for device, key in keys.items() if device in wanted}
        if self._keys.items() - known.items():
            self._listening = None
        elif self._listening is not None and known != self._keys:
            trust_more(self._listening, (key for device, key in known.items() if device not in self._keys))
        self._keys = known
        self._devices = {key: device for device, key in self._keys.items()}
        self._patience = {device: each for device, each in self._patience.items() if device in self._keys}
        for link in list(self.links.values()):
            self._share(link)

    def _share(self, link: Link) -> None:
        shared = self._shared_with(link.device)
        if not shared:
            link.end("no workspace is shared any more", ByeReason.NOT_SHARED)
            return
        for workspace in link.session.shared - shared:
            link.session.unshare(workspace)
        if shared - link.session.shared:
            link.session.say(LanHeads(self._heads(shared - link.session.shared)))
        link.wake()

    def tell_heads(self) -> None:
        """Say on every link how far our journals are."""
        for link in self.links.values():
            if link.session.shared:
                link.session.say(LanHeads(self._heads(link.session.shared)))
                link.wake()

    def _shared_with(self, device: DeviceId) -> frozenset[WorkspaceId]:
        return self._members.shared_with(device) if device in self._keys else frozenset()

    def _heads(self, workspaces: Iterable[WorkspaceId]) -> tuple[LanHead, ...]:
        return tuple(self._head(workspace) for workspace in sorted(workspaces)[: limits.LAN_WORKSPACES])

    def _listen_context(self) -> ssl.SSLContext:
        if self._listening is None:
            self._listening = listen_context(self._own, self._devices, self._admits)
        return self._listening

    def _admits(self, knock: str) -> bool:
        return self._members.admits(knock, _CALLED.get(), self._now_ms())

    def _now_ms(self) -> int:
        return self._clock.wall_ns() // 1_000_000

    # --- running ----------------------------------------------------------------------------------------

    async def run(self, listener: Listener) -> None:
        """Take connections and make them, until cancelled; then all links are gone."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._accept_all, listener, nursery)
            nursery.start_soon(self._dial_all, nursery)

    def found(self, device: DeviceId) -> None:
        """A device may be reached: try to, unless there is a link or an attempt already."""
        if device in self._sooner:
            self._sooner[device].set()
        elif device in self._dialling:
            self._dialling[device] = True
        elif device in self._keys and device not in self.links:
            self._to_dial[device] = None
            self._more_to_dial.set()

    async def _accept_all(self, listener: Listener, nursery: trio.Nursery) -> None:
        while True:
            accepted = await listener.accept()
            if self._may_shake_hands(accepted.host):
                self._handshakes[accepted.host] += 1
                nursery.start_soon(self._accept, accepted)
            else:
                await trio.aclose_forcefully(accepted.stream)

    def _may_shake_hands(self, host: str) -> bool:
        """Whether there is room for somebody from this address. Strangers do not take the room of members' devices."""
        if self._handshakes[host] >= HANDSHAKES_A_HOST:
            return False
        return self._handshakes.total() < HANDSHAKES or any(
            place.host == host for device in self._keys for place in self._places(device)
        )

    async def _accept(self, accepted: Accepted) -> None:
        tls: TlsStream | None = None
        host = accepted.host
        _CALLED.set(accepted.called)
        try:
            with trio.move_on_after(HANDSHAKE_S):
                tls = await open_server_tls(accepted.stream, self._listen_context())
        except trio.BrokenResourceError:
            return
        finally:
            self._handshakes[host] -= 1
            self._handshakes += Counter()  # forget who has none
        if tls is None:
            return
        device = self._devices.get(proved_key(tls.peer_certificate) or b"")
        if device is None:
            await trio.aclose_forcefully(tls)
        else:
            await self._use(device, tls, host, dialled=False)

    async def _dial_all(self, nursery: trio.Nursery) -> None:
        while True:
            while self._to_dial:
                device = next(iter(self._to_dial))
                del self._to_dial[device]
                self._dialling[device] = False
                nursery.start_soon(self._dial, device)
            self._more_to_dial = trio.Event()
            await self._more_to_dial.wait()

    async def _dial(self, device: DeviceId) -> None:
        """Try to reach a device for as long as it is said to be somewhere, then use the link until it ends."""
        reached: tuple[TlsStream, Place] | None = None
        try:
            while device not in self.links and device in self._keys and (places := self._places(device)):
                await self._wait_for_turn(device)
                async with self._at_once:
                    reached = await self._try(device, places)
                if reached is not None:
                    break
                self._failed(device)
        finally:
            del self._dialling[device]
        if reached is not None:
            tls, place = reached
            await self._use(device, tls, place.host, dialled=True)

    async def _wait_for_turn(self, device: DeviceId) -> None:
        """Be patient with a device that could not be reached, unless it is heard again."""
        delay_s = self._patience.get(device, _PATIENCE).delay_s(self._entropy.jitter)
        if device < self._own_device and device not in self._patience:
            delay_s += FIRST_S
        await self._clock.sleep(min(delay_s, HEARD_S))
        if self._dialling[device]:
            self._dialling[device] = False
            return
        heard = self._sooner[device] = trio.Event()
        try:
            with trio.move_on_after(max(0.0, delay_s - HEARD_S)):
                await heard.wait()
        finally:
            del self._sooner[device]

    async def _try(self, device: DeviceId, places: Sequence[Place]) -> tuple[TlsStream, Place] | None:
        """A TLS connection to exactly this device at one of these places, and which."""
        for place in places:
            key = self._keys.get(device)
            knock = self._members.knock(device, place.host, self._now_ms(), self._entropy)
            if key is None or knock is None or device in self.links:
                return None
            with trio.move_on_after(HANDSHAKE_S):
                try:
                    stream = await self._network.connect(place.host, place.port)
                    tls = await open_client_tls(stream, dial_context(self._own, key), knock)
                except (OSError, trio.BrokenResourceError):
                    continue
                if proved_key(tls.peer_certificate) == key:
                    return tls, place
                await trio.aclose_forcefully(tls)
        return None

    async def _use(self, device: DeviceId, tls: TlsStream, address: str, *, dialled: bool) -> None:
        """Run a link to its end, if it is the one of the two that stays."""
        hello = LanHello(MAJOR, REVISION, (), self._heads(self._shared_with(device)))
        link = Link(device, tls, hello, self._clock, dialled=dialled, address=address)
        if not hello.heads:
            link.end("no workspace is shared", ByeReason.NOT_SHARED)
            return await link.run(self._owner)
        if not self._stays(link):
            return await link.run(self._owner)
        self.links[device] = link
        begun_s = self._clock.monotonic_s()
        self._owner.came(link)
        try:
            await link.run(self._owner)
        finally:
            if self.links.get(device) is link:
                del self.links[device]
            came_to_nothing = self._clock.monotonic_s() - begun_s < BRIEF_S or (link.dialled and not link.greeted)
            if came_to_nothing:
                self._failed(device)
            else:
                self._patience.pop(device, None)
            self._owner.went(link)
            if not (came_to_nothing and device in self._dialling):
                self.found(device)

    def _failed(self, device: DeviceId) -> None:
        self._patience[device] = self._patience.get(device, _PATIENCE).failed()

    def _stays(self, link: Link) -> bool:
        """Whether a new link stays; one that it takes the place of is ended.

        Where both sides have dialled, the connection made by the device with the smaller id stays: both see it alike.
        """
        other = self.links.get(link.device)
        if other is None:
            if len(self.links) >= LINKS:
                link.end("there are too many links")
                return False
            return True
        smaller_is_here = self._own_device < link.device
        if link.dialled != other.dialled and other.dialled == smaller_is_here:
            link.end("there is another link", ByeReason.DOUBLED)
            return False
        other.end("another link takes its place", ByeReason.DOUBLED)
        return True
