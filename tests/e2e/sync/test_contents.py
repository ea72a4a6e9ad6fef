"""What a folder may hold: everything arrives as it is, and unchanged parts of it travel once."""

import os
import shutil

from simulations.noise import noise
from tests.common.fleet import read_contents
from tests.e2e.sync.conftest import Duo

MIB = 1024 * 1024


def test_attributes_links_and_empty_things_arrive(duo: Duo) -> None:
    at, there = duo.red.folder / "kinds", duo.blue.folder / "kinds"
    at.mkdir()
    (at / "empty").write_bytes(b"")
    (at / "empty directory").mkdir()
    (at / "script").write_bytes(b"#!")
    (at / "script").chmod(0o755)
    (at / "old").write_bytes(b"old")
    os.utime(at / "old", ns=(1_000_000_001_123_456_789, 1_000_000_001_123_456_789))
    (at / "link").symlink_to("old")
    (at / "dangling").symlink_to("../nowhere/at all")
    (at / "to directory").symlink_to("empty directory")
    duo.fleet.settle()
    assert (there / "old").stat().st_mtime_ns == 1_000_000_001_123_456_789
    assert os.readlink(there / "dangling") == "../nowhere/at all"
    (there / "script").chmod(0o644)
    (there / "link").unlink()
    (there / "link").symlink_to("script")
    os.utime(there / "old", (5, 5))
    duo.fleet.settle()
    assert not (at / "script").stat().st_mode & 0o100
    assert os.readlink(at / "link") == "script"
    assert (at / "old").stat().st_mtime == 5


def test_names_and_depths_are_kept(duo: Duo) -> None:
    at = duo.red.folder / "names"
    deep = at.joinpath(*["deeper"] * 60)
    deep.mkdir(parents=True)
    (deep / "bottom").write_bytes(b"bottom")
    for name in (
        "-rf",
        "*",
        " ",
        "a\\b",
        "CON",
        "x" * 255,
        "\u00e9" * 127,
        "caf\u0065\u0301",
        "\U0001f41f",
        "~",
        "$HOME",
        "#a#",
    ):
        (at / name).write_bytes(name.encode())
    duo.fleet.settle()
    assert read_contents(duo.blue.folder / "names") == read_contents(at)
    (duo.blue.folder / "names" / "-rf").rename(duo.blue.folder / "names" / "--")
    duo.fleet.settle()
    assert (at / "--").read_bytes() == b"-rf"


def test_a_name_in_another_unicode_form_stays_as_it_is_on_its_disk(duo: Duo) -> None:
    at, there = duo.red.folder / "forms", duo.blue.folder / "forms"
    at.mkdir()
    (at / "re\u0301sume\u0301").write_bytes(b"one")
    duo.fleet.settle()
    assert os.listdir(at) == ["re\u0301sume\u0301"]
    assert os.listdir(there) == ["r\u00e9sum\u00e9"]
    (there / "r\u00e9sum\u00e9").write_bytes(b"two, longer")
    duo.fleet.settle()
    assert os.listdir(at) == ["re\u0301sume\u0301"]
    assert (at / "re\u0301sume\u0301").read_bytes() == b"two, longer"


def test_of_two_names_that_are_equal_in_unicode_one_is_renamed_everywhere(duo: Duo) -> None:
    at, there = duo.red.folder / "twins", duo.blue.folder / "twins"
    at.mkdir()
    (at / "r\u00e9sum\u00e9.txt").write_bytes(b"composed")
    duo.fleet.settle()
    (at / "re\u0301sume\u0301.txt").write_bytes(b"decomposed")
    (at / "e\u0301").mkdir()
    (at / "\u00e9").mkdir()
    (at / "e\u0301" / "in").write_bytes(b"in")
    duo.fleet.settle()
    assert read_contents(there) == {
        "r\u00e9sum\u00e9.txt": b"composed",
        "r\u00e9sum\u00e9 (Unicode twin).txt": b"decomposed",
        "\u00e9": None,
        "\u00e9 (Unicode twin)": None,
        "\u00e9 (Unicode twin)/in": b"in",
    }


def test_ten_thousand_files_in_one_directory(duo: Duo) -> None:
    at = duo.red.folder / "many"
    at.mkdir()
    for number in range(10_000):
        (at / f"{number}.txt").write_bytes(b"%d" % number)
    duo.fleet.settle()
    assert len(os.listdir(duo.blue.folder / "many")) == 10_000
    at.rename(duo.red.folder / "renamed")
    duo.fleet.settle()
    assert len(os.listdir(duo.blue.folder / "renamed")) == 10_000
    assert not (duo.blue.folder / "many").exists()


