"""What `--json` prints, as scripts rely on it: written down apart from the program, to hold it to its word."""

from typing import Annotated, Any, Literal, TypeVar

import msgspec
from msgspec import Meta

T = TypeVar("T")

Time = Annotated[str, Meta(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$")]
Id = Annotated[str, Meta(pattern=r"^[0-9a-f]{16,}$")]
Count = Annotated[int, Meta(ge=0)]
Role = Literal["viewer", "editor", "manager", "owner"]
Kind = Literal["file", "directory", "symlink"]
ProblemCode = Literal[
    "root_missing",
    "root_replaced",
    "unreadable",
    "disk_full",
    "server_full",
    "quota",
    "delete_brake",
    "damaged_block",
    "waiting_for_blocks",
    "not_shared",
    "access_removed",
    "history_went_back",
    "history_forked",
    "history_invalid",
    "bad_change",
    "no_recovery_key",
    "watch_limit",
    "cloned_home",
    "suspect_file",
    "move_undone",
    "busy_file",
    "name_not_allowed",
    "name_clash",
    "special_file",
    "old_client",
]


class Coordinator(msgspec.Struct):
    url: str
    state: Literal["connected", "connecting", "offline"]
    since: Time


class Pending(msgspec.Struct):
    up_files: Count
    up_bytes: Count
    down_files: Count
    down_bytes: Count


class Problem(msgspec.Struct):
    path: str
    code: ProblemCode
    message: Annotated[str, Meta(min_length=1)]
    since: Time


class StatusWorkspace(msgspec.Struct):
    id: Id
    name: str
    folder: str
    role: Role
    state: Literal["up_to_date", "syncing", "scanning", "paused", "offline", "waiting", "error"]
    cursor: Count
    head: Count
    entries: Count
    bytes: Count
    pending: Pending
    not_durable: Count
    conflicts: Count
    eta_s: float | None
    problems: list[Problem]


class Transfer(msgspec.Struct):
    lan_in: Count
    lan_out: Count
    server_in: Count
    server_out: Count


class Status(msgspec.Struct):
    device: str
    user: str
    coordinator: Coordinator
    workspaces: list[StatusWorkspace]
    transfer: Transfer


class PathStatus(msgspec.Struct):
    path: str
    state: Literal["up_to_date", "uploading", "downloading", "waiting", "not_shared", "ignored", "problem"]
    durable: bool
    why: str


class Waited(msgspec.Struct):
    outcome: Literal["in_step", "timed_out", "problems"]
    problems: list[Problem]
    paused: list[str]


class Joined(msgspec.Struct):
    device: str
    user: str
    id: Id
    home: str


class Started(msgspec.Struct):
    pid: Annotated[int, Meta(gt=1)]
    device: str
    user: str


class Stopped(msgspec.Struct):
    pid: Annotated[int, Meta(gt=1)]


class Mounted(msgspec.Struct):
    workspace: Id
    name: str
    folder: str


class Unmounted(msgspec.Struct):
    folder: str


class Entry(msgspec.Struct):
    path: str
    kind: Kind
    size: Count
    version: Id
    deleted: bool
    target: str | None


class Listing(msgspec.Struct):
    entries: list[Entry]


class Version(msgspec.Struct):
    id: Id
    entry: Id
    path: str
    kind: Kind
    size: Count
    time: Time
    device: str
    user: str
    deleted: bool
    current: bool
    durable: bool
    kept: bool


class History(msgspec.Struct):
    versions: list[Version]


class Conflict(msgspec.Struct):
    workspace: str
    path: str
    of: str | None
    device: str
    time: Time


class Conflicts(msgspec.Struct):
    conflicts: list[Conflict]


class Rates(msgspec.Struct):
    up: Annotated[int, Meta(gt=0)] | None
    down: Annotated[int, Meta(gt=0)] | None


class Period(msgspec.Struct):
    days: list[Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]]
    start: Annotated[str, Meta(pattern=r"^\d\d:\d\d$")]
    end: Annotated[str, Meta(pattern=r"^\d\d:\d\d$")]
    up: Count | None
    down: Count | None


class Limits(msgspec.Struct):
    up: Annotated[int, Meta(gt=0)] | None
    down: Annotated[int, Meta(gt=0)] | None
    schedule: list[Period]
    now: Rates


class Event(msgspec.Struct):
    time: Time
    workspace: str
    path: str
    action: Literal[
        "added",
        "edited",
        "renamed",
        "moved",
        "deleted",
        "restored",
        "attributes",
        "conflict",
        "changed",
        "purged",
        "workspace_made",
        "device_added",
        "device_revoked",
        "keys_changed",
        "move_undone",
    ]
    detail: str
    device: str
    user: str
    seq: Annotated[int, Meta(gt=0)]


class Resolved(msgspec.Struct):
    workspace: str
    path: str
    copy: str
    kept: Literal["copy", "original", "both"]
    copy_at: str | None


class PausedFolder(msgspec.Struct):
    workspace: str
    folder: str
    paused: bool


class Paused(msgspec.Struct):
    folders: list[PausedFolder]


class Finding(msgspec.Struct):
    path: str
    what: Literal["damaged", "missing", "changed", "unreadable"]
    message: Annotated[str, Meta(min_length=1)]


class VerifiedFolder(msgspec.Struct):
    workspace: str
    folder: str
    files: Count
    bytes: Count
    not_in_step: Count
    findings: list[Finding]


class Verified(msgspec.Struct):
    folders: list[VerifiedFolder]


class Check(msgspec.Struct):
    check: Annotated[str, Meta(min_length=1)]
    state: Literal["ok", "warning", "problem"]
    message: Annotated[str, Meta(min_length=1)]
    advice: str


class Checks(msgspec.Struct):
    checks: list[Check]


class Confirmed(msgspec.Struct):
    questions: list[str]
    answered: bool


class Pair(msgspec.Struct):
    code: Annotated[str, Meta(pattern="^[a-z0-9-]+$")]
    expires: Time


class Invite(Pair):
    user: str


class Device(msgspec.Struct):
    name: str
    user: str
    id: Id
    state: Literal["active", "revoked"]
    last_seen: Time | None
    this: bool


class Devices(msgspec.Struct):
    devices: list[Device]


class Peer(msgspec.Struct):
    device: str
    address: str
    state: Literal["linked", "seen", "away", "other_history"]
    lan_in: Count
    lan_out: Count


class RevokedDevice(msgspec.Struct):
    name: str
    id: Id
    entered: list[str]
    to_enter: list[str]


class Peers(msgspec.Struct):
    peers: list[Peer]
    lan: bool


class Workspace(msgspec.Struct):
    id: Id
    name: str
    owner: str
    role: Role
    folder: str | None
    members: list[str]
    entries: Count
    stored_bytes: Count


class Workspaces(msgspec.Struct):
    workspaces: list[Workspace]


def read_document(text: str, kind: type[T]) -> T:
    """The one document in what a command printed. Fails where it is not of the kind, or not alone."""
    assert "\n" not in text.removesuffix("\n")
    return msgspec.json.decode(text, type=kind)


def read_lines(text: str, kind: type[T]) -> list[T]:
    """The documents of a stream, one a line."""
    return [msgspec.json.decode(line, type=kind) for line in text.splitlines()]


def read_any(text: str) -> Any:
    """The one document of a kind that is not fixed."""
    return read_document(text, dict)
