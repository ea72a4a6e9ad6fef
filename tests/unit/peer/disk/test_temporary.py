import errno
import os
import pathlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from peer.disk.apply import apply
from peer.disk.failures import failure
from peer.disk.reading import read_stable
from peer.disk.root import Root
from peer.disk.steps import Applied, Failed, MakeDirectory, Move, PutFile, PutLink, RemoveFile, Step, StepResult
from peer.disk.temporary import discard_temp, open_temp
from tests.common.disks import KNOWN, MTIME_NS, all_contents, fingerprint, hooked, make_temp, new_root


@pytest.fixture
def folder(tmp_path: pathlib.Path) -> pathlib.Path:
    return tmp_path / "folder"


@pytest.fixture
def root(folder: pathlib.Path) -> Iterator[Root]:
    with new_root(folder) as (root, _):
        yield root


def test_a_file_is_put_together_from_writes_in_any_order_and_parts_of_another(root: Root, folder: pathlib.Path) -> None:
    (folder / "old").write_bytes(b"0123456789")
    with root.open_directories() as directories, read_stable(root.fs, directories, ("old",)) as old:
        with open_temp(root, 20) as writer:
            writer.write_at(b"end", 9)
            assert writer.copy_from(old.handle, 2, 3, 6) == 6
            writer.write_at(b"abc", 0)
            assert writer.copy_from(old.handle, 8, 50, 6) == 2
            buffer = bytearray(6)
            assert writer.read_into(memoryview(buffer), 3) == 6
            assert buffer == b"234567"
            state = writer.finish(12, MTIME_NS, True)
        assert old.is_unchanged()
    path = folder / ".shoal/tmp" / writer.name
    assert path.read_bytes() == b"abc234567end"
    assert (state.size, state.mtime_ns, state.executable) == (12, MTIME_NS, True)
    discard_temp(root, writer.name)
    discard_temp(root, writer.name)
    assert not path.exists()


def test_a_copy_goes_on_by_hand_where_the_kernel_cannot(tmp_path: pathlib.Path) -> None:
    def before_call(number: int, name: str, arguments: tuple[Any, ...]) -> None:
        if name == "copy_range":
            raise OSError(errno.EXDEV, "not here")

    with new_root(tmp_path / "folder", hooked(before_call)) as (root, _):
        data = bytes(range(256)) * 10_000
        (tmp_path / "folder/old").write_bytes(data)
        with (
            root.open_directories() as directories,
            read_stable(root.fs, directories, ("old",)) as old,
            open_temp(root) as writer,
        ):
            assert writer.copy_from(old.handle, 1, 0, len(data)) == len(data) - 1
        assert (tmp_path / "folder/.shoal/tmp" / writer.name).read_bytes() == data[1:]


def test_a_file_that_fails_half_way_leaves_nothing(root: Root, folder: pathlib.Path) -> None:
    def fail() -> None:
        with open_temp(root, 10) as writer:
            writer.write_at(b"x", 0)
            raise EOFError

    with pytest.raises(EOFError):
        fail()
    assert os.listdir(folder / ".shoal/tmp") == []


def test_a_full_disk_is_known_before_anything_is_written(root: Root, folder: pathlib.Path) -> None:
    room = root.fs.free_bytes(root.handle)
    with pytest.raises(OSError, match="No space") as raised, open_temp(root, room * 2 + (1 << 30)):
        raise AssertionError("there was room")
    assert failure(raised.value).code == "disk_full"
    assert os.listdir(folder / ".shoal/tmp") == []


@pytest.mark.parametrize("count", [1, 10])
@pytest.mark.parametrize("somebody", ["does nothing", "edits in place", "saves anew"])
def test_what_was_put_in_place_and_may_not_last_is_taken_back(
    tmp_path: pathlib.Path, count: int, somebody: str
) -> None:
    failing = has_put = False
    folder = tmp_path / "folder"

    def before_call(number: int, name: str, arguments: tuple[Any, ...]) -> None:
        nonlocal has_put
        if failing and has_put and name in ("sync", "sync_all"):
            if somebody == "edits in place":
                (folder / "0").write_bytes(b"mine, in place")
            elif somebody == "saves anew":
                (folder / "mine").write_bytes(b"mine, anew")
                (folder / "mine").replace(folder / "0")
            raise OSError(errno.EIO, "the disk is dying")
        has_put = has_put or (failing and name in ("exchange", "rename_new"))

    with new_root(folder, hooked(before_call)) as (root, _):
        (folder / "old").write_bytes(b"old")
        temps = [make_temp(root, b"new %d" % number) for number in range(count)]
        steps: list[Step] = [PutFile((str(number),), temps[number], None, MTIME_NS, False) for number in range(count)]
        old = PutFile(("old",), make_temp(root, b"new"), fingerprint(root, ("old",)), MTIME_NS, False, KNOWN)
        failing = True
        results = apply(root, [*steps, old, PutLink(("link",), "target", None)])
        failing = False
        assert {type(result) for result in results} == {Failed}
        mine = {} if somebody == "does nothing" else {"0": b"mine, in place" if "place" in somebody else b"mine, anew"}
        assert tree_of(folder) == {"old": b"old", **mine}
        assert not os.path.lexists(folder / "link")
        kept = temps[1:] if mine else temps
        assert set(kept) <= set(os.listdir(folder / ".shoal/tmp"))


