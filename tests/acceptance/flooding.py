"""Floods of a LAN, each by a process of its own: `python -P -m tests.acceptance.flooding KIND SOURCES [TARGET…]`.

`beacons` sends datagrams to everybody nearby: garbage, forgeries, what is far too long, and those that it gets as lines
of hexadecimal on standard input. `connections` connects to each target (`HOST:PORT`) without an end, and says nothing,
half of what TLS begins with, or nonsense. SOURCES are addresses of this machine, with commas. Prints
`begun`; on SIGTERM it ends, and prints how many it sent or made, how many bytes came back, and in how many seconds.
"""

import signal
import socket
import ssl
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import cycle
from typing import Final

from protocol.beacon import GROUP_V4, MAGIC, NONCE_BYTES, PORT, RECORD_BYTES, RECORDS, pack_beacon
from simulations.noise import noise

_OPEN: Final = 400
"""So many connections are held open at a time."""
_A_TIME: Final = 25
_PAUSE_S: Final = 0.01
"""After so many connections so long a pause: it is the devices that are to have no rest, not the machine."""
_TOO_LONG: Final = 20_000


def forged() -> list[bytes]:
    """Datagrams that are no beacons, or nobody's."""
    found = [b"", MAGIC, noise(1_400), MAGIC + noise(1_000), noise(_TOO_LONG)]
    for at in range(200):
        seed = at.to_bytes(2, "big")
        records = [noise(RECORD_BYTES, seed + bytes([number])) for number in range(RECORDS[at % len(RECORDS)])]
        found.append(pack_beacon(noise(NONCE_BYTES, seed), records))
    return found


def speaker(source: str) -> socket.socket:
    """A socket that speaks to everybody nearby from one address, and does not hear itself."""
    opened = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    opened.bind((source, 0))
    opened.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(source))
    opened.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_LOOP, 0)
    return opened


_over = threading.Event()


def _beacons(sources: Sequence[str], replayed: Sequence[bytes]) -> tuple[int, int]:
    speakers, datagrams = cycle([speaker(source) for source in sources]), cycle([*forged(), *replayed])
    sent = 0
    while not _over.is_set():
        for _ in range(200):
            next(speakers).sendto(next(datagrams), (GROUP_V4, PORT))
        sent += 200
    return sent, 0


def _openings() -> Iterator[bytes]:
    """What is said on one connection after the other."""
    hello = ssl.MemoryBIO()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    with suppress(ssl.SSLWantReadError):
        context.wrap_bio(ssl.MemoryBIO(), hello).do_handshake()
    whole = hello.read()
    return cycle([b"", whole[: len(whole) // 2], b"", noise(300), whole[:5], whole])


def _connections(sources: Sequence[str], targets: Sequence[str]) -> tuple[int, int]:
    held: deque[socket.socket] = deque()
    froms, tos, openings = cycle(sources), cycle(targets), _openings()
    made = came = 0
    while not _over.is_set():
        for _ in range(_A_TIME):
            host, _, port = next(tos).rpartition(":")
            one = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            one.bind((next(froms), 0))
            one.setblocking(False)
            one.connect_ex((host, int(port)))
            held.append(one)
            made += 1
        time.sleep(_PAUSE_S)
        for one in list(held)[-_A_TIME:]:
            with suppress(OSError):  # not connected yet, or closed already
                one.send(next(openings))
        while len(held) > _OPEN:
            came += _end(held.popleft())
    return made, came + sum(map(_end, held))


def _end(one: socket.socket) -> int:
    """Close a connection; how many bytes had come."""
    with one:
        try:
            return len(one.recv(65_536))
        except OSError:
            return 0


def main(kind: str, sources: str, *targets: str) -> None:
    """See above."""
    signal.signal(signal.SIGTERM, lambda *_: _over.set())
    print("begun", flush=True)
    begun_s = time.monotonic()
    if kind == "beacons":
        found = _beacons(sources.split(","), [bytes.fromhex(line) for line in sys.stdin])
    else:
        found = _connections(sources.split(","), targets)
    print(*found, time.monotonic() - begun_s)


if __name__ == "__main__":
    main(*sys.argv[1:])
