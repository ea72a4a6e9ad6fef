"""Devices on a LAN that really joined and then do as they like. Owns what each of them says and what it gets by it.

They have the keys of a device out of its home, and use the project's own links; never looks after honest devices.
"""

import sqlite3
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

import trio

from crypto.identity import DeviceKeys, SigningKey
from crypto.keyring import WorkspaceKeyring
from peer.home import Home
from peer.lan.discovery import Discovery
from peer.lan.link import Answer, Link
from peer.lan.meeting import Meeting, MeetingOwner
from peer.lan.members import Members, Membership
from peer.lan.sockets import SystemLan
from peer.link.network import TrioNetwork
from peer.machine import SystemClock, SystemEntropy
from protocol import limits, model
from protocol.codec import decode
from protocol.ids import ChangeId, ChunkId, DeviceId, LogHash, WorkspaceId
from protocol.lan import GoneReason, LanHave, LanHead, LanHeads, LanHello, LanNeed, LanPing, LanRequest, all_bits
from protocol.lan_frames import chunk_head, message_frame
from protocol.lan_session import Arrived, Event, NotComing
from simulations.noise import noise
from tests.common.fleet import Peer

_DRIP_S: Final = 0.3
_ASKED_FOR: Final = 50


@dataclass(frozen=True)
class Keys:
    """What a device needs to be itself on the LAN: its own keys, its workspaces', and what it knows of the others."""

    device: DeviceId
    tls: SigningKey
    memberships: Sequence[Membership]
    others: Mapping[DeviceId, bytes]
    heads: Mapping[WorkspaceId, LanHead]


class Wanted(NamedTuple):
    """A chunk that somebody would like to have."""

    version: ChangeId
    chunk: ChunkId
    length: int


def keys_of(peer: Peer) -> Keys:
    """A device's, out of its home."""
    identity = Home(peer.home).read_identity()
    memberships, others, heads = [], dict[DeviceId, bytes](), dict[WorkspaceId, LanHead]()
    with closing(sqlite3.connect(f"file:{Home(peer.home).database}?mode=ro", uri=True)) as store:
        rows = store.execute("SELECT w, id, keyring, seq, log_hash FROM workspaces WHERE folder IS NOT NULL").fetchall()
        for w, workspace, packed, seq, log_hash in rows:
            its = {
                DeviceId(device): decode(model.DeviceKeys, keys, 4096).tls
                for device, keys in store.execute("SELECT device, keys FROM devices WHERE w = ? AND active", (w,))
            }
            ring = WorkspaceKeyring.unpack(packed)
            epochs = [ring.epoch(number) for number in sorted(ring.epochs, reverse=True)[:2]]
            beacons = [epoch.beacon for epoch in epochs if epoch is not None]
            memberships.append(Membership(WorkspaceId(workspace), beacons, frozenset(its)))
            heads[WorkspaceId(workspace)] = LanHead(WorkspaceId(workspace), seq, LogHash(log_hash))
            others |= its
    tls = DeviceKeys.from_seed(identity.device_seed).tls
    return Keys(identity.device, tls, memberships, others, heads)


def chunks_of(peer: Peer, workspace: WorkspaceId) -> list[Wanted]:
    """The chunks of a workspace's files, as one of its members knows them."""
    with closing(sqlite3.connect(f"file:{Home(peer.home).database}?mode=ro", uri=True)) as store:
        rows = store.execute(
            "SELECT change, body FROM versions v JOIN workspaces s ON s.w = v.w WHERE s.id = ? AND body IS NOT NULL",
            (workspace,),
        ).fetchall()
    bodies = [(ChangeId(change), decode(model.Body, packed, limits.SEALED_BYTES)) for change, packed in rows]
    return [
        Wanted(change, ChunkId(ref.chunk), ref.length)
        for change, body in bodies
        if body.manifest is not None
        for ref in body.manifest.chunks
    ]


def port_of(peer: Peer) -> int:
    """Where a device takes links: the one TCP port that it listens at, as anybody finds out who tries them all."""
    for line in Path(f"/proc/{peer.program.pid}/net/tcp6").read_text().splitlines()[1:]:
        fields = line.split()
        if fields[3] == "0A":
            return int(fields[1].rpartition(":")[2], 16)
    raise AssertionError(f"{peer.name} does not listen")


class Insider:
    """A device's keys at work. What is said on its links is the owner's."""

    def __init__(self, keys: Keys, owner: MeetingOwner) -> None:
        self._keys = keys
        self._owner = owner

    async def run(self) -> None:
        keys, lan, clock, entropy = self._keys, SystemLan(), SystemClock(), SystemEntropy()
        members = Members(keys.device)
        async with lan.open_listener() as listener, trio.open_nursery() as nursery:
            discovery = Discovery(lan, clock, entropy, members, listener.port, lambda device: meeting.found(device))
            meeting = Meeting(
                keys.tls,
                keys.device,
                TrioNetwork(),
                clock,
                entropy,
                members,
                discovery.places,
                keys.heads.__getitem__,
                self._owner,
            )
            meeting.replace(keys.memberships, {one: key for one, key in keys.others.items() if one != keys.device})
            nursery.start_soon(discovery.run)
            nursery.start_soon(meeting.run, listener)


