"""A device that looks for others and links with them: `python -P -m tests.common.lan_device OWN FELLOW… [--stranger]`.

Devices are letters; all share one workspace, and a stranger has another key for it. Prints `ready`, waits for a line,
then prints `found DEVICE PLACE…` for whoever comes or gets another address, `linked DEVICE` and `parted DEVICE WHY`.
The line `count` prints how many datagrams were heard, how many of them recognised, and the processor seconds spent so
far; `revoke DEVICE` makes that one a member no more.
"""

import argparse
import sys
import time
from collections.abc import Sequence

import trio

from crypto.identity import DeviceKeys
from peer.lan.discovery import Discovery
from peer.lan.link import Answer, Link
from peer.lan.meeting import Meeting
from peer.lan.members import Members, Membership
from peer.lan.sockets import SystemLan
from peer.link.network import TrioNetwork
from peer.machine import SystemClock, SystemEntropy
from protocol.ids import DeviceId, LogHash, WorkspaceId
from protocol.lan import GoneReason, LanHead, LanHello, LanRequest
from protocol.lan_session import Event

KEY = bytes(range(32))
HERE = WorkspaceId(b"h" * 32)


def keys_of(letter: str) -> DeviceKeys:
    return DeviceKeys.from_seed(letter.encode() * 32)


def device_of(letter: str) -> DeviceId:
    return DeviceId(keys_of(letter).public.device_id)


LETTERS = {device_of(letter): letter for letter in "abcdefs"}


def membership(letters: list[str], key: bytes = KEY) -> Membership:
    return Membership(HERE, (key,), frozenset(map(device_of, letters)))


class Talker:
    """Says when links come and go."""

    def came(self, link: Link) -> None:
        pass

    def take(self, link: Link, event: Event) -> None:
        if isinstance(event, LanHello):
            print("linked", LETTERS[link.device], flush=True)

    def went(self, link: Link) -> None:
        print("parted", LETTERS[link.device], link.ending, flush=True)

    async def answer(self, link: Link, wanted: Sequence[LanRequest]) -> Sequence[Answer]:
        await trio.lowlevel.checkpoint()
        return [GoneReason.GONE] * len(wanted)


async def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("own")
    parser.add_argument("fellows", nargs="*")
    parser.add_argument("--stranger", action="store_true")
    arguments = parser.parse_args()
    print("ready", flush=True)
    await trio.to_thread.run_sync(sys.stdin.readline)
    lan, clock, entropy = SystemLan(), SystemClock(), SystemEntropy()
    own, fellows = device_of(arguments.own), set(arguments.fellows)
    members = Members(own)

    def found(device: DeviceId) -> None:
        places = " ".join(f"{place.host}#{place.port}" for place in discovery.places(device))
        print("found", LETTERS[device], places, flush=True)
        meeting.found(device)

    def head(workspace: WorkspaceId) -> LanHead:
        return LanHead(workspace, 1, LogHash(bytes(32)))

    def share() -> None:
        memberships = [membership([arguments.own, *fellows], bytes(32) if arguments.stranger else KEY)]
        meeting.replace(memberships, {device_of(each): keys_of(each).public.tls for each in fellows})
        discovery.members_changed()

    async with lan.open_listener() as listener, trio.open_nursery() as nursery:
        discovery = Discovery(lan, clock, entropy, members, listener.port, found)
        meeting = Meeting(
            keys_of(arguments.own).tls,
            own,
            TrioNetwork(),
            clock,
            entropy,
            members,
            discovery.places,
            head,
            Talker(),
        )
        share()
        nursery.start_soon(discovery.run)
        nursery.start_soon(meeting.run, listener)
        while line := await trio.to_thread.run_sync(sys.stdin.readline, abandon_on_cancel=True):
            if line.startswith("revoke "):
                fellows.discard(line.split()[1])
                share()
            else:
                print("counted", discovery.heard, discovery.recognised, time.process_time(), flush=True)


if __name__ == "__main__":
    trio.run(main)
