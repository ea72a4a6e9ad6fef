"""People in simulated worlds do what people would do."""

from random import Random  # noqa: TID251 - seeded, for tests

import trio
from trio.testing import MockClock

from peer.fingerprint import DiskKind
from simulations.checkers.at_rest import check_at_rest
from simulations.disk.disk import DRAFTS, FOLDER
from simulations.folder import Folder
from simulations.ledger import Ledger
from simulations.people import SHARED, Person
from simulations.trace import Trace
from tests.common.simulated_disks import sim_disk

HALF = f"{SHARED}/plan (red's conflicted copy 2026-09-21)"


async def test_people_leave_alone_what_somebody_was_still_writing_when_it_was_moved_aside() -> None:
    disk, ledger = sim_disk(directories=(FOLDER, DRAFTS)), Ledger()
    folder = Folder(disk.people, FOLDER)
    person = Person("red", folder, Folder(disk.people, DRAFTS), ledger, Random(1), Trace(), (120,))
    folder.make_directory(SHARED)
    data = ledger.new("red", 700)[:350]
    folder.create(HALF, data)
    for _ in range(50):
        person.act_now()
    assert folder.read(HALF) == data
    assert len(person.events) == 50


async def test_what_is_moved_aside_while_its_person_is_still_writing_it_is_written_anew(
    autojump_clock: MockClock,
) -> None:
    disk, ledger, trace = sim_disk(directories=(FOLDER, DRAFTS)), Ledger(), Trace()
    folder = Folder(disk.people, FOLDER)
    person = Person("red", folder, Folder(disk.people, DRAFTS), ledger, Random(1), trace, (120, 700))
    aside: list[str] = []

    async def move_aside_what_is_half_written() -> None:
        while True:
            for path, status in folder.walk():
                if status.kind is DiskKind.FILE and path not in aside and ledger.whole(folder.read(path)) is None:
                    aside.append(f"aside/half-{len(aside)} (red's conflicted copy 2026-09-21)")
                    folder.move(path, aside[-1])
            await trio.sleep(0.01)

    folder.make_directory("aside")
    person.begin()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(move_aside_what_is_half_written)
        for _ in range(300):
            await person.act()
        nursery.cancel_scope.cancel()
    assert len(aside) > 3
    assert check_at_rest(ledger, {path: data for path, data in folder.tree().items() if path not in aside}) == []
