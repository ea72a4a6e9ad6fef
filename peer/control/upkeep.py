"""What is asked and answered about keeping a device in order: pausing, limits, the LAN, the log, conflicts, checks.

Owns these types, as `messages` owns the others.
"""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from peer.control.base import Reply, Request

Rate = Annotated[int, Meta(ge=0, le=2**53)]

# --- limits --------------------------------------------------------------------------------------------


class Rates(msgspec.Struct, frozen=True):
    """Bytes a second in both directions; None: no limit."""

    up: int | None = None
    down: int | None = None


class Period(msgspec.Struct, frozen=True, kw_only=True):
    """A time of the week with rates of its own: bytes a second, 0 for no limit, None for what is usual.

    `start` and `end` are local times, `HH:MM`; an `end` that is not after `start` is on the next day. `days` are those
    on which it starts: mon, tue, wed, thu, fri, sat, sun.
    """

    days: list[str]
    start: str
    end: str
    up: Rate | None = None
    down: Rate | None = None


class Limit(Request, frozen=True, tag="limit"):
    """Change how fast blocks may go, and say how it is then; what is not given stays. Answered with `Limits`.

    `up` and `down`: bytes a second, 0 for no limit. `schedule`: replaces all of it.
    """

    up: Rate | None = None
    down: Rate | None = None
    schedule: list[Period] | None = None


class Limits(Reply, frozen=True, tag="limits"):
    """How fast blocks may go: usually, at set times, and now."""

    up: int | None
    down: int | None
    schedule: list[Period]
    now: Rates


# --- the local network ---------------------------------------------------------------------------------


class PeersRequest(Request, frozen=True, tag="peers"):
    """Who is reachable on the LAN, and what came from whom. Answered with `Peers`."""


class PeerEntry(msgspec.Struct, frozen=True):
    """Another device; `address` is empty where it is away. Bytes of chunks since the daemon started."""

    device: str
    address: str
    state: Literal["linked", "seen", "away", "other_history"]
    lan_in: int
    lan_out: int


class Peers(Reply, frozen=True, tag="peers"):
    """The answer to `PeersRequest`. `lan`: whether this device is on the LAN at all."""

    peers: list[PeerEntry]
    lan: bool = True


# --- devices -------------------------------------------------------------------------------------------


class RevokeDevice(Request, frozen=True, tag="revoke_device"):
    """Revoke another device of this user, by its name or id. Answered with `RevokedDevice`, also the second time."""

    device: str


class RevokedDevice(Reply, frozen=True, tag="revoked_device"):
    """The device may do nothing any more. `entered` and `to_enter` are workspaces synced here, by name: those whose
    journals say so already, and those where that is still to come."""

    name: str
    id: str
    entered: list[str]
    to_enter: list[str]


# --- pausing -------------------------------------------------------------------------------------------


class Pause(Request, frozen=True, tag="pause"):
    """Transfer and commit nothing at a folder (all of them where none is named) until it is resumed; or, with
    `resume`, go on. Answered with `Paused`."""

    folder: str | None = None
    resume: bool = False


class PausedFolder(msgspec.Struct, frozen=True):
    """One synced folder, and whether it is paused now."""

    workspace: str
    folder: str
    paused: bool


class Paused(Reply, frozen=True, tag="paused"):
    """The folders that were meant."""

    folders: list[PausedFolder]


# --- the log -------------------------------------------------------------------------------------------


class Log(Request, frozen=True, tag="log"):
    """What happened, oldest first, as `Event`s and then `Done`; with `follow` it goes on until the connection closes.

    `path`: only there and below it. `last`: begin with so many of the newest; None: with the first.
    """

    path: str | None = None
    last: Annotated[int, Meta(ge=0, le=1_000_000)] | None = None
    follow: bool = False


class Event(Reply, frozen=True, tag="event"):
    """One thing that happened: `time` is when the coordinator received it, `path` the one that it had then ("" for the
    workspace itself), `detail` for people."""

    time: str
    workspace: str
    path: str
    action: str
    detail: str
    device: str
    user: str
    seq: int


# --- versions ------------------------------------------------------------------------------------------


class HistoryRequest(Request, frozen=True, tag="history"):
    """The versions of a file, or of everything in a directory. Answered with `History`."""

    path: str


class VersionEntry(msgspec.Struct, frozen=True):
    """One version: `path` as it was then ("" where that is not kept), `time` when the coordinator received it.

    `durable`: the coordinator has all of its blocks; `kept`: its content is still to be had, or may come to be.
    """

    id: str
    entry: str
    path: str
    kind: str
    size: int
    time: str
    device: str
    user: str
    deleted: bool
    current: bool
    durable: bool
    kept: bool


class History(Reply, frozen=True, tag="history"):
    """The versions, the newest first."""

    versions: list[VersionEntry]


# --- conflicts -----------------------------------------------------------------------------------------

Keep = Literal["mine", "theirs", "both", "copy", "original"]


class Resolve(Request, frozen=True, tag="resolve"):
    """Settle a conflicted copy, named by its path or by that of what it is a copy of. `mine` is what was edited on this
    device, `theirs` the other; `copy` and `original` say the same by name. Answered with `Resolved`."""

    path: str
    keep: Keep


class Resolved(Reply, frozen=True, tag="resolved"):
    """What was done: `path` is the file, `copy` the conflicted copy's path, `kept` which of them has been kept, and
    `copy_at` where the copy is now where both were."""

    workspace: str
    path: str
    copy: str
    kept: Literal["copy", "original", "both"]
    copy_at: str | None


# --- checking files ------------------------------------------------------------------------------------


class Verify(Request, frozen=True, tag="verify"):
    """Read every file of a synced folder (all of them where none is named) and compare it with the journal. Answered
    with `Verifying`s as it goes on, then `Verified`."""

    folder: str | None = None


class Verifying(Reply, frozen=True, tag="verifying"):
    """How far it is."""

    files: int
    bytes: int
    total_files: int
    total_bytes: int


class Finding(msgspec.Struct, frozen=True):
    """A file that is not what it should be: `damaged` (other bytes, though nobody saved it), `missing` or `changed`
    (and it was not noticed), `unreadable`."""

    path: str
    what: Literal["damaged", "missing", "changed", "unreadable"]
    message: str


class VerifiedFolder(msgspec.Struct, frozen=True):
    """What was read in one folder. `not_in_step`: files that the journal does not have as they are here (yet)."""

    workspace: str
    folder: str
    files: int
    bytes: int
    not_in_step: int
    findings: list[Finding]


class Verified(Reply, frozen=True, tag="verified"):
    """The answer to `Verify`."""

    folders: list[VerifiedFolder]


UpkeepRequest = HistoryRequest | Limit | Log | Pause | PeersRequest | Resolve | RevokeDevice | Verify
UpkeepReply = History | Limits | Event | Paused | Peers | Resolved | RevokedDevice | Verifying | Verified
