"""Looks up who is asking and what they may do, within the transaction that answers. Decisions are `domain.access`."""

from typing import NamedTuple

from coordinator.domain.access import may_read, may_write
from coordinator.ports import Transaction
from coordinator.records import Device, Workspace
from coordinator.service.context import Session
from protocol.ids import WorkspaceId
from protocol.messages import Refusal, RefusalCode
from protocol.model import Role


class Member(NamedTuple):
    """A device that may read a workspace now."""

    device: Device
    workspace: Workspace
    role: Role


def active_device(transaction: Transaction, session: Session) -> Device | Refusal:
    """The asking device; `denied` where it was revoked."""
    device = transaction.people.device(session.device)
    if device is not None and not device.active:
        return revoked()
    if device is None or device.user != session.user:
        return Refusal(RefusalCode.UNAUTHENTICATED, "this device may not sign in")
    return device


def member(transaction: Transaction, session: Session, workspace: WorkspaceId) -> Member | Refusal:
    """The asking device as a reader; `not_found` alike for a workspace that is not there and one not for it."""
    device = active_device(transaction, session)
    if isinstance(device, Refusal):
        return device
    found = transaction.journals.workspace(workspace)
    role = None if found is None else transaction.journals.role(found.key, device.user)
    if found is None or role is None or not may_read(device.active, role):
        return no_workspace()
    return Member(device, found, role)


def writer(transaction: Transaction, session: Session, workspace: WorkspaceId) -> Member | Refusal:
    """The asking device as one that may send blocks; `denied` to a viewer."""
    found = member(transaction, session, workspace)
    if isinstance(found, Refusal):
        return found
    if not may_write(found.device.active, found.role):
        return Refusal(RefusalCode.DENIED, "your role in this workspace does not allow changes")
    return found


def revoked() -> Refusal:
    """The one answer to a device that was revoked."""
    return Refusal(RefusalCode.DENIED, "this device was revoked: it gets nothing new and may change nothing")


def no_workspace() -> Refusal:
    """The one answer about any workspace that the caller is not a member of."""
    return Refusal(RefusalCode.NOT_FOUND, "no such workspace")
