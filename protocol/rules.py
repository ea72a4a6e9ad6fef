"""What makes a commit legal. Owns `judge`, which the coordinator and every device run alike.

Pure: the state is read through a view, signatures and hashes are handed in (`Hashes`), and the verdict is data.
The coordinator adds only what it alone knows (blocks, quota, purged versions); nothing else accepts a commit. What a
commit does to the tree is judged in `tree_rules`, users' chains in `chains`, sealed parts in `checks`.
"""

from dataclasses import replace
from typing import assert_never

from protocol import model, tree_rules
from protocol.chains import BadChain, UserChain, judge_chain
from protocol.ids import NO_LOG, NO_WORKSPACE, CommitDigest, DeviceId, LogHash, UserId, WorkspaceId
from protocol.messages import CommitReason
from protocol.model import (
    Change,
    Commit,
    DeviceAdded,
    DeviceKeys,
    DeviceRevoked,
    Entries,
    Genesis,
    JournalRow,
    KeysRotated,
    Kind,
    NewEpoch,
    PurgedChange,
    Revocation,
    Role,
    SignedLink,
)
from protocol.view import (
    ChainState,
    Delta,
    DeviceState,
    EntryState,
    Hashes,
    Prefetching,
    Refused,
    Repeated,
    StateView,
    Verdict,
    WorkspaceState,
)

__all__ = [
    "ChainState",
    "Delta",
    "DeviceState",
    "EntryState",
    "Hashes",
    "Prefetching",
    "Refused",
    "Repeated",
    "StateView",
    "Verdict",
    "WorkspaceState",
    "digest_of",
    "judge",
    "judge_row",
]


def judge(state: StateView, commit: Commit, hashes: Hashes, *, replay: bool = False) -> Verdict:
    """Whether `commit` may follow the head of `state`, and what it changes there.

    `replay` says that the commit comes from a journal (a page, a hand-back): then its changes may be purged ones. All
    else is the same, since a row of a journal is legal exactly where it stands.
    """
    return _Judgement(state, commit, hashes, replay).verdict()


def judge_row(state: StateView, row: JournalRow, hashes: Hashes) -> Delta | Refused:
    """Whether `row` is the journal's next row. Anything but a `Delta` means that the journal's history is invalid."""
    if row.seq != state.workspace.seq + 1:
        return Refused(CommitReason.MALFORMED, 0, detail="the row's number is not the next one")
    verdict = judge(state, row.commit, hashes, replay=True)
    if isinstance(verdict, Repeated):
        return Refused(CommitReason.SUPERSEDED, 0, detail="the commit is in the journal already")
    if isinstance(verdict, Delta) and verdict.workspace.log_hash != row.log_hash:
        return Refused(CommitReason.MALFORMED, 0, detail="the row's log hash is not that of its commit")
    return verdict


def digest_of(commit: Commit, hashes: Hashes) -> CommitDigest:
    """The digest of a commit: what its author signs and the journal chains."""
    return CommitDigest(_digest(commit, _change_hashes(commit, hashes), hashes))


