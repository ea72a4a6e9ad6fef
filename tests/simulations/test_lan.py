"""Devices of one place meet on its LAN, with the very code that meets others on real ones."""

from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import cast

import pytest
import trio

from peer.control.upkeep import Peers, PeersRequest
from peer.engine.comparing import PENDING, WAKE_S, Heads
from peer.engine.shelf import Shelf
from peer.lan.link import Answer
from peer.transfer.near import Lending
from protocol.ids import ChangeId, DeviceId, LogHash, WorkspaceId
from protocol.lan import GoneReason, LanHead, LanRequest
from simulations.devices import SimDevice
from simulations.network.line import Quality
from simulations.network.net import Site
from simulations.noise import noise
from simulations.world import World, run_world

SLOW = Quality(latency_s=0.02, rate=200_000.0)
MINUTES = 60.0


def moved(device: SimDevice) -> tuple[int, int]:
    """Bytes that came by the LAN and from the coordinator."""
    assert device.engine is not None
    counters = device.engine.machine.counters
    return counters.lan_in, counters.server_in


async def linked(device: SimDevice) -> set[str]:
    """Who it says it is linked with."""
    answer = await device.ask(PeersRequest())
    assert isinstance(answer, Peers)
    return {each.device for each in answer.peers if each.state == "linked"}


async def pair_at(world: World, red_at: Site, blue_at: Site) -> tuple[SimDevice, SimDevice]:
    red, blue = world.device("red", red_at), world.device("blue", blue_at)
    await world.found(red, "ana")
    await world.pair(blue, red)
    assert await world.converged(MINUTES) is not None
    return red, blue


def test_at_one_place_files_come_by_the_lan_and_the_line_has_little_to_carry() -> None:
    data = noise(2_000_000)

    async def story(world: World) -> None:
        home = world.site("home", SLOW)
        red, blue = await pair_at(world, home, home)
        await trio.sleep(MINUTES)
        assert await linked(blue) == {"red"}
        world.folder(red).create("film", data)
        tree = await world.converged(5 * MINUTES)
        assert tree is not None
        assert tree["film"] == data
        by_lan, by_server = moved(blue)
        assert by_lan > 0.8 * len(data)
        assert by_server < 0.3 * len(data)

    assert run_world("lan", story).failures == []


def test_at_two_places_nobody_is_found_and_one_who_comes_home_is() -> None:
    async def story(world: World) -> None:
        home, away = (world.site(name, Quality(latency_s=0.02), is_behind_nat=True) for name in ("home", "away"))
        red, blue = await pair_at(world, home, away)
        await trio.sleep(MINUTES)
        assert await linked(blue) == await linked(red) == set()
        world.net.move_host(blue.host, home)
        await trio.sleep(MINUTES)
        assert await linked(blue) == {"red"}
        assert await linked(red) == {"blue"}
        world.net.move_host(blue.host, away)
        await trio.sleep(MINUTES)
        assert await linked(red) == set()

    assert run_world("coming home", story).failures == []


def test_where_multicast_does_not_pass_the_coordinator_says_where_to_try() -> None:
    async def story(world: World) -> None:
        home, away = (
            world.site(name, Quality(latency_s=0.02), is_behind_nat=True, carries_multicast=False)
            for name in ("home", "away")
        )
        red, blue = await pair_at(world, home, home)
        await trio.sleep(MINUTES)
        assert await linked(blue) == {"red"}
        assert await linked(red) == {"blue"}
        world.net.reset(blue.host)
        await trio.sleep(MINUTES)
        assert await linked(blue) == {"red"}
        world.net.move_host(blue.host, away)
        await trio.sleep(MINUTES)
        assert await linked(red) == await linked(blue) == set()
        world.net.move_host(blue.host, home)
        await trio.sleep(MINUTES)
        assert await linked(red) == {"blue"}

    assert run_world("hints", story).failures == []


def test_a_link_by_hints_outlives_the_coordinator_and_is_made_again_without_it() -> None:
    async def story(world: World) -> None:
        home = world.site("home", Quality(latency_s=0.02), carries_multicast=False)
        red, blue = await pair_at(world, home, home)
        await trio.sleep(MINUTES)
        assert await linked(blue) == {"red"}
        home.cut()
        world.net.reset(blue.host)
        await trio.sleep(MINUTES)
        assert await linked(blue) == {"red"}
        assert await linked(red) == {"blue"}
        home.mend()

    assert run_world("hints alone", story).failures == []


def test_what_is_known_comes_by_the_lan_though_the_coordinator_is_away() -> None:
    data = noise(1_500_000)

    async def story(world: World) -> None:
        home = world.site("home", Quality(latency_s=0.005, rate=400_000.0))
        red, blue = await pair_at(world, home, home)
        world.folder(red).create("film", data)
        assert blue.engine is not None
        while (await blue.status()).workspaces[0].pending.down_files == 0:
            await blue.engine.wait_changed()
        home.cut()
        with trio.fail_after(5 * MINUTES):
            while world.folder(blue).tree().get("film") != data:
                await blue.engine.wait_changed()
        assert moved(blue)[0] > 0.8 * len(data)
        home.mend()
        assert await world.converged(5 * MINUTES) is not None

    assert run_world("away", story).failures == []


