"""How a restore is noticed, and how long a workspace then waits for its devices."""

from pathlib import Path

from coordinator.machine import DirectoryFiles
from coordinator.ports import Transaction
from coordinator.service import offers
from coordinator.service.continuity import Continuity, open_continuity
from protocol.ids import WorkspaceId
from protocol.messages import OfferedRequest
from protocol.offered import Mark, OfferedPage, Standing
from tests.common.coordination import START_MS, Coordination, open_coordination, session_of
from tests.common.journals import TestJournal, TestUser, block_id, seed


async def start(here: Coordination, place: Path) -> Continuity:
    return await open_continuity(
        here.metadata,
        DirectoryFiles(),
        here.clock,
        here.context.entropy,
        database=place / "metadata.db",
        identity=place / "identity.key",
    )


async def filled(here: Coordination, place: Path) -> tuple[TestUser, TestJournal]:
    """A workspace with two devices, of which one has been seen within a day of the other."""
    (place / "identity.key").write_bytes(b"key")
    ana = TestUser("ana")
    ana.pair("ana-2")
    ana.pair("ana-3")
    kept = TestJournal(ana)
    await here.know(ana)
    await here.accept(session_of(ana), *kept.commits)

    def see(transaction: Transaction) -> None:
        for device, at in zip(ana.devices, (START_MS - 1_000, START_MS, START_MS - 25 * 3_600_000), strict=True):
            transaction.people.seen(device.id, at)

    await here.metadata.run(see)
    return ana, kept


def put_back(path: Path) -> None:
    """The file as a copy of itself would be: another inode."""
    data = path.read_bytes()
    copy = path.with_suffix(".copy")
    copy.write_bytes(data)
    copy.replace(path)


async def test_an_ordinary_start_waits_for_nobody(tmp_path: Path) -> None:
    async with open_coordination(tmp_path / "metadata.db") as here:
        _, kept = await filled(here, tmp_path)
        continuity = await start(here, tmp_path)
        assert continuity.wait_ms(kept.id, here.clock.monotonic_s()) == 0
    async with open_coordination(tmp_path / "metadata.db") as here:
        continuity = await start(here, tmp_path)
        assert continuity.wait_ms(kept.id, here.clock.monotonic_s()) == 0


async def test_data_put_back_wait_for_the_devices_seen_last(tmp_path: Path) -> None:
    for name in ("metadata.db", "identity.key"):
        place = tmp_path / name.partition(".")[0]
        place.mkdir()
        async with open_coordination(place / "metadata.db") as here:
            ana, kept = await filled(here, place)
            await start(here, place)
        put_back(place / name)
        async with open_coordination(place / "metadata.db") as here:
            continuity = await start(here, place)
            now_s = here.clock.monotonic_s()
            assert continuity.wait_ms(kept.id, now_s) == 120_000
            assert continuity.wait_ms(WorkspaceId(seed("other")), now_s) == 0
            continuity.named(kept.id, ana.devices[0].id)
            assert continuity.wait_ms(kept.id, now_s + 60) == 60_000
            continuity.named(kept.id, ana.devices[1].id)
            assert continuity.wait_ms(kept.id, now_s + 60) == 0


async def test_the_set_of_offered_versions_begins_anew_and_no_number_is_told_twice(tmp_path: Path) -> None:
    async with open_coordination(tmp_path / "metadata.db") as here:
        ana, kept = await filled(here, tmp_path)
        await start(here, tmp_path)
        film = kept.put(ana.devices[0], kept.change("film", added=[block_id("a")], offered=True))
        await here.accept(session_of(ana), kept.commits[-1])

        async def page(here: Coordination, generation: int, number: int) -> OfferedPage:
            page = await offers.page(here.context, session_of(ana), OfferedRequest(kept.id, generation, number))
            assert isinstance(page, OfferedPage)
            return page

        before = await page(here, 0, 0)
        assert (before.whole, before.last) == (True, 1)
        await start(here, tmp_path)
        assert await page(here, before.generation, 1) == OfferedPage(before.generation, False, 1, ())
    put_back(tmp_path / "metadata.db")
    async with open_coordination(tmp_path / "metadata.db") as here:
        here.context.entropy.bytes(1)  # as another run of the program draws other ones
        await start(here, tmp_path)
        after = await page(here, before.generation, 1)
        assert after.generation != before.generation
        assert after.whole
        assert after.last >= START_MS
        assert after.marks == (Mark(after.last, film.entries[0][1].head, Standing.OFFERED),)


async def test_nobody_waits_longer_than_two_minutes_not_even_over_a_second_start(tmp_path: Path) -> None:
    async with open_coordination(tmp_path / "metadata.db") as here:
        _, kept = await filled(here, tmp_path)
        await start(here, tmp_path)
    put_back(tmp_path / "metadata.db")
    async with open_coordination(tmp_path / "metadata.db") as here:
        continuity = await start(here, tmp_path)
        assert continuity.wait_ms(kept.id, here.clock.monotonic_s() + 121) == 0
        here.clock.advance(50)
        continuity = await start(here, tmp_path)
        assert continuity.wait_ms(kept.id, here.clock.monotonic_s()) == 70_000
        here.clock.advance(80)
        continuity = await start(here, tmp_path)
        assert continuity.wait_ms(kept.id, here.clock.monotonic_s()) == 0
