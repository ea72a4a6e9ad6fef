"""What the host does: invite users, list what there is. Reached from the machine itself, never from the network."""

from dataclasses import dataclass

from coordinator import records
from coordinator.ports import Clock, Entropy, MetadataStore, Transaction
from crypto.invitation import SECRET_BYTES, InvitationKeys
from protocol.ids import DeviceId, UserId, WorkspaceId
from protocol.names import user_name_problem


@dataclass(frozen=True, slots=True)
class Invitation:
    """A new invitation. `secret` is shown once, in the code, and not kept. `expires` is in milliseconds."""

    secret: bytes
    user: str
    expires: int


@dataclass(frozen=True, slots=True)
class UserRow:
    """One user, for lists."""

    user: UserId
    name: str
    admin: bool
    devices: int
    created: int


@dataclass(frozen=True, slots=True)
class DeviceRow:
    """One device, for lists; `last_seen` is 0 where it never signed in."""

    device: DeviceId
    name: str
    user_name: str
    active: bool
    last_seen: int


@dataclass(frozen=True, slots=True)
class WorkspaceRow:
    """One workspace, for lists. Its name is sealed; the host sees ids, sizes and owners."""

    workspace: WorkspaceId
    owner: str
    members: int
    head_seq: int
    entries: int
    stored_bytes: int


async def invite(
    metadata: MetadataStore, clock: Clock, entropy: Entropy, name: str, *, admin: bool, lifetime_ms: int
) -> Invitation | str:
    """Make an invitation for a user of this name; a sentence where that is not possible.

    A name has one user and one open invitation at a time.
    """
    problem = user_name_problem(name)
    if problem is not None:
        return f"the name {problem}"
    secret = entropy.bytes(SECRET_BYTES)
    public = InvitationKeys.of(secret).sign.public
    now_ms = clock.now_ms()
    expires = now_ms + lifetime_ms

    def write(transaction: Transaction) -> str | None:
        people = transaction.people
        if people.user_named(name) is not None:
            return f"there is a user named {name} already; more devices are added with `shoal pair`"
        people.withdraw_invitations(name, now_ms)
        people.add_invitation(records.Invitation(public, name, admin, now_ms, expires, None))
        return None

    refusal = await metadata.run(write)
    return Invitation(secret, name, expires) if refusal is None else refusal


async def users(metadata: MetadataStore) -> list[UserRow]:
    """All users by name."""

    def read(transaction: Transaction) -> list[UserRow]:
        people = transaction.people
        return [
            UserRow(user.user, user.name, user.admin, len(people.devices(user.user)), user.created)
            for user in people.users()
        ]

    return await metadata.read(read)


async def devices(metadata: MetadataStore) -> list[DeviceRow]:
    """All devices by user and name."""

    def read(transaction: Transaction) -> list[DeviceRow]:
        names = {user.user: user.name for user in transaction.people.users()}
        rows = [
            DeviceRow(device.device, device.keys.name, names.get(device.user, ""), device.active, device.last_seen)
            for device in transaction.people.all_devices()
        ]
        return sorted(rows, key=lambda row: (row.user_name, row.name))

    return await metadata.read(read)


async def workspaces(metadata: MetadataStore) -> list[WorkspaceRow]:
    """All workspaces by owner and id."""

    def read(transaction: Transaction) -> list[WorkspaceRow]:
        names = {user.user: user.name for user in transaction.people.users()}
        rows = [
            WorkspaceRow(
                workspace=each.workspace,
                owner=names.get(each.owner, ""),
                members=len(transaction.journals.members(each.key)),
                head_seq=each.head_seq,
                entries=each.entries,
                stored_bytes=each.stored_bytes,
            )
            for each in transaction.journals.workspaces()
        ]
        return sorted(rows, key=lambda row: (row.owner, row.workspace))

    return await metadata.read(read)
