"""Files that have other bytes although nobody saved them, as after a crash."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from peer.control import messages
from tests.common.fleet import Fleet, Peer, read_contents

GOOD = b"what was saved" * 1000


def fill(folder: Path) -> None:
    (folder / "file").write_bytes(GOOD)
    (folder / "other").write_bytes(b"other")


def zero(path: Path) -> bytes:
    """As a file system may leave a file after a crash: zeros of the same length, of the same time."""
    return overwrite(path, bytes(len(GOOD)))


def cut(path: Path) -> bytes:
    """The same: nothing is left of it."""
    return overwrite(path, b"")


def overwrite(path: Path, data: bytes) -> bytes:
    before = path.stat()
    with path.open("r+b") as file:
        file.truncate(len(data))
        file.write(data)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    return data


def is_suspect(status: messages.Status) -> bool:
    return any((each.path, each.code) == ("file", "suspect_file") for each in status.workspaces[0].problems)


def rescued(peer: Peer) -> list[bytes]:
    return [path.read_bytes() for path in (peer.folder / ".shoal" / "rescue").iterdir()]


@pytest.mark.parametrize(("damage", "running"), [(zero, False), (cut, True)], ids=["zeros, stopped", "cut, running"])
def test_what_nobody_saved_is_kept_aside_and_the_synced_version_put_back(
    fleet: Fleet, damage: Callable[[Path], bytes], running: bool
) -> None:
    red, blue = fleet.pair_of("red", "blue", fill=fill)
    head = red.workspace.head
    if not running:
        red.stop()
    found = damage(red.folder / "file")
    if not running:
        red.start()
    red.until(is_suspect)
    red.wait(problems=True)
    assert red.problems() == {("file", "suspect_file")}
    red.come_to_rest()
    assert read_contents(red.folder) == read_contents(blue.folder) == {"file": GOOD, "other": b"other"}
    assert rescued(red) == [found]
    (said,) = red.workspace.problems
    (kept,) = (red.folder / ".shoal" / "rescue").iterdir()
    assert f".shoal/rescue/{kept.name}" in said.message
    fleet.settle(problems=True)
    assert red.workspace.head == head
    kept.unlink()
    red.wait()


def test_what_the_journal_has_since_is_what_is_put_back(fleet: Fleet) -> None:
    red, blue = fleet.pair_of("red", "blue", fill=fill)
    red.stop()
    found = zero(red.folder / "file")
    (blue.folder / "file").write_bytes(b"edited there")
    blue.wait()
    red.start()
    red.until(is_suspect)
    red.wait(problems=True)
    assert read_contents(red.folder)["file"] == b"edited there"
    assert rescued(red) == [found]
    assert not red.conflicts()
    (red.folder / "other").write_bytes(b"goes on")
    fleet.settle(problems=True)
    (red.folder / "file").write_bytes(b"saved again")
    fleet.settle()
    assert (blue.folder / "file").read_bytes() == b"saved again"


def test_what_was_deleted_elsewhere_goes_and_what_was_found_stays_aside(fleet: Fleet) -> None:
    red, blue = fleet.pair_of("red", "blue", fill=fill)
    red.stop()
    found = zero(red.folder / "file")
    (blue.folder / "file").unlink()
    blue.wait()
    red.start()
    red.until(is_suspect)
    fleet.settle(problems=True)
    assert read_contents(red.folder) == {"other": b"other"}
    assert rescued(red) == [found]


def test_without_the_coordinator_it_is_kept_at_once_and_put_back_later(fleet: Fleet) -> None:
    red, blue = fleet.pair_of("red", "blue", fill=fill)
    fleet.host.stop()
    red.stop()
    found = zero(red.folder / "file")
    red.start()
    red.until(is_suspect)
    assert rescued(red) == [found]
    red.kill()
    fleet.host.start()
    red.start()
    red.wait(problems=True)
    assert rescued(red) == [found]
    assert read_contents(red.folder) == read_contents(blue.folder) == {"file": GOOD, "other": b"other"}


def test_an_edit_of_the_same_length_is_an_edit(fleet: Fleet) -> None:
    red, blue = fleet.pair_of("red", "blue", fill=fill)
    (red.folder / "file").write_bytes(GOOD[::-1])
    fleet.settle()
    assert (blue.folder / "file").read_bytes() == GOOD[::-1]
    assert rescued(red) == []