@pytest.mark.parametrize("count", [1, 10])
def test_what_could_not_be_made_durable_is_not_put_in_place(tmp_path: pathlib.Path, count: int) -> None:
    failing = False

    def before_call(number: int, name: str, arguments: tuple[Any, ...]) -> None:
        if failing and name in ("sync", "sync_all"):
            raise OSError(errno.EIO, "the disk is dying")

    folder = tmp_path / "folder"
    with new_root(folder, hooked(before_call)) as (root, _):
        steps = [PutFile((str(number),), make_temp(root, b"x"), None, MTIME_NS, False) for number in range(count)]
        failing = True
        results = apply(root, steps)
        failing = False
    assert results == [Failed("io_error", "the disk is dying")] * count
    assert os.listdir(folder) == [".shoal"]


def test_any_call_that_fails_leaves_the_old_or_the_new_bytes_and_destroys_neither(tmp_path: pathlib.Path) -> None:
    at = 0
    while (results := apply_with_error_at(tmp_path / str(at), at)) is not None:
        shown = (tmp_path / str(at) / "a").read_bytes()
        assert shown in (b"old", b"new")
        if isinstance(results[1], Applied):
            assert shown == b"new"
        else:
            assert b"old" in all_contents(tmp_path / str(at))
        at += 1
    assert at > 10


def apply_with_error_at(folder: pathlib.Path, at: int) -> list[StepResult] | None:
    """Apply a batch on a disk that says EIO once, at call `at`; None if there is no such call."""
    armed = False
    calls = 0

    def before_call(number: int, name: str, arguments: tuple[Any, ...]) -> None:
        nonlocal calls
        if armed and name != "close":
            calls += 1
            if calls == at + 1:
                raise OSError(errno.EIO, "once")

    with new_root(folder, hooked(before_call)) as (root, _):
        (folder / "a").write_bytes(b"old")
        steps: list[Step] = [
            MakeDirectory(("d",)),
            PutFile(("a",), make_temp(root, b"new"), fingerprint(root, ("a",)), MTIME_NS, False, KNOWN),
            PutLink(("l",), "target", None),
        ]
        armed = True
        results = apply(root, steps)
        armed = False
    if calls <= at:
        assert all(isinstance(result, Applied) for result in results)
        return None
    return results


@dataclass
class FailingOnce:
    """Says EIO at the call after so many, syncs not counted, once it is armed."""

    left: int
    armed: bool = False

    def __call__(self, number: int, name: str, arguments: tuple[Any, ...]) -> None:
        if self.armed and name not in ("close", "sync", "sync_all"):
            self.left -= 1
            if self.left == -1:
                raise OSError(errno.EIO, "once")


@pytest.mark.parametrize("what", ["put", "remove", "move", "move a directory"])
def test_a_step_that_fails_at_any_call_but_a_sync_changed_nothing(tmp_path: pathlib.Path, what: str) -> None:
    at, failing = 0, FailingOnce(0)
    while failing.left < 0 or at == 0:
        folder, failing = tmp_path / str(at), FailingOnce(at)
        with new_root(folder, hooked(failing)) as (root, _):
            (folder / "a").write_bytes(b"old")
            (folder / "d").mkdir()
            possible: dict[str, Step] = {
                "put": PutFile(("a",), make_temp(root, b"new"), fingerprint(root, ("a",)), MTIME_NS, False, KNOWN),
                "remove": RemoveFile(("a",), fingerprint(root, ("a",)), KNOWN),
                "move": Move(("a",), ("d", "b"), fingerprint(root, ("a",))),
                "move a directory": Move(("d",), ("e",), None),
            }
            before = tree_of(folder)
            failing.armed = True
            (result,) = apply(root, [possible[what]])
            failing.armed = False
        assert (tree_of(folder) == before) != isinstance(result, Applied), f"after an error at call {at}"
        at += 1
    assert at > 3


def tree_of(folder: pathlib.Path) -> dict[str, bytes | None]:
    return {
        str(path.relative_to(folder)): None if path.is_dir() else path.read_bytes()
        for path in folder.rglob("*")
        if ".shoal" not in path.parts
    }


def test_a_file_that_changes_while_it_is_read_is_found_out(root: Root, folder: pathlib.Path) -> None:
    (folder / "a").write_bytes(bytes(1000))
    with root.open_directories() as directories:
        with read_stable(root.fs, directories, ("a",)) as reading:
            assert reading.is_unchanged()
            with open(folder / "a", "r+b") as writer:
                assert reading.is_unchanged()
                assert reading.is_being_written()
                writer.write(b"x")
            assert not reading.is_unchanged()
        with read_stable(root.fs, directories, ("a",)) as reading:
            assert reading.is_unchanged()


def test_links_pipes_and_directories_are_not_read(root: Root, folder: pathlib.Path, tmp_path: pathlib.Path) -> None:
    (tmp_path / "secret").write_bytes(b"x")
    (folder / "link").symlink_to(tmp_path / "secret")
    os.mkfifo(folder / "pipe")
    (folder / "d").mkdir()
    with root.open_directories() as directories:
        for name in ("link", "pipe", "d", "gone"):
            with pytest.raises(OSError, match=name), read_stable(root.fs, directories, (name,)):
                pass


@given(size=st.integers(0, 3000), block=st.integers(1, 1000), offset=st.integers(0, 3000))
@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_blocks_are_the_file_cut_into_equal_parts(
    root: Root, folder: pathlib.Path, size: int, block: int, offset: int
) -> None:
    data = bytes(number % 251 for number in range(size))
    (folder / "a").write_bytes(data)
    with root.open_directories() as directories, read_stable(root.fs, directories, ("a",)) as reading:
        parts = [bytes(part) for part in reading.blocks(memoryview(bytearray(block)), offset)]
    assert b"".join(parts) == data[offset:]
    assert all(len(part) == block for part in parts[:-1])
