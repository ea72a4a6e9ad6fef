"""What a command asks of the daemon and what it is answered. Owns these types; the documents that `--json` prints are
made of them unchanged.

A request is one JSON object a line with a `do` field; the answer is one object a line, or several for a stream
(`Watch`, `Cat`), the last of which is a `Done` or a `Failure`. Times are RFC 3339 in UTC, ids hexadecimal.
"""

from typing import Literal

import msgspec

from peer.control.base import Done as Done
from peer.control.base import Failure as Failure
from peer.control.base import Reply as Reply
from peer.control.base import Request as Request
from peer.control.upkeep import UpkeepReply, UpkeepRequest

# --- requests ------------------------------------------------------------------------------------------


class Hello(Request, frozen=True, tag="hello"):
    """Is anybody there. Answered with `HelloReply`."""


class Stop(Request, frozen=True, tag="stop"):
    """End the daemon gracefully. Answered with `Done` before it goes."""


class StatusRequest(Request, frozen=True, tag="status"):
    """The state of everything; or, with `path`, of one thing (`PathStatus`). `path` is absolute or `WORKSPACE:path`."""

    path: str | None = None


class Watch(Request, frozen=True, tag="watch"):
    """A `Status` now and after every change, at most four a second, until the connection closes."""


class Wait(Request, frozen=True, tag="wait"):
    """Answered with `Waited` once all is in step (or can go no further), or after `timeout_s`."""

    timeout_s: float | None = None
    durable: bool = False
    path: str | None = None


class Add(Request, frozen=True, tag="add"):
    """Make a workspace out of a folder. Answered with `Mounted`."""

    folder: str
    name: str | None = None


class Mount(Request, frozen=True, tag="mount"):
    """Bring a workspace to this device, named by name, `user/name` or id. Answered with `Mounted`."""

    workspace: str
    folder: str


class Unmount(Request, frozen=True, tag="unmount"):
    """Stop syncing a folder here; the files stay. Answered with `Done`."""

    folder: str


class WorkspacesRequest(Request, frozen=True, tag="workspaces"):
    """All that this device may mount. Answered with `Workspaces`."""


class DevicesRequest(Request, frozen=True, tag="devices"):
    """The devices of this user. Answered with `Devices`."""


class Pair(Request, frozen=True, tag="pair"):
    """A code that adds another device of this user. Answered with `PairReply`."""


class Confirm(Request, frozen=True, tag="confirm"):
    """Answer what a workspace waits for; `show` only tells what it is. Answered with `Confirmed`."""

    folder: str | None = None
    reject: bool = False
    show: bool = False


class Ls(Request, frozen=True, tag="ls"):
    """The entries directly below a directory, or the file itself. Answered with `Listing`."""

    target: str | None = None
    deleted: bool = False


class Cat(Request, frozen=True, tag="cat"):
    """The bytes of a file as `CatData`, then `Done`."""

    path: str
    version: str | None = None


class ConflictsRequest(Request, frozen=True, tag="conflicts"):
    """The conflicted copies there are. Answered with `Conflicts`."""


PlainRequest = (
    Hello
    | Stop
    | StatusRequest
    | Watch
    | Wait
    | Add
    | Mount
    | Unmount
    | WorkspacesRequest
    | DevicesRequest
    | Pair
    | Confirm
    | Ls
    | Cat
    | ConflictsRequest
)
AnyRequest = PlainRequest | UpkeepRequest

# --- answers -------------------------------------------------------------------------------------------


class HelloReply(Reply, frozen=True, tag="hello"):
    """The daemon's process id and device."""

    pid: int
    device: str
    user: str


class Coordinator(msgspec.Struct, frozen=True):
    """Where the coordinator is and whether it can be reached."""

    url: str
    state: Literal["connected", "connecting", "offline"]
    since: str


class Pending(msgspec.Struct, frozen=True):
    """What is still to be done."""

    up_files: int = 0
    up_bytes: int = 0
    down_files: int = 0
    down_bytes: int = 0


