"""Disks whose calls fail, here and at the coordinator: nothing is concluded from it, nothing lost, and it goes on."""

import errno
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from peer.control import messages
from tests.common.fleet import WAIT_S, Fleet, Host, Peer, read_contents
from tests.common.processes import give
from tests.faults.failing import Failing, Rule
from tests.faults.library import has_compiler

pytestmark = pytest.mark.skipif(not has_compiler(), reason="no C compiler (on Debian: apt-get install gcc libc6-dev)")

READING = ("open", "read", "list", "readdir", "stat")


@pytest.fixture
def failing(fleet: Fleet) -> Failing:
    """What is set here applies to the program that was started with its `env`."""
    place = fleet.place / "faults"
    place.mkdir()
    return Failing(give(place))


def until(what: Callable[[], bool]) -> None:
    """Come back once that is so."""
    ends = time.monotonic() + WAIT_S
    while not what():
        assert time.monotonic() < ends
        threading.Event().wait(0.05)


def was_hit(failing: Failing, *calls: str) -> bool:
    return set(calls) <= {hit.partition(" ")[0] for hit in failing.hits()}


def codes(status: messages.Status) -> dict[str, str]:
    return {each.path: each.code for one in status.workspaces for each in one.problems}


def fill(folder: Path) -> None:
    for call in (*READING, "fine"):
        (folder / call / "deep").mkdir(parents=True)
        for name in ("a", "b", "deep/c"):
            (folder / call / name).write_bytes(f"{call} {name}".encode())


def restart(one: Peer | Host, failing: Failing) -> None:
    one.stop()
    one.env = failing.env
    one.start()


def test_what_cannot_be_read_is_unknown_and_holds_up_nothing_else(fleet: Fleet, failing: Failing) -> None:
    red, blue = fleet.pair_of("red", "blue", fill=fill)
    before = read_contents(blue.folder)
    red.stop()
    for call in (*READING, "fine"):
        (red.folder / call / "a").write_bytes(b"edited while away")
        (red.folder / call / "deep" / "new").write_bytes(b"new")
    failing.set([Rule(call, errno.EIO, f"{red.folder}/{call}*") for call in READING])
    red.env = failing.env
    red.start()
    red.until(lambda status: set(READING) <= {path.partition("/")[0] for path in codes(status)})
    assert set(codes(red.status()).values()) == {"unreadable"}
    (blue.folder / "fine" / "b").write_bytes(b"edited there")
    until(lambda: (red.folder / "fine" / "b").read_bytes() == b"edited there")
    until(lambda: (blue.folder / "fine" / "deep" / "new").exists())
    assert before.keys() <= read_contents(blue.folder).keys()
    (blue.folder / "read" / "b").write_bytes(b"edited there")
    (blue.folder / "list" / "b").unlink()
    blue.wait()
    failing.clear()
    red.until(lambda status: not codes(status))
    fleet.settle()
    assert (blue.folder / "list" / "a").read_bytes() == b"edited while away"
    assert (red.folder / "read" / "b").read_bytes() == b"edited there"
    assert not (red.folder / "list" / "b").exists()


def test_whatever_of_applying_fails_it_is_done_later(fleet: Fleet, failing: Failing) -> None:
    red, blue = fleet.pair_of("red", "blue", fill=fill)
    restart(red, failing)
    private = f"{red.folder}/.shoal"
    failing.set(
        [
            Rule("create", errno.ENOSPC, f"{private}/tmp/*", skip=3, count=2),
            Rule("write", errno.ENOSPC, f"{private}/tmp/*", skip=2, count=2),
            Rule("sync", errno.ENOSPC, f"{red.folder}*", skip=1, count=1),
            Rule("rename", errno.ENOSPC, f"{red.folder}/fine/*"),
            Rule("rename", errno.ENOSPC, f"{private}/swap/*", skip=4, count=2),
            Rule("mkdir", errno.ENOSPC, f"{red.folder}/*/made*", count=2),
            Rule("unlink", errno.ENOSPC, f"{private}/swap/*", count=2),
        ]
    )
    for call in (*READING, "fine"):
        there = blue.folder / call
        (there / "a").write_bytes(b"edited there")
        (there / "deep" / "c").unlink()
        (there / "b").rename(there / "renamed")
        (there / "made" / "below").mkdir(parents=True)
        (there / "made" / "below" / "new").write_bytes(b"new")
    blue.wait()
    until(lambda: was_hit(failing, "create", "write", "sync", "rename", "mkdir"))
    status = red.until(lambda status: bool(codes(status)))
    assert set(codes(status).values()) == {"disk_full"}
    here = read_contents(red.folder)
    for path, data in read_contents(blue.folder).items():
        if path.startswith("fine/") and data is not None:
            assert here.get(path) in (None, data, f"fine {path[5:]}".encode())
    failing.clear()
    red.until(lambda status: not codes(status))
    fleet.settle()
    assert read_contents(red.folder) == read_contents(blue.folder)


