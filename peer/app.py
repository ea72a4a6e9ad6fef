"""Putting a device together. The only place, beside the simulator's world, that names real machine parts."""

import logging
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import msgspec
import trio

from crypto.identity import DeviceKeys
from peer.control.answers import Answers
from peer.control.server import serve_control
from peer.disk.real import LinuxFilesystem
from peer.engine.context import OFFER_BYTES, Machine
from peer.engine.device import DeviceEngine
from peer.engine.folders import SystemFolders
from peer.engine.limiting import Limiting
from peer.home import Home, HomeError, Identity
from peer.lan.ports import LocalNetwork
from peer.lan.presence import Presence
from peer.lan.sockets import SystemLan
from peer.link.coordinator import CoordinatorClient, SignedIn
from peer.link.network import TrioNetwork
from peer.machine import SystemClock, SystemEntropy, ThreadOffload, boot_id
from peer.ports import Clock, Entropy, Filesystem, Folders, Network, Offload, Watching
from peer.scan.watcher import InotifyWatching
from peer.store.database import Database, open_database
from peer.transfer.counters import TransferCounters

COMPUTE_THREADS = 3


@dataclass(frozen=True)
class Parts:
    """The machine that a device runs on. `database_work` does one thing at a time."""

    clock: Clock
    entropy: Entropy
    network: Network
    filesystem: Filesystem
    watching: Watching
    folders: Folders
    database_work: Offload
    disk_work: Offload
    compute: Offload
    allow_plain: bool = False
    """Whether the coordinator may be reached without TLS over a network; only a simulated one keeps nobody out."""
    boot: str = ""
    """Which run of the operating system this is; empty: unknown."""
    lan: LocalNetwork | None = None
    """The local networks; None: nothing is said or heard there."""
    offer_bytes: int = OFFER_BYTES
    """A file that is not longer is sent before it is committed, whoever is near."""


def real_parts(*, lan: bool) -> Parts:
    """This machine; `lan` says whether to look for other devices on its networks."""
    filesystem, disk_work = LinuxFilesystem(), ThreadOffload(2)
    return Parts(
        clock=SystemClock(),
        entropy=SystemEntropy(),
        network=TrioNetwork(),
        filesystem=filesystem,
        watching=InotifyWatching(filesystem, disk_work),
        folders=SystemFolders(),
        database_work=ThreadOffload(1),
        disk_work=disk_work,
        compute=ThreadOffload(COMPUTE_THREADS),
        boot=boot_id(),
        lan=SystemLan() if lan else None,
    )


@asynccontextmanager
async def open_device(home: Home, parts: Parts, database: Database) -> AsyncGenerator[DeviceEngine, None]:
    """The device of this home at work on these parts until the context ends."""
    identity = home.read_identity()

    def signed_in(session: SignedIn) -> None:
        try:
            _keep_addresses(home, session)
        except HomeError as error:  # they are told again at the next login
            logging.getLogger("shoal").warning("the coordinator's addresses are not kept: %s", error)

    keys, counters = DeviceKeys.from_seed(identity.device_seed), TransferCounters()
    client = CoordinatorClient(
        addresses=identity.addresses,
        identity=identity.coordinator,
        keys=keys,
        network=parts.network,
        clock=parts.clock,
        entropy=parts.entropy,
        signed_in=signed_in,
        allow_plain=parts.allow_plain,
    )
    presence = None
    if parts.lan is not None:
        presence = Presence(
            parts.lan,
            parts.network,
            parts.clock,
            parts.entropy,
            identity.device,
            keys.tls,
            counters,
            client.request,
        )
    machine = Machine(
        clock=parts.clock,
        entropy=parts.entropy,
        database_work=parts.database_work,
        disk_work=parts.disk_work,
        compute=parts.compute,
        watching=parts.watching,
        client=client,
        database=database,
        counters=counters,
        limiting=Limiting(home, parts.clock),
        boot=parts.boot,
        offer_bytes=parts.offer_bytes,
        folders=parts.folders,
        lan=presence,
    )
    device = DeviceEngine(machine, home, identity, parts.filesystem, parts.network)
    try:
        async with trio.open_nursery() as nursery:
            await nursery.start(device.run)
            nursery.start_soon(machine.limiting.run)
            yield device
            nursery.cancel_scope.cancel()
    finally:
        with trio.CancelScope(shield=True, deadline=trio.current_time() + 2):
            await client.aclose()


async def run_device(home: Home, *, lan: bool, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
    """Be the device of this home until asked to stop or cancelled; started once the control socket answers."""
    with open_database(home.database) as database:
        async with open_device(home, real_parts(lan=lan), database) as device, trio.open_nursery() as nursery:
            answers = Answers(device, nursery.cancel_scope.cancel)
            await nursery.start(serve_control, home.socket, answers)
            task_status.started()


def _keep_addresses(home: Home, session: SignedIn) -> None:
    """Remember where the coordinator says it can be reached."""
    known: Identity = home.read_identity()
    addresses = tuple(dict.fromkeys((*session.addresses, *known.addresses)))[:32]
    if addresses != known.addresses:
        home.write_identity(msgspec.structs.replace(known, addresses=addresses))
