"""What goes on while a show does something else. Owns its threads."""

import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress

import trio


@contextmanager
def at_work(party: Callable[[], Awaitable[None]]) -> Iterator[None]:
    """Have a party at work in a thread of its own while the context lasts. Raises what it ends with."""
    scope, failures = trio.CancelScope(), list[BaseException]()
    tokens: list[trio.lowlevel.TrioToken] = []
    started = threading.Event()

    async def work() -> None:
        tokens.append(trio.lowlevel.current_trio_token())
        started.set()
        with scope:
            await party()

    def run() -> None:
        try:
            trio.run(work)
        except BaseException as error:  # noqa: BLE001 - raised by whoever has it at work
            failures.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    started.wait()
    try:
        yield
    finally:
        with suppress(trio.RunFinishedError):
            trio.from_thread.run_sync(scope.cancel, trio_token=tokens[0])
        thread.join()
    if failures:
        raise failures[0]


@contextmanager
def repeated(attack: Callable[[], None]) -> Iterator[None]:
    """Have an attack made again and again, in a thread of its own, while the context lasts."""
    ends = threading.Event()

    async def work() -> None:
        while not ends.is_set():
            await trio.to_thread.run_sync(attack)

    with at_work(work):
        try:
            yield
        finally:
            ends.set()
