"""Homes that are lost, old, or there twice; folders and histories that are older or other than what was known."""

import os
import shutil
import sqlite3
import time
from pathlib import Path

from peer.control import messages
from tests.common.fleet import Fleet, Peer, as_ourselves, read_contents
from tests.e2e.sync.test_coordinator_away import copy_data, overwrite

OLD_S = 1_600_000_000
SMALL_BYTES = 400
"""More than the block of a file of a few words."""


def write(path: Path, data: bytes, mtime_s: int | None = None) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(data)
    if mtime_s is not None:
        os.utime(path, (mtime_s, mtime_s))


def fill(folder: Path) -> None:
    for number in range(12):
        write(folder / "many" / f"{number}", b"%d" % number, OLD_S)
    write(folder / "edited", b"first", OLD_S)
    write(folder / "old" / "moved", b"moved with its folder", OLD_S)
    (folder / "link").symlink_to("first target")
    write(folder / "gone", b"deleted since", OLD_S)
    write(folder / "gone too" / "below", b"deleted with its folder", OLD_S)


def change_elsewhere(folder: Path) -> None:
    """All that may have happened to what `fill` made."""
    write(folder / "edited", b"second")
    (folder / "link").unlink()
    (folder / "link").symlink_to("second target")
    (folder / "old").rename(folder / "new")
    (folder / "gone").unlink()
    shutil.rmtree(folder / "gone too")
    write(folder / "made since", b"made since")


def has(code: str, status: messages.Status) -> bool:
    return any(each.code == code for one in status.workspaces for each in one.problems)


def rescued(peer: Peer) -> list[bytes]:
    found = [path for path in (peer.folder / ".shoal" / "rescue").rglob("*") if path.is_file()]
    return sorted(path.read_bytes() for path in found)


def copy(source: Path, target: Path) -> None:
    shutil.copytree(source, target, symlinks=True, ignore=shutil.ignore_patterns("control*", "socket*"))


def sent(peer: Peer) -> int:
    return peer.status().transfer.server_out


def received(peer: Peer) -> int:
    return peer.status().transfer.server_in


# --- a lost home ----------------------------------------------------------------------------------------


def test_a_folder_whose_home_is_lost_is_taken_up_by_another_without_a_transfer(fleet: Fleet) -> None:
    red, blue = fleet.pair_of("red", "blue", fill=fill)
    blue.stop()
    change_elsewhere(red.folder)
    red.wait()
    shutil.rmtree(blue.home)
    write(blue.folder / "mine", b"made while nobody looked")
    blue.join(red.pair())
    blue.start()
    blue.mount()
    tree = fleet.settle()
    contents = read_contents(blue.folder)
    assert contents.keys() == {*(f"many/{number}" for number in range(12)), "many", "edited", "new", "new/moved"} | {
        "made since",
        "mine",
        "link",
    }
    assert contents["edited"] == b"second"
    assert contents["link"] == b"-> second target"
    assert not blue.conflicts()
    assert rescued(blue) == [b"deleted since", b"deleted with its folder"]
    assert tree == red.tree()
    assert sent(blue) < 2 * SMALL_BYTES, "only what was made here is sent"
    assert received(blue) < 3 * SMALL_BYTES, "only what was made or edited elsewhere comes"


def test_what_was_edited_in_a_folder_whose_home_is_lost_is_kept_beside_the_journals(fleet: Fleet) -> None:
    red, blue = fleet.pair_of("red", "blue", fill=fill)
    blue.stop()
    write(blue.folder / "edited", b"edited here, in nobody's view")
    write(red.folder / "gone", b"edited there")
    red.wait()
    shutil.rmtree(blue.home)
    blue.join(red.pair())
    blue.start()
    blue.mount()
    fleet.settle()
    contents = read_contents(red.folder)
    assert contents["gone"] == b"edited there"
    assert sorted(data or b"" for name, data in contents.items() if name.startswith("edited")) == [
        b"edited here, in nobody's view",
        b"first",
    ]
    assert len(red.conflicts()) == 1


def test_a_folder_that_was_unmounted_comes_back_as_it_is_now(fleet: Fleet) -> None:
    red, blue = fleet.pair_of("red", "blue", fill=fill)
    blue.unmount()
    change_elsewhere(red.folder)
    red.wait()
    before = received(blue)
    blue.mount()
    fleet.settle()
    assert not blue.conflicts()
    assert rescued(blue) == [b"deleted since", b"deleted with its folder"]
    assert received(blue) - before < 3 * SMALL_BYTES


