"""Too few descriptors, and a disk on which everything takes long: late, and nothing wrong."""

import resource
from pathlib import Path

import pytest

from tests.common.fleet import Fleet, Peer, as_ourselves, read_contents
from tests.common.processes import give
from tests.faults.failing import Failing, slow
from tests.faults.library import has_compiler


def limit_descriptors(peer: Peer, most: int) -> None:
    with as_ourselves():
        hard = resource.prlimit(peer.program.pid, resource.RLIMIT_NOFILE)[1]
        resource.prlimit(peer.program.pid, resource.RLIMIT_NOFILE, (most, hard))


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
