"""What a plan consists of. Owns the operations' types; the engine carries them out, the tests play them.

Every operation names the values it was planned against, so that the plan can be dropped when they no longer hold.
Operations stand in waves: those of one wave commute; a wave starts when the one before it has ended. `effects.py` says
in code what each operation does to the trees.
"""

from collections.abc import Callable, Mapping, Set
from dataclasses import dataclass, field

from peer.fingerprint import Fingerprint
from peer.planner.trees import Attributes, Content, Earlier, Node
from protocol.ids import ChangeId, EntryId
from protocol.model import Kind


@dataclass(frozen=True, slots=True)
class Agreed:
    """What an entry's synced base says once an operation is done: the fields that advance; None leaves a field alone.

    Where there is no synced row yet, all fields that the kind has are given. `content_base` goes with `content`; in a
    `ProposeChange` it is None and stands for the id of the change itself.
    """

    location: tuple[EntryId, str] | None
    content: Content | None
    content_base: ChangeId | None
    attributes: Attributes | None


# --- on this disk ---------------------------------------------------------------------------------------
#
# `expected` is the fingerprint that the plan was made against. Where an earlier operation of the same plan touched the
# file, what that operation left counts instead. Parents are named by id: their paths are looked up when it is done.


@dataclass(frozen=True, slots=True)
class MakeDirectory:
    """Make a directory for `entry` at (`parent`, `name`), where nothing is."""

    entry: EntryId
    parent: EntryId
    name: str
    agreed: Agreed | None


@dataclass(frozen=True, slots=True)
class WriteContent:
    """Put the content of version `version` at (`parent`, `name`): a new file or symlink where `expected` is None, else
    in place of what has that fingerprint. `kept_as`: the conflicted copy, in the journal and on this disk, that has the
    bytes which are replaced."""

    entry: EntryId
    parent: EntryId
    name: str
    kind: Kind
    version: ChangeId
    content: Content
    attributes: Attributes | None
    expected: Fingerprint | None
    agreed: Agreed | None
    kept_as: EntryId | None = None


@dataclass(frozen=True, slots=True)
class MoveEntry:
    """Rename on disk to (`parent`, `name`), where nothing is.

    `intended` marks a parking move: `name` is a temporary one in the root (it begins with `PARKED`), and the place
    where the entry is meant to be is recorded in its local row before the rename. Without it the row's `intended` is
    cleared. `copy_of` is recorded in the local row where it is given.
    """

    entry: EntryId
    parent: EntryId
    name: str
    expected: Fingerprint | None
    intended: tuple[EntryId, str] | None
    copy_of: tuple[EntryId, ChangeId | None] | None
    agreed: Agreed | None


@dataclass(frozen=True, slots=True)
class RemoveEntry:
    """Remove a file, symlink or (empty but for ignored names) directory that still is as planned against. Its local
    row and its synced row go."""

    entry: EntryId
    kind: Kind
    expected: Fingerprint | None


@dataclass(frozen=True, slots=True)
class SetAttributes:
    """Set executable bit and mtime of a file whose content stays."""

    entry: EntryId
    attributes: Attributes
    expected: Fingerprint | None
    agreed: Agreed | None


@dataclass(frozen=True, slots=True)
class ForkEntry:
    """The content on disk under `entry` becomes the entry `fork` (a conflicted copy) at (`parent`, `name`): a rename on
    disk whose row changes id and takes `copy_of` in the same step. The synced row of `entry` goes in that step too,
    so that its absence is not taken for a deletion. `intended` as in `MoveEntry`."""

    entry: EntryId
    fork: EntryId
    parent: EntryId
    name: str
    copy_of: tuple[EntryId, ChangeId | None]
    expected: Fingerprint | None
    intended: tuple[EntryId, str] | None


# --- to the coordinator ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ProposeChange:
    """Propose `node` as the entry's next version, replacing `base` (None: a new entry). `content_from` says which
    version already has these bytes as blocks (None: they are read from this disk). `copy_of` as in the sealed body.

    Proposals may be cut into commits anywhere in the order of the plan, except that those with the same `group` go in
    one commit (`cut_commits`). Once accepted, the synced base advances by `agreed`; after a
    deletion the synced row goes.
    """

    entry: EntryId
    base: ChangeId | None
    node: Node
    content_from: ChangeId | None
    copy_of: tuple[EntryId, ChangeId | None] | None
    group: int | None
    agreed: Agreed | None


