import errno
import os
import pathlib
import stat
from collections.abc import Iterator

import pytest

from peer.disk.apply import apply
from peer.disk.private import open_new_root
from peer.disk.root import MAX_DEPTH, Root
from peer.disk.steps import (
    Applied,
    Failed,
    MakeDirectory,
    Move,
    NotEmpty,
    Occupied,
    PreimageChanged,
    PutFile,
    PutLink,
    RemoveDirectory,
    RemoveFile,
    RemoveLink,
    SetAttributes,
    Step,
)
from peer.fingerprint import DiskKind, Path
from tests.common.disks import (
    KNOWN,
    MTIME_NS,
    WORKSPACE,
    CountingEntropy,
    all_contents,
    fingerprint,
    make_temp,
    new_root,
)
from tests.common.simulated_disks import sim_disk


@pytest.fixture
def folder(tmp_path: pathlib.Path) -> pathlib.Path:
    return tmp_path / "folder"


@pytest.fixture
def root(folder: pathlib.Path) -> Iterator[Root]:
    with new_root(folder) as (root, _):
        yield root


def nothing_ignored(path: Path, is_directory: bool) -> bool:
    return False


def leftovers(folder: pathlib.Path, area: str) -> list[str]:
    return os.listdir(folder / ".shoal" / area)


def test_a_new_file_gets_its_bytes_time_and_executable_bit(root: Root, folder: pathlib.Path) -> None:
    temp = make_temp(root, b"hello")
    [result] = apply(root, [PutFile(("a",), temp, None, MTIME_NS, True)])
    assert isinstance(result, Applied)
    assert result.fingerprint == fingerprint(root, ("a",))
    assert result.fingerprint.executable
    assert result.fingerprint.mtime_ns == MTIME_NS
    assert (folder / "a").read_bytes() == b"hello"
    assert leftovers(folder, "tmp") == leftovers(folder, "swap") == []


def test_a_replaced_file_is_unlinked_only_when_it_was_the_expected_one(root: Root, folder: pathlib.Path) -> None:
    (folder / "a").write_bytes(b"old")
    (folder / "a").chmod(0o640)
    step = PutFile(("a",), make_temp(root, b"new"), fingerprint(root, ("a",)), 5, False, KNOWN)
    assert isinstance(apply(root, [step])[0], Applied)
    assert (folder / "a").read_bytes() == b"new"
    assert stat.S_IMODE((folder / "a").stat().st_mode) == 0o640
    assert leftovers(folder, "swap") == leftovers(folder, "rescue") == []


def test_an_edited_file_is_left_alone_and_the_temporary_file_kept(root: Root, folder: pathlib.Path) -> None:
    (folder / "a").write_bytes(b"old")
    before = fingerprint(root, ("a",))
    (folder / "a").write_bytes(b"mine")
    temp = make_temp(root, b"new")
    [result] = apply(root, [PutFile(("a",), temp, before, 5, False, KNOWN)])
    assert result == PreimageChanged(fingerprint(root, ("a",)))
    assert (folder / "a").read_bytes() == b"mine"
    assert leftovers(folder, "tmp") == [temp]


def test_a_taken_name_is_occupied_whatever_has_it(root: Root, folder: pathlib.Path) -> None:
    (folder / "d").mkdir()
    temp = make_temp(root, b"new")
    results = apply(
        root,
        [
            PutFile(("d",), temp, None, 5, False),
            PutLink(("d",), "x", None),
            MakeDirectory(("d",)),
        ],
    )
    assert results == [Occupied(DiskKind.DIRECTORY, fingerprint(root, ("d",)))] * 3
    assert leftovers(folder, "tmp") == [temp]


