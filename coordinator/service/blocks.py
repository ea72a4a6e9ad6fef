"""Blocks: who may ask for, send and refer to which. Owns the permission; never touches a block's bytes.

Uploading: `stored_already` for a batch of frames → `BlockStore.put_batch` of the rest → `record_upload` of all.
Downloading: `locate` for a few blocks at a time, right before they are read and sent.
"""

from collections.abc import Sequence
from typing import NamedTuple

from coordinator.ports import BlockPlace
from coordinator.service.context import Context, Session
from protocol.ids import BlockId, WorkspaceId
from protocol.messages import BlocksRequest, HaveReply, HaveRequest, Refusal, Stored


class Uploaded(NamedTuple):
    """A block whose bytes arrived and were verified. `place` is None where it was stored before."""

    block: BlockId
    length: int
    place: BlockPlace | None


async def have(context: Context, session: Session, request: HaveRequest) -> HaveReply | Refusal:
    """One bit a block: stored, and uploaded by this device or referenced in a workspace of its user."""
    raise NotImplementedError


async def stored_already(
    context: Context, session: Session, workspace: WorkspaceId, blocks: Sequence[BlockId]
) -> frozenset[BlockId] | Refusal:
    """Which of these need no bytes written. Only for blocks whose bytes the caller has in hand: never told to a device.

    Refuses `not_found` to a non-member, `denied` to a viewer: ask it with no blocks before reading a body.
    """
    raise NotImplementedError


async def record_upload(
    context: Context, session: Session, workspace: WorkspaceId, blocks: Sequence[Uploaded]
) -> Stored | Refusal:
    """Index the blocks and note that this device sent them. Durable on return; sent twice, nothing changes.

    A block that was stored twice at the same time keeps its first place.
    """
    raise NotImplementedError


async def locate(context: Context, session: Session, request: BlocksRequest) -> tuple[BlockPlace | None, ...] | Refusal:
    """Where each block lies, or None: not stored, or not for this device. Refuses `not_found` to a non-member."""
    raise NotImplementedError


async def mark_damaged(context: Context, blocks: Sequence[BlockId]) -> None:
    """Blocks whose bytes did not verify count as absent until somebody uploads them again."""
    raise NotImplementedError
