import os
import pathlib
import stat
from typing import Any

import pytest

from peer.disk.private import (
    Marker,
    RootMissing,
    RootReplaced,
    check_root,
    open_new_root,
    open_root,
    read_marker,
    recover,
)
from peer.disk.real import LinuxFilesystem
from peer.disk.root import CACHED_DIRECTORIES, Root
from peer.disk.swap_names import make_swap_name, read_swap_name
from peer.fingerprint import DiskKind, Fingerprint, Status
from tests.common.disks import WORKSPACE, CountingEntropy, hooked, make_temp, new_root

FS = LinuxFilesystem()


def opened(folder: pathlib.Path, marker: Marker) -> Root | RootMissing | RootReplaced:
    with open_root(FS, CountingEntropy(), os.fspath(folder), marker) as found:
        return found


def test_a_folder_knows_its_workspace_and_opens_again_with_its_marker_only(tmp_path: pathlib.Path) -> None:
    folder = tmp_path / "folder"
    with new_root(folder) as (root, marker):
        assert root.can_exchange
        assert marker.workspace == WORKSPACE
        assert check_root(root, marker) is None
    assert read_marker(FS, os.fspath(folder)) == marker
    assert isinstance(opened(folder, marker), Root)
    assert opened(folder, Marker(WORKSPACE, bytes(16))) == RootReplaced(marker)
    for path in (folder / ".shoal", *(folder / ".shoal").iterdir()):
        if path.is_dir():
            assert stat.S_IMODE(path.stat().st_mode) == 0o700
    assert os.listdir(folder / ".shoal/tmp") == []


def test_a_folder_that_is_gone_or_emptied_is_not_taken_for_an_empty_one(tmp_path: pathlib.Path) -> None:
    folder = tmp_path / "folder"
    with new_root(folder) as (root, marker):
        folder.rename(tmp_path / "elsewhere")
        assert isinstance(check_root(root, marker), RootMissing)
        folder.mkdir()
        assert check_root(root, marker) == RootReplaced(None)
    assert opened(folder, marker) == RootReplaced(None)
    folder.rmdir()
    assert isinstance(opened(folder, marker), RootMissing)
    folder.touch()
    assert isinstance(opened(folder, marker), RootMissing)


def test_a_copy_of_the_folder_at_its_place_is_noticed_while_it_is_open(tmp_path: pathlib.Path) -> None:
    folder = tmp_path / "folder"
    with new_root(folder) as (root, marker):
        folder.rename(tmp_path / "elsewhere")
        (folder / ".shoal").mkdir(parents=True)
        (folder / ".shoal/marker").write_bytes((tmp_path / "elsewhere/.shoal/marker").read_bytes())
        assert check_root(root, marker) == RootReplaced(marker)


@pytest.mark.parametrize("garbage", [b"", b"{}", b"\xff" * 5000, b'{"workspace":1,"token":2}'])
def test_a_garbled_marker_is_no_marker_and_can_be_replaced(tmp_path: pathlib.Path, garbage: bytes) -> None:
    folder = tmp_path / "folder"
    with new_root(folder) as (_, old):
        (folder / ".shoal/marker").write_bytes(garbage)
    assert read_marker(FS, os.fspath(folder)) is None
    assert opened(folder, old) == RootReplaced(None)
    with open_new_root(FS, CountingEntropy(), os.fspath(folder), b"other") as (_, new):
        pass
    assert read_marker(FS, os.fspath(folder)) == new


def test_a_private_directory_that_is_a_link_is_refused(tmp_path: pathlib.Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "outside").mkdir()
    (tmp_path / "folder/.shoal").symlink_to(tmp_path / "outside")
    with pytest.raises(OSError, match="shoal"), new_root(tmp_path / "folder"):
        pass
    assert os.listdir(tmp_path / "outside") == []


def test_recovery_removes_unfinished_files_but_keeps_what_is_asked_held_or_rescued(
    tmp_path: pathlib.Path,
) -> None:
    folder = tmp_path / "folder"
    with new_root(folder) as (root, _):
        make_temp(root, b"stale")
        kept = make_temp(root, b"kept")
        (folder / ".shoal/held/h").write_bytes(b"held")
        (folder / ".shoal/rescue/r").write_bytes(b"rescued")
        (folder / ".shoal/swap/whatever").write_bytes(b"unknown")
        [rescued] = recover(root, keep=[kept])
        assert os.listdir(folder / ".shoal/tmp") == [kept]
        assert os.listdir(folder / ".shoal/swap") == []
        assert os.listdir(folder / ".shoal/held") == ["h"]
        assert (folder / ".shoal/rescue" / rescued).read_bytes() == b"unknown"
        assert (folder / ".shoal/rescue/r").exists()
        assert recover(root, keep=[kept]) == []


def test_where_names_cannot_be_exchanged_the_root_says_so(tmp_path: pathlib.Path) -> None:
    def before_call(number: int, name: str, arguments: tuple[Any, ...]) -> None:
        if name == "exchange":
            raise OSError(38, "no such call")

    with new_root(tmp_path / "folder", hooked(before_call)) as (root, _):
        assert not root.can_exchange


def test_a_batch_keeps_few_directories_open_and_closes_all(tmp_path: pathlib.Path) -> None:
    with new_root(tmp_path / "folder") as (root, _):
        for number in range(CACHED_DIRECTORIES + 20):
            (tmp_path / f"folder/d{number}").mkdir()
        before = len(os.listdir("/proc/self/fd"))
        with root.open_directories() as directories:
            for number in range(CACHED_DIRECTORIES + 20):
                directories.handle((f"d{number}",))
                directories.touch((f"d{number}",))
            assert len(os.listdir("/proc/self/fd")) <= before + CACHED_DIRECTORIES
            directories.sync_touched(4)
        assert len(os.listdir("/proc/self/fd")) == before


def test_names_in_swap_tell_our_bytes_from_everybody_elses() -> None:
    new = Fingerprint(1, 10, 3, -5, 7, False)
    old = Fingerprint(1, 11, 4, 6, 8, True)

    def judge(name: str, state: Fingerprint, kind: DiskKind = DiskKind.FILE) -> tuple[str, str | None]:
        return read_swap_name(name, Status(kind, state, 0o600, 1))

    name = make_swap_name("ab", new, old, "hold1")
    assert len(name) < 200
    assert judge(name, new) == ("new", None)
    assert judge(name, old) == ("old", "hold1")
    assert judge("0" + name, old) == ("old", "hold1")
    assert judge(name, Fingerprint(1, 11, 5, 6, 8, True)) == ("unknown", None)
    assert judge(name, new, DiskKind.DIRECTORY) == ("unknown", None)
    assert judge(make_swap_name("ab", None, old, None), old) == ("old", None)
    assert judge("something else", old) == ("unknown", None)
    with pytest.raises(ValueError, match="hold"):
        make_swap_name("ab", None, old, "../x")
