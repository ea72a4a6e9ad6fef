"""What a person is told of the state of things. Owns turning the engines' state into the status documents."""

import datetime
from typing import Final

from peer.control.messages import (
    Coordinator,
    PathState,
    PathStatus,
    Pending,
    Problem,
    Status,
    Transfer,
    WorkspaceStateName,
    WorkspaceStatus,
)
from peer.engine.browse import Target, find_entry, list_conflicts
from peer.engine.device import DeviceEngine
from peer.engine.folders import CannotDo
from peer.engine.mounted import HINDRANCES, MountedWorkspace, Tally
from peer.engine.workspace import WorkspaceEngine
from peer.planner.operations import ProposeChange
from peer.problem_codes import advised
from peer.store import workspaces
from peer.store.database import Database
from peer.store.offers import OfferStore
from protocol.ids import ROOT, EntryId, LogHash
from protocol.model import Kind
from protocol.offered import Standing

KINDS: Final = {Kind.FILE: "file", Kind.DIRECTORY: "directory", Kind.SYMLINK: "symlink", Kind.MOUNT: "mount"}


def rfc3339(ns: int) -> str:
    """A time in UTC, to the second."""
    seconds = max(0, ns // 1_000_000_000)
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def make_status(device: DeviceEngine) -> Status:
    """The state of everything. In the database's thread."""
    reach = device.machine.client.status.current
    its = device.machine.counters
    return Status(
        device=device.identity.device_name,
        user=device.user_name,
        coordinator=Coordinator(device.machine.client.url, reach.state, rfc3339(reach.since_ns)),
        workspaces=[_workspace(device, one) for one in device.mounted.values()],
        transfer=Transfer(its.lan_in, its.lan_out, its.server_in, its.server_out),
    )


def _workspace(device: DeviceEngine, one: MountedWorkspace) -> WorkspaceStatus:
    database, record, engine = device.machine.database, one.record, one.engine
    row = database.one("SELECT seq, log_hash FROM workspaces WHERE w = ?", (record.w,))
    assert row is not None
    tally = _tally(database, one, LogHash(row[1]))
    role = database.one("SELECT role FROM members WHERE w = ? AND user = ?", (record.w, device.identity.user))
    problems = make_problems(one)
    return WorkspaceStatus(
        id=record.workspace.hex(),
        name=record.name,
        folder=record.folder or "",
        role=("viewer", "editor", "manager", "owner")[role[0] - 1] if role else "owner",
        state=state_of(one),
        cursor=row[0],
        head=max(row[0], engine.feed.head.seq if engine else 0),
        entries=tally.entries,
        bytes=tally.bytes,
        pending=Pending() if engine is None else _pending(engine),
        not_durable=OfferStore(database, record.w).count(),
        conflicts=tally.conflicts,
        eta_s=None if engine is None else eta_s(engine),
        problems=problems,
    )


def _tally(database: Database, one: MountedWorkspace, head: LogHash) -> Tally:
    given_up = 0 if one.engine is None else one.engine.offering.given_up
    if one.tally is None or (one.tally.head, one.tally.given_up) != (head, given_up):
        entries, size = workspaces.counts(database, one.record.w)
        one.tally = Tally(head, given_up, entries, size, len(list_conflicts(database, one.record)))
    return one.tally


def make_problems(one: MountedWorkspace) -> list[Problem]:
    """A workspace's problems."""
    return [
        Problem(its.path, its.code, advised(its.code, its.message), rfc3339(its.since_ns)) for its in one.problems.all()
    ]


def state_of(one: MountedWorkspace) -> WorkspaceStateName:
    """In one word."""
    engine = one.engine
    if engine is None:
        if one.problems.has("root_missing", "root_replaced"):
            return "waiting"
        return "error" if one.problems.has(*HINDRANCES) else "scanning"
    if engine.stopped:
        return "error"
    if engine.paused:
        return "paused"
    if engine.waits:
        return "waiting"
    if not engine.context.online:
        return "offline"
    if not engine.begun.is_set():
        return "scanning"
    return "up_to_date" if engine.is_in_step else "syncing"


def _pending(engine: WorkspaceEngine) -> Pending:
    files, up_bytes, _, _ = engine.mover.pending()
    down = list(engine.executor.waiting.values())
    if engine.paused:
        up_bytes = sum(_new_bytes(one) for one in engine.proposals)
    return Pending(
        up_files=max(files, len(engine.proposals)) + engine.continuity.shown + engine.continuity.waiting,
        up_bytes=up_bytes,
        down_files=len(down),
        down_bytes=sum(one.content.size for one in down),
    )


def _new_bytes(one: ProposeChange) -> int:
    """How much content a proposal brings."""
    node = one.node
    is_new = node.kind is Kind.FILE and not node.deleted and one.content_from is None
    return node.content.size if is_new and node.content is not None else 0


def eta_s(engine: WorkspaceEngine) -> float | None:
    """Seconds until what is under way is done, at the rate of the last while; None where that cannot be said."""
    return engine.pace.eta_s()


def make_path_status(device: DeviceEngine, target: Target) -> PathStatus:
    """The state of one file or folder. In the database's thread. Raises `CannotDo` where there is none."""
    one = device.mounted.get(target.record.workspace)
    database, w = device.machine.database, target.record.w
    entry = find_entry(database, target)
    where = "/".join(target.names)
    kind, size = "directory", 0
    local_entry = _find_local(one, target)
    if entry is not None and entry != ROOT:
        row = database.one("SELECT kind, size FROM remote WHERE w = ? AND entry = ?", (w, entry))
        if row is not None:
            kind, size = KINDS[Kind(row[0])], row[1]

    def answer(state: PathState, why: str, durable: bool = True) -> PathStatus:
        return PathStatus(
            path=where,
            state=state,
            durable=durable,
            why=why,
            workspace=target.record.name,
            kind=kind,
            size=size,
        )

    if one is None or one.engine is None:
        return answer("waiting", "its workspace is not being synced here at the moment", entry is not None)
    engine = one.engine
    troubles = one.problems.at(where)
    if troubles:
        return answer("problem", advised(troubles[0].code, troubles[0].message), entry is not None)
    if target.names and engine.context.rules.ignores(target.names, is_directory=False):
        return answer("ignored", "an ignore file says so", durable=False)
    below = _under(engine, entry, local_entry)
    if below is not None and engine.paused:
        return answer("waiting", "its workspace is paused: `shoal resume` lets it go on", entry is not None)
    if below == "up":
        return answer("uploading", "it is being sent to the coordinator", durable=False)
    if below == "down":
        return answer("downloading", "it is being fetched")
    if entry is None and local_entry is None:
        raise CannotDo(f"there is nothing called {where!r} in {target.record.name}, here or elsewhere")
    if engine.waits or engine.stopped:
        return answer("waiting", one.problems.all()[0].message, entry is not None)
    if entry is None:
        return answer("uploading", "it has not been committed yet", durable=False)
    lacking = _lacking(engine, entry)
    return answer("up_to_date", lacking or "this device and the journal agree", durable=not lacking)


def _lacking(engine: WorkspaceEngine, entry: EntryId) -> str:
    """What the coordinator is still to have of an entry, in words; empty: nothing."""
    context = engine.context
    remote = context.trees.remote(entry)
    if remote is not None and remote.seq > context.journal.verified.seq:
        return "devices nearby have it, and the coordinator is still to be told"
    if remote is not None and engine.offering.store.standing(remote.head) is not Standing.DURABLE:
        return "the coordinator does not have all of it yet"
    return ""


def _find_local(one: MountedWorkspace | None, target: Target) -> EntryId | None:
    if one is None or one.engine is None:
        return None
    trees = one.engine.context.trees
    entry: EntryId | None = ROOT
    for name in target.names:
        entry = None if entry is None else trees.local_named(entry, name)
    return entry


def _under(engine: WorkspaceEngine, remote: EntryId | None, local: EntryId | None) -> str | None:
    """Whether something at or below an entry is on its way up or down."""
    trees = engine.context.trees

    def within(entry: EntryId, parent: EntryId) -> bool:
        places = {one for one in (remote, local) if one is not None}
        while entry not in places:
            if entry == ROOT:
                return False
            if parent in places:
                return True
            row, there = trees.local(parent), trees.remote(parent)
            entry = parent
            parent = row.node.parent if row else there.node.parent if there else ROOT
        return True

    for one in engine.scanner.reading.values():
        if within(one.entry, one.parent):
            return "up"
    for proposal in engine.proposals:
        if within(proposal.entry, proposal.node.parent):
            return "up"
    for waiting in engine.executor.waiting.values():
        if within(waiting.entry, waiting.parent):
            return "down"
    return None
