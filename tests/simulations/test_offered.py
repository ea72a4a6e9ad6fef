"""Files are on the devices beside before the line has carried them; what then happens to the line, the devices and the
files loses nothing, and everybody is told the same."""

from typing import Any

import pytest
import trio

from crypto import block_box
from peer.control.messages import WorkspaceStatus
from peer.control.upkeep import History, HistoryRequest, RevokeDevice, VersionEntry
from peer.disk.root import PRIVATE_NAME
from peer.engine.browse import Target
from peer.engine.folders import CannotDo
from peer.engine.version_bytes import read_version
from peer.link.errors import Unreachable
from protocol.ids import ChangeId
from protocol.messages import OfferedRequest
from protocol.offered import Standing
from simulations.devices import SimDevice
from simulations.folder import Folder
from simulations.images import take_image
from simulations.network.line import Quality
from simulations.noise import noise
from simulations.world import SHARE, World, run_world

MINUTES = 60.0
LONG_S = 60 * MINUTES
NARROW = Quality(latency_s=0.02, rate=20_000.0)
WIDE = Quality(latency_s=0.02)
FILM = noise(3_000_000)
"""More than two minutes of the narrow line."""


async def status_of(device: SimDevice) -> WorkspaceStatus:
    return (await device.status()).workspaces[0]


async def change_of(device: SimDevice) -> None:
    """Until something that a person could see has changed there."""
    assert device.engine is not None
    await device.engine.wait_changed()


async def until_has(world: World, device: SimDevice, path: str, data: bytes, within_s: float = 2 * MINUTES) -> None:
    """Until a device shows this content there."""
    with trio.fail_after(within_s):
        while world.folder(device).tree().get(path) != data:
            await change_of(device)


async def until_durable(device: SimDevice, within_s: float = 10 * MINUTES) -> None:
    """Until it is told that the coordinator has everything."""
    with trio.fail_after(within_s):
        while (await status_of(device)).not_durable:
            await change_of(device)


async def until_held_by(device: SimDevice, world: World) -> None:
    """Until it has told the coordinator which versions it holds: no change that anybody could see."""
    assert device.engine is not None
    (one,) = device.engine.mounted.values()
    assert one.engine is not None
    with trio.fail_after(MINUTES):
        while True not in one.engine.offering.told.values():  # noqa: ASYNC110 - of simulated time
            await trio.sleep(1.0)


async def at_home_and_away(world: World) -> tuple[SimDevice, SimDevice, SimDevice]:
    """Red and blue on one LAN with a narrow line, green elsewhere; all in step, and linked."""
    home, away = world.site("home", WIDE, Quality(latency_s=0.001)), world.site("away", WIDE)
    red, blue, green = world.device("red", home), world.device("blue", home), world.device("green", away)
    await world.found(red, "ana")
    for device in (blue, green):
        await world.pair(device, red)
    assert await world.converged(MINUTES) is not None
    await trio.sleep(MINUTES)
    home.up.quality = NARROW
    return red, blue, green


def test_a_film_is_beside_while_the_line_still_carries_it_and_then_it_is_durable() -> None:
    async def story(world: World) -> None:
        red, blue, green = await at_home_and_away(world)
        begun_s = trio.current_time()
        world.folder(red).create("film", FILM)
        await until_has(world, blue, "film", FILM)
        assert trio.current_time() - begun_s < 0.3 * len(FILM) / 20_000.0, "the line cannot have carried it"
        for device in (red, blue):
            assert (await status_of(device)).not_durable == 1
        assert "film" not in world.folder(green).tree()
        assert await world.converged(LONG_S) is not None
        for device in (red, blue, green):
            await until_durable(device)

    assert run_world("offered", story).failures == []


