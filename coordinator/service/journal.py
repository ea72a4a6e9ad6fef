"""The journal: commits in, pages out, lost commits handed back."""

from typing import Final

from coordinator.domain.commit import Offered, decide, decide_row, offers_of
from coordinator.domain.journal import Cursor, Place, place_cursor, place_row, received_at
from coordinator.ports import Committed, DeviceDropped, Transaction
from coordinator.records import Appended, Workspace
from coordinator.service import access, chains
from coordinator.service.context import Context, Session
from coordinator.service.judging import CoordinatorKnowledge, JournalView, change_hashes, commit_bytes
from coordinator.service.offers import given_up_by, note_offers, notice_of
from protocol import limits
from protocol.ids import NO_LOG, BlockId, DeviceId, WorkspaceId
from protocol.messages import (
    CommitAccepted,
    CommitRefused,
    CommitRequest,
    CursorUnknown,
    HandBack,
    JournalPage,
    JournalRequest,
    Ok,
    Refusal,
    RefusalCode,
)
from protocol.model import Commit, DeviceAdded, DeviceRevoked, Entries, Genesis, JournalRow
from protocol.rules import Delta, Refused, Repeated, digest_of

_Answer = CommitAccepted | CommitRefused | Refusal
_DETAIL_CHARS: Final = 500


async def commit(
    context: Context, session: Session, request: CommitRequest
) -> CommitAccepted | CommitRefused | Refusal:
    """Judge the commit and, if legal, append it durably, then wake the workspace's devices.

    One already accepted gets the same answer as then. Refuses `not_found` to a non-member, `catching_up` (with
    `retry_after_ms`) while a restored journal waits for hand-backs.
    """
    proposed = request.commit
    target = proposed.header.workspace
    if isinstance(proposed.body, Genesis):
        target = WorkspaceId(digest_of(proposed, context.hashes))
    now_ms = context.clock.now_ms()
    answer, notice = await context.metadata.run(
        lambda transaction: _commit(context, transaction, session, proposed, target, now_ms)
    )
    if notice is not None:
        context.notifier.publish(notice)
    return answer


def _commit(
    context: Context, transaction: Transaction, session: Session, proposed: Commit, target: WorkspaceId, now_ms: int
) -> tuple[_Answer, Committed | None]:
    device = access.active_device(transaction, session)
    if isinstance(device, Refusal):
        return device, None
    journals = transaction.journals
    workspace = journals.workspace(target)
    if workspace is None:
        if not isinstance(proposed.body, Genesis) or proposed.body.owner != device.user:
            return access.no_workspace(), None
    elif journals.role(workspace.key, device.user) is None:
        return access.no_workspace(), None
    wait_ms = context.continuity.wait_ms(target, context.clock.monotonic_s())
    if wait_ms:
        return Refusal(RefusalCode.CATCHING_UP, "the journal was put back; what it lost comes first", wait_ms), None
    view = JournalView(transaction, workspace)
    owner = device.user if workspace is None else workspace.owner
    verdict = decide(view, proposed, context.hashes, CoordinatorKnowledge(transaction, workspace), owner)
    match verdict:
        case Repeated(seq=seq, log_hash=log_hash):
            assert workspace is not None, "an empty journal repeats nothing"
            place = journals.accepted(workspace.key, digest_of(proposed, context.hashes))
            assert place is not None, "the journal has the commit"
            return CommitAccepted(seq, log_hash, place[2]), None
        case Refused():
            return _refused(verdict, workspace), None
        case Delta():
            row = _append(context, transaction, workspace, proposed, verdict, now_ms)
            return CommitAccepted(row.seq, row.log_hash, row.received), _notice(transaction, verdict, (row,))


def _refused(refused: Refused, workspace: Workspace | None) -> CommitRefused:
    return CommitRefused(
        reason=refused.reason,
        head_seq=0 if workspace is None else workspace.head_seq,
        head_hash=NO_LOG if workspace is None else workspace.head_hash,
        last_number=refused.last_number,
        changes=refused.changes,
        detail=refused.detail[:_DETAIL_CHARS],
    )


def _append(
    context: Context,
    transaction: Transaction,
    workspace: Workspace | None,
    commit: Commit,
    delta: Delta,
    now_ms: int,
    claimed_ms: int | None = None,
) -> JournalRow:
    journals, body = transaction.journals, commit.body
    if workspace is not None:
        key, last_ms = workspace.key, workspace.received
    else:
        assert isinstance(body, Genesis), "only a genesis makes a workspace"
        key, last_ms = journals.create(delta.workspace.workspace, body.owner, body.salt), 0
    received = received_at(last_ms, now_ms, claimed_ms)
    hashes = change_hashes(commit, delta, context.hashes)
    offered = _offered(transaction, workspace, commit, delta, handed_back=claimed_ms is not None)
    missing = frozenset[BlockId]().union(*(each.own for each in offered))
    journals.append(key, Appended(commit, delta, hashes, received, commit_bytes(commit), missing))
    note_offers(transaction, key, commit.header.device, offered)
    if isinstance(body, Genesis):
        journals.add_keys(key, body.keys)
    return JournalRow(delta.workspace.seq, delta.workspace.log_hash, received, commit)


