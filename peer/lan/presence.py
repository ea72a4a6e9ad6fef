"""This device on the LAN: found, linked and exchanging with others. Owns putting the parts together, and that whatever
goes wrong with them is tried again and touches nothing else.

Who may be met and what may be given away is said from outside; nothing heard is believed.
"""

import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Final, Literal

import trio

from crypto.identity import SigningKey
from peer.lan.answering import Stock
from peer.lan.discovery import Discovery
from peer.lan.exchange import Exchange
from peer.lan.hints import Ask, Hints
from peer.lan.meeting import Meeting
from peer.lan.members import Members, Membership
from peer.lan.ports import LocalNetwork
from peer.lan.sightings import Place
from peer.lan.traffic import Moved, Traffic
from peer.ports import Clock, Entropy, Network
from peer.transfer.counters import TransferCounters
from peer.transfer.near import Beyond, Keep, Lending, Piece, Scattered
from protocol.ids import ChangeId, DeviceId, WorkspaceId
from protocol.lan import LanHead

AGAIN_S: Final = 30.0
"""So long after the LAN could not be used it is tried again."""
PATIENCE_S: Final = 3.0
"""So long after the last chunk came nobody is expected to deliver more."""

State = Literal["linked", "seen", "away", "other_history"]

_log = logging.getLogger("shoal.lan")


@dataclass(frozen=True, slots=True)
class PeerSeen:
    """Another device, as far as it was noticed. `address` is empty where it is not known."""

    device: DeviceId
    address: str
    state: State
    received: int
    sent: int


