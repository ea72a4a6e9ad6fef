"""What the daemon answers to requests about keeping it in order. Owns the way from those words to the device."""

from collections import deque
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

import trio

from peer.control.base import Done, Reply
from peer.control.upkeep import (
    Event,
    History,
    HistoryRequest,
    Limit,
    Log,
    Pause,
    Paused,
    PausedFolder,
    PeerEntry,
    Peers,
    PeersRequest,
    Resolve,
    RevokedDevice,
    RevokeDevice,
    UpkeepRequest,
    Verified,
    VerifiedFolder,
    Verify,
    Verifying,
)
from peer.engine import browse, history
from peer.engine.activity import Activity, OwnDoings
from peer.engine.device import DeviceEngine
from peer.engine.resolving import resolve
from peer.engine.revoking import revoke
from peer.engine.verifying import verify_folder

FOLLOW_S = 0.25
"""The shortest time between two looks of a log that is followed."""
PROGRESS_S = 0.2
"""How often it is said how far reading is."""


class Tending:
    """Answers these requests about one device. Raises `CannotDo` where one cannot be granted."""

    def __init__(self, device: DeviceEngine) -> None:
        self._device = device

    async def __call__(self, request: UpkeepRequest) -> AsyncGenerator[Reply, None]:
        """The answers to one request, in order."""
        match request:
            case Limit():
                yield self._device.machine.limiting.change(request)
            case Pause():
                chosen = await self._device.pause(request.folder, not request.resume)
                folders = [PausedFolder(one.record.name, one.record.folder or "", one.record.paused) for one in chosen]
                yield Paused(folders=folders)
            case PeersRequest():
                yield await self._peers()
            case Log():
                async with aclosing(self._log(request)) as events:
                    async for event in events:
                        yield event
                yield Done()
            case HistoryRequest(path=path):
                yield await self._device.machine.database_work.run(self._history, path)
            case Resolve():
                database_work = self._device.machine.database_work
                target = await database_work.run(self._target, request.path)
                yield await resolve(self._device, target, request.keep)
            case RevokeDevice(device=wanted):
                revoked = await revoke(self._device, wanted)
                yield RevokedDevice(
                    name=revoked.name,
                    id=revoked.device.hex(),
                    entered=list(revoked.entered),
                    to_enter=list(revoked.to_enter),
                )
            case Verify():
                async with aclosing(self._verify(request)) as progress:
                    async for each in progress:
                        yield each

    async def _peers(self) -> Peers:
        sharing = self._device.sharing
        if sharing is None:
            return Peers(peers=[], lan=False)
        names = await self._device.machine.database_work.run(sharing.names)
        return Peers(
            peers=[
                PeerEntry(names.get(one.device, one.device.hex()), one.address, one.state, one.received, one.sent)
                for one in sharing.peers()
            ]
        )

    # --- checking files ---------------------------------------------------------------------------------

    async def _verify(self, request: Verify) -> AsyncGenerator[Verifying | Verified, None]:
        device = self._device
        chosen = list(device.mounted.values()) if request.folder is None else [device.at_folder(request.folder)]
        folders: list[VerifiedFolder] = []
        told_s = 0.0
        for one in chosen:
            async with aclosing(verify_folder(device.machine, one)) as progress:
                async for each in progress:
                    now_s = device.machine.clock.monotonic_s()
                    if isinstance(each, VerifiedFolder):
                        folders.append(each)
                    elif now_s - told_s >= PROGRESS_S:
                        told_s = now_s
                        yield each
        yield Verified(folders=folders)

    def _target(self, path: str) -> browse.Target:
        return browse.find_target(browse.all_records(self._device.machine.database), path)

    def _history(self, path: str) -> History:
        """In the database's thread."""
        device = self._device
        target, users = self._target(path), {bytes(device.identity.user): device.user_name}
        return History(versions=history.History(device.machine.database, target, users).versions())

    # --- the log ----------------------------------------------------------------------------------------

    async def _log(self, request: Log) -> AsyncGenerator[Event, None]:
        database_work = self._device.machine.database_work
        told = await database_work.run(self._activities, request.path)
        if request.last is not None:
            for event in await self._last(told, request.last):
                yield event
        while True:
            async with aclosing(self._news(told)) as events:
                async for event in events:
                    yield event
            if not request.follow:
                return
            await trio.sleep(FOLLOW_S)
            with trio.move_on_after(1.0):
                await self._device.wait_changed()
            if request.path is None:
                known = {one.record.w for one in told}
                every = await database_work.run(self._activities, None)
                told += [one for one in every if one.record.w not in known]

    def _activities(self, path: str | None) -> list[Activity | OwnDoings]:
        device = self._device
        database = device.machine.database
        records = browse.all_records(database)
        targets = [browse.Target(record, ()) for record in records]
        if path is not None:
            targets = [browse.find_target(records, path)]
        own = (device.identity.user, device.user_name)
        doings = [OwnDoings(database, target, device.identity.device_name, device.user_name) for target in targets]
        return [*(Activity(database, target, own) for target in targets), *doings]

    async def _last(self, told: Sequence[Activity | OwnDoings], count: int) -> list[Event]:
        found: list[Event] = []
        for one in told:
            events = None
            while events is None:
                events = await self._device.machine.database_work.run(one.look_back, count)
            found += events
        found.sort(key=lambda event: event.time)
        return found[len(found) - min(count, len(found)) :]

    async def _news(self, told: Sequence[Activity | OwnDoings]) -> AsyncGenerator[Event, None]:
        """What was not told yet, merged by time; within one workspace in the journal's order."""
        waiting = [(one, deque[Event]()) for one in told]
        while waiting:
            for pair in list(waiting):
                one, events = pair
                while not events:
                    page = await self._device.machine.database_work.run(one.next_page)
                    if page is None:
                        waiting.remove(pair)
                        break
                    events.extend(page)
            if waiting:
                yield min((events for _, events in waiting), key=lambda events: events[0].time).popleft()