def test_an_edit_in_the_middle_of_a_large_file_moves_little(duo: Duo) -> None:
    path = duo.red.folder / "large"
    with path.open("wb") as file:
        for number in range(200):
            file.write(noise(MIB, b"%d" % number))
    duo.fleet.settle()
    sent, got = duo.red.status().transfer.server_out, duo.blue.status().transfer.server_in
    with path.open("r+b") as file:
        file.seek(100 * MIB + 12345)
        file.write(b"edited")
    duo.fleet.settle()
    assert duo.red.status().transfer.server_out - sent < 20 * MIB
    assert duo.blue.status().transfer.server_in - got < 20 * MIB
    path.rename(path.with_name("large, renamed"))
    (duo.red.folder / "copied").write_bytes(path.with_name("large, renamed").read_bytes()[: 50 * MIB])
    sent = duo.red.status().transfer.server_out
    duo.fleet.settle()
    assert duo.red.status().transfer.server_out - sent < 20 * MIB


def test_a_file_with_holes_arrives(duo: Duo) -> None:
    path = duo.red.folder / "holes"
    with path.open("wb") as file:
        file.truncate(64 * MIB)
        file.seek(30 * MIB)
        file.write(b"not a hole")
    duo.fleet.settle()
    assert (duo.blue.folder / "holes").stat().st_size == 64 * MIB


def test_what_is_ignored_stays_here_and_is_in_nobodys_way(duo: Duo) -> None:
    at, there = duo.red.folder / "ignoring", duo.blue.folder / "ignoring"
    (at / "sub" / "build").mkdir(parents=True)
    (at / ".shoalignore").write_bytes(b"build/\n*.tmp\n!keep.tmp\n")
    (at / "sub" / "build" / "out").write_bytes(b"out")
    (at / "sub" / "a.tmp").write_bytes(b"a")
    (at / "sub" / "keep.tmp").write_bytes(b"keep")
    (at / "sub" / "b.txt").write_bytes(b"b")
    duo.fleet.settle(but="ignoring/sub")
    assert set(os.listdir(there / "sub")) == {"keep.tmp", "b.txt"}
    shutil.rmtree(there / "sub")
    duo.fleet.settle()
    assert not (at / "sub").exists()
    (rescued,) = (duo.red.folder / ".shoal" / "rescue").iterdir()
    assert (rescued / "build" / "out").read_bytes() == b"out"


def test_files_copied_and_removed_while_nobody_looked_are_the_same_files(duo: Duo) -> None:
    """Edits made elsewhere meanwhile say which they are."""
    at, there = duo.red.folder / "known again", duo.blue.folder / "known again"
    (at / "d" / "deep").mkdir(parents=True)
    (at / "d" / "deep" / "one").write_bytes(noise(300_000, b"one"))
    (at / "d" / "two").write_bytes(noise(300_000, b"two"))
    (at / "three").write_bytes(b"one of a kind")
    (at / "twin 1").write_bytes(b"of two")
    (at / "twin 2").write_bytes(b"of two")
    (at / "taken").write_bytes(b"another of a kind")
    duo.fleet.settle()
    duo.red.stop()
    shutil.copytree(at / "d", at / "n")
    shutil.rmtree(at / "d")
    for old, new in (("three", "four"), ("twin 1", "n/twin"), ("taken", "was taken")):
        shutil.copy(at / old, at / new)
        (at / old).unlink()
    (at / "twin 2").unlink()
    (at / "taken").mkdir()
    for name in ("d/deep/one", "three", "twin 1", "taken"):
        (there / name).write_bytes(b"edited")
    duo.blue.wait()
    duo.red.start()
    duo.fleet.settle()
    found = read_contents(there)
    assert found.pop("n/two") == noise(300_000, b"two")
    taken = {path for path in found if path.startswith("taken")}
    assert {found.pop(path) for path in taken} == {None, b"edited"}
    assert found == {
        "n": None,
        "n/deep": None,
        "n/deep/one": b"edited",
        "four": b"edited",
        "twin 1": b"edited",
        "n/twin": b"of two",
        "was taken": b"another of a kind",
    }
