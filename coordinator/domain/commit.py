"""Accepting commits: the protocol's rules and what only the coordinator knows. Nothing else accepts one. Pure."""

from collections.abc import Collection, Set
from dataclasses import dataclass
from typing import Final, Protocol

from protocol.ids import BlockId, ChangeId, DeviceId, EntryId, LinkHash, UserId
from protocol.messages import ChangeReason, ChangeRefusal, CommitReason
from protocol.model import (
    Change,
    Commit,
    DeviceAdded,
    DeviceRevoked,
    Entries,
    Genesis,
    JournalRow,
    KeysRotated,
    SignedLink,
    link_bytes,
    split_ids,
)
from protocol.rules import Delta, Hashes, Refused, Repeated, StateView, judge, judge_row

Verdict = Delta | Repeated | Refused

REFUSED_IDS: Final = 20_000
"""Most ids that the refusal of one change names."""


class Knowledge(Protocol):
    """What only the coordinator knows. Reads only."""

    def missing(self, device: DeviceId, user: UserId, blocks: Collection[BlockId]) -> set[BlockId]:
        """Blocks that are not stored, or neither sent by the device nor referenced in a workspace of its user.

        And those that a version of this workspace lacks: with a list alone somebody may only have guessed at them, so
        that nobody else refers to them for it, without their bytes.
        """

    def lacking(self, changes: Collection[ChangeId]) -> Set[ChangeId]:
        """Those of these versions that lack any block: they are offered, or were when they were given up."""

    def link_hash(self, user: UserId, position: int) -> LinkHash | None:
        """Hash of one link of a user's chain."""

    def active(self, device: DeviceId) -> bool:
        """Whether the device may act at all."""

    def room(self, user: UserId, size_bytes: int) -> bool:
        """Whether a workspace of this owner may grow by so much."""


def decide(state: StateView, commit: Commit, hashes: Hashes, knowledge: Knowledge, owner: UserId) -> Verdict:
    """Whether `commit` may be appended to the journal that `state` shows; `owner` pays for what it stores.

    The blocks of a change that is marked as offered may come later (see `offers_of`).
    """
    verdict = judge(state, commit, hashes)
    if not isinstance(verdict, Delta):
        return verdict
    last_number = 0 if (device := state.device(commit.header.device)) is None else device.last_number
    if not knowledge.active(commit.header.device):
        return Refused(CommitReason.DENIED, last_number, detail="the device is not active")
    match commit.body:
        case (
            Genesis(owner=user, chain=chain)
            | DeviceAdded(user=user, chain=chain)
            | DeviceRevoked(user=user, chain=chain)
        ):
            if not _is_known(user, chain, hashes, knowledge):
                return Refused(CommitReason.DENIED, last_number, detail="the chain is not the one known here")
        case Entries() as body:
            return _decide_blocks(state, commit, body, verdict, knowledge, owner)
        case KeysRotated():
            pass
    return verdict


@dataclass(frozen=True, slots=True)
class Offered:
    """A version of an accepted commit that may not be durable: it lacks `own`, and what its base lacks.

    `own` are blocks that it adds. `base` is what it replaces where that lacks anything, without `removed`; else None.
    `claimed` says that the change itself is offered.
    """

    change: ChangeId
    own: frozenset[BlockId]
    base: ChangeId | None
    removed: frozenset[BlockId]
    claimed: bool


def offers_of(commit: Commit, delta: Delta, knowledge: Knowledge, *, handed_back: bool = False) -> tuple[Offered, ...]:
    """The versions of an accepted commit that may not be durable yet.

    Of a commit `handed_back` nobody has looked at the blocks, so each of them may be missing; of another one only those
    of changes that are offered.
    """
    body = commit.body
    if not isinstance(body, Entries):
        return ()
    whole = [
        (change, state.head)
        for change, (_, state) in zip(body.changes, delta.entries, strict=True)
        if isinstance(change, Change) and not change.clear.deleted
    ]
    added = {
        head: frozenset(BlockId(block) for block in split_ids(change.added))
        for change, head in whole
        if handed_back or change.clear.offered
    }
    blocks = frozenset[BlockId]().union(*added.values())
    author = dict(delta.devices)[commit.header.device]
    missing = knowledge.missing(commit.header.device, author.user, blocks) if blocks else set()
    bases = [change.clear.base for change, _ in whole if change.clear.base is not None]
    lacking = knowledge.lacking(bases) if bases else set()
    found = []
    for change, head in whole:
        own = added.get(head, frozenset()) & missing
        base = change.clear.base if change.clear.base in lacking else None
        if own or base is not None:
            removed = () if base is None else split_ids(change.removed)
            found.append(Offered(head, own, base, frozenset(map(BlockId, removed)), change.clear.offered))
    return tuple(found)


def decide_row(state: StateView, row: JournalRow, hashes: Hashes) -> Delta | Refused:
    """Whether a commit handed back is the journal's next row. Blocks are not looked at: they may be lost too."""
    return judge_row(state, row, hashes)


def _is_known(user: UserId, chain: tuple[SignedLink, ...], hashes: Hashes, knowledge: Knowledge) -> bool:
    last = chain[-1].link
    return knowledge.link_hash(user, last.index) == hashes.link_hash(link_bytes(last))


def _decide_blocks(
    state: StateView, commit: Commit, body: Entries, delta: Delta, knowledge: Knowledge, owner: UserId
) -> Verdict:
    device = state.device(commit.header.device)
    assert device is not None, "the judge knew the author"
    added = {
        change.clear.entry: [BlockId(block) for block in split_ids(change.added)]
        for change in body.changes
        if isinstance(change, Change) and change.added and not change.clear.offered
    }
    blocks = {block for listed in added.values() for block in listed}
    missing = knowledge.missing(commit.header.device, device.user, blocks) if blocks else set()
    if missing:
        return Refused(CommitReason.CHANGES, device.last_number, changes=_missing_changes(state, body, added, missing))
    size_bytes = sum(change.clear.padded_bytes for change in body.changes)
    if size_bytes and not knowledge.room(owner, size_bytes):
        return Refused(CommitReason.QUOTA, device.last_number)
    return delta


def _missing_changes(
    state: StateView, body: Entries, added: dict[EntryId, list[BlockId]], missing: set[BlockId]
) -> tuple[ChangeRefusal, ...]:
    refusals = []
    for change in body.changes:
        entry = change.clear.entry
        lacking = [bytes(block) for block in added.get(entry, ()) if block in missing]
        if lacking:
            known = state.entry(entry)
            head = None if known is None else known.head
            refusals.append(ChangeRefusal(entry, ChangeReason.MISSING_BLOCKS, head, tuple(lacking[:REFUSED_IDS])))
    return tuple(refusals)
