"""All that passes between the machines of a LAN and their coordinator has no name, id or content in clear.

Every frame at every port of the switch is taken down while devices join, find each other, link and exchange files.
That something in clear would be found is tried too.
"""

import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from peer.home import Home
from simulations.noise import noise
from tests.acceptance.rooms import in_own_network, open_room
from tests.acceptance.telling import demand, tell
from tests.common.fleet import Peer
from tests.common.namespaces import run as run_command

_EVERY_PROTOCOL: Final = 0x0003
_FRAME_BYTES: Final = 1 << 17
_TO_EVERYBODY: Final = 1
"""The lowest bit of a frame's first byte, where it is meant for more than one."""
DEVICES: Final = ("redwood-laptop", "bluebell-desktop", "greenfinch-phone")
USER: Final = "anastasia"
NAMES: Final = ("holiday plans for norway.txt", "the secret recipe", "letters to grandmother")
SAID: Final = b"nobody on the wi-fi may ever read this sentence "
CONTROL: Final = b"this one is in clear, to be found"


def run(arguments: Sequence[str]) -> None:
    """Raises `NotShown`."""
    if not in_own_network("tests.acceptance", "capture", *arguments):
        return
    with _captured() as frames, open_room(DEVICES, None, user=USER) as peers:
        first, second, third = peers
        needles = dict(_needles(peers))
        (first.folder / NAMES[1]).mkdir()
        (first.folder / NAMES[0]).write_bytes(SAID * 100)
        (first.folder / NAMES[1] / NAMES[2]).write_bytes(SAID * 60_000 + noise(3_000_000))
        for peer in peers:
            peer.wait()
        (second.folder / NAMES[0]).write_bytes(SAID * 200)
        third.stop()
        for peer in (first, second):
            peer.wait()
        moved = sum(peer.status().transfer.lan_in for peer in (first, second))
        run_command("ip", "addr", "add", "10.77.0.250/24", "dev", "br0")
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.sendto(CONTROL, ("10.77.0.10", 9))
    everything = b"\n".join(frames)
    beacons = sum(frame[0] & _TO_EVERYBODY for frame in frames)
    found = [what for what, needle in needles.items() if needle in everything]
    demand(CONTROL in everything, "what was sent in clear is not there: not all was taken down")
    demand(moved > 3_000_000, "the devices exchanged nothing by the LAN")
    demand(beacons > 0, "no beacon was heard")
    demand(not found, f"in clear: {', '.join(found)}")
    tell("frames, of them to everybody; bytes", f"{len(frames):,}, {beacons:,}; {len(everything):,}")
    tell("bytes that came by the LAN", f"{moved:,}")
    tell("names, ids and contents looked for, found in clear", f"{len(needles)}, {len(found)}")


@contextmanager
def _captured() -> Iterator[list[bytes]]:
    """All frames on all interfaces, also of those that are made meanwhile. The list is whole once this has ended."""
    frames: list[bytes] = []
    ends = threading.Event()
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_EVERY_PROTOCOL)) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 26)
        listener.settimeout(0.2)

        def listen() -> None:
            while True:
                try:
                    frames.append(listener.recv(_FRAME_BYTES))
                except TimeoutError:
                    if ends.is_set():
                        return

        thread = threading.Thread(target=listen)
        thread.start()
        try:
            yield frames
        finally:
            ends.set()
            thread.join()


def _needles(peers: Sequence[Peer]) -> Iterator[tuple[str, bytes]]:
    """What must not be seen, by what it is."""
    for name in (*DEVICES, USER, *NAMES):
        yield f"the name {name!r}", name.encode()
    yield "a sentence of a file", SAID
    ids = {f"the id of {peer.name}": Home(peer.home).read_identity().device_id for peer in peers}
    ids["the id of the user"] = Home(peers[0].home).read_identity().user_id
    ids["the id of the workspace"] = bytes.fromhex(peers[0].workspace.id)
    for what, its in ids.items():
        yield what, its
        yield f"{what}, in hexadecimal", its.hex().encode()
