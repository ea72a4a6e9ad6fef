"""Users: joining by invitation, their chains and devices."""

from coordinator.service.context import Context, Session
from protocol.messages import (
    ChainReply,
    ChainRequest,
    Devices,
    DevicesRequest,
    InvitationInfo,
    InvitationRequest,
    Joined,
    JoinRequest,
    Refusal,
)


async def invitation(context: Context, request: InvitationRequest) -> InvitationInfo | Refusal:
    """The name an unused invitation was made for. Refuses `not_found`, `used`, `expired`. No session needed."""
    raise NotImplementedError


async def join(context: Context, request: JoinRequest) -> Joined | Refusal:
    """Make the invited user with the first device; uses the invitation up. No session needed.

    Sent again with the same link it is answered the same. Refuses `not_found`, `used`, `expired`, `malformed` (a
    link that breaks the chain rules), `denied` (a signature or the name does not fit), `conflict` (known device).
    """
    raise NotImplementedError


async def chain(context: Context, session: Session, request: ChainRequest) -> ChainReply | Refusal:
    """Links of the caller's own chain, or of a user who shares a workspace with the caller; else `not_found`."""
    raise NotImplementedError


async def devices(context: Context, session: Session, request: DevicesRequest) -> Devices | Refusal:
    """The devices of the caller's own user."""
    raise NotImplementedError
