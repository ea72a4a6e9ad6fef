"""Reading the journal. Owns fetching pages, verifying them into the store, and noticing a journal that went back or
forked. Applies nothing to the disk."""

import enum
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from peer.engine import epochs
from peer.engine.context import Context
from peer.link.errors import LinkError
from peer.store import workspaces
from peer.store.journal import Taken, take_rows
from peer.store.outbox import Advanced, Outbox
from protocol import limits
from protocol.codec import decode
from protocol.ids import CommitDigest, EntryId
from protocol.messages import (
    CursorUnknown,
    HandBack,
    JournalPage,
    JournalRequest,
    Poke,
    Refusal,
    RefusalCode,
    WorkspaceInfo,
    WorkspacesRequest,
)
from protocol.model import Entries, Genesis, JournalRow

REFUSED: Final = ("access_removed", "old_client")
"""Problems that are over as soon as the coordinator answers."""
REVOKED: Final = (
    "this device was revoked: its files stay here, nothing is synced any more. To take part again join anew in a fresh "
    "home, with a code from `shoal pair` on another device of yours"
)
_HAND_BACK_BYTES: Final = 4 * limits.MIB


def _parts(rows: Sequence[JournalRow]) -> Iterator[Sequence[JournalRow]]:
    """Rows in order, each part up to one that begins an epoch: what follows is read with its key."""
    begun = 0
    for at, row in enumerate(rows, 1):
        if at == len(rows) or epochs.rotation_of(row.commit.body) is not None:
            yield rows[begun:at]
            begun = at


class BeginAnew(Exception):
    """The journal has commits of this device that this home did not make: it is an old copy, or there is another."""


class Pulled(enum.Enum):
    """How a pull ended."""

    AT_HEAD = enum.auto()
    UNREACHABLE = enum.auto()
    STOPPED = enum.auto()
    """The journal cannot be followed; the problem says why."""
    AGAIN = enum.auto()
    """The coordinator is not ready: try again in a while."""


@dataclass(slots=True)
class Head:
    """The journal's head as last heard of."""

    seq: int = 0