def test_links_are_made_replaced_and_removed_and_never_followed(
    root: Root, folder: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    apply(root, [PutLink(("l",), str(outside), None)])
    [refused] = apply(root, [PutFile(("l", "x"), make_temp(root, b"x"), None, 5, False)])
    assert refused == PreimageChanged(None)
    assert list(outside.iterdir()) == []
    [replaced] = apply(root, [PutLink(("l",), "elsewhere", fingerprint(root, ("l",)), KNOWN)])
    assert isinstance(replaced, Applied)
    assert os.readlink(folder / "l") == "elsewhere"
    assert apply(root, [RemoveLink(("l",), fingerprint(root, ("l",)), KNOWN)]) == [Applied(None)]
    assert not (folder / "l").is_symlink()
    assert outside.is_dir()


def test_directories_are_made_and_filled_within_one_batch(root: Root, folder: pathlib.Path) -> None:
    results = apply(
        root,
        [
            MakeDirectory(("d",)),
            MakeDirectory(("d", "e")),
            PutFile(("d", "e", "f"), make_temp(root, b"x"), None, 5, False),
        ],
    )
    assert all(isinstance(result, Applied) for result in results)
    assert (folder / "d/e/f").read_bytes() == b"x"


def test_a_moved_directory_takes_what_is_in_it(root: Root, folder: pathlib.Path) -> None:
    (folder / "d/e").mkdir(parents=True)
    (folder / "d/e/f").write_bytes(b"x")
    results = apply(
        root,
        [
            PutFile(("d", "e", "g"), make_temp(root, b"y"), None, 5, False),
            Move(("d",), ("n",), fingerprint(root, ("d",))),
            PutFile(("d", "h"), make_temp(root, b"z"), None, 5, False),
        ],
    )
    assert isinstance(results[1], Applied)
    assert results[2] == PreimageChanged(None)
    assert (folder / "n/e/f").read_bytes() == b"x"
    assert (folder / "n/e/g").read_bytes() == b"y"


def test_a_move_never_replaces_and_never_moves_something_else(root: Root, folder: pathlib.Path) -> None:
    (folder / "a").write_bytes(b"a")
    (folder / "b").write_bytes(b"b")
    before = fingerprint(root, ("a",))
    assert apply(root, [Move(("a",), ("b",), before)]) == [Occupied(DiskKind.FILE, fingerprint(root, ("b",)))]
    (folder / "a").write_bytes(b"mine")
    assert apply(root, [Move(("a",), ("c",), before)]) == [PreimageChanged(fingerprint(root, ("a",)))]
    assert (folder / "a").read_bytes() == b"mine"


def test_a_removed_file_is_gone_or_held_or_left_if_it_was_edited(root: Root, folder: pathlib.Path) -> None:
    for name in "abc":
        (folder / name).write_bytes(name.encode())
    steps = [
        RemoveFile(("a",), fingerprint(root, ("a",)), KNOWN),
        RemoveFile(("b",), fingerprint(root, ("b",)), hold="keep1"),
        RemoveFile(("c",), fingerprint(root, ("c",)), KNOWN),
    ]
    (folder / "c").write_bytes(b"edited")
    results = apply(root, steps)
    assert results[:2] == [Applied(None), Applied(None)]
    assert results[2] == PreimageChanged(fingerprint(root, ("c",)))
    assert (folder / ".shoal/held/keep1").read_bytes() == b"b"
    assert sorted(os.listdir(folder)) == [".shoal", "c"]


def test_a_file_that_somebody_still_writes_to_is_rescued_not_unlinked(root: Root, folder: pathlib.Path) -> None:
    (folder / "a").write_bytes(b"old")
    with open(folder / "a", "ab") as writer:
        step = PutFile(("a",), make_temp(root, b"new"), fingerprint(root, ("a",)), 5, False, KNOWN)
        [result] = apply(root, [step])
        writer.write(b" and mine")
    assert isinstance(result, Applied)
    assert result.rescued is not None
    assert (folder / ".shoal/rescue" / result.rescued).read_bytes() == b"old and mine"
    assert (folder / "a").read_bytes() == b"new"


def test_a_directory_with_anything_not_ignored_stays(root: Root, folder: pathlib.Path) -> None:
    (folder / "d").mkdir()
    (folder / "d/keep").write_bytes(b"x")
    assert apply(root, [RemoveDirectory(("d",), nothing_ignored)]) == [NotEmpty(("keep",))]
    (folder / "d/keep").unlink()
    assert apply(root, [RemoveDirectory(("d",), nothing_ignored)]) == [Applied(None)]
    assert not (folder / "d").exists()


def test_ignored_leftovers_go_with_their_directory_and_are_not_destroyed(root: Root, folder: pathlib.Path) -> None:
    (folder / "d/cache").mkdir(parents=True)
    (folder / "d/cache/x").write_bytes(b"ignored bytes")
    [result] = apply(root, [RemoveDirectory(("d",), lambda path, _: path[-1] == "cache")])
    assert isinstance(result, Applied)
    assert result.rescued is not None
    assert not (folder / "d").exists()
    assert b"ignored bytes" in all_contents(folder)


def test_attributes_change_in_place_unless_the_file_did(root: Root, folder: pathlib.Path) -> None:
    (folder / "a").write_bytes(b"a")
    before = fingerprint(root, ("a",))
    [result] = apply(root, [SetAttributes(("a",), before, True, MTIME_NS)])
    assert isinstance(result, Applied)
    after = fingerprint(root, ("a",))
    assert result.fingerprint == after
    assert after.executable
    assert after.mtime_ns == MTIME_NS
    assert apply(root, [SetAttributes(("a",), before, False, 7)]) == [PreimageChanged(after)]
    with open(folder / "a", "ab"):
        [busy] = apply(root, [SetAttributes(("a",), after, False, 7)])
    assert isinstance(busy, Failed)
    assert busy.code == "busy_file"


@pytest.mark.parametrize(
    "path",
    [
        (".shoal", "marker"),
        (".shoal",),
        ("..", "x"),
        ("a/b",),
        ("a", ""),
        (),
        ("n" * 300,),
        ("d",) * (MAX_DEPTH + 1),
    ],
)
def test_no_step_reaches_outside_the_folder_or_into_the_private_directory(root: Root, path: Path) -> None:
    steps: list[Step] = [
        PutFile(path, make_temp(root, b"x"), None, 5, False),
        MakeDirectory(path),
        RemoveDirectory(path, lambda path, is_directory: True),
        PutLink(path, "x", None),
    ]
    for result in apply(root, steps):
        assert isinstance(result, (Failed, PreimageChanged))
        if isinstance(result, Failed):
            assert result.code == "name_not_allowed"


def test_a_large_batch_is_applied_in_order(root: Root, folder: pathlib.Path) -> None:
    steps: list[MakeDirectory | PutFile] = []
    for number in range(300):
        steps.append(MakeDirectory((f"d{number}",)))
        temp = make_temp(root, str(number).encode())
        steps.append(PutFile((f"d{number}", "f"), temp, None, 5, False))
    assert all(isinstance(result, Applied) for result in apply(root, steps))
    assert (folder / "d299/f").read_bytes() == b"299"


def test_a_directory_that_cannot_be_told_of_is_not_left_behind() -> None:
    at, made = 0, False
    while not made:
        disk = sim_disk()
        with open_new_root(disk.filesystem(), CountingEntropy(), "/folder", WORKSPACE) as (root, _):
            disk.fail(errno.EIO, skip=at)
            results = apply(root, [MakeDirectory(("d",)), MakeDirectory(("d", "e"))])
            disk.faults.planned = []
            names = [name for name, _ in root.fs.list_names(root.handle) if name != ".shoal"]
            assert bool(names) == isinstance(results[0], Applied), at
            made = all(isinstance(result, Applied) for result in results)
        at += 1
    assert at > 5


@pytest.mark.parametrize("times", [1, 2, 3, 5, -1])
@pytest.mark.parametrize("replaces", [False, True], ids=["a new file", "a newer version"])
def test_what_is_in_place_although_the_disk_failed_is_told_of(replaces: bool, times: int) -> None:
    at, done, stayed = 0, False, 0
    while not done:
        disk = sim_disk()
        with open_new_root(disk.filesystem(), CountingEntropy(), "/folder", WORKSPACE) as (root, _):
            if replaces:
                [made] = apply(root, [PutFile(("f",), make_temp(root, b"older"), None, MTIME_NS, False)])
                assert isinstance(made, Applied)
            expected = fingerprint(root, ("f",)) if replaces else None
            temp = make_temp(root, b"newer")
            inode = root.fs.stat(root.tmp, temp).fingerprint.inode
            disk.fail(errno.EIO, skip=at, times=times)
            [result] = apply(root, [PutFile(("f",), temp, expected, MTIME_NS, False, KNOWN if replaces else None)])
            disk.faults.planned = []
            names = {name for name, _ in root.fs.list_names(root.handle)}
            is_there = "f" in names and fingerprint(root, ("f",)).inode == inode
            done = isinstance(result, Applied)
            if isinstance(result, Failed) and is_there:
                assert result.may_stay, at
                stayed += 1
            elif isinstance(result, Failed) and not result.may_stay:
                assert root.fs.stat(root.tmp, temp).fingerprint.inode == inode, at
            else:
                assert is_there == done, at
        at += 1
    assert at > 5
    assert stayed or times == 1
