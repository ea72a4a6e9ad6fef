"""Disks without room, here and at the coordinator: said, nothing torn or lost, and it goes on once there is room."""

import subprocess
from collections.abc import Callable
from pathlib import Path

from peer.control import messages
from simulations.noise import noise
from tests.common.fleet import Fleet, read_contents
from tests.e2e.sync.test_folders import has
from tests.faults.mounts import enlarge, in_own_mounts, mount_small

MIB = 1024 * 1024


def has_code(status: messages.Status, code: str) -> bool:
    return any(each.code == code for one in status.workspaces for each in one.problems)


def without(code: str) -> Callable[[messages.Status], bool]:
    return lambda status: not has_code(status, code)


@in_own_mounts
def test_a_full_disk_below_the_folder_holds_up_only_what_does_not_fit(fleet: Fleet) -> None:
    red, blue = fleet.device("red"), fleet.device("blue")
    mount_small(red.folder, 24)
    (red.folder / "before").write_bytes(b"before")
    red.join(fleet.host.invite("ana"))
    red.start()
    red.add()
    blue.join(red.pair())
    blue.start()
    blue.mount()
    fleet.settle()
    (blue.folder / "large").write_bytes(noise(30 * MIB))
    for number in range(20):
        (blue.folder / f"many {number}").write_bytes(noise(MIB, b"%d" % number))
    red.until(lambda status: has_code(status, "disk_full"))
    (blue.folder / "before").write_bytes(b"edited")
    blue.wait()
    assert not (red.folder / "large").exists()
    assert {path.name for path in blue.folder.iterdir()} >= {"large", "before", "many 0"}
    for path, data in read_contents(red.folder).items():
        assert data in (read_contents(blue.folder)[path], b"before"), path
    enlarge(red.folder, 200)
    red.until(without("disk_full"))
    fleet.settle()
    assert (red.folder / "before").read_bytes() == b"edited"


@in_own_mounts
def test_a_full_disk_below_the_home_stops_and_goes_on(fleet: Fleet) -> None:
    red = fleet.device("red")
    red.home.mkdir(mode=0o700)
    mount_small(red.home, 12)
    red.join(fleet.host.invite("ana"))
    red.start()
    red.add()
    blue = fleet.device("blue")
    blue.join(red.pair())
    blue.start()
    blue.mount()
    fleet.settle()
    fill(red.home / "ballast")
    for number in range(300):
        (red.folder / f"mine {number}").write_bytes(b"%d" % number)
        (blue.folder / f"theirs {number}").write_bytes(b"%d" % number)
    red.until(lambda status: has_code(status, "disk_full"))
    assert {path.name for path in blue.folder.iterdir()} >= {f"theirs {number}" for number in range(300)}
    (red.home / "ballast").unlink()
    red.until(without("disk_full"))
    fleet.settle()
    assert len(list(blue.folder.iterdir())) == 601


@in_own_mounts
def test_a_full_disk_at_the_coordinator_is_said_and_waited_out(fleet: Fleet) -> None:
    fleet.host.stop()
    fleet.host.data.rename(fleet.place / "was")
    fleet.host.data.mkdir(mode=0o700)
    mount_small(fleet.host.data, 72)
    subprocess.run(["cp", "-a", f"{fleet.place}/was/.", str(fleet.host.data)], check=True)
    fleet.host.start()
    red, blue = fleet.pair_of("red", "blue")
    (red.folder / "large").write_bytes(noise(20 * MIB))
    red.until(has("server_full"))
    (blue.folder / "deleted").write_bytes(b"")
    enlarge(fleet.host.data, 200)
    red.until(without("server_full"))
    fleet.settle()
    assert (blue.folder / "large").read_bytes() == noise(20 * MIB)


def fill(path: Path) -> None:
    """Take all the room there is."""
    with path.open("wb", buffering=0) as file:
        size = MIB
        while size:
            try:
                file.write(bytes(size))
            except OSError:
                size //= 2
