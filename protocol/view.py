"""What the judge reads and what it answers. Owns the types of its state, its view of it, and its verdicts.

The judge's state is small: per entry the head version's clear facts, devices, roles, the longest chain seen of each
user, and a few numbers. A store implements `StateView`; `state.MemoryState` is the reference.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from protocol.ids import ChangeId, CommitDigest, DeviceId, EntryId, LinkHash, LogHash, NameKey, UserId, WorkspaceId
from protocol.messages import ChangeRefusal, CommitReason
from protocol.model import DeviceKeys, Kind, Role


class Hashes(Protocol):
    """The hashes and signatures of the protocol, handed in so that this package needs no keys.

    `crypto.journal_chain` and `crypto.identity` have them; every result is 32 bytes unless said.
    """

    def sealed_hash(self, sealed: bytes) -> bytes:
        """Hash of the sealed part of a change."""

    def lists_hash(self, lists: bytes) -> bytes:
        """Hash of `model.lists_bytes`."""

    def change_id(self, workspace: bytes, clear: bytes, sealed_hash: bytes, lists_hash: bytes) -> bytes:
        """Names an entry version."""

    def commit_digest(self, skeleton: bytes) -> bytes:
        """What a commit's author signs."""

    def log_hash(self, previous: bytes, digest: bytes) -> bytes:
        """The journal's chain."""

    def link_hash(self, link: bytes) -> bytes:
        """Hash of a link of a user's chain; its first 16 bytes, for the first link, are the user id."""

    def device_id(self, sign: bytes, box: bytes, tls: bytes) -> bytes:
        """16 bytes."""

    def verify_commit(self, public: bytes, digest: bytes, signature: bytes) -> bool:
        """Whether the signature over a commit digest holds."""

    def verify_link(self, public: bytes, link_hash: bytes, signature: bytes) -> bool:
        """Whether the signature over a chain link's hash holds."""


@dataclass(frozen=True, slots=True)
class EntryState:
    """The judge's knowledge of one entry: its head version's clear part and who made it, at which `seq`."""

    parent: EntryId
    kind: Kind
    name_key: NameKey
    deleted: bool
    head: ChangeId
    seq: int
    device: DeviceId


@dataclass(frozen=True, slots=True)
class DeviceState:
    """A device that this journal has added. `last_number` is its last accepted commit number."""

    user: UserId
    keys: DeviceKeys
    active: bool
    last_number: int


@dataclass(frozen=True, slots=True)
class ChainState:
    """The longest chain that this journal has seen of a user."""

    length: int
    last: LinkHash


@dataclass(frozen=True, slots=True)
class WorkspaceState:
    """The small part of the state. `seq` 0 with `NO_LOG` is the empty journal, before the genesis."""

    workspace: WorkspaceId
    seq: int
    log_hash: LogHash
    epoch: int
    last_control: CommitDigest


class StateView(Protocol):
    """Read access to the judge's state at the journal's head. Reads only; never blocks on the network."""

    @property
    def workspace(self) -> WorkspaceState:
        """The small part."""

    def entry(self, entry: EntryId) -> EntryState | None:
        """The entry's head, live or not; None where the journal never had it. The root is not an entry."""

    def children(self, parent: EntryId, name_key: NameKey) -> Iterable[EntryId]:
        """Entries, not deleted themselves, whose head has this parent and name key (at most a few)."""

    def device(self, device: DeviceId) -> DeviceState | None:
        """A device this journal knows."""

    def devices(self) -> Iterable[tuple[DeviceId, DeviceState]]:
        """All of them, active or not."""

    def role(self, user: UserId) -> Role | None:
        """A member's role."""

    def chain(self, user: UserId) -> ChainState | None:
        """The longest chain seen of a user."""

    def head_known(self, seq: int, log_hash: LogHash) -> bool:
        """Whether `log_hash` is this journal's at `seq` (True for those older than what is kept)."""

    def entries_since(self, seq: int) -> Iterable[tuple[EntryId, EntryState, CommitDigest]]:
        """Entries whose head was made after `seq`, with the digest of that commit."""

    def accepted(self, digest: CommitDigest) -> tuple[int, LogHash] | None:
        """Where a commit with this digest already stands in the journal."""


@runtime_checkable
class Prefetching(Protocol):
    """A `StateView` that can load in bulk. The judge says once, before reading, what it is going to ask for."""

    def prefetch(self, entries: Iterable[EntryId], names: Iterable[tuple[EntryId, NameKey]]) -> None:
        """`entry` will be asked for these (and for their ancestors), `children` for these pairs. A hint, no more."""


@dataclass(frozen=True, slots=True)
class Delta:
    """What an accepted commit changes in the judge's state. `None` where a part stays as it is."""

    workspace: WorkspaceState
    digest: CommitDigest
    entries: tuple[tuple[EntryId, EntryState], ...]
    devices: tuple[tuple[DeviceId, DeviceState], ...]
    roles: tuple[tuple[UserId, Role | None], ...]
    chains: tuple[tuple[UserId, ChainState], ...]


@dataclass(frozen=True, slots=True)
class Repeated:
    """This very commit is in the journal already; the answer is the one given then."""

    seq: int
    log_hash: LogHash


@dataclass(frozen=True, slots=True)
class Refused:
    """The commit is illegal here; nothing of it is taken."""

    reason: CommitReason
    last_number: int
    changes: tuple[ChangeRefusal, ...] = ()
    detail: str = ""


Verdict = Delta | Repeated | Refused
