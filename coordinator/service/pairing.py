"""Pairing: a device admits a key for one more device of its user and leaves a sealed bundle for it."""

from coordinator.service.context import Context, Session
from protocol.messages import Joined, Ok, Pairing, PairingOffer, PairingRequest, PairRequest, Refusal


async def offer(context: Context, session: Session, request: PairingOffer) -> Ok | Refusal:
    """Append the `PairingAdmitted` link, by the asking device itself, and keep the bundle until it expires.

    Refuses `malformed`, `denied`, and `conflict` where the chain has moved on (read it and sign anew).
    """
    raise NotImplementedError


async def open_offer(context: Context, request: PairingRequest) -> Pairing | Refusal:
    """The chain and the bundle under a lookup id. Refuses `not_found`, `used`, `expired`. No session needed."""
    raise NotImplementedError


async def use(context: Context, request: PairRequest) -> Joined | Refusal:
    """Append the `DevicePaired` link; uses the pairing up. Sent again, answered the same. No session needed.

    Refuses `not_found`, `used`, `expired`, `malformed`, `denied`, `conflict` (the chain moved on, or a name in use).
    """
    raise NotImplementedError
