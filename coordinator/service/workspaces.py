"""What a device may mount: its user's workspaces, their heads, and keys left for devices."""

from typing import NamedTuple

from coordinator.service.context import Context, Session
from protocol.ids import LogHash, WorkspaceId
from protocol.messages import KeysDeposit, Ok, Refusal, Workspaces, WorkspacesRequest


class Head(NamedTuple):
    """Where a workspace's journal ends."""

    workspace: WorkspaceId
    seq: int
    log_hash: LogHash


class Standing(NamedTuple):
    """All that a device may be woken for: the heads of its user's workspaces and the length of the user's chain."""

    heads: tuple[Head, ...]
    chain_length: int


async def workspaces(context: Context, session: Session, request: WorkspacesRequest) -> Workspaces | Refusal:
    """The workspaces of the caller's user, with the keys left for this device or its pairing."""
    raise NotImplementedError


async def deposit_keys(context: Context, session: Session, request: KeysDeposit) -> Ok | Refusal:
    """Keep sealed keys for devices and pairings of the caller's own user that have none yet; others are ignored.

    Refuses `not_found` to a non-member.
    """
    raise NotImplementedError


async def standing(context: Context, session: Session) -> Standing | Refusal:
    """For wake-ups: what the device would be told now. Refuses `denied` for a device that is no longer active."""
    raise NotImplementedError
