"""Versions that are not durable: the set that devices copy, who holds their bytes, who sends which block."""

from coordinator.service.context import Context, Session
from protocol.messages import HoldingsRequest, LeaseReply, LeaseRequest, OfferedRequest, Ok, Refusal, RefusalCode
from protocol.offered import OfferedPage


async def page(context: Context, session: Session, request: OfferedRequest) -> OfferedPage | Refusal:
    """What changed in the set. Not there yet."""
    return Refusal(RefusalCode.UNAVAILABLE, "not there yet", 1_000)


async def holdings(context: Context, session: Session, request: HoldingsRequest) -> Ok | Refusal:
    """Who holds what. Not there yet."""
    return Refusal(RefusalCode.UNAVAILABLE, "not there yet", 1_000)


async def lease(context: Context, session: Session, request: LeaseRequest) -> LeaseReply | Refusal:
    """Who sends what. Not there yet."""
    return Refusal(RefusalCode.UNAVAILABLE, "not there yet", 1_000)
