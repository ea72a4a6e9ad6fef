"""What a plan consists of. Owns the operations' types; the engine carries them out, the tests play them.

Every operation names the values it was planned against, so that the plan can be dropped when they no longer hold.
Operations stand in waves: those of one wave commute; a wave starts when the one before it has ended.
"""

from dataclasses import dataclass

from peer.fingerprint import Fingerprint
from peer.planner.trees import Attributes, Content, Node
from protocol.ids import ChangeId, EntryId
from protocol.model import Kind

# --- on this disk ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class MakeDirectory:
    """Make a directory for `entry` at (`parent`, `name`), where nothing is."""

    entry: EntryId
    parent: EntryId
    name: str


@dataclass(frozen=True, slots=True)
class WriteContent:
    """Put the content of version `version` at (`parent`, `name`): a new file or symlink where `expected` is None, else
    in place of what has that fingerprint."""

    entry: EntryId
    parent: EntryId
    name: str
    kind: Kind
    version: ChangeId
    content: Content
    attributes: Attributes | None
    expected: Fingerprint | None


@dataclass(frozen=True, slots=True)
class MoveEntry:
    """Rename on disk. `park` marks a move to a temporary name below `.shoal`-free siblings whose intended place,
    (`intended_parent`, `intended_name`), is recorded before the rename."""

    entry: EntryId
    parent: EntryId
    name: str
    expected: Fingerprint | None
    intended: tuple[EntryId, str] | None = None


@dataclass(frozen=True, slots=True)
class RemoveEntry:
    """Remove a file, symlink or (empty but for ignored names) directory that still is as planned against."""

    entry: EntryId
    kind: Kind
    expected: Fingerprint | None


@dataclass(frozen=True, slots=True)
class SetAttributes:
    """Set executable bit and mtime of a file whose content stays."""

    entry: EntryId
    attributes: Attributes
    expected: Fingerprint


# --- to the coordinator ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ProposeChange:
    """Propose `node` as the entry's next version, replacing `base` (None: a new entry). `content_from` says which
    version already has these bytes as blocks (None: they are read from this disk). `copy_of` as in the sealed body."""

    entry: EntryId
    base: ChangeId | None
    node: Node
    content_from: ChangeId | None
    copy_of: tuple[EntryId, ChangeId | None] | None = None


# --- in the local store only ----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class AdoptEntry:
    """What is on disk as `local` is the journal's `entry`: the local row takes its id, nothing moves."""

    local: EntryId
    entry: EntryId


@dataclass(frozen=True, slots=True)
class ForkEntry:
    """The content on disk under `entry` becomes the entry `fork` (a conflicted copy), at its new name: a rename of the
    file on disk to (`parent`, `name`) whose row changes id in the same step; `entry` is then absent locally."""

    entry: EntryId
    fork: EntryId
    parent: EntryId
    name: str
    base: ChangeId | None
    expected: Fingerprint | None


@dataclass(frozen=True, slots=True)
class MarkSynced:
    """Record that both sides agree on `base` (its fields as given), without any I/O."""

    entry: EntryId
    base: Node
    content_base: ChangeId | None


@dataclass(frozen=True, slots=True)
class ForgetEntry:
    """Drop the synced row: the entry is gone on both sides."""

    entry: EntryId


@dataclass(frozen=True, slots=True)
class MarkAbsent:
    """Record that the entry is absent from this disk by design, with the reason (a problem code)."""

    entry: EntryId
    base: Node
    content_base: ChangeId | None
    reason: str


Operation = (
    MakeDirectory
    | WriteContent
    | MoveEntry
    | RemoveEntry
    | SetAttributes
    | ProposeChange
    | AdoptEntry
    | ForkEntry
    | MarkSynced
    | ForgetEntry
    | MarkAbsent
)


@dataclass(frozen=True, slots=True)
class Conflict:
    """Both sides were kept: the local one under `copy_name`, as entry `copy`."""

    entry: EntryId
    copy: EntryId
    copy_name: str


@dataclass(frozen=True, slots=True)
class Undone:
    """A local move or deletion that gave way to the journal; said in the log (and as `move_undone`)."""

    entry: EntryId
    what: str


@dataclass(frozen=True, slots=True)
class Brake:
    """The plan would delete `deletions` of `entries`; it waits until somebody confirms. `side`: `local` or `remote`."""

    side: str
    deletions: int
    entries: int


@dataclass(frozen=True, slots=True)
class Plan:
    """`target`: the merged tree, as the nodes that differ from any of the three trees. `waves` are in order."""

    target: tuple[Node, ...]
    waves: tuple[tuple[Operation, ...], ...]
    conflicts: tuple[Conflict, ...]
    undone: tuple[Undone, ...]
    brakes: tuple[Brake, ...]


@dataclass(frozen=True, slots=True)
class Policy:
    """What a plan depends on besides the trees."""

    may_write: bool
    device_name: str
    brake_entries: int = 100
    brake_ratio: float = 0.5
    confirmed_deletions: bool = False
