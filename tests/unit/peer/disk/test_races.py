"""Somebody edits, or the power goes, between any two system calls of a step."""

import errno
import os
import pathlib
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from peer.disk.apply import apply
from peer.disk.private import open_root, read_marker, recover
from peer.disk.real import LinuxFilesystem
from peer.disk.root import Root
from peer.disk.steps import Applied, PutFile, RemoveDirectory, RemoveFile, Step, StepResult
from tests.common.disks import (
    KNOWN,
    CountingEntropy,
    Crashed,
    all_contents,
    fingerprint,
    hooked,
    make_temp,
    new_root,
)

MINE = b"what the user saved at that very moment"


def save_in_place(path: pathlib.Path) -> None:
    path.write_bytes(MINE)


def save_by_renaming_over(path: pathlib.Path) -> None:
    draft = path.with_name("draft~")
    draft.write_bytes(MINE)
    draft.replace(path)


def save_by_renaming_over_twice(path: pathlib.Path) -> None:
    path.with_name("first~").write_bytes(b"an earlier draft")
    path.with_name("first~").replace(path)
    save_by_renaming_over(path)


def save_by_backup_and_new(path: pathlib.Path) -> None:
    if path.exists():
        path.rename(path.with_name("a~"))
    path.write_bytes(MINE)


EDITS = [
    save_in_place,
    save_by_renaming_over,
    save_by_renaming_over_twice,
    save_by_backup_and_new,
]

Make = Callable[[Root, pathlib.Path], Step]


def replacing(root: Root, folder: pathlib.Path) -> Step:
    return PutFile(("a",), make_temp(root, b"new"), fingerprint(root, ("a",)), 5, False, KNOWN)


def removing(root: Root, folder: pathlib.Path) -> Step:
    return RemoveFile(("a",), fingerprint(root, ("a",)), KNOWN)


def run_with(
    folder: pathlib.Path, make: Make, at: int, act: Callable[[], None], exchange: bool = True
) -> tuple[StepResult | None, bool]:
    """Apply one step with `act` before call number `at`; say whether that call was reached."""
    armed = False
    calls = 0

    def before_call(number: int, name: str, arguments: tuple[Any, ...]) -> None:
        nonlocal calls
        if not armed:
            if name == "exchange" and not exchange:
                raise OSError(errno.EINVAL, "no exchange here")
            return
        calls += 1
        if calls == at + 1:
            act()

    fs = hooked(before_call)
    with new_root(folder, fs) as (root, _):
        (folder / "a").write_bytes(b"old")
        step = make(root, folder)
        armed = True
        try:
            [result] = apply(root, [step])
        except Crashed:
            return None, True
        finally:
            armed = False
    return result, calls > at


@pytest.mark.parametrize("exchange", [True, False])
@pytest.mark.parametrize("edit", EDITS)
@pytest.mark.parametrize("make", [replacing, removing])
def test_an_edit_between_any_two_calls_is_never_lost(
    tmp_path: pathlib.Path, make: Make, edit: Callable[[pathlib.Path], None], exchange: bool
) -> None:
    at = 0
    reached = True
    while reached:
        folder = tmp_path / str(at)
        path = folder / "a"
        result, reached = run_with(folder, make, at, partial(edit, path), exchange)
        if reached:
            assert MINE in all_contents(folder), f"lost at call {at}: {result}"
            shown = path.read_bytes() if path.exists() else None
            if isinstance(result, Applied):
                # What was applied is there, or the user's edit came after it and will be seen.
                assert result.rescued or shown in (MINE, b"new", None)
                if shown == MINE and result.fingerprint is not None:
                    assert result.fingerprint.mtime_ns == 5
            else:
                assert shown in (MINE, None) or MINE in all_contents(folder / ".shoal")
        at += 1
    assert at > 5


@pytest.mark.parametrize("edit", [save_by_renaming_over])
def test_an_editor_that_saves_at_every_call_ends_with_its_newest_bytes_at_the_path(
    tmp_path: pathlib.Path, edit: Callable[[pathlib.Path], None]
) -> None:
    count = 0
    armed = False
    folder = tmp_path / "folder"

    def before_call(number: int, name: str, arguments: tuple[Any, ...]) -> None:
        nonlocal count
        if armed and name == "exchange":
            count += 1
            draft = folder / "draft"
            draft.write_bytes(b"draft %d" % count)
            draft.replace(folder / "a")

    with new_root(folder, hooked(before_call)) as (root, _):
        (folder / "a").write_bytes(b"old")
        step = replacing(root, folder)
        armed = True
        [result] = apply(root, [step])
        armed = False
    assert not isinstance(result, Applied)
    assert b"draft %d" % count in all_contents(folder)


