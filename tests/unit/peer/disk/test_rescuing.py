import errno
import os
import pathlib
from typing import Any

import pytest

from peer.disk.rescuing import is_rescued, rescue_copy
from tests.common.disks import MTIME_NS, fingerprint, hooked, new_root


def test_a_copy_has_the_bytes_and_the_time_and_leaves_the_file_alone(tmp_path: pathlib.Path) -> None:
    with new_root(tmp_path) as (root, _):
        (tmp_path / "f.txt").write_bytes(b"found")
        os.utime(tmp_path / "f.txt", ns=(MTIME_NS, MTIME_NS))
        before = fingerprint(root, ("f.txt",))
        name = rescue_copy(root, ("f.txt",), before)
        assert name is not None
        assert name.endswith("-f.txt")
        kept = tmp_path / ".shoal" / "rescue" / name
        assert (kept.read_bytes(), kept.stat().st_mtime_ns) == (b"found", MTIME_NS)
        assert fingerprint(root, ("f.txt",)) == before
        assert is_rescued(root, name)
        kept.unlink()
        assert not is_rescued(root, name)
        assert os.listdir(tmp_path / ".shoal" / "tmp") == []


def test_a_file_that_changes_is_not_kept(tmp_path: pathlib.Path) -> None:
    writing = False

    def write_once(number: int, name: str, arguments: tuple[Any, ...]) -> None:
        nonlocal writing
        if writing and name == "copy_range":
            writing = False
            (tmp_path / "f.txt").write_bytes(b"later")

    with new_root(tmp_path, hooked(write_once)) as (root, _):
        (tmp_path / "f.txt").write_bytes(b"found")
        old = fingerprint(root, ("f.txt",))
        writing = True
        assert rescue_copy(root, ("f.txt",), old) is None
        assert rescue_copy(root, ("f.txt",), old) is None
        assert os.listdir(tmp_path / ".shoal" / "rescue") == os.listdir(tmp_path / ".shoal" / "tmp") == []


@pytest.mark.parametrize("call", ["copy_range", "sync", "set_mtime"])
def test_a_disk_that_refuses_is_said_and_nothing_is_left_behind(tmp_path: pathlib.Path, call: str) -> None:
    refusing = False

    def refuse(number: int, name: str, arguments: tuple[Any, ...]) -> None:
        if refusing and name == call:
            raise OSError(errno.EIO, "no")

    with new_root(tmp_path, hooked(refuse)) as (root, _):
        (tmp_path / "f.txt").write_bytes(b"found")
        found = fingerprint(root, ("f.txt",))
        refusing = True
        with pytest.raises(OSError, match="no"):
            rescue_copy(root, ("f.txt",), found)
        assert os.listdir(tmp_path / ".shoal" / "rescue") == []
