"""L8, every stop is explained: a device that is not in step says so, with a cause, and one in step is at rest."""

from peer.control.messages import Pending, WorkspaceStatus


def rests(status: WorkspaceStatus) -> bool:
    """Whether the status says that nothing is left to be done."""
    return status.state == "up_to_date" and status.cursor == status.head and status.pending == Pending()


def unexplained(device: str, status: WorkspaceStatus, *, in_step: bool) -> str | None:
    """The broken promise, if what the status says is not how it is. `in_step`: the device has what the others have."""
    if any(not problem.message for problem in status.problems):
        return f"L8 unexplained: {device} names a problem without a cause: {status.problems}"
    if in_step and not rests(status):
        return f"L8 unexplained: {device} is in step and says {status}"
    if not in_step and rests(status) and not status.problems:
        return f"L8 unexplained: {device} is not in step and says nothing of it: {status}"
    return None
