"""Users: joining by invitation, their chains and devices."""

from coordinator.ports import Transaction
from coordinator.records import Device, Invitation, User
from coordinator.service import access, chains
from coordinator.service.context import Context, Session
from crypto.identity import verify
from crypto.labels import Label
from protocol import limits
from protocol.chains import UserChain
from protocol.ids import UserId
from protocol.messages import (
    ChainReply,
    ChainRequest,
    DeviceInfo,
    Devices,
    DevicesRequest,
    InvitationInfo,
    InvitationRequest,
    Joined,
    JoinRequest,
    Refusal,
    RefusalCode,
)


async def invitation(context: Context, request: InvitationRequest) -> InvitationInfo | Refusal:
    """The name an unused invitation was made for. Refuses `not_found`, `used`, `expired`. No session needed."""
    found = await context.metadata.read(lambda transaction: transaction.people.invitation(request.invitation))
    if found is not None and found.used_by is not None:
        return Refusal(RefusalCode.USED, "this invitation has been used")
    usable = _usable(found, context.clock.now_ms())
    return usable if isinstance(usable, Refusal) else InvitationInfo(usable.name, usable.expires)


async def join(context: Context, request: JoinRequest) -> Joined | Refusal:
    """Make the invited user with the first device; uses the invitation up. No session needed.

    Sent again with the same link it is answered the same. Refuses `not_found`, `used`, `expired`, `malformed` (a
    link that breaks the chain rules), `denied` (a signature or the name does not fit), `conflict` (known device).
    """
    chain = chains.founded(request.link, context.hashes)
    if isinstance(chain, Refusal):
        return chain
    if not verify(Label.SIGN_INVITE, request.invitation, chain.last, request.signature):
        return Refusal(RefusalCode.DENIED, "the invitation's signature does not hold")
    now_ms = context.clock.now_ms()
    return await context.metadata.run(lambda transaction: _join(transaction, request, chain, now_ms))


def _join(transaction: Transaction, request: JoinRequest, chain: UserChain, now_ms: int) -> Joined | Refusal:
    people = transaction.people
    ((device, first),) = chain.devices.items()
    found = people.invitation(request.invitation)
    if found is not None and found.used_by is not None:
        if found.used_by == chain.user:
            return Joined(chain.user, device)
        return Refusal(RefusalCode.USED, "this invitation has been used")
    usable = _usable(found, now_ms)
    if isinstance(usable, Refusal):
        return usable
    if usable.name != chain.name:
        return Refusal(RefusalCode.DENIED, "the invitation is for another name")
    if people.user_named(chain.name) is not None or people.device(device) is not None:
        return Refusal(RefusalCode.CONFLICT, "this user or device is known already")
    people.add_user(User(chain.user, chain.name, usable.admin, True, now_ms, chain.state))
    people.add_link(chain.user, request.link, chain.last)
    people.add_device(Device(device, chain.user, first.keys, None, True, now_ms, 0))
    people.use_invitation(request.invitation, chain.user)
    return Joined(chain.user, device)


def _usable(found: Invitation | None, now_ms: int) -> Invitation | Refusal:
    if found is None:
        return Refusal(RefusalCode.NOT_FOUND, "no such invitation")
    if found.expires <= now_ms:
        return Refusal(RefusalCode.EXPIRED, "this invitation has expired")
    return found


async def chain(context: Context, session: Session, request: ChainRequest) -> ChainReply | Refusal:
    """Links of the caller's own chain, or of a user who shares a workspace with the caller; else `not_found`."""

    def read(transaction: Transaction) -> ChainReply | Refusal:
        device = access.active_device(transaction, session)
        if isinstance(device, Refusal):
            return device
        allowed = request.user == device.user or transaction.journals.shares_workspace(device.user, request.user)
        if not allowed:
            return Refusal(RefusalCode.NOT_FOUND, "no such user")
        return ChainReply(transaction.people.links(request.user, request.start, limits.CHAIN_LINKS))

    return await context.metadata.read(read)


async def devices(context: Context, session: Session, request: DevicesRequest) -> Devices | Refusal:
    """The devices of the caller's own user."""

    def read(transaction: Transaction) -> Devices | Refusal:
        device = access.active_device(transaction, session)
        if isinstance(device, Refusal):
            return device
        user = transaction.people.user(device.user)
        assert user is not None, "a device belongs to a user"
        found = transaction.people.devices(user.user)
        found.sort(key=lambda each: not each.active)  # of very many the revoked ones are left out first
        return Devices(tuple(_info(each, user) for each in found[: limits.DEVICES_PER_USER]))

    return await context.metadata.read(read)


def _info(device: Device, user: User) -> DeviceInfo:
    return DeviceInfo(device.device, device.keys.name, UserId(user.user), user.name, device.active, device.last_seen)
