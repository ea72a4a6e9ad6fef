"""What a transaction offers: typed reads and writes of the coordinator's records.

Owns the row types and the protocols of the five groups. Never decides anything: a write here has been decided.
Lookups of many keys answer with those found. Times are milliseconds since 1970.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from protocol.ids import BlockId, ChangeId, CommitDigest, DeviceId, EntryId, LinkHash, LogHash, NameKey, UserId
from protocol.ids import WorkspaceId as Wid
from protocol.model import Commit, DeviceKeys, JournalRow, Role, SealedKey, SignedLink
from protocol.offered import Mark
from protocol.rules import ChainState, Delta, DeviceState, EntryState


class BlockPlace(NamedTuple):
    """Where a block lies in the block store: segment name, offset and length in bytes."""

    segment: str
    offset: int
    length: int


@dataclass(frozen=True, slots=True)
class User:
    """One user; `chain_*` is the end of their chain."""

    user: UserId
    name: str
    admin: bool
    active: bool
    created: int
    chain: ChainState


@dataclass(frozen=True, slots=True)
class Device:
    """One device of a user. `pairing` is the recipient id of the pairing it came from, if any."""

    device: DeviceId
    user: UserId
    keys: DeviceKeys
    pairing: bytes | None
    active: bool
    created: int
    last_seen: int


@dataclass(frozen=True, slots=True)
class Invitation:
    """A key that may make one user of this name."""

    public: bytes
    name: str
    admin: bool
    created: int
    expires: int
    used_by: UserId | None


@dataclass(frozen=True, slots=True)
class Pairing:
    """A key that may add one device to a user, and what was left for it."""

    lookup: bytes
    user: UserId
    sign: bytes
    recipient: bytes
    expires: int
    bundle: bytes
    used_by: DeviceId | None


class People(Protocol):
    """Users, devices, invitations, pairings."""

    def user(self, user: UserId) -> User | None:
        """By id."""

    def user_named(self, name: str) -> User | None:
        """By exact name."""

    def users(self) -> list[User]:
        """All of them by name."""

    def add_user(self, user: User) -> None:
        """A new one; links are added apart."""

    def links(self, user: UserId, start: int, count: int) -> tuple[SignedLink, ...]:
        """The chain's links from `start` on, at most `count`."""

    def link_hash(self, user: UserId, position: int) -> LinkHash | None:
        """Hash of one link."""

    def add_link(self, user: UserId, link: SignedLink, link_hash: LinkHash) -> None:
        """Extend the chain by one; the user's end moves along."""

    def device(self, device: DeviceId) -> Device | None:
        """By id."""

    def devices(self, user: UserId) -> list[Device]:
        """A user's, by name."""

    def all_devices(self) -> list[Device]:
        """Everybody's."""

    def add_device(self, device: Device) -> None:
        """A new one."""

    def seen(self, device: DeviceId, at: int) -> None:
        """The device was here."""

    def revoke_device(self, device: DeviceId) -> None:
        """It may do nothing any more, for good."""

    def invitation(self, public: bytes) -> Invitation | None:
        """By its public key."""

    def withdraw_invitations(self, name: str, now: int) -> None:
        """Unused ones for this name expire now."""

    def add_invitation(self, invitation: Invitation) -> None:
        """A new one."""

    def use_invitation(self, public: bytes, user: UserId) -> None:
        """It has been used by this user."""

    def pairing(self, lookup: bytes) -> Pairing | None:
        """By its lookup id."""

    def open_pairings(self, user: UserId, now: int) -> list[Pairing]:
        """A user's unused and unexpired ones."""

    def forget_bundles(self, user: UserId, now: int) -> None:
        """What was left for a user's expired pairings."""

    def withdraw_pairing(self, lookup: bytes, now: int) -> None:
        """It expires now, and the bundle is forgotten."""

    def add_pairing(self, pairing: Pairing) -> None:
        """A new one."""

    def use_pairing(self, lookup: bytes, device: DeviceId) -> None:
        """It has added this device; the bundle is forgotten."""


