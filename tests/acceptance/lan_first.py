"""A large file is on the devices beside at the speed of the LAN, while the line still carries it; then it is durable.

Three devices on a switch, their coordinator behind a line of 10 Mbit/s.
"""

import argparse
import hashlib
import time
from collections.abc import Sequence
from pathlib import Path

from simulations.noise import noise
from tests.acceptance.rooms import in_own_network, open_room
from tests.acceptance.telling import demand, mib, tell
from tests.common.fleet import Peer

MB = 1_000_000
_PART = 4 * MB


def run(arguments: Sequence[str]) -> None:
    """Raises `NotShown`."""
    parser = argparse.ArgumentParser(prog="make show NAME=lan-first")
    parser.add_argument("--mb", type=int, default=500, help="how long the file is")
    parser.add_argument("--rate", type=int, default=10, help="the line's, in Mbit/s")
    options = parser.parse_args(arguments)
    if not in_own_network("tests.acceptance", "lan-first", *arguments):
        return
    size, line_s = options.mb * MB, options.mb * 8 / options.rate
    with open_room(("red", "blue", "green"), f"{options.rate}mbit") as (red, *others):
        before = {peer.name: peer.status().transfer for peer in (red, *others)}
        digest = write(red.place / "film", size)
        begun_s = time.monotonic()
        (red.place / "film").rename(red.folder / "film")
        for peer in others:
            wait_for(peer, size, line_s * 3 + 60)
        took_s = time.monotonic() - begun_s
        sent = red.status().transfer.server_out - before["red"].server_out
        open_versions = red.workspace.not_durable
        for peer in others:
            demand(digest_of(peer.folder / "film") == digest, f"the file at {peer.name} is another one")
        tell("the file, the line", f"{options.mb} MB, {options.rate} Mbit/s: {line_s:.0f} s by the line alone")
        tell("on both other devices after, a second", f"{took_s:.1f} s, {mib(2 * size / took_s)}")
        tell("sent to the coordinator by then, versions not durable", f"{mib(sent)}, {open_versions}")
        demand(open_versions == 1, "by then it was durable: the line cannot have been so narrow")
        demand(took_s < 0.5 * line_s, f"it took {took_s:.0f} s: that is no LAN")
        for peer in (red, *others):
            peer.until(lambda status: status.workspaces[0].not_durable == 0, line_s * 3 + 120)
            peer.must("wait", "--durable", "--timeout", "60")
        tell("durable after", f"{time.monotonic() - begun_s:.1f} s")
        tell("bytes by path, in and out", "LAN in, LAN out, coordinator in, coordinator out")
        for peer in (red, *others):
            now, then = peer.status().transfer, before[peer.name]
            moved = (
                now.lan_in - then.lan_in,
                now.lan_out - then.lan_out,
                now.server_in - then.server_in,
                now.server_out - then.server_out,
            )
            tell(f"  {peer.name}", ", ".join(mib(each) for each in moved))
            if peer is not red:
                demand(moved[0] >= 0.99 * size, f"{peer.name} did not get it by the LAN")


def write(path: Path, size: int, number: int = 0) -> str:
    """A file that no compressor shortens, with nothing in common with that of another number; its digest."""
    hasher = hashlib.sha256()
    with path.open("wb") as file:
        for at in range(0, size, _PART):
            part = noise(min(_PART, size - at), at.to_bytes(8, "big") + number.to_bytes(8, "big"))
            hasher.update(part)
            file.write(part)
    return hasher.hexdigest()


def wait_for(peer: Peer, size: int, within_s: float) -> None:
    """Until a device has a film of that length."""
    film = peer.folder / "film"
    peer.until(lambda _: film.exists() and film.stat().st_size == size, within_s)


def digest_of(path: Path) -> str:
    """What a file has in it."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
