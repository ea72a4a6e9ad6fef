"""Requests, replies, pokes and refusals between a device and the coordinator.

Owns their types; the paths they travel on are in `ENDPOINTS`. Every request is idempotent. Signed things inside are
`protocol.model` structs. A refusal is a value, never an exception.
"""

import enum
from typing import Annotated, Final

from msgspec import Meta

from protocol import limits
from protocol.codec import Message
from protocol.ids import (
    Bytes16,
    Hash32,
    PublicKey,
    Signature,
    WireBlockId,
    WireChangeId,
    WireDeviceId,
    WireEntryId,
    WireLogHash,
    WireUserId,
    WireWorkspaceId,
)
from protocol.model import Chain, Commit, Count, Epoch, JournalRow, Role, SealedKey, Seq, SignedLink, TimeMs
from protocol.nearby import Nearby, NearbyRequest
from protocol.offered import OfferedPage

Text = Annotated[str, Meta(max_length=500)]
Address = Annotated[str, Meta(min_length=1, max_length=300)]
Addresses = Annotated[tuple[Address, ...], Meta(max_length=limits.ADDRESSES)]
Token = Annotated[bytes, Meta(min_length=32, max_length=32)]


class RefusalCode(enum.StrEnum):
    """Why a request as a whole was refused (commits have reasons of their own)."""

    MALFORMED = "malformed"
    TOO_LARGE = "too_large"
    UNAUTHENTICATED = "unauthenticated"
    DENIED = "denied"
    NOT_FOUND = "not_found"
    CONFLICT = "conflict"
    USED = "used"
    EXPIRED = "expired"
    RATE_LIMITED = "rate_limited"
    OLD_CLIENT = "old_client"
    SERVER_FULL = "server_full"
    CATCHING_UP = "catching_up"
    UNAVAILABLE = "unavailable"


class Refusal(Message, frozen=True, tag="refusal"):
    """The answer, with a 4xx or 5xx status, to a request that was not carried out."""

    code: RefusalCode
    message: Text
    retry_after_ms: Count = 0


# --- signing in ----------------------------------------------------------------------------------------


class ChallengeRequest(Message, frozen=True):
    """Ask for a nonce to sign. `nonce` is the device's own, which the coordinator signs."""

    major: Count
    revision: Count
    capabilities: Annotated[tuple[Text, ...], Meta(max_length=64)]
    device: WireDeviceId
    nonce: Hash32


class Challenge(Message, frozen=True, tag="challenge"):
    """The coordinator's nonce, signed with the device's nonce by the coordinator's identity key.

    Signature: label `login-offer`, over (suite, identity, device, device's nonce, nonce).
    """

    major: Count
    revision: Count
    capabilities: Annotated[tuple[Text, ...], Meta(max_length=64)]
    identity: PublicKey
    nonce: Hash32
    signature: Signature
    time: TimeMs


class LoginRequest(Message, frozen=True):
    """Signature by the device's signing key: label `login`, over (suite, identity, device, nonce)."""

    device: WireDeviceId
    nonce: Hash32
    signature: Signature


class LoggedIn(Message, frozen=True, tag="logged_in"):
    """A short-lived bearer token of this device, and the addresses at which the coordinator can be reached."""

    token: Token
    expires: TimeMs
    user: WireUserId
    addresses: Addresses


# --- joining and pairing -------------------------------------------------------------------------------


class JoinRequest(Message, frozen=True):
    """An invited person's first device. `invitation` is the key derived from the code; it signs the link's hash."""

    invitation: PublicKey
    signature: Signature
    link: SignedLink


class InvitationRequest(Message, frozen=True):
    """Ask what an invitation is for, before joining."""

    invitation: PublicKey


class InvitationInfo(Message, frozen=True, tag="invitation"):
    """The name that the invited user will have, as the coordinator's host chose it."""

    user_name: Text
    expires: TimeMs


class Joined(Message, frozen=True, tag="joined"):
    """The user and device now known to the coordinator."""

    user: WireUserId
    device: WireDeviceId


class PairingOffer(Message, frozen=True):
    """By a device: admit a pairing key (`link`, a `PairingAdmitted`) and leave a bundle sealed for it."""

    link: SignedLink
    lookup: Bytes16
    bundle: Annotated[bytes, Meta(max_length=limits.BUNDLE_BYTES)]


