"""Going on without the coordinator: devices that meet on the LAN hand each other what they have committed.

Owns when that begins and ends, what may count meanwhile (`peer.store.provisional` has the rules), and telling the
coordinator of all of it when it is there again. Only what simply follows is ever applied; everything else waits, so
that nobody merges what may never be ordered so.
"""

import logging
from collections.abc import Sequence
from typing import Final

from peer.engine.context import Context
from peer.engine.denied import put_aside
from peer.engine.feed import BeginAnew, Feed
from peer.engine.proposing import Sent
from peer.engine.rests import SOON_S, Due, Rests
from peer.engine.untold import Untold
from peer.link.errors import LinkError
from peer.store.journal import HASHES
from peer.store.outbox import KeptCommit, Standing
from peer.store.provisional import NotFollowing, NotReadable, Provisional
from protocol import limits
from protocol.codec import Malformed, decode_exact, encode
from protocol.ids import CommitDigest
from protocol.messages import CommitAccepted, CommitReason, CommitRefused, CommitRequest, JournalRequest, Refusal
from protocol.model import Commit, Entries, Role
from protocol.rules import digest_of

AWAY_S: Final = 5.0
"""For so long the coordinator has to be away before devices go on without it."""
AWAY: Final = "coordinator away"
WAITING: Final = "commits that wait"
"""The rests of that, and of looking again at what did not simply follow."""
TRIES: Final = 10
"""So often that is put off for a second more each time, while nothing new comes."""
DONE: Final = 10_000
"""So many commits whose fate is known are remembered, so that nobody sends them again."""

_log = logging.getLogger("shoal.lan")


