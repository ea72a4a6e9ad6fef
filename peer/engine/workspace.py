"""One workspace kept in step: the loop. Owns the order of things, and when to plan.

The loop alone writes the trees. Each turn: take what the transfers brought, read the journal if it moved, look at what
changed on disk, plan if anything differs, carry the plan out as far as it goes, and wait for the next reason.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final

import trio

from crypto.digest import derive
from crypto.labels import Label
from peer.engine.arrivals import FETCH, Arrivals
from peer.engine.committing import Chains, Committer
from peer.engine.context import Context
from peer.engine.continuity import Continuity
from peer.engine.executor import Executor
from peer.engine.feed import REFUSED, Feed, Pulled
from peer.engine.lacking import Lacking
from peer.engine.moving import Aim, Mover, Up
from peer.engine.offering import Offering
from peer.engine.pace import Pace
from peer.engine.rests import LINK_S, REFUSED_S, Due, Rests
from peer.engine.returning import Returning
from peer.engine.scanning import RootTrouble, Scanner
from peer.planner.operations import Plan, Policy, ProposeChange, WriteContent
from peer.planner.plan import plan
from peer.ports import Watch
from peer.scan.identity import Assigned
from protocol.ids import ChangeId, EntryId
from protocol.messages import Poke
from protocol.model import Role
from protocol.names import utc_date

_DERIVED: Final = {"conflicted copy": Label.ID_COPY, "directory made again": Label.ID_AGAIN}
POKES: Final = 64
"""So many pokes wait for the loop; beyond them the journal is read."""
STALE_S: Final = 0.025
"""A plan that turned out stale rests for twice as long before it is made again, each time."""
JOURNAL: Final = "journal"
PLAN: Final = "plan"
"""The rests of reading the journal, and of planning."""
STANDS_STILL: Final = ("root_missing", "root_replaced", "delete_brake")
"""Problems at which the workspace waits for somebody."""
STOPPED: Final = ("history_forked", "history_invalid", "access_removed", "cloned_home", "old_client")
"""Problems at which it stops."""
FINAL: Final = tuple(code for code in STOPPED if code not in REFUSED)
"""Those of them at which the journal is not asked for any more."""


class RootLost(Exception):
    """The folder is gone or another one: the engine ends, and whoever runs it looks for the folder again."""

    def __init__(self, trouble: RootTrouble) -> None:
        super().__init__(trouble.message)
        self.trouble = trouble


@dataclass
class Answer:
    """What a person said to the brake."""

    confirmed: bool = False
    rejected: bool = False


class WorkspaceEngine:
    """Keeps one workspace in step with one folder. `run` until cancelled."""

    def __init__(self, context: Context, chain: Chains) -> None:
        self.context = context
        self.rests = Rests(context.machine.clock)
        self.scanner = Scanner(context)
        self.feed = Feed(context)
        self.mover = Mover(context)
        self.executor = Executor(context, self.scanner, self.rests)
        self.offering = Offering(
            context,
            self.mover,
            self.scanner,
            lambda entry: self.settled or entry in self.executor.waiting,
            self._may_send,
            self._offers_changed,
        )
        self._obtainable: set[ChangeId] = set()
        """Heads that are not durable, and were fetched all the same: what was edited here meets them now."""
        self._lacking = Lacking(context, self.offering.store)
        self._due = Due()
        self._arrivals = Arrivals(
            context, self.scanner, self.executor, self.mover, self.rests, self._obtainable, self._lacking
        )
        self.continuity = Continuity(context, self.feed, self._due, self.rests)
        self._committer = Committer(
            context, self.feed, self.mover, self._due, self.rests, chain, self.continuity, self._is_all_read
        )
        self._pokes: list[Poke] = []
        self._answer = Answer()
        self._stale_plans = 0
        self._stale_noted = False
        self._scanned = False
        self._returning = Returning(context, self.scanner) if context.record.returning else None
        self.begun = trio.Event()
        """Set once the folder was scanned and the journal read (or the coordinator found to be away)."""
        self.settled = False
        """Whether the last turn found nothing to do and nothing under way."""
        self.withheld = 0
        self._held_back = False
        self.pace = Pace(context.machine.clock)

    # --- asked by others --------------------------------------------------------------------------------

    def wake(self, poke: Poke | None = None) -> None:
        """The journal may have moved; without a poke: the coordinator is there again, or gone."""
        if self.context.problems.has(*FINAL):
            return
        if poke is not None:
            self.offering.heard(poke.durability)
        if poke is None or len(self._pokes) >= POKES:
            self._due.journal = True
            self._pokes.clear()
        else:
            self._pokes.append(poke)
        if poke is None:
            self._ask_again()
            self.rests.end_all()
            self.offering.connected()
        self.settled = False
        self.context.signal.set()

    def somebody_came(self) -> None:
        """Another device can be reached: it may have what could not be fetched."""
        self._ask_again()
        self.context.signal.set()

    def _ask_again(self) -> None:
        """Somebody may have what nobody had; but what is coming in the place of a head comes first."""
        coming = {one.entry for one in self.executor.waiting.values() if self.mover.fetching(one.entry, one.version)}
        self._lacking.keep(coming)
        self.rests.end_kind(FETCH)

    def _offers_changed(self, given_up: bool) -> None:
        """Versions became durable, or were given up: what waits for them may come, and what came in their place is in
        the journal."""
        self._due.journal = self._due.journal or given_up
        self.rests.end_kind(FETCH)
        self._plan_soon()
        self.context.signal.set()

    def _is_all_read(self) -> bool:
        return self.scanner.is_idle and self.mover.is_idle

    def _may_send(self) -> bool:
        """Whether anything that is here may be told of and sent."""
        alone = self.continuity.is_open or self.continuity.is_returning
        return not (self.paused or self.stopped or alone or self._returning is not None) and self._may_write()

    def look_anew(self) -> None:
        """Scan everything and read the journal, whatever was noticed; `is_in_step` is about both from here on."""
        self.settled = self._scanned = False
        self._due.journal = True
        self.rests.end_kind(FETCH)
        self.scanner.rescan()
        self.context.signal.set()

    def answer(self, *, reject: bool) -> None:
        """What a person said to a large deletion."""
        self._answer = Answer(confirmed=not reject, rejected=reject)
        self.context.losses.forget()
        self.context.problems.clear("", "delete_brake")
        self.settled = False
        self._plan_soon()
        self.context.signal.set()

    @property
    def waits(self) -> bool:
        """Whether it stands still until somebody answers or something comes back."""
        return self.context.problems.has(*STANDS_STILL)

    @property
    def stopped(self) -> bool:
        """Whether it stands still for a reason that does not go away by itself."""
        return self.context.problems.has(*STOPPED)

    @property
    def paused(self) -> bool:
        """Whether it only looks: nothing is transferred, committed or changed on disk."""
        return self.context.record.paused

    @property
    def has_looked(self) -> bool:
        """Whether all that was noticed is known, so that what is left to do is known too."""
        unread = self._due.plan or (self._due.journal and self.context.online)
        return self._scanned and self.scanner.is_idle and self.mover.is_idle and not unread

    @property
    def is_in_step(self) -> bool:
        """Whether everything local is committed, everything remote applied, as far as is known."""
        journal = self.context.journal.workspace
        return self.settled and self._scanned and journal.seq >= self.feed.head.seq and not self._due.journal

    @property
    def stuck(self) -> int:
        """How many versions are wanted here that nobody has who can be reached, and nobody is bringing; 0 as long as
        there is anything else to do, or wanted."""
        wanted = self._arrivals.wanted
        is_all_else_done = self._scanned and self._is_done_but_for(()) and not self._pokes
        if not is_all_else_done or self.context.journal.workspace.seq < self.feed.head.seq:
            return 0
        return len(wanted) if all(self._lacking.is_stuck(one) for one in wanted) else 0

    async def is_stuck_for_good(self) -> bool:
        """Whether something is `stuck`, and no other device is just sending it."""
        return self.stuck > 0 and not await self.offering.are_coming(self._arrivals.wanted)

    @property
    def waits_for_blocks(self) -> bool:
        """Whether something edited here waits for a version that is to be had first."""
        return bool(self._arrivals.waited_for)

    @property
    def proposals(self) -> Sequence[ProposeChange]:
        """What is still to be committed of the current plan."""
        return self._committer.proposals

    # --- running ----------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Keep in step until cancelled."""
        context = self.context
        # The tasks end before the watch is closed under them.
        async with (
            context.machine.watching.open_watch(context.root.path, lambda path: False) as events,
            trio.open_nursery() as nursery,
        ):
            nursery.start_soon(self.mover.run)
            nursery.start_soon(self.offering.run)
            nursery.start_soon(self._watch, events)
            while True:
                await self._turn()
                await context.signal.wait(self._next_s())

    async def _watch(self, events: Watch) -> None:
        self.scanner.is_behind = events.is_behind
        async for event in events:
            self.settled = False
            self.scanner.notice(event)

    def _next_s(self) -> float | None:
        """In how many seconds there is something to do without any news."""
        if self._journal_is_due or self._plan_is_due:
            return 0.0
        now_s = self.context.machine.clock.monotonic_s()
        due = [one for one in (self.scanner.notices.next_due_s(), self.rests.next_s()) if one is not None]
        return max(0.0, min(due) - now_s) if due else None

    async def _turn(self) -> None:
        """Everything that can be done now."""
        if self.rests.take_ended():
            self._due.plan = True
        if await self._arrivals.take():
            self._plan_soon()
        self._note_stale()
        if self._journal_is_due or self._pokes:
            await self._read_journal()
        elif self._may_act and not self.paused and await self.continuity.go_on():
            self._plan_soon()
        await self._scan()
        if not self._scanned:
            return
        self.begun.set()
        if self._may_act:
            await self._step()
            self._note_stale()
        if self.feed.has_offers:
            self.feed.has_offers = False
            self.offering.offered()
        self.offering.look()
        self._note_settled()
        self._note_pace()
        self.context.changed()

    @property
    def _may_act(self) -> bool:
        """Whether the journal can be believed, and enough is known, so that anything may be planned."""
        if self._returning is not None and self._returning.must_wait(self._due.journal):
            return False
        if self.continuity.is_returning:
            return False
        return not self.stopped and not self.context.problems.has("history_went_back")

    @property
    def _journal_is_due(self) -> bool:
        final = self.context.problems.has(*FINAL)
        return self._due.journal and self.context.online and not final and not self.rests.rests(JOURNAL)

    @property
    def _plan_is_due(self) -> bool:
        return (
            (self._due.plan or self.executor.stale) and self._scanned and self._may_act and not self.rests.rests(PLAN)
        )

    def _plan_soon(self) -> None:
        """There is something new to plan with."""
        self._due.plan = True
        self.rests.end(PLAN)

    def _note_stale(self) -> None:
        """A plan that turned out stale again and again is made again more and more slowly, unless there is news."""
        if self.executor.stale and not self._stale_noted:
            self._stale_noted = True
            self._stale_plans += 1
            self.rests.rest(PLAN, min(LINK_S, STALE_S * 2 ** min(self._stale_plans, 10)))

    def _note_settled(self) -> None:
        self.settled = self._is_done_but_for(self.executor.waiting)
        if self.settled and self._answer != Answer():
            self._answer = Answer()  # what it was given for is done
            self.context.losses.forget()

    def _is_done_but_for(self, waiting: Collection[EntryId]) -> bool:
        due = self._due.plan or self._due.journal or self.executor.stale
        held = self._committer.proposals or waiting or not self.executor.holding.is_empty
        held = held or self._held_back or bool(self.continuity.untold.entries())
        return not (due or held or self.waits) and self.scanner.is_idle and self.mover.is_idle

    def _note_pace(self) -> None:
        _, up_bytes, _, _ = self.mover.pending()
        down_bytes = sum(one.content.size for one in self.executor.waiting.values())
        context = self.context
        self.pace.note(context.up.bytes_done + context.down.bytes_done, up_bytes + down_bytes)

    # --- the journal -------------------------------------------------------------------------------------

    async def _read_journal(self) -> None:
        """Bring the journal up to date where there is news."""
        pokes, self._pokes = self._pokes, []
        if self.continuity.is_open:
            pokes, self._due.journal = [], True
            if not await self.continuity.end():
                self.rests.rest(JOURNAL, LINK_S)
                return
        for poke in pokes:
            if not self._due.journal and not await self.feed.take_poke(poke):
                self._due.journal = True
        if self._journal_is_due:
            self._due.journal = False
            pulled = await self._pull()
            if pulled is Pulled.AT_HEAD:
                await self._settle_given_up()
                await self._committer.journal_read()
                if not self.executor.holding.is_empty:  # perhaps by what was in flight
                    self._plan_soon()
            else:
                self._due.journal = True
                self.rests.rest(JOURNAL, REFUSED_S if pulled is Pulled.STOPPED else LINK_S)
        if self.feed.touched:
            self.feed.touched.clear()
            self._plan_soon()

    async def _pull(self) -> Pulled:
        """Read the journal up to its head, with what the coordinator is told of meanwhile."""
        pulled = await self.feed.pull()
        if pulled is Pulled.AT_HEAD and self.continuity.has_news:
            self._plan_soon()
            if not await self.continuity.submit():
                return Pulled.AGAIN
            pulled = await self.feed.pull()
            if pulled is Pulled.AT_HEAD:
                await self.continuity.settle()
        return pulled

    async def _settle_given_up(self) -> None:
        def settle() -> list[EntryId]:
            with context.machine.database.transaction():
                return self.offering.store.settle_given_up(context.trees)

        context = self.context
        settled = await context.machine.database_work.run(settle)
        if settled:
            self.offering.given_up += len(settled)
            context.trees.forget(settled)
            self._plan_soon()

    # --- the disk ----------------------------------------------------------------------------------------

    async def _scan(self) -> None:
        """Look at what is due. Raises `RootLost` where nothing may be concluded from the folder."""
        due_s = self.scanner.notices.next_due_s()
        if due_s is None or due_s > self.context.machine.clock.monotonic_s():
            return
        found = await self.scanner.scan()
        if isinstance(found, RootTrouble):
            raise RootLost(found)
        if found.to_read:
            self.mover.put_up(await self.context.machine.database_work.run(self._uploads, found.to_read))
        if found.changed:
            self._plan_soon()
        self._scanned = self._scanned or self.scanner.has_seen_all

    def _uploads(self, found: list[Assigned]) -> list[Up]:
        """New and changed files, to be read: and sent in the same pass, unless the journal seems to have them."""
        may_write = self._may_write() and not self.paused and self._returning is None
        trees, online = self.context.trees, self.context.online or self.continuity.may_commit
        jobs = []
        for one in found:
            there = trees.remote_named(one.parent, one.name)
            adoptable = False
            if there is not None and trees.synced(one.entry) is None:
                remote = trees.remote(there)
                content = None if remote is None else remote.node.content
                adoptable = content is not None and content.size == one.found.fingerprint.size
            is_new = online and may_write and not adoptable
            aim = self.mover.aim(one.found.fingerprint.size) if is_new else Aim.READ
            jobs.append(Up(one, aim, self.scanner.notices.is_restless(one.found.path)))
        return jobs

    # --- planning ----------------------------------------------------------------------------------------

    async def _step(self) -> None:
        """Plan where that is due, and commit what can be."""
        if self._returning is not None and await self._returning.recognize():
            self._returning = None
        if self._plan_is_due:
            await (self._plan_only() if self.paused else self._plan_anew())
        if not self.executor.stale and not self.paused:
            await self._committer.commit()

    async def _plan_anew(self) -> None:
        """Make a plan and carry out what needs no transfer; what else it wants is kept, the plan is not."""
        self._due.plan = self._stale_noted = False
        if not self.executor.stale:
            self._stale_plans = 0
        made = await self.context.machine.database_work.run(self._make_plan)
        self.executor.begin()
        self._say(made)
        for wave in made.waves:
            await self.executor.run_wave(wave)
            if self.executor.stale:
                break
        else:
            self.executor.end()
            await self.mover.drop_unfinished({one.version for one in self.executor.waiting.values()})
            self._lacking.keep({one.entry for wave in made.waves for one in wave}.union(made.waiting))
        await self._arrivals.order(made)
        self._committer.proposals = await self.context.machine.database_work.run(self._proposals_of, made)

    async def _plan_only(self) -> None:
        """Make a plan to know what there is to do, and do none of it."""
        self._due.plan = False
        made = await self.context.machine.database_work.run(self._make_plan)
        self._say(made)
        operations = [one for wave in made.waves for one in wave]
        self._held_back = bool(operations)
        self.executor.waiting = {one.entry: one for one in operations if isinstance(one, WriteContent)}
        self._committer.proposals = [one for one in operations if isinstance(one, ProposeChange)]

    def _proposals_of(self, made: Plan) -> list[ProposeChange]:
        proposals = [one for wave in made.waves for one in wave if isinstance(one, ProposeChange)]
        renewed = self.offering.renewing.proposals({one.entry for one in proposals})
        return [one for one in proposals if not self.executor.holding.holds(one)] + renewed

    def _make_plan(self) -> Plan:
        context = self.context
        context.trees.load_differing()
        answer = self._answer
        made = plan(
            context.trees,
            Policy(
                may_write=self._may_write(),
                device_name=context.identity.device_name,
                derive=self._derive,
                date=utc_date(context.machine.clock.wall_ns()),
                lately=context.losses.lately(),
                confirmed_deletions=answer.confirmed,
                rejected_deletions=answer.rejected,
                waiting=self.offering.store.waiting(context.identity.device, self._obtainable),
                untold=self.continuity.untold.entries(),
                given_up=self.continuity.untold.given_up,
                earlier=self._lacking.earlier(),
            ),
        )
        with context.machine.database.transaction():
            context.trees.settle(made.settled)
        return made

    def _derive(self, label: str, parts: tuple[bytes, ...]) -> EntryId:
        keys = self.context.keyring.fixed
        return EntryId(derive(_DERIVED[label], keys.name, *parts, size=16))

    def _may_write(self) -> bool:
        role = self.context.journal.role(self.context.identity.user)
        return role is None or role >= Role.EDITOR

    def _say(self, made: Plan) -> None:
        problems = self.context.problems
        problems.clear("", "delete_brake")
        for brake in made.brakes:
            where = "from this disk" if brake.side == "local" else "everywhere else"
            problems.put(
                "",
                "delete_brake",
                f"{brake.deletions} of {brake.entries} entries would be deleted {where}: `shoal confirm` if that is "
                "meant, `shoal confirm --reject` to take them back",
            )
        self.withheld = len(made.withheld)
