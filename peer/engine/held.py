"""What is kept in `.shoal/held` until it is durable: whole files, each under the id of a version that has its content.

Owns the list of these files, and where a chunk lies in them. Never puts a file there, and never removes one.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Final

from peer.disk.root import Root
from peer.engine.context import Context
from peer.fingerprint import Fingerprint
from peer.store.versions import version_body
from peer.transfer.sources import Place
from protocol.ids import ChangeId, ChunkId

REMEMBERED: Final = 100_000
"""The places of so many chunks are kept in memory, and those of the file that was looked into last."""

_Index = dict[ChunkId, tuple[int, int]]
"""Offset and length of each chunk of one file."""


def held_files(root: Root) -> dict[ChangeId, Fingerprint]:
    """The files that are held. Raises OSError."""
    found: dict[ChangeId, Fingerprint] = {}
    for name, status in root.fs.list_dir(root.held):
        with suppress(ValueError):  # nobody else's names are looked at
            if not isinstance(status, OSError):
                found[ChangeId(bytes.fromhex(name))] = status.fingerprint
    return found


class HeldChunks:
    """`LocalChunks` over the files that are held. One that cannot be looked at holds nothing."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._indexes: dict[ChangeId, _Index] = {}

    async def locate(self, chunks: Sequence[ChunkId]) -> Mapping[ChunkId, Place]:
        """See `LocalChunks`."""
        machine = self._context.machine
        try:
            files = await machine.disk_work.run(held_files, self._context.root)
        except OSError:
            return {}
        if not files and not self._indexes:
            return {}
        return await machine.database_work.run(self._locate, chunks, files)

    def _locate(self, chunks: Sequence[ChunkId], files: Mapping[ChangeId, Fingerprint]) -> dict[ChunkId, Place]:
        for change in self._indexes.keys() - files.keys():
            del self._indexes[change]
        found: dict[ChunkId, Place] = {}
        lacking = dict.fromkeys(chunks)
        for change in [*self._indexes, *(files.keys() - self._indexes.keys())]:
            if not lacking:
                break
            index = self._index(change)
            for chunk in [chunk for chunk in lacking if chunk in index]:
                del lacking[chunk]
                offset, length = index[chunk]
                found[chunk] = Place((change.hex(),), offset, length, files[change], is_held=True)
        return found

    def _index(self, change: ChangeId) -> _Index:
        index = self._indexes.get(change)
        if index is not None:
            return index
        body = version_body(self._context.machine.database, self._context.record.w, change)
        if body is None or body.manifest is None:
            return {}  # perhaps of a commit that is to come (again)
        index, offset = {}, 0
        for ref in body.manifest.chunks:
            index.setdefault(ref.chunk, (offset, ref.length))
            offset += ref.length
        while self._indexes and sum(map(len, self._indexes.values())) + len(index) > REMEMBERED:
            del self._indexes[next(iter(self._indexes))]
        self._indexes[change] = index
        return index
