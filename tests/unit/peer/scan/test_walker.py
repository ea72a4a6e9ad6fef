import os
import pathlib
import socket
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from peer.disk.root import MAX_DEPTH, Root
from peer.fingerprint import DiskKind, Path
from peer.scan.findings import (
    Absent,
    BadName,
    Finding,
    Found,
    Ignored,
    Special,
    Unreadable,
    WasRead,
)
from peer.scan.ignore import IgnoreRules
from peer.scan.walker import look, walk
from tests.common.disks import fingerprint, hooked, new_root


@pytest.fixture
def folder(tmp_path: pathlib.Path) -> pathlib.Path:
    return tmp_path / "folder"


@pytest.fixture
def root(folder: pathlib.Path) -> Iterator[Root]:
    with new_root(folder) as (root, _):
        yield root


def walked(root: Root, subtree: Path = (), rules: IgnoreRules | None = None) -> list[Finding]:
    return list(walk(root, subtree, rules or IgnoreRules()))


def test_files_directories_and_links_are_found_parents_first(root: Root, folder: pathlib.Path) -> None:
    (folder / "d/e").mkdir(parents=True)
    (folder / "d/e/f").write_bytes(b"x")
    (folder / "d/l").symlink_to("/etc")
    findings = walked(root)
    assert findings[:2] == [
        Found(("d",), DiskKind.DIRECTORY, fingerprint(root, ("d",))),
        WasRead(()),
    ]
    assert Found(("d", "e", "f"), DiskKind.FILE, fingerprint(root, ("d", "e", "f"))) in findings
    assert Found(("d", "l"), DiskKind.SYMLINK, fingerprint(root, ("d", "l")), "/etc") in findings
    assert {finding.path for finding in findings if isinstance(finding, WasRead)} == {
        (),
        ("d",),
        ("d", "e"),
    }
    assert not any(finding.path[:1] == (".shoal",) for finding in findings)


def test_a_subtree_is_walked_with_its_own_directory_first(root: Root, folder: pathlib.Path) -> None:
    (folder / "d/e").mkdir(parents=True)
    (folder / "x").touch()
    assert [finding.path for finding in walked(root, ("d",))] == [
        ("d",),
        ("d", "e"),
        ("d",),
        ("d", "e"),
    ]
    assert walked(root, ("gone", "deeper")) == [Absent(("gone",))]
    assert [type(finding) for finding in walked(root, ("x",))] == [Found]


def test_pipes_sockets_and_bad_names_are_reported_as_what_they_are(
    root: Root, folder: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.mkfifo(folder / "pipe")
    monkeypatch.chdir(folder)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("socket")
    (folder / os.fsdecode(b"bad\xff")).touch()
    (folder / "link").symlink_to(os.fsdecode(b"bad\xff"))
    assert set(walked(root)) == {
        Special(("pipe",)),
        Special(("socket",)),
        BadName((os.fsdecode(b"bad\xff"),)),
        BadName(("link",)),
        WasRead(()),
    }


def test_ignored_names_are_reported_and_not_looked_into(root: Root, folder: pathlib.Path) -> None:
    (folder / "node_modules/x").mkdir(parents=True)
    (folder / "d").mkdir()
    (folder / "d/a.log").touch()
    (folder / "d/keep.log").touch()
    (folder / ".shoalignore").write_text("node_modules/\n*.log\n")
    (folder / "d/.shoalignore").write_text("!keep.log\n")
    rules = IgnoreRules()
    findings = walked(root, (), rules)
    assert Ignored(("node_modules",)) in findings
    assert Ignored(("d", "a.log")) in findings
    assert ("d", "keep.log") in [finding.path for finding in findings]
    assert len([finding for finding in findings if finding.path[:1] == ("node_modules",)]) == 1
    (folder / "d/.shoalignore").unlink()
    assert Ignored(("d", "keep.log")) in walked(root, (), rules)
    assert walked(root, ("node_modules", "x"), rules) == [Ignored(("node_modules",))]


def test_a_directory_that_changes_all_the_time_is_not_said_to_be_read(
    tmp_path: pathlib.Path,
) -> None:
    count = 0

    def before_call(number: int, name: str, arguments: tuple[Any, ...]) -> None:
        nonlocal count
        if name == "list_dir":
            count += 1
            (tmp_path / "folder" / f"new{count}").touch()

    with new_root(tmp_path / "folder", hooked(before_call)) as (root, _):
        findings = walked(root)
    assert Unreadable((), "changed_while_read") in findings
    assert WasRead(()) not in findings
    assert count == 5


def test_a_directory_that_vanishes_during_the_walk_is_unknown(tmp_path: pathlib.Path) -> None:
    def before_call(number: int, name: str, arguments: tuple[Any, ...]) -> None:
        if name == "open_dir" and arguments[1] == "d":
            (tmp_path / "folder/d").rmdir()

    with new_root(tmp_path / "folder", hooked(before_call)) as (root, _):
        (tmp_path / "folder/d").mkdir()
        assert Unreadable(("d",), "changed_while_read") in walked(root)


def test_what_lies_too_deep_is_unknown(root: Root, folder: pathlib.Path) -> None:
    at = os.open(folder, os.O_RDONLY)
    for _ in range(MAX_DEPTH + 1):
        os.mkdir("d", dir_fd=at)
        deeper = os.open("d", os.O_RDONLY, dir_fd=at)
        os.close(at)
        at = deeper
    os.close(at)
    assert Unreadable(("d",) * MAX_DEPTH, "too_deep") in walked(root)


def test_single_paths_are_looked_at_without_reading_directories(root: Root, folder: pathlib.Path) -> None:
    (folder / "d").mkdir()
    (folder / "d/f").touch()
    paths: list[Path] = [("d",), ("d", "f"), ("d", "gone"), ("d", "f", "below"), ("n", "m", "o")]
    with root.open_directories() as directories:
        findings = list(look(root, directories, paths, IgnoreRules()))
    d = Found(("d",), DiskKind.DIRECTORY, fingerprint(root, ("d",)))
    f = Found(("d", "f"), DiskKind.FILE, fingerprint(root, ("d", "f")))
    assert findings == [d, f, Absent(("d", "gone")), f, Absent(("n",))]


AS_NOBODY = """
import os, pathlib, sys
from peer.disk.apply import apply
from peer.disk.steps import Failed, MakeDirectory
from peer.scan.findings import Unreadable, WasRead
from peer.scan.ignore import IgnoreRules
from peer.scan.walker import walk
from tests.common.disks import new_root

if os.geteuid() == 0:
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
folder = pathlib.Path(sys.argv[1]) / "folder"
with new_root(folder) as (root, _):
    (folder / "closed/below").mkdir(parents=True)
    (folder / "blind").mkdir()
    (folder / "blind/file").touch()
    (folder / "closed").chmod(0)
    (folder / "blind").chmod(0o400)
    findings = list(walk(root, (), IgnoreRules()))
    [result] = apply(root, [MakeDirectory(("blind", "new"))])
    (folder / "closed").chmod(0o700)
    (folder / "blind").chmod(0o700)
    assert Unreadable(("closed",), "denied") in findings, findings
    assert Unreadable(("blind", "file"), "denied") in findings, findings
    assert WasRead(("closed",)) not in findings
    assert isinstance(result, Failed) and result.code == "unreadable", result
"""


def test_what_may_not_be_read_is_unknown_and_never_absent(workplace: pathlib.Path) -> None:
    workplace.chmod(0o777)
    subprocess.run([sys.executable, "-c", AS_NOBODY, workplace], check=True, timeout=60)
