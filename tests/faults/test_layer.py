"""The layer does to programs what it says: a machine forgets what was not synced, and calls fail on demand."""

import errno
import os
import sqlite3
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from random import Random  # noqa: TID251 - drawn from a seed
from typing import TYPE_CHECKING, TypeVar

import pytest

if TYPE_CHECKING:
    from _typeshed import SupportsLenAndGetItem

from tests.common.fleet import as_ourselves
from tests.common.processes import environment, unprivileged
from tests.faults.failing import Failing, Rule, slow
from tests.faults.power import Forgetful

T = TypeVar("T")


class _Worst(Random):
    """Forgets all that may be forgotten; never zeros."""

    drawn = 0.5

    def random(self) -> float:
        return self.drawn

    def choice(self, seq: "SupportsLenAndGetItem[T]") -> T:
        return seq[0]


class _NamesKept(_Worst):
    drawn = 0.8


def play(code: str, folder: Path, env: Mapping[str, str]) -> str:
    """Run Python code in a folder under the layer, until it kills itself or ends."""
    prelude = "import errno, os, signal, sqlite3\ndef die(): os.kill(os.getpid(), signal.SIGKILL)\n"
    with as_ourselves():
        done: subprocess.CompletedProcess[str] = subprocess.run(
            [sys.executable, "-P", "-c", prelude + code],
            cwd=folder,
            env=environment(env),
            capture_output=True,
            text=True,
            check=False,
            **unprivileged(),
        )
    assert done.returncode in (0, -9), done.stderr
    return done.stdout


@pytest.fixture
def folder(workplace: Path) -> Path:
    made = workplace / "folder"
    made.mkdir()
    return made


@pytest.fixture
def keeps(workplace: Path) -> Path:
    made = workplace / "keeps"
    made.mkdir()
    return made


SYNC = "def sync(path): fd = os.open(path, os.O_RDONLY); os.fsync(fd); os.close(fd)\n"


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_what_was_not_synced_is_forgotten(folder: Path, keeps: Path) -> None:
    for name in ("edited", "removed", "renamed", "over"):
        (folder / name).write_bytes(b"before")
    before = (folder / "edited").stat()
    machine = Forgetful(keeps, [folder])
    play(
        "open('edited', 'wb').write(b'after, and longer'); os.unlink('removed'); os.rename('renamed', 'elsewhere')\n"
        "open('new', 'wb').write(b'new'); os.mkdir('d'); open('d/in', 'wb').write(b'in'); os.rename('new', 'over')\n"
        "os.symlink('x', 'link'); die()",
        folder,
        machine.env,
    )
    machine.cut(_Worst())
    assert contents(folder) == dict.fromkeys(("edited", "over", "removed", "renamed"), b"before")
    after = (folder / "edited").stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert os.listdir(folder.parent / "keeps") == ["keep-0"]


def test_what_was_synced_stays(folder: Path, keeps: Path) -> None:
    (folder / "old").write_bytes(b"before")
    (folder / "gone").write_bytes(b"gone")
    machine = Forgetful(keeps, [folder])
    play(
        SYNC + "os.mkdir('d'); open('d/in', 'wb').write(b'in'); os.symlink('x', 'd/link'); sync('d/in'); sync('d')\n"
        "os.unlink('gone'); os.rename('old', 'd/moved'); open('d/late', 'wb').write(b'late'); sync('.'); sync('d')\n"
        "open('d/in', 'ab').write(b' unsynced'); os.unlink('d/link'); die()",
        folder,
        machine.env,
    )
    machine.cut(_Worst())
    assert contents(folder) == {"d/in": b"in", "d/late": b"", "d/moved": b"before"}
    assert os.readlink(folder / "d" / "link") == "x"


def test_a_name_alone_can_outlive_its_bytes(folder: Path, keeps: Path) -> None:
    (folder / "name").write_bytes(b"before")
    machine = Forgetful(keeps, [folder])
    play("open('new', 'wb').write(b'after'); os.rename('new', 'name'); die()", folder, machine.env)
    machine.cut(_NamesKept())
    assert contents(folder) == {"name": b""}


def test_syncfs_keeps_everything_in_its_folder_and_nothing_of_another(folder: Path, keeps: Path) -> None:
    other = folder.with_name("other")
    other.mkdir()
    machine = Forgetful(keeps, [folder, other])
    code = (
        "import ctypes\nos.makedirs('a/b'); open('a/b/c', 'wb').write(b'c'); open('../other/x', 'wb').write(b'x')\n"
        "fd = os.open('.', os.O_RDONLY); assert ctypes.CDLL(None).syncfs(fd) == 0\n"
        "os.rename('a', 'z'); open('z/b/c', 'wb').write(b'other'); die()"
    )
    play(code, folder, machine.env)
    machine.cut(_Worst())
    assert contents(folder) == {"a/b/c": b"c"}
    assert contents(other) == {}


