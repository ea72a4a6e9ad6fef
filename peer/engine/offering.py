"""Versions that are not durable. Owns following the coordinator's set of them, sending what it lacks of those whose
bytes are here, saying which ones are here and which no more, and letting go of what was held for them.

Its own tasks, beside the loop: an upload takes as long as the uplink does. They never change a user's file, and write
no rows but the copy of the set and what follows from a version being given up.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import trio

from peer.disk.destroying import let_go
from peer.disk.private import rescue
from peer.engine.context import Context, Signal
from peer.engine.held import held_files
from peer.engine.moving import BATCH_BYTES, BATCH_FILES, Committed, IngestResult, Mover
from peer.engine.renewing import Renewing
from peer.engine.rests import LINK_S, SOON_S
from peer.engine.scanning import Scanner
from peer.fingerprint import Fingerprint, Path
from peer.link.errors import LinkError
from peer.store.offers import Offered, OfferStore
from peer.store.outbox import Outbox
from peer.store.versions import version_body
from peer.transfer.coordinator_blocks import picked
from peer.transfer.ingest import Changed, Ingested, IngestRequest
from peer.transfer.sources import SourceCut
from protocol import limits
from protocol.ids import BlockId, ChangeId, EntryId
from protocol.messages import HoldingsRequest, LeaseReply, LeaseRequest, OfferedRequest, Refusal
from protocol.offered import OfferedPage, Standing

HOLDER_S: Final = 60.0
"""So long after a device that is not a version's author heard of it, it begins to help sending it."""
IN_VAIN_S: Final = 3600.0
"""A version that lists other blocks than come of its content here is left alone for so long."""
OTHERS_S: Final = 20.0
"""For so long what others are sending is left to them."""
PAUSE_S: Final = 1.0
"""So often at most the disk is compared with what is offered."""


@dataclass(frozen=True, slots=True)
class _Here:
    """An offered version whose bytes are on this disk."""

    version: Offered
    path: Path
    fingerprint: Fingerprint
    is_held: bool = False


@dataclass(frozen=True, slots=True)
class _Look:
    """What of the offered versions is on this disk. `lost`: those that are not, for sure."""

    here: tuple[_Here, ...]
    lost: tuple[ChangeId, ...]
    offered: frozenset[ChangeId]
    done: tuple[ChangeId, ...]
    """What was held, and is durable now, or was given up."""
    unknown: tuple[ChangeId, ...]
    """What was held, and is in no journal: somebody's commit was refused."""