class PairingRequest(Message, frozen=True):
    """By a device that is not yet one: what was left under the lookup id of a pairing code."""

    lookup: Bytes16


class Pairing(Message, frozen=True, tag="pairing"):
    """The user's chain so far and the sealed bundle."""

    chain: Chain
    bundle: Annotated[bytes, Meta(max_length=limits.BUNDLE_BYTES)]


class PairRequest(Message, frozen=True):
    """Add the new device: a `DevicePaired` link that extends the chain by one."""

    lookup: Bytes16
    link: SignedLink


class RevokeRequest(Message, frozen=True):
    """Revoke another device of one's own: `link`, a `Revocation` by the asking device, extends the chain by one."""

    link: SignedLink


class ChainRequest(Message, frozen=True):
    """A user's chain from link `start` on: one's own, or a fellow member's."""

    user: WireUserId
    start: Count = 0


class ChainReply(Message, frozen=True, tag="chain"):
    """Links from `start` to the end; empty when there are no more."""

    links: Annotated[tuple[SignedLink, ...], Meta(max_length=limits.CHAIN_LINKS)]


class Ok(Message, frozen=True, tag="ok"):
    """Done."""


# --- workspaces and journal ----------------------------------------------------------------------------


class WorkspacesRequest(Message, frozen=True):
    """Which workspaces the device's user is a member of."""


class WorkspaceInfo(Message, frozen=True):
    """A workspace as the coordinator knows it, with the keys sealed to the asking device or its pairing, if any."""

    workspace: WireWorkspaceId
    role: Role
    head_seq: Seq
    head_hash: WireLogHash
    genesis: Commit
    keys: Annotated[tuple[SealedKey, ...], Meta(max_length=8)]
    members: Annotated[tuple[tuple[WireUserId, Text, Role], ...], Meta(max_length=1000)]
    stored_bytes: Count
    entries: Count


class Workspaces(Message, frozen=True, tag="workspaces"):
    """The answer to `WorkspacesRequest`."""

    workspaces: Annotated[tuple[WorkspaceInfo, ...], Meta(max_length=10_000)]


class DevicesRequest(Message, frozen=True):
    """The devices of one's own user, as the coordinator last saw them."""


class DeviceInfo(Message, frozen=True):
    """One device; `last_seen` is 0 where it never signed in."""

    device: WireDeviceId
    name: Text
    user: WireUserId
    user_name: Text
    active: bool
    last_seen: TimeMs


class Devices(Message, frozen=True, tag="devices"):
    """The answer to `DevicesRequest`."""

    devices: Annotated[tuple[DeviceInfo, ...], Meta(max_length=limits.DEVICES_PER_USER)]


class KeysDeposit(Message, frozen=True):
    """Leave a workspace's keys up to `epoch`, sealed, for devices of one's own user that lack them."""

    workspace: WireWorkspaceId
    keys: Annotated[tuple[SealedKey, ...], Meta(max_length=limits.SEALED_KEYS)]
    epoch: Epoch = 1


class CommitReason(enum.StrEnum):
    """Why a commit was refused as a whole."""

    MALFORMED = "malformed"
    SUPERSEDED = "superseded"
    NOT_NEXT = "not_next"
    UNKNOWN_HEAD = "unknown_head"
    DENIED = "denied"
    OLD_EPOCH = "old_epoch"
    QUOTA = "quota"
    CONTROL_MOVED = "control_moved"
    NOT_SUPPORTED = "not_supported"
    CHANGES = "changes"
    """At least one change was refused; see `CommitRefused.changes`."""


class ChangeReason(enum.StrEnum):
    """Why one change was refused."""

    MALFORMED = "malformed"
    STALE = "stale"
    NAME_TAKEN = "name_taken"
    PARENT_GONE = "parent_gone"
    CYCLE = "cycle"
    UNSEEN = "unseen"
    MISSING_BLOCKS = "missing_blocks"
    PURGED = "purged"
    NOT_LIVE = "not_live"
    WRONG_KIND = "wrong_kind"
    TOO_DEEP = "too_deep"


class ChangeRefusal(Message, frozen=True):
    """Why one change was refused, with its entry's head and the blocks, commits or entries in question."""

    entry: WireEntryId
    reason: ChangeReason
    head: WireChangeId | None = None
    ids: Annotated[tuple[bytes, ...], Meta(max_length=20_000)] = ()


