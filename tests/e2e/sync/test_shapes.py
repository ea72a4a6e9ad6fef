"""Things that change their kind or their case, may not be written to, have two names, lie deep or are very many."""

import os
import shutil
from itertools import permutations
from pathlib import Path

import pytest

from peer.disk.root import MAX_DEPTH
from tests.common.fleet import read_contents
from tests.e2e.sync.conftest import Duo
from tests.e2e.sync.test_folders import has


def make(kind: str, path: Path, mark: str) -> None:
    match kind:
        case "file":
            path.write_bytes(mark.encode())
        case "symlink":
            path.symlink_to(mark)
        case _:
            path.mkdir()
            if kind == "full directory":
                (path / "below").mkdir()
                (path / "below" / mark).write_bytes(mark.encode())


def clear(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()


KINDS = ("file", "symlink", "directory", "full directory")


@pytest.mark.parametrize("running", [True, False], ids=["running", "stopped"])
def test_anything_may_take_the_place_of_anything(duo: Duo, running: bool) -> None:
    at = duo.red.folder / f"kinds {running}"
    there = duo.blue.folder / at.name
    at.mkdir()
    pairs = list(permutations(KINDS, 2))
    for before, after in pairs:
        make(before, at / f"{before} to {after}", "first")
    duo.fleet.settle()
    for peer, mine, others, mark in ((duo.blue, there, at, "second"), (duo.red, at, there, "third")):
        if not running:
            peer.stop()
        for pair in pairs:
            kinds = pair if mark == "second" else pair[::-1]
            path = mine / f"{pair[0]} to {pair[1]}"
            clear(path)
            make(kinds[1], path, mark)
        wanted = read_contents(mine)
        if not running:
            peer.start()
        duo.fleet.settle()
        assert read_contents(mine) == wanted
        assert read_contents(others) == wanted


def test_a_name_may_change_its_case_alone(duo: Duo) -> None:
    at, there = duo.red.folder / "case", duo.blue.folder / "case"
    (at / "Dir").mkdir(parents=True)
    (at / "Dir" / "Readme.TXT").write_bytes(b"readme")
    (at / "a").write_bytes(b"small")
    (at / "A").write_bytes(b"large")
    duo.fleet.settle()
    (there / "Dir" / "Readme.TXT").rename(there / "Dir" / "README.txt")
    (at / "Dir").rename(at / "dir")
    duo.fleet.settle()
    for where in (at, there):
        assert read_contents(where) == {"dir": None, "dir/README.txt": b"readme", "a": b"small", "A": b"large"}
    (there / "a").rename(there / "b")
    (there / "A").rename(there / "a")
    (there / "b").rename(there / "A")
    duo.fleet.settle()
    assert read_contents(at) == {"dir": None, "dir/README.txt": b"readme", "A": b"small", "a": b"large"}


def test_what_is_read_only_is_synced_and_stays_so(duo: Duo) -> None:
    at, there = duo.red.folder / "closed", duo.blue.folder / "closed"
    (at / "folder").mkdir(parents=True)
    (at / "file").write_bytes(b"read-only")
    (at / "file").chmod(0o444)
    (at / "folder" / "file").write_bytes(b"in a read-only folder")
    (at / "folder").chmod(0o555)
    writable = os.access(at / "folder", os.W_OK, effective_ids=True)
    duo.fleet.settle()
    (there / "file").write_bytes(b"edited there")
    (there / "folder" / "file").write_bytes(b"edited there, too")
    (there / "folder" / "new").write_bytes(b"new there")
    duo.blue.wait()
    if not writable:
        duo.red.until(has("unreadable", "closed/folder/file"))
        assert (at / "folder" / "file").read_bytes() == b"in a read-only folder"
        (at / "folder").chmod(0o755)
        duo.red.until(lambda status: not status.workspaces[0].problems)
    duo.fleet.settle()
    assert read_contents(at) == read_contents(there)
    assert (at / "folder" / "new").read_bytes() == b"new there"
    (at / "folder").chmod(0o755)
    (there / "file").unlink()
    duo.fleet.settle()
    assert not (at / "file").exists()


def test_two_names_of_one_file_are_a_file_each(duo: Duo) -> None:
    at, there = duo.red.folder / "linked", duo.blue.folder / "linked"
    at.mkdir()
    (at / "one").write_bytes(b"both")
    (at / "two").hardlink_to(at / "one")
    duo.fleet.settle()
    assert read_contents(there) == {"one": b"both", "two": b"both"}
    assert (there / "one").stat().st_ino != (there / "two").stat().st_ino
    with (at / "one").open("r+b") as file:
        file.write(b"edited in place, under both names")
    duo.red.stop()
    duo.red.start()
    duo.fleet.settle()
    assert read_contents(there) == dict.fromkeys(("one", "two"), b"edited in place, under both names")
    (there / "one").write_bytes(b"edited there, one of them")
    duo.fleet.settle()
    assert read_contents(at) == {"one": b"edited there, one of them", "two": b"edited in place, under both names"}
    (at / "two").unlink()
    duo.fleet.settle()
    assert read_contents(there) == {"one": b"edited there, one of them"}


def test_a_path_may_be_as_deep_as_it_is_allowed_and_a_deeper_one_is_said(duo: Duo) -> None:
    at = duo.red.folder / "deep"
    bottom = at.joinpath(*["d"] * (MAX_DEPTH - 2))
    bottom.mkdir(parents=True)
    (bottom / "file").write_bytes(b"at the bottom")
    duo.fleet.settle()
    there = duo.blue.folder / bottom.relative_to(duo.red.folder)
    assert (there / "file").read_bytes() == b"at the bottom"
    (there / "file").rename(there / "renamed")
    (bottom / "too").mkdir()
    (bottom / "too" / "deep").write_bytes(b"stays here")
    duo.red.until(lambda status: any("too" in each.path for each in status.workspaces[0].problems))
    (bottom / "too" / "deep").unlink()
    (bottom / "too").rmdir()
    duo.red.stop()
    duo.red.start()
    duo.fleet.settle()
    assert (bottom / "renamed").read_bytes() == b"at the bottom"


def test_long_names_all_the_way_down(duo: Duo) -> None:
    at = duo.red.folder / "long"
    place = at
    while len(os.fspath(place)) + 2 * 250 < 4096 - 300:
        place = place / f"{len(place.parts)}".ljust(250, "n")
    place.mkdir(parents=True)
    (place / "end").write_bytes(b"end")
    duo.fleet.settle()
    assert (duo.blue.folder / place.relative_to(duo.red.folder) / "end").read_bytes() == b"end"
    at.rename(duo.red.folder / ("long" * 40))
    duo.fleet.settle()
    assert not (duo.blue.folder / "long").exists()