def test_where_the_author_is_gone_before_it_was_sent_another_holder_sends_it() -> None:
    async def story(world: World) -> None:
        red, blue, green = await at_home_and_away(world)
        world.folder(red).create("film", FILM)
        await until_has(world, blue, "film", FILM)
        await until_held_by(blue, world)
        await red.kill(power=True)
        await until_has(world, green, "film", FILM, within_s=30 * MINUTES)
        await until_durable(blue)
        await until_durable(green)
        await red.start()
        assert await world.converged(LONG_S) is not None

    assert run_world("author gone", story).failures == []


def test_where_the_keys_changed_before_it_was_sent_another_holder_sends_it_as_it_was_sealed() -> None:
    async def story(world: World) -> None:
        red, blue, green = await at_home_and_away(world)
        world.folder(red).create("film", FILM)
        await until_has(world, blue, "film", FILM)
        await until_held_by(blue, world)
        await green.ask(RevokeDevice("red"))
        await until_has(world, green, "film", FILM, within_s=30 * MINUTES)
        await until_durable(green)
        assert standings(green) == [Standing.DURABLE]
        assert len(versions_of(green, "film")) == 1, "the very version"

    assert run_world("other keys", story).failures == []


def text(size: int) -> bytes:
    """Something that compresses well."""
    return b"".join(b"%08d is a line of it\n" % number for number in range(size // 22))


def test_where_other_blocks_come_of_it_than_are_listed_its_holders_make_it_durable_as_one_other_version(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    film = text(3_000_000)

    async def story(world: World) -> None:
        red, blue, green = await at_home_and_away(world)
        gold = world.device("gold", world.net.site_of(blue.host))
        await world.pair(gold, green)
        assert await world.converged(LONG_S) is not None
        with monkeypatch.context() as as_red_does:
            as_red_does.setattr(block_box, "_encode", lambda data: (block_box.CODEC_RAW, data))
            world.folder(red).create("film", film)
            for device in (blue, gold):
                await until_has(world, device, "film", film)
                await until_held_by(device, world)
            await red.kill(power=True)
        await until_has(world, green, "film", film, within_s=30 * MINUTES)
        await trio.sleep(10 * MINUTES)
        assert len(versions_of(green, "film")) == 2, "once, by whoever was first"
        assert standings(green) == [Standing.OFFERED], "until its author sends it"
        await red.start()
        assert await world.converged(LONG_S) == {"film": film}
        assert len(versions_of(green, "film")) == 2

    assert run_world("other blocks", story).failures == []


async def offered_to_nobody(world: World, red: SimDevice, blue: SimDevice, path: str) -> None:
    """Red saves a film, and commits it, since blue is there; but then blue is there no more."""
    world.net.site_of(red.host).lan.quality = Quality(latency_s=0.001, rate=50_000.0)
    world.folder(red).overwrite(path, FILM, 0, cut=True)
    with trio.fail_after(MINUTES):
        while not (await status_of(red)).not_durable:
            await change_of(red)
    await blue.kill(power=True)


def test_what_its_author_overwrote_before_anybody_had_it_is_given_up_and_all_have_what_came_after() -> None:
    async def story(world: World) -> None:
        red, blue, green = await at_home_and_away(world)
        world.folder(red).create("text", b"before")
        assert await world.converged(LONG_S) is not None
        await offered_to_nobody(world, red, blue, "text")
        world.folder(red).overwrite("text", b"after", 0, cut=True)
        await until_has(world, green, "text", b"after")
        await until_durable(green, within_s=MINUTES)
        await blue.start()
        assert await world.converged(LONG_S) == {"text": b"after"}

    assert run_world("overwritten", story).failures == []


async def read(device: SimDevice, name: str, version: ChangeId | None = None) -> bytes:
    """What a device says to be in a file, or to have been in it, by the journal."""
    assert device.engine is not None
    (one,) = device.engine.mounted.values()
    version_id = None if version is None else version.hex()
    return b"".join([piece async for piece in read_version(device.engine, Target(one.record, (name,)), version_id)])


async def history(device: SimDevice, name: str) -> list[VersionEntry]:
    """The versions of a file as `shoal history` has them, the newest first."""
    answer = await device.ask(HistoryRequest(path=f"{SHARE}:{name}"))
    assert isinstance(answer, History)
    return answer.versions


def versions_of(device: SimDevice, name: str) -> list[ChangeId]:
    """The versions of a file that a device knows, the oldest first."""
    assert device.engine is not None
    rows = device.engine.machine.database.all(
        "SELECT v.change FROM remote r JOIN versions v ON v.w = r.w AND v.entry = r.entry WHERE r.name = ? "
        "ORDER BY v.seq",
        (name,),
    )
    return [ChangeId(change) for (change,) in rows]


def standings(device: SimDevice) -> list[Standing]:
    """How the versions stand that ever were offered, as a device knows it."""
    assert device.engine is not None
    rows = device.engine.machine.database.all("SELECT standing FROM offers ORDER BY standing")
    return [Standing(row[0]) for row in rows]


def test_what_its_author_overwrote_after_a_neighbour_had_it_is_sent_by_that_one_from_where_it_holds_it() -> None:
    second = noise(2_000_000, b"second")

    async def story(world: World) -> None:
        red, blue, green = await at_home_and_away(world)
        world.folder(red).create("film", FILM)
        await until_has(world, blue, "film", FILM)
        await until_held_by(blue, world)
        world.folder(red).overwrite("film", second, 0, cut=True)
        await until_has(world, blue, "film", second)
        assert len(Folder(blue.disk.people, f"{blue.disk.folder}/{PRIVATE_NAME}/held").tree()) == 1
        assert await world.converged(LONG_S) == {"film": second}
        for device in (red, blue, green):
            await until_durable(device, within_s=30 * MINUTES)
        assert standings(green) == [Standing.DURABLE, Standing.DURABLE], "no version is lost"
        await trio.sleep(MINUTES)
        assert not Folder(blue.disk.people, f"{blue.disk.folder}/{PRIVATE_NAME}/held").tree()

    assert run_world("held", story).failures == []


def test_what_its_author_has_no_more_is_had_nearby_from_a_device_that_holds_it_though_the_line_is_cut() -> None:
    second = noise(2_000_000, b"second")

    async def story(world: World) -> None:
        red, blue, green = await at_home_and_away(world)
        world.folder(red).create("film", FILM)
        await until_has(world, blue, "film", FILM)
        world.folder(red).overwrite("film", second, 0, cut=True)
        await until_has(world, blue, "film", second)
        with trio.fail_after(MINUTES):
            while len(versions := versions_of(green, "film")) < 2:
                await change_of(green)
        home = world.net.site_of(blue.host)
        home.cut()
        await red.kill(power=True)
        assert [(one.current, one.durable, one.kept) for one in await history(green, "film")] == [
            (True, False, True),
            (False, False, True),
        ]
        world.net.move_host(green.host, home)
        await until_has(world, green, "film", second)
        assert await read(green, "film", versions[0]) == FILM
        assert await read(blue, "film", versions[0]) == FILM, "its own"
        home.mend()
        await red.start()
        assert await world.converged(LONG_S) == {"film": second}
        for device in (red, blue, green):
            await until_durable(device, within_s=30 * MINUTES)
        assert standings(green) == [Standing.DURABLE, Standing.DURABLE]

    assert run_world("held and served", story).failures == []


def test_what_nobody_can_bring_any_more_is_given_up_and_what_was_before_counts_again() -> None:
    async def story(world: World) -> None:
        red, blue, green = await at_home_and_away(world)
        world.folder(red).create("text", b"before")
        assert await world.converged(LONG_S) is not None
        image = await take_image(red)
        await trio.sleep(MINUTES)
        await offered_to_nobody(world, red, blue, "text")
        await red.kill(power=True)
        world.folder(green).overwrite("text", b"by green meanwhile", 0, cut=True)
        await trio.sleep(20.0)
        red.restore(image)
        await red.start()
        await blue.start()
        assert await world.converged(LONG_S) == {"text": b"by green meanwhile"}
        for device in (red, blue, green):
            await until_durable(device, within_s=2 * MINUTES)

    assert run_world("given up", story).failures == []


def test_an_edit_of_what_cannot_be_had_waits_and_ends_as_a_conflicted_copy() -> None:
    async def story(world: World) -> None:
        red, blue, green = await at_home_and_away(world)
        world.folder(red).create("text", b"before")
        assert await world.converged(LONG_S) is not None
        world.folder(red).overwrite("text", FILM, 0, cut=True)
        await until_has(world, blue, "text", FILM)
        world.folder(green).overwrite("text", b"by green meanwhile", 0, cut=True)
        await trio.sleep(20.0)
        assert world.folder(green).tree() == {"text": b"by green meanwhile"}
        problems = (await status_of(green)).problems
        assert [(one.path, one.code) for one in problems] == [("text", "waiting_for_blocks")]
        assert "from red" in problems[0].message
        tree = await world.converged(LONG_S)
        assert tree is not None
        assert tree["text"] == FILM
        assert b"by green meanwhile" in tree.values()
        assert not (await status_of(green)).problems

    assert run_world("edit waits", story).failures == []


async def a_newcomer_far_away(world: World) -> tuple[SimDevice, SimDevice, SimDevice]:
    """Red has committed a film in the place of a text, and is off before anybody had it; gold is new, and elsewhere."""
    red, blue, green = await at_home_and_away(world)
    world.folder(red).create("text", b"before")
    assert await world.converged(LONG_S) is not None
    await offered_to_nobody(world, red, blue, "text")
    await red.kill(power=True)
    gold = world.device("gold", world.site("elsewhere", WIDE))
    await world.pair(gold, green)
    return red, blue, gold


def test_a_newcomer_shows_what_can_be_had_of_a_file_until_its_newest_version_comes() -> None:
    async def story(world: World) -> None:
        red, blue, gold = await a_newcomer_far_away(world)
        await until_has(world, gold, "text", b"before")
        await trio.sleep(5 * MINUTES)
        assert world.folder(gold).tree() == {"text": b"before"}
        problems = (await status_of(gold)).problems
        assert [(one.path, one.code) for one in problems] == [("text", "waiting_for_blocks")]
        assert "waiting for blocks from red" in problems[0].message
        for device in (red, blue):
            await device.start()
        assert await world.converged(LONG_S) == {"text": FILM}
        assert not (await status_of(gold)).problems

    assert run_world("newcomer", story).failures == []


def test_what_a_newcomer_edits_of_an_earlier_version_meets_the_newest_one_when_that_comes() -> None:
    async def story(world: World) -> None:
        red, blue, gold = await a_newcomer_far_away(world)
        await until_has(world, gold, "text", b"before")
        world.folder(gold).overwrite("text", b"by gold meanwhile", 0, cut=True)
        await trio.sleep(5 * MINUTES)
        assert world.folder(gold).tree() == {"text": b"by gold meanwhile"}
        assert world.folder(world.devices["green"]).tree() == {"text": b"before"}, "it is not proposed"
        assert [one.code for one in (await status_of(gold)).problems] == ["waiting_for_blocks"]
        for device in (red, blue):
            await device.start()
        tree = await world.converged(LONG_S)
        assert tree is not None
        assert tree["text"] == FILM
        assert len(tree) == 2
        assert b"by gold meanwhile" in tree.values()

    assert run_world("newcomer edits", story).failures == []


def test_what_a_newcomer_edits_of_an_earlier_version_is_proposed_once_the_newest_one_is_given_up() -> None:
    async def story(world: World) -> None:
        red, blue, green = await at_home_and_away(world)
        world.folder(red).create("text", b"before")
        assert await world.converged(LONG_S) is not None
        image = await take_image(red)
        await trio.sleep(MINUTES)
        await offered_to_nobody(world, red, blue, "text")
        await red.kill(power=True)
        gold = world.device("gold", world.site("elsewhere", WIDE))
        silver = world.device("silver", world.site("further", WIDE))
        for device in (gold, silver):
            await world.pair(device, green)
            await until_has(world, device, "text", b"before")
        world.folder(gold).overwrite("text", b"by gold meanwhile", 0, cut=True)
        await trio.sleep(MINUTES)
        red.restore(image)
        await red.start()
        await blue.start()
        assert await world.converged(LONG_S) == {"text": b"by gold meanwhile"}
        for device in world.devices.values():
            assert not (await status_of(device)).problems

    assert run_world("newcomer, given up", story).failures == []


def test_what_waits_for_a_device_that_nobody_hears_of_is_said_to_whoever_waits_and_what_is_sent_is_waited_for() -> None:
    async def story(world: World) -> None:
        red, blue, gold = await a_newcomer_far_away(world)
        begun_s = trio.current_time()
        waited = await gold.wait(LONG_S)
        assert waited.outcome == "problems"
        assert [(one.path, one.code) for one in waited.problems] == [("text", "waiting_for_blocks")]
        assert trio.current_time() - begun_s < 4 * MINUTES
        assert (await gold.wait(LONG_S, durable=True)).outcome == "problems"
        for device in (red, blue):
            await device.start()
        await trio.sleep(MINUTES)
        assert (await gold.wait(LONG_S)).outcome == "in_step", "what is on its way comes"
        assert world.folder(gold).tree() == {"text": FILM}

    assert run_world("waiting for nobody", story).failures == []


def test_what_counts_after_a_version_was_given_up_can_be_had_and_moved_by_all() -> None:
    async def story(world: World) -> None:
        red, blue, green = await at_home_and_away(world)
        world.folder(red).create("text", b"before")
        assert await world.converged(LONG_S) is not None
        image = await take_image(red)
        await trio.sleep(MINUTES)
        await offered_to_nobody(world, red, blue, "text")
        await red.kill(power=True)
        red.restore(image)
        await red.start()
        await blue.start()
        assert await world.converged(LONG_S) == {"text": b"before"}
        assert [(await status_of(device)).bytes for device in (red, blue, green)] == [6, 6, 6]
        gold = world.device("gold", world.site("elsewhere", WIDE))
        await world.pair(gold, green)
        assert await world.converged(LONG_S) == {"text": b"before"}
        assert standings(gold) == [Standing.NOT_KEPT]
        assert await read(gold, "text") == b"before"
        given_up, before = await history(gold, "text")
        assert (given_up.current, given_up.durable, given_up.kept) == (True, False, False)
        assert (before.current, before.durable, before.kept) == (False, True, True)
        assert await read(gold, "text", ChangeId(bytes.fromhex(before.id))) == b"before"
        with pytest.raises(CannotDo, match="by red, were not kept"):
            await read(gold, "text", ChangeId(bytes.fromhex(given_up.id)))
        world.folder(gold).move("text", "renamed")
        assert await world.converged(LONG_S) == {"renamed": b"before"}
        for device in world.devices.values():
            assert not (await status_of(device)).problems

    assert run_world("counts again", story).failures == []


def test_a_question_about_the_set_whose_answer_is_lost_is_asked_again() -> None:
    async def story(world: World) -> None:
        red, blue, _ = await at_home_and_away(world)
        assert blue.engine is not None
        client, lost = blue.engine.machine.client, list[int]()
        ask = client.request

        async def ask_in_vain(request: Any) -> Any:
            answer = await ask(request)
            if isinstance(request, OfferedRequest) and request.number not in lost:
                lost.append(request.number)
                raise Unreachable("the connection was reset")
            return answer

        client.request = ask_in_vain  # type: ignore[method-assign, assignment]
        world.folder(red).create("film", FILM)
        await until_has(world, blue, "film", FILM)
        assert await world.converged(LONG_S) is not None
        await until_durable(red)
        await until_durable(blue)
        assert len(lost) > 1

    assert run_world("lost answer", story).failures == []