class CommitRequest(Message, frozen=True):
    """Propose a commit. For one already accepted the answer is the same as then."""

    commit: Commit


class CommitAccepted(Message, frozen=True, tag="accepted"):
    """The commit's place in the journal."""

    seq: Seq
    log_hash: WireLogHash
    received: TimeMs


class CommitRefused(Message, frozen=True, tag="refused"):
    """Nothing of the commit was taken. `last_number` is the device's last accepted number."""

    reason: CommitReason
    head_seq: Seq
    head_hash: WireLogHash
    last_number: Count
    changes: Annotated[tuple[ChangeRefusal, ...], Meta(max_length=limits.COMMIT_CHANGES)] = ()
    detail: Text = ""


class JournalRequest(Message, frozen=True):
    """The journal after the device's verified cursor. A cursor not on the journal is answered with `CursorUnknown`."""

    workspace: WireWorkspaceId
    cursor_seq: Seq
    cursor_hash: WireLogHash
    max_commits: Annotated[int, Meta(ge=1, le=limits.PAGE_COMMITS)] = limits.PAGE_COMMITS


class JournalPage(Message, frozen=True, tag="journal"):
    """Commits in order, from the one after the cursor; `head_*` is the journal's head at that moment."""

    rows: Annotated[tuple[JournalRow, ...], Meta(max_length=limits.PAGE_COMMITS)]
    head_seq: Seq
    head_hash: WireLogHash


class CursorUnknown(Message, frozen=True, tag="cursor_unknown"):
    """The journal is shorter than the cursor (`went_back`), or has another commit there.

    `hash_at` is the journal's own hash at the cursor's `seq`, or None where it is shorter.
    """

    head_seq: Seq
    head_hash: WireLogHash
    hash_at: WireLogHash | None


class HandBack(Message, frozen=True):
    """Commits that the coordinator's journal has lost, verbatim, in order; each is taken only at exactly its place."""

    workspace: WireWorkspaceId
    rows: Annotated[tuple[JournalRow, ...], Meta(max_length=limits.PAGE_COMMITS)]


# --- blocks (bodies of frames; see `frames`) -----------------------------------------------------------


class HaveRequest(Message, frozen=True):
    """Which of these blocks may a commit of this device in this workspace refer to without uploading them."""

    workspace: WireWorkspaceId
    blocks: Annotated[tuple[WireBlockId, ...], Meta(max_length=limits.HAVE_BLOCKS)]