@pytest.mark.parametrize("make", [replacing, removing])
@pytest.mark.parametrize("exchange", [True, False])
def test_a_crash_at_any_call_leaves_the_old_or_the_new_bytes_and_recovers(
    tmp_path: pathlib.Path, make: Make, exchange: bool
) -> None:
    def crash() -> None:
        raise Crashed

    at = 0
    while True:
        folder = tmp_path / str(at)
        result, _ = run_with(folder, make, at, crash, exchange)
        if result is not None:
            break
        shown = (folder / "a").read_bytes() if (folder / "a").exists() else None
        assert shown in (b"old", b"new", None)
        if shown is None and make is replacing:
            assert not exchange
            assert {b"old", b"new"} <= all_contents(folder)
        reopen_and_recover(folder)
        assert os.listdir(folder / ".shoal/tmp") == []
        assert os.listdir(folder / ".shoal/swap") == []
        assert os.listdir(folder / ".shoal/rescue") == []
        at += 1
    assert at > 5


@pytest.mark.parametrize("edit", EDITS)
@pytest.mark.parametrize("make", [replacing, removing])
def test_an_edit_and_then_a_crash_at_any_later_call_lose_nothing(
    tmp_path: pathlib.Path, make: Make, edit: Callable[[pathlib.Path], None]
) -> None:
    for first in range(60):
        for second in range(first + 1, first + 60):
            folder = tmp_path / f"{first}-{second}"
            if not edit_then_crash(folder, make, first, second, edit):
                break
            reopen_and_recover(folder)
            assert MINE in all_contents(folder), f"lost by an edit at {first}, crash at {second}"
        else:
            raise AssertionError("a step that never ends")


def edit_then_crash(
    folder: pathlib.Path,
    make: Make,
    first: int,
    second: int,
    edit: Callable[[pathlib.Path], None],
) -> bool:
    """Return whether the crash was reached."""
    armed = False
    calls = 0

    def before_call(number: int, name: str, arguments: tuple[Any, ...]) -> None:
        nonlocal calls
        if not armed:
            return
        if calls == first:
            edit(folder / "a")
        if calls == second:
            calls += 1
            raise Crashed
        calls += 1

    with new_root(folder, hooked(before_call)) as (root, _):
        (folder / "a").write_bytes(b"old")
        step = make(root, folder)
        armed = True
        try:
            apply(root, [step])
        except Crashed:
            return True
        finally:
            armed = False
    return False


def reopen_and_recover(folder: pathlib.Path) -> None:
    fs = LinuxFilesystem()
    marker = read_marker(fs, os.fspath(folder))
    assert marker is not None
    with open_root(fs, CountingEntropy(), os.fspath(folder), marker) as root:
        assert isinstance(root, Root)
        recover(root)


def test_a_file_made_in_a_directory_while_it_is_removed_survives(tmp_path: pathlib.Path) -> None:
    at = 0
    while (result := remove_directory_while_filled(tmp_path / str(at), at)) is not None:
        folder = tmp_path / str(at)
        assert b"ignored" in all_contents(folder)
        if not isinstance(result, Applied):
            assert (folder / "d/mine").read_bytes() == MINE
        at += 1
    assert at > 5


def remove_directory_while_filled(folder: pathlib.Path, at: int) -> StepResult | None:
    """Make a file in the directory before call `at`; None if there is no such call."""
    armed = False
    calls = 0

    def before_call(number: int, name: str, arguments: tuple[Any, ...]) -> None:
        nonlocal calls
        if armed:
            if calls == at and (folder / "d").is_dir():
                (folder / "d/mine").write_bytes(MINE)
            calls += 1

    with new_root(folder, hooked(before_call)) as (root, _):
        (folder / "d").mkdir()
        (folder / "d/cache").write_bytes(b"ignored")
        armed = True
        [result] = apply(root, [RemoveDirectory(("d",), lambda path, _: path[-1] == "cache")])
        armed = False
    return result if calls > at else None