def test_a_local_database_that_fails_stops_the_folder_until_it_works(fleet: Fleet, failing: Failing) -> None:
    red, blue = fleet.pair_of("red", "blue", fill=fill)
    restart(red, failing)
    failing.set([Rule(call, errno.EIO, f"{red.home}/state.db*") for call in ("write", "sync")])
    (red.folder / "fine" / "a").write_bytes(b"edited here")
    (blue.folder / "fine" / "b").write_bytes(b"edited there")
    red.until(lambda status: codes(status).get("") == "unreadable")
    assert read_contents(blue.folder).keys() >= {"fine/a", "fine/b"}
    failing.clear()
    red.until(lambda status: not codes(status))
    fleet.settle()
    assert (blue.folder / "fine" / "a").read_bytes() == b"edited here"
    assert (red.folder / "fine" / "b").read_bytes() == b"edited there"


@pytest.mark.parametrize(
    ("where", "calls"),
    [("blocks/*", ("write", "sync")), ("metadata.db*", ("write", "sync"))],
    ids=["blocks", "metadata"],
)
def test_a_coordinator_whose_disk_fails_is_waited_for(
    fleet: Fleet, failing: Failing, where: str, calls: tuple[str, ...]
) -> None:
    red, blue = fleet.pair_of("red", "blue", fill=fill)
    restart(fleet.host, failing)
    failing.set([Rule(call, errno.EIO, f"{fleet.host.data}/{where}") for call in calls])
    (red.folder / "fine" / "a").write_bytes(b"edited here")
    (blue.folder / "fine" / "b").write_bytes(b"edited there")
    until(lambda: bool(failing.hits()))
    failing.clear()
    for peer in (red, blue):
        peer.until(lambda status: not codes(status))
    fleet.settle()
    assert (blue.folder / "fine" / "a").read_bytes() == b"edited here"
    assert (red.folder / "fine" / "b").read_bytes() == b"edited there"


def test_blocks_that_are_gone_are_waited_for(fleet: Fleet) -> None:
    red, blue = fleet.pair_of("red", "blue", fill=fill)
    blue.stop()
    (red.folder / "fine" / "a").write_bytes(b"edited here")
    red.wait()
    blocks, away = fleet.host.data / "blocks", fleet.host.data / "away"
    blocks.rename(away)
    blocks.mkdir(mode=0o700)
    blue.start()
    (red.folder / "fine" / "b").write_bytes(b"edited while they were away")
    until(lambda: "is gone" in fleet.host.program.stderr)
    assert (blue.folder / "fine" / "a").read_bytes() == b"fine a"
    assert list(blocks.iterdir()) == []
    fleet.host.stop()
    refused = fleet.host.launch()
    assert refused.wait() == 1
    assert "the blocks are not in" in refused.stderr
    blocks.rmdir()
    away.rename(blocks)
    fleet.host.start()
    fleet.settle()
    assert (blue.folder / "fine" / "a").read_bytes() == b"edited here"
    assert (blue.folder / "fine" / "b").read_bytes() == b"edited while they were away"


def test_a_directory_that_cannot_be_written_to_holds_up_only_what_is_in_it(fleet: Fleet, failing: Failing) -> None:
    red, blue = fleet.pair_of("red", "blue", fill=fill)
    restart(red, failing)
    failing.fail("rename", errno.EACCES, f"{red.folder}/fine/*")
    (blue.folder / "fine" / "a").write_bytes(b"edited there")
    (blue.folder / "fine" / "b").unlink()
    (blue.folder / "open" / "a").write_bytes(b"edited there")
    red.until(lambda status: {"fine/a", "fine/b"} <= codes(status).keys())
    until(lambda: (red.folder / "open" / "a").read_bytes() == b"edited there")
    failing.clear()
    red.until(lambda status: not codes(status))
    fleet.settle()
