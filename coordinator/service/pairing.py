"""Pairing: a device admits a key for one more device of its user and leaves a sealed bundle for it."""

from typing import Final

from coordinator.ports import ChainGrew, Transaction
from coordinator.records import Device
from coordinator.records import Pairing as PairingRecord
from coordinator.service import access, chains
from coordinator.service.context import Context, Session
from protocol import limits
from protocol.chains import UserChain
from protocol.ids import DeviceId
from protocol.messages import Joined, Ok, Pairing, PairingOffer, PairingRequest, PairRequest, Refusal, RefusalCode
from protocol.model import DevicePaired, PairingAdmitted

LONGEST_MS: Final = 30 * 24 * 3600 * 1000 + 3600 * 1000
"""How long a pairing may stay open, with an hour for a device's clock that is ahead."""
OPEN_PAIRINGS: Final = 50
"""Most pairings that a user may have open at once."""


async def offer(context: Context, session: Session, request: PairingOffer) -> Ok | Refusal:
    """Append the `PairingAdmitted` link, by the asking device itself, and keep the bundle until it expires.

    Sent again it is answered the same. Refuses `malformed`, `denied`, `rate_limited` (too many open ones), and
    `conflict` where the chain has moved on (read it and sign anew).
    """
    now_ms = context.clock.now_ms()
    done = await context.metadata.run(lambda transaction: _offer(context, transaction, session, request, now_ms))
    return _tell(context, done)


def _offer(
    context: Context, transaction: Transaction, session: Session, request: PairingOffer, now_ms: int
) -> ChainGrew | Ok | Refusal:
    people = transaction.people
    device = access.active_device(transaction, session)
    if isinstance(device, Refusal):
        return device
    body = request.link.link.body
    if not isinstance(body, PairingAdmitted) or body.author != device.device:
        return Refusal(RefusalCode.DENIED, "a pairing is offered by the device that signed it")
    known = people.pairing(request.lookup)
    if known is not None:
        same = known.user == device.user and known.sign == body.pairing_sign
        return Ok() if same else Refusal(RefusalCode.CONFLICT, "this pairing exists already")
    if body.expires <= now_ms:
        return Refusal(RefusalCode.EXPIRED, "this pairing has expired")
    if body.expires > now_ms + LONGEST_MS:
        return Refusal(RefusalCode.DENIED, "a pairing is open for 30 days at most")
    if len(people.open_pairings(device.user, now_ms)) >= OPEN_PAIRINGS:
        return Refusal(RefusalCode.RATE_LIMITED, "too many pairings are open")
    chain = chains.extend(transaction, device.user, request.link, context.hashes)
    if isinstance(chain, Refusal):
        return chain
    people.add_link(device.user, request.link, chain.last)
    people.forget_bundles(device.user, now_ms)
    recipient = body.pairing_box[:16]
    people.add_pairing(
        PairingRecord(request.lookup, device.user, body.pairing_sign, recipient, body.expires, request.bundle, None)
    )
    return _grown(transaction, chain)


async def open_offer(context: Context, request: PairingRequest) -> Pairing | Refusal:
    """The chain and the bundle under a lookup id. Refuses `not_found`, `used`, `expired`. No session needed."""
    now_ms = context.clock.now_ms()

    def read(transaction: Transaction) -> Pairing | Refusal:
        found = _usable(transaction.people.pairing(request.lookup), now_ms)
        if isinstance(found, Refusal):
            return found
        return Pairing(transaction.people.links(found.user, 0, limits.CHAIN_LINKS), found.bundle)

    return await context.metadata.read(read)


async def use(context: Context, request: PairRequest) -> Joined | Refusal:
    """Append the `DevicePaired` link; uses the pairing up. Sent again, answered the same. No session needed.

    Refuses `not_found`, `used`, `expired`, `malformed`, `denied`, `conflict` (the chain moved on, or a name in use).
    """
    now_ms = context.clock.now_ms()
    done = await context.metadata.run(lambda transaction: _use(context, transaction, request, now_ms))
    if isinstance(done, Refusal):
        return done
    joined, notice = done
    if notice is not None:
        context.notifier.publish(notice)
    return joined


def _use(
    context: Context, transaction: Transaction, request: PairRequest, now_ms: int
) -> tuple[Joined, ChainGrew | None] | Refusal:
    people = transaction.people
    body = request.link.link.body
    if not isinstance(body, DevicePaired):
        return Refusal(RefusalCode.MALFORMED, "a pairing is used by a link that adds a device")
    keys = body.device
    device = DeviceId(context.hashes.device_id(keys.sign, keys.box, keys.tls))
    known = people.pairing(request.lookup)
    if known is not None and known.used_by == device:
        return Joined(known.user, device), None
    found = _usable(known, now_ms)
    if isinstance(found, Refusal):
        return found
    if body.pairing_sign != found.sign:
        return Refusal(RefusalCode.DENIED, "the link is for another pairing")
    names = {each.keys.name for each in people.devices(found.user)}
    if keys.name in names or people.device(device) is not None:
        return Refusal(RefusalCode.CONFLICT, "this device, or a device of this name, is known already")
    chain = chains.extend(transaction, found.user, request.link, context.hashes)
    if isinstance(chain, Refusal):
        return chain
    people.add_link(found.user, request.link, chain.last)
    people.add_device(Device(device, found.user, keys, found.recipient, True, now_ms, 0))
    people.use_pairing(request.lookup, device)
    return Joined(found.user, device), _grown(transaction, chain)


def _usable(found: PairingRecord | None, now_ms: int) -> PairingRecord | Refusal:
    if found is None:
        return Refusal(RefusalCode.NOT_FOUND, "no such pairing")
    if found.used_by is not None:
        return Refusal(RefusalCode.USED, "this pairing has been used")
    if found.expires <= now_ms:
        return Refusal(RefusalCode.EXPIRED, "this pairing has expired")
    return found


def _grown(transaction: Transaction, chain: UserChain) -> ChainGrew:
    audience = frozenset(device.device for device in transaction.people.devices(chain.user) if device.active)
    return ChainGrew(chain.user, chain.length, audience)


def _tell(context: Context, done: ChainGrew | Ok | Refusal) -> Ok | Refusal:
    if not isinstance(done, ChainGrew):
        return done
    context.notifier.publish(done)
    return Ok()
