"""What of this device's workspaces the LAN is told: whom to meet, how far the journals are, what may be read.

Owns that only workspaces that are at work here are shared, only with the devices that their journals call active
devices of members, and that a device whose journal is another one is given nothing. Never opens a connection.
"""

import sqlite3
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import lru_cache
from typing import Final

from peer.engine.comparing import Heads
from peer.engine.mounted import MountedWorkspace
from peer.engine.workspace import WorkspaceEngine
from peer.lan.link import Answer
from peer.lan.members import Membership
from peer.lan.presence import PeerSeen, Presence
from peer.ports import Clock, Offload
from peer.store.database import Database
from protocol import limits
from protocol.codec import decode
from protocol.ids import NO_LOG, ChangeId, CommitDigest, DeviceId, WorkspaceId
from protocol.lan import GoneReason, LanHead, LanRequest
from protocol.model import DeviceKeys

_KEYS_BYTES: Final = 4096
HEADS_S: Final = 30.0
"""So often at most others are told how far the journals are here."""
Known = dict[WorkspaceId, tuple[int, CommitDigest, int]]
"""Of each workspace that is shared what its members follow from: its number, the last control commit, the epoch."""


class Sharing:
    """The `Stock` of the exchange over all workspaces that run here."""

    def __init__(
        self,
        presence: Presence,
        mounted: Mapping[WorkspaceId, MountedWorkspace],
        database: Database,
        clock: Clock,
        changed: Callable[[], None],
    ) -> None:
        self._clock = clock
        self._changed = changed
        self._heads = Heads()
        self._told: dict[WorkspaceId, int] = {}
        self._told_s = -HEADS_S
        self._presence = presence
        self._mounted = mounted
        self._database = database
        self._known: Known | None = None

    # --- whom to meet -----------------------------------------------------------------------------------

    async def follow(self, database_work: Offload) -> None:
        """Have others met than before, compare journals with theirs, and tell them of ours, if there is a reason to."""
        while (known := self._shared_now()) != self._known:
            try:
                memberships, keys = await database_work.run(self._read_members, known)
            except (OSError, sqlite3.Error):
                return  # the next change is reason enough to look again
            self._known = known
            self._presence.replace(memberships, keys)
        with suppress(OSError, sqlite3.Error):
            await self._compare(database_work)
        told = {workspace: head.seq for workspace in known if (head := self.head(workspace)).seq}
        now_s = self._clock.monotonic_s()
        if told != self._told and now_s - self._told_s >= HEADS_S:
            self._told, self._told_s = told, now_s
            self._presence.tell_heads()

    async def _compare(self, database_work: Offload) -> None:
        for workspace in list(self._mounted):
            engine = self._engine(workspace)
            if engine is None:
                continue
            journal = engine.context.journal
            seq = journal.verified.seq
            due = self._heads.due(workspace, seq)
            if due:
                verdicts = await database_work.run(self._heads.compare, journal, due)
                for device, _ in self._heads.compared(due, verdicts):
                    self._presence.unshare(device, workspace)
            if self._heads.is_worth_asking(workspace, max(seq, engine.feed.head.seq), self._clock.monotonic_s()):
                engine.wake()

    def _shared_now(self) -> Known:
        known: Known = {}
        for workspace, one in self._mounted.items():
            engine = self._engine(workspace)
            if engine is not None:
                state = engine.context.journal.verified
                known[workspace] = (one.record.w, state.last_control, engine.context.keyring.newest_epoch)
        return dict(sorted(known.items())[: limits.LAN_WORKSPACES])

    def _read_members(self, known: Known) -> tuple[list[Membership], dict[DeviceId, bytes]]:
        memberships, keys = [], dict[DeviceId, bytes]()
        for workspace, (w, _, _) in known.items():
            rows = self._database.all(
                "SELECT d.device, d.keys FROM devices d JOIN members m ON m.w = d.w AND m.user = d.user "
                "WHERE d.w = ? AND d.active = 1",
                (w,),
            )
            its = {DeviceId(device): _keys_of(packed).tls for device, packed in rows}
            engine = self._engine(workspace)
            if engine is None:
                continue
            ring = engine.context.keyring
            epochs = [ring.epoch(number) for number in sorted(ring.epochs, reverse=True)[:2]]
            beacons = tuple(epoch.beacon for epoch in epochs if epoch is not None)
            memberships.append(Membership(workspace, beacons, frozenset(its)))
            keys |= its
        return memberships, keys

    def _engine(self, workspace: WorkspaceId) -> WorkspaceEngine | None:
        """The engine of a workspace that may be shared: one that runs, is not paused and has not stopped."""
        one = self._mounted.get(workspace)
        engine = None if one is None else one.engine
        if engine is None or engine.paused or engine.stopped:
            return None
        return engine

    # --- what they are told -----------------------------------------------------------------------------

    def head(self, workspace: WorkspaceId) -> LanHead:
        """How far the journal of a workspace is verified here."""
        engine = self._engine(workspace)
        if engine is None:
            return LanHead(workspace, 0, NO_LOG)
        state = engine.context.journal.verified
        return LanHead(workspace, state.seq, state.log_hash)

    def met(self, device: DeviceId, shared: Collection[WorkspaceId], heads: Sequence[LanHead]) -> None:
        """See `Stock`."""
        for head in heads:
            workspace = WorkspaceId(head.workspace)
            engine = self._engine(workspace)
            if engine is not None and workspace in shared:
                self._heads.heard(device, head)
                now_s = self._clock.monotonic_s()
                if (device, workspace) not in self._heads.other and self._heads.is_news(workspace, now_s):
                    engine.somebody_came()
        self._changed()

    def kept(self, workspace: WorkspaceId) -> Sequence[CommitDigest]:
        """See `Stock`."""
        engine = self._engine(workspace)
        return () if engine is None else engine.continuity.kept()

    def lacks(self, workspace: WorkspaceId, commit: CommitDigest) -> bool:
        """See `Stock`."""
        engine = self._engine(workspace)
        return engine is not None and engine.continuity.lacks(commit)

    async def commit(self, workspace: WorkspaceId, commit: CommitDigest) -> bytes | None:
        """See `Stock`."""
        engine = self._engine(workspace)
        try:
            return None if engine is None else await engine.continuity.commit(commit)
        except (OSError, sqlite3.Error):
            return None  # whatever is wrong with the disk, its own engine says so

    async def take_commit(self, device: DeviceId, workspace: WorkspaceId, commit: CommitDigest, data: bytes) -> None:
        """See `Stock`. From a device whose journal is another one nothing is taken."""
        engine = self._engine(workspace)
        if engine is not None and (device, workspace) not in self._heads.other:
            with suppress(OSError, sqlite3.Error):  # as above
                await engine.continuity.take(commit, data)

    async def held(self, workspace: WorkspaceId, version: ChangeId) -> Sequence[bool] | None:
        """See `Stock`."""
        engine = self._engine(workspace)
        try:
            return None if engine is None else await engine.mover.shelf.held(version)
        except (OSError, sqlite3.Error):
            return None  # whatever is wrong with the disk, its own engine says so

    async def read(self, wanted: Sequence[LanRequest]) -> Sequence[Answer]:
        """See `Stock`."""
        answers: dict[int, Answer] = {}
        for workspace in dict.fromkeys(each.workspace for each in wanted):
            engine = self._engine(workspace)
            asked = [each for each in wanted if each.workspace == workspace]
            found: Sequence[Answer] = [GoneReason.GONE] * len(asked)
            if engine is not None:
                with suppress(OSError, sqlite3.Error):  # as above
                    found = await engine.mover.shelf.read(asked)
            answers.update((each.number, answer) for each, answer in zip(asked, found, strict=True))
        return [answers[each.number] for each in wanted]

    # --- for people -------------------------------------------------------------------------------------

    def names(self) -> dict[DeviceId, str]:
        """What the devices of all journals here are called. In the database's thread."""
        rows = self._database.all("SELECT device, keys FROM devices")
        return {DeviceId(device): _keys_of(packed).name for device, packed in rows}

    def peers(self) -> list[PeerSeen]:
        """Who was noticed on the LAN."""
        strange = {device for device, _ in self._heads.other}
        return [
            replace(one, state="other_history") if one.device in strange and one.state == "linked" else one
            for one in self._presence.peers()
        ]


@lru_cache(maxsize=4_096)
def _keys_of(packed: bytes) -> DeviceKeys:
    """A device's public keys and name: they are looked at whenever anything changes, and never change."""
    return decode(DeviceKeys, packed, _KEYS_BYTES)
