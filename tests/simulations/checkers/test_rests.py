"""What looks at a world at rest, or at its end, finds what it is there to find, and nothing else."""

import base64
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from peer.control.messages import Pending, Problem, WorkspaceStatus
from peer.store.database import open_database
from protocol.ids import ROOT
from simulations.checkers.a05_row_and_disk import Row, rows_of, true_rows, watch_loss
from simulations.checkers.a17_ciphertext import readable
from simulations.checkers.l01_convergence import disk_tree, diverged
from simulations.checkers.l05_idle import Activity, busy
from simulations.checkers.l08_explained import rests, unexplained
from simulations.disk import Loss, SimDisk
from tests.common.simulated_disks import sim_disk

STATUS = WorkspaceStatus(
    id="00",
    name="folder",
    folder="/folder",
    role="owner",
    state="up_to_date",
    cursor=3,
    head=3,
    entries=1,
    bytes=1,
    pending=Pending(),
    not_durable=0,
    conflicts=0,
    eta_s=0.0,
    problems=[],
)


def replaced(**changes: object) -> WorkspaceStatus:
    return msgspec.structs.replace(STATUS, **changes)


def test_a_device_that_is_in_step_and_does_not_say_so_is_found() -> None:
    assert unexplained("red", STATUS, in_step=True) is None
    assert rests(STATUS)
    for changes in ({"state": "syncing"}, {"head": 4}, {"pending": Pending(up_files=1)}):
        assert "L8" in str(unexplained("red", replaced(**changes), in_step=True))


def test_a_device_that_is_not_in_step_and_says_nothing_is_found() -> None:
    problem = Problem(path="a", code="disk_full", message="no room", since="2026-01-01T00:00:00Z")
    assert "L8" in str(unexplained("red", STATUS, in_step=False))
    assert unexplained("red", replaced(state="syncing"), in_step=False) is None
    assert unexplained("red", replaced(problems=[problem]), in_step=False) is None
    mute = msgspec.structs.replace(problem, message="")
    assert "without a cause" in str(unexplained("red", replaced(problems=[mute]), in_step=True))


def test_what_is_done_while_nobody_does_anything_is_found() -> None:
    before = Activity(7, {"red": 3, "blue": 0}, 1_000)
    assert busy(before, Activity(7, {"red": 3, "blue": 0}, 9_000), 120) == []
    assert len(busy(before, Activity(8, {"red": 5, "blue": 0}, 9_000_000), 120)) == 3


@pytest.mark.parametrize(
    "form",
    [
        lambda word: word,
        lambda word: word.decode().encode("utf-16-le"),
        lambda word: word.hex().encode(),
        *(lambda word, n=n: base64.b64encode(bytes(n) + word + bytes(7)) for n in range(3)),
    ],
)
def test_a_word_in_any_of_its_forms_is_found(form: Callable[[bytes], bytes]) -> None:
    noise = bytes(range(256)) * 4
    word = b"a secret of people"
    assert readable({"metadata.db": noise}, [word]) == []
    assert len(readable({"metadata.db": noise + form(word) + noise, "1.seg": noise}, [word])) == 1


# --- disks ------------------------------------------------------------------------------------------------


@pytest.fixture
def disk() -> SimDisk:
    made = sim_disk(directories=("/folder/d", "/folder/.shoal/tmp", "/drafts"))
    made.put("/folder/d/a", b"as it was")
    made.volume.save_all()
    return made


def test_a_difference_in_bytes_bits_times_or_names_is_a_divergence(disk: SimDisk) -> None:
    def look() -> dict[str, tuple[object, ...]]:
        return dict(disk_tree(disk, "/folder", lambda data: data))

    before = look()
    assert set(before) == {"d", "d/a"}, "the private directory is nobody's"
    assert diverged(before, {"red": look(), "blue": look()}) == []
    entry = disk.volume.root.children["folder"].inode.children["d"].inode.children["a"]
    entry.inode.mtime_ns += 1
    assert len(diverged(before, {"red": look()})) == 1
    entry.inode.mtime_ns -= 1
    entry.inode.mode |= 0o111
    assert len(diverged(before, {"red": look()})) == 1
    entry.inode.mode &= ~0o111
    disk.put("/folder/d/a", b"as it is")
    assert len(diverged(before, {"red": look()})) == 1
    disk.put("/folder/b", b"new")
    assert len(diverged(before, {"red": before, "blue": look()})) == 2