def _offered(
    transaction: Transaction, workspace: Workspace | None, commit: Commit, delta: Delta, *, handed_back: bool
) -> tuple[Offered, ...]:
    if workspace is None or not isinstance(commit.body, Entries):
        return ()
    if not (workspace.durability or handed_back or any(change.clear.offered for change in commit.body.changes)):
        return ()
    return offers_of(commit, delta, CoordinatorKnowledge(transaction, workspace), handed_back=handed_back)


def _notice(transaction: Transaction, delta: Delta, rows: tuple[JournalRow, ...]) -> Committed:
    state = delta.workspace
    workspace = transaction.journals.workspace(state.workspace)
    assert workspace is not None, "the workspace was just written to"
    inline = rows if sum(commit_bytes(row.commit) for row in rows) <= limits.INLINE_BYTES else ()
    return notice_of(transaction, workspace, inline)


async def page(context: Context, session: Session, request: JournalRequest) -> JournalPage | CursorUnknown | Refusal:
    """The commits after the cursor, at least one where there are any, within `limits.PAGE_BYTES` or so.

    Refuses `not_found` to a non-member. Membership is checked in the transaction that reads.
    """

    def read(transaction: Transaction) -> JournalPage | CursorUnknown | Refusal:
        found = access.member(transaction, session, request.workspace)
        if isinstance(found, Refusal):
            return found
        workspace, journals = found.workspace, transaction.journals
        hash_at = journals.log_hash(workspace.key, request.cursor_seq)
        if place_cursor(workspace.head_seq, request.cursor_seq, request.cursor_hash, hash_at) != Cursor.ON_JOURNAL:
            return CursorUnknown(workspace.head_seq, workspace.head_hash, hash_at)
        rows = journals.rows(workspace.key, request.cursor_seq, request.max_commits, limits.PAGE_BYTES)
        return JournalPage(rows, workspace.head_seq, workspace.head_hash)

    reply = await context.metadata.read(read)
    if isinstance(reply, JournalPage):
        context.continuity.named(request.workspace, session.device)
    return reply


async def hand_back(context: Context, session: Session, request: HandBack) -> Ok | Refusal:
    """Take commits that this journal has lost. Rows it still has, byte for byte, are passed over.

    Refuses `conflict` at the first row that does not belong exactly there; those before it are kept.
    """
    now_ms = context.clock.now_ms()
    ended: set[DeviceId] = set()
    answer, notice = await context.metadata.run(
        lambda transaction: _hand_back(context, transaction, session, request, now_ms, ended)
    )
    for device in ended:
        context.tokens.drop(device)
        context.notifier.publish(DeviceDropped(device))
        await given_up_by(context, device)
    if notice is not None:
        context.notifier.publish(notice)
    return answer


def _hand_back(
    context: Context, transaction: Transaction, session: Session, request: HandBack, now_ms: int, ended: set[DeviceId]
) -> tuple[Ok | Refusal, Committed | None]:
    """Devices that turn out to be revoked are added to `ended`."""
    device = access.active_device(transaction, session)
    if isinstance(device, Refusal):
        return device, None
    journals = transaction.journals
    workspace = journals.workspace(request.workspace)
    if workspace is None:
        if not request.rows or not _is_own_genesis(context, request, request.rows[0], session):
            return access.no_workspace(), None
    elif journals.role(workspace.key, device.user) is None:
        return access.no_workspace(), None
    notice: Committed | None = None
    for row in request.rows:
        head_seq = 0 if workspace is None else workspace.head_seq
        hash_at = None if workspace is None else journals.log_hash(workspace.key, row.seq)
        match place_row(head_seq, row.seq, row.log_hash, hash_at):
            case Place.HELD:
                continue
            case Place.ELSEWHERE:
                return _conflict(row), notice
            case Place.NEXT:
                verdict = decide_row(JournalView(transaction, workspace), row, context.hashes)
                if isinstance(verdict, Refused):
                    return _conflict(row), notice
                _append(context, transaction, workspace, row.commit, verdict, now_ms, row.received)
                ended |= _put_chain_back(context, transaction, row, now_ms)
                notice = _notice(transaction, verdict, ())
                workspace = journals.workspace(request.workspace)
    return Ok(), notice


def _put_chain_back(context: Context, transaction: Transaction, row: JournalRow, now_ms: int) -> frozenset[DeviceId]:
    """A user's chain goes on as far as a commit that was handed back has it; the devices that this revokes."""
    body = row.commit.body
    if not isinstance(body, DeviceAdded | DeviceRevoked):
        return frozenset()
    return chains.put_back(transaction, body.user, body.chain, context.hashes, now_ms)


def _is_own_genesis(context: Context, request: HandBack, row: JournalRow, session: Session) -> bool:
    """Whether a workspace not known here may begin with this row: the caller's own, and of the id it names."""
    body = row.commit.body
    return (
        isinstance(body, Genesis)
        and body.owner == session.user
        and WorkspaceId(digest_of(row.commit, context.hashes)) == request.workspace
    )


def _conflict(row: JournalRow) -> Refusal:
    return Refusal(RefusalCode.CONFLICT, f"commit {row.seq} does not belong there")
