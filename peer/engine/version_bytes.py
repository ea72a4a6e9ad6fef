"""The bytes of one version of a file, for a person who wants to see them.

Owns where each chunk is looked for: on this disk (also in what is held), at neighbours, at the coordinator. Every chunk
is compared with its id. Never writes anything.
"""

from collections.abc import AsyncGenerator, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from crypto.digest import chunk_id
from peer.engine.browse import Target, device_name, find_entry
from peer.engine.device import DeviceEngine
from peer.engine.folders import CannotDo
from peer.engine.history import entries_at
from peer.engine.workspace import WorkspaceEngine
from peer.lan.presence import LanNeighbours
from peer.store.database import Database
from peer.store.offers import OfferStore
from peer.store.versions import version_body, version_with
from peer.transfer.coordinator_blocks import CoordinatorBlocks
from peer.transfer.near import BlocksBeyond, Piece
from protocol.ids import ChangeId, ChunkId
from protocol.lan import LanRequest
from protocol.model import ChunkRef, Kind
from protocol.offered import Standing

PART_BYTES: Final = 4 * 1024 * 1024
"""So much of a version is looked for at a time."""


@dataclass(frozen=True, slots=True)
class _Wanted:
    """A version as it is to be read. `where` names it for people, `author` who made it."""

    where: str
    version: ChangeId
    refs: tuple[ChunkRef, ...]
    standing: Standing
    author: str


async def read_version(device: DeviceEngine, target: Target, version: str | None) -> AsyncGenerator[bytes, None]:
    """The bytes of a file's version (the newest that is kept, where none is named), in pieces. Raises `CannotDo`."""
    wanted = await device.machine.database_work.run(_wanted, device.machine.database, target, version)
    if wanted.standing is Standing.NOT_KEPT:
        ends = "not all of them were ever sent, and no device has them any more"
        raise CannotDo(f"the bytes of this version of {wanted.where}, by {wanted.author}, were not kept: {ends}")
    mounted = device.mounted.get(target.record.workspace)
    reading = _Reading(device, target, wanted, None if mounted is None else mounted.engine)
    for part in _parts(wanted.refs):
        found = await reading.find(part)
        for ref in part:
            yield found[ref.chunk]


class _Reading:
    """One version being read. `engine`: of its workspace, where it is at work here."""

    def __init__(self, device: DeviceEngine, target: Target, wanted: _Wanted, engine: WorkspaceEngine | None) -> None:
        self._machine = device.machine
        self._record = target.record
        self._wanted = wanted
        self._engine = engine
        distinct = {ref.chunk: ref for ref in wanted.refs}
        self._refs = list(distinct.values())
        self._at = {chunk: at for at, chunk in enumerate(distinct)}

    async def find(self, part: Sequence[ChunkRef]) -> dict[ChunkId, bytes]:
        """These chunks. Raises `CannotDo` where one is nowhere to be had."""
        found: dict[ChunkId, bytes] = {}
        looks = (self._look_here, self._ask_around, self._ask_coordinator)
        for look in looks if self._wanted.standing is not Standing.DURABLE else (looks[0], looks[2], looks[1]):
            lacking = [self._at[chunk] for chunk in dict.fromkeys(ref.chunk for ref in part) if chunk not in found]
            if lacking:
                await look(lacking, found)
        if any(ref.chunk not in found for ref in part):
            raise CannotDo(self._why_not())
        return found

    async def _look_here(self, lacking: Sequence[int], found: dict[ChunkId, bytes]) -> None:
        if self._engine is None:
            return
        workspace, version = self._record.workspace, self._wanted.version
        asked = [LanRequest(at + 1, workspace, version, self._refs[at].chunk, self._refs[at].length) for at in lacking]
        for each, answer in zip(asked, await self._engine.mover.shelf.read(asked), strict=True):
            if isinstance(answer, memoryview | bytes):
                found[each.chunk] = bytes(answer)

    async def _ask_around(self, lacking: Sequence[int], found: dict[ChunkId, bytes]) -> None:
        if self._engine is None or self._machine.lan is None:
            return
        near = LanNeighbours(self._machine.lan, self._record.workspace, self._engine.mover.shelf.lend)
        pieces = [Piece(ref.chunk, ref.length) for ref in self._refs]
        if near.is_anybody_there:
            await near.fetch(self._wanted.version, pieces, lacking, partial(self._keep, found), None)

    async def _ask_coordinator(self, lacking: Sequence[int], found: dict[ChunkId, bytes]) -> None:
        machine, record = self._machine, self._record
        source = CoordinatorBlocks(machine.client, record.workspace, machine.counters)
        blocks = BlocksBeyond(source, self._refs, record.keyring, machine.compute, machine.limiting.down)
        async for group in blocks.bring(lacking):
            await self._keep(found, [(at, data) for at, data in group if data is not None])

    async def _keep(self, found: dict[ChunkId, bytes], came: Sequence[tuple[int, bytes | memoryview]]) -> list[bool]:
        chunks = [bytes(data) for _, data in came]
        ids = await self._machine.compute.run(self._ids, chunks)
        right = [one == self._refs[at].chunk for one, (at, _) in zip(ids, came, strict=True)]
        found.update((ChunkId(one), data) for one, data, good in zip(ids, chunks, right, strict=True) if good)
        return right

    def _ids(self, chunks: Sequence[bytes]) -> list[bytes]:
        return [chunk_id(self._record.keyring.fixed, data) for data in chunks]

    def _why_not(self) -> str:
        where, author = self._wanted.where, self._wanted.author
        if self._wanted.standing is Standing.OFFERED:
            return f"this version of {where} has not been sent by {author} yet: try again later"
        if self._machine.client.status.current.state != "connected":
            return "the coordinator cannot be reached, and not all of it is here: try again when it can be"
        return f"not all blocks of {where} can be had from the coordinator as they should be: see `shoal doctor`"


