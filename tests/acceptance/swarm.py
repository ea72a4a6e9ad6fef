"""Five devices take one new file of a sixth: they share the work, and its author sends little more than one copy."""

import argparse
import time
from collections.abc import Sequence

from tests.acceptance.lan_first import MB, digest_of, wait_for, write
from tests.acceptance.rooms import in_own_network, open_room
from tests.acceptance.telling import demand, mib, tell

TAKERS = ("blue", "green", "amber", "violet", "white")
COPIES = 1.5


def run(arguments: Sequence[str]) -> None:
    """Raises `NotShown`."""
    parser = argparse.ArgumentParser(prog="make show NAME=swarm")
    parser.add_argument("--mb", type=int, default=100, help="how long the file is")
    options = parser.parse_args(arguments)
    if not in_own_network("tests.acceptance", "swarm", *arguments):
        return
    size = options.mb * MB
    with open_room(("red", *TAKERS), "10mbit") as (red, *others):
        before = {peer.name: peer.status().transfer for peer in (red, *others)}
        digest = write(red.place / "film", size)
        begun_s = time.monotonic()
        (red.place / "film").rename(red.folder / "film")
        for peer in others:
            wait_for(peer, size, 600.0)
        took_s = time.monotonic() - begun_s
        for peer in others:
            demand(digest_of(peer.folder / "film") == digest, f"the file at {peer.name} is another one")
        tell("the file, takers, on all of them after", f"{options.mb} MB, {len(TAKERS)}, {took_s:.1f} s")
        for peer in (red, *others):
            now, then = peer.status().transfer, before[peer.name]
            came, went = now.lan_in - then.lan_in, now.lan_out - then.lan_out
            tell(f"  {peer.name}: copies in, copies out", f"{came / size:.2f}, {went / size:.2f}")
        sent = red.status().transfer.lan_out - before["red"].lan_out
        tell("sent by its author in total", f"{mib(sent)}: {sent / size:.2f} copies")
        demand(sent <= COPIES * size, f"that is more than {COPIES} copies")
