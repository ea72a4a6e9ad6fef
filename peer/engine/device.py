"""All that one device does: its workspaces, wake-ups, pairings. Owns which workspaces there are and run here.

What the commands ask for is a method here; a request that cannot be granted raises `CannotDo` with a line for people.
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Final

import trio

from crypto.identity import BoxKey, DeviceKeys
from crypto.keyring import BadKeyring, WorkspaceKeyring
from peer.disk.private import open_new_root, read_marker
from peer.engine import founding, people
from peer.engine.context import Identity, Machine
from peer.engine.feed import REVOKED
from peer.engine.folders import CannotDo
from peer.engine.following import Following
from peer.engine.mounted import HINDRANCES, MountedWorkspace
from peer.engine.sharing import Sharing
from peer.home import Home
from peer.home import Identity as HomeIdentity
from peer.lan.presence import Presence
from peer.link.chain import KnownChain
from peer.link.errors import LinkError
from peer.link.joining import Doors, OfferedPairing, offer_pairing
from peer.link.notify import Notifications
from peer.ports import Filesystem, Network
from peer.store import workspaces
from peer.store.workspaces import Record
from protocol.ids import NO_LOG, WorkspaceId
from protocol.messages import (
    ChainPoke,
    CommitAccepted,
    CommitRequest,
    DeviceInfo,
    DevicesRequest,
    Poke,
    Refusal,
    RefusalCode,
    Welcome,
    WorkspaceInfo,
    WorkspacesRequest,
)
from protocol.model import BundledWorkspace, Commit
from protocol.names import name_problem, nfc

PAIRING_MS = 24 * 3600 * 1000
"""How long a pairing code can be used."""


SHARE_S: Final = 15.0
"""What others on the LAN are told is looked at so often without a reason,"""
SHARE_PAUSE_S: Final = 0.5
"""and not more often than that whatever happens: also a member that is no more is gone so soon."""

Founding = tuple[WorkspaceId, Commit, WorkspaceKeyring]
"""A new workspace: its id, its genesis, and its keys."""


class Unreachable(CannotDo):
    """The coordinator is needed and away."""


class DeviceEngine:
    """The device at work. `run` until cancelled."""

    def __init__(
        self, machine: Machine, home: Home, identity: HomeIdentity, filesystem: Filesystem, network: Network
    ) -> None:
        self.machine = machine
        self.home = home
        self.user_name = identity.user_name
        keys = DeviceKeys.from_seed(identity.device_seed)
        pairing = BoxKey.from_seed(identity.pairing_seed) if identity.pairing_seed else None
        self.identity = Identity(identity.device, identity.device_name, identity.user, keys, pairing)
        self._filesystem = filesystem
        self._doors = Doors(network, machine.clock, machine.entropy)
        self._nursery: trio.Nursery | None = None
        self._changing = trio.Lock()
        self._unanswered: dict[str, Founding] = {}
        self._changed = trio.Event()
        self.on_change: Callable[[], None] = lambda: None
        """Called at once where `wait_changed` wakes; may not wait."""
        known = people.load_chain(machine.database, identity.user, identity.links)
        self.following = Following(machine, self.identity, known)
        self.following.on_revoked = self._wake_all
        self._bundled = identity.bundled
        self.mounted: dict[WorkspaceId, MountedWorkspace] = {}
        self.sharing = None if machine.lan is None else self._make_sharing(machine.lan)
        """What others on the LAN are told; None where this device stays away from there."""
        self.notifications = Notifications(machine.client, machine.clock, machine.entropy, self._heads)

    @property
    def known(self) -> KnownChain:
        """The user's chain."""
        return self.following.known

    # --- running ----------------------------------------------------------------------------------------

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Keep all mounted workspaces in step until cancelled."""
        await self.machine.database_work.run(self._take_bundle)
        records = await self.machine.database_work.run(workspaces.records, self.machine.database)
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            for record in records:
                if record.folder is not None:
                    self._start(record)
            nursery.start_soon(self.notifications.run)
            nursery.start_soon(self._listen)
            nursery.start_soon(self._watch_link)
            nursery.start_soon(self.following.run)
            if self.sharing is not None and self.machine.lan is not None:
                nursery.start_soon(self.machine.lan.run, self.sharing, self.sharing.head)
                nursery.start_soon(self._share, self.sharing)
            task_status.started()

    def _start(self, record: Record) -> MountedWorkspace:
        assert self._nursery is not None
        one = MountedWorkspace(
            self.machine, self.identity, record, self._filesystem, lambda: self.known, self.tell_changed
        )
        self.mounted[record.workspace] = one
        self._nursery.start_soon(one.run)
        return one

    def _take_bundle(self) -> None:
        """Keep the heads that another device vouched for; keys are taken from here when a workspace is opened."""
        people.save_chain(self.machine.database, self.known)

    def _heads(self) -> tuple[tuple[tuple[WorkspaceId, int, int], ...], int]:
        """What is known of the journals, for long polling."""
        heads = tuple(
            (workspace, one.engine.feed.head.seq, one.engine.offering.number)
            for workspace, one in self.mounted.items()
            if one.engine is not None
        )
        return heads, self.known.chain.length

    async def _listen(self) -> None:
        while True:
            match await self.notifications.mailbox.get():
                case Welcome():
                    self._wake_all()
                    if self.machine.lan is not None:
                        self.machine.lan.ask_soon()
                    if not await self.following.follow():
                        self.following.poke()
                case ChainPoke():
                    self.following.poke()
                case Poke() as poke:
                    if poke.workspace in self.mounted:
                        self.mounted[poke.workspace].wake(poke)

    async def _watch_link(self) -> None:
        status = self.machine.client.status
        while True:
            reachability = await status.wait_changed()
            if reachability.state == "connected":
                self._wake_all()
            elif reachability.refused is RefusalCode.DENIED:
                for one in self.mounted.values():
                    one.problems.put("", "access_removed", REVOKED)
            self.tell_changed()

    def _wake_all(self) -> None:
        for one in self.mounted.values():
            one.wake()

    async def _share(self, sharing: Sharing) -> None:
        while True:
            await sharing.follow(self.machine.database_work)
            with trio.move_on_after(SHARE_S):  # something may rest until then
                await self.wait_changed()
            await self.machine.clock.sleep(SHARE_PAUSE_S)

    def _make_sharing(self, lan: Presence) -> Sharing:
        machine = self.machine
        return Sharing(lan, self.mounted, machine.database, machine.clock, self.tell_changed)

    def tell_changed(self) -> None:
        """Something that a person could see is different now."""
        self._changed.set()
        self._changed = trio.Event()
        self.on_change()

    async def wait_changed(self) -> None:
        """Until `tell_changed` is called next."""
        await self._changed.wait()

    # --- workspaces -------------------------------------------------------------------------------------

    async def list_workspaces(self) -> list[tuple[WorkspaceInfo, Record | None]]:
        """All that this user may mount, with this device's record where it could open them. Raises `CannotDo`."""
        reply = await self._ask_workspaces()
        return [(info, await self._open(info)) for info in reply]

    async def _ask_workspaces(self) -> tuple[WorkspaceInfo, ...]:
        try:
            reply = await self.machine.client.request(WorkspacesRequest())
        except LinkError as error:
            raise Unreachable(f"cannot reach the coordinator ({error}): try again when it can be reached") from None
        if isinstance(reply, Refusal):
            raise CannotDo(f"the coordinator refused: {reply.message}")
        return reply.workspaces

    async def _open(self, info: WorkspaceInfo) -> Record | None:
        """This device's record of a workspace, made where its keys can be had; None where they cannot."""
        database_work, database = self.machine.database_work, self.machine.database
        record = await database_work.run(workspaces.record, database, info.workspace)
        if record is not None:
            return record
        try:
            genesis = founding.genesis_of(info)
            bundled = next((one for one in self._bundled if one.workspace == info.workspace), None)
            keyring = founding.open_keys(info, genesis, self.identity.boxes)
            if bundled is not None and keyring is None:
                keyring = WorkspaceKeyring.unpack(bundled.keyring)
            if keyring is None or not founding.is_committed(keyring, genesis):
                return None
            name = founding.open_name(keyring, genesis)
        except (founding.NotOurs, BadKeyring):
            return None
        head = (0, NO_LOG) if bundled is None else (bundled.head_seq, bundled.head_hash)
        return await database_work.run(workspaces.add, database, info.workspace, name, keyring, info.genesis, head)

    async def add(self, folder: str, name: str | None) -> Record:
        """Make a workspace out of a folder and keep it in step from now on. Raises `CannotDo`."""
        async with self._changing:
            path = await self._check_folder(folder)
            name = nfc(name if name is not None else path.name)
            problem = name_problem(name, at_root=False)
            if problem is not None:
                raise CannotDo(f"the workspace's name {problem}: choose one with --name")
            async with self.following.lock:
                record = await self._found(name)
            return await self._mount(record, path)

    async def _found(self, name: str) -> Record:
        """A new workspace, recorded here once the coordinator has it; no chain is taken meanwhile. Raises `CannotDo`.

        Where there was no answer it may have it all the same: the next try of that name sends the same.
        """
        made = self._unanswered.get(name) or founding.make_genesis(
            name,
            self.identity.keys,
            self.known.links,
            self.known.chain,
            self.machine.entropy,
            self.machine.client.now_ms(),
        )
        workspace, commit, keyring = made
        try:
            reply = await self.machine.client.request(CommitRequest(commit))
        except LinkError as error:
            self._unanswered[name] = made
            raise Unreachable(f"cannot reach the coordinator ({error}): try again when it can be reached") from None
        self._unanswered.pop(name, None)
        if not isinstance(reply, CommitAccepted):
            why = reply.message if isinstance(reply, Refusal) else reply.detail or reply.reason.value
            raise CannotDo(f"the coordinator refused the new workspace: {why}")
        database_work, database = self.machine.database_work, self.machine.database
        record = await database_work.run(workspaces.add, database, workspace, name, keyring, commit)
        have = {key.recipient for key in record.founding.keys}
        devices = self.known.chain.devices
        await self.following.leave_keys(
            [record], [known.keys.box for device, known in devices.items() if known.active and device not in have]
        )
        return record

    async def mount(self, workspace: str, folder: str) -> Record:
        """Bring a workspace to a folder here. Raises `CannotDo`."""
        async with self._changing:
            record = await self._named(workspace)
            if record.folder is not None:
                raise CannotDo(f"{record.name} is mounted at {record.folder} already: `shoal unmount` it there first")
            return await self._mount(record, await self._check_folder(folder, make=True))

    async def _named(self, wanted: str) -> Record:
        """The workspace of that name, `user/name` or id."""
        found: list[tuple[WorkspaceInfo, Record]] = []
        locked = False
        for info, record in await self.list_workspaces():
            locked = locked or record is None
            if record is None:
                continue
            owner = next((name for user, name, role in info.members if role == 4), "")
            if wanted in (record.name, f"{owner}/{record.name}", record.workspace.hex()):
                found.append((info, record))
        if len(found) == 1:
            return found[0][1]
        if not found:
            hint = " (the keys of one are still to come: another device of yours has to be online)" if locked else ""
            raise CannotDo(f"there is no workspace {wanted}{hint}: see `shoal workspaces`")
        choices = ", ".join(f"{record.name} ({record.workspace.hex()})" for _, record in found)
        raise CannotDo(f"{wanted} could be any of these, name one by its id: {choices}")

    async def _mount(self, record: Record, path: Path) -> Record:
        def begin() -> Record:
            before = read_marker(self._filesystem, str(path))
            returning = before is not None and before.workspace == record.workspace
            with open_new_root(self._filesystem, self.machine.entropy, str(path), record.workspace) as (_, marker):
                self.machine.folders.claim(path, self.home)
            workspaces.set_mounted(self.machine.database, record.w, str(path), marker, returning=returning)
            found = workspaces.record(self.machine.database, record.workspace)
            assert found is not None
            return found

        try:
            mounted = await self.machine.database_work.run(begin)
        except OSError as error:
            raise CannotDo(f"{path} cannot be used ({error.strerror}): check its permissions") from None
        one = self._start(mounted)
        await one.begun.wait()
        self.tell_changed()
        for trouble in one.problems.at(""):
            if trouble.code in HINDRANCES:
                raise CannotDo(trouble.message)
        return mounted

    async def unmount(self, folder: str) -> None:
        """Stop syncing a folder; its files stay. Raises `CannotDo`."""
        async with self._changing:
            one = self.at_folder(folder)
            one.scope.cancel()
            await one.ended.wait()
            del self.mounted[one.record.workspace]
            await self.machine.database_work.run(
                workspaces.set_mounted, self.machine.database, one.record.w, None, None
            )
            assert one.record.folder is not None
            await self.machine.disk_work.run(self.machine.folders.release, Path(one.record.folder), self.home)
            self.tell_changed()

    def at_folder(self, folder: str) -> MountedWorkspace:
        """The workspace mounted at a folder. Raises `CannotDo`."""
        for one in self.mounted.values():
            if one.record.folder is not None and Path(one.record.folder) == Path(folder):
                return one
        raise CannotDo(f"{folder} is not a synced folder: see `shoal status`")

    async def pause(self, folder: str | None, paused: bool) -> list[MountedWorkspace]:
        """Pause what is synced at a folder, or all that is, or let it go on; durable when it returns, and then nothing
        is transferred any more. Raises `CannotDo`."""
        async with self._changing:
            chosen = list(self.mounted.values()) if folder is None else [self.at_folder(folder)]
            await self.machine.database_work.run(
                workspaces.set_paused, self.machine.database, [one.record.w for one in chosen], paused
            )
            for one in chosen:
                await one.set_paused(paused)
            self.tell_changed()
        return chosen

    async def retake_root(self, one: MountedWorkspace) -> None:
        """A person says that the folder now at its path is to be synced: take it up as a new one."""
        record = one.record
        async with self._changing:
            one.scope.cancel()
            await one.ended.wait()
            await self.machine.database_work.run(workspaces.set_mounted, self.machine.database, record.w, None, None)
            assert record.folder is not None
            await self._mount(record, Path(record.folder))

    async def take_history(self, one: MountedWorkspace) -> None:
        """A person says that the coordinator's history is the right one: read it anew, and keep all that is here."""
        async with self._changing:
            one.scope.cancel()
            await one.ended.wait()
            await self.machine.database_work.run(workspaces.forget_history, self.machine.database, one.record.w)
            record = await self.machine.database_work.run(workspaces.reread, self.machine.database, one.record)
            await self._start(record).begun.wait()
            self.tell_changed()

    async def _check_folder(self, folder: str, *, make: bool = False) -> Path:
        taken = [Path(one.record.folder) for one in self.mounted.values() if one.record.folder]
        return await self.machine.disk_work.run(
            partial(self.machine.folders.check, Path(folder), self.home, taken, make=make)
        )

    # --- devices ----------------------------------------------------------------------------------------

    async def list_devices(self) -> tuple[DeviceInfo, ...]:
        """This user's devices. Raises `CannotDo`."""
        try:
            reply = await self.machine.client.request(DevicesRequest())
        except LinkError as error:
            raise Unreachable(f"cannot reach the coordinator ({error}): try again when it can be reached") from None
        if isinstance(reply, Refusal):
            raise CannotDo(f"the coordinator refused: {reply.message}")
        return reply.devices

    async def pair(self) -> OfferedPairing:
        """A code for another device. Raises `CannotDo`."""
        records = await self.machine.database_work.run(workspaces.records, self.machine.database)
        heads = await self.machine.database_work.run(self._verified_heads, records)
        async with self.following.lock:
            try:
                offered = await offer_pairing(
                    self.machine.client, self.identity.keys, self.known, heads, self._doors, PAIRING_MS
                )
            except LinkError as error:
                raise Unreachable(f"cannot reach the coordinator ({error}): try again when it can be reached") from None
            if isinstance(offered, Refusal):
                raise CannotDo(f"the coordinator refused the pairing: {offered.message}")
            await self.following.take(offered.chain)
        return offered

    def _verified_heads(self, records: list[Record]) -> list[BundledWorkspace]:
        found = []
        for record in records:
            row = self.machine.database.one("SELECT seq, log_hash FROM workspaces WHERE w = ?", (record.w,))
            assert row is not None
            found.append(BundledWorkspace(record.workspace, record.keyring.pack(), row[0], row[1]))
        return found
