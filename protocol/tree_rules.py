"""What a commit's changes do to the tree, and whether the tree stays one. Owns rules 4 to 6; never looks at signatures.

All changes of a commit are judged together on the *resulting* state (the state with all of them applied), so that a
swap of two names needs no third one. Work is bounded by the changes, the distance from each to the root, and, where a
directory is deleted, the entries changed since its author last looked.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from protocol import limits
from protocol.ids import ROOT, ChangeId, DeviceId, EntryId, NameKey
from protocol.messages import ChangeReason, ChangeRefusal
from protocol.model import AnyChange, Change, Clear, Header, Kind, clear_bytes
from protocol.view import EntryState, Hashes, Prefetching, StateView

NAMED_IDS: Final = 1_000
"""A refusal of one change names at most so many entries."""

_CYCLE: Final = -1
_GONE: Final = -2


@dataclass(slots=True)
class Proposal:
    """The changes of one commit and the ids of the versions that they would make."""

    header: Header
    changes: tuple[AnyChange, ...]
    change_ids: tuple[ChangeId, ...]
    by_entry: dict[EntryId, Clear] = field(init=False)

    def __post_init__(self) -> None:
        self.by_entry = {change.clear.entry: change.clear for change in self.changes}

    def states(self, seq: int) -> tuple[tuple[EntryId, EntryState], ...]:
        """The entries as they are once the commit stands at `seq`."""
        device: DeviceId = self.header.device
        return tuple(
            (clear.entry, EntryState(clear.parent, clear.kind, clear.name_key, clear.deleted, head, seq, device))
            for clear, head in (
                (change.clear, head) for change, head in zip(self.changes, self.change_ids, strict=True)
            )
        )


def change_ids(
    workspace: bytes, changes: tuple[AnyChange, ...], change_hashes: tuple[tuple[bytes, bytes], ...], hashes: Hashes
) -> tuple[ChangeId, ...]:
    """The id of each change, from the hashes of its sealed part and lists."""
    return tuple(
        ChangeId(hashes.change_id(workspace, clear_bytes(change.clear), *pair))
        for change, pair in zip(changes, change_hashes, strict=True)
    )


def judge_changes(state: StateView, proposal: Proposal) -> tuple[ChangeRefusal, ...]:
    """The refused changes, each with the first rule that it breaks; none where all are legal."""
    if isinstance(state, Prefetching):
        clears = [change.clear for change in proposal.changes]
        wanted = dict.fromkeys(entry for clear in clears for entry in (clear.entry, clear.parent))
        state.prefetch(wanted, dict.fromkeys((clear.parent, clear.name_key) for clear in clears if not clear.deleted))
    refused: dict[EntryId, ChangeRefusal] = {}
    if len(proposal.by_entry) != len(proposal.changes):
        return _repeated(proposal)
    before, after = _Tree(state, {}), _Tree(state, proposal.by_entry)
    for change in proposal.changes:
        refusal = _alone(before, change, proposal.header) or _placed(after, change.clear, before)
        if refusal is not None:
            refused[change.clear.entry] = refusal
    for refusal in _name_refusals(after, proposal):
        refused.setdefault(refusal.entry, refusal)
    for refusal in _unseen_refusals(after, proposal):
        refused.setdefault(refusal.entry, refusal)
    return tuple(refused[entry] for entry in proposal.by_entry if entry in refused)


class _Tree:
    """The state with some entries replaced; remembers what it has looked up, and how deep each live directory lies."""

    def __init__(self, state: StateView, replaced: dict[EntryId, Clear]) -> None:
        self.state = state
        self.replaced = replaced
        self.looked_up: dict[EntryId, EntryState | None] = {}
        self.depths: dict[EntryId, int] = {ROOT: 0}

    def get(self, entry: EntryId) -> Clear | EntryState | None:
        clear = self.replaced.get(entry)
        return clear if clear is not None else self.old(entry)

    def old(self, entry: EntryId) -> EntryState | None:
        if entry not in self.looked_up:
            self.looked_up[entry] = self.state.entry(entry)
        return self.looked_up[entry]

    def depth(self, entry: EntryId) -> int:
        """How many names lie from the root to this directory, where it is live.

        `_GONE` where it or a directory above it is deleted, missing or no directory; `_CYCLE` where its parents are a
        cycle.
        """
        path: list[EntryId] = []
        on_path: set[EntryId] = set()
        at = entry
        while at not in self.depths:
            if at in on_path:
                return self._remember(path, _CYCLE)
            here = self.get(at)
            if here is None or here.deleted or here.kind is not Kind.DIRECTORY:
                return self._remember([*path, at], _GONE)
            path.append(at)
            on_path.add(at)
            at = here.parent
        return self._remember(path, self.depths[at])

    def _remember(self, path: list[EntryId], base: int) -> int:
        depth = base
        for entry in reversed(path):
            depth = base if base < 0 else depth + 1
            self.depths[entry] = depth
        return depth


def _alone(before: _Tree, change: AnyChange, header: Header) -> ChangeRefusal | None:
    """The rules that a change must keep whatever else is in the commit."""
    clear = change.clear
    known = before.old(clear.entry)
    head = known.head if known else None
    if clear.entry == ROOT or not _well_formed(change, header):
        return ChangeRefusal(clear.entry, ChangeReason.MALFORMED, head)
    if clear.base != head:
        return ChangeRefusal(clear.entry, ChangeReason.STALE, head)
    if known is None:
        return ChangeRefusal(clear.entry, ChangeReason.MALFORMED) if clear.deleted else None
    if known.kind is not clear.kind:
        return ChangeRefusal(clear.entry, ChangeReason.WRONG_KIND, head)
    if clear.deleted and (known.deleted or before.depth(known.parent) < 0):
        return ChangeRefusal(clear.entry, ChangeReason.NOT_LIVE, head)
    if clear.deleted and (clear.parent, clear.name_key) != (known.parent, known.name_key):
        return ChangeRefusal(clear.entry, ChangeReason.MALFORMED, head)
    return None


def _well_formed(change: AnyChange, header: Header) -> bool:
    clear = change.clear
    needs_seen = clear.deleted and clear.kind is Kind.DIRECTORY
    if needs_seen != (clear.seen is not None):
        return False
    if clear.seen is not None:
        seen = clear.seen
        if seen.seq > header.head_seq or len(set(seen.commits)) != len(seen.commits):
            return False
    if isinstance(change, Change):
        return _lists_well_formed(change)
    return True


def _lists_well_formed(change: Change) -> bool:
    clear = change.clear
    if len(change.added) % 32 or len(change.removed) % 32:
        return False
    if bool(change.added) != bool(clear.padded_bytes):
        return False
    if clear.deleted or clear.kind is not Kind.FILE:
        return not change.added and not change.removed
    if not change.added and not change.removed:
        return True
    added, removed = set(_ids(change.added)), set(_ids(change.removed))
    repeats = len(added) * 32 != len(change.added) or len(removed) * 32 != len(change.removed)
    return not repeats and added.isdisjoint(removed)


def _ids(joined: bytes) -> Iterator[bytes]:
    return (joined[at : at + 32] for at in range(0, len(joined), 32))


def _placed(after: _Tree, clear: Clear, before: _Tree) -> ChangeRefusal | None:
    """A change that leaves its entry undeleted leaves it live: below a live directory, and not below itself."""
    if clear.deleted:
        return None
    known = before.old(clear.entry)
    head = known.head if known else None
    above = after.depth(clear.parent)
    if above == _CYCLE:
        return ChangeRefusal(clear.entry, ChangeReason.CYCLE, head)
    if above == _GONE:
        return ChangeRefusal(clear.entry, ChangeReason.PARENT_GONE, head, (clear.parent,))
    moved = known is None or known.parent != clear.parent
    if moved and above >= limits.PATH_DEPTH:
        return ChangeRefusal(clear.entry, ChangeReason.TOO_DEEP, head)
    return None


def _name_refusals(after: _Tree, proposal: Proposal) -> Iterator[ChangeRefusal]:
    """No two entries that are not deleted have one parent and one name. Whoever had the name before keeps it."""
    staying: list[tuple[EntryId, tuple[EntryId, NameKey], ChangeId | None]] = []
    coming: list[tuple[EntryId, tuple[EntryId, NameKey], ChangeId | None]] = []
    for clear in proposal.by_entry.values():
        known = after.old(clear.entry)
        place = (clear.parent, clear.name_key)
        stays = known is not None and not known.deleted and (known.parent, known.name_key) == place
        if not clear.deleted:
            (staying if stays else coming).append((clear.entry, place, known.head if known else None))
    taken: dict[tuple[EntryId, NameKey], EntryId] = {place: entry for entry, place, _ in staying}
    for entry, place, head in coming:
        others = (other for other in after.state.children(*place) if other not in proposal.by_entry)
        holder = taken.get(place) or next(iter(others), None)
        if holder is None:
            taken[place] = entry
        else:
            yield ChangeRefusal(entry, ChangeReason.NAME_TAKEN, head, (holder,))


def _unseen_refusals(after: _Tree, proposal: Proposal) -> Iterator[ChangeRefusal]:
    """Found by walking up from every entry changed since, to the first directory that this commit deletes."""
    deleted = {clear.entry: clear for clear in proposal.by_entry.values() if clear.deleted and clear.seen is not None}
    if not deleted:
        return
    seen_seqs = {entry: clear.seen.seq for entry, clear in deleted.items() if clear.seen is not None}
    seen_commits = {entry: frozenset(clear.seen.commits) for entry, clear in deleted.items() if clear.seen is not None}
    ended_by = _EndedBy(after, deleted)
    unseen: dict[EntryId, list[EntryId]] = {}
    for entry, version, digest in after.state.entries_since(min(seen_seqs.values())):
        if version.device == proposal.header.device or version.deleted or entry in proposal.by_entry:
            continue
        end = ended_by.find(version.parent)
        if end is not None and version.seq > seen_seqs[end] and digest not in seen_commits[end]:
            unseen.setdefault(end, []).append(entry)
    for entry, ids in unseen.items():
        yield ChangeRefusal(entry, ChangeReason.UNSEEN, deleted[entry].base, tuple(sorted(ids)[:NAMED_IDS]))


class _EndedBy:
    """Which of the deleted directories, if any, is the first deleted one above an entry."""

    def __init__(self, after: _Tree, deleted: dict[EntryId, Clear]) -> None:
        self.after = after
        self.deleted = deleted
        self.known: dict[EntryId, EntryId | None] = {ROOT: None}

    def find(self, parent: EntryId) -> EntryId | None:
        path: list[EntryId] = []
        on_path: set[EntryId] = set()
        at, found = parent, None
        while True:
            if at in self.known:
                found = self.known[at]
                break
            here = self.after.get(at)
            if at in on_path or here is None:
                break
            path.append(at)
            on_path.add(at)
            if here.deleted:
                found = at if at in self.deleted else None
                break
            at = here.parent
        for entry in path:
            self.known[entry] = found
        return found


def _repeated(proposal: Proposal) -> tuple[ChangeRefusal, ...]:
    counts: dict[EntryId, int] = {}
    for change in proposal.changes:
        counts[change.clear.entry] = counts.get(change.clear.entry, 0) + 1
    return tuple(ChangeRefusal(entry, ChangeReason.MALFORMED) for entry, count in counts.items() if count > 1)
