"""What the judge and `domain.commit` read, over one transaction. Owns prefetching; decides nothing."""

from collections.abc import Collection, Iterable, Mapping, Sequence

from coordinator.ports import Transaction
from coordinator.records import ChangeHashes, Workspace
from protocol import codec, model
from protocol.ids import (
    NO_LOG,
    NO_WORKSPACE,
    BlockId,
    ChangeId,
    CommitDigest,
    DeviceId,
    EntryId,
    LinkHash,
    LogHash,
    NameKey,
    UserId,
)
from protocol.model import Change, Commit, Entries, Role
from protocol.rules import ChainState, Delta, DeviceState, EntryState, Hashes, WorkspaceState

EMPTY = WorkspaceState(NO_WORKSPACE, 0, NO_LOG, 1, CommitDigest(bytes(32)))


class JournalView:
    """A workspace's judge's state as stored (`rules.StateView`). Valid until something is appended."""

    def __init__(self, transaction: Transaction, workspace: Workspace | None) -> None:
        self._journals = transaction.journals
        self._key = None if workspace is None else workspace.key
        self.workspace = (
            EMPTY
            if workspace is None
            else WorkspaceState(
                workspace.workspace,
                workspace.head_seq,
                workspace.head_hash,
                workspace.epoch,
                workspace.last_control,
            )
        )
        self._entries: dict[EntryId, EntryState | None] = {}
        self._named: dict[tuple[EntryId, NameKey], Sequence[EntryId]] = {}
        self._devices: dict[DeviceId, DeviceState | None] = {}

    def prefetch(self, entries: Iterable[EntryId], names: Iterable[tuple[EntryId, NameKey]]) -> None:
        """Load heads and names in bulk."""
        if self._key is None:
            return
        self._load([entry for entry in set(entries) if entry not in self._entries])
        wanted = [pair for pair in set(names) if pair not in self._named]
        found: Mapping[tuple[EntryId, NameKey], Sequence[EntryId]] = self._journals.named(self._key, wanted)
        for pair in wanted:
            self._named[pair] = found.get(pair, ())
        self._load({entry for holders in found.values() for entry in holders if entry not in self._entries})

    def _load(self, entries: Collection[EntryId]) -> None:
        if not entries or self._key is None:
            return
        found = self._journals.heads(self._key, entries)
        for entry in entries:
            self._entries[entry] = found.get(entry)

    def entry(self, entry: EntryId) -> EntryState | None:
        """The entry's head, live or not."""
        if entry not in self._entries:
            self._load([entry])
        return self._entries.get(entry)

    def children(self, parent: EntryId, name_key: NameKey) -> Iterable[EntryId]:
        """Undeleted entries with this parent and name key."""
        if (parent, name_key) not in self._named:
            self.prefetch((), [(parent, name_key)])
        return self._named.get((parent, name_key), ())

    def device(self, device: DeviceId) -> DeviceState | None:
        """A device that this journal has added."""
        if self._key is None:
            return None
        if device not in self._devices:
            self._devices[device] = self._journals.device(self._key, device)
        return self._devices[device]

    def devices(self) -> Iterable[tuple[DeviceId, DeviceState]]:
        """All of them."""
        return () if self._key is None else self._journals.devices(self._key)

    def role(self, user: UserId) -> Role | None:
        """A member's role."""
        return None if self._key is None else self._journals.role(self._key, user)

    def chain(self, user: UserId) -> ChainState | None:
        """The longest chain seen of a user."""
        return None if self._key is None else self._journals.chain(self._key, user)

    def head_known(self, seq: int, log_hash: LogHash) -> bool:
        """Whether `log_hash` is this journal's at `seq`; all of it is kept."""
        return self._key is not None and self._journals.log_hash(self._key, seq) == log_hash

    def entries_since(self, seq: int) -> Iterable[tuple[EntryId, EntryState, CommitDigest]]:
        """Entries whose head was made after `seq`."""
        return () if self._key is None else self._journals.changed_since(self._key, seq)

    def accepted(self, digest: CommitDigest) -> tuple[int, LogHash] | None:
        """Where a commit with this digest stands."""
        place = None if self._key is None else self._journals.accepted(self._key, digest)
        return None if place is None else place[:2]


class CoordinatorKnowledge:
    """What only the coordinator knows (`domain.commit.Knowledge`), over one transaction."""

    def __init__(self, transaction: Transaction, workspace: Workspace | None = None) -> None:
        self._people = transaction.people
        self._blocks = transaction.blocks
        self._offers = transaction.offers
        self._workspace = workspace

    def missing(self, device: DeviceId, user: UserId, blocks: Collection[BlockId]) -> set[BlockId]:
        """Blocks that a commit of this device may not refer to."""
        usable = self._blocks.uploaded(device, blocks)
        rest = [block for block in blocks if block not in usable]
        usable |= self._blocks.referenced_by_user(user, rest)
        if self._workspace is not None and self._workspace.durability:
            usable -= self._offers.waiting(self._workspace.key, usable)
        return set(blocks) - (usable & self._blocks.stored(usable))

    def lacking(self, changes: Collection[ChangeId]) -> set[ChangeId]:
        """Those of these versions that lack any block: they are offered, or were when they were given up."""
        here = self._workspace
        return set() if here is None or not here.durability else self._offers.lacking(here.key, changes)

    def link_hash(self, user: UserId, position: int) -> LinkHash | None:
        """Hash of one link of a user's chain."""
        return self._people.link_hash(user, position)

    def active(self, device: DeviceId) -> bool:
        """Whether the device may act at all."""
        known = self._people.device(device)
        return known is not None and known.active

    def room(self, user: UserId, size_bytes: int) -> bool:
        """There are no quotas yet: always."""
        return True


def change_hashes(commit: Commit, delta: Delta, hashes: Hashes) -> list[ChangeHashes]:
    """What is stored of each change beside its bytes."""
    if not isinstance(commit.body, Entries):
        return []
    found = []
    for change, (_, state) in zip(commit.body.changes, delta.entries, strict=True):
        if isinstance(change, Change):
            lists = hashes.lists_hash(model.lists_bytes(change.added, change.removed))
            found.append(ChangeHashes(state.head, hashes.sealed_hash(change.sealed), lists))
        else:
            found.append(ChangeHashes(state.head, change.sealed_hash, change.lists_hash))
    return found


def commit_bytes(commit: Commit) -> int:
    """About how many bytes the commit takes on a journal page."""
    if not isinstance(commit.body, Entries):
        return 512 + len(codec.encode(commit.body))
    parts = (
        len(change.sealed) + len(change.added) + len(change.removed)
        for change in commit.body.changes
        if isinstance(change, Change)
    )
    return 512 + 256 * len(commit.body.changes) + sum(parts)
