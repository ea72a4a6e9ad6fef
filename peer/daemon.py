"""The daemon's process: `python -P -m peer.daemon --home DIR`. Owns its lock, its signals and its log."""

import argparse
import gc
import logging
import signal
import sys
from collections.abc import Callable

import trio

from peer.app import run_device
from peer.home import Home, HomeError, open_lock
from peer.machine import bound_memory
from peer.store.database import StoreError


def run_daemon(home: Home, ready: Callable[[], None], *, lan: bool) -> None:
    """Be the daemon of a home until SIGTERM, SIGINT or `shoal stop`; `lan`: on the local network too.

    Raises `HomeError` or `StoreError` where that is not possible.
    """
    home.prepare()
    with open_lock(home):
        bound_memory()
        gc.freeze()
        try:
            trio.run(_run, home, ready, lan)
        except BaseExceptionGroup as group:
            raise _what_is_told(group) from group


def _what_is_told(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """The one error that is fit to be told, where there are only such; else all of them."""
    told, others = group.split((HomeError, StoreError))
    error: BaseException | None = told
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return group if error is None or others is not None else error


async def _run(home: Home, ready: Callable[[], None], lan: bool) -> None:
    async with trio.open_nursery() as nursery:
        with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:

            async def wait_signal() -> None:
                async for _ in signals:
                    nursery.cancel_scope.cancel()
                    return

            nursery.start_soon(wait_signal)
            await nursery.start(_tell_tasks)

            async def be_device(*, task_status: trio.TaskStatus[None]) -> None:
                await run_device(home, lan=lan, task_status=task_status)
                nursery.cancel_scope.cancel()

            await nursery.start(be_device)
            ready()
            await trio.sleep_forever()


async def _tell_tasks(task_status: trio.TaskStatus[None]) -> None:
    """At each SIGUSR1 say how many tasks there are: what grows for ever shows there first."""
    with trio.open_signal_receiver(signal.SIGUSR1) as signals:
        task_status.started()
        async for _ in signals:
            sys.stderr.write(f"tasks {trio.lowlevel.current_statistics().tasks_living}\n")
            sys.stderr.flush()


def main() -> int:
    """The process that `shoal start` starts."""
    parser = argparse.ArgumentParser(prog="python -P -m peer.daemon")
    parser.add_argument("--home", required=True)
    parser.add_argument("--no-lan", action="store_true")
    arguments = parser.parse_args()
    home = Home.at(arguments.home)
    home.prepare()
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    try:
        run_daemon(home, lambda: None, lan=not arguments.no_lan)
    except (HomeError, StoreError) as error:
        logging.getLogger("shoal").error("%s", error)
        return 1
    except Exception:
        logging.getLogger("shoal").exception("the daemon ended by a bug")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
