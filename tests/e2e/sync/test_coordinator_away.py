"""A coordinator that is away, comes back, comes back older, or comes back as another."""

import shutil
from pathlib import Path

from tests.common.fleet import Fleet, Peer, as_ourselves, read_contents, read_tree


def codes(peer: Peer) -> set[str]:
    return {each.code for each in peer.workspace.problems}


def away(*peers: Peer) -> None:
    for peer in peers:
        peer.until(lambda status: status.coordinator.state != "connected")


def copy_data(fleet: Fleet, name: str) -> Path:
    """A plain copy of the stopped coordinator's data."""
    kept = fleet.place / name
    shutil.copytree(fleet.host.data, kept, symlinks=True)
    return kept


def put_back(fleet: Fleet, kept: Path) -> None:
    shutil.rmtree(fleet.host.data)
    shutil.copytree(kept, fleet.host.data, symlinks=True)


def overwrite(fleet: Fleet, kept: Path) -> None:
    """Put the copy back so that nothing about the files says so."""
    with as_ourselves():
        for path in sorted(fleet.host.data.rglob("*")):
            of = kept / path.relative_to(fleet.host.data)
            if path.is_file() and not of.exists():
                path.unlink()
            elif path.is_file() and path.read_bytes() != of.read_bytes():
                path.write_bytes(of.read_bytes())


def test_what_was_edited_meanwhile_comes_together_when_it_is_back(fleet: Fleet) -> None:
    red, blue = fleet.pair_of("red", "blue", fill=lambda folder: write(folder / "both.txt", b"base"))
    fleet.host.kill()
    away(red, blue)
    write(red.folder / "both.txt", b"as red has it")
    write(blue.folder / "both.txt", b"as blue has it")
    write(red.folder / "red only", b"red")
    write(blue.folder / "blue only", b"blue")
    assert red.workspace.state == "offline"
    assert red.run("wait", "--timeout", "0.5")[0] == 4
    fleet.host.start()
    fleet.settle()
    found = read_contents(red.folder)
    assert sorted(value or b"" for value in found.values()) == [b"as blue has it", b"as red has it", b"blue", b"red"]
    assert len(red.conflicts()) == 1


def test_devices_started_while_it_is_away_work_on(fleet: Fleet) -> None:
    red, blue = fleet.pair_of("red", "blue")
    red.stop()
    fleet.host.stop()
    write(red.folder / "offline", b"offline")
    red.start()
    assert red.status().coordinator.state != "connected"
    fleet.host.start()
    fleet.settle()
    assert (blue.folder / "offline").read_bytes() == b"offline"


def test_a_history_that_went_back_is_handed_back(fleet: Fleet) -> None:
    red, blue = fleet.pair_of("red", "blue", fill=lambda folder: write(folder / "a", b"one"))
    fleet.host.stop()
    kept = copy_data(fleet, "backup")
    fleet.host.start()
    write(red.folder / "a", b"two, after the backup")
    write(blue.folder / "b", b"made after the backup")
    before = fleet.settle()
    fleet.host.stop()
    away(red, blue)
    put_back(fleet, kept)
    write(red.folder / "c", b"made while it was away")
    fleet.host.start()
    tree = fleet.settle()
    assert before.items() <= tree.items()
    assert (blue.folder / "c").read_bytes() == b"made while it was away"
    assert codes(red) == codes(blue) == set()


def test_a_history_that_forked_is_reported_and_nothing_of_it_applied(fleet: Fleet) -> None:
    red, blue = fleet.pair_of("red", "blue", fill=lambda folder: write(folder / "a", b"one"))
    fleet.host.stop()
    kept = copy_data(fleet, "backup")
    fleet.host.start()
    blue.until(lambda status: status.coordinator.state == "connected")
    blue.stop()
    write(red.folder / "a", b"two, which only red has seen")
    red.wait()
    red.stop()
    fleet.host.stop()
    overwrite(fleet, kept)
    fleet.host.start()
    blue.start()
    write(blue.folder / "a", b"three, of another history")
    blue.wait()
    before = read_tree(red.folder)
    red.start()
    red.until(lambda status: any(each.code == "history_forked" for each in status.workspaces[0].problems))
    assert red.workspace.state == "error"
    assert red.run("wait", "--timeout", "60")[0] == 5
    assert read_tree(red.folder) == before
    write(red.folder / "more", b"more")
    red.stop()
    red.start()
    red.until(lambda status: any(each.code == "history_forked" for each in status.workspaces[0].problems))
    blue.wait()
    assert not (blue.folder / "more").exists()


def write(path: Path, data: bytes) -> None:
    path.write_bytes(data)
