"""What came with commits that were refused after all, while the coordinator was away: it is left to its author for a
while, who most likely commits it anew, or what came after it, or has deleted it since.

Owns what is left to whom, and for how long; what was left outlives a restart. Then whoever has it commits it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from peer.engine.context import Context
from peer.engine.rests import Rests
from peer.planner import effects
from peer.planner.operations import ProposeChange
from peer.store.untold import Left, UntoldStore
from protocol.ids import ChangeId, DeviceId, EntryId
from protocol.model import Entries, Header, JournalRow

UNTOLD_S: Final = 60.0
"""For so long what came with a refused commit is left to its author; then whoever has it commits it."""
UNTOLD: Final = "refused commits"
"""The rest of that."""


@dataclass
class _Waiting:
    left: Left
    until_s: float


@dataclass
class _Heard:
    """Of each device, the number of the last commit that was taken into the journal since this began to run."""

    changes: dict[DeviceId, int] = field(default_factory=dict)
    """One with changes,"""
    words: dict[DeviceId, int] = field(default_factory=dict)
    """and one without any."""


class Untold:
    """For one workspace at work. Everything but `entries` and `given_up` belongs in the database's thread."""

    def __init__(self, context: Context, rests: Rests) -> None:
        self._context = context
        self._rests = rests
        self._store = UntoldStore(context.machine.database, context.record.w)
        self._made_by: Mapping[EntryId, DeviceId] = self._store.made_by()
        """What one other device alone has made while the coordinator was away, when that was undone last."""
        left = self._store.left(context.trees)
        until_s = self._until_s()
        self._waiting = {one.entry: _Waiting(one, until_s) for one in left if not one.is_taken_back}
        self._taken_back = {one.entry: one for one in left if one.is_taken_back}
        self._heard = _Heard()
        self.owes_word = self._store.owes_word()
        """Whether others have commits of this device that were refused: a later one tells them so, when all is said."""

    # --- what the planner is to know --------------------------------------------------------------------

    @property
    def given_up(self) -> set[EntryId]:
        """Entries that came with refused commits, and that their authors have taken back."""
        return set(self._taken_back)

    def entries(self) -> frozenset[EntryId]:
        """Entries whose content came with a refused commit, and whose author may still say what becomes of it."""
        now_s = self._context.machine.clock.monotonic_s()
        self._waiting = {entry: one for entry, one in self._waiting.items() if one.until_s > now_s}
        if self._waiting:
            self._rests.rest(UNTOLD, min(one.until_s for one in self._waiting.values()) - now_s)
        return frozenset(entry for entry, one in self._waiting.items() if one.left.is_sole)

    # --- what happens -----------------------------------------------------------------------------------

    def begin(self, made_by: Mapping[EntryId, DeviceId]) -> None:
        """What counted without the journal was undone, within the caller's transaction."""
        self._made_by = made_by
        self._taken_back.clear()
        self._write()

    def owe_word(self, owes: bool) -> None:
        """A commit of this device was refused; or it has said all."""
        if owes != self.owes_word:
            self.owes_word = owes
            with self._context.machine.database.transaction():
                self._write()

    def leave(self, header: Header, agreed: Sequence[tuple[ProposeChange, ChangeId]]) -> None:
        """A commit of another device was refused. Its content is an edit of whoever has it; but most likely its author
        commits it anew, or what came after."""
        left: list[Left] = []
        for proposal, change in agreed:
            if proposal.agreed is not None:
                is_sole = self._made_by.get(proposal.entry) == header.device
                left.append(Left(header.device, header.number, proposal, change, is_sole))
        with self._context.machine.database.transaction():
            if self._heard.words.get(header.device, 0) > header.number:
                self._said(left, is_all=True)  # all of it before this was asked about
            else:
                until_s = self._until_s()
                self._waiting |= {one.entry: _Waiting(one, until_s) for one in left}
                if self._heard.changes.get(header.device, 0) > header.number:
                    self._said([one for one in left if self._is_head_by(one)], is_all=False)
            self._write()

    def _is_head_by(self, one: Left) -> bool:
        head = self._context.journal.entry(one.entry)
        return head is not None and head.device == one.author

    def hear(self, rows: Sequence[JournalRow]) -> None:
        """Rows were taken: what an author has committed of an entry came after what it had handed to others of it; and
        with a commit without changes it says that it has committed all that it still has."""
        concerned = False
        for row in rows:
            header, body = row.commit.header, row.commit.body
            if not isinstance(body, Entries):
                continue
            changed = {EntryId(change.clear.entry) for change in body.changes}
            (self._heard.changes if changed else self._heard.words)[header.device] = header.number
            its = [one.left for one in self._waiting.values() if one.left.author == header.device]
            its = [one for one in its if one.number < header.number]
            told = [one for one in its if not changed or one.entry in changed]
            concerned = concerned or bool(its)
            with self._context.machine.database.transaction():
                self._said(told, is_all=not changed)
            until_s = self._until_s()
            self._waiting |= {one.entry: _Waiting(one, until_s) for one in its if one not in told}
        if concerned:
            with self._context.machine.database.transaction():
                self._write()

    def _said(self, told: Sequence[Left], *, is_all: bool) -> None:
        """An author has committed these anew, or (`is_all`) has said all: what it has not committed, it took back."""
        for one in told:
            if one.is_sole or not is_all:
                effects.accept_synced(self._context.trees, one.proposal, self._committed_anew(one))
            self._waiting.pop(one.entry, None)
            if is_all and one.is_sole:
                self._taken_back[one.entry] = replace(one, is_taken_back=True)

    def _committed_anew(self, one: Left) -> ChangeId:
        """The journal's version with the content of one that was refused, where it has one: the base that whoever else
        has that content has too."""
        remote, agreed = self._context.trees.remote(one.entry), one.proposal.agreed
        if remote is None or agreed is None or remote.node.content != agreed.content:
            return one.change
        return remote.head

    def _until_s(self) -> float:
        return self._context.machine.clock.monotonic_s() + UNTOLD_S

    def _write(self) -> None:
        left = [*(one.left for one in self._waiting.values()), *self._taken_back.values()]
        own = self._context.identity.device
        self._store.write(self._made_by.items(), left, own, owes_word=self.owes_word)