def test_three_takers_of_one_new_file_get_it_from_each_other_too() -> None:
    data = noise(4_000_000)

    async def story(world: World) -> None:
        home = world.site("home", Quality(latency_s=0.02, rate=500_000.0), Quality(latency_s=0.0005, rate=20e6))
        devices = [world.device(name, home) for name in ("red", "blue", "green", "amber")]
        await world.found(devices[0], "ana")
        for device in devices[1:]:
            await world.pair(device, devices[0])
        assert await world.converged(5 * MINUTES) is not None
        await trio.sleep(MINUTES)
        world.folder(devices[0]).create("film", data)
        assert await world.converged(10 * MINUTES) is not None
        counters = [device.engine.machine.counters for device in devices if device.engine is not None]
        assert counters[0].lan_out < 1.6 * len(data), "the author sends little more than one copy"
        assert sum(one.lan_in for one in counters) > 2.4 * len(data)

    assert run_world("swarm", story).failures == []


def test_a_device_that_has_verified_another_history_is_told_of_and_nothing_is_exchanged_with_it() -> None:
    data = noise(600_000)

    async def story(world: World) -> None:
        home = world.site("home", Quality(latency_s=0.02))
        red, blue = await pair_at(world, home, home)
        assert red.engine is not None
        assert red.engine.sharing is not None
        assert red.engine.machine.lan is not None
        assert red.engine.machine.lan._meeting is not None
        true_head = red.engine.sharing.head

        def other_head(workspace: WorkspaceId) -> LanHead:
            return LanHead(workspace, true_head(workspace).seq, LogHash(b"x" * 32))

        red.engine.machine.lan._meeting._head = other_head  # what the coordinator told red alone
        await trio.sleep(MINUTES)
        world.folder(red).create("first", b"so that heads are told")
        assert await world.converged(5 * MINUTES) is not None
        await trio.sleep(2 * MINUTES)
        before = moved(blue)
        world.folder(red).create("film", data)
        assert await world.converged(5 * MINUTES) is not None
        assert moved(blue)[0] == before[0]
        assert moved(blue)[1] - before[1] > len(data)
        answer = await blue.ask(PeersRequest())
        assert isinstance(answer, Peers)
        assert [each.state for each in answer.peers] == ["other_history"]

    assert run_world("other history", story).failures == []


def test_what_another_device_has_verified_is_reason_enough_to_ask_for_the_journal_now_and_then() -> None:
    heads, workspace = Heads(), WorkspaceId(b"w" * 32)
    device = DeviceId(b"d" * 16)
    assert not heads.is_worth_asking(workspace, 7, 0.0)
    heads.heard(device, LanHead(workspace, 8, LogHash(bytes(32))))
    assert heads.due(workspace, 7) == []
    assert heads.is_worth_asking(workspace, 7, 0.0)
    assert not heads.is_worth_asking(workspace, 7, WAKE_S / 2)
    assert heads.is_worth_asking(workspace, 7, WAKE_S)
    assert not heads.is_worth_asking(workspace, 8, 3 * WAKE_S)
    assert [pair for pair, _ in heads.due(workspace, 8)] == [(device, workspace)]
    for number in range(PENDING + 10):
        heads.heard(DeviceId(number.to_bytes(16, "big")), LanHead(workspace, 9, LogHash(bytes(32))))
    assert len(heads.due(workspace, 9)) == PENDING


# --- a member that means no good ---------------------------------------------------------------------------


class Spoiled:
    """A shelf that says it has everything, and answers as `how` says."""

    def __init__(self, how: str, held: Callable[[ChangeId], Awaitable[list[bool] | None]]) -> None:
        self.how = how
        self.asked = 0
        self._held = held

    async def held(self, version: ChangeId) -> list[bool] | None:
        if self.how == "silent":
            await trio.sleep_forever()
        known = await self._held(version)
        return None if known is None else [True] * len(known)

    async def read(self, wanted: Sequence[LanRequest]) -> Sequence[Answer]:
        self.asked += len(wanted)
        match self.how:
            case "wrong":
                return [bytes(each.length) for each in wanted]
            case "gone":
                return [GoneReason.GONE] * len(wanted)
            case "busy":
                return [GoneReason.BUSY] * len(wanted)
            case "slow":
                await trio.sleep(1.5)
                return [GoneReason.BUSY] * len(wanted)
            case _:
                await trio.sleep_forever()
                raise AssertionError

    async def close(self) -> None:
        await trio.lowlevel.checkpoint()

    def lend(self, lending: Lending) -> AbstractContextManager[None]:
        del lending
        return nullcontext()


@pytest.mark.parametrize("how", ["wrong", "gone", "busy", "slow", "silent"])
def test_whatever_a_member_answers_everything_arrives_about_as_soon_as_without_it(how: str) -> None:
    films = [noise(1_200_000, bytes([number])) for number in range(3)]

    async def story(world: World) -> None:
        home = world.site("home", Quality(latency_s=0.02, rate=2e6))
        red, blue = await pair_at(world, home, home)
        assert blue.engine is not None
        (mounted,) = blue.engine.mounted.values()
        assert mounted.engine is not None
        shelf = Spoiled(how, mounted.engine.mover.shelf.held)
        mounted.engine.mover.shelf = cast(Shelf, shelf)
        green = world.device("green", home)
        await world.pair(green, red)
        assert await world.converged(5 * MINUTES) is not None
        await trio.sleep(MINUTES)
        for number, film in enumerate(films):
            for small in range(20):
                world.folder(red).create(f"small {number} {small}", film[small * 3_000 : (small + 1) * 3_000])
            world.folder(red).create(f"film {number}", film)
            start_s = trio.current_time()
            assert await world.converged(5 * MINUTES) is not None
            assert trio.current_time() - start_s < 15
        assert shelf.asked > 0 or how == "silent"
        assert not [problem for device in (red, green) for problem in (await device.status()).workspaces[0].problems]

    assert run_world(f"hostile {how}", story).failures == []
