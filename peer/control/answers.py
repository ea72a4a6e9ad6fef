"""What the daemon answers to each request. Owns the way from the commands' words to the device's methods."""

import os
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from typing import Final, assert_never

import trio

from peer.control.messages import (
    Add,
    AnyRequest,
    Cat,
    CatData,
    Confirm,
    Confirmed,
    ConflictEntry,
    Conflicts,
    ConflictsRequest,
    DeviceEntry,
    Devices,
    DevicesRequest,
    Done,
    Failure,
    Hello,
    HelloReply,
    ListedEntry,
    Listing,
    Ls,
    Mount,
    Mounted,
    Pair,
    PairReply,
    PlainRequest,
    Reply,
    StatusRequest,
    Stop,
    Unmount,
    Wait,
    Waited,
    Watch,
    WorkspaceEntry,
    Workspaces,
    WorkspacesRequest,
)
from peer.control.tending import Tending
from peer.control.upkeep import UpkeepRequest
from peer.engine import browse, report, version_bytes
from peer.engine.device import DeviceEngine, Unreachable
from peer.engine.folders import CannotDo
from peer.engine.mounted import HINDRANCES, MountedWorkspace
from peer.store.workspaces import Record
from protocol.ids import EntryId
from protocol.model import Role

WATCH_S = 0.25
"""The shortest time between two documents of a watch."""


SENDING_S: Final = 10.0
"""So often it is asked whether something that is wanted is still being sent."""


