"""What is gone, closed, or strange in a folder, and what nobody may conclude from it."""

import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from peer.control import messages
from tests.common.fleet import Fleet, Peer, read_contents


def fill(folder: Path) -> None:
    for number in range(150):
        at = folder / f"{number % 5}"
        at.mkdir(exist_ok=True)
        (at / f"{number}").write_bytes(b"%d" % number)


def has(code: str, path: str = "") -> Callable[[messages.Status], bool]:
    return lambda status: any(
        (each.path, each.code) == (path, code) for one in status.workspaces for each in one.problems
    )


def blind(closed: Path) -> bool:
    """Whether permissions mean anything to us, and to the programs."""
    closed.mkdir()
    closed.chmod(0)
    can = os.access(closed, os.R_OK, effective_ids=True)
    closed.rmdir()
    return not can


def run_without_all_seeing(test: str) -> None:
    """Who may read everything runs the test in a child that has given that up."""
    command = [sys.executable, "-P", "-m", "pytest", "-q", "-p", "no:cacheprovider", f"{__file__}::{test}"]
    caps = "-dac_override,-dac_read_search"
    done = subprocess.run(
        ["setpriv", f"--bounding-set={caps}", f"--inh-caps={caps}", *command],
        cwd=Path(__file__).parents[3],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 passed" in done.stdout, done.stdout


def delete_most(peer: Peer) -> None:
    """All at once, as far as its daemon can tell."""
    peer.program.signal(signal.SIGSTOP)
    for number in range(4):
        shutil.rmtree(peer.folder / f"{number}")
    peer.program.signal(signal.SIGCONT)


def state(peer: Peer) -> str:
    return peer.workspace.state


def test_special_files_are_shown_and_left_alone(fleet: Fleet) -> None:
    red, blue = fleet.pair_of("red", "blue")
    os.mkfifo(red.folder / "pipe")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(red.folder / "socket"))
    (red.folder / "line\nbreak").write_bytes(b"x")
    (red.folder / "plain").write_bytes(b"plain")
    assert red.wait(problems=True).outcome == "problems"
    assert red.problems() == {("pipe", "special_file"), ("socket", "special_file"), ("line\nbreak", "name_not_allowed")}
    red.come_to_rest()
    blue.wait()
    assert read_contents(blue.folder) == {"plain": b"plain"}
    (red.folder / "pipe").unlink()
    (red.folder / "socket").unlink()
    (red.folder / "line\nbreak").unlink()
    red.wait()


def test_nothing_is_concluded_from_what_cannot_be_read(fleet: Fleet, workplace: Path) -> None:
    if not blind(workplace / "closed"):
        run_without_all_seeing("test_nothing_is_concluded_from_what_cannot_be_read")
        return
    red, blue = fleet.pair_of("red", "blue", fill=fill)
    red.stop()
    (red.folder / "1" / "new").write_bytes(b"new")
    (red.folder / "1").chmod(0)
    (red.folder / "2" / "2").chmod(0)
    (red.folder / "3" / "3").write_bytes(b"edited")
    before = blue.tree()
    red.start()
    red.until(has("unreadable", "1"))
    red.wait(problems=True)
    blue.wait()
    assert blue.tree().keys() == before.keys()
    assert (blue.folder / "3" / "3").read_bytes() == b"edited"
    (blue.folder / "1" / "1").write_bytes(b"edited there")
    blue.wait()
    red.wait(problems=True)
    (red.folder / "1").chmod(0o755)
    (red.folder / "2" / "2").chmod(0o644)
    fleet.settle()
    assert (red.folder / "1" / "1").read_bytes() == b"edited there"
    assert (blue.folder / "1" / "new").read_bytes() == b"new"


def test_what_the_disk_refuses_holds_up_nothing_else(fleet: Fleet) -> None:
    if not blind(fleet.place / "closed"):
        run_without_all_seeing("test_what_the_disk_refuses_holds_up_nothing_else")
        return
    red, blue = fleet.pair_of("red", "blue", fill=fill)
    (blue.folder / "1").chmod(0o555)
    (red.folder / "1" / "1").write_bytes(b"edited there")
    (red.folder / "1" / "below").mkdir()
    (red.folder / "1" / "below" / "new").write_bytes(b"new")
    (red.folder / "2" / "2").write_bytes(b"edited too")
    red.wait()
    blue.until(has("unreadable", "1/1"))
    (blue.folder / "3" / "3").write_bytes(b"edited here")
    red.until(lambda _: (red.folder / "3" / "3").read_bytes() == b"edited here")
    blue.until(lambda _: (blue.folder / "2" / "2").read_bytes() == b"edited too")
    assert (blue.folder / "1" / "1").read_bytes() == b"1"
    (blue.folder / "1").chmod(0o755)
    fleet.settle()
    assert (blue.folder / "1" / "1").read_bytes() == b"edited there"
    assert (blue.folder / "1" / "below" / "new").read_bytes() == b"new"


