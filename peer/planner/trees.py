"""The three trees as the planner sees them. Owns the types of their nodes and the view through which they are read.

`remote` is the journal at the cursor, `synced` what this device last had in common with it, `local` the last scan
of the disk. The store implements `Trees` over its database; tests implement it over dictionaries.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from peer.fingerprint import Fingerprint
from protocol.ids import ChangeId, EntryId
from protocol.model import Kind


@dataclass(frozen=True, slots=True)
class Content:
    """What is compared of a file's or symlink's content: a keyed digest of its bytes (of its target), and its size."""

    digest: bytes
    size: int


@dataclass(frozen=True, slots=True)
class Attributes:
    """What is compared of a file besides its content."""

    executable: bool
    mtime_ns: int


@dataclass(frozen=True, slots=True)
class Node:
    """One entry in one tree, as values. `content` and `attributes` are None for a directory; `attributes` also for
    a symlink. `name` is the true (NFC) name."""

    entry: EntryId
    kind: Kind
    parent: EntryId
    name: str
    content: Content | None
    attributes: Attributes | None
    deleted: bool = False


@dataclass(frozen=True, slots=True)
class RemoteNode:
    """The journal's head version of an entry. `usable` is False where its sealed part is bad (`bad_change`), in which
    case `node` is the last good version. `copy_of` as in the sealed body."""

    node: Node
    head: ChangeId
    seq: int
    usable: bool = True
    copy_of: EntryId | None = None


@dataclass(frozen=True, slots=True)
class Earlier:
    """A version of a file before its head: what a device that has nothing of the entry shows until the head's content
    can be had."""

    version: ChangeId
    content: Content
    attributes: Attributes


@dataclass(frozen=True, slots=True)
class SyncedNode:
    """`base`: per field, the newest journal value applied, adopted or accepted here. `content_base`: the change id of
    the version that `base.content` was taken from. `shown`: what was last put on this disk, with its fingerprint;
    None for an entry that is absent by design (which counts as unchanged, never as a deletion)."""

    base: Node
    content_base: ChangeId | None
    shown: Fingerprint | None
    absent_by_design: bool = False


@dataclass(frozen=True, slots=True)
class LocalNode:
    """An entry as found on this disk. `disk_name` is the name there (it may differ from the true name by Unicode
    form or escaping); `intended` is where a parked entry is meant to go (parent, name), recorded before the move;
    `copy_of` is what a conflicted copy that was not proposed yet is a copy of, and the version it was edited from."""

    node: Node
    disk_name: str
    fingerprint: Fingerprint | None
    intended: tuple[EntryId, str] | None = None
    copy_of: tuple[EntryId, ChangeId | None] | None = None


class Trees(Protocol):
    """Read-only views of the three trees. A missing entry is None; a deleted one may be present and marked in
    `remote` and `synced`; `local` holds only what is there. `unknown` ones were not looked at (unreadable)."""

    def remote(self, entry: EntryId) -> RemoteNode | None:
        """The journal's view."""

    def synced(self, entry: EntryId) -> SyncedNode | None:
        """The common ancestor."""

    def local(self, entry: EntryId) -> LocalNode | None:
        """The disk's view."""

    def remote_children(self, parent: EntryId) -> Iterable[EntryId]:
        """Entries whose remote head is under `parent` and not itself deleted."""

    def synced_children(self, parent: EntryId) -> Iterable[EntryId]:
        """Entries whose synced base is under `parent` and not itself deleted."""

    def local_children(self, parent: EntryId) -> Iterable[EntryId]:
        """Entries on disk under `parent`."""

    def remote_named(self, parent: EntryId, name: str) -> EntryId | None:
        """The remote child of that name that is not itself deleted."""

    def local_named(self, parent: EntryId, name: str) -> EntryId | None:
        """The local child of that true name."""

    def later_with(self, entry: EntryId, base: Content, here: Content) -> Sequence[Attributes | None]:
        """The attributes of the versions with the content `here` that are later than all with the content `base`,
        oldest first. Empty where no version with `base` is known."""

    def unknown(self, entry: EntryId) -> bool:
        """Whether the disk could not be read there (the entry itself or a directory above it): then nothing is
        inferred from its absence, and nothing is done to it on disk."""

    def synced_count(self) -> int:
        """How many entries this device has in common with the journal; what the brake measures against."""

    def differing(self) -> Iterable[EntryId]:
        """Every entry whose own rows differ between any two trees (see `rows_differ`). It may hold more: an entry
        that the plan names as `settled` can be dropped from it until one of its rows changes."""


class ChangingTrees(Trees, Protocol):
    """Trees whose local and synced rows can be written."""

    def intended_for(self, parent: EntryId) -> Iterable[EntryId]:
        """Parked entries that are meant to go under `parent`."""

    def put_local(self, nodes: Iterable[LocalNode]) -> None:
        """Add or replace rows of the local tree."""

    def drop_local(self, entries: Sequence[EntryId]) -> None:
        """Remove rows of the local tree."""

    def put_synced(self, nodes: Iterable[SyncedNode]) -> None:
        """Add or replace rows of the synced tree."""

    def drop_synced(self, entries: Sequence[EntryId]) -> None:
        """Remove rows of the synced tree."""


def later_of(
    versions: Iterable[tuple[Content | None, Attributes | None]], base: Content, here: Content
) -> list[Attributes | None]:
    """`Trees.later_with` over all versions of an entry that have a content, oldest first."""
    found: list[Attributes | None] | None = None
    for content, attributes in versions:
        if content == base:
            found = []
        elif content == here and found is not None:
            found.append(attributes)
    return found or []


def rows_differ(remote: RemoteNode | None, synced: SyncedNode | None, local: LocalNode | None) -> bool:
    """Whether an entry belongs to `Trees.differing`, from its own three rows alone.

    An entry without synced and local row that is not deleted itself counts as differing although a directory above it
    may be deleted; the first plan settles it.
    """
    if synced is None:
        return local is not None or (remote is not None and not remote.node.deleted)
    if remote is None or remote.node.deleted or remote.node != synced.base:
        return True
    if local is None:
        return not synced.absent_by_design
    return local.intended is not None or local.node != synced.base