# --- in the local store only ----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class AdoptEntry:
    """What is on disk as `local` is the journal's (or will be) `entry`: the local row takes that id; local *and synced*
    rows that name `local` as their parent (or intended parent) name `entry` instead; a synced row of `local` goes.
    Nothing moves on disk."""

    local: EntryId
    entry: EntryId
    agreed: Agreed | None


@dataclass(frozen=True, slots=True)
class MarkSynced:
    """Record what both sides agree on, without any I/O. A row absent by design stays absent."""

    entry: EntryId
    kind: Kind
    agreed: Agreed


@dataclass(frozen=True, slots=True)
class ForgetEntry:
    """Drop the synced row: the entry is gone on both sides, or its absence here means nothing."""

    entry: EntryId


@dataclass(frozen=True, slots=True)
class MarkAbsent:
    """Record that the entry is absent from this disk by design, with the reason (a problem code)."""

    entry: EntryId
    kind: Kind
    agreed: Agreed
    reason: str


Operation = (
    MakeDirectory
    | WriteContent
    | MoveEntry
    | RemoveEntry
    | SetAttributes
    | ForkEntry
    | ProposeChange
    | AdoptEntry
    | MarkSynced
    | ForgetEntry
    | MarkAbsent
)

PARKED = ".shoal-parked-"
"""How the temporary name of a parked entry begins; its id in hexadecimal follows."""


@dataclass(frozen=True, slots=True)
class Conflict:
    """Both sides were kept: the local one under `copy_name`, as entry `copy`."""

    entry: EntryId
    copy: EntryId
    copy_name: str


@dataclass(frozen=True, slots=True)
class Undone:
    """A local move or deletion that gave way to the journal (`what`: `moved` or `deleted`); said in the log."""

    entry: EntryId
    what: str


@dataclass(frozen=True, slots=True)
class Brake:
    """With this plan `deletions` of `entries` would have been deleted lately; it waits until somebody confirms. `side`:
    `local` where they would go from this disk, `remote` where their deletion would be proposed."""

    side: str
    deletions: int
    entries: int


@dataclass(frozen=True, slots=True)
class Plan:
    """`target`: the merged tree, as the nodes in which it differs from any of the three trees (deleted ones marked).
    `waves` are in order; none where there is a brake. `withheld`: entries with local differences that this device may
    not propose. `settled`: members of `Trees.differing` for which there is nothing to do. `waiting`: entries edited
    here whose head is to be had before anything is decided."""

    target: tuple[Node, ...]
    waves: tuple[tuple[Operation, ...], ...]
    conflicts: tuple[Conflict, ...]
    undone: tuple[Undone, ...]
    brakes: tuple[Brake, ...]
    withheld: tuple[EntryId, ...]
    settled: tuple[EntryId, ...]
    waiting: tuple[EntryId, ...] = ()


@dataclass(frozen=True, slots=True)
class Lately:
    """What was deleted in the last while, for the brake: `local` from this disk, `remote` elsewhere because it was
    gone here. `most`: how many entries there were before, when there were most."""

    most: int = 0
    local: int = 0
    remote: int = 0


Derive = Callable[[str, tuple[bytes, ...]], EntryId]
"""A keyed hash of a label and byte strings, to an entry id. The same on every device of the workspace."""


@dataclass(frozen=True, slots=True)
class Policy:
    """What a plan depends on besides the trees. `date` (YYYY-MM-DD) dates conflicted copies of what has no mtime.

    `lately`: deletions that the brake counts besides those of the plan, so that many small plans are as one large one.
    `confirmed_deletions` lifts the brake. `rejected_deletions` takes deletions back instead: what was removed here
    comes back, what was removed elsewhere is proposed again. `waiting`: entries whose head nobody who can be reached is
    known to have: an edit of one waits, where it is. `untold`: entries of which another device is to say what
    becomes of them: nothing is done with one, as if it could not be read. `given_up`: entries that no journal has
    and whose author has taken them back: unless edited here they go. `earlier`: which version of an entry counts as the
    journal's content where nothing of the entry is here or was here, since nobody who can be reached has the head's.
    """

    may_write: bool
    device_name: str
    derive: Derive
    date: str = "1970-01-01"
    brake_entries: int = 100
    brake_ratio: float = 0.5
    lately: Lately = Lately()
    confirmed_deletions: bool = False
    rejected_deletions: bool = False
    waiting: Set[EntryId] = frozenset()
    untold: Set[EntryId] = frozenset()
    given_up: Set[EntryId] = frozenset()
    earlier: Mapping[EntryId, Earlier] = field(default_factory=dict)
