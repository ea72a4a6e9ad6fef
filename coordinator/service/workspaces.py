"""What a device may mount: its user's workspaces, their heads, and keys left for devices."""

from collections.abc import Sequence
from typing import Final, NamedTuple

from coordinator.ports import Transaction
from coordinator.records import Workspace
from coordinator.service import access
from coordinator.service.context import Context, Session
from protocol.ids import DeviceId, LogHash, UserId, WorkspaceId
from protocol.messages import KeysDeposit, Ok, Refusal, WorkspaceInfo, Workspaces, WorkspacesRequest
from protocol.model import Role

MEMBERS: Final = 1_000
"""Most members that a listing names."""

FELLOWS: Final = 256
"""So many devices are looked at for whether they share a workspace with another one."""


class Head(NamedTuple):
    """Where a workspace's journal ends, and the last number of its set of versions that are not durable."""

    workspace: WorkspaceId
    seq: int
    log_hash: LogHash
    durability: int


class Standing(NamedTuple):
    """All that a device may be woken for: the heads of its user's workspaces and the length of the user's chain."""

    heads: tuple[Head, ...]
    chain_length: int


async def workspaces(context: Context, session: Session, request: WorkspacesRequest) -> Workspaces | Refusal:
    """The workspaces of the caller's user, with the keys left for this device or its pairing."""

    def read(transaction: Transaction) -> Workspaces | Refusal:
        device = access.active_device(transaction, session)
        if isinstance(device, Refusal):
            return device
        recipients = {bytes(device.device)} | ({device.pairing} if device.pairing else set())
        found = transaction.journals.workspaces_of(device.user)
        return Workspaces(tuple(_info(transaction, workspace, role, recipients) for workspace, role in found))

    return await context.metadata.read(read)


def _info(transaction: Transaction, workspace: Workspace, role: Role, recipients: set[bytes]) -> WorkspaceInfo:
    journals = transaction.journals
    (genesis,) = journals.rows(workspace.key, 0, 1, 0)
    return WorkspaceInfo(
        workspace=workspace.workspace,
        role=role,
        head_seq=workspace.head_seq,
        head_hash=workspace.head_hash,
        genesis=genesis.commit,
        keys=journals.keys(workspace.key, recipients),
        members=tuple(
            (user, _user_name(transaction, user), each) for user, each in journals.members(workspace.key)[:MEMBERS]
        ),
        stored_bytes=workspace.stored_bytes,
        entries=workspace.entries,
    )


def _user_name(transaction: Transaction, user: UserId) -> str:
    found = transaction.people.user(user)
    return "" if found is None else found.name


async def deposit_keys(context: Context, session: Session, request: KeysDeposit) -> Ok | Refusal:
    """Keep sealed keys for devices and pairings of the caller's own user that have none yet; others are ignored.

    From the second epoch on they replace what was kept. Keys older than the workspace's epoch are ignored: whoever has
    the newer ones leaves those.

    Refuses `not_found` to a non-member.
    """
    now_ms = context.clock.now_ms()

    def write(transaction: Transaction) -> Ok | Refusal:
        found = access.member(transaction, session, request.workspace)
        if isinstance(found, Refusal):
            return found
        if request.epoch < found.workspace.epoch:
            return Ok()
        people, user = transaction.people, found.device.user
        own = {bytes(device.device) for device in people.devices(user) if device.active}
        own |= {pairing.recipient for pairing in people.open_pairings(user, now_ms)}
        kept = [key for key in request.keys if key.recipient in own]
        transaction.journals.add_keys(found.workspace.key, kept, replace=found.workspace.epoch > 1)
        return Ok()

    return await context.metadata.run(write)


async def standing(context: Context, session: Session) -> Standing | Refusal:
    """For wake-ups: what the device would be told now. Refuses a device that is no longer active."""

    def read(transaction: Transaction) -> Standing | Refusal:
        device = access.active_device(transaction, session)
        if isinstance(device, Refusal):
            return device
        user = transaction.people.user(device.user)
        assert user is not None, "a device belongs to a user"
        found = transaction.journals.workspaces_of(device.user)
        heads = tuple(Head(each.workspace, each.head_seq, each.head_hash, each.durability) for each, _ in found)
        return Standing(heads, user.chain.length)

    return await context.metadata.read(read)


async def fellows(context: Context, session: Session, others: Sequence[Session]) -> frozenset[DeviceId] | Refusal:
    """Which of these devices are active and share a workspace with the caller. Refuses a device that is not active."""

    def read(transaction: Transaction) -> frozenset[DeviceId] | Refusal:
        device = access.active_device(transaction, session)
        if isinstance(device, Refusal):
            return device
        found, shares = set[DeviceId](), dict[UserId, bool]()
        for each in others[:FELLOWS]:
            other = transaction.people.device(each.device)
            if other is None or not other.active:
                continue
            if other.user not in shares:
                shares[other.user] = transaction.journals.shares_workspace(device.user, other.user)
            if shares[other.user]:
                found.add(other.device)
        return frozenset(found)

    return await context.metadata.read(read)
