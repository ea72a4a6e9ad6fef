"""Proposing changes. Owns building commits, their numbers, the outbox, and what an answer means.

One commit is in flight at a time. It is signed and stored in the outbox before it leaves; its number is never used
again. A file's version is proposed once all its blocks are stored, or offered once they are known.
"""

import enum
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from crypto import digest, sealing
from crypto.block_box import block_size
from crypto.identity import sign
from crypto.labels import Label
from peer.engine.context import Context
from peer.engine.feed import BeginAnew
from peer.engine.moving import Mover, Up
from peer.fingerprint import DiskKind
from peer.link.errors import LinkError
from peer.planner.operations import ProposeChange
from peer.planner.proposals import cut_commits
from peer.planner.trees import Attributes, Node
from peer.scan.findings import Found
from peer.scan.identity import Assigned
from peer.store.contents import Sealed
from peer.store.journal import HASHES, change_id
from peer.store.offers import OfferStore
from peer.store.outbox import Outbox
from peer.store.versions import version_body, version_with
from protocol.codec import encode
from protocol.ids import ChangeId, CommitDigest, EntryId, NameKey
from protocol.messages import (
    ChangeReason,
    CommitAccepted,
    CommitReason,
    CommitRefused,
    CommitRequest,
    Refusal,
    RefusalCode,
)
from protocol.model import (
    SUITE,
    Body,
    Change,
    Clear,
    Commit,
    CommitBody,
    CopyOf,
    Entries,
    FlatManifest,
    Header,
    Kind,
    Seen,
    lists_bytes,
    sealed_context,
)
from protocol.offered import Standing
from protocol.rules import digest_of

COMMIT_CHUNKS: Final = 100_000
"""A commit is cut before its manifests hold more chunks than this, unless one alone does."""


class Outcome(enum.Enum):
    """What became of a commit."""

    ACCEPTED = enum.auto()
    BEHIND = enum.auto()
    """Refused because the journal went on: read it and plan anew."""
    UNREACHABLE = enum.auto()
    LATER = enum.auto()
    """The coordinator asks to come back later."""
    REFUSED = enum.auto()
    """Refused for a reason that reading the journal does not mend."""


