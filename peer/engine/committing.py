"""From a plan's proposals to the journal. Owns what is still to be committed, and what the loop does about an answer.

One commit is in flight at a time, and none leaves while the journal has news: what is proposed is up to date as far as
is known.
"""

from collections.abc import Callable
from typing import Final

from peer.engine import epochs
from peer.engine.arrivals import UPLOADS, upload_of
from peer.engine.context import Context
from peer.engine.continuity import Continuity
from peer.engine.feed import Feed
from peer.engine.moving import Mover
from peer.engine.proposing import Outcome, Proposer, Sent
from peer.engine.rests import LINK_S, REFUSED_S, Due, Rests
from peer.link.chain import KnownChain
from peer.planner.operations import ProposeChange
from protocol.messages import CommitAccepted
from protocol.model import Entries, JournalRow

PROPOSE_S: Final = 2.0
"""For so long commits go out one after the other although there is news."""
COMMITS = "commits"
"""The rest of everything that is proposed."""

Chains = Callable[[], KnownChain]
"""The chain of this device's user, as far as it is known."""


class Committer:
    """Commits the current plan's proposals for the loop."""

    def __init__(
        self,
        context: Context,
        feed: Feed,
        mover: Mover,
        due: Due,
        rests: Rests,
        chain: Chains,
        continuity: Continuity,
        is_all_said: Callable[[], bool],
    ) -> None:
        self._context = context
        self._continuity = continuity
        self._is_all_said = is_all_said
        self._feed = feed
        self._mover = mover
        self._due = due
        self._rests = rests
        self._chain = chain
        self._nothing_due: tuple[object, ...] = ()
        """Journal, chain and keys by which there was nothing to enter."""
        self._proposer = Proposer(context, mover)
        self._behind_at = -1
        self._is_unsettled = False
        """Whether a commit whose answer was lost may still arrive."""
        self._owes_part = False
        """Whether what is due besides changes could not be entered when the journal was read."""
        self.proposals: list[ProposeChange] = []
        """What is still to be committed of the current plan."""

    async def commit(self) -> None:
        """Commit what is ready, until something else wants to be looked at."""
        context = self._context
        if self._rests.rests(COMMITS):
            return
        if not context.online:
            await self._commit_alone()
            return
        if self._due.journal or self._continuity.is_open or self._continuity.is_returning:
            return
        if self._owes_part and not await self._take_part():
            return
        if not self.proposals:
            is_word_due = self._is_all_said() if self._continuity.untold.owes_word else self._is_unsettled
            if is_word_due and not self._due.plan:
                await self._send(await context.machine.database_work.run(self._proposer.build_control, Entries(())))
            return
        if context.keyring.epoch(context.journal.workspace.epoch) is None:
            return  # the next reading of the journal asks for it
        begun_s = context.machine.clock.monotonic_s()
        commits, to_send = await context.machine.database_work.run(self._proposer.ready, self.proposals)
        if not self._rests.rests(UPLOADS):
            self._mover.put_up([job for job in to_send if not self._rests.rests(upload_of(job.file.entry))])
        for commit in commits:
            sent = await context.machine.database_work.run(self._proposer.build, commit)
            if sent is None:
                self._due.plan = True
                return
            if not await self._send(sent):
                return
            if context.signal.is_set and context.machine.clock.monotonic_s() - begun_s > PROPOSE_S:
                return

    async def _commit_alone(self) -> None:
        """Commit what is ready without the coordinator, for those who are near."""
        context, alone = self._context, self._continuity
        if not self.proposals or not alone.may_commit:
            return
        if context.keyring.epoch(context.journal.workspace.epoch) is None:
            return
        commits, to_send = await context.machine.database_work.run(self._proposer.ready, self.proposals)
        self._mover.put_up(to_send)
        for commit in commits:
            sent = await context.machine.database_work.run(self._proposer.build, commit)
            if sent is None:
                self._due.plan = True
                return
            if not await alone.take_own(sent):
                self._rests.rest(COMMITS, LINK_S)
                self._due.plan = True
                return
            self._note_done(sent)

    async def journal_read(self) -> None:
        """The journal is at its head: see what became of what was in flight, and take part.

        It enters what is due: itself, the revocation of another device of its user, new keys.
        """
        context = self._context
        self._is_unsettled = await context.machine.database_work.run(self._proposer.settle_outbox)
        await self._take_part()

    async def _take_part(self) -> bool:
        """Enter what is due besides changes; whether all of it is in the journal now."""
        self._owes_part = True
        while not self._context.record.paused and not self._rests.rests(COMMITS):
            sent = await self._context.machine.database_work.run(self._build_control)
            if sent is None:
                self._owes_part = False
                return True
            if not await self._send(sent):
                break
        return False

    def _build_control(self) -> Sent | None:
        """What this device has to enter into the journal besides changes; None where that is nothing."""
        context, known = self._context, self._chain()
        journal, machine = context.journal, context.machine
        by = (journal.workspace.last_control, known.chain.length, context.keyring.epochs)
        if by == self._nothing_due:
            return None
        body = epochs.next_control(
            machine.database, journal, context.record, context.identity, known, machine.entropy, machine.client.now_ms()
        )
        if body is None:
            self._nothing_due = by
            return None
        return self._proposer.build_control(body)

    async def _send(self, sent: Sent) -> bool:
        """Send one commit; True where it is in the journal now."""
        answer = await self._proposer.send(sent)
        match answer.outcome:
            case Outcome.ACCEPTED:
                assert answer.accepted is not None
                return await self._accepted(sent, answer.accepted)
            case Outcome.BEHIND:
                seq = self._context.journal.workspace.seq
                self._due.journal = self._due.plan = True
                if self._behind_at == seq:  # reading the journal did not help the last time
                    self._rests.rest(COMMITS, LINK_S)
                self._behind_at = seq
            case Outcome.UNREACHABLE | Outcome.LATER:
                if answer.is_full:
                    self._context.problems.put(
                        "", "server_full", f"{answer.message}: free some space on the coordinator"
                    )
                self._due.journal = True
                self._rests.rest(COMMITS, LINK_S)
            case Outcome.REFUSED:
                code = "quota" if "quota" in answer.message else "bad_change"
                message = f"{answer.message}: it is tried again every {REFUSED_S:.0f} seconds"
                self._context.problems.put("", code, message)
                self._due.journal = self._due.plan = True
                self._rests.rest(COMMITS, REFUSED_S)
        return False

    async def _accepted(self, sent: Sent, accepted: CommitAccepted) -> bool:
        context, feed = self._context, self._feed
        feed.head.seq = max(feed.head.seq, accepted.seq)
        if accepted.seq == context.journal.workspace.seq + 1:
            before = set(feed.touched)
            await feed.take([JournalRow(accepted.seq, accepted.log_hash, accepted.received, sent.commit)])
            feed.touched = before
        elif accepted.seq > context.journal.workspace.seq:
            await feed.pull()
        if not await context.machine.database_work.run(self._proposer.accepted, sent):
            self._due.journal = self._due.plan = True
            self._rests.rest(COMMITS, LINK_S)
            return False
        self._is_unsettled = await context.machine.database_work.run(self._proposer.settle_outbox)
        if not sent.proposals:
            await context.machine.database_work.run(self._continuity.untold.owe_word, False)
        self._note_done(sent)
        context.problems.clear("", "bad_change", "quota", "server_full")
        return True

    def _note_done(self, sent: Sent) -> None:
        """These are committed."""
        done = {one.entry for one in sent.proposals}
        self.proposals = [one for one in self.proposals if one.entry not in done]
        if not self.proposals:
            # Something may have waited for these to be in the journal, such as a copy of what was also moved.
            self._due.plan = True
        self._context.changed()
