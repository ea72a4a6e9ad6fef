"""A9 and A11, blocks before references: the blocks of a durable version are on the disk, synced and undamaged.

Owns where a block lies: the coordinator's index says so, and its bytes are looked at as if power was lost now. Durable
is every version that the coordinator does not call offered, or given up.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Final

from blake3 import blake3

from protocol.ids import ChangeId, WorkspaceId
from protocol.offered import Standing
from simulations.checkers.journal import Committed, Version
from simulations.checkers.reading import Reader, look_up
from simulations.disk import SimDisk

_ID_BYTES: Final = 32
_STORED: Final = 0
_PLACE: Final = (
    "SELECT s.name, b.position, b.length FROM blocks b JOIN segments s ON s.id = b.segment "
    "WHERE b.block = ? AND b.state = ?"
)
_STANDING: Final = (
    "SELECT o.standing FROM workspaces w JOIN offers o ON o.workspace = w.id "
    "WHERE w.workspace_id = ? AND o.change_id = ?"
)


class References:
    """The blocks of one coordinator. `directory` is where its segments are on its disk."""

    def __init__(self, database: Path, disk: SimDisk, directory: str) -> None:
        self.reader = Reader(database)
        self._disk = disk
        self._directory = directory
        self.blocks: set[bytes] = set()
        """All of durable versions."""
        self._waiting: dict[tuple[WorkspaceId, ChangeId], set[bytes]] = {}
        """Versions that were offered when they were last looked at, and all blocks of each."""

    def __call__(self, committed: Committed) -> str | None:
        """The broken promise, if this row breaks it, or a version has become durable that is not stored."""
        for version in committed.versions:
            self._waiting[committed.workspace, version.change] = _blocks(version)
        missing = self._settle()
        if missing:
            return f"A11 put before reference: at row {committed.row.seq} {missing} blocks of versions are not durable"
        return None

    def all_there(self) -> str | None:
        """The broken promise, if any block of a durable version is not there any more."""
        self._settle()
        missing = self.missing(self.blocks)
        return f"A9 dangling reference: {missing} blocks of versions are not stored" if missing else None

    def _settle(self) -> int:
        """Look at the versions that are durable now and were not; how many blocks of them are missing."""
        fresh: set[bytes] = set()
        for (workspace, change), blocks in tuple(self._waiting.items()):
            row = self.reader.connection.execute(_STANDING, (workspace, change)).fetchone()
            standing = Standing.DURABLE if row is None else Standing(row[0])
            if standing is not Standing.OFFERED:
                del self._waiting[workspace, change]
                if standing is Standing.DURABLE:
                    fresh |= blocks
        fresh -= self.blocks
        self.blocks |= fresh
        return self.missing(fresh) if fresh else 0

    def missing(self, blocks: Iterable[bytes]) -> int:
        """How many of these are not on the disk for good, or are damaged."""
        execute = self.reader.connection.execute
        places = {block: execute(_PLACE, (block, _STORED)).fetchone() for block in blocks}
        return sum(not self._is_there(block, place) for block, place in places.items())

    def _is_there(self, block: bytes, place: tuple[str, int, int] | None) -> bool:
        if place is None:
            return False
        name, position, length = place
        inode = look_up(self._disk, f"{self._directory}/{name}")
        return inode is not None and blake3(inode.saved.content.read(position, length)).digest() == block


def _blocks(version: Version) -> set[bytes]:
    """What the version's content consists of; what it added alone where nobody has the key."""
    blocks = {version.added[at : at + _ID_BYTES] for at in range(0, len(version.added), _ID_BYTES)}
    manifest = None if version.body is None else version.body.manifest
    return blocks if manifest is None else blocks | {bytes(ref.block) for ref in manifest.chunks}
