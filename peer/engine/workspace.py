"""One workspace kept in step: the loop. Owns the order of things, and when to plan.

The loop alone writes the trees. Each turn: take what the transfers brought, read the journal if it moved, look at what
changed on disk, plan if anything differs, carry the plan out as far as it goes, and wait for the next reason.
"""

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import Final

import trio

from crypto.digest import derive
from crypto.labels import Label
from peer.disk.temporary import discard_temp
from peer.engine.context import Context
from peer.engine.executor import Executor, Ready
from peer.engine.feed import Feed, Pulled
from peer.engine.moving import Down, Mover, Up
from peer.engine.pace import Pace
from peer.engine.proposing import Outcome, Proposer, Sent
from peer.engine.scanning import RootTrouble, Scanner
from peer.planner.operations import Plan, Policy, ProposeChange
from peer.planner.plan import plan
from peer.scan.findings import WatchEvent
from peer.scan.identity import Assigned
from peer.transfer.download import Bad, Fetched, Missing, NotFetched, NotWritten
from peer.transfer.ingest import Changed, Failed, Ingested, NotSent
from protocol.ids import EntryId
from protocol.messages import CommitAccepted, Poke
from protocol.model import DeviceAdded, JournalRow, Role, SignedLink
from protocol.names import utc_date

_DERIVED: Final = {"conflicted copy": Label.ID_COPY, "directory made again": Label.ID_AGAIN}
RETRY_S: Final = 5.0
PROPOSE_S: Final = 2.0
"""For so long commits go out one after the other although there is news."""
STANDS_STILL: Final = ("root_missing", "root_replaced", "delete_brake")
"""Problems at which the workspace waits for somebody."""
STOPPED: Final = ("history_forked", "history_invalid", "access_removed", "cloned_home", "old_client")
"""Problems at which it stops."""

