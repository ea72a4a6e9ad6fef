"""Versions that are not durable: the set that devices copy, who holds their bytes, who sends which block.

Owns these use cases, and what a commit and an upload do to the set. An offered version gives no right to a block: what
it lacks is referred to once somebody has sent the bytes to this workspace.
"""

import logging
from collections.abc import Callable, Collection
from typing import Final

import trio

from coordinator.domain.commit import Offered
from coordinator.domain.offers import counted_on, is_lost
from coordinator.ports import Committed, StorageUnavailable, Transaction
from coordinator.records import NewOffer, OpenOffer, Workspace
from coordinator.service import access
from coordinator.service.bits import packed
from coordinator.service.context import Context, Session
from coordinator.service.continuity import generation
from coordinator.service.judging import CoordinatorKnowledge
from protocol import limits
from protocol.ids import BlockId, ChangeId, DeviceId, WorkspaceId
from protocol.messages import HoldingsRequest, LeaseReply, LeaseRequest, OfferedRequest, Ok, Refusal
from protocol.model import JournalRow
from protocol.offered import OfferedPage

logger = logging.getLogger("coordinator.offers")

LOOK_S: Final = 3600.0
"""So often is looked for versions that nobody will bring any more."""

Silent = frozenset[tuple[WorkspaceId, ChangeId]]
"""Versions whose authors had been silent for too long when they were last looked at."""


# --- what commits and uploads do ---------------------------------------------------------------------------


def note_offers(transaction: Transaction, key: int, author: DeviceId, offered: Collection[Offered]) -> None:
    """A commit was appended to this workspace; these versions of it may not be durable."""
    bases = {each.base for each in offered if each.base is not None}
    known = {base.change: base for base in transaction.offers.open(key, bases)} if bases else {}
    transaction.offers.offer(key, author, [_new_offer(each, author, known) for each in offered])


def _new_offer(offered: Offered, author: DeviceId, known: dict[ChangeId, OpenOffer]) -> NewOffer:
    base = None if offered.base is None else known.get(offered.base)
    counted, holders = counted_on(author, base, offers=offered.claimed)
    return NewOffer(offered.change, offered.own, offered.base, offered.removed, counted, holders)


def bring(transaction: Transaction, workspace: Workspace, blocks: Collection[BlockId]) -> Committed | None:
    """Blocks are stored, and their bytes were sent to this workspace; what to publish, if anything."""
    if not workspace.durability or not blocks:
        return None
    durable = transaction.offers.stored(workspace.key, blocks)
    return notice_now(transaction, workspace.workspace) if durable else None


def notice_now(transaction: Transaction, workspace: WorkspaceId) -> Committed:
    """That something about a workspace has changed."""
    found = transaction.journals.workspace(workspace)
    assert found is not None, "the workspace was just written to"
    return notice_of(transaction, found, ())


def notice_of(transaction: Transaction, workspace: Workspace, rows: tuple[JournalRow, ...]) -> Committed:
    """Where a workspace stands now, for those who may know."""
    return Committed(
        workspace=workspace.workspace,
        head_seq=workspace.head_seq,
        head_hash=workspace.head_hash,
        rows=rows,
        audience=transaction.journals.audience(workspace.key),
        durability=workspace.durability,
    )


# --- requests ----------------------------------------------------------------------------------------------


async def page(context: Context, session: Session, request: OfferedRequest) -> OfferedPage | Refusal:
    """What changed in the set after the number asked for. Refuses `not_found` to a non-member."""

    def read(transaction: Transaction) -> OfferedPage | Refusal:
        found = access.member(transaction, session, request.workspace)
        if isinstance(found, Refusal):
            return found
        here, last = generation(transaction), found.workspace.durability
        whole = request.generation != here or request.number > last
        after = 0 if whole else request.number
        marks = transaction.offers.marks(found.workspace.key, after, last, limits.OFFERED_MARKS, whole=whole)
        return OfferedPage(here, whole, last, tuple(marks))

    return await context.metadata.read(read)


async def holdings(context: Context, session: Session, request: HoldingsRequest) -> Ok | Refusal:
    """Note who has the bytes of which offered versions; those that nobody has any more are given up.

    A version that is in both lists is gone. Refuses `not_found` to a non-member.
    """

    def write(transaction: Transaction) -> tuple[Ok | Refusal, Committed | None]:
        found = access.member(transaction, session, request.workspace)
        if isinstance(found, Refusal):
            return found, None
        workspace = found.workspace
        if not workspace.durability:
            return Ok(), None
        held, gone = map(_ids, (request.held, request.gone))
        transaction.offers.hold(workspace.key, session.device, held - gone)
        transaction.offers.let_go(workspace.key, session.device, gone)
        return Ok(), _give_up(transaction, workspace, gone, lambda offer: is_lost_now(offer))

    answer, notice = await context.metadata.run(write)
    if notice is not None:
        context.notifier.publish(notice)
    return answer