def test_what_was_in_a_directory_that_another_has_the_name_of_now_stays_deleted(fleet: Fleet) -> None:
    def fill_deeper(folder: Path) -> None:
        write(folder / "album" / "stays", b"stays", OLD_S)
        (folder / "album" / "day").mkdir()
        write(folder / "album" / "day" / "gone", b"deleted with its directory", OLD_S)
        write(folder / "album" / "day" / "kept", b"moved out and in again", OLD_S)

    red, blue = fleet.pair_of("red", "blue", fill=fill_deeper)
    blue.stop()
    (red.folder / "album" / "day" / "kept").rename(red.folder / "kept")
    red.wait()
    shutil.rmtree(red.folder / "album" / "day")
    red.wait()
    (red.folder / "album" / "day").mkdir()
    (red.folder / "kept").rename(red.folder / "album" / "day" / "kept too")
    (red.folder / "album").rename(red.folder / "year")
    red.wait()
    shutil.rmtree(blue.home)
    blue.join(red.pair())
    blue.start()
    blue.mount()
    fleet.settle()
    assert read_contents(red.folder) == {
        "year": None,
        "year/stays": b"stays",
        "year/day": None,
        "year/day/kept too": b"moved out and in again",
    }
    assert rescued(blue) == [b"deleted with its directory"]
    assert received(blue) < SMALL_BYTES, "nothing comes again that is there"


def test_a_home_whose_database_is_damaged_says_so_and_begins_again_without_it(fleet: Fleet) -> None:
    red, blue = fleet.pair_of("red", "blue", fill=fill)
    write(blue.folder / "made here", b"made here")
    fleet.settle()
    blue.stop()
    change_elsewhere(red.folder)
    red.wait()
    path = blue.home / "state.db"
    path.write_bytes(path.read_bytes()[:100] + bytes(path.stat().st_size - 100))
    status, _, err = blue.run("start", "--foreground")
    assert (status, str(path) in err) == (1, True), err
    for each in blue.home.glob("state.db*"):
        each.unlink()
    write(blue.folder / "mine", b"made while nobody looked")
    blue.start()
    blue.mount()
    tree = fleet.settle()
    assert {"mine", "made here", "made since", "new/moved"} <= tree.keys()
    assert {"gone", "old"}.isdisjoint(tree)
    assert not blue.conflicts()
    write(blue.folder / "edited", b"goes on")
    fleet.settle()
    assert blue.problems() == set()


# --- an old home ----------------------------------------------------------------------------------------


def test_a_home_put_back_from_a_backup_begins_anew_and_loses_nothing(fleet: Fleet) -> None:
    red, blue = fleet.pair_of("red", "blue", fill=fill)
    blue.stop()
    copy(blue.home, blue.place / "backup")
    blue.start()
    write(blue.folder / "edited", b"committed after the backup")
    write(blue.folder / "new here", b"new here")
    blue.wait()
    blue.stop()
    write(blue.folder / "edited", b"edited after that")
    shutil.rmtree(blue.home)
    (blue.place / "backup").rename(blue.home)
    blue.start()
    write(blue.folder / "more", b"more")
    fleet.settle()
    contents = read_contents(red.folder)
    assert contents["more"] == b"more"
    assert contents["new here"] == b"new here"
    edited = sorted(data or b"" for name, data in contents.items() if name.startswith("edited"))
    assert edited == [b"committed after the backup", b"edited after that"]
    write(blue.folder / "more", b"it goes on")
    fleet.settle()
    assert not has("cloned_home", blue.status())


def test_a_home_and_a_folder_put_back_together_are_brought_forward(fleet: Fleet) -> None:
    red, blue = fleet.pair_of("red", "blue", fill=fill)
    blue.stop()
    copy(blue.place, fleet.place / "backup")
    blue.start()
    write(blue.folder / "edited", b"committed after the backup")
    fleet.settle()
    change_elsewhere(red.folder)
    fleet.settle()
    blue.stop()
    shutil.rmtree(blue.place)
    (fleet.place / "backup").rename(blue.place)
    blue.start()
    tree = fleet.settle()
    assert read_contents(blue.folder)["edited"] == b"second"
    assert not blue.conflicts()
    assert set(rescued(blue)) <= {b"deleted since", b"deleted with its folder"}
    assert "gone" not in tree


def test_a_home_that_is_older_than_its_folder_takes_nothing_there_for_an_edit(fleet: Fleet) -> None:
    red, blue = fleet.pair_of("red", "blue", fill=fill)
    blue.stop()
    copy(blue.home, blue.place / "backup")
    blue.start()
    change_elsewhere(red.folder)
    fleet.settle()
    blue.stop()
    write(red.folder / "edited", b"third")
    write(red.folder / "many" / "5", b"five")
    red.wait()
    shutil.rmtree(blue.home)
    (blue.place / "backup").rename(blue.home)
    blue.start()
    tree = fleet.settle()
    assert not blue.conflicts()
    assert (blue.folder / "edited").read_bytes() == b"third"
    assert {"gone", "old"}.isdisjoint(tree)


