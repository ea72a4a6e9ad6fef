"""A device that only looks for others, as a program: `python -P -m tests.common.lan_device OWN FELLOW… [--stranger]`.

Devices are letters; all share one workspace, and a stranger has another key for it. Prints `ready`, waits for a line,
then prints `found DEVICE PLACE…` for whoever comes or gets another address. The line `count` prints how many datagrams
were heard, how many of them recognised, and the processor seconds spent so far.
"""

import argparse
import sys
import time

import trio

from peer.lan.discovery import Discovery
from peer.lan.members import Members, Membership
from peer.lan.sockets import SystemLan
from peer.machine import SystemClock, SystemEntropy
from protocol.ids import DeviceId, WorkspaceId

KEY = bytes(range(32))
HERE = WorkspaceId(b"h" * 32)


def device_of(letter: str) -> DeviceId:
    return DeviceId(letter.encode() * 16)


def membership(letters: list[str], key: bytes = KEY) -> Membership:
    return Membership(HERE, (key,), frozenset(map(device_of, letters)))


async def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("own")
    parser.add_argument("fellows", nargs="*")
    parser.add_argument("--stranger", action="store_true")
    arguments = parser.parse_args()
    print("ready", flush=True)
    await trio.to_thread.run_sync(sys.stdin.readline)
    key = bytes(32) if arguments.stranger else KEY
    members = Members(device_of(arguments.own), [membership([arguments.own, *arguments.fellows], key)])

    def found(device: DeviceId) -> None:
        places = " ".join(f"{place.host}#{place.port}" for place in discovery.places(device))
        print("found", chr(device[0]), places, flush=True)

    discovery = Discovery(SystemLan(), SystemClock(), SystemEntropy(), members, 4_000 + ord(arguments.own), found)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(discovery.run)
        while line := await trio.to_thread.run_sync(sys.stdin.readline, abandon_on_cancel=True):
            assert line == "count\n"
            print("counted", discovery.heard, discovery.recognised, time.process_time(), flush=True)


if __name__ == "__main__":
    trio.run(main)
