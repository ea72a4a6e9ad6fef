"""The state of a device in words, for pipes and panels alike. Owns the words."""

from peer.cli.printing import count_shown, line_shown, size_shown, time_shown
from peer.control.messages import Status, WorkspaceStatus


def state_shown(state: str) -> str:
    """A state's name for people."""
    return state.replace("_", " ")


def pending_shown(workspace: WorkspaceStatus) -> str:
    """What is left to do, or nothing."""
    pending = workspace.pending
    parts = []
    if pending.up_files or pending.up_bytes:
        parts.append(f"up {count_shown(pending.up_files, 'file')}, {size_shown(pending.up_bytes)}")
    if pending.down_files or pending.down_bytes:
        parts.append(f"down {count_shown(pending.down_files, 'file')}, {size_shown(pending.down_bytes)}")
    return "; ".join(parts)


def status_lines(status: Status) -> list[str]:
    """The state as plain lines."""
    coordinator = status.coordinator
    lines = [
        f"{status.device} of {status.user}",
        f"coordinator {coordinator.url}: {coordinator.state} since {time_shown(coordinator.since)}",
    ]
    if not status.workspaces:
        lines.append("no folder is kept in step here yet: `shoal add FOLDER` or `shoal mount WORKSPACE FOLDER`")
    for each in status.workspaces:
        line = f"{each.name}: {state_shown(each.state)}, {contents_shown(each)}, {each.folder}"
        left = pending_shown(each)
        lines.append(f"{line} ({left})" if left else line)
        if each.conflicts:
            lines.append(f"  {count_shown(each.conflicts, 'conflicted copy', 'conflicted copies')}: `shoal conflicts`")
        lines += [f"  ! {problem.path or each.folder}: {problem.message} [{problem.code}]" for problem in each.problems]
    return [line_shown(line) for line in lines]


def contents_shown(workspace: WorkspaceStatus) -> str:
    """How much there is in a workspace."""
    return f"{count_shown(workspace.entries, 'entry', 'entries')}, {size_shown(workspace.bytes)}"