class HaveReply(Message, frozen=True, tag="have"):
    """One bit a block in the order asked, most significant first, 1 for held; padded with zeros to whole bytes."""

    bits: Annotated[bytes, Meta(max_length=limits.HAVE_BLOCKS // 8 + 1)]


class BlocksRequest(Message, frozen=True):
    """Blocks to download; the reply's body is a stream of frames in the order asked."""

    workspace: WireWorkspaceId
    blocks: Annotated[tuple[WireBlockId, ...], Meta(max_length=limits.GET_BLOCKS)]


class Stored(Message, frozen=True, tag="stored"):
    """The answer to an upload: so many blocks of this body are durable now, and so many of them were new."""

    blocks: Count
    new: Count


# --- versions that are not durable yet (see `offered`) -------------------------------------------------


class OfferedRequest(Message, frozen=True):
    """What changed in the set of versions that are not durable, after `number` of that generation of it."""

    workspace: WireWorkspaceId
    generation: Count
    number: Count


class HoldingsRequest(Message, frozen=True):
    """Of which offered versions this device has the bytes, and of which it has them no more."""

    workspace: WireWorkspaceId
    held: Annotated[tuple[WireChangeId, ...], Meta(max_length=limits.HOLDINGS)]
    gone: Annotated[tuple[WireChangeId, ...], Meta(max_length=limits.HOLDINGS)]


class LeaseRequest(Message, frozen=True):
    """Which of these blocks are still to be sent, and may be sent by this device now; with `end`, it will send none."""

    workspace: WireWorkspaceId
    blocks: Annotated[tuple[WireBlockId, ...], Meta(max_length=limits.HAVE_BLOCKS)]
    end: bool = False


class LeaseReply(Message, frozen=True, tag="lease"):
    """Bits as those of `HaveReply`. Neither bit: another device is sending the block, so ask again later.

    `stored`: the block is there for this workspace. `granted`: the device has it to itself for a minute from this
    answer, from asking again, and from every part of an upload that arrives.
    """

    stored: Annotated[bytes, Meta(max_length=limits.HAVE_BLOCKS // 8 + 1)]
    granted: Annotated[bytes, Meta(max_length=limits.HAVE_BLOCKS // 8 + 1)]


# --- wake-ups ------------------------------------------------------------------------------------------


class Poke(Message, frozen=True, tag="poke"):
    """A workspace has a new head, or its set of versions that are not durable has changed.

    `durability` is the set's last number. Small commits may come inline, oldest first.
    """

    workspace: WireWorkspaceId
    head_seq: Seq
    head_hash: WireLogHash
    durability: Count
    rows: Annotated[tuple[JournalRow, ...], Meta(max_length=limits.PAGE_COMMITS)] = ()


class ChainPoke(Message, frozen=True, tag="chain_poke"):
    """The device's user has a chain of this length now (a device was added, say)."""

    user: WireUserId
    length: Count


class Welcome(Message, frozen=True, tag="welcome"):
    """The first message on a notification socket."""

    time: TimeMs


Wake = Poke | ChainPoke | Welcome


class PollRequest(Message, frozen=True):
    """Long polling: answered when a workspace is ahead of what is named here, or after `timeout_s`.

    `known` names each workspace's head and the `durability` that the device has; another one is news.
    """

    known: Annotated[tuple[tuple[WireWorkspaceId, Seq, Count], ...], Meta(max_length=limits.POKES)]
    chain_length: Count
    timeout_s: Annotated[int, Meta(ge=0, le=limits.POLL_S)]


class Polled(Message, frozen=True, tag="polled"):
    """What is new; empty after the time-out."""

    wakes: Annotated[tuple[Poke | ChainPoke, ...], Meta(max_length=limits.POKES)]


CommitReply = CommitAccepted | CommitRefused | Refusal
JournalReply = JournalPage | CursorUnknown | Refusal
OfferedReply = OfferedPage | Refusal

PREFIX: Final = "/v1"
UPLOAD_PATH: Final = "/v1/blocks/{workspace}"
"""POST: a body of frames. The workspace id is in hexadecimal."""
DOWNLOAD_PATH: Final = "/v1/blocks"
"""POST: a `BlocksRequest`; the reply's body is frames."""
NOTIFY_PATH: Final = "/v1/notify"
"""WebSocket: binary messages, each one `Wake`; the client sends none."""
MEDIA_TYPE: Final = "application/vnd.msgpack"

ENDPOINTS: Final[dict[str, tuple[type, object]]] = {
    # path: (request, reply); all POST with a MessagePack body
    "/v1/challenge": (ChallengeRequest, Challenge | Refusal),
    "/v1/login": (LoginRequest, LoggedIn | Refusal),
    "/v1/invitation": (InvitationRequest, InvitationInfo | Refusal),
    "/v1/join": (JoinRequest, Joined | Refusal),
    "/v1/pairing/offer": (PairingOffer, Ok | Refusal),
    "/v1/pairing/open": (PairingRequest, Pairing | Refusal),
    "/v1/pairing/use": (PairRequest, Joined | Refusal),
    "/v1/device/revoke": (RevokeRequest, Ok | Refusal),
    "/v1/chain": (ChainRequest, ChainReply | Refusal),
    "/v1/devices": (DevicesRequest, Devices | Refusal),
    "/v1/workspaces": (WorkspacesRequest, Workspaces | Refusal),
    "/v1/keys": (KeysDeposit, Ok | Refusal),
    "/v1/commit": (CommitRequest, CommitAccepted | CommitRefused | Refusal),
    "/v1/journal": (JournalRequest, JournalPage | CursorUnknown | Refusal),
    "/v1/handback": (HandBack, Ok | Refusal),
    "/v1/have": (HaveRequest, HaveReply | Refusal),
    "/v1/offered": (OfferedRequest, OfferedPage | Refusal),
    "/v1/holdings": (HoldingsRequest, Ok | Refusal),
    "/v1/lease": (LeaseRequest, LeaseReply | Refusal),
    "/v1/nearby": (NearbyRequest, Nearby | Refusal),
    "/v1/poll": (PollRequest, Polled | Refusal),
}