@pytest.mark.parametrize("running", [True, False], ids=["running", "stopped"])
def test_a_folder_that_is_gone_is_waited_for(fleet: Fleet, running: bool) -> None:
    red, blue = fleet.pair_of("red", "blue", fill=fill)
    away = red.place / "away"
    before = blue.tree()
    if not running:
        red.stop()
    red.folder.rename(away)
    if not running:
        red.start()
    red.until(has("root_missing"))
    assert state(red) == "waiting"
    assert red.run("wait", "--timeout", "60")[0] == 5
    (blue.folder / "meanwhile").write_bytes(b"meanwhile")
    blue.wait()
    assert before.items() <= blue.tree().items()
    (away / "0" / "0").unlink()
    away.rename(red.folder)
    red.come_to_rest()
    fleet.settle()
    assert (red.folder / "meanwhile").read_bytes() == b"meanwhile"
    assert not (blue.folder / "0" / "0").exists()


@pytest.mark.parametrize("running", [True, False], ids=["running", "stopped"])
def test_an_empty_folder_in_the_place_of_the_right_one_deletes_nothing(fleet: Fleet, running: bool) -> None:
    red, blue = fleet.pair_of("red", "blue", fill=fill)
    before = blue.tree()
    if not running:
        red.stop()
    red.folder.rename(red.place / "away")
    red.folder.mkdir()
    if not running:
        red.start()
    red.until(has("root_replaced"))
    assert state(red) == "waiting"
    blue.wait()
    assert blue.tree() == before
    assert os.listdir(red.folder) == []
    assert "root" not in red.must("confirm", str(red.folder))
    fleet.settle()
    assert red.tree() == before


def test_a_large_deletion_waits_for_an_answer(fleet: Fleet) -> None:
    red, blue = fleet.pair_of("red", "blue", fill=fill)
    before = blue.tree()
    delete_most(red)
    (red.folder / "meanwhile").write_bytes(b"x")
    red.until(has("delete_brake"))
    assert red.wait(problems=True).outcome == "problems"
    assert state(red) == "waiting"
    blue.wait()
    assert before.items() <= blue.tree().items()
    red.stop()
    red.start()
    red.until(has("delete_brake"))
    red.ask(messages.Confirm(reject=True), messages.Confirmed)
    fleet.settle()
    assert red.tree() == blue.tree()
    assert before.items() <= red.tree().items()
    delete_most(red)
    red.until(has("delete_brake"))
    red.ask(messages.Confirm(), messages.Confirmed)
    red.wait()
    blue.until(has("delete_brake"))
    assert before.items() <= blue.tree().items()
    blue.ask(messages.Confirm(), messages.Confirmed)
    fleet.settle()
    assert {path.partition("/")[0] for path in blue.tree()} == {"4", "meanwhile"}


def test_files_deleted_bit_by_bit_wait_for_an_answer_before_most_are_gone_elsewhere(fleet: Fleet) -> None:
    def fill_flat(folder: Path) -> None:
        for number in range(400):
            (folder / f"{number}").write_bytes(b"%d" % number)

    red, blue = fleet.pair_of("red", "blue", fill=fill_flat)
    for number in range(240):
        (red.folder / f"{number}").unlink()
        if number % 20 == 19 and number < 200:
            red.wait()
    red.until(has("delete_brake"))
    blue.wait()
    assert len(blue.tree()) == 200
    red.ask(messages.Confirm(), messages.Confirmed)
    red.wait()
    blue.until(has("delete_brake"))
    assert len(blue.tree()) == 200
    blue.ask(messages.Confirm(), messages.Confirmed)
    assert len(fleet.settle()) == 160
    for number in range(240, 280):
        (red.folder / f"{number}").unlink()
    assert len(fleet.settle()) == 120, "what was answered for does not count again"


def test_a_folder_belongs_to_one_home_and_a_home_has_one_daemon(fleet: Fleet) -> None:
    red, blue = fleet.pair_of("red", "blue", fill=fill)
    assert red.run("start")[0] == 1
    status, _, err = red.run("start", "--foreground")
    assert (status, str(red.program.pid) in err) == (1, True)
    other = fleet.device("green")
    other.join(red.pair())
    other.start()
    for folder in (red.folder, red.folder / "1", red.place, red.home, blue.folder):
        for command in (("add", str(folder), "--name", "again"), ("mount", "work", str(folder))):
            status, _, err = other.run(*command)
            assert status == 1, (folder, command)
            assert str(folder) in err
    other.mount()
    fleet.settle()
    below = other.folder / "1"
    for folder in (other.folder, below, other.place, other.home):
        status, _, err = other.run("add", str(folder), "--name", "again")
        assert status == 1, folder
        assert str(folder) in err