@dataclass(frozen=True, slots=True)
class Workspace:
    """A workspace and its journal's head. `key` is its number inside this store."""

    key: int
    workspace: Wid
    owner: UserId
    salt: bytes
    head_seq: int
    head_hash: LogHash
    epoch: int
    last_control: CommitDigest
    received: int
    entries: int
    stored_bytes: int
    durability: int


class ChangeHashes(NamedTuple):
    """What was computed of one change when it was judged."""

    change_id: ChangeId
    sealed_hash: bytes
    lists_hash: bytes


class Appended(NamedTuple):
    """An accepted commit on its way into the journal. `hashes`: one a change; none for a control commit.

    The workspace does not refer to the blocks in `missing`, though the commit adds them: they are still to come.
    """

    commit: Commit
    delta: Delta
    hashes: Sequence[ChangeHashes]
    received: int
    size: int
    missing: frozenset[BlockId] = frozenset()


class Journals(Protocol):
    """Workspaces, commits, entry heads, members, sealed keys. `key` is a `Workspace.key`."""

    def workspace(self, workspace: Wid) -> Workspace | None:
        """By id."""

    def workspaces(self) -> list[Workspace]:
        """All of them."""

    def workspaces_of(self, user: UserId) -> list[tuple[Workspace, Role]]:
        """Those that the user is a member of."""

    def shares_workspace(self, one: UserId, other: UserId) -> bool:
        """Whether two users are members of one workspace."""

    def role(self, key: int, user: UserId) -> Role | None:
        """A member's role."""

    def members(self, key: int) -> list[tuple[UserId, Role]]:
        """All members."""

    def device(self, key: int, device: DeviceId) -> DeviceState | None:
        """A device that the journal has added."""

    def devices(self, key: int) -> list[tuple[DeviceId, DeviceState]]:
        """All of them."""

    def audience(self, key: int) -> frozenset[DeviceId]:
        """All active devices of its members, whether the journal has added them or not."""

    def chain(self, key: int, user: UserId) -> ChainState | None:
        """The longest chain that the journal has seen of a user."""

    def heads(self, key: int, entries: Collection[EntryId]) -> dict[EntryId, EntryState]:
        """Head versions."""

    def named(
        self, key: int, names: Collection[tuple[EntryId, NameKey]]
    ) -> Mapping[tuple[EntryId, NameKey], Sequence[EntryId]]:
        """Undeleted entries by parent and name key."""

    def changed_since(self, key: int, seq: int) -> Iterable[tuple[EntryId, EntryState, CommitDigest]]:
        """Entries whose head is later than `seq`."""

    def log_hash(self, key: int, seq: int) -> LogHash | None:
        """The journal's hash after commit `seq`; None where it has none."""

    def accepted(self, key: int, digest: CommitDigest) -> tuple[int, LogHash, int] | None:
        """`seq`, `log_hash` and received time of a commit with this digest."""

    def rows(self, key: int, after: int, count: int, size_bytes: int) -> tuple[JournalRow, ...]:
        """Commits after `after` in order: at least one where there is one, at most `count`, about `size_bytes`."""

    def create(self, workspace: Wid, owner: UserId, salt: bytes) -> int:
        """A workspace with an empty journal; returns its key."""

    def append(self, key: int, appended: Appended) -> None:
        """The commit becomes the head, with all that its delta says. Raises where it does not fit the tables."""

    def keys(self, key: int, recipients: Collection[bytes]) -> tuple[SealedKey, ...]:
        """What is sealed to these."""

    def add_keys(self, key: int, keys: Iterable[SealedKey], *, replace: bool = False) -> None:
        """Keep sealed keys; a recipient who has one keeps it, unless they `replace` it."""


