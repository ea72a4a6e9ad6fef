"""Revoking a device: from the moment the link is stored it is refused everything, and told why."""

from coordinator.ports import ChainGrew, DeviceDropped, Transaction
from coordinator.service import access, chains
from coordinator.service.context import Context, Session
from coordinator.service.offers import given_up_by
from protocol.messages import Ok, Refusal, RefusalCode, RevokeRequest
from protocol.model import Revocation, SignedLink, link_bytes


async def revoke(context: Context, session: Session, request: RevokeRequest) -> Ok | Refusal:
    """Append the `Revocation` link, by the asking device itself; what the other one has open is closed at once.

    Pairings that it admitted are withdrawn with it, and versions that only it would bring are given up. Sent again it
    is answered the same. Refuses `denied`, `malformed` (a link that breaks the chain rules) and `conflict` where the
    chain has moved on (read it and sign anew).
    """
    now_ms = context.clock.now_ms()
    done = await context.metadata.run(lambda transaction: _revoke(context, transaction, session, request.link, now_ms))
    body = request.link.link.body
    if isinstance(done, Refusal) or not isinstance(body, Revocation):
        return done if isinstance(done, Refusal) else Ok()
    context.tokens.drop(body.device)
    context.notifier.publish(DeviceDropped(body.device))
    if done is not None:
        context.notifier.publish(done)
    await given_up_by(context, body.device)
    return Ok()


def _revoke(
    context: Context, transaction: Transaction, session: Session, link: SignedLink, now_ms: int
) -> ChainGrew | Refusal | None:
    people = transaction.people
    device = access.active_device(transaction, session)
    if isinstance(device, Refusal):
        return device
    body = link.link.body
    if not isinstance(body, Revocation) or body.author != device.device:
        return Refusal(RefusalCode.DENIED, "a device is revoked by the device that signed it")
    if people.link_hash(device.user, link.link.index) == context.hashes.link_hash(link_bytes(link.link)):
        return None
    chain = chains.extend(transaction, device.user, link, context.hashes)
    if isinstance(chain, Refusal):
        return chain
    people.add_link(device.user, link, chain.last)
    people.revoke_device(body.device)
    chains.withdraw_pairings(transaction, chain, now_ms)
    audience = frozenset(each.device for each in people.devices(device.user) if each.active)
    return ChainGrew(device.user, chain.length, audience)
