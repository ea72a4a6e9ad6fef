"""Devices and folders that come to a workspace which has a past."""

import os
import threading
import time
from pathlib import Path

from peer.control import messages
from simulations.noise import noise
from tests.common.fleet import WAIT_S, Fleet, Peer, copy_name

SIZE = 300_000
DAY_S = 1_614_816_000


def fill(folder: Path) -> None:
    for number in range(20):
        at = folder / f"{number % 4}"
        at.mkdir(exist_ok=True)
        (at / f"{number}").write_bytes(noise(SIZE, b"%d" % number))
    (folder / "differs.txt").write_bytes(b"as red has it")
    (folder / "link").symlink_to("differs.txt")
    (folder / "empty").mkdir()


def test_a_folder_that_holds_the_files_already_is_taken_up_without_transfer(fleet: Fleet) -> None:
    red, blue = fleet.device("red"), fleet.device("blue")
    fill(red.folder)
    red.join(fleet.host.invite("ana"))
    red.start()
    red.add()
    red.wait()
    fill(blue.folder)
    (blue.folder / "differs.txt").write_bytes(b"as blue has it, longer")
    os.utime(blue.folder / "differs.txt", (DAY_S, DAY_S))
    (blue.folder / "extra").mkdir()
    (blue.folder / "extra" / "only blue").write_bytes(noise(SIZE, b"extra"))
    blue.join(red.pair())
    blue.start()
    blue.mount()
    fleet.settle()
    copy = copy_name("differs.txt", "blue", DAY_S)
    assert (red.folder / copy).read_bytes() == b"as blue has it, longer"
    assert (red.folder / "differs.txt").read_bytes() == b"as red has it"
    assert (red.folder / "extra" / "only blue").read_bytes() == noise(SIZE, b"extra")
    assert sorted(path for path in red.tree() if "conflicted copy" in path) == [copy]
    moved = blue.status().transfer
    assert moved.server_in < 10_000
    assert moved.server_out < SIZE + 30_000


def test_a_folder_unmounted_and_mounted_again_goes_on(fleet: Fleet) -> None:
    red, blue = fleet.pair_of("red", "blue", fill=fill)
    blue.unmount()
    before = blue.status().transfer
    (blue.folder / "made while away").write_bytes(b"made")
    (red.folder / "0" / "made meanwhile").write_bytes(b"meanwhile")
    red.wait()
    blue.mount()
    fleet.settle()
    assert not any("conflicted copy" in path for path in red.tree())
    assert blue.status().transfer.server_in - before.server_in < 10_000
    blue.stop()
    blue.start()
    fleet.settle()
    assert blue.status().transfer.server_out == 0


def test_a_device_paired_after_many_commits_gets_all_of_it(fleet: Fleet) -> None:
    red = fleet.device("red")
    red.join(fleet.host.invite("ana"))
    red.start()
    red.add()
    for number in range(40):
        (red.folder / f"{number % 7}.txt").write_bytes(b"version %d" % number)
        if number % 10 == 9:
            (red.folder / f"{number % 7}.txt").unlink()
        red.wait()
    blue = fleet.device("blue")
    blue.join(red.pair())
    blue.start()
    blue.mount()
    fleet.settle()
    assert blue.workspace.cursor >= 40


def test_a_workspace_made_between_pair_and_join_can_be_mounted(fleet: Fleet) -> None:
    red, blue = fleet.device("red"), fleet.device("blue")
    red.join(fleet.host.invite("ana"))
    red.start()
    code = red.pair()
    (red.folder / "a.txt").write_bytes(b"a")
    red.add()
    blue.join(code)
    blue.start()
    blue.mount()
    fleet.settle()
    assert (blue.folder / "a.txt").read_bytes() == b"a"


def mount_when_its_keys_are_there(peer: Peer) -> None:
    """Whoever made the workspace gives the keys of it once it has heard of the device."""
    ends, pause = time.monotonic() + WAIT_S, threading.Event()
    request = messages.Mount(workspace="work", folder=str(peer.folder))
    while not isinstance(reply := peer.try_ask(request), messages.Mounted):
        assert isinstance(reply, messages.Failure)
        assert "still to come" in reply.message
        assert time.monotonic() < ends, reply
        pause.wait(0.1)


def test_a_workspace_made_while_nobody_knows_of_the_new_device_can_be_mounted(fleet: Fleet) -> None:
    red, blue = fleet.device("red"), fleet.device("blue")
    red.join(fleet.host.invite("ana"))
    red.start()
    code = red.pair()
    fleet.host.stop()
    red.until(lambda status: status.coordinator.state != "connected")
    fleet.host.start()
    blue.join(code)
    red.until(lambda status: status.coordinator.state == "connected")
    red.add()
    blue.start()
    mount_when_its_keys_are_there(blue)
    fleet.settle()