def _parts(refs: Sequence[ChunkRef]) -> Iterator[list[ChunkRef]]:
    part: list[ChunkRef] = []
    size = 0
    for ref in refs:
        part.append(ref)
        size += ref.length
        if size >= PART_BYTES:
            yield part
            part, size = [], 0
    if part:
        yield part


def _wanted(database: Database, target: Target, version: str | None) -> _Wanted:
    where = f"{target.record.name}:{'/'.join(target.names)}"
    w = target.record.w
    change = _newest(database, target, where) if version is None else _named(database, target, where, version)
    body = version_body(database, w, change)
    if body is None or body.manifest is None:
        raise CannotDo(f"this version of {where} has no content")
    by = database.one(
        "SELECT d.keys FROM versions v JOIN devices d ON d.w = v.w AND d.device = v.device "
        "WHERE v.w = ? AND v.change = ?",
        (w, change),
    )
    author = "a device that is not known" if by is None else device_name(by[0])
    return _Wanted(where, change, body.manifest.chunks, OfferStore(database, w).standing(change), author)


def _newest(database: Database, target: Target, where: str) -> ChangeId:
    """The version that counts: another one than the newest, where that was given up."""
    w, entry = target.record.w, find_entry(database, target)
    row = database.one("SELECT head, kind, digest FROM remote WHERE w = ? AND entry = ?", (w, entry))
    if row is None:
        raise CannotDo(f"{where} is not a file in the journal: see `shoal ls`")
    if row[1] != Kind.FILE:
        raise CannotDo(f"{where} is not a file")
    counts = None if row[2] is None else version_with(database, w, ChangeId(row[0]), row[2])
    return ChangeId(row[0]) if counts is None else counts[0]


def _named(database: Database, target: Target, where: str, version: str) -> ChangeId:
    """The version whose id begins so, of what is, or was, there."""
    w, named = target.record.w, version.lower()
    for entry in entries_at(database, target):
        found = database.all("SELECT change FROM versions WHERE w = ? AND entry = ?", (w, entry))
        matching = [ChangeId(change) for (change,) in found if change.hex().startswith(named)]
        if len(matching) > 1:
            raise CannotDo(f"{where} has {len(matching)} versions that begin with {version}: give more of the id")
        if matching:
            return matching[0]
    raise CannotDo(f"{where} has no version {version}: see `shoal history {where}`")
