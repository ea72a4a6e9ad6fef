"""Putting a device together. The only place, beside the simulator's world, that names real machine parts."""

import logging

import msgspec
import trio

from crypto.identity import DeviceKeys
from peer.control.answers import Answers
from peer.control.server import serve_control
from peer.disk.real import LinuxFilesystem
from peer.engine.context import Machine
from peer.engine.device import DeviceEngine
from peer.engine.limiting import Limiting
from peer.home import Home, HomeError, Identity
from peer.link.coordinator import CoordinatorClient, SignedIn
from peer.link.network import TrioNetwork
from peer.machine import SystemClock, SystemEntropy, ThreadOffload
from peer.scan.watcher import InotifyWatching
from peer.store.database import open_database
from peer.transfer.counters import TransferCounters

COMPUTE_THREADS = 3


async def run_device(home: Home, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
    """Be the device of this home until asked to stop or cancelled; started once the control socket answers."""
    identity = home.read_identity()
    clock, entropy, network, filesystem = SystemClock(), SystemEntropy(), TrioNetwork(), LinuxFilesystem()
    keys = DeviceKeys.from_seed(identity.device_seed)

    def signed_in(session: SignedIn) -> None:
        try:
            _keep_addresses(home, session)
        except HomeError as error:  # they are told again at the next login
            logging.getLogger("shoal").warning("the coordinator's addresses are not kept: %s", error)

    client = CoordinatorClient(
        addresses=identity.addresses,
        identity=identity.coordinator,
        keys=keys,
        network=network,
        clock=clock,
        entropy=entropy,
        signed_in=signed_in,
    )
    disk_work = ThreadOffload(2)
    with open_database(home.database) as database:
        machine = Machine(
            clock=clock,
            entropy=entropy,
            database_work=ThreadOffload(1),
            disk_work=disk_work,
            compute=ThreadOffload(COMPUTE_THREADS),
            watching=InotifyWatching(filesystem, disk_work),
            client=client,
            database=database,
            counters=TransferCounters(),
            limiting=Limiting(home, clock),
        )
        device = DeviceEngine(machine, home, identity, filesystem, network)
        try:
            async with trio.open_nursery() as nursery:
                await nursery.start(device.run)
                nursery.start_soon(machine.limiting.run)
                answers = Answers(device, nursery.cancel_scope.cancel)
                await nursery.start(serve_control, home.socket, answers)
                task_status.started()
        finally:
            with trio.CancelScope(shield=True, deadline=trio.current_time() + 2):
                await client.aclose()


def _keep_addresses(home: Home, session: SignedIn) -> None:
    """Remember where the coordinator says it can be reached."""
    known: Identity = home.read_identity()
    addresses = tuple(dict.fromkeys((*session.addresses, *known.addresses)))[:32]
    if addresses != known.addresses:
        home.write_identity(msgspec.structs.replace(known, addresses=addresses))
