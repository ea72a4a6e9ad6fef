"""What the host does: invite users, list what there is. Reached from the machine itself, never from the network."""

from dataclasses import dataclass

from coordinator.ports import Clock, Entropy, MetadataStore
from protocol.ids import DeviceId, UserId, WorkspaceId


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
    """Make an invitation for a user of this name; a sentence where that is not possible (the name is taken)."""
    raise NotImplementedError


async def users(metadata: MetadataStore) -> list[UserRow]:
    """All users by name."""
    raise NotImplementedError


async def devices(metadata: MetadataStore) -> list[DeviceRow]:
    """All devices by user and name."""
    raise NotImplementedError


async def workspaces(metadata: MetadataStore) -> list[WorkspaceRow]:
    """All workspaces by owner and id."""
    raise NotImplementedError