class Continuity:
    """For one workspace at work. The loop calls all but `kept`, `lacks`, `commit` and `take`, which are the LAN's."""

    def __init__(self, context: Context, feed: Feed, due: Due, rests: Rests) -> None:
        self._context = context
        self._feed = feed
        self._due = due
        self._rests = rests
        self._provisional = Provisional(
            context.machine.database, context.journal, context.trees, context.identity.device
        )
        self._outbox = self._provisional.outbox
        self._kept = self._outbox.standings()
        self._done: dict[CommitDigest, None] = {}
        self._told: list[CommitDigest] = []
        """What the coordinator was told of when last it was."""
        self.untold = Untold(context, rests)
        self._tries = 0
        feed.on_rows = self.untold.hear
        self._is_away = False
        self.is_open = context.journal.is_provisional
        """Whether this device goes on without the coordinator."""

    # --- what others may know ---------------------------------------------------------------------------

    def kept(self) -> Sequence[CommitDigest]:
        """The commits to hand to others, each after those it follows."""
        if not self.is_open:
            return ()
        told = (Standing.SHOWN, Standing.WAITS)
        return [digest for digest, standing in self._kept.items() if standing in told]

    def lacks(self, digest: CommitDigest) -> bool:
        """Whether a commit is neither here nor known to be settled."""
        return digest not in self._kept and digest not in self._done

    async def commit(self, digest: CommitDigest) -> bytes | None:
        """One of those that are kept."""
        if digest not in self._kept:
            return None
        found = await self._context.machine.database_work.run(self._outbox.commit, digest)
        return None if found is None else encode(found)

    async def take(self, digest: CommitDigest, data: bytes) -> None:
        """Keep what somebody sent, if it is what it was called and by a device that may commit."""
        if not self.lacks(digest):
            return
        if not await self._context.machine.database_work.run(self._take, digest, data):
            self._note_done(digest)
            return
        self._kept[digest] = Standing.WAITS
        self._tries = 0
        self._rests.end(WAITING)
        if self._context.online:
            self._due.journal = True  # it is told to the coordinator in its author's place
        self._context.signal.set()

    def _take(self, digest: CommitDigest, data: bytes) -> bool:
        context, journal = self._context, self._context.journal
        try:
            commit = decode_exact(Commit, data, limits.COMMIT_BYTES)
        except Malformed:
            return False
        header = commit.header
        author = journal.device(header.device)
        if header.workspace != journal.workspace.workspace or not isinstance(commit.body, Entries):
            return False
        if header.device == context.identity.device or digest_of(commit, HASHES) != digest:
            return False
        if author is None or not author.active or not HASHES.verify_commit(author.keys.sign, digest, commit.signature):
            return False
        role = journal.role(author.user)
        if role is None or role < Role.EDITOR or header.number <= author.last_number:
            return False
        count, _ = self._outbox.size(header.device)
        _, size = self._outbox.size()
        if count >= limits.LAN_KEPT or size + len(data) > limits.LAN_KEPT_BYTES:
            return False
        with context.machine.database.transaction():
            self._outbox.put_other(digest, commit)
        return True

    # --- going on alone ---------------------------------------------------------------------------------

    @property
    def may_commit(self) -> bool:
        """Whether changes may be committed without the coordinator: somebody is there who would have them."""
        return self.is_open and self._is_anybody_there

    @property
    def is_returning(self) -> bool:
        """Whether commits have counted that the coordinator is to be asked about: nothing is planned until then."""
        return not self.is_open and Standing.BACK in self._kept.values()

    @property
    def waiting(self) -> int:
        """How many commits of others do not simply follow what is here."""
        return sum(standing is Standing.WAITS for standing in self._kept.values())

    @property
    def shown(self) -> int:
        """How many commits count that the coordinator has not seen."""
        return sum(standing is Standing.SHOWN for standing in self._kept.values())

    @property
    def _is_anybody_there(self) -> bool:
        lan = self._context.machine.lan
        return lan is not None and lan.is_anybody_there(self._context.record.workspace)

    async def go_on(self) -> bool:
        """Begin without the coordinator where it is away, and let what follows follow; whether anything did."""
        if self._context.online:
            self._is_away = False
            return False
        if not self._is_away:
            self._is_away = True
            self._rests.rest(AWAY, AWAY_S)
        if not self.is_open and not self._rests.rests(AWAY) and (self._is_anybody_there or self.is_returning):
            self.is_open = True
            self._rests.end(WAITING)
            await self._context.machine.database_work.run(self._reload)
            _log.info("workspace %s goes on without the coordinator", self._context.record.workspace.hex()[:8])
        left = [digest for digest, standing in self._kept.items() if standing is not Standing.SHOWN]
        if not self.is_open or not left or self._rests.rests(WAITING):
            return False
        self._tries = min(TRIES, self._tries + 1)
        self._rests.rest(WAITING, SOON_S * self._tries)
        taken = await self._context.machine.database_work.run(self._follow_all)
        if taken:
            self._tries = 0
            self._tell()
        return taken

    async def take_own(self, sent: Sent) -> bool:
        """Let a commit that was just made count; False where it does not follow, and then it is forgotten."""

        def follow() -> bool:
            kept = KeptCommit(sent.commit, sent.digest, Standing.IN_FLIGHT)
            is_shown = self._follow(kept)
            if not is_shown:
                with self._context.machine.database.transaction():
                    self._outbox.drop(sent.digest)
            return is_shown

        is_shown = await self._context.machine.database_work.run(follow)
        if is_shown:
            self._kept[sent.digest] = Standing.SHOWN
            self._tell()
        return is_shown

    def _follow_all(self) -> bool:
        followed = False
        for kept in self._outbox.all():
            if kept.standing is not Standing.SHOWN:
                followed = self._follow(kept) or followed
        self._reload()
        return followed

    def _follow(self, kept: KeptCommit) -> bool:
        context = self._context
        try:
            with context.machine.database.transaction():
                taken = self._provisional.follow(kept, context.keyring, context.chunker)
        except NotFollowing as failed:
            _log.debug("a commit waits: %s", failed)
            return False
        except NotReadable:
            context.journal.forget_cache()
            context.trees.forget_cache()
            with context.machine.database.transaction():
                self._outbox.drop(kept.digest)
            return False
        self._feed.touched.update(taken.touched)
        return True

    def _reload(self) -> None:
        self._kept = self._outbox.standings()

    def _tell(self) -> None:
        lan = self._context.machine.lan
        if lan is not None:
            lan.tell_kept(self._context.record.workspace)

    # --- coming back ------------------------------------------------------------------------------------

    async def end(self) -> bool:
        """Let the journal alone count, as soon as the coordinator answers; False where it does not."""
        context = self._context
        state = context.journal.verified
        try:
            await context.machine.client.request(JournalRequest(context.record.workspace, state.seq, state.log_hash, 1))
        except LinkError:
            return False
        await context.machine.database_work.run(self._roll_back)
        return True

    def _roll_back(self) -> None:
        with self._context.machine.database.transaction():
            if self._context.journal.is_provisional:
                self.untold.begin(self._provisional.roll_back())
        self.is_open = False
        self._reload()

    @property
    def has_news(self) -> bool:
        """Whether there is anything that the coordinator is to be told of."""
        return any(standing in (Standing.BACK, Standing.WAITS) for standing in self._kept.values())

    async def submit(self) -> bool:
        """The journal is at its head: tell the coordinator of every commit, in order; False where it did not answer.

        What it took is in the journal by the next reading, after which `settle` is to be called. Raises `BeginAnew`.
        """
        context = self._context
        commits = await context.machine.database_work.run(self._outbox.all)
        self._told.clear()
        for kept in commits:
            if kept.standing not in (Standing.BACK, Standing.WAITS):
                continue
            try:
                reply = await context.machine.client.request(CommitRequest(kept.commit))
            except LinkError:
                return False
            self._told.append(kept.digest)
            match reply:
                case Refusal():
                    return False
                case CommitRefused():
                    await self._refused(kept, reply)
                case CommitAccepted():
                    self._feed.head.seq = max(self._feed.head.seq, reply.seq)
        return True

    async def _refused(self, kept: KeptCommit, refused: CommitRefused) -> None:
        """Forget a commit: what came with it is as if it had been made here, or is undone."""
        is_own = kept.commit.header.device == self._context.identity.device
        if is_own and refused.reason is CommitReason.SUPERSEDED:
            raise BeginAnew
        if is_own:
            await self._context.machine.database_work.run(self.untold.owe_word, True)
        if not is_own and kept.standing is Standing.BACK:
            agreed = await self._context.machine.database_work.run(self._outbox.agreed, kept.digest)
            if refused.reason is CommitReason.DENIED:
                await put_aside(self._context, [proposal for proposal, _ in agreed])
            else:
                await self._context.machine.database_work.run(self.untold.leave, kept.commit.header, agreed)
        await self._context.machine.database_work.run(self._drop, [kept.digest])

    async def settle(self) -> None:
        """All was told, and the journal read since: what is not in it will not be."""
        await self._context.machine.database_work.run(self._drop, tuple(self._told))

    def _drop(self, digests: Sequence[CommitDigest]) -> None:
        with self._context.machine.database.transaction():
            for digest in digests:
                self._outbox.drop(digest)
        for digest in digests:
            self._note_done(digest)
        self._reload()

    def _note_done(self, digest: CommitDigest) -> None:
        self._done[digest] = None
        if len(self._done) > DONE:
            del self._done[next(iter(self._done))]
