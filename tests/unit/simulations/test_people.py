"""People in simulated worlds do what people would do."""

from random import Random  # noqa: TID251 - seeded, for tests

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
