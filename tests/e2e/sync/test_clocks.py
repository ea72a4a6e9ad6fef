"""Clocks that are decades off: they order nothing and keep nobody out."""

import os
from pathlib import Path

import pytest

from tests.common.clocks import Jumping, find_library, shifted
from tests.common.fleet import Fleet, Peer, read_contents

pytestmark = pytest.mark.skipif(find_library() is None, reason="needs libfaketime (Debian: faketime)")


def join(peer: Peer, code: str) -> None:
    status, _, err = peer.run("join", code, "--device", peer.name, env=peer.env)
    assert status == 0, err


@pytest.mark.parametrize("clocks", [("-20y", "+30y"), ("+30y", "-20y")])
def test_devices_whose_clocks_are_decades_off_join_pair_and_are_in_step(fleet: Fleet, clocks: tuple[str, str]) -> None:
    red, blue = fleet.device("red"), fleet.device("blue")
    red.env, blue.env = shifted(clocks[0]), shifted(clocks[1])
    join(red, fleet.host.invite("ana"))
    red.start()
    red.add()
    join(blue, red.pair())
    blue.start()
    blue.mount()
    fleet.settle()
    edit_in_turn(fleet, red, blue, "at first")
    for peer in (red, blue):
        peer.stop()
    (red.folder / "both").write_bytes(b"as red has it")
    (blue.folder / "both").write_bytes(b"as blue has it")
    for peer in (red, blue):
        peer.start()
    tree = fleet.settle()
    assert len([path for path in tree if path.startswith("both")]) == 2
    assert sorted(value or b"" for value in read_contents(red.folder).values() if b" has it" in (value or b"")) == [
        b"as blue has it",
        b"as red has it",
    ]


def edit_in_turn(fleet: Fleet, red: Peer, blue: Peer, word: str) -> None:
    """The same file by one, then by the other, with a time of the disk's and one of the author's choice."""
    for peer, mtime_s in ((red, None), (blue, 86_400)):
        path: Path = peer.folder / "file"
        path.write_bytes(f"{word} by {peer.name}".encode())
        if mtime_s is not None:
            os.utime(path, (mtime_s, mtime_s))
        fleet.settle()
    assert (red.folder / "file").read_bytes() == f"{word} by blue".encode()


@pytest.mark.parametrize("whose", ["devices", "coordinator"])
def test_clocks_that_jump_order_nothing_and_end_nothing(fleet: Fleet, whose: str) -> None:
    clocks = Jumping(fleet.place)
    if whose == "coordinator":
        fleet.host.stop()
        fleet.host.env = clocks.env
        fleet.host.start()
    red, blue = fleet.pair_of("red", "blue")
    if whose == "devices":
        for peer in (red, blue):
            peer.stop()
            peer.env = clocks.env
            peer.start()
    pids = [program.pid for program in (fleet.host.program, red.program, blue.program)]
    for by in ("+40d", "-20y", "+0"):
        clocks.put(by)
        edit_in_turn(fleet, red, blue, by)
        (red.folder / by).write_bytes(b"while all goes on")
        (red.folder / by).rename(red.folder / f"{by} moved")
        fleet.settle()
    assert pids == [program.pid for program in (fleet.host.program, red.program, blue.program)], "nothing ended"
    assert red.conflicts() == set()
    assert read_contents(red.folder) == read_contents(blue.folder)
