"""Machines in a network of their own: devices on a switch, and the coordinator behind a line of a given rate.

Owns the namespaces and the lines between them. Needs no privilege: the show runs once more as root of a user namespace,
in which nothing but its own network is at hand.
"""

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from tests.acceptance.telling import AGAIN, NotShown, demand, is_run_again
from tests.common.fleet import Fleet, Peer, open_fleet
from tests.common.namespaces import run

_COORDINATOR: Final = "10.77.0.1"


def in_own_network(module: str, *arguments: str) -> bool:
    """Whether we are there already; if not, the module has been run there with these arguments, to its end.

    Raises `NotShown` where it ended badly there.
    """
    if is_run_again():
        run("ip", "link", "set", "lo", "up")
        return True
    command = ["unshare", "--user", "--map-root-user", "--net", sys.executable, "-P", "-m", module]
    status = subprocess.run([*command, *arguments], env={**os.environ, AGAIN: "1"}, check=False).returncode
    demand(status == 0, "why is said above")
    return False


class Room:
    """A switch with machines, each in a network namespace; the coordinator has one too, behind its line."""

    def __init__(self, *, carries_multicast: bool = True) -> None:
        self._holders: list[subprocess.Popen[bytes]] = []
        self._flood = ("mcast_flood", "on" if carries_multicast else "off")
        run("ip", "link", "add", "br0", "type", "bridge", "forward_delay", "0", "mcast_snooping", "0")
        run("ip", "link", "set", "br0", "up")

    def machine(self, address: str) -> tuple[str, ...]:
        """A machine with that address; the command by which programs run there."""
        number = len(self._holders)
        holder = subprocess.Popen(["unshare", "--net", "sh", "-c", "echo ready; exec sleep infinity"], stdout=-1)
        self._holders.append(holder)
        assert holder.stdout is not None
        if holder.stdout.readline() != b"ready\n":
            raise NotShown("a machine could not be made: unshare(1) is missing, or may not")
        outside, inside = f"veth{number}", ("nsenter", f"--net=/proc/{holder.pid}/ns/net", "--")
        run("ip", "link", "add", outside, "type", "veth", "peer", "name", "eth0", "netns", str(holder.pid))
        run("ip", "link", "set", outside, "master", "br0", "up")
        run("ip", "link", "set", outside, "type", "bridge_slave", *self._flood)
        run(*inside, "ip", "link", "set", "lo", "up")
        run(*inside, "ip", "addr", "add", f"{address}/24", "dev", "eth0")
        run(*inside, "ip", "link", "set", "eth0", "up")
        return inside

    def end(self) -> None:
        """Away with all machines."""
        for holder in self._holders:
            holder.kill()
            holder.communicate()


@contextmanager
def open_room(
    names: Sequence[str], rate: str | None, *, user: str = "ana", carries_multicast: bool = True
) -> Iterator[tuple[Peer, ...]]:
    """Devices of one user in step with one empty workspace, each on a machine of its own, and linked with each other;
    their coordinator's line has that rate from when they are. They have to come to be in step again in the end."""
    with open_switch(carries_multicast=carries_multicast) as (room, fleet):
        peers = tuple(fleet.device(name) for name in names)
        for number, peer in enumerate(peers):
            peer.inside = room.machine(address_of(number))
        fleet.join_all(user, peers)
        for peer in peers:
            peer.until_linked(len(peers) - 1)
        if rate is not None:
            narrow = ("root", "tbf", "rate", rate, "burst", "64k", "latency", "200ms")
            run("tc", "qdisc", "add", "dev", "veth0", *narrow)
            run(*fleet.host.inside, "tc", "qdisc", "add", "dev", "eth0", *narrow)
        yield peers
        fleet.settle()


def address_of(number: int) -> str:
    """The address of a room's device, the first one's number being 0."""
    return f"10.77.0.{number + 10}"


@contextmanager
def open_switch(*, carries_multicast: bool = True) -> Iterator[tuple[Room, Fleet]]:
    """A switch, and a running coordinator on a machine there."""
    room = Room(carries_multicast=carries_multicast)
    try:
        there = room.machine(_COORDINATOR)
        with open_fleet(inside=there, listen=f"{_COORDINATOR}:0", env={"SHOAL_LAN": "on"}) as fleet:
            yield room, fleet
    finally:
        room.end()
