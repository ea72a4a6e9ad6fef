"""What this device knows of contents: chunks with their durable blocks and places on this disk, manifests, targets.

Everything here can be found again (by reading files, or from the journal); losing a row costs a second reading.
"""

from collections.abc import Iterable, Mapping, Sequence

from peer.store import schema
from peer.store.database import Database
from peer.store.trees import TreeStore
from peer.transfer.sources import Place
from protocol import limits
from protocol.codec import decode, encode
from protocol.ids import BlockId, ChunkId, EntryId
from protocol.model import ChunkRef, FlatManifest

_AT_ONCE = 500


class ContentStore:
    """The contents of workspace number `w`. Belongs in the database's thread."""

    def __init__(self, database: Database, w: int) -> None:
        self._db = database
        self.w = w

    def known(self, chunks: Sequence[ChunkId]) -> Mapping[ChunkId, ChunkRef]:
        """The chunks among these that have a block on the coordinator."""
        found: dict[ChunkId, ChunkRef] = {}
        for part, marks in _parts(chunks):
            sql = f"SELECT chunk, block, epoch, length FROM chunks WHERE w = ? AND chunk IN ({marks})"  # noqa: S608
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

    def put_manifest(self, digest: bytes, manifest: FlatManifest) -> None:
        """Note that these bytes are stored on the coordinator as this manifest says."""
        self._db.insert(schema.contents, [(self.w, digest, None, encode(manifest))])
        self.put_stored(manifest.chunks)

    def put_stored(self, refs: Iterable[ChunkRef]) -> None:
        """Note that these chunks have blocks on the coordinator, whether or not a version with them is ever made."""
        self._db.run_many(
            "INSERT OR IGNORE INTO chunks (w, chunk, block, epoch, length) VALUES (?, ?, ?, ?, ?)",
            ((self.w, ref.chunk, ref.block, ref.epoch, ref.length) for ref in refs),
        )

    def put_target(self, digest: bytes, target: bytes) -> None:
        """Note a symlink's target under its digest."""
        self._db.insert(schema.contents, [(self.w, digest, target, None)])

    def manifest(self, digest: bytes) -> FlatManifest | None:
        """The manifest under which these bytes are known to be stored, not committed yet."""
        row = self._db.one("SELECT manifest FROM contents WHERE w = ? AND digest = ?", (self.w, digest))
        return None if row is None or row[0] is None else decode(FlatManifest, row[0], limits.SEALED_BYTES)

    def has_manifest(self, digest: bytes) -> bool:
        """Whether `manifest` would have one."""
        row = self._db.one(
            "SELECT 1 FROM contents WHERE w = ? AND digest = ? AND manifest IS NOT NULL", (self.w, digest)
        )
        return row is not None

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


def _parts(chunks: Sequence[bytes]) -> Iterable[tuple[Sequence[bytes], str]]:
    for at in range(0, len(chunks), _AT_ONCE):
        part = chunks[at : at + _AT_ONCE]
        yield part, ",".join("?" * len(part))
