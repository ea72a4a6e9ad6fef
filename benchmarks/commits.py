"""How many commits the coordinator takes a second: the service and its real, durable database, without the network.

Run: python -m benchmarks.commits. Two numbers: single-change commits by 50 devices at once, and entries
in commits of 1,000 changes. Commits are made and signed beforehand; each rate is what the machine's disk allows.
"""

import argparse
import tempfile
import time
from pathlib import Path

import trio

from coordinator.service import journal
from coordinator.service.context import Session
from protocol.messages import CommitAccepted, CommitRequest
from protocol.model import Commit
from tests.common.coordination import Coordination, open_coordination, session_of
from tests.common.journals import TestJournal, TestUser, block_id

DEVICES = 50


async def single(here: Coordination, each: int) -> float:
    """Seconds for `each` single-change commits by every one of 50 devices, each device in a workspace of its own."""
    work: list[tuple[Session, list[Commit]]] = []
    for number in range(DEVICES):
        user = TestUser(f"user{number}")
        kept = TestJournal(user)
        session = session_of(user)
        await here.know(user)
        blocks = [block_id((number, at)) for at in range(each)]
        await here.accept(session, kept.commits[0])
        await here.upload(session, kept.id, blocks)
        for at, block in enumerate(blocks):
            kept.put(user.devices[0], kept.change(f"f{at}", added=[block], sealed=bytes(300)))
        work.append((session, kept.commits[1:]))

    async def one(session: Session, commits: list[Commit]) -> None:
        for commit in commits:
            answer = await journal.commit(here.context, session, CommitRequest(commit))
            assert isinstance(answer, CommitAccepted), answer

    begun = time.perf_counter()
    async with trio.open_nursery() as nursery:
        for session, commits in work:
            nursery.start_soon(one, session, commits)
    return time.perf_counter() - begun


async def batched(here: Coordination, commits: int) -> float:
    """Seconds for so many commits of 1,000 new files by one device."""
    user = TestUser("batch")
    kept = TestJournal(user)
    session = session_of(user)
    await here.know(user)
    await here.accept(session, kept.commits[0])
    for number in range(commits):
        blocks = [block_id(("batch", number, at)) for at in range(1_000)]
        await here.upload(session, kept.id, blocks)
        changes = [kept.change(f"{number}/{at}", added=[block], sealed=bytes(300)) for at, block in enumerate(blocks)]
        kept.put(user.devices[0], *changes)
    begun = time.perf_counter()
    await here.accept(session, *kept.commits[1:])
    return time.perf_counter() - begun


async def measure(each: int, commits: int) -> None:
    """Print both rates."""
    with tempfile.TemporaryDirectory() as place:
        async with open_coordination(Path(place) / "metadata.db") as here:
            taken_s = await single(here, each)
            print(f"single-change commits by {DEVICES} devices: {DEVICES * each / taken_s:,.0f}/s")
            taken_s = await batched(here, commits)
            print(f"entries in commits of 1,000: {commits * 1_000 / taken_s:,.0f}/s")


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description="Commits a second at the coordinator's service.")
    parser.add_argument("--each", type=int, default=40, help="single-change commits by each device")
    parser.add_argument("--commits", type=int, default=10, help="commits of 1,000 changes")
    arguments = parser.parse_args()
    trio.run(measure, arguments.each, arguments.commits)


if __name__ == "__main__":
    main()
