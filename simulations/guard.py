"""A limit in real time on a simulated world. Owns telling what every task waits for when it is over.

Virtual time may stand still for ever, in a loop that never waits or in a wait for nothing; only the real clock sees it.
"""

import faulthandler
import sys
import threading
from types import TracebackType
from typing import Final

import trio

_LAST_S: Final = 30.0
"""After so long more without a reaction the stacks of all threads are written to standard error."""


class Guard:
    """Cancels the world after `wall_s` real seconds; `tripped` then says what it was doing, else it is empty."""

    def __init__(self, wall_s: float) -> None:
        self._wall_s = wall_s
        self._done = threading.Event()
        self._scope = trio.CancelScope()
        self.tripped = ""

    def __enter__(self) -> "Guard":
        self._scope.__enter__()
        token, root = trio.lowlevel.current_trio_token(), trio.lowlevel.current_root_task()
        assert root is not None

        def watch() -> None:
            if self._done.wait(self._wall_s):
                return
            token.run_sync_soon(self._trip, root)
            if not self._done.wait(_LAST_S):
                faulthandler.dump_traceback(sys.stderr)

        threading.Thread(target=watch, name="guard", daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool | None:
        self._done.set()
        return self._scope.__exit__(kind, error, traceback)

    def _trip(self, root: trio.lowlevel.Task) -> None:
        waits = "\n".join(told_tasks(root))
        self.tripped = f"gave up after {self._wall_s:.0f} real seconds; every task waits for:\n{waits}"
        self._scope.cancel()


def told_tasks(task: trio.lowlevel.Task, depth: int = 0) -> list[str]:
    """A line for a task and each of its children: where it stands."""
    at = " < ".join(f"{frame.f_code.co_name}:{line}" for frame, line in reversed(list(task.iter_await_frames())[-4:]))
    found = [f"{'  ' * depth}{task.name}: {at}"]
    for nursery in task.child_nurseries:
        for child in sorted(nursery.child_tasks, key=lambda each: each.name):
            found += told_tasks(child, depth + 1)
    return found