@dataclass(frozen=True, slots=True)
class Sent:
    """A commit with what it proposes."""

    commit: Commit
    digest: CommitDigest
    proposals: tuple[ProposeChange, ...]


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of a commit; `accepted` gives its place."""

    outcome: Outcome
    accepted: CommitAccepted | None = None
    message: str = ""
    is_full: bool = False
    """Whether the coordinator has no room to note anything."""


class Proposer:
    """Builds and sends commits for the loop. Building belongs in the database's thread."""

    def __init__(self, context: Context, mover: Mover) -> None:
        self._context = context
        self._mover = mover
        self._offers = OfferStore(context.machine.database, context.record.w)

    # --- choosing ---------------------------------------------------------------------------------------

    def ready(self, proposals: Sequence[ProposeChange]) -> tuple[list[tuple[ProposeChange, ...]], list[Up]]:
        """Those that can be proposed now, cut into commits; and the files to be read and sent first."""
        missing: set[EntryId] = set()
        held_groups: set[int] = set()
        to_send: list[Up] = []
        for one in proposals:
            if self._lacks_blocks(one):
                missing.add(one.entry)
                if one.group is not None:
                    held_groups.add(one.group)
                job = self._upload(one)
                if job is not None:
                    to_send.append(job)
        good = [one for one in proposals if one.entry not in missing and one.group not in held_groups]
        commits: list[tuple[ProposeChange, ...]] = []
        for commit in cut_commits(good):
            commits += self._cut_by_size(commit)
        return commits, to_send

    def _lacks_blocks(self, one: ProposeChange) -> bool:
        node = one.node
        if node.kind is not Kind.FILE or node.deleted or one.content_from is not None:
            return False
        return node.content is None or self._context.contents.sealed(node.content.digest) is Sealed.NOT

    def _upload(self, one: ProposeChange) -> Up | None:
        if self._mover.sending(one.entry):
            return None
        trees = self._context.trees
        row, path = trees.local(one.entry), trees.path(one.entry)
        if row is None or path is None or row.fingerprint is None:
            return None
        found = Found(path, DiskKind.FILE, row.fingerprint)
        file = Assigned(one.entry, row.node.parent, row.node.name, found, "path")
        return Up(file, self._mover.aim(row.fingerprint.size), even_if_open=True)

    def _cut_by_size(self, commit: tuple[ProposeChange, ...]) -> list[tuple[ProposeChange, ...]]:
        average = self._context.chunker.min_size
        parts: list[list[ProposeChange]] = [[]]
        chunks = 0
        for one in commit:
            size = one.node.content.size if one.node.content and not one.node.deleted else 0
            its = size // average + 1
            starts_group = one.group is None or not parts[-1] or parts[-1][-1].group != one.group
            if parts[-1] and chunks + its > COMMIT_CHUNKS and starts_group:
                parts.append([])
                chunks = 0
            parts[-1].append(one)
            chunks += its
        return [tuple(part) for part in parts if part]

    # --- building ---------------------------------------------------------------------------------------

    def build(self, proposals: Sequence[ProposeChange]) -> Sent | None:
        """Build, sign and keep a commit; None where something it needs is gone. In the database's thread."""
        changes = [self._change(one) for one in proposals]
        if any(change is None for change in changes):
            return None
        whole = tuple(change for change in changes if change is not None)
        workspace = self._context.record.workspace
        ids = tuple(change_id(workspace, change) for change in whole)
        commit, name = self._sign(Entries(whole), proposals, ids)
        return Sent(commit, name, tuple(proposals))

    def build_control(self, body: CommitBody) -> Sent:
        """The same for a control commit, or one without changes."""
        commit, name = self._sign(body)
        return Sent(commit, name, ())

    def _sign(
        self, body: CommitBody, proposals: Sequence[ProposeChange] = (), changes: Sequence[ChangeId] = ()
    ) -> tuple[Commit, CommitDigest]:
        context, identity = self._context, self._context.identity
        database, w = context.machine.database, context.record.w
        state = context.journal.verified
        known = context.journal.device(identity.device)
        after = 0 if known is None else known.last_number
        with database.transaction():
            row = database.one("SELECT last_signed FROM workspaces WHERE w = ?", (w,))
            assert row is not None
            number = max(row[0], after) + 1
            header = Header(
                suite=SUITE,
                workspace=state.workspace,
                device=identity.device,
                number=number,
                after=after,
                head_seq=state.seq,
                head_hash=state.log_hash,
                time=max(0, context.machine.clock.wall_ns() // 1_000_000),
            )
            name = digest_of(Commit(header, body, bytes(64)), HASHES)
            commit = Commit(header, body, sign(Label.SIGN_COMMIT, identity.keys.sign.secret, name))
            database.run("UPDATE workspaces SET last_signed = ? WHERE w = ?", (number, w))
            Outbox(database, w).put(number, name, commit, proposals, changes)
        return commit, name

    def _change(self, one: ProposeChange) -> Change | None:
        context, node = self._context, one.node
        body = self._body(one)
        if body is None:
            return None
        new = _blocks(body.manifest)
        # A deletion lists no blocks: what the version before it refers to stays referred to, until it is purged.
        old = set() if one.base is None or node.deleted else set(_blocks(self._manifest_of(one.base)))
        added = [block for block in new if block not in old]
        removed = sorted(old - new.keys())
        keys = context.keyring.epoch(context.journal.workspace.epoch)
        if keys is None:
            return None
        seen = None
        if node.deleted and node.kind is Kind.DIRECTORY:
            seen = Seen(context.journal.verified.seq, context.journal.provisional_commits())
        clear = Clear(
            entry=one.entry,
            parent=node.parent,
            kind=node.kind,
            base=one.base,
            name_key=NameKey(digest.name_key(context.keyring.fixed, node.parent, node.name)),
            deleted=node.deleted,
            offered=bool(added) and self._is_offered(one),
            epoch=keys.epoch,
            padded_bytes=sum(new[block] for block in added),
            seen=seen,
        )
        lists = (b"".join(added), b"".join(removed))
        bound = sealed_context(context.record.workspace, clear, HASHES.lists_hash(lists_bytes(*lists)))
        sealed = sealing.seal(keys.seal, context.machine.entropy.token(24), encode(body), bound)
        return Change(clear, sealed, *lists)

    def _is_offered(self, one: ProposeChange) -> bool:
        """Whether blocks of the content are still to be stored."""
        content = one.node.content
        if content is None or one.node.deleted or one.node.kind is not Kind.FILE:
            return False
        if one.content_from is None:
            return self._context.contents.sealed(content.digest) is Sealed.HERE
        source = self._source(one)
        return source is not None and self._offers.standing(source[0]) is Standing.OFFERED

    def _body(self, one: ProposeChange) -> Body | None:
        node, copy_of = one.node, None if one.copy_of is None else CopyOf(*one.copy_of)
        if node.deleted or node.kind is Kind.DIRECTORY:
            return Body(node.name, 0, 0, False, None, None, None, copy_of)
        assert node.content is not None
        if node.kind is Kind.SYMLINK:
            target = self._target(one, node)
            return None if target is None else Body(node.name, len(target), 0, False, None, target, None, copy_of)
        manifest = self._context.contents.manifest(node.content.digest)
        source = self._source(one)
        if source is not None and source[1].manifest is not None:
            manifest = source[1].manifest
        if manifest is None:
            return None
        its = node.attributes or Attributes(False, 0)
        content = node.content
        return Body(node.name, content.size, its.mtime_ns, its.executable, content.digest, None, manifest, copy_of)

    def _source(self, one: ProposeChange) -> tuple[ChangeId, Body] | None:
        """The version that a file's content is taken over from, if it is."""
        if one.content_from is None or one.node.content is None:
            return None
        database, w = self._context.machine.database, self._context.record.w
        return version_with(database, w, one.content_from, one.node.content.digest)

    def _target(self, one: ProposeChange, node: Node) -> bytes | None:
        assert node.content is not None
        target = self._context.contents.target(node.content.digest)
        if target is None and one.content_from is not None:
            body = version_body(self._context.machine.database, self._context.record.w, one.content_from)
            target = None if body is None else body.target
        return target

    def _manifest_of(self, version: ChangeId) -> FlatManifest | None:
        body = version_body(self._context.machine.database, self._context.record.w, version)
        return None if body is None else body.manifest

    # --- sending ----------------------------------------------------------------------------------------

    async def send(self, sent: Sent) -> Answer:
        """Send a commit and say what became of it. Raises `BeginAnew` where its number was used by somebody else."""
        context = self._context
        try:
            reply = await context.machine.client.request(CommitRequest(sent.commit))
        except LinkError as error:
            return Answer(Outcome.UNREACHABLE, message=str(error))
        match reply:
            case CommitAccepted():
                return Answer(Outcome.ACCEPTED, reply)
            case Refusal():  # of the question: it, or the commit itself, may have come through before
                return Answer(Outcome.LATER, message=reply.message, is_full=reply.code is RefusalCode.SERVER_FULL)
            case CommitRefused():
                await context.machine.database_work.run(self._learn, sent, reply)
                if reply.reason is CommitReason.SUPERSEDED:
                    raise BeginAnew
                return _judge_refusal(reply, context.journal.workspace.seq)

    def _learn(self, sent: Sent, refused: CommitRefused) -> None:
        """Take from a refusal what the next plan has to know."""
        database = self._context.machine.database
        with database.transaction():
            Outbox(database, self._context.record.w).drop(sent.digest)
        contents = self._context.contents
        by_entry = {one.entry: one for one in sent.proposals}
        for change in refused.changes:
            if change.reason is ChangeReason.MISSING_BLOCKS:
                with database.transaction():
                    contents.forget_blocks(change.ids)
                    one = by_entry.get(change.entry)
                    if one is not None and one.node.content is not None:
                        contents.forget_manifests([one.node.content.digest])

    def settle_outbox(self) -> bool:
        """The journal is at its head, and this device takes part in it. Returns whether a commit whose answer was lost
        may still arrive there: one of a higher number, accepted, is the end of it."""
        database, w = self._context.machine.database, self._context.record.w
        known = self._context.journal.device(self._context.identity.device)
        if known is None:
            return False
        with database.transaction():
            return Outbox(database, w).settle(self._context.identity.device, known.last_number)

    def accepted(self, sent: Sent) -> bool:
        """Forget what was kept for it; False, and nothing is done, where the commit is not in the verified journal.

        What the coordinator says is not enough: a base ahead of the journal would have older bytes put over newer ones.
        The synced tree advanced when the commit was taken into the journal.
        """
        context = self._context
        database = context.machine.database
        if context.journal.accepted(sent.digest) is None:
            return False
        with database.transaction():
            for one in sent.proposals:
                if one.node.content is not None and one.node.kind is Kind.FILE and not one.node.deleted:
                    context.contents.forget_manifests([one.node.content.digest])
        return True


def _blocks(manifest: FlatManifest | None) -> dict[bytes, int]:
    """The distinct blocks of a manifest in order, with the longest that each can be."""
    if manifest is None:
        return {}
    return {ref.block: block_size(ref.length) for ref in manifest.chunks}


def _judge_refusal(refused: CommitRefused, seq: int) -> Answer:
    detail = refused.detail or refused.reason.value
    match refused.reason:
        case CommitReason.NOT_NEXT | CommitReason.SUPERSEDED | CommitReason.UNKNOWN_HEAD | CommitReason.CONTROL_MOVED:
            return Answer(Outcome.BEHIND, message=detail)
        case CommitReason.CHANGES:
            missing = any(change.reason is ChangeReason.MISSING_BLOCKS for change in refused.changes)
            if missing or refused.head_seq > seq:
                return Answer(Outcome.BEHIND, message=detail)
            reasons = ", ".join(sorted({change.reason.value for change in refused.changes}))
            return Answer(Outcome.REFUSED, message=f"the coordinator refused a change: {reasons}")
        case CommitReason.OLD_EPOCH:
            return Answer(Outcome.BEHIND, message=detail)
        case CommitReason.DENIED | CommitReason.QUOTA:
            return Answer(Outcome.REFUSED, message=detail)
        case CommitReason.MALFORMED | CommitReason.NOT_SUPPORTED:
            return Answer(Outcome.REFUSED, message=detail)