def _database(place: Path, disk: SimDisk) -> Path:
    """A device's database that says of the folder what is on the disk."""
    path = place / "peer.db"
    with open_database(path):
        pass
    a = disk.volume.root.children["folder"].inode.children["d"].inode.children["a"].inode
    connection = sqlite3.connect(path)
    connection.execute(
        "INSERT INTO workspaces (w, id, name, keyring, genesis, folder, paused, known_seq, known_hash, seq, log_hash, "
        "epoch, last_control, last_signed, synced_before, age, next_age, began_anew, offers_generation, offers_number) "
        "VALUES (1, x'00', 'folder', x'00', x'00', '/folder', 0, 0, x'00', 0, x'00', 1, x'00', 0, 0, 0, 0, 0, 0, 0)"
    )
    columns = "w, entry, parent, name, kind, size, mtime_ns, executable, deleted, f_inode, f_size, f_mtime_ns"
    for row in (
        (1, b"d" * 16, bytes(ROOT), "d", 1, 0, 0, 0, 0, None, None, None),
        (1, b"a" * 16, b"d" * 16, "a", 0, 9, 0, 0, 0, a.number, a.content.size, a.mtime_ns),
    ):
        connection.execute(f"INSERT INTO synced ({columns}) VALUES (?,?,?,?,?,?,?,?,?,?,?,?)", row)
        connection.execute(
            "INSERT INTO local (w, entry, parent, name, kind, size, mtime_ns, executable, disk_name) "
            "SELECT w, entry, parent, name, kind, size, mtime_ns, executable, name FROM synced WHERE entry = ?",
            (row[1],),
        )
    connection.commit()
    connection.close()
    return path


def test_rows_of_what_is_on_the_disk_for_good_are_true_after_a_loss_of_power(disk: SimDisk, tmp_path: Path) -> None:
    database = _database(tmp_path, disk)
    assert {row.path for row, _ in true_rows(disk, rows_of(database))} == {"/folder/d", "/folder/d/a"}
    assert true_rows(disk, [Row("/folder/d/a", (1, 9, 1)), Row("/folder/x", None)]) == []
    found: list[str] = []
    disk.before_loss = lambda: watch_loss("red", database, disk, found.append)
    disk.crash(power=True, loss=Loss.ALL)
    assert found == []


def test_a_row_of_what_a_loss_of_power_takes_is_found(disk: SimDisk, tmp_path: Path) -> None:
    fs = disk.filesystem()
    directory = fs.open_root("/folder/d")
    fs.rename_new(directory, "a", fs.open_root("/folder/.shoal/tmp"), "a")
    fs.rename_new(fs.open_root("/folder/.shoal/tmp"), "a", directory, "a")
    disk.volume.save_all()
    handle = fs.open_write(directory, "a")
    fs.write_at(handle, b"AS IT WAS", 0)
    database = _database(tmp_path, disk)
    found: list[str] = []
    disk.before_loss = lambda: watch_loss("red", database, disk, found.append)
    disk.crash(power=True, loss=Loss.ALL)
    assert len(found) == 1
    assert "A5" in found[0]


@pytest.mark.parametrize("known", ["UPDATE local SET name = 'f' WHERE name = 'd'", "DELETE FROM local"])
def test_what_a_person_took_away_and_the_program_was_putting_back_is_no_row_ahead_of_the_disk(
    disk: SimDisk, tmp_path: Path, known: str
) -> None:
    fs = disk.filesystem()
    folder = fs.open_root("/folder")
    fs.rename_new(folder, "d", folder, "f")
    disk.volume.save_all()
    fs.rename_new(folder, "f", folder, "d")
    database = _database(tmp_path, disk)
    found: list[str] = []
    disk.before_loss = lambda: watch_loss("red", database, disk, found.append)
    disk.crash(power=True, loss=Loss.ALL)
    assert len(found) == 2, "the last look found it there"
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute(known)
    fs = disk.filesystem()
    folder = fs.open_root("/folder")
    fs.rename_new(folder, "f", folder, "d")
    found.clear()
    disk.crash(power=True, loss=Loss.ALL)
    assert found == []
