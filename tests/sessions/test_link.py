"""The link against the whole coordinator: joining, pairing, wake-ups, and a restart in between."""

import contextlib
import json
import sys
import time
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import trio

from coordinator.app import run
from coordinator.settings import Listen, Settings
from crypto.identity import DeviceKeys
from crypto.invitation import Code, decode_code
from peer.link.coordinator import CoordinatorClient
from peer.link.joining import Doors, JoinedIdentity, OfferedPairing, Seeds, join, offer_pairing, pair
from peer.link.network import TrioNetwork
from peer.link.notify import Notifications
from protocol import messages
from protocol.ids import WorkspaceId
from tests.common.link_server import SeededEntropy, TrioClock


class MachineClock(TrioClock):
    """Trio's time, with the wall time of the coordinator's machine."""

    def wall_ns(self) -> int:
        return time.time_ns()


def doors(seed: int) -> Doors:
    return Doors(TrioNetwork(), MachineClock(), SeededEntropy(seed))


@contextlib.asynccontextmanager
async def serving(data: Path, port: int = 0) -> AsyncIterator[int]:
    stop = trio.Event()
    ready = trio.Event()
    urls: list[str] = []

    def note(url: str) -> None:
        urls.append(url)
        ready.set()

    settings = Settings(data=data, listen=Listen("127.0.0.1", port), blocks=data / "blocks")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(partial(run, settings, stop=stop, ready=note))
        await ready.wait()
        yield int(urls[0].rsplit(":", 1)[1])
        stop.set()


async def invite(data: Path, name: str) -> Code:
    command = [sys.executable, "-P", "-m", "coordinator", "invite", name, "--data", str(data), "--json"]
    done = await trio.run_process(command, capture_stdout=True)
    return decode_code(json.loads(done.stdout)["code"])


def client_of(who: JoinedIdentity, seeds: Seeds, seed: int) -> CoordinatorClient:
    machine = doors(seed)
    return CoordinatorClient(
        addresses=who.addresses,
        identity=who.identity,
        keys=DeviceKeys.from_seed(seeds.device),
        network=machine.network,
        clock=machine.clock,
        entropy=machine.entropy,
    )


def nothing_known() -> tuple[tuple[tuple[WorkspaceId, int, int], ...], int]:
    return (), 0


async def next_wake(notifications: Notifications) -> messages.Wake:
    with trio.fail_after(30):
        return await notifications.mailbox.get()


async def add_device(client: CoordinatorClient, first: JoinedIdentity, seeds: Seeds, seed: int) -> JoinedIdentity:
    offer = await offer_pairing(client, DeviceKeys.from_seed(seeds.device), first.chain, [], doors(seed), 60_000)
    assert isinstance(offer, OfferedPairing)
    paired = await pair(decode_code(offer.code), "laptop", Seeds.draw(doors(seed + 1).entropy), doors(seed + 2))
    assert isinstance(paired, JoinedIdentity)
    return paired


async def test_a_device_joins_pairs_another_hears_of_it_and_comes_back_after_a_restart(tmp_path: Path) -> None:
    async with trio.open_nursery() as nursery:
        async with serving(tmp_path) as port:
            seeds = Seeds.draw(doors(1).entropy)
            first = await join(await invite(tmp_path, "ana"), "laptop", seeds, doors(2))
            assert isinstance(first, JoinedIdentity)
            client = client_of(first, seeds, 3)
            notifications = Notifications(client, MachineClock(), SeededEntropy(4), nothing_known)
            nursery.start_soon(notifications.run)
            assert isinstance(await next_wake(notifications), messages.Welcome)
            second = await add_device(client, first, seeds, 5)
            assert second.device_name == "laptop-2"
            wake = await next_wake(notifications)
            while not (isinstance(wake, messages.ChainPoke) and wake.length == 3):
                wake = await next_wake(notifications)
            answer = await client.request(messages.DevicesRequest())
            assert isinstance(answer, messages.Devices)
            assert {device.name for device in answer.devices} == {"laptop", "laptop-2"}
        while client.status.current.state == "connected":
            await client.status.wait_changed()
        async with serving(tmp_path, port):
            assert isinstance(await next_wake(notifications), messages.Welcome)
            assert await client.request(messages.WorkspacesRequest()) == messages.Workspaces(())
            nursery.cancel_scope.cancel()
    await client.aclose()