def test_a_database_keeps_what_was_committed_and_no_more(folder: Path, keeps: Path) -> None:
    machine = Forgetful(keeps, [folder])
    code = (
        "at = sqlite3.connect('db', isolation_level=None); at.execute('PRAGMA synchronous=%s')\n"
        "at.execute('PRAGMA journal_mode=WAL'); at.execute('CREATE TABLE t (x)')\n"
        "for number in range(2000): at.execute('INSERT INTO t VALUES (?)', (str(number) * 300,))\n"
        "at.execute('BEGIN'); at.execute('DELETE FROM t'); die()"
    )
    play(code % "FULL", folder, machine.env)
    machine.cut(_Worst())
    at = sqlite3.connect(folder / "db")
    try:
        assert at.execute("SELECT COUNT(*) FROM t").fetchone() == (2000,)
        assert at.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    finally:
        at.close()
    for one in folder.iterdir():
        one.unlink()
    machine.adopt()
    play(code % "OFF", folder, machine.env)
    machine.cut(_Worst())
    assert contents(folder) == {}


def test_a_second_cut_goes_back_to_the_first(folder: Path, keeps: Path) -> None:
    machine = Forgetful(keeps, [folder])
    for number in range(3):
        play(SYNC + f"open('{number}', 'wb').write(b'x'); sync('{number}'); sync('.')", folder, machine.env)
        play("for name in os.listdir(): os.unlink(name)", folder, machine.env)
        machine.cut(_Worst())
    assert contents(folder) == {"0": b"x", "1": b"x", "2": b"x"}


def test_what_the_tests_sync_themselves_is_kept(folder: Path, keeps: Path) -> None:
    machine = Forgetful(keeps, [folder])
    (folder / "saved").write_bytes(b"saved")
    machine.synced(folder / "saved", folder)
    (folder / "not").write_bytes(b"x")
    machine.cut(_Worst())
    assert contents(folder) == {"saved": b"saved"}


@pytest.mark.parametrize(
    ("call", "code"),
    [
        ("open", "os.open('name', os.O_RDONLY)"),
        ("openwrite", "open('name', 'r+b')"),
        ("create", "open('name', 'wb')"),
        ("read", "open('name', 'rb').read()"),
        ("read", "os.preadv(os.open('name', os.O_RDONLY), [bytearray(8)], 0)"),
        ("write", "os.pwrite(os.open('name', os.O_RDWR), b'x', 0)"),
        ("write", "os.copy_file_range(os.open('other', os.O_RDONLY), os.open('name', os.O_RDWR), 1)"),
        ("sync", "os.fsync(os.open('name', os.O_RDONLY))"),
        ("truncate", "os.ftruncate(os.open('name', os.O_RDWR), 0)"),
        ("rename", "os.rename('name', 'new')"),
        ("rename", "os.replace('other', 'name')"),
        ("unlink", "os.unlink('name')"),
        ("unlink", "os.unlink('name', dir_fd=os.open('.', os.O_RDONLY))"),
        ("stat", "os.stat('name', dir_fd=os.open('.', os.O_RDONLY), follow_symlinks=False)"),
        ("attributes", "os.fchmod(os.open('name', os.O_RDONLY), 0o600)"),
        ("attributes", "os.utime(os.open('name', os.O_RDWR), ns=(1, 1))"),
    ],
)
def test_a_call_fails_on_demand(workplace: Path, folder: Path, call: str, code: str) -> None:
    failing = Failing(workplace)
    (folder / "name").write_bytes(b"bytes")
    (folder / "other").write_bytes(b"bytes")
    tried = f"try: {code}\nexcept OSError as error: print(error.errno)"
    assert play(tried, folder, failing.env) == ""
    (folder / "name").write_bytes(b"bytes")
    failing.fail(call, errno.EIO, f"{folder}/name")
    assert play(tried, folder, failing.env) == f"{errno.EIO}\n"
    assert failing.hits() == [f"{call} {folder}/name"]
    failing.clear()
    (folder / "other").write_bytes(b"bytes")
    assert play(tried, folder, failing.env) == ""


def test_listing_a_directory_fails_on_demand(workplace: Path, folder: Path) -> None:
    failing = Failing(workplace)
    (folder / "d").mkdir()
    for call in ("list", "readdir"):
        failing.fail(call, errno.EIO, f"{folder}/d")
        tried = "try: os.listdir(os.open('d', os.O_RDONLY))\nexcept OSError as error: print(error.errno)"
        assert play(tried, folder, failing.env) == f"{errno.EIO}\n"


def test_only_the_nth_call_fails_and_rules_may_change_at_any_time(workplace: Path, folder: Path) -> None:
    failing = Failing(workplace)
    failing.fail("unlink", errno.EACCES, f"{folder}/*", skip=2, count=1)
    code = (
        "for name in 'abcde':\n  open(name, 'wb').close()\n  try: os.unlink(name)\n  except OSError: print(name)\n"
        "  if name == 'd': os.replace(os.environ['FAULTS_RULES'] + '.next', os.environ['FAULTS_RULES'])\n"
    )
    (workplace / "rules.next").write_text(f"unlink {errno.EIO} 0 0 {folder}/e\n")
    assert play(code, folder, failing.env) == "c\ne\n"


def test_a_call_may_be_slow(workplace: Path, folder: Path) -> None:
    failing = Failing(workplace)
    (folder / "name").write_bytes(b"bytes")
    failing.set([slow("read", 50, f"{folder}/*"), Rule("write", errno.ENOSPC, f"{folder}/*")])
    code = "import time\nbegun = time.monotonic(); open('name', 'rb').read(); print(time.monotonic() - begun > 0.05)"
    assert play(code, folder, failing.env) == "True\n"