class Offering:
    """For one workspace at work. `run` until cancelled."""

    def __init__(
        self,
        context: Context,
        mover: Mover,
        scanner: Scanner,
        is_left: Callable[[EntryId], bool],
        may_act: Callable[[], bool],
        changed: Callable[[bool], None],
    ) -> None:
        self._context = context
        self._mover = mover
        self._scanner = scanner
        self._is_left = is_left
        self._may_act = may_act
        self._changed = changed
        self._signal = Signal()
        self._may_send = Signal()
        self.told: dict[ChangeId, bool] = {}
        """Of which versions this device has said whether it holds them."""
        self._since: dict[ChangeId, float] = {}
        self._rests: dict[ChangeId, float] = {}
        self._wants_page = False
        self.store = OfferStore(context.machine.database, context.record.w)
        self.renewing = Renewing(context, self.store)
        self.number = 0
        """Up to which change the set is known here."""
        self.count = 0
        """How many versions are offered, as far as is known."""
        self.given_up = 0
        """In the place of how many heads something before them has come to count since this began."""

    # --- asked by the loop ------------------------------------------------------------------------------

    def heard(self, number: int) -> None:
        """The coordinator says up to which change its set goes."""
        if number != self.number:
            self._wants_page = True
            self._signal.set()

    def look(self) -> None:
        """What is on this disk may be other than it was."""
        if self.count or self._wants_page:
            self._signal.set()

    def offered(self) -> None:
        """The journal has versions whose blocks are not all stored."""
        self._wants_page = True
        self._signal.set()

    def connected(self) -> None:
        """The coordinator is there again, and may have forgotten who holds what."""
        self.told = {change: is_here for change, is_here in self.told.items() if not is_here}
        self._rests.clear()
        if self.count or self.number:
            self.offered()

    @property
    def is_idle(self) -> bool:
        """Whether everything is durable, as far as is known."""
        return self.count == 0 and not self._wants_page

    async def are_coming(self, changes: Sequence[ChangeId]) -> bool:
        """Whether another device is just sending blocks of one of these versions, or that cannot be known. What the
        question gives this device to send is let go of at once. Always False for a viewer, who is not told."""
        workspace, client = self._context.record.workspace, self._context.machine.client
        blocks = await self._context.machine.database_work.run(self._blocks_of, changes)
        try:
            reply = await client.request(LeaseRequest(workspace, blocks))
            if not isinstance(reply, LeaseReply):
                return False
            mine = picked(blocks, reply.granted)
            if mine:
                await client.request(LeaseRequest(workspace, tuple(mine), end=True))
        except LinkError:
            return True
        return len(picked(blocks, reply.stored) | mine) < len(blocks)

    def _blocks_of(self, changes: Sequence[ChangeId]) -> tuple[BlockId, ...]:
        bodies = (version_body(self._context.machine.database, self.store.w, change) for change in changes)
        found = {ref.block: None for body in bodies if body and body.manifest for ref in body.manifest.chunks}
        return tuple(map(BlockId, list(found)[: limits.HAVE_BLOCKS]))

    # --- the tasks --------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Follow, tell and send until cancelled."""
        self.number, self.count = await self._context.machine.database_work.run(self._known)
        if self.count:
            self.offered()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._repeat, self._signal, self._follow_and_tell)
            nursery.start_soon(self._repeat, self._may_send, self._send_some)

    def _known(self) -> tuple[int, int]:
        return self.store.place()[1], self.store.count()

    async def _repeat(self, signal: Signal, turn: Callable[[], Awaitable[float | None]]) -> None:
        """Take turns, each after as many seconds as the last one said, or when there is something new."""
        wait_s: float | None = 0.0
        while True:
            await signal.wait(wait_s)
            wait_s = None
            if self._context.online and self._may_act():
                try:
                    wait_s = await turn()
                except (LinkError, SourceCut):
                    wait_s = LINK_S

    async def _follow_and_tell(self) -> float | None:
        if self._wants_page:
            self._wants_page = followed = False
            try:
                followed = await self._follow()
            finally:  # also where the answer was lost
                self._wants_page |= not followed
            if not followed:
                return LINK_S
        look = await self._look()
        self.count = len(look.offered)
        for noted in (self.told, self._since, self._rests):
            for change in noted.keys() - look.offered:
                del noted[change]
        await self._context.machine.disk_work.run(self._remove_held, look)
        if look.offered:
            await self._tell(look)
            self._may_send.set()
            await self._context.machine.clock.sleep(PAUSE_S)
        return None

    # --- the set ----------------------------------------------------------------------------------------

    async def _follow(self) -> bool:
        context = self._context
        work = context.machine.database_work
        await work.run(self._in_transaction, self.store.ask)
        while True:
            generation, number = await work.run(self.store.place)
            reply = await context.machine.client.request(OfferedRequest(context.record.workspace, generation, number))
            if isinstance(reply, Refusal):
                return False
            if not await work.run(self._take, reply):
                return False
            self._changed(any(mark.standing is Standing.NOT_KEPT for mark in reply.marks))
            if self.number == reply.last:
                break
        await work.run(self._in_transaction, self.store.settle)
        return True

    def _in_transaction(self, write: Callable[[], None]) -> None:
        with self._context.machine.database.transaction():
            write()

    def _take(self, page: OfferedPage) -> bool:
        context = self._context
        with context.machine.database.transaction():
            if not self.store.take(page):
                return False
        self.number = self.store.place()[1]
        return True

    # --- what is here -----------------------------------------------------------------------------------

    async def _look(self) -> _Look:
        context = self._context
        held = await context.machine.disk_work.run(held_files, context.root)
        return await context.machine.database_work.run(self._compare, held)

    def _compare(self, held: dict[ChangeId, Fingerprint]) -> _Look:
        context = self._context
        here: list[_Here] = []
        lost: list[ChangeId] = []
        offered: set[ChangeId] = set()
        for version in self.store.offered():
            offered.add(version.change)
            row, path = context.trees.local(version.entry), context.trees.path(version.entry)
            content = None if row is None else row.node.content
            if self.renewing.is_elsewhere(version):
                lost.append(version.change)
            elif row is not None and path is not None and content is not None and content.digest == version.digest:
                if row.fingerprint is not None:
                    here.append(_Here(version, path, row.fingerprint))
            elif version.change in held:
                here.append(_Here(version, (version.change.hex(),), held[version.change], is_held=True))
            elif self._is_lost(version):
                lost.append(version.change)
        self.renewing.forget(offered)
        known = [change for change in held.keys() - offered if self.store.is_version(change)]
        is_settled = Outbox(context.machine.database, context.record.w).size() == (0, 0)
        unknown = held.keys() - offered - set(known) if is_settled else ()
        return _Look(tuple(here), tuple(lost), frozenset(offered), tuple(known), tuple(unknown))

    def _is_lost(self, version: Offered) -> bool:
        """Whether it is known what is in the place of a version's file; of one's own also, that what came there is in
        the journal, or that nothing is to come there from this disk."""
        scanner, trees = self._scanner, self._context.trees
        if not scanner.is_idle or not scanner.has_seen_all or trees.unknown(version.entry):
            return False
        head = trees.remote(version.entry)
        is_replaced = head is None or head.head != version.change
        return version.author != self._context.identity.device or is_replaced or self._is_left(version.entry)

    def _remove_held(self, look: _Look) -> None:
        """Let go of what was held for versions that are durable now, or given up; what became none is for people."""
        root = self._context.root
        let_go(root, [change.hex() for change in look.done])
        for change in look.unknown:
            rescue(root, root.held, change.hex(), change.hex()[:8])
        if look.unknown:
            root.fs.sync(root.rescue)

    # --- telling ----------------------------------------------------------------------------------------

    async def _tell(self, look: _Look) -> None:
        """Say of which versions the bytes are here, and of which they are not (any more), where that is news."""
        own = self._context.identity.device
        here = {one.version.change for one in look.here}
        is_news = [one.version.change for one in look.here if one.version.author != own or not self._is_told(one)]
        held = [change for change in is_news if self.told.get(change) is not True][: limits.HOLDINGS]
        gone = [change for change in look.lost if self.told.get(change) is not False][: limits.HOLDINGS]
        if not held and not gone:
            return
        request = HoldingsRequest(self._context.record.workspace, tuple(held), tuple(gone))
        if not isinstance(await self._context.machine.client.request(request), Refusal):
            self.told |= {change: change in here for change in (*held, *gone)}

    def _is_told(self, one: _Here) -> bool:
        """An author is taken to have what it offers, until it says otherwise."""
        return self.told.get(one.version.change, True)

    # --- sending ----------------------------------------------------------------------------------------

    async def _send_some(self) -> float | None:
        """Send what the coordinator lacks of some versions; in how many seconds there may be more to do."""
        if not self.count:
            return None
        look = await self._look()
        due, later_s = self._due(look.here)
        if not due:
            return later_s
        mine, stored = await self._lease(due)
        files = [Committed(_request(one), one.version.manifest) for one in mine]
        results = dict(zip(mine, await self._mover.store(files, stored), strict=True))
        await self._renew(results)
        now_s = self._context.machine.clock.monotonic_s()
        for one in due:
            self._rests[one.version.change] = now_s + self._rest_after(one, results.get(one))
        return 0.0

    def _due(self, here: Sequence[_Here]) -> tuple[list[_Here], float | None]:
        """As many versions as are read at once; where there is none, in how many seconds there is one."""
        now_s = self._context.machine.clock.monotonic_s()
        own = self._context.identity.device
        later: list[float] = []
        due: list[_Here] = []
        size = 0
        for one in here:
            change = one.version.change
            since_s = self._since.setdefault(change, now_s)
            due_s = self._rests.get(change, 0.0 if one.version.author == own else since_s + HOLDER_S)
            if due_s > now_s:
                later.append(due_s - now_s)
            elif not due or (size + one.version.size <= BATCH_BYTES and len(due) < BATCH_FILES):
                due.append(one)
                size += one.version.size
        return due, min(later, default=None)

    async def _renew(self, results: Mapping[_Here, IngestResult]) -> None:
        """Where other blocks came of a content than its version lists, see to it that a version lists those."""
        for one, result in results.items():
            if isinstance(result, Ingested) and result.stored and result.digest == one.version.digest:
                manifest = result.manifest
                if manifest is not None and manifest != one.version.manifest:
                    await self._context.machine.database_work.run(self.renewing.note, one.version, manifest)
                    self._changed(False)

    def _rest_after(self, one: _Here, result: IngestResult | None) -> float:
        match result:
            case Ingested() if result.digest == one.version.digest:
                # until the coordinator says that it is durable, which it will never be by other blocks
                return OTHERS_S if result.manifest == one.version.manifest else IN_VAIN_S
            case Ingested() | Changed() if not one.is_held:
                self._scanner.look_again(one.path)
                return SOON_S
            case None:
                return OTHERS_S
            case _:
                return LINK_S

    async def _lease(self, due: Sequence[_Here]) -> tuple[list[_Here], set[BlockId]]:
        """Those of which something is lacking that this device is to send, and nothing that another one is sending; and
        which of their blocks are not lacking."""
        workspace, client = self._context.record.workspace, self._context.machine.client
        blocks = list(dict.fromkeys(block for one in due for block in _blocks(one)))
        stored: set[BlockId] = set()
        mine: set[BlockId] = set()
        for at in range(0, len(blocks), limits.HAVE_BLOCKS):
            part = blocks[at : at + limits.HAVE_BLOCKS]
            reply = await client.request(LeaseRequest(workspace, tuple(part)))
            if not isinstance(reply, LeaseReply):
                return [], stored
            stored |= picked(part, reply.stored)
            mine |= picked(part, reply.granted)
        leased = [one for one in due if not mine.isdisjoint(_blocks(one)) and (stored | mine).issuperset(_blocks(one))]
        return leased, stored


def _blocks(one: _Here) -> list[BlockId]:
    return [BlockId(ref.block) for ref in one.version.manifest.chunks]


def _request(one: _Here) -> IngestRequest:
    return IngestRequest(one.path, one.fingerprint, even_if_open=True, is_held=one.is_held)