class Feed:
    """Keeps the stored journal at the coordinator's head."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self.head = Head(context.journal.verified.seq)
        self.touched: set[EntryId] = set()
        """Entries changed by rows taken in, until the loop clears it."""
        self.on_rows: Callable[[Sequence[JournalRow]], None] = lambda rows: None
        """Called with rows that are in the journal now; in the database's thread."""
        self.has_offers = False
        """Whether rows taken in offered versions, until the loop clears it."""

    async def pull(self) -> Pulled:
        """Read the journal up to its head. Raises `BeginAnew`, as does all that takes rows."""
        context, handed_back_to = self._context, -1
        while True:
            state = context.journal.workspace
            request = JournalRequest(context.record.workspace, state.seq, state.log_hash)
            try:
                reply = await context.machine.client.request(request)
            except LinkError:
                return Pulled.UNREACHABLE
            match reply:
                case Refusal(code=RefusalCode.NOT_FOUND) if handed_back_to < 0 and await self._give_back_all():
                    handed_back_to = 0
                case Refusal():
                    return self._refused(reply)
                case CursorUnknown():
                    ended = await self._cursor_unknown(reply)
                    if ended is not None or reply.head_seq <= handed_back_to:
                        return ended or Pulled.AGAIN  # it took what it was handed, and did not go on
                    handed_back_to = reply.head_seq
                case JournalPage():
                    self.head.seq = max(self.head.seq, reply.head_seq)
                    if not await self.take(reply.rows):
                        return Pulled.STOPPED
                    if not reply.rows or context.journal.workspace.seq >= reply.head_seq:
                        return await self._at_head(reply.head_seq)

    async def take_poke(self, poke: Poke) -> bool:
        """Take the commits that a poke brought inline; False where a pull is needed."""
        self.head.seq = max(self.head.seq, poke.head_seq)
        seq = self._context.journal.workspace.seq
        rows = [row for row in poke.rows if row.seq > seq]
        if rows and rows[0].seq == seq + 1:
            await self.take(rows)
        return self._context.journal.workspace.seq >= poke.head_seq

    async def take(self, rows: Sequence[JournalRow]) -> bool:
        """Verify and store rows; False where one is illegal, which stops the workspace."""
        for part in _parts(rows):
            if not await self._take_part(part):
                return False
        return True

    async def _take_part(self, rows: Sequence[JournalRow]) -> bool:
        context = self._context
        taken, is_old = await context.machine.database_work.run(self._take, rows)
        if is_old:
            raise BeginAnew
        self.touched.update(taken.touched)
        self.has_offers = self.has_offers or any(is_offering(row) for row in rows)
        for entry in taken.touched:
            context.problems.clear(f"entry {entry.hex()[:8]}", "bad_change")
        for bad in taken.bad:
            name = f"entry {bad.entry.hex()[:8]}"
            message = f"a change by device {bad.device.hex()[:8]} is not to be believed ({bad.reason})"
            context.problems.put(name, "bad_change", f"{message}: the last good version is kept; save the file anew")
        if taken.invalid is not None:
            await self._stop(
                "history_invalid", f"the coordinator sent an illegal history ({taken.invalid}): tell whoever runs it"
            )
            return False
        if taken.lacks_key:
            rest = [row for row in rows if row.seq > taken.seq]
            return await self._ask_for_keys() and await self._take_part(rest)
        return True

    def _take(self, rows: Sequence[JournalRow]) -> tuple[Taken, bool]:
        context = self._context
        database, trees = context.machine.database, context.trees
        outbox = Outbox(database, context.record.w)
        ours: list[Advanced] = []

        def written(commit: CommitDigest) -> None:
            ours.append(outbox.accepted(trees, commit))

        taken = take_rows(database, context.journal, trees, context.keyring, context.chunker, rows, written)
        for each in ours:
            if each.entries:
                with database.transaction():
                    trees.settle_agreed(each.entries)
                context.losses.note("remote", each.gone, each.before)
        self.on_rows([row for row in rows if row.seq <= taken.seq])
        own = context.identity.device
        numbers = [
            row.commit.header.number
            for row in rows
            if row.seq <= taken.seq and row.commit.header.device == own and not isinstance(row.commit.body, Genesis)
        ]
        if context.journal.workspace.epoch != context.keyring.newest_epoch:
            context.record = epochs.take_up(database, context.journal, context.record, context.identity.boxes)
        is_old = bool(numbers) and workspaces.note_signed(database, context.record.w, max(numbers))
        return taken, is_old and trees.synced_count() > 0

    async def _at_head(self, head_seq: int) -> Pulled:
        """Check the head against the one that another device vouched for."""
        context = self._context
        record = context.record
        if not self._holds_key and not await self._ask_for_keys():
            return Pulled.AGAIN
        if record.known_seq > head_seq:
            context.problems.put(
                "", "history_went_back", "the coordinator's history is older than what another device of yours has seen"
            )
            return Pulled.AGAIN
        known = await context.machine.database_work.run(context.journal.head_known, record.known_seq, record.known_hash)
        if not known:
            return await self._stop(
                "history_forked", "the coordinator's history contradicts what another device of yours has seen"
            )
        context.problems.clear("", "history_went_back", *REFUSED)
        return Pulled.AT_HEAD

    # --- keys that are still to come ----------------------------------------------------------------------

    @property
    def _holds_key(self) -> bool:
        """Whether the key of the current epoch is held."""
        return self._context.keyring.epoch(self._context.journal.workspace.epoch) is not None

    async def _ask_for_keys(self) -> bool:
        """Look for the current epoch's key in what others have left at the coordinator; False where it is not there."""
        context = self._context
        with suppress(LinkError):
            reply = await context.machine.client.request(WorkspacesRequest())
            for info in () if isinstance(reply, Refusal) else reply.workspaces:
                if info.workspace == context.record.workspace:
                    await context.machine.database_work.run(self._take_keys, info)
        if self._holds_key:
            context.problems.clear("", "bad_change")
            return True
        message = "this workspace has new keys that nobody has handed to this device yet"
        context.problems.put("", "bad_change", f"{message}: start another device of yours; it goes on by itself")
        return False

    def _take_keys(self, info: WorkspaceInfo) -> None:
        context = self._context
        context.record = epochs.take_over(
            context.machine.database, context.journal, context.record, info, context.identity.boxes
        )

    def _refused(self, refusal: Refusal) -> Pulled:
        if refusal.code in (RefusalCode.DENIED, RefusalCode.NOT_FOUND):
            message = "you are no longer a member of this workspace: its files stay here, nothing is synced"
            if refusal.code is RefusalCode.DENIED:
                message = REVOKED
            self._context.problems.put("", "access_removed", message)
            return Pulled.STOPPED
        if refusal.code is RefusalCode.OLD_CLIENT:
            self._context.problems.put(
                "", "old_client", "the coordinator needs a newer Shoal on this device: upgrade it"
            )
        return Pulled.AGAIN

    # --- a journal that went back, or forked -------------------------------------------------------------

    async def _cursor_unknown(self, reply: CursorUnknown) -> Pulled | None:
        """None where something was handed back, and the journal is to be asked again."""
        context = self._context
        prefix = reply.hash_at is None and await context.machine.database_work.run(
            context.journal.head_known, reply.head_seq, reply.head_hash
        )
        if not prefix:
            return await self._stop(
                "history_forked",
                "the coordinator's history is another one than this device has verified: nothing is applied. "
                "Ask whoever runs it whether a backup was put back",
            )
        context.problems.put(
            "", "history_went_back", "the coordinator's history went back (a backup was put back?): handing it back"
        )
        return await self._hand_back(reply.head_seq)

    async def _give_back_all(self) -> bool:
        """Where the coordinator does not know the workspace of its owner: hand all of it back; False if not taken."""
        context = self._context
        if context.record.founding.owner != context.identity.user or context.journal.workspace.seq == 0:
            return False
        return await self._hand_back(0) is None

    async def _hand_back(self, after: int) -> Pulled | None:
        context = self._context
        rows = await context.machine.database_work.run(self._rows_after, after)
        try:
            reply = await context.machine.client.request(HandBack(context.record.workspace, tuple(rows)))
        except LinkError:
            return Pulled.UNREACHABLE
        return Pulled.AGAIN if isinstance(reply, Refusal) else None

    def _rows_after(self, seq: int) -> list[JournalRow]:
        context = self._context
        rows: list[JournalRow] = []
        size = 0
        for (packed,) in context.machine.database.all(
            "SELECT row FROM commits WHERE w = ? AND seq > ? ORDER BY seq LIMIT ?",
            (context.record.w, seq, limits.PAGE_COMMITS),
        ):
            size += len(packed)
            if rows and size > _HAND_BACK_BYTES:
                break
            rows.append(decode(JournalRow, packed, limits.REPLY_BYTES))
        return rows

    async def _stop(self, code: str, message: str) -> Pulled:
        context = self._context
        context.problems.put("", code, message)
        await context.machine.database_work.run(
            workspaces.set_stopped, context.machine.database, context.record.w, code, message
        )
        return Pulled.STOPPED


def is_offering(row: JournalRow) -> bool:
    """Whether a commit has versions whose blocks were not all stored when it was made."""
    body = row.commit.body
    return isinstance(body, Entries) and any(change.clear.offered for change in body.changes)
