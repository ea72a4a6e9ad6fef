"""Blocks to chunks. Owns the checks of what came: its name, its seal, and the chunk that it was said to hold."""

from collections.abc import Sequence
from typing import NamedTuple

from crypto.block_box import BadBlock, open_block
from crypto.digest import block_id, chunk_id
from crypto.keyring import WorkspaceKeyring
from protocol.ids import BlockId
from protocol.model import ChunkRef


class Received(NamedTuple):
    """A block as it came, None where it is absent."""

    block: BlockId
    data: bytes | None


class Opened(NamedTuple):
    """A chunk that is what its reference says, else None: `absent`, or `wrong` if it is not even the block asked for,
    or, with neither, not what the author of the manifest promised."""

    data: bytes | None
    absent: bool = False
    wrong: bool = False


def open_blocks(keys: WorkspaceKeyring, items: Sequence[tuple[ChunkRef, Received]]) -> list[Opened]:
    """Check and open blocks; any number of threads may do so at once."""
    return [open_block_of(keys, ref, received.data) for ref, received in items]


def open_block_of(keys: WorkspaceKeyring, ref: ChunkRef, block: bytes | None) -> Opened:
    """Check and open one block, None where it is absent."""
    if block is None:
        return Opened(None, absent=True)
    if block_id(block) != ref.block:
        return Opened(None, wrong=True)
    try:
        data = open_block(keys, block, ref.length, ref.length)
    except BadBlock:
        return Opened(None)
    return Opened(data if chunk_id(keys.fixed, data) == ref.chunk else None)
