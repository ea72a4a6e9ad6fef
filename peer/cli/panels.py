"""What the state of a device looks like on a terminal: panels and bars. Owns their layout."""

from collections.abc import Mapping
from typing import Final

from rich.console import Console, Group, RenderableType
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from peer.cli.lines import contents_shown, pending_shown, state_shown
from peer.cli.printing import count_shown, line_shown, size_shown, span_shown, time_shown
from peer.cli.rates import Pace
from peer.control.messages import Status, WorkspaceStatus

_STYLES: Final = {
    "up_to_date": "green",
    "syncing": "cyan",
    "scanning": "cyan",
    "paused": "yellow",
    "offline": "yellow",
    "waiting": "yellow",
    "error": "bold red",
    "connected": "green",
    "connecting": "yellow",
}
_BAR_WIDTH: Final = 24


def status_panel(status: Status, paces: Mapping[str, Pace]) -> RenderableType:
    """The state on a terminal. `paces`, by workspace id, add bars with rate and time left."""
    coordinator = status.coordinator
    head = Text.assemble(
        (line_shown(status.device), "bold"),
        f" of {line_shown(status.user)}   coordinator {line_shown(coordinator.url)} ",
        (coordinator.state, _STYLES.get(coordinator.state, "red")),
        f" since {time_shown(coordinator.since)}",
    )
    parts: list[RenderableType] = [head]
    if not status.workspaces:
        parts.append(Text("no folder is kept in step here yet: shoal add FOLDER, or shoal mount WORKSPACE FOLDER"))
    else:
        parts.append(_workspaces_table(status, paces))
    for each in status.workspaces:
        parts += [
            Text.assemble(
                ("! ", "bold red"),
                (line_shown(problem.path or each.folder), "bold"),
                f"  {line_shown(problem.message)} ",
                (f"[{problem.code}] since {time_shown(problem.since)}", "dim"),
            )
            for problem in each.problems
        ]
    transfer = status.transfer
    received, sent = transfer.server_in + transfer.lan_in, transfer.server_out + transfer.lan_out
    by_lan = transfer.lan_in + transfer.lan_out
    beside = f", {size_shown(by_lan)} of both by the local network" if by_lan else ""
    moved = f"since the start: {size_shown(received)} received, {size_shown(sent)} sent{beside}"
    parts.append(Text(moved, style="dim"))
    return Group(*parts)


def _workspaces_table(status: Status, paces: Mapping[str, Pace]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for head in ("workspace", "state", "contents", "left to do", "folder"):
        table.add_column(head, overflow="fold")
    for each in status.workspaces:
        name = Text(line_shown(each.name))
        if each.conflicts:
            conflicts = count_shown(each.conflicts, "conflicted copy", "conflicted copies")
            name.append(f"\n{conflicts}", style="yellow")
        state = Text(state_shown(each.state), style=_STYLES.get(each.state, ""))
        folder = Text(line_shown(each.folder))
        table.add_row(name, state, contents_shown(each), _left(each, paces.get(each.id)), folder)
    return table


def _left(workspace: WorkspaceStatus, pace: Pace | None) -> RenderableType:
    words = pending_shown(workspace)
    if pace is None or not pace.total_bytes:
        return Text(words or "-")
    left_s = workspace.eta_s if workspace.eta_s is not None else pace.left_s
    return Group(
        ProgressBar(total=pace.total_bytes, completed=pace.done_bytes, width=_BAR_WIDTH),
        Text(f"{words}\n{_speed(pace)}{_until(left_s)}".strip()),
    )


def _speed(pace: Pace) -> str:
    return f"{size_shown(pace.rate_bytes_s)}/s" if pace.rate_bytes_s >= 1 else ""


def _until(left_s: float | None) -> str:
    return "" if left_s is None else f", {span_shown(left_s)} left"


def progress_bars(console: Console) -> Progress:
    """Bars that show a description, how much is done, the rate and the time left; gone when they are done."""
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TextColumn("{task.fields[rate]}{task.fields[left]}", markup=False),
        console=console,
        transient=True,
    )


def feed(bars: Progress, task: TaskID, status: Status, pace: Pace, now_s: float) -> None:
    """Bring a bar up to date with a state."""
    pending = [each.pending for each in status.workspaces]
    left_bytes = sum(each.up_bytes + each.down_bytes for each in pending)
    left_files = sum(each.up_files + each.down_files for each in pending)
    pace.see(left_bytes, left_files, now_s)
    etas = [each.eta_s for each in status.workspaces if each.eta_s is not None]
    left_s = max(etas) if etas else pace.left_s
    states = {each.state for each in status.workspaces}
    doing = "looking at files" if "scanning" in states and not left_files else f"{count_shown(left_files, 'file')} left"
    bars.update(
        task,
        description=doing,
        total=pace.total_bytes or None,
        completed=pace.done_bytes,
        rate=f"{size_shown(left_bytes)}  {_speed(pace)}" if left_bytes else "",
        left=_until(left_s),
    )