class Asker:
    """Asks everybody for what it may not have, in the name of every workspace that it knows of."""

    def __init__(self, workspaces: Sequence[WorkspaceId], wanted: Sequence[Wanted]) -> None:
        self._workspaces = workspaces
        self._wanted = wanted[:_ASKED_FOR]
        self.asked = 0
        self.heard: list[Event] = []
        self.ended: Counter[str] = Counter()

    def came(self, link: Link) -> None:
        for workspace in self._workspaces:
            for one in self._wanted:
                if link.session.may_request(one.length):
                    link.session.request(workspace, one.version, one.chunk, one.length)
                    self.asked += 1
            for version in list(dict.fromkeys(one.version for one in self._wanted))[:20]:
                chunks = sum(one.version == version for one in self._wanted)
                link.session.need(LanNeed(workspace, version, chunks, all_bits(chunks)))
        link.wake()

    def went(self, link: Link) -> None:
        self.ended[link.ending] += 1

    def take(self, link: Link, event: Event) -> None:
        self.heard.append(event)

    async def answer(self, link: Link, wanted: Sequence[LanRequest]) -> Sequence[Answer]:
        await trio.lowlevel.checkpoint()
        return [GoneReason.GONE] * len(wanted)

    @property
    def got(self) -> list[Event]:
        """What it should not have been told."""
        return [each for each in self.heard if isinstance(each, Arrived | LanHave)]

    @property
    def answered(self) -> int:
        """How many of its requests were answered."""
        return sum(isinstance(each, NotComing | Arrived) for each in self.heard)

    @property
    def named(self) -> set[WorkspaceId]:
        """The workspaces that it was told of."""
        return {head.workspace for each in self.heard if isinstance(each, LanHello | LanHeads) for head in each.heads}


WAYS: Final = {
    "slow": "a byte now and then, and no end",
    "half": "half of one, then gone",
    "short": "one that is a byte shorter",
    "endless": "one after the other, for one that was asked for",
    "chatter": "messages without an end instead of any",
    "wrong": "other bytes",
}
"""How a bad source answers."""


class BadSource:
    """Says that it has everything, and delivers it in one of those ways."""

    def __init__(self, heads: Sequence[LanHead]) -> None:
        self.way = "slow"
        self._talk = b"".join(message_frame(each) for each in (LanHeads(tuple(heads) * 100), LanPing(1)))
        self.asked: Counter[str] = Counter()
        self.sent: Counter[str] = Counter()
        self.dropped: Counter[str] = Counter()
        self.links: set[Link] = set()

    def came(self, link: Link) -> None:
        self.links.add(link)

    def went(self, link: Link) -> None:
        self.links.discard(link)
        self.dropped[self.way] += "goodbye: malformed" in link.ending or "broke" in link.ending

    @property
    def linked(self) -> set[DeviceId]:
        """Who has taken it in."""
        return {link.device for link in list(self.links) if link.greeted}

    def take(self, link: Link, event: Event) -> None:
        if isinstance(event, LanNeed):
            link.session.say(LanHave(event.workspace, event.version, event.chunks, all_bits(event.chunks)))
            link.wake()

    async def answer(self, link: Link, wanted: Sequence[LanRequest]) -> Sequence[Answer]:
        way = self.way
        self.asked[way] += len(wanted)
        if way == "wrong":
            self.sent[way] += sum(each.length for each in wanted)
            await trio.lowlevel.checkpoint()
            return [noise(each.length) for each in wanted]
        with suppress(trio.BrokenResourceError, trio.ClosedResourceError):
            await self._misbehave(link, wanted[0], way)
        await trio.sleep_forever()
        raise AssertionError

    async def _misbehave(self, link: Link, first: LanRequest, way: str) -> None:
        data = noise(first.length)
        whole = chunk_head(first.number, len(data)) + data
        match way:
            case "slow":
                await self._send(link, whole[:100])
                for at in range(100, len(whole)):
                    await self._send(link, whole[at : at + 1])
                    await trio.sleep(_DRIP_S)
            case "half":
                await self._send(link, whole[: len(whole) // 2])
                await link._stream.aclose()
            case "short":
                await self._send(link, chunk_head(first.number, len(data) - 1) + data[1:])
            case "endless":
                while True:
                    await self._send(link, whole)
            case _:
                while self.way == way:
                    await self._send(link, self._talk)

    async def _send(self, link: Link, data: bytes) -> None:
        await link._stream.send_all(data)
        self.sent[self.way] += len(data)
