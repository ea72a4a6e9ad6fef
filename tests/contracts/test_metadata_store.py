"""What every metadata store promises: durability, isolation, order, and that a failure stays alone."""

import os
import sqlite3
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable
from itertools import islice
from pathlib import Path
from typing import TypeVar

import pytest
import trio
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

import coordinator
from coordinator.machine import ThreadOffload
from coordinator.ports import StorageUnavailable, Transaction
from coordinator.records import Invitation
from coordinator.storage.metadata_sql import BATCH_USE_CASES, SqlMetadata, open_metadata

T = TypeVar("T")


class CountingOffload(ThreadOffload):
    """Threads that count what they were given."""

    calls = 0

    async def run(self, function: Callable[[], T]) -> T:
        self.calls += 1
        return await super().run(function)


@pytest.fixture(params=["file", "memory"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[SqlMetadata]:
    path = tmp_path / "metadata.db" if request.param == "file" else None
    async with open_metadata(path, writer=ThreadOffload(1), readers=ThreadOffload(2)) as opened:
        yield opened


def put(name: str, value: bytes) -> Callable[[Transaction], None]:
    return lambda transaction: transaction.facts.put(name, value)


def get(name: str) -> Callable[[Transaction], bytes | None]:
    return lambda transaction: transaction.facts.get(name)


async def test_what_a_use_case_wrote_is_seen_by_every_later_one(store: SqlMetadata) -> None:
    await store.run(put("a", b"1"))
    assert await store.read(get("a")) == b"1"
    await store.run(put("a", b"2"))
    assert await store.run(get("a")) == b"2"
    assert await store.read(get("b")) is None


async def test_a_use_case_that_raises_changes_nothing_and_raises_at_its_caller(store: SqlMetadata) -> None:
    def fail(transaction: Transaction) -> None:
        transaction.facts.put("a", b"lost")
        raise LookupError("on purpose")

    with pytest.raises(LookupError, match="on purpose"):
        await store.run(fail)
    assert await store.read(get("a")) is None


async def test_use_cases_that_share_a_transaction_fail_alone(store: SqlMetadata) -> None:
    outcomes: dict[int, str] = {}

    async def one(number: int) -> None:
        def use_case(transaction: Transaction) -> None:
            transaction.facts.put(f"n{number}", b"x")
            if number % 3 == 0:
                invitation = Invitation(b"same", "name", False, 0, 0, None)
                transaction.people.add_invitation(invitation)
                transaction.people.add_invitation(invitation)

        try:
            await store.run(use_case)
            outcomes[number] = "kept"
        except IntegrityError:
            outcomes[number] = "refused"

    async with trio.open_nursery() as nursery:
        for number in range(50):
            nursery.start_soon(one, number)
    for number in range(50):
        kept = await store.read(get(f"n{number}"))
        assert outcomes[number] == ("refused" if number % 3 == 0 else "kept")
        assert kept == (None if number % 3 == 0 else b"x")


async def test_use_cases_are_serial(store: SqlMetadata) -> None:
    def increment(transaction: Transaction) -> int:
        value = int(transaction.facts.get("count") or b"0") + 1
        transaction.facts.put("count", str(value).encode())
        return value

    seen: list[int] = []

    async def one() -> None:
        seen.append(await store.run(increment))

    async with trio.open_nursery() as nursery:
        for _ in range(120):
            nursery.start_soon(one)
    assert sorted(seen) == list(range(1, 121))
    assert await store.read(get("count")) == b"120"


async def test_a_cancelled_use_case_is_finished_and_the_store_goes_on(store: SqlMetadata) -> None:
    with trio.CancelScope() as scope:
        scope.cancel()
        await store.run(put("a", b"kept"))
    assert await store.read(get("a")) == b"kept"


async def test_a_use_case_runs_outside_the_event_loops_thread(store: SqlMetadata) -> None:
    assert await store.run(lambda _: threading.get_ident()) != threading.get_ident()


async def test_a_closed_store_takes_nothing_more_and_says_ask_again(store: SqlMetadata) -> None:
    store.close()
    with pytest.raises(StorageUnavailable, match="ending"):
        await store.run(put("a", b"1"))


async def test_what_waits_together_shares_a_transaction_and_is_answered_after_it(tmp_path: Path) -> None:
    writer, path = CountingOffload(1), tmp_path / "metadata.db"
    async with open_metadata(path, writer=writer, readers=ThreadOffload(1)) as store:
        before = writer.calls
        other = sqlite3.connect(path)
        durable: list[bool] = []

        async def one(number: int) -> None:
            await store.run(put(f"n{number}", b"x"))
            found = other.execute("SELECT count(*) FROM facts WHERE name = ?", (f"n{number}",)).fetchone()
            durable.append(found == (1,))

        async with trio.open_nursery() as nursery:
            for number in range(BATCH_USE_CASES):
                nursery.start_soon(one, number)
        other.close()
        assert durable == [True] * BATCH_USE_CASES, "an answer comes after the commit that others can see"
        assert writer.calls - before <= 3


async def test_the_file_is_flushed_at_every_commit(tmp_path: Path) -> None:
    async with open_metadata(tmp_path / "m.db", writer=ThreadOffload(1), readers=ThreadOffload(1)) as store:

        def pragmas(transaction: Transaction) -> tuple[object, object]:
            connection = transaction.facts._connection  # type: ignore[attr-defined]
            mode = connection.execute(text("PRAGMA journal_mode")).scalar()
            return mode, connection.execute(text("PRAGMA synchronous")).scalar()

        assert await store.run(pragmas) == ("wal", 2)
        assert await store.read(pragmas) == ("wal", 2)


async def test_a_read_cannot_see_half_of_a_use_case_nor_write(tmp_path: Path) -> None:
    async with open_metadata(tmp_path / "m.db", writer=ThreadOffload(1), readers=ThreadOffload(2)) as store:
        halfway, go_on = threading.Event(), threading.Event()

        def slow(transaction: Transaction) -> None:
            transaction.facts.put("a", b"half")
            halfway.set()
            assert go_on.wait(30)
            transaction.facts.put("a", b"whole")

        async with trio.open_nursery() as nursery:
            nursery.start_soon(store.run, slow)
            await trio.to_thread.run_sync(halfway.wait)
            assert await store.read(get("a")) is None
            go_on.set()
        assert await store.read(get("a")) == b"whole"
        await store.read(put("a", b"not kept"))
        assert await store.read(get("a")) == b"whole"


async def test_when_the_storage_fails_everybody_who_waited_is_told(tmp_path: Path) -> None:
    async with open_metadata(tmp_path / "m.db", writer=ThreadOffload(1), readers=ThreadOffload(1)) as store:
        failures: list[StorageUnavailable] = []

        def fill(transaction: Transaction) -> None:
            connection = transaction.facts._connection  # type: ignore[attr-defined]
            pages = connection.execute(text("PRAGMA page_count")).scalar()
            connection.execute(text(f"PRAGMA max_page_count = {pages}"))
            transaction.facts.put("big", bytes(1_000_000))

        async def one(use_case: Callable[[Transaction], None]) -> None:
            try:
                await store.run(use_case)
            except StorageUnavailable as error:
                failures.append(error)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(one, put("a", b"1"))
            nursery.start_soon(one, fill)
            nursery.start_soon(one, put("b", b"1"))
        assert failures
        assert all(failure.full for failure in failures)
        assert await store.read(get("big")) is None


async def test_data_outlive_the_store_and_a_second_start_migrates_nothing(tmp_path: Path) -> None:
    path = tmp_path / "m.db"
    for value in (b"1", b"2"):
        async with open_metadata(path, writer=ThreadOffload(1), readers=ThreadOffload(1)) as store:
            assert await store.read(get("a")) == (None if value == b"1" else b"1")
            await store.run(put("a", value))


WRITER = """
import sys, trio
from pathlib import Path
from coordinator.machine import ThreadOffload
from coordinator.storage.metadata_sql import open_metadata

async def write(path):
    async with open_metadata(path, writer=ThreadOffload(1), readers=ThreadOffload(1)) as store:
        async def one(name):
            number = 0
            while True:
                await store.run(lambda transaction: transaction.facts.put(f"{name}.{number}", b"x"))
                print(f"{name}.{number}", flush=True)
                number += 1
        async with trio.open_nursery() as nursery:
            for name in range(8):
                nursery.start_soon(one, name)

trio.run(write, Path(sys.argv[1]))
"""


def answers_until_killed(path: Path, count: int) -> list[str]:
    """What a process that writes was told to be kept, until it is killed in the middle of its work."""
    root = Path(coordinator.__file__).parent.parent
    child = subprocess.Popen(
        [sys.executable, "-P", "-c", WRITER, str(path)],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": str(root)},
    )
    with child:
        assert child.stdout is not None
        answered = [line.strip() for line in islice(child.stdout, count)]
        child.kill()
        rest = child.stdout.read().split("\n")
    return answered + rest[:-1]


async def test_whatever_was_answered_is_there_after_the_process_is_killed(tmp_path: Path) -> None:
    path = tmp_path / "m.db"
    answered = await trio.to_thread.run_sync(answers_until_killed, path, 300)
    assert len(answered) >= 300
    async with open_metadata(path, writer=ThreadOffload(1), readers=ThreadOffload(1)) as store:
        for name in answered:
            assert await store.read(get(name)) == b"x"


async def test_two_stores_on_one_file_take_turns(tmp_path: Path) -> None:
    path = tmp_path / "m.db"
    async with (
        open_metadata(path, writer=ThreadOffload(1), readers=ThreadOffload(1)) as one,
        open_metadata(path, writer=ThreadOffload(1), readers=ThreadOffload(1)) as other,
    ):

        async def write(store: SqlMetadata, name: str) -> None:
            for number in range(30):
                await store.run(put(f"{name}{number}", b"x"))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(write, one, "one")
            nursery.start_soon(write, other, "other")
        assert await one.read(get("other29")) == b"x"
        assert await other.read(get("one29")) == b"x"
