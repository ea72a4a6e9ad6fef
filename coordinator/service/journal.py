"""The journal: commits in, pages out, lost commits handed back."""

from coordinator.service.context import Context, Session
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
)


async def commit(
    context: Context, session: Session, request: CommitRequest
) -> CommitAccepted | CommitRefused | Refusal:
    """Judge the commit and, if legal, append it durably, then wake the workspace's devices.

    One already accepted gets the same answer as then. Refuses `not_found` to a non-member, `catching_up` (with
    `retry_after_ms`) while a restored journal waits for hand-backs.
    """
    raise NotImplementedError


async def page(context: Context, session: Session, request: JournalRequest) -> JournalPage | CursorUnknown | Refusal:
    """The commits after the cursor, at least one where there are any, within `limits.PAGE_BYTES` or so.

    Refuses `not_found` to a non-member. Membership is checked in the transaction that reads.
    """
    raise NotImplementedError


async def hand_back(context: Context, session: Session, request: HandBack) -> Ok | Refusal:
    """Take commits that this journal has lost. Rows it still has, byte for byte, are passed over.

    Refuses `conflict` at the first row that does not belong exactly there; those before it are kept.
    """
    raise NotImplementedError