def test_a_folder_put_back_from_a_backup_is_asked_about_and_then_brought_forward(fleet: Fleet) -> None:
    red, blue = fleet.pair_of("red", "blue", fill=fill)
    blue.stop()
    copy(blue.folder, blue.place / "backup")
    blue.start()
    write(blue.folder / "edited", b"second")
    write(blue.folder / "made since", b"made since")
    (blue.folder / "gone").unlink()
    before = fleet.settle()
    blue.stop()
    shutil.rmtree(blue.folder)
    (blue.place / "backup").rename(blue.folder)
    blue.start()
    blue.until(lambda status: has("root_replaced", status))
    assert blue.workspace.state == "waiting"
    red.wait()
    assert red.tree() == before
    assert "older copy" in blue.must("confirm", str(blue.folder))
    assert fleet.settle() == before
    assert not blue.conflicts()
    assert rescued(blue) == [b"deleted since"]


# --- a home that is there twice -------------------------------------------------------------------------


def clone(fleet: Fleet, of: Peer, name: str) -> Peer:
    """A copy of a stopped device, home and folder, on what might be another machine."""
    other = fleet.device(name)
    shutil.rmtree(other.place)
    copy(of.place, other.place)
    with sqlite3.connect(other.home / "state.db") as database:
        database.execute("UPDATE workspaces SET folder = ?", (str(other.folder),))
    database.close()
    (other.folder / ".shoal" / "home").write_bytes(os.fsencode(other.home))
    return other


def test_of_two_copies_of_a_home_at_work_at_once_one_stops_and_says_so(fleet: Fleet) -> None:
    red, blue = fleet.pair_of("red", "blue", fill=fill)
    blue.stop()
    twin = clone(fleet, blue, "twin")
    blue.start()
    twin.start()
    for number in range(20):
        for peer in (blue, twin):
            write(peer.folder / f"{peer.name} {number}", b"%d" % number)
            peer.wait(problems=True)
        if has("cloned_home", blue.status()) or has("cloned_home", twin.status()):
            break
    stopped, going = (blue, twin) if has("cloned_home", blue.status()) else (twin, blue)
    assert has("cloned_home", stopped.status())
    assert stopped.workspace.state == "error"
    assert stopped.run("wait", "--timeout", "60")[0] == 5
    stopped.stop()
    stopped.start()
    assert has("cloned_home", stopped.status())
    stopped.stop()
    write(stopped.folder / "kept", b"kept")
    shutil.rmtree(stopped.home)
    stopped.join(red.pair())
    stopped.start()
    stopped.mount()
    tree = fleet.settle()
    assert not any("conflicted" in path for path in tree)
    assert {"kept", "blue 0", "twin 0"} <= tree.keys()
    going.come_to_rest()


# --- histories ------------------------------------------------------------------------------------------


def test_a_forked_history_can_be_taken_and_nothing_is_lost(fleet: Fleet) -> None:
    red, blue = fleet.pair_of("red", "blue", fill=fill)
    fleet.host.stop()
    kept = copy_data(fleet, "backup")
    fleet.host.start()
    blue.until(lambda status: status.coordinator.state == "connected")
    blue.stop()
    write(red.folder / "edited", b"which only red has seen")
    write(red.folder / "only red", b"only red")
    (red.folder / "many" / "3").unlink()
    red.wait()
    red.stop()
    fleet.host.stop()
    overwrite(fleet, kept)
    fleet.host.start()
    blue.start()
    write(blue.folder / "edited", b"of another history")
    write(blue.folder / "only blue", b"only blue")
    (blue.folder / "gone").unlink()
    blue.wait()
    red.start()
    red.until(lambda status: has("history_forked", status))
    write(red.folder / "meanwhile", b"meanwhile")
    assert "history" in red.must("confirm", str(red.folder))
    fleet.settle()
    contents = read_contents(red.folder)
    assert {"only red", "only blue", "meanwhile", "many/3"} <= contents.keys()
    edited = sorted(data or b"" for name, data in contents.items() if name.startswith("edited"))
    assert edited == [b"of another history", b"which only red has seen"]
    assert rescued(red) == [b"deleted since"]
    assert not has("history_forked", red.status())
    write(red.folder / "after", b"after")
    fleet.settle()


def test_a_workspace_that_the_coordinator_lost_altogether_is_handed_back(fleet: Fleet) -> None:
    red = fleet.device("red")
    red.join(fleet.host.invite("ana"))
    red.start()
    time.sleep(0)
    red.stop()
    fleet.host.stop()
    kept = copy_data(fleet, "backup")
    fleet.host.start()
    red.start()
    fill(red.folder)
    red.add()
    red.wait()
    fleet.host.stop()
    red.until(lambda status: status.coordinator.state != "connected")
    with as_ourselves():
        shutil.rmtree(fleet.host.data / "metadata", ignore_errors=True)
    overwrite(fleet, kept)
    fleet.host.start()
    red.wait()
    assert red.problems() == set()
    red.come_to_rest()
    write(red.folder / "after", b"after")
    red.wait()