def _ids(changes: Collection[bytes]) -> frozenset[ChangeId]:
    return frozenset(map(ChangeId, changes))


async def lease(context: Context, session: Session, request: LeaseRequest) -> LeaseReply | Refusal:
    """Which of these blocks need not be sent to this workspace, and which of the others this device may send now.

    Refuses `not_found` to a non-member, `denied` to a viewer.
    """
    workspace, blocks = request.workspace, request.blocks
    asked = frozenset() if request.end else frozenset(blocks)

    def read(transaction: Transaction) -> set[BlockId] | Refusal:
        found = access.writer(transaction, session, workspace)
        if isinstance(found, Refusal):
            return found
        return CoordinatorKnowledge(transaction, found.workspace).missing(session.device, session.user, asked)

    missing = await context.metadata.read(read)
    if isinstance(missing, Refusal):
        return missing
    granted: set[BlockId] = set()
    if request.end:
        context.leases.end(workspace, session.device, blocks or None)
    else:
        wanted = dict.fromkeys(block for block in blocks if block in missing)
        granted.update(context.leases.ask(workspace, session.device, wanted, lease_ms(context)))
    stored = asked - missing
    return LeaseReply(packed([each in stored for each in blocks]), packed([each in granted for each in blocks]))


def lease_ms(context: Context) -> int:
    """Now, as leases count it."""
    return int(context.clock.monotonic_s() * 1000)


# --- giving up ---------------------------------------------------------------------------------------------


def is_lost_now(offer: OpenOffer, silent_ms: int = 0) -> bool:
    """Whether nobody will bring the version's blocks any more."""
    return is_lost(author_active=offer.present and offer.counted, silent_ms=silent_ms, holders=offer.able)


def _give_up(
    transaction: Transaction,
    workspace: Workspace,
    changes: Collection[ChangeId] | None,
    lost: Callable[[OpenOffer], bool],
) -> Committed | None:
    ended = [offer.change for offer in transaction.offers.open(workspace.key, changes) if lost(offer)]
    if not ended or not transaction.offers.give_up(workspace.key, ended):
        return None
    return notice_now(transaction, workspace.workspace)


async def given_up_by(context: Context, device: DeviceId) -> None:
    """A device may do nothing any more, or its user is no member of some workspace: end what only it would bring.

    To be called once that is recorded. Where it is not, for a crash say, the next look does the same.
    """

    def concerned(transaction: Transaction) -> list[WorkspaceId]:
        return [
            each.workspace
            for each in transaction.journals.workspaces()
            if each.durability and transaction.journals.device(each.key, device) is not None
        ]

    for workspace in await context.metadata.read(concerned):
        await _look_at(context, workspace, frozenset())


async def look(context: Context, suspects: Silent) -> Silent:
    """Give up what nobody will bring any more. Returns the versions whose authors have been silent for too long.

    These are given up when they are found so twice (`suspects`: the last time): a coordinator that was off for a month,
    or whose clock was set, waits for whoever comes back.
    """

    def concerned(transaction: Transaction) -> list[WorkspaceId]:
        return [each.workspace for each in transaction.journals.workspaces() if each.durability]

    silent: set[tuple[WorkspaceId, ChangeId]] = set()
    for workspace in await context.metadata.read(concerned):
        overdue = frozenset(change for place, change in suspects if place == workspace)
        silent |= {(workspace, change) for change in await _look_at(context, workspace, overdue)}
    context.leases.forget(lease_ms(context))
    return frozenset(silent)


async def _look_at(context: Context, workspace: WorkspaceId, overdue: Collection[ChangeId]) -> list[ChangeId]:
    """Give up what is lost, and of what its author has been silent about for too long that which is overdue."""
    now_ms = context.clock.now_ms()

    def find(transaction: Transaction) -> tuple[bool, list[ChangeId]]:
        found = transaction.journals.workspace(workspace)
        open_offers = [] if found is None else transaction.offers.open(found.key)
        silent = [offer.change for offer in open_offers if is_lost_now(offer, now_ms - offer.last_seen)]
        lost = any(is_lost_now(offer) or offer.change in overdue for offer in open_offers)
        return lost, silent

    def write(transaction: Transaction) -> Committed | None:
        found = transaction.journals.workspace(workspace)
        assert found is not None, "workspaces stay"

        def lost(offer: OpenOffer) -> bool:
            return is_lost_now(offer, now_ms - offer.last_seen if offer.change in overdue else 0)

        return _give_up(transaction, found, None, lost)

    lost, silent = await context.metadata.read(find)
    if lost:
        notice = await context.metadata.run(write)
        if notice is not None:
            context.notifier.publish(notice)
    return [change for change in silent if change not in overdue]


async def look_forever(context: Context) -> None:
    """Look every `LOOK_S`."""
    suspects: Silent = frozenset()
    while True:
        await trio.sleep(LOOK_S)
        try:
            suspects = await look(context, suspects)
        except StorageUnavailable as error:
            logger.warning("versions that are not durable could not be looked at: %s", error)