class BlockIndex(Protocol):
    """Which blocks are stored where, who uploaded them, which workspaces refer to them. Damaged ones are absent."""

    def stored(self, blocks: Collection[BlockId]) -> set[BlockId]:
        """Those that are stored."""

    def places(self, blocks: Collection[BlockId]) -> dict[BlockId, BlockPlace]:
        """Where they lie."""

    def uploaded(self, device: DeviceId, blocks: Collection[BlockId]) -> set[BlockId]:
        """Those that this device sent."""

    def referenced(self, key: int, blocks: Collection[BlockId]) -> set[BlockId]:
        """Those that a version of this workspace refers to."""

    def referenced_by_user(self, user: UserId, blocks: Collection[BlockId]) -> set[BlockId]:
        """Those that a version in any of the user's workspaces refers to."""

    def add(self, places: Mapping[BlockId, BlockPlace]) -> int:
        """Index blocks; one that is stored keeps its place. Returns how many were new."""

    def add_uploads(self, device: DeviceId, blocks: Collection[BlockId], at: int) -> None:
        """The device sent these."""

    def damaged(self, blocks: Collection[BlockId]) -> None:
        """Their bytes did not verify."""


@dataclass(frozen=True, slots=True)
class NewOffer:
    """A version that is committed and may not be durable. It lacks `own`, and what `base` lacks without `removed`.

    `counted`: its author is taken to have the bytes; so are `holders`.
    """

    change: ChangeId
    own: frozenset[BlockId]
    base: ChangeId | None
    removed: frozenset[BlockId]
    counted: bool
    holders: frozenset[DeviceId]


@dataclass(frozen=True, slots=True)
class OpenOffer:
    """A version that is offered. `holders` are all that said so; `able` those of them that are still to be had.

    `present`: its author is an active device of a member, last seen at `last_seen`.
    """

    change: ChangeId
    author: DeviceId
    counted: bool
    present: bool
    last_seen: int
    holders: frozenset[DeviceId]
    able: frozenset[DeviceId]


class Offers(Protocol):
    """The set of versions that are not durable, workspace by workspace; what they lack, and who has their bytes.

    Each change of a version's standing takes the workspace's next number (`Workspace.durability`).
    """

    def offer(self, key: int, author: DeviceId, offers: Sequence[NewOffer]) -> None:
        """These were committed, with bases that were before. One that lacks nothing is durable and left out."""

    def stored(self, key: int, blocks: Collection[BlockId]) -> list[ChangeId]:
        """These are stored, and their bytes were sent to the workspace: whatever lacked them lacks them no more.

        Returns the versions that are durable by that, the longest offered first. What versions added is referred to.
        """

    def give_up(self, key: int, changes: Collection[ChangeId]) -> list[ChangeId]:
        """They will never be stored; returns those that were offered. What they lack is still known of them."""

    def lacking(self, key: int, changes: Collection[ChangeId]) -> set[ChangeId]:
        """Those of these versions that lack anything: they are offered, or were when they were given up."""

    def waiting(self, key: int, blocks: Collection[BlockId]) -> set[BlockId]:
        """Those that some version lacks."""

    def open(self, key: int, changes: Collection[ChangeId] | None = None) -> list[OpenOffer]:
        """Those of these versions (or all) that are offered, the longest offered first."""

    def marks(self, key: int, after: int, last: int, most: int, *, whole: bool) -> list[Mark]:
        """Changes with numbers after that, in order; where `whole`, without those of durable versions but the last."""

    def hold(self, key: int, device: DeviceId, changes: Collection[ChangeId]) -> None:
        """The device has the bytes of these; those that are not offered are passed over."""

    def let_go(self, key: int, device: DeviceId, changes: Collection[ChangeId]) -> None:
        """It has them no more."""

    def begin_anew(self, key: int, beyond: int) -> None:
        """Numbers told before are not to be told again: the last one rises to `beyond` or more, where there is one."""


class Facts(Protocol):
    """Small named values about this database itself."""

    def get(self, name: str) -> bytes | None:
        """One value."""

    def put(self, name: str, value: bytes) -> None:
        """Set it."""
