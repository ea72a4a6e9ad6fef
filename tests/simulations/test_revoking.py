"""A revoked device among others: dropped on its LAN within seconds, and seen through whatever happens meanwhile."""

import pytest
import trio

from peer.control.messages import Failure
from peer.control.upkeep import Peers, PeersRequest, RevokedDevice, RevokeDevice
from peer.engine.device import Unreachable
from peer.engine.folders import CannotDo
from peer.engine.revoking import revoke
from simulations.devices import SimDevice
from simulations.network.line import Quality
from simulations.world import World, run_world

LINE = Quality(latency_s=0.02, rate=200_000.0)
MINUTE = 60.0
SECONDS = 5.0


async def linked(device: SimDevice) -> set[str]:
    """Who it says it is linked with."""
    answer = await device.ask(PeersRequest())
    assert isinstance(answer, Peers)
    return {each.device for each in answer.peers if each.state == "linked"}


async def three_at_home(world: World) -> tuple[SimDevice, SimDevice, SimDevice]:
    home = world.site("home", LINE)
    red, blue, green = (world.device(name, home) for name in ("red", "blue", "green"))
    await world.found(red, "ana")
    await world.pair(blue, red)
    await world.pair(green, red)
    assert await world.converged(5 * MINUTE) is not None
    await trio.sleep(MINUTE)
    return red, blue, green


async def epoch(device: SimDevice) -> int:
    """The epoch that its journal has come to."""
    assert device.engine is not None
    (one,) = device.engine.mounted.values()
    assert one.engine is not None
    return one.engine.context.journal.workspace.epoch


async def codes(device: SimDevice) -> set[str]:
    """What its status says is wrong."""
    status = await device.status()
    return {problem.code for workspace in status.workspaces for problem in workspace.problems}


def test_a_revoked_device_is_dropped_by_all_within_seconds_and_gets_nothing_new() -> None:
    async def story(world: World) -> None:
        red, blue, green = await three_at_home(world)
        assert await linked(blue) == {"red", "green"}
        answer = await red.ask(RevokeDevice("green"))
        assert isinstance(answer, RevokedDevice)
        assert (len(answer.entered), answer.to_enter) == (1, [])
        await trio.sleep(SECONDS)
        assert await linked(red) == {"blue"}
        assert await linked(blue) == {"red"}
        assert await linked(green) == set()
        assert await codes(green) == {"access_removed"}
        assert (await green.status()).workspaces[0].state == "error"
        world.folder(red).create("plan", b"for blue alone")
        world.folder(green).create("unsent", b"stays here")
        await trio.sleep(2 * MINUTE)
        assert world.folder(blue).tree().get("plan") == b"for blue alone"
        assert "plan" not in world.folder(green).tree()
        assert world.folder(green).tree().get("unsent") == b"stays here"
        assert "unsent" not in world.folder(red).tree()
        assert await linked(green) == set()
        assert await epoch(red) == await epoch(blue) == 2
        world.folder(blue).create("answer", b"with the new keys")
        await trio.sleep(MINUTE)
        assert world.folder(red).tree().get("answer") == b"with the new keys"

    assert run_world("revoked", story).failures == []


def test_a_peer_that_was_away_learns_it_from_the_journal() -> None:
    async def story(world: World) -> None:
        red, blue, _green = await three_at_home(world)
        await blue.stop()
        answer = await red.ask(RevokeDevice("green"))
        assert isinstance(answer, RevokedDevice)
        await blue.start()
        await trio.sleep(MINUTE)
        assert await linked(blue) == {"red"}
        assert await epoch(blue) == 2

    assert run_world("away", story).failures == []


def test_what_was_begun_before_a_crash_is_gone_on_with_by_whoever_is_there() -> None:
    async def story(world: World) -> None:
        red, blue, green = await three_at_home(world)
        assert red.engine is not None
        assert green.engine is not None
        red.engine.following.on_revoked = lambda: None  # it ends before it can do more
        assert await red.engine.following.revoke(green.engine.identity.device) is None
        await red.kill()
        await trio.sleep(MINUTE)
        assert await epoch(blue) == 2
        assert await linked(blue) == set()
        await red.start()
        await trio.sleep(MINUTE)
        assert await epoch(red) == 2
        assert await linked(red) == {"blue"}
        again = await red.ask(RevokeDevice("green"))
        assert not isinstance(again, Failure)

    assert run_world("begun", story).failures == []


def test_nobody_is_revoked_while_the_coordinator_is_away_and_that_is_said() -> None:
    async def story(world: World) -> None:
        red, _blue, _green = await three_at_home(world)
        home = world.net.sites["home"]
        home.cut()
        await trio.sleep(MINUTE)
        assert red.engine is not None
        with pytest.raises(Unreachable, match="cannot reach"):
            await revoke(red.engine, "green")
        with pytest.raises(CannotDo, match="this device"):
            await revoke(red.engine, "red")
        home.mend()
        await trio.sleep(MINUTE)
        assert (await revoke(red.engine, "green")).to_enter == ()

    assert run_world("nobody there", story).failures == []


def test_a_device_revoked_while_it_was_off_is_told_when_it_comes_back() -> None:
    async def story(world: World) -> None:
        red, blue, green = await three_at_home(world)
        await green.stop()
        world.folder(green).create("unsent", b"made while it was off")
        answer = await red.ask(RevokeDevice("green"))
        assert isinstance(answer, RevokedDevice)
        await green.start()
        await trio.sleep(MINUTE)
        status = await green.status()
        assert status.coordinator.state != "connected"
        assert status.workspaces[0].state == "error"
        assert await codes(green) == {"access_removed"}
        assert world.folder(green).tree().get("unsent") == b"made while it was off"
        assert "unsent" not in world.folder(blue).tree()
        assert await linked(green) == set()

    assert run_world("off", story).failures == []


def test_keys_that_change_while_everybody_writes_hold_up_nothing() -> None:
    async def story(world: World) -> None:
        red, blue, green = await three_at_home(world)
        written: dict[str, bytes] = {}

        async def write(device: SimDevice) -> None:
            for number in range(150):
                name = f"{device.name} {number}"
                written[name] = name.encode()
                world.folder(device).create(name, written[name])
                await trio.sleep(0.1)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(write, red)
            nursery.start_soon(write, blue)
            await trio.sleep(5)
            answer = await red.ask(RevokeDevice("green"))
            assert isinstance(answer, RevokedDevice)
        await trio.sleep(2 * MINUTE)
        assert await epoch(red) == await epoch(blue) == 2
        for device in (red, blue):
            tree = world.folder(device).tree()
            assert {name: tree.get(name) for name in written} == written
            assert await codes(device) == set()
        assert not set(world.folder(green).tree()) >= set(written)

    assert run_world("writing", story).failures == []
