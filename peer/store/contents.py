"""What this device knows of contents: chunks with their durable blocks and places on this disk, manifests, targets.

Everything here can be found again (by reading files, or from the journal); losing a row costs a second reading.
"""

import enum
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from peer.store import schema
from peer.store.database import Database
from peer.store.trees import TreeStore
from peer.transfer.sources import Place
from protocol import limits
from protocol.codec import decode, encode
from protocol.ids import BlockId, ChunkId, EntryId
from protocol.model import ChunkRef, FlatManifest

_AT_ONCE = 500
_PUT_CHUNK: Final = (
    "INSERT INTO chunks (w, chunk, block, epoch, length, stored) VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING"
)
_STORE_CHUNK: Final = (
    "INSERT INTO chunks (w, chunk, block, epoch, length, stored) VALUES (?, ?, ?, ?, ?, ?) "
    "ON CONFLICT DO UPDATE SET block = excluded.block, epoch = excluded.epoch, stored = 1 WHERE stored = 0"
)


class Sealed(enum.Enum):
    """What is known of the blocks of a content that no version has yet."""

    NOT = enum.auto()
    """It has none."""
    HERE = enum.auto()
    """They are known; the coordinator may lack some."""
    STORED = enum.auto()
    """The coordinator has them."""


class ContentStore:
    """The contents of workspace number `w`. Belongs in the database's thread."""

    def __init__(self, database: Database, w: int) -> None:
        self._db = database
        self.w = w

    def known(self, chunks: Sequence[ChunkId]) -> Mapping[ChunkId, ChunkRef]:
        """The chunks among these that have a block on the coordinator."""
        found: dict[ChunkId, ChunkRef] = {}
        for part, marks in _parts(chunks):
            rows = "SELECT chunk, block, epoch, length FROM chunks WHERE w = ? AND stored = 1"
            sql = f"{rows} AND chunk IN ({marks})"
            for chunk, block, epoch, length in self._db.all(sql, (self.w, *part)):
                found[ChunkId(chunk)] = ChunkRef(ChunkId(chunk), BlockId(block), epoch, length)
        return found

    def locate(self, trees: TreeStore, chunks: Sequence[ChunkId]) -> Mapping[ChunkId, Place]:
        """Places on this disk where these chunks were when last looked at."""
        found: dict[ChunkId, Place] = {}
        for part, marks in _parts(chunks):
            places = "SELECT chunk, length, entry, offset FROM chunks WHERE w = ? AND entry IS NOT NULL"
            sql = f"{places} AND chunk IN ({marks})"
            for chunk, length, entry, offset in self._db.all(sql, (self.w, *part)):
                row = trees.local(EntryId(entry))
                path = trees.path(EntryId(entry))
                if row is not None and path is not None and row.fingerprint is not None:
                    found[ChunkId(chunk)] = Place(path, offset, length, row.fingerprint)
        return found

    def on_disk(self, chunks: Sequence[ChunkId]) -> frozenset[ChunkId]:
        """The chunks among these that had a place on this disk when last looked at."""
        found: list[ChunkId] = []
        for part, marks in _parts(chunks):
            sql = f"SELECT chunk FROM chunks WHERE w = ? AND entry IS NOT NULL AND chunk IN ({marks})"  # noqa: S608
            found += (ChunkId(chunk) for (chunk,) in self._db.all(sql, (self.w, *part)))
        return frozenset(found)

    def put_places(self, entry: EntryId, chunks: Iterable[tuple[bytes, int]]) -> None:
        """Note that a file on this disk consists of these chunks (id, length) in order."""
        rows, offset = [], 0
        for chunk, length in chunks:
            rows.append((entry, offset, self.w, chunk))
            offset += length
        self._db.run_many("UPDATE chunks SET entry = ?, offset = ? WHERE w = ? AND chunk = ?", rows)

    def put_manifest(self, digest: bytes, manifest: FlatManifest, *, stored: bool = True) -> None:
        """Note that these bytes were sealed as this manifest says, and whether all of its blocks are stored."""
        self._db.insert(schema.contents, [(self.w, digest, None, encode(manifest), stored)])
        if stored:
            self.put_stored(manifest.chunks)
        else:
            put_chunks(self._db, self.w, manifest.chunks, stored=False)

    def put_stored(self, refs: Iterable[ChunkRef]) -> None:
        """Note that these chunks have blocks on the coordinator, whether or not a version with them is ever made."""
        self._db.run_many(_STORE_CHUNK, _chunk_rows(self.w, refs, stored=True))

    def put_target(self, digest: bytes, target: bytes) -> None:
        """Note a symlink's target under its digest."""
        self._db.insert(schema.contents, [(self.w, digest, target, None, False)])

    def manifest(self, digest: bytes) -> FlatManifest | None:
        """The manifest under which these bytes were sealed, not committed yet."""
        row = self._db.one("SELECT manifest FROM contents WHERE w = ? AND digest = ?", (self.w, digest))
        return None if row is None or row[0] is None else decode(FlatManifest, row[0], limits.SEALED_BYTES)

    def sealed(self, digest: bytes) -> Sealed:
        """Whether `manifest` would have one, and whether its blocks are stored."""
        row = self._db.one(
            "SELECT stored FROM contents WHERE w = ? AND digest = ? AND manifest IS NOT NULL", (self.w, digest)
        )
        return Sealed.NOT if row is None else Sealed.STORED if row[0] else Sealed.HERE

    def target(self, digest: bytes) -> bytes | None:
        """A symlink's target by its digest."""
        row = self._db.one("SELECT target FROM contents WHERE w = ? AND digest = ?", (self.w, digest))
        return None if row is None else row[0]

    def forget_manifests(self, digests: Iterable[bytes]) -> None:
        """These are in the journal now (or not stored after all)."""
        self._db.run_many("DELETE FROM contents WHERE w = ? AND digest = ?", ((self.w, one) for one in digests))

    def forget_blocks(self, blocks: Iterable[bytes]) -> None:
        """The coordinator does not have these blocks: nothing may be proposed with them."""
        self._db.run_many("DELETE FROM chunks WHERE w = ? AND block = ?", ((self.w, block) for block in blocks))


def _chunk_rows(w: int, refs: Iterable[ChunkRef], *, stored: bool) -> Iterable[tuple[object, ...]]:
    return ((w, ref.chunk, ref.block, ref.epoch, ref.length, stored) for ref in refs)


def put_stored_blocks(database: Database, w: int, refs: Iterable[ChunkRef]) -> None:
    """The coordinator has these blocks: where they are the ones that are known of their chunks, say so."""
    rows = ((w, ref.chunk, ref.block) for ref in refs)
    database.run_many("UPDATE chunks SET stored = 1 WHERE w = ? AND chunk = ? AND block = ?", rows)


def put_chunks(database: Database, w: int, refs: Iterable[ChunkRef], *, stored: bool) -> None:
    """Note chunks that a version lists; what is known of one already stays as it is."""
    database.run_many(_PUT_CHUNK, _chunk_rows(w, refs, stored=stored))


def _parts(chunks: Sequence[bytes]) -> Iterable[tuple[Sequence[bytes], str]]:
    for at in range(0, len(chunks), _AT_ONCE):
        part = chunks[at : at + _AT_ONCE]
        yield part, ",".join("?" * len(part))
