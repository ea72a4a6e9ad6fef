"""Blocks: who may ask for, send and refer to which. Owns the permission; never touches a block's bytes.

Uploading: `stored_already` for a batch of frames → `BlockStore.put_batch` of the rest → `record_upload` of all.
Downloading: `locate` for a few blocks at a time, right before they are read and sent.
"""

from collections.abc import Sequence
from typing import NamedTuple

from coordinator.ports import BlockPlace, Committed, Transaction
from coordinator.service import access, offers
from coordinator.service.bits import packed
from coordinator.service.context import Context, Session
from coordinator.service.judging import CoordinatorKnowledge
from protocol.ids import BlockId, WorkspaceId
from protocol.messages import BlocksRequest, HaveReply, HaveRequest, Refusal, Stored


class Uploaded(NamedTuple):
    """A block whose bytes arrived and were verified. `place` is None where it was stored before."""

    block: BlockId
    length: int
    place: BlockPlace | None


async def have(context: Context, session: Session, request: HaveRequest) -> HaveReply | Refusal:
    """One bit a block: stored, and uploaded by this device or referenced in a workspace of its user.

    But not what an offered version of this workspace waits for: that is held once it has been sent to this workspace.
    """

    def read(transaction: Transaction) -> set[BlockId] | Refusal:
        found = access.member(transaction, session, request.workspace)
        if isinstance(found, Refusal):
            return found
        return CoordinatorKnowledge(transaction, found.workspace).missing(
            session.device, session.user, set(request.blocks)
        )

    missing = await context.metadata.read(read)
    if isinstance(missing, Refusal):
        return missing
    return HaveReply(packed([block not in missing for block in request.blocks]))


async def stored_already(
    context: Context, session: Session, workspace: WorkspaceId, blocks: Sequence[BlockId]
) -> frozenset[BlockId] | Refusal:
    """Which of these need no bytes written. Only for blocks whose bytes the caller has in hand: never told to a device.

    Refuses `not_found` to a non-member, `denied` to a viewer: ask it with no blocks before reading a body.
    """

    def read(transaction: Transaction) -> frozenset[BlockId] | Refusal:
        found = access.writer(transaction, session, workspace)
        return found if isinstance(found, Refusal) else frozenset(transaction.blocks.stored(set(blocks)))

    return await context.metadata.read(read)


async def record_upload(
    context: Context, session: Session, workspace: WorkspaceId, blocks: Sequence[Uploaded]
) -> Stored | Refusal:
    """Index the blocks and note that this device sent them. Durable on return; sent twice, nothing changes.

    What this workspace's versions lacked of them they lack no more, and its devices hear of those that are durable now.

    A block that was stored twice at the same time keeps its first place. One without a place that is no longer
    stored is left out: `Stored.blocks` counts those that a commit may refer to now.
    """
    now_ms = context.clock.now_ms()

    def write(transaction: Transaction) -> tuple[Stored, frozenset[BlockId], Committed | None] | Refusal:
        found = access.writer(transaction, session, workspace)
        if isinstance(found, Refusal):
            return found
        index = transaction.blocks
        new = index.add({sent.block: sent.place for sent in blocks if sent.place is not None})
        stored = index.stored({sent.block for sent in blocks})
        index.add_uploads(session.device, stored, now_ms)
        return Stored(len(stored), new), frozenset(stored), offers.bring(transaction, found.workspace, stored)

    written = await context.metadata.run(write)
    if isinstance(written, Refusal):
        return written
    answer, stored, notice = written
    context.leases.end(workspace, session.device, stored)
    if notice is not None:
        context.notifier.publish(notice)
    return answer


async def locate(context: Context, session: Session, request: BlocksRequest) -> tuple[BlockPlace | None, ...] | Refusal:
    """Where each block lies, or None: not stored, or not for this device. Refuses `not_found` to a non-member."""

    def read(transaction: Transaction) -> tuple[BlockPlace | None, ...] | Refusal:
        found = access.member(transaction, session, request.workspace)
        if isinstance(found, Refusal):
            return found
        allowed = transaction.blocks.referenced(found.workspace.key, set(request.blocks))
        places = transaction.blocks.places(allowed)
        return tuple(places.get(block) for block in request.blocks)

    return await context.metadata.read(read)


async def mark_damaged(context: Context, blocks: Sequence[BlockId]) -> None:
    """Blocks whose bytes did not verify count as absent until somebody uploads them again."""
    await context.metadata.run(lambda transaction: transaction.blocks.damaged(blocks))
