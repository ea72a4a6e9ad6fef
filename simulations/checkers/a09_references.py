"""A9 and A11, blocks before references: the blocks that a version lists are on the disk, synced and undamaged.

Owns where a block lies: the coordinator's index says so, and its bytes are looked at as if power was lost now.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Final

from blake3 import blake3

from simulations.checkers.journal import Committed
from simulations.checkers.reading import Reader, look_up
from simulations.disk import SimDisk

_ID_BYTES: Final = 32
_STORED: Final = 0
_PLACE: Final = (
    "SELECT s.name, b.position, b.length FROM blocks b JOIN segments s ON s.id = b.segment "
    "WHERE b.block = ? AND b.state = ?"
)


class References:
    """The blocks of one coordinator. `directory` is where its segments are on its disk."""

    def __init__(self, database: Path, disk: SimDisk, directory: str) -> None:
        self.reader = Reader(database)
        self._disk = disk
        self._directory = directory
        self.blocks: set[bytes] = set()
        """All that versions list."""

    def __call__(self, committed: Committed) -> str | None:
        """The broken promise, if this row breaks it."""
        listed: set[bytes] = set()
        for version in committed.versions:
            if not version.clear.offered:
                ids = version.added
                listed |= {ids[at : at + _ID_BYTES] for at in range(0, len(ids), _ID_BYTES)}
        fresh = listed - self.blocks
        self.blocks |= listed
        missing = self.missing(fresh) if fresh else 0
        if missing:
            return f"A11 put before reference: row {committed.row.seq} lists {missing} blocks that are not durable"
        return None

    def all_there(self) -> str | None:
        """The broken promise, if any block that a version lists is not there any more."""
        missing = self.missing(self.blocks)
        return f"A9 dangling reference: {missing} blocks of versions are not stored" if missing else None

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