class Problem(msgspec.Struct, frozen=True):
    """Something to look at; `path` is "" for the whole workspace."""

    path: str
    code: str
    message: str
    since: str


WorkspaceStateName = Literal["up_to_date", "syncing", "scanning", "paused", "offline", "waiting", "error"]


class WorkspaceStatus(msgspec.Struct, frozen=True):
    """One mounted workspace."""

    id: str
    name: str
    folder: str
    role: str
    state: WorkspaceStateName
    cursor: int
    head: int
    entries: int
    bytes: int
    pending: Pending
    not_durable: int
    conflicts: int
    eta_s: float | None
    problems: list[Problem]


class Transfer(msgspec.Struct, frozen=True):
    """Block bytes on the wire since the daemon started."""

    lan_in: int = 0
    lan_out: int = 0
    server_in: int = 0
    server_out: int = 0


class Status(Reply, frozen=True, tag="status"):
    """Everything."""

    device: str
    user: str
    coordinator: Coordinator
    workspaces: list[WorkspaceStatus]
    transfer: Transfer


PathState = Literal["up_to_date", "uploading", "downloading", "waiting", "not_shared", "ignored", "problem"]


class PathStatus(Reply, frozen=True, tag="path_status"):
    """One file or folder."""

    path: str
    state: PathState
    durable: bool
    why: str
    workspace: str
    kind: str
    size: int


class Waited(Reply, frozen=True, tag="waited"):
    """How a `Wait` ended. `paused`: the folders among those waited for that are paused; what they have left waits."""

    outcome: Literal["in_step", "timed_out", "problems"]
    problems: list[Problem]
    paused: list[str] = msgspec.field(default_factory=list)


class Mounted(Reply, frozen=True, tag="mounted"):
    """A workspace is being synced with a folder now."""

    workspace: str
    name: str
    folder: str


class WorkspaceEntry(msgspec.Struct, frozen=True):
    """One workspace that may be mounted; `folder` is None where it is not mounted here."""

    id: str
    name: str
    owner: str
    role: str
    folder: str | None
    members: list[str]
    entries: int
    stored_bytes: int


class Workspaces(Reply, frozen=True, tag="workspaces"):
    """The answer to `WorkspacesRequest`."""

    workspaces: list[WorkspaceEntry]


class DeviceEntry(msgspec.Struct, frozen=True):
    """One device of this user."""

    name: str
    user: str
    id: str
    state: Literal["active", "revoked"]
    last_seen: str | None
    this: bool


class Devices(Reply, frozen=True, tag="devices"):
    """The answer to `DevicesRequest`."""

    devices: list[DeviceEntry]


class PairReply(Reply, frozen=True, tag="pair"):
    """A pairing code."""

    code: str
    expires: str


class Confirmed(Reply, frozen=True, tag="confirmed"):
    """What was waited for, in words, and whether it goes on now."""

    questions: list[str]
    answered: bool


class ListedEntry(msgspec.Struct, frozen=True):
    """One row of `ls`; `target` is a symlink's."""

    path: str
    kind: str
    size: int
    version: str
    deleted: bool
    target: str | None


class Listing(Reply, frozen=True, tag="listing"):
    """The answer to `Ls`."""

    entries: list[ListedEntry]


class CatData(Reply, frozen=True, tag="data"):
    """A piece of a file, in order."""

    data: bytes


class ConflictEntry(msgspec.Struct, frozen=True):
    """One conflicted copy: its path, the path of what it is a copy of, whose edit it is, and when."""

    workspace: str
    path: str
    of: str | None
    device: str
    time: str


class Conflicts(Reply, frozen=True, tag="conflicts"):
    """The answer to `ConflictsRequest`."""

    conflicts: list[ConflictEntry]


AnyReply = (
    Done
    | Failure
    | HelloReply
    | Status
    | PathStatus
    | Waited
    | Mounted
    | Workspaces
    | Devices
    | PairReply
    | Confirmed
    | Listing
    | CatData
    | Conflicts
    | UpkeepReply
)
