"""Chunks out of the users' own files, and those that are held, for others on the LAN. Owns the look at the file and the
check of what was read.

A request names a chunk, never a path. What is read is compared with the chunk id before it leaves: a file that was
edited, moved or removed meanwhile is simply no longer here. Never keeps a copy, and never writes.
"""

from collections.abc import Mapping, Sequence
from typing import Final

import trio

from crypto.digest import FixedKeys, chunk_id
from peer.disk.reading import StableReading, open_file
from peer.disk.root import Directories, Root
from peer.fingerprint import DiskKind, Path
from peer.lan.link import Answer
from peer.ports import Offload
from peer.transfer.sources import LocalChunks, Place
from protocol.ids import ChunkId
from protocol.lan import GoneReason, LanRequest

AT_ONCE: Final = 2
"""So many batches are read at a time, for all links and workspaces together; the others wait in the order they came,
so that everybody who asks is served in turn."""


class Turns:
    """Whose batch is read next. One for the device."""

    def __init__(self) -> None:
        self._limiter = trio.CapacityLimiter(AT_ONCE)

    async def __aenter__(self) -> None:
        await self._limiter.acquire()

    async def __aexit__(self, *_: object) -> None:
        self._limiter.release()


class ChunkServer:
    """Serves one workspace's folder. Whether the asker is a member is the link's business."""

    def __init__(self, root: Root, offload: Offload, local: LocalChunks, keys: FixedKeys, turns: Turns) -> None:
        self._root = root
        self._offload = offload
        self._local = local
        self._keys = keys
        self._turns = turns

    async def read(self, wanted: Sequence[LanRequest]) -> list[Answer]:
        """The chunks asked for, in order; `GONE` for what is not here, or not with that length.

        Each was compared with its id after it had been read. The caller keeps batches small (`link.BATCH_BYTES`).
        """
        async with self._turns:
            places = await self._local.locate([each.chunk for each in wanted])
            return await self._offload.run(self._read, wanted, places)

    def _read(self, wanted: Sequence[LanRequest], places: Mapping[ChunkId, Place]) -> list[Answer]:
        answers: list[Answer] = [GoneReason.GONE] * len(wanted)
        by_file: dict[tuple[bool, Path], list[int]] = {}
        for at, request in enumerate(wanted):
            place = places.get(request.chunk)
            if place is not None and place.length == request.length:
                by_file.setdefault((place.is_held, place.path), []).append(at)
        with self._root.open_directories() as directories:
            for numbers in by_file.values():
                for at, data in self._read_file(directories, {at: places[wanted[at].chunk] for at in numbers}, wanted):
                    answers[at] = data
        return answers

    def _read_file(
        self, directories: Directories, asked: Mapping[int, Place], wanted: Sequence[LanRequest]
    ) -> list[tuple[int, memoryview]]:
        """What is still there of the chunks that should be in one file."""
        found: list[tuple[int, memoryview]] = []
        at_first = next(iter(asked.values()))
        fs = self._root.fs
        try:
            handle = open_file(self._root, directories, at_first.path, is_held=at_first.is_held)
            try:
                status = fs.stat_handle(handle)
                if status.kind is not DiskKind.FILE:
                    return found
                reading = StableReading(fs, handle, status.fingerprint)
                for at, place in asked.items():
                    data = memoryview(bytearray(place.length))
                    whole = reading.read_into(data, place.offset) == place.length
                    if whole and chunk_id(self._keys, data) == wanted[at].chunk:
                        found.append((at, data))
            finally:
                fs.close(handle)
        except OSError:
            pass  # gone, or not readable now: what was read before that is good
        return found
