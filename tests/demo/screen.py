"""The demonstration on a terminal: both folders side by side, what happens, what it costs. Owns the layout."""

import threading
import time
from collections import deque

from rich.console import Console, Group
from rich.layout import Layout
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from peer.cli.printing import line_shown, size_shown
from tests.demo.stage import Device, Stage
from tests.demo.story import Cost
from tests.demo.trees import Sight, look

_LOOK_S = 0.25
_FRESH_S = 3.0
_TOLD = 200


class Screen:
    """Shows a stage until it is closed; told what happens by `tell` and `paid`, and sees the folders by itself."""

    def __init__(self, stage: Stage, console: Console) -> None:
        self._stage = stage
        self._told: deque[tuple[float, str, str]] = deque(maxlen=_TOLD)
        self._costs: list[Cost] = []
        self._seen: dict[str, dict[str, Sight]] = {each.name: {} for each in stage.devices}
        self._changed: dict[tuple[str, str], float] = {}
        self._began = time.monotonic()
        self._over = threading.Event()
        self._live = Live(console=console, screen=True, auto_refresh=False, get_renderable=self._layout)
        self._eyes = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> "Screen":
        self._live.start()
        self._eyes.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._eyes.join(2)
        self._live.stop()

    def tell(self, text: str, style: str = "") -> None:
        """One line of what happens."""
        self._told.append((time.monotonic() - self._began, text, style))

    def paid(self, cost: Cost) -> None:
        """What a step cost."""
        self._costs.append(cost)
        self.tell(f"{cost.title}: both folders equal, by hash", "green")

    @property
    def costs(self) -> list[Cost]:
        """All that was paid."""
        return list(self._costs)

    def _watch(self) -> None:
        while not self._over.wait(_LOOK_S):
            for device in self._stage.devices:
                self._look_at(device)
            self._live.refresh()

    def _look_at(self, device: Device) -> None:
        old, new = self._seen[device.name], look(device.folder)
        now = time.monotonic()
        changed = [path for path in new.keys() | old.keys() if old.get(path) != new.get(path)]
        for path in changed:
            self._changed[device.name, path] = now
        files = [path for path in changed if (new.get(path) or old[path]).kind != "directory"]
        if len(files) > 3:
            there = sum(path in new for path in files)
            count = max(there, len(files) - there)  # a file that moved is counted once
            self.tell(f"{device.name}: {count} files", "dim")
        else:
            for path in files:
                sign = "-" if path not in new else "+" if path not in old else "~"
                self.tell(f"{device.name}: {sign} {path}", "dim")
        self._seen[device.name] = new

    # --- layout ------------------------------------------------------------------------------------------

    def _layout(self) -> Layout:
        whole, folders, below = Layout(), Layout(name="folders"), Layout(name="below", size=16)
        left, right = (self._folder(each) for each in self._stage.devices)
        folders.split_row(Layout(left), Layout(right))
        below.split_row(Layout(self._activity()), Layout(self._numbers()))
        whole.split_column(Layout(self._head(), size=3), folders, below)
        return whole

    def _head(self) -> Panel:
        parts = [Text("Edit files in either folder and watch them arrive. ", style="bold"), Text("Ctrl-C ends.")]
        return Panel(Text.assemble(*parts, f"   coordinator {self._stage.url or 'starting'}"), border_style="dim")

    def _folder(self, device: Device) -> Panel:
        table = Table(box=None, expand=True, pad_edge=False, show_header=False)
        table.add_column(ratio=1, overflow="ellipsis", no_wrap=True)
        table.add_column(justify="right", no_wrap=True)
        for name, size, fresh in self._rows(device):
            table.add_row(Text(line_shown(name), style="bold green" if fresh else ""), size)
        return Panel(table, title=f"[b]{device.name}[/b]  {device.folder}", subtitle=self._state(device))

    def _rows(self, device: Device) -> list[tuple[str, str, bool]]:
        now, rows = time.monotonic(), []
        seen = self._seen[device.name]
        fresh = {
            path for (name, path), at in list(self._changed.items()) if name == device.name and now - at < _FRESH_S
        }
        for path in sorted(path for path in seen if "/" not in path):
            below = [each for each in seen if each.startswith(f"{path}/")]
            is_fresh = path in fresh or any(each in fresh for each in below)
            if seen[path].kind == "directory":
                rows.append((f"{path}/", f"{len(below)} entries", is_fresh))
            else:
                rows.append((path, size_shown(seen[path].size), is_fresh))
        return rows

    def _state(self, device: Device) -> str:
        status = device.status
        if not status:
            return "offline" if device.daemon is None else "starting"
        states = [each["state"].replace("_", " ") for each in status["workspaces"]] or ["no workspace"]
        return f"{', '.join(states)} · coordinator {status['coordinator']['state']}"

    def _activity(self) -> Panel:
        lines = [
            Text.assemble((f"{at:6.1f} s  ", "dim"), (line_shown(text), style), no_wrap=True, overflow="ellipsis")
            for at, text, style in list(self._told)[-14:]
        ]
        return Panel(Group(*lines), title="what happens")

    def _numbers(self) -> Panel:
        return Panel(costs_table(self._costs), title="what it cost: seconds to arrive, bytes up and down")


def costs_table(costs: list[Cost]) -> Table:
    """The costs as a table."""
    table = Table(box=None, expand=True, pad_edge=False, show_header=False)
    table.add_column(ratio=1)
    for _ in range(4):
        table.add_column(justify="right", no_wrap=True)
    for cost in costs:
        title = Text(cost.title)
        if cost.note:
            title.append(f"\n{cost.note}", style="dim")
        by_lan = f"{size_shown(cost.by_lan)} by LAN"
        up, down = f"↑ {size_shown(cost.sent)}", f"↓ {size_shown(cost.received)}"
        table.add_row(title, f"{cost.seconds:.2f} s", up, down, by_lan)
    return table