class _Illegal(Exception):
    """Internal: ends the judgement with a refusal."""

    def __init__(self, reason: CommitReason, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


class _Judgement:
    """One commit before the judge."""

    def __init__(self, state: StateView, commit: Commit, hashes: Hashes, replay: bool) -> None:
        self.state = state
        self.commit = commit
        self.header = commit.header
        self.hashes = hashes
        self.replay = replay
        self.change_hashes = _change_hashes(commit, hashes)
        self.digest = CommitDigest(_digest(commit, self.change_hashes, hashes))
        self.device = state.device(commit.header.device)
        self.last_number = self.device.last_number if self.device else 0

    def verdict(self) -> Verdict:
        body = self.commit.body
        try:
            match body:
                case Entries():
                    return self._number_verdict() or self._entries(body)
                case Genesis():
                    return self._number_verdict() or self._genesis(body)
                case DeviceAdded():
                    return self._number_verdict() or self._device_added(body)
                case DeviceRevoked():
                    return self._number_verdict() or self._device_revoked(body)
                case KeysRotated():
                    return self._number_verdict() or self._keys_rotated(body)
                case _:
                    assert_never(body)
        except _Illegal as illegal:
            return Refused(illegal.reason, self.last_number, detail=illegal.detail)

    # --- what every commit must satisfy ---

    def _number_verdict(self) -> Repeated | None:
        if self.header.number <= self.last_number:
            place = self.state.accepted(self.digest)
            if place is not None:
                return Repeated(*place)
            raise _Illegal(CommitReason.SUPERSEDED, "the commit number is not above the last accepted one")
        _require(self.header.after == self.last_number, CommitReason.NOT_NEXT, "not after the last accepted commit")
        return None

    def _require_head(self) -> None:
        here, seq = self.state.workspace, self.header.head_seq
        own = self.header.workspace == here.workspace and here.seq > 0
        _require(own, CommitReason.DENIED, "the commit is another workspace's")
        if seq == here.seq:
            known = self.header.head_hash == here.log_hash
        else:
            known = 0 < seq < here.seq and self.state.head_known(seq, self.header.head_hash)
        _require(known, CommitReason.UNKNOWN_HEAD, "the head it names is not on this journal")

    def _author(self) -> DeviceState:
        """The device that commits, which is valid here and has signed."""
        if self.device is None or not self.device.active:
            raise _Illegal(CommitReason.DENIED, "the device is not valid here")
        self._require_signature(self.device.keys)
        return self.device

    def _require_signature(self, keys: DeviceKeys) -> None:
        holds = self.hashes.verify_commit(keys.sign, self.digest, self.commit.signature)
        _require(holds, CommitReason.DENIED, "the signature does not hold")

    # --- the kinds of commit ---

    def _entries(self, body: Entries) -> Verdict:
        device = self._author()
        self._require_head()
        if body.changes:
            role = self.state.role(device.user)
            allowed = role is not None and role >= Role.EDITOR
            _require(allowed, CommitReason.DENIED, "the role does not allow changes")
        self._require_supported(body)
        epoch = self.state.workspace.epoch
        current = all(change.clear.epoch == epoch for change in body.changes)
        _require(current, CommitReason.OLD_EPOCH, "a sealed part is not of the current epoch")

        proposal = tree_rules.Proposal(
            header=self.header,
            changes=body.changes,
            change_ids=tree_rules.change_ids(self.header.workspace, body.changes, self.change_hashes, self.hashes),
        )
        refusals = tree_rules.judge_changes(self.state, proposal)
        if refusals:
            return Refused(CommitReason.CHANGES, self.last_number, changes=refusals)
        workspace = self._workspace_after()
        accepted = replace(device, last_number=self.header.number)
        entries = proposal.states(workspace.seq)
        return Delta(workspace, self.digest, entries, ((self.header.device, accepted),), (), ())

    def _require_supported(self, body: Entries) -> None:
        for change in body.changes:
            clear = change.clear
            _require(clear.kind is not Kind.MOUNT, CommitReason.NOT_SUPPORTED, "mounts are not supported yet")
            idle = clear.offered and (clear.deleted or (isinstance(change, Change) and not change.added))
            _require(not idle, CommitReason.MALFORMED, "an offered change brings no blocks")
            purged = isinstance(change, PurgedChange) and not self.replay
            _require(not purged, CommitReason.MALFORMED, "a purged change is no proposal")

    def _genesis(self, body: Genesis) -> Delta:
        header, here = self.header, self.state.workspace
        _require(here.seq == 0, CommitReason.DENIED, "only the first commit makes a workspace")
        first = (header.workspace, header.head_seq, header.head_hash) == (NO_WORKSPACE, 0, NO_LOG)
        _require(first, CommitReason.MALFORMED, "a genesis names no workspace and no head")
        expected = here.workspace in (NO_WORKSPACE, self.digest)
        _require(expected, CommitReason.DENIED, "the genesis is another workspace's")
        sizes = body.chunker.min_size <= body.chunker.avg_size <= body.chunker.max_size
        _require(sizes, CommitReason.MALFORMED, "the chunker's sizes are not in order")
        chain = self._chain(body.chain)
        _require(chain.user == body.owner, CommitReason.DENIED, "the chain is not the owner's")
        active = chain.active_devices()
        self._require_signature(_signer(active, header.device))
        _require_keys(body, chain)

        workspace = WorkspaceState(
            workspace=WorkspaceId(self.digest),
            seq=1,
            log_hash=LogHash(self.hashes.log_hash(NO_LOG, self.digest)),
            epoch=1,
            last_control=self.digest,
        )
        devices = tuple(
            (device, DeviceState(chain.user, keys, True, header.number if device == header.device else 0))
            for device, keys in active.items()
        )
        roles = ((chain.user, Role.OWNER),)
        return Delta(workspace, self.digest, (), devices, roles, ((chain.user, chain.state),))

    def _device_added(self, body: DeviceAdded) -> Delta:
        _require(self.device is None, CommitReason.DENIED, "the device was added before")
        self._require_head()
        _require(self.state.role(body.user) is not None, CommitReason.DENIED, "the user is no member")
        self._require_last_control(body.previous_control)
        chain = self._longer_chain(body.user, body.chain)
        keys = _signer(chain.active_devices(), self.header.device)
        self._require_signature(keys)

        added = DeviceState(chain.user, keys, True, self.header.number)
        workspace = replace(self._workspace_after(), last_control=self.digest)
        devices = ((self.header.device, added), *self._ended(chain))
        return Delta(workspace, self.digest, (), devices, (), ((chain.user, chain.state),))

    def _device_revoked(self, body: DeviceRevoked) -> Delta:
        author = self._author()
        self._require_head()
        manages = self._manages(author)
        allowed = manages or (author.user == body.user and self.state.role(author.user) is not None)
        _require(allowed, CommitReason.DENIED, "the device is another user's")
        _require(self.state.role(body.user) is not None, CommitReason.DENIED, "the user is no member")
        self._require_last_control(body.previous_control)
        seen = self.state.chain(body.user)
        chain = self._longer_chain(body.user, body.chain)
        news = body.chain[0 if seen is None else seen.length :]
        revokes = any(isinstance(signed.link.body, Revocation) for signed in news)
        _require(revokes, CommitReason.DENIED, "the chain revokes no device that is not revoked here")
        ended = self._ended(chain)
        _require(self.header.device not in dict(ended), CommitReason.DENIED, "the device enters its own revocation")
        rotates = body.rotation is not None
        _require(rotates == manages, CommitReason.DENIED, "new keys come with a manager's revocation, and no other")
        workspace = replace(self._workspace_after(), last_control=self.digest)
        if body.rotation is not None:
            self._require_new_epoch(body.rotation, dict(ended))
            workspace = replace(workspace, epoch=body.rotation.epoch)
        devices = (self._numbered(author), *ended)
        return Delta(workspace, self.digest, (), devices, (), ((chain.user, chain.state),))

    def _keys_rotated(self, body: KeysRotated) -> Delta:
        author = self._author()
        self._require_head()
        _require(self._manages(author), CommitReason.DENIED, "the role does not allow new keys")
        self._require_last_control(body.previous_control)
        self._require_new_epoch(body.rotation, {})
        workspace = replace(self._workspace_after(), last_control=self.digest, epoch=body.rotation.epoch)
        return Delta(workspace, self.digest, (), (self._numbered(author),), (), ())

    def _manages(self, author: DeviceState) -> bool:
        role = self.state.role(author.user)
        return role is not None and role >= Role.MANAGER

    def _numbered(self, author: DeviceState) -> tuple[DeviceId, DeviceState]:
        return self.header.device, replace(author, last_number=self.header.number)

    def _require_last_control(self, previous: bytes) -> None:
        moved = previous != self.state.workspace.last_control
        _require(not moved, CommitReason.CONTROL_MOVED, "there is a later control commit")

    def _require_new_epoch(self, rotation: NewEpoch, ended: dict[DeviceId, DeviceState]) -> None:
        """It is the next one; every device that stays valid gets the key, no other of this journal does."""
        is_next = rotation.epoch == self.state.workspace.epoch + 1
        _require(is_next, CommitReason.MALFORMED, "the epoch is not the next one")
        recipients = {sealed.recipient for sealed in rotation.keys}
        _require(
            len(recipients) == len(rotation.keys), CommitReason.MALFORMED, "keys are sealed twice to one recipient"
        )
        for device, known in self.state.devices():
            is_in = device in recipients
            if known.active and device not in ended:
                _require(is_in, CommitReason.MALFORMED, "a device is left without the new keys")
            else:
                _require(not is_in, CommitReason.MALFORMED, "the new keys are sealed to a revoked device")

    def _longer_chain(self, user: UserId, links: tuple[SignedLink, ...]) -> UserChain:
        chain = self._chain(links)
        _require(chain.user == user, CommitReason.DENIED, "the chain is not the user's")
        seen = self.state.chain(user)
        extends = seen is None or chain.extends(seen)
        _require(extends, CommitReason.DENIED, "the chain does not extend the one seen here")
        return chain

    def _ended(self, chain: UserChain) -> tuple[tuple[DeviceId, DeviceState], ...]:
        """The devices valid here until now that the chain has revoked."""
        known = ((device, self.state.device(device)) for device in sorted(chain.revoked_devices))
        return tuple(
            (device, replace(each, active=False)) for device, each in known if each is not None and each.active
        )

    def _chain(self, links: tuple[SignedLink, ...]) -> UserChain:
        chain = judge_chain(links, self.hashes)
        if isinstance(chain, BadChain):
            raise _Illegal(CommitReason.DENIED, f"link {chain.index} of the chain: {chain.detail}")
        return chain

    def _workspace_after(self) -> WorkspaceState:
        here = self.state.workspace
        log_hash = LogHash(self.hashes.log_hash(here.log_hash, self.digest))
        return replace(here, seq=here.seq + 1, log_hash=log_hash)


def _require_keys(body: Genesis, chain: UserChain) -> None:
    """Every active device gets the keys, an unused pairing may, nobody else does, and nobody twice."""
    recipients = [sealed.recipient for sealed in body.keys]
    devices = {bytes(device) for device in chain.active_devices()}
    pairings = {pairing.recipient for pairing in chain.pairings.values()}
    _require(len(set(recipients)) == len(recipients), CommitReason.MALFORMED, "keys are sealed twice to one recipient")
    _require(devices <= set(recipients), CommitReason.MALFORMED, "a device of the owner is left without keys")
    _require(set(recipients) <= devices | pairings, CommitReason.MALFORMED, "keys are sealed to a stranger")


def _signer(active: dict[DeviceId, DeviceKeys], device: DeviceId) -> DeviceKeys:
    keys = active.get(device)
    if keys is None:
        raise _Illegal(CommitReason.DENIED, "the device is not in the user's chain")
    return keys


def _change_hashes(commit: Commit, hashes: Hashes) -> tuple[tuple[bytes, bytes], ...]:
    """Per change the hashes of its sealed part and block lists, as the skeleton has them."""
    if not isinstance(commit.body, Entries):
        return ()
    return tuple(
        (hashes.sealed_hash(change.sealed), hashes.lists_hash(model.lists_bytes(change.added, change.removed)))
        if isinstance(change, Change)
        else (change.sealed_hash, change.lists_hash)
        for change in commit.body.changes
    )


def _digest(commit: Commit, change_hashes: tuple[tuple[bytes, bytes], ...], hashes: Hashes) -> bytes:
    return hashes.commit_digest(model.skeleton_bytes(commit.header, commit.body, change_hashes))


def _require(holds: bool, reason: CommitReason, detail: str) -> None:
    if not holds:
        raise _Illegal(reason, detail)
