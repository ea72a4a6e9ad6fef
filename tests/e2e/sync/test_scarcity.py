"""Too few descriptors or watches, a slow disk, a mount over things: late, and nothing wrong."""

import subprocess
from pathlib import Path

import pytest

from tests.common.clocks import hurried
from tests.common.fleet import Fleet, Peer, as_ourselves, read_contents
from tests.common.processes import give, unprivileged
from tests.e2e.sync.test_full_disks import has_code
from tests.faults.failing import Failing, slow
from tests.faults.library import has_compiler
from tests.faults.mounts import in_own_mounts, mount_small, unmount


def limit_descriptors(peer: Peer, most: int) -> None:
    """Its own user may do that, and root need not."""
    with as_ourselves():
        subprocess.run(["prlimit", f"--pid={peer.program.pid}", f"--nofile={most}:"], check=True, **unprivileged())


def write_some(folder: Path, word: str) -> dict[str, bytes | None]:
    """Files and directories that are new, in a directory of their own."""
    (folder / word / "below").mkdir(parents=True)
    for number in range(6):
        (folder / word / "below" / f"{number}").write_bytes(f"{word} {number}".encode() * 1000)
    return {path: data for path, data in read_contents(folder).items() if path.startswith(word)}


def test_too_few_descriptors_make_things_late(fleet: Fleet) -> None:
    red, blue = fleet.pair_of("red", "blue")
    with as_ourselves():
        used = red.program.descriptors()
    limit_descriptors(red, used)
    written = write_some(red.folder, "red") | write_some(blue.folder, "blue")
    blue.wait(problems=True)
    red.status()
    limit_descriptors(red, 1024)
    red.until(lambda status: not status.workspaces[0].problems)
    fleet.settle()
    assert read_contents(red.folder) == written


@pytest.mark.skipif(not has_compiler(), reason="no C compiler (on Debian: apt-get install gcc libc6-dev)")
def test_a_slow_disk_makes_things_late(fleet: Fleet) -> None:
    red, blue = fleet.pair_of("red", "blue")
    place = fleet.place / "faults"
    place.mkdir()
    failing = Failing(give(place))
    red.stop()
    red.env = failing.env
    red.start()
    failing.set([slow("*", 40, f"{red.folder}*")])
    written = write_some(red.folder, "red") | write_some(blue.folder, "blue")
    fleet.settle()
    assert read_contents(red.folder) == written
    assert failing.hits()
    assert red.conflicts() == set()


@in_own_mounts
def test_what_the_system_does_not_watch_is_scanned_and_that_is_said(fleet: Fleet) -> None:
    Path("/proc/sys/user/max_inotify_watches").write_text("4")
    red = fleet.device("red")
    red.env = hurried(20)
    for number in range(6):
        (red.folder / f"{number}").mkdir(parents=True)
    red.join(fleet.host.invite("ana"))
    red.start()
    red.add()
    status = red.until(lambda status: has_code(status, "watch_limit"))
    assert "max_user_watches" in str(status)
    blue = fleet.device("blue")
    blue.join(red.pair())
    blue.start()
    blue.mount()
    blue.wait(problems=True)
    for number in range(6):
        (red.folder / f"{number}" / "unseen").write_bytes(b"%d" % number)
        (blue.folder / f"{number}" / "blue's").write_bytes(b"%d" % number)
    # Nobody asks for a scan here: what is not watched is found by the one that comes round.
    red.until(lambda status: len(read_contents(red.folder)) == 6 + 12)
    blue.until(lambda status: len(read_contents(blue.folder)) == 6 + 12)
    assert read_contents(red.folder) == read_contents(blue.folder)


@in_own_mounts
def test_what_a_mount_hides_is_not_deleted(fleet: Fleet) -> None:
    red, blue = fleet.pair_of("red", "blue")
    write_some(red.folder, "hidden")
    fleet.settle()
    before = read_contents(blue.folder)
    mount_small(red.folder / "hidden", 4)
    (red.folder / "hidden" / "on the other disk").write_bytes(b"not synced")
    (red.folder / "beside").write_bytes(b"beside")
    (blue.folder / "hidden" / "from blue").write_bytes(b"from blue")
    red.stop()
    red.env = hurried(20)
    red.start()
    status = red.until(lambda status: has_code(status, "unreadable"))
    assert "hidden" in str(status)
    blue.until(lambda status: (blue.folder / "beside").exists())
    blue.wait(problems=True)
    assert read_contents(blue.folder).items() >= before.items()
    assert not (blue.folder / "hidden" / "on the other disk").exists()
    unmount(red.folder / "hidden")
    red.until(lambda status: not has_code(status, "unreadable"))
    fleet.settle()
    assert (red.folder / "hidden" / "from blue").read_bytes() == b"from blue"
    assert read_contents(red.folder) == read_contents(blue.folder)