class Answers:
    """Answers requests about one device; `stop` ends the daemon."""

    def __init__(self, device: DeviceEngine, stop: Callable[[], None]) -> None:
        self._device = device
        self._stop = stop
        self._tending = Tending(device)

    async def __call__(self, request: AnyRequest) -> AsyncGenerator[Reply, None]:
        """The answers to one request, in order."""
        try:
            answers = self._tending(request) if isinstance(request, UpkeepRequest) else self._answer(request)
            async with aclosing(answers) as replies:
                async for reply in replies:
                    yield reply
        except Unreachable as error:
            yield Failure(message=str(error), status=3)
        except CannotDo as error:
            yield Failure(message=str(error))

    async def _answer(self, request: PlainRequest) -> AsyncGenerator[Reply, None]:
        match request:
            case Cat():
                async with aclosing(self._cat(request)) as pieces:
                    async for piece in pieces:
                        yield piece
            case Watch():
                while True:
                    yield await self._in_database(lambda: report.make_status(self._device))
                    await trio.sleep(WATCH_S)
                    with trio.move_on_after(1.0):
                        await self._device.wait_changed()
            case Stop():
                yield Done()
                self._stop()
            case _:
                yield await self._one(request)

    async def _one(self, request: PlainRequest) -> Reply:
        device = self._device
        match request:
            case Hello():
                return HelloReply(pid=os.getpid(), device=device.identity.device_name, user=device.user_name)
            case StatusRequest(path=path):
                return await self._in_database(lambda: self._status(path))
            case Wait():
                return await self._wait(request)
            case Add(folder=folder, name=name):
                return _mounted(await device.add(folder, name))
            case Mount(workspace=workspace, folder=folder):
                return _mounted(await device.mount(workspace, folder))
            case Unmount(folder=folder):
                await device.unmount(folder)
                return Done(message=f"{folder} is not synced any more; its files stay")
            case WorkspacesRequest():
                return await self._workspaces()
            case DevicesRequest():
                return await self._devices()
            case Pair():
                offered = await device.pair()
                return PairReply(code=offered.code, expires=report.rfc3339(offered.expires_ms * 1_000_000))
            case Confirm():
                return await self._confirm(request)
            case Ls():
                return await self._ls(request)
            case ConflictsRequest():
                return await self._conflicts()
            case Cat() | Watch() | Stop():
                raise AssertionError("answered as streams")
            case _:
                assert_never(request)

    async def _in_database(self, fn: Callable[[], Reply]) -> Reply:
        return await self._device.machine.database_work.run(fn)

    def _status(self, path: str | None) -> Reply:
        if path is None:
            return report.make_status(self._device)
        return report.make_path_status(self._device, self._target(path))

    def _target(self, text: str) -> browse.Target:
        return browse.find_target(browse.all_records(self._device.machine.database), text)

    # --- waiting ----------------------------------------------------------------------------------------

    async def _wait(self, request: Wait) -> Reply:
        chosen = await self._waited_for(request.path)
        with trio.move_on_after(float("inf") if request.timeout_s is None else request.timeout_s) as scope:
            for one in chosen:
                while one.engine is None and not one.ended.is_set() and not one.problems.has(*HINDRANCES):
                    await self._device.wait_changed()
                if one.engine is not None:
                    one.engine.look_anew()
            await self._until_done(chosen, durable=request.durable)
        problems = [problem for one in chosen for problem in report.make_problems(one)]
        paused = [one.record.folder or "" for one in chosen if one.engine and one.engine.paused]
        engines = [one.engine for one in chosen if one.engine]
        held = any((one.paused and not one.is_in_step) or one.stuck for one in engines)
        if scope.cancelled_caught:
            return Waited(outcome="timed_out", problems=problems, paused=paused)
        return Waited(outcome="problems" if problems or held else "in_step", problems=problems, paused=paused)

    async def _until_done(self, chosen: Sequence[MountedWorkspace], *, durable: bool) -> None:
        while True:
            while not all(self._is_done(one, durable=durable) for one in chosen):
                await self._change()
            stuck = [one.engine for one in chosen if one.engine and one.engine.stuck]
            if all([await engine.is_stuck_for_good() for engine in stuck]):
                return
            with trio.move_on_after(SENDING_S):
                while all(engine.stuck for engine in stuck):
                    await self._change()

    async def _change(self) -> None:
        with trio.move_on_after(1.0):
            await self._device.wait_changed()

    def _is_done(self, one: MountedWorkspace, *, durable: bool) -> bool:
        """Whether it is in step, or can go no further."""
        engine = one.engine
        if engine is None:
            return one.ended.is_set() or one.problems.has(*HINDRANCES)
        if engine.paused and engine.has_looked:
            return True
        stuck = engine.stuck
        is_in_step = bool(stuck) or (engine.is_in_step and not engine.waits_for_blocks)
        is_stored = not durable or engine.offering.is_idle or 0 < engine.offering.count <= stuck
        return engine.stopped or engine.waits or (is_in_step and engine.context.online and is_stored)

    async def _waited_for(self, path: str | None) -> list[MountedWorkspace]:
        if path is None:
            return list(self._device.mounted.values())
        target = await self._device.machine.database_work.run(self._target, path)
        one = self._device.mounted.get(target.record.workspace)
        if one is None:
            raise CannotDo(f"{target.record.name} is not mounted on this device: `shoal mount` it")
        return [one]

    # --- looking ----------------------------------------------------------------------------------------

    async def _workspaces(self) -> Reply:
        found = []
        for info, record in await self._device.list_workspaces():
            owner = next((name for _, name, role in info.members if role is Role.OWNER), "")
            found.append(
                WorkspaceEntry(
                    id=info.workspace.hex(),
                    name="(its keys are still to come)" if record is None else record.name,
                    owner=owner,
                    role=info.role.name.lower(),
                    folder=None if record is None else record.folder,
                    members=[name for _, name, _ in info.members],
                    entries=info.entries,
                    stored_bytes=info.stored_bytes,
                )
            )
        return Workspaces(workspaces=found)

    async def _devices(self) -> Reply:
        found = [
            DeviceEntry(
                name=info.name,
                user=info.user_name,
                id=info.device.hex(),
                state="active" if info.active else "revoked",
                last_seen=report.rfc3339(info.last_seen * 1_000_000) if info.last_seen else None,
                this=info.device == self._device.identity.device,
            )
            for info in await self._device.list_devices()
        ]
        return Devices(devices=found)

    async def _ls(self, request: Ls) -> Reply:
        def list_target() -> Listing:
            database = self._device.machine.database
            if request.target is None:
                records = [one for one in browse.all_records(database) if one.folder is not None]
                entries = [
                    ListedEntry(
                        path=f"{one.name}:", kind="workspace", size=0, version="", deleted=False, target=one.folder
                    )
                    for one in records
                ]
                return Listing(entries=entries)
            listed = browse.list_entries(database, self._target(request.target), deleted=request.deleted)
            return Listing(entries=[_listed(one) for one in listed])

        return await self._device.machine.database_work.run(list_target)

    async def _cat(self, request: Cat) -> AsyncGenerator[Reply, None]:
        target = await self._device.machine.database_work.run(self._target, request.path)
        async with aclosing(version_bytes.read_version(self._device, target, request.version)) as pieces:
            async for piece in pieces:
                yield CatData(data=piece)
        yield Done()

    async def _conflicts(self) -> Reply:
        def find() -> Conflicts:
            database = self._device.machine.database
            found = []
            for record in browse.all_records(database):
                for one in browse.list_conflicts(database, record):
                    original = browse.journal_path(database, record.w, one.copy_of or EntryId(b""))
                    name = database.one("SELECT keys FROM devices WHERE w = ? AND device = ?", (record.w, one.device))
                    found.append(
                        ConflictEntry(
                            workspace=record.name,
                            path=one.path,
                            of=original,
                            device=browse.device_name(name[0]) if name else "",
                            time=report.rfc3339(one.received * 1_000_000),
                        )
                    )
            return Conflicts(conflicts=found)

        return await self._device.machine.database_work.run(find)

    # --- answering a question ---------------------------------------------------------------------------

    async def _confirm(self, request: Confirm) -> Reply:
        chosen = list(self._device.mounted.values())
        if request.folder is not None:
            chosen = [self._device.at_folder(request.folder)]
        waiting = [
            (one, trouble)
            for one in chosen
            for trouble in one.problems.at("")
            if trouble.code in ("delete_brake", "root_replaced", "history_forked")
        ]
        questions = [f"{one.record.name}: {trouble.message}" for one, trouble in waiting]
        if request.show or not waiting:
            return Confirmed(questions=questions, answered=False)
        for one, trouble in waiting:
            if trouble.code == "delete_brake" and one.record.paused:
                raise CannotDo(f"{one.record.folder} is paused: `shoal resume` it first, then answer")
            if trouble.code == "delete_brake" and one.engine is not None:
                one.engine.answer(reject=request.reject)
            elif trouble.code == "root_replaced" and not request.reject:
                await self._device.retake_root(one)
            elif trouble.code == "history_forked" and not request.reject:
                await self._device.take_history(one)
        return Confirmed(questions=questions, answered=True)


def _mounted(record: Record) -> Mounted:
    return Mounted(workspace=record.workspace.hex(), name=record.name, folder=record.folder or "")


def _listed(one: browse.Listed) -> ListedEntry:
    return ListedEntry(
        path=one.path,
        kind=report.KINDS[one.kind],
        size=one.size,
        version=one.version.hex(),
        deleted=one.deleted,
        target=one.target,
    )
