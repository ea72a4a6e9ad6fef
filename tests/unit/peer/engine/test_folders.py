"""Which folders may be synced."""

import os
from pathlib import Path

import pytest

from peer.engine.folders import CannotDo, check_folder, claim, claimed_by, release
from peer.home import Home
from tests.common.control_server import joined_home


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path.resolve()


@pytest.fixture
def home(place: Path) -> Home:
    made = joined_home(place / "homes" / "one")
    made.database.touch()
    return made


@pytest.fixture
def other(place: Path) -> Home:
    made = joined_home(place / "homes" / "two")
    made.database.touch()
    return made


def synced(path: Path, by: Home) -> Path:
    (path / ".shoal").mkdir(parents=True)
    claim(path, by)
    return path


def refusal(folder: Path, home: Home, *taken: Path) -> str:
    with pytest.raises(CannotDo) as refused:
        check_folder(folder, home, taken, make=True)
    return str(refused.value)


def test_a_folder_with_files_and_one_that_is_not_there_yet_may_be_synced(place: Path, home: Home, other: Home) -> None:
    (place / "full" / "below").mkdir(parents=True)
    assert check_folder(place / "full", home, ()) == place / "full"
    assert check_folder(place / "new" / "deep", home, (place / "full",), make=True) == place / "new" / "deep"
    os.symlink(place / "full", place / "link")
    assert check_folder(place / "link", home, ()) == place / "full"


def test_what_this_home_syncs_already_overlaps(place: Path, home: Home) -> None:
    taken = place / "docs"
    (taken / "below").mkdir(parents=True)
    for each in (taken, taken / "below", taken / "new", place):
        words = refusal(each, home, taken)
        assert str(taken) in words
        assert str(each) in words or each.name == "new"
    assert not (taken / "new").exists(), "nothing may be made in somebody's synced folder"


def test_what_another_home_syncs_is_refused_with_both_names_until_it_lets_go(
    place: Path, home: Home, other: Home
) -> None:
    taken = synced(place / "a" / "docs", other)
    (taken / "below").mkdir()
    for each in (taken, taken / "below", taken / "new", place / "a"):
        words = refusal(each, home)
        assert str(taken) in words
        assert str(other.path) in words
    assert not (taken / "new").exists()
    release(taken, home)
    assert claimed_by(taken) == other.path
    release(taken, other)
    assert claimed_by(taken) is None
    for each in (taken, taken / "below", place / "a"):
        assert check_folder(each, home, ()) == each


def test_a_folder_whose_home_is_lost_may_be_synced_again(place: Path, home: Home, other: Home) -> None:
    taken = synced(place / "docs", other)
    other.identity.unlink()
    assert check_folder(taken, home, ()) == taken


def test_its_own_claim_left_by_a_crash_is_no_obstacle(place: Path, home: Home) -> None:
    taken = synced(place / "docs", home)
    assert check_folder(taken, home, ()) == taken


def test_homes_are_private(place: Path, home: Home, other: Home) -> None:
    for of in (home, other):
        for each in (of.path, of.path / "log", of.path / "new", of.path.parent):
            assert "homes" in refusal(each, home)
    assert not (other.path / "new").exists()


def test_what_is_no_folder_is_refused(place: Path, home: Home) -> None:
    (place / "file").touch()
    assert "file" in refusal(place / "file", home)
    with pytest.raises(CannotDo, match="nowhere"):
        check_folder(place / "nowhere", home, ())


@pytest.mark.parametrize("claimed", [b"", b"relative", b"/a\0b", b"\xff" * 5000])
def test_a_garbled_claim_is_none(place: Path, claimed: bytes) -> None:
    (place / ".shoal").mkdir()
    (place / ".shoal" / "home").write_bytes(claimed)
    assert claimed_by(place) is None