class Presence:
    """`run` it once; `replace` says whom to meet. Before, and where the LAN cannot be used, nobody is there."""

    def __init__(
        self,
        lan: LocalNetwork,
        network: Network,
        clock: Clock,
        entropy: Entropy,
        own: DeviceId,
        tls: SigningKey,
        counters: TransferCounters,
        ask: Ask,
    ) -> None:
        self._lan = lan
        self._network = network
        self._clock = clock
        self._entropy = entropy
        self._own = own
        self._tls = tls
        self._traffic = Traffic(counters)
        self._ask = ask
        self._members = Members(own)
        self._memberships: Sequence[Membership] = ()
        self._keys: Mapping[DeviceId, bytes] = {}
        self._exchange: Exchange | None = None
        self._meeting: Meeting | None = None
        self._discovery: Discovery | None = None
        self._hints: Hints | None = None

    async def run(self, stock: Stock, head: Callable[[WorkspaceId], LanHead]) -> None:
        """Be there until cancelled. Raises nothing: a bug is logged, and it begins anew."""
        while True:
            try:
                await self._run(stock, head)
            except* OSError as failed:
                _log.info("the LAN cannot be used: %s", failed.exceptions[0])
            except* Exception:  # noqa: BLE001 - whatever it is, syncing goes on without
                _log.exception("the LAN failed by a bug")
            finally:
                self._exchange = self._meeting = self._discovery = self._hints = None
            await self._clock.sleep(AGAIN_S)

    async def _run(self, stock: Stock, head: Callable[[WorkspaceId], LanHead]) -> None:
        async with self._lan.open_listener() as listener, trio.open_nursery() as nursery:
            exchange = self._exchange = Exchange(self._own, self._clock, stock, self._traffic)
            discovery = self._discovery = Discovery(
                self._lan, self._clock, self._entropy, self._members, listener.port, self._found
            )
            hints = self._hints = Hints(
                self._lan, self._clock, self._entropy, self._members, listener.port, self._ask, self._found
            )
            self._meeting = Meeting(
                self._tls,
                self._own,
                self._network,
                self._clock,
                self._entropy,
                self._members,
                self._places,
                head,
                exchange,
            )
            self._meeting.replace(self._memberships, self._keys)
            nursery.start_soon(exchange.run)
            nursery.start_soon(self._meeting.run, listener)
            nursery.start_soon(discovery.run)
            nursery.start_soon(hints.run)

    def _places(self, device: DeviceId) -> Sequence[Place]:
        """Where to try a device: where it was heard, then where it is said to be."""
        heard = () if self._discovery is None else self._discovery.places(device)
        told = () if self._hints is None else self._hints.places(device)
        return tuple(dict.fromkeys((*heard, *told)))

    def _found(self, device: DeviceId) -> None:
        if self._meeting is not None:
            self._meeting.found(device)

    def replace(self, memberships: Sequence[Membership], keys: Mapping[DeviceId, bytes]) -> None:
        """These are the workspaces to meet others about from now on, and the TLS keys of their devices.

        A link with a device that shares nothing any more ends at once.
        """
        shown = [(each.workspace, each.keys) for each in self._memberships]
        self._memberships, self._keys = memberships, keys
        if self._meeting is not None:
            self._meeting.replace(memberships, keys)
        else:
            self._members.replace(memberships)
        if self._discovery is not None:
            self._discovery.members_changed(tags=shown != [(each.workspace, each.keys) for each in memberships])
            for device in (*self._discovery.devices(), *(() if self._hints is None else self._hints.devices())):
                self._found(device)
        self.ask_soon()

    def ask_soon(self) -> None:
        """Have the coordinator say who is near: it is there again, or may have another answer."""
        if self._hints is not None:
            self._hints.ask_soon()

    def unshare(self, device: DeviceId, workspace: WorkspaceId) -> None:
        """Exchange nothing more of a workspace on the link that there is with a device."""
        link = None if self._meeting is None else self._meeting.links.get(device)
        if link is not None:
            link.session.unshare(workspace)
            link.wake()

    def tell_heads(self) -> None:
        """Journals went on: tell whoever shares them."""
        if self._meeting is not None:
            self._meeting.tell_heads()

    def tell_kept(self, workspace: WorkspaceId) -> None:
        """There are other commits that wait for the coordinator: tell whoever shares their workspace."""
        if self._exchange is not None:
            self._exchange.tell_kept(workspace)

    def peers(self) -> list[PeerSeen]:
        """Every device that there is anything to say of, by its id."""
        links = {} if self._meeting is None else self._meeting.links
        seen = () if self._discovery is None else self._discovery.devices()
        moved = self._traffic.devices
        found = []
        for device in sorted({*links, *seen, *moved}):
            its, address = moved.get(device, Moved()), ""
            state: State = "away"
            if device in links and links[device].greeted:
                state, address = "linked", links[device].address
            elif self._discovery is not None and (places := self._discovery.places(device)):
                state, address = "seen", places[0].host
            found.append(PeerSeen(device, address, state, its.received, its.sent))
        return found

    def is_anybody_there(self, workspace: WorkspaceId) -> bool:
        """Whether there is a link on which a workspace is shared."""
        links = {} if self._meeting is None else self._meeting.links
        return any(link.greeted and workspace in link.session.shared for link in links.values())

    async def fetch(
        self,
        workspace: WorkspaceId,
        version: ChangeId,
        pieces: Sequence[Piece],
        wanted: Collection[int],
        keep: Keep,
        beyond: Beyond | None,
    ) -> None:
        """See `Neighbours`."""
        if self._exchange is not None:
            await self._exchange.fetch(workspace, version, pieces, wanted, keep, patience_s=PATIENCE_S, beyond=beyond)

    async def fetch_scattered(
        self, workspace: WorkspaceId, pieces: Scattered, keep: Keep, beyond: Beyond | None
    ) -> None:
        """See `Neighbours`."""
        if self._exchange is not None:
            await self._exchange.fetch_scattered(workspace, pieces, keep, patience_s=PATIENCE_S, beyond=beyond)


@dataclass(frozen=True)
class LanNeighbours:
    """The `Neighbours` of one workspace. `lend_out` has chunks served while they are lent."""

    presence: Presence
    workspace: WorkspaceId
    lend_out: Callable[[Lending], AbstractContextManager[None]]

    @property
    def is_anybody_there(self) -> bool:
        """See `Neighbours`."""
        return self.presence.is_anybody_there(self.workspace)

    async def fetch(
        self, version: ChangeId, pieces: Sequence[Piece], wanted: Collection[int], keep: Keep, beyond: Beyond | None
    ) -> None:
        """See `Neighbours`."""
        await self.presence.fetch(self.workspace, version, pieces, wanted, keep, beyond)

    async def fetch_scattered(self, pieces: Scattered, keep: Keep, beyond: Beyond | None) -> None:
        """See `Neighbours`."""
        await self.presence.fetch_scattered(self.workspace, pieces, keep, beyond)

    def lend(self, lending: Lending) -> AbstractContextManager[None]:
        """See `Neighbours`."""
        return self.lend_out(lending)