Links = Callable[[], tuple[SignedLink, ...]]


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

    def __init__(self, context: Context, links: Links) -> None:
        self.context = context
        self.scanner = Scanner(context)
        self.feed = Feed(context)
        self.mover = Mover(context)
        self.executor = Executor(context, self.scanner)
        self.proposer = Proposer(context, self.mover)
        self._links = links
        self._pokes: list[Poke] = []
        self._pull_due = True
        self._plan_due = True
        self._proposals: list[ProposeChange] = []
        self._uploads_from_s = 0.0
        self._answer = Answer()
        self._retry_at_s: float | None = None
        self._scanned = False
        self.begun = trio.Event()
        """Set once the folder was scanned and the journal read (or the coordinator found to be away)."""
        self.settled = False
        """Whether the last turn found nothing to do and nothing under way."""
        self.withheld = 0
        self.pace = Pace(context.machine.clock)

    # --- asked by others --------------------------------------------------------------------------------

    def wake(self, poke: Poke | None = None) -> None:
        """The journal may have moved."""
        if poke is None:
            self._pull_due = True
        else:
            self._pokes.append(poke)
        self.settled = False
        self.context.signal.set()

    def look_anew(self) -> None:
        """Scan everything and read the journal, whatever was noticed; `is_in_step` is about both from here on."""
        self.settled = self._scanned = False
        self._pull_due = True
        self.scanner.rescan()
        self.context.signal.set()

    def answer(self, *, reject: bool) -> None:
        """What a person said to a large deletion."""
        self._answer = Answer(confirmed=not reject, rejected=reject)
        self.context.problems.clear("", "delete_brake")
        self.settled = False
        self._plan_due = True
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
    def is_in_step(self) -> bool:
        """Whether everything local is committed, everything remote applied, as far as is known."""
        journal = self.context.journal.workspace
        return self.settled and self._scanned and journal.seq >= self.feed.head.seq and not self._pull_due

    @property
    def proposals(self) -> Sequence[ProposeChange]:
        """What is still to be committed of the current plan."""
        return self._proposals

    @property
    def proposal_count(self) -> int:
        """How many of them there are."""
        return len(self._proposals)

    # --- running ----------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Keep in step until cancelled."""
        context = self.context
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self.mover.run)
            async with context.machine.watching.open_watch(context.root.path, lambda path: False) as events:
                nursery.start_soon(self._watch, events)
                while True:
                    await self._turn()
                    await context.signal.wait(self._next_s())

    async def _watch(self, events: AsyncIterator[WatchEvent]) -> None:
        async for event in events:
            self.settled = False
            self.scanner.notice(event)

    def _next_s(self) -> float | None:
        """In how many seconds there is something to do without any news."""
        now_s = self.context.machine.clock.monotonic_s()
        times = [self.scanner.next_due_s(), self._retry_at_s]
        if not self.stopped:
            times.append(self.executor.next_retry_s())
        due = [one for one in times if one is not None]
        return max(0.0, min(due) - now_s) if due else None

    async def _turn(self) -> None:
        """Everything that can be done now."""
        context = self.context
        if self._retry_at_s is not None and context.machine.clock.monotonic_s() >= self._retry_at_s:
            self._retry_at_s = None
            self._plan_due = True
        await self._take_transfers()
        if not self.stopped and not await self._read_journal():
            return
        await self._scan()
        if not self._scanned:
            return
        self.begun.set()
        if self.stopped:
            return
        await self._step()
        self._note_pace()
        context.changed()

    def _note_pace(self) -> None:
        _, up_bytes, _, _ = self.mover.pending()
        down_bytes = sum(one.content.size for one in self.executor.waiting.values())
        context = self.context
        self.pace.note(context.up.bytes_done + context.down.bytes_done, up_bytes + down_bytes)

    def _retry_in(self, seconds: float) -> None:
        at_s = self.context.machine.clock.monotonic_s() + seconds
        self._retry_at_s = at_s if self._retry_at_s is None else min(self._retry_at_s, at_s)

    # --- what the transfers brought ----------------------------------------------------------------------

    async def _take_transfers(self) -> None:
        read, self.mover.read = self.mover.read, []
        fetched, self.mover.fetched = self.mover.fetched, []
        if read:
            await self._take_read(read)
        if fetched:
            await self._take_fetched(fetched)

    async def _take_read(self, read: list[tuple[Up, Ingested | Changed | Failed | NotSent]]) -> None:
        good: list[tuple[Assigned, Ingested]] = []
        sent: list[Ingested] = []
        for job, result in read:
            path = job.file.found.path
            match result:
                case Ingested():
                    good.append((job.file, result))
                    sent.append(result)
                case Changed():
                    if self.scanner.stop_reading(job.file):
                        self.scanner.look_again(path)
                case Failed(code=code, message=message):
                    if not self.scanner.stop_reading(job.file):
                        continue
                    code = "unreadable" if code == "io_error" else code
                    self.context.problems.put("/".join(path), code, f"{message}: it is tried again when it changes")
                case NotSent(failure=failure):
                    if self.scanner.is_wanted(job.file):
                        self.mover.put_up([Up(job.file, send=False)])
                    if failure.refusal is not None:
                        self._refused_blocks(failure.refusal.value, failure.message)
                    self._uploads_from_s = self.context.machine.clock.monotonic_s() + RETRY_S
                    self._retry_in(RETRY_S)
        await self.context.machine.database_work.run(self._write_read, good, sent)
        self._plan_due = True

    def _write_read(self, good: list[tuple[Assigned, Ingested]], sent: list[Ingested]) -> None:
        self.scanner.put_read(good)
        with self.context.machine.database.transaction():
            for result in sent:
                if result.manifest is not None:
                    self.context.contents.put_manifest(result.digest, result.manifest)

    def _refused_blocks(self, code: str, message: str) -> None:
        if code in ("server_full", "quota"):
            self.context.problems.put("", code, f"{message}: free some space on the coordinator")

    async def _take_fetched(
        self, fetched: list[tuple[Down, Fetched | Missing | Bad | NotWritten | NotFetched]]
    ) -> None:
        ready: list[Ready] = []
        unused: list[str] = []
        for job, result in fetched:
            entry = job.entry
            operation = self.executor.waiting.get(entry)
            wanted = operation is not None and operation.version == result.request.version
            match result:
                case Fetched(temp=temp):
                    if operation is not None and wanted:
                        ready.append(Ready(operation, temp, result.request.manifest))
                    else:
                        unused.append(temp)
                case NotFetched(message=message):
                    self._retry_in(RETRY_S)
                case Missing(code=code):
                    self._trouble_at(
                        entry, code, "the coordinator does not have its blocks: it comes when somebody has"
                    )
                    self._retry_in(30.0)
                case Bad(code=code, message=message) | NotWritten(code=code, message=message):
                    code = "unreadable" if code == "io_error" else code
                    self._trouble_at(entry, code, f"{message}: tried again every 20 seconds")
                    self._retry_in(20.0)
        if unused:
            await self.context.machine.disk_work.run(self._discard, unused)
        if ready:
            await self.executor.write(ready)

    def _discard(self, temps: list[str]) -> None:
        for temp in temps:
            discard_temp(self.context.root, temp)

    def _trouble_at(self, entry: EntryId, code: str, message: str) -> None:
        operation = self.executor.waiting.get(entry)
        if operation is not None:
            above = self.context.trees.path(operation.parent) or ()
            self.context.problems.put("/".join((*above, operation.name)), code, message)

    # --- the journal -------------------------------------------------------------------------------------

    async def _read_journal(self) -> bool:
        """Bring the journal up to date where there is news; False where the turn ends here."""
        pokes, self._pokes = self._pokes, []
        for poke in pokes:
            if not self._pull_due and not await self.feed.take_poke(poke):
                self._pull_due = True
        if self._pull_due and self.context.online:
            self._pull_due = False
            pulled = await self.feed.pull()
            if pulled is not Pulled.AT_HEAD:
                self._pull_due = True
                if pulled is not Pulled.STOPPED:
                    self._retry_in(RETRY_S)
                if pulled is Pulled.AGAIN and self.context.problems.has("history_went_back"):
                    return False
            else:
                await self.context.machine.database_work.run(self.proposer.drop_outbox)
                await self._take_part()
        if self.feed.touched:
            self.feed.touched.clear()
            self._plan_due = True
        return True

    async def _take_part(self) -> None:
        """Where this device is not valid in the journal yet, add it."""
        context, identity = self.context, self.context.identity
        journal = context.journal
        known = await context.machine.database_work.run(journal.device, identity.device)
        if known is not None:
            return
        links = self._links()
        body = DeviceAdded(journal.workspace.last_control, identity.user, links)
        sent = await context.machine.database_work.run(self.proposer.build_control, body)
        answer = await self.proposer.send(sent)
        if answer.outcome is not Outcome.ACCEPTED:
            self._pull_due = True
            self._retry_in(1.0)
            return
        await context.machine.database_work.run(self.proposer.accepted, sent)
        await self.feed.pull()

    # --- the disk ----------------------------------------------------------------------------------------

    async def _scan(self) -> None:
        """Look at what is due. Raises `RootLost` where nothing may be concluded from the folder."""
        due_s = self.scanner.next_due_s()
        if due_s is None or due_s > self.context.machine.clock.monotonic_s():
            return
        found = await self.scanner.scan()
        if isinstance(found, RootTrouble):
            raise RootLost(found)
        if found.to_read:
            self.mover.put_up(await self.context.machine.database_work.run(self._uploads, found.to_read))
        if found.changed:
            self._plan_due = True
        self._scanned = self._scanned or self.scanner.has_seen_all

    def _uploads(self, found: list[Assigned]) -> list[Up]:
        """New and changed files, to be read: and sent in the same pass, unless the journal seems to have them."""
        trees, online, may_write = self.context.trees, self.context.online, self._may_write()
        jobs = []
        for one in found:
            there = trees.remote_named(one.parent, one.name)
            adoptable = False
            if there is not None and trees.synced(one.entry) is None:
                remote = trees.remote(there)
                content = None if remote is None else remote.node.content
                adoptable = content is not None and content.size == one.found.fingerprint.size
            jobs.append(Up(one, send=online and may_write and not adoptable))
        return jobs

    # --- planning ----------------------------------------------------------------------------------------

    async def _step(self) -> None:
        """Plan where that is due, and carry out what can be."""
        if self._plan_due or self.executor.stale:
            await self._plan_anew()
        if self._proposals and not self.executor.stale:
            await self._propose()
        if self.executor.stale:
            self._plan_due = True
            if self.scanner.next_due_s() is None and self.executor.next_retry_s() is None:
                self._retry_in(0.05)
        up = self.mover.pending()
        self.settled = (
            not self._plan_due
            and not self._pull_due
            and not self._proposals
            and not self.executor.waiting
            and not self.waits
            and self.scanner.is_idle
            and up[0] == 0
            and up[2] == 0
            and not self.mover.read
            and not self.mover.fetched
        )
        if self.settled:
            self._answer = Answer()  # what it was given for is done

    async def _plan_anew(self) -> None:
        """Make a plan and carry out what needs no transfer; what else it wants is kept, the plan is not."""
        self._plan_due = False
        made = await self.context.machine.database_work.run(self._make_plan)
        self.executor.begin()
        self._say(made)
        for wave in made.waves:
            await self.executor.run_wave(wave)
            if self.executor.stale:
                break
        self._order_downloads()
        self._proposals = [one for wave in made.waves for one in wave if isinstance(one, ProposeChange)]

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
                confirmed_deletions=answer.confirmed,
                rejected_deletions=answer.rejected,
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

    def _order_downloads(self) -> None:
        # What is being read may turn out to be the very version: then nothing need be fetched.
        reading = {(one.parent, one.name) for one in self.scanner.reading.values()}
        waiting = [one for one in self.executor.waiting.values() if (one.parent, one.name) not in reading]
        self.mover.drop_waiting_down({one.entry: one.version for one in waiting})
        self.mover.put_down(
            [
                Down(one.entry, one.version, one.content)
                for one in waiting
                if not self.mover.fetching(one.entry, one.version)
            ]
        )

    # --- proposing ---------------------------------------------------------------------------------------

    async def _propose(self) -> None:
        """Commit what is ready, until something else wants to be looked at."""
        context = self.context
        if not context.online:
            return
        begun_s = context.machine.clock.monotonic_s()
        commits, to_send = await context.machine.database_work.run(self.proposer.ready, self._proposals)
        if to_send and context.machine.clock.monotonic_s() >= self._uploads_from_s:
            self.mover.put_up(to_send)
        for commit in commits:
            sent = await context.machine.database_work.run(self.proposer.build, commit)
            if sent is None:
                self._plan_due = True
                return
            if not await self._send(sent):
                return
            if context.signal.is_set and context.machine.clock.monotonic_s() - begun_s > PROPOSE_S:
                return

    async def _send(self, sent: Sent) -> bool:
        """Send one commit; True where it is in the journal now."""
        context = self.context
        answer = await self.proposer.send(sent)
        match answer.outcome:
            case Outcome.ACCEPTED:
                assert answer.accepted is not None
                return await self._accepted(sent, answer.accepted)
            case Outcome.BEHIND:
                self._pull_due = self._plan_due = True
                context.signal.set()
            case Outcome.UNREACHABLE | Outcome.LATER:
                self._pull_due = True
                self._retry_in(RETRY_S)
            case Outcome.REFUSED:
                code = "quota" if "quota" in answer.message else "bad_change"
                context.problems.put("", code, f"{answer.message}: it is tried again every 30 seconds")
                self._pull_due = True
                self._retry_in(30.0)
        return False

    async def _accepted(self, sent: Sent, accepted: CommitAccepted) -> bool:
        context = self.context
        self.feed.head.seq = max(self.feed.head.seq, accepted.seq)
        if accepted.seq == context.journal.workspace.seq + 1:
            before = set(self.feed.touched)
            await self.feed.take([JournalRow(accepted.seq, accepted.log_hash, accepted.received, sent.commit)])
            self.feed.touched = before
        elif accepted.seq > context.journal.workspace.seq:
            await self.feed.pull()
        if not await context.machine.database_work.run(self.proposer.accepted, sent):
            self._pull_due = self._plan_due = True
            self._retry_in(RETRY_S)
            return False
        done = {one.entry for one in sent.proposals}
        self._proposals = [one for one in self._proposals if one.entry not in done]
        if not self._proposals:
            # Something may have waited for these to be in the journal, such as a copy of what was also moved.
            self._plan_due = True
            context.signal.set()
        context.problems.clear("", "bad_change", "quota", "server_full")
        context.changed()
        return True
