"""`add`, `mount`, `unmount`, `workspaces`, `status`, `wait`, `confirm`, `ls`, `cat`, `conflicts`."""

import json
import os
import secrets
import signal
from pathlib import Path

import pytest

from tests.common import documents
from tests.common.devices import Device, write
from tests.common.processes import start_program
from tests.e2e.commands.conftest import Pair


def fails(device: Device, *args: str, status: int = 1) -> str:
    """A command that fails as promised: nothing on standard output, one line on standard error."""
    said = device.run(*args)
    assert (said.status, said.out) == (status, ""), said
    assert said.err
    assert "\n" not in said.err
    assert "Traceback" not in said.err
    return said.err


@pytest.mark.command("shoal add")
def test_add_makes_a_workspace_of_the_folders_name_or_another(pair: Pair) -> None:
    folder = pair.first.folder("Pictures")
    said = pair.first.run("add", str(folder), "--name", "Fotos", "--json")
    assert (said.status, said.err) == (0, "")
    mounted = documents.read_document(said.out, documents.Mounted)
    assert (mounted.name, mounted.folder) == ("Fotos", str(folder))


@pytest.mark.command("shoal add")
def test_add_refuses_what_is_in_step_already_or_overlaps(pair: Pair) -> None:
    inside = pair.folder / "below"
    inside.mkdir()
    for each in (pair.folder, inside, pair.folder.parent, pair.first.home):
        err = fails(pair.first, "add", str(each))
        assert str(each) in err
    assert str(pair.folder) in fails(pair.second, "add", str(pair.folder))
    fails(pair.first, "add", str(pair.folder.parent / "nowhere"))
    inside.rmdir()


@pytest.mark.command("shoal mount")
def test_mount_brings_a_workspace_and_wait_returns_when_it_is_here(pair: Pair) -> None:
    third = pair.second.folder("third")
    fails(pair.second, "mount", "Nonsense", str(third))
    assert (pair.copy / "notes.txt").read_bytes() == b"one\n"
    assert (pair.copy / "link").readlink() == Path("notes.txt")


@pytest.mark.command("shoal unmount")
def test_unmount_leaves_the_files_and_mounting_again_adopts_them(pair: Pair) -> None:
    said = pair.second.run("unmount", str(pair.copy), "--json")
    assert (said.status, said.err) == (0, "")
    assert documents.read_document(said.out, documents.Unmounted).folder == str(pair.copy)
    fails(pair.second, "unmount", str(pair.copy))
    assert (pair.copy / "notes.txt").read_bytes() == b"one\n"
    again = pair.second.run("mount", "Documents", str(pair.copy), "--json")
    assert documents.read_document(again.out, documents.Mounted).folder == str(pair.copy)
    pair.second.must("wait", "--timeout", "60")
    assert documents.read_document(pair.second.run("conflicts", "--json").out, documents.Conflicts).conflicts == []


@pytest.mark.command("shoal workspaces")
def test_workspaces_lists_what_may_be_mounted_here_or_not(pair: Pair) -> None:
    said = pair.second.run("workspaces", "--json")
    assert (said.status, said.err) == (0, "")
    found = {each.name: each for each in documents.read_document(said.out, documents.Workspaces).workspaces}
    assert (found["Documents"].owner, found["Documents"].role) == ("ana", "owner")
    assert found["Documents"].folder == str(pair.copy)
    assert "ana/Documents" in pair.second.run("workspaces").out
    nobody = Device(pair.copy.parent, "without")
    fails(nobody, "workspaces", status=3)


@pytest.mark.command("shoal status")
def test_status_at_rest_says_that_nothing_is_left_to_do(pair: Pair) -> None:
    pair.first.must("wait", "--timeout", "60")
    said = pair.first.run("status", "--json")
    assert (said.status, said.err) == (0, "")
    status = documents.read_document(said.out, documents.Status)
    assert (status.device, status.user) == ("laptop", "ana")
    assert (status.coordinator.state, status.coordinator.url) == ("connected", pair.host.url)
    for each in status.workspaces:
        assert (each.state, each.cursor, each.problems) == ("up_to_date", each.head, [])
        assert each.pending == documents.Pending(0, 0, 0, 0)
    assert "Documents: up to date" in pair.first.run("status").out


@pytest.mark.command("shoal status")
def test_status_of_one_path(pair: Pair) -> None:
    pair.first.must("wait", "--timeout", "60")
    said = pair.first.run("status", "notes.txt", "--json", cwd=pair.folder)
    assert (said.status, said.err) == (0, "")
    status = documents.read_document(said.out, documents.PathStatus)
    assert (status.path, status.state, status.durable) == ("notes.txt", "up_to_date", True)
    assert pair.first.run("status", "Documents:notes.txt").out.startswith("notes.txt: up to date, durable, 4 B")
    fails(pair.first, "status", "Documents:nothing-of-the-kind")


@pytest.mark.command("shoal status")
def test_status_watch_prints_a_document_at_each_change_and_ends_with_0_on_sigterm(pair: Pair) -> None:
    with start_program(["shoal", "--home", str(pair.first.home), "status", "--watch", "--json"]) as program:
        first = program.line("{")
        documents.read_document(first + "\n", documents.Status)
        assert program.process.poll() is None
        program.signal(signal.SIGTERM)
        assert program.wait() == 0


@pytest.mark.command("shoal wait")
def test_wait_returns_once_a_saved_file_is_committed(pair: Pair) -> None:
    write(pair.folder / "saved.txt", b"saved")
    said = pair.first.run("wait", "--timeout", "60", "--durable", "--json")
    assert (said.status, said.err) == (0, "")
    assert documents.read_document(said.out, documents.Waited).outcome == "in_step"
    assert pair.second.run("wait", "--timeout", "60", str(pair.copy)).status == 0
    assert (pair.copy / "saved.txt").read_bytes() == b"saved"
    fails(Device(pair.copy.parent, "waiting"), "wait", status=3)
    assert pair.first.run("wait", "--timeout", "-1").status == 2


@pytest.mark.command("shoal confirm")
def test_confirm_with_no_question_open_says_so(pair: Pair) -> None:
    said = pair.first.run("confirm", "--json")
    assert (said.status, said.err) == (0, "")
    assert documents.read_document(said.out, documents.Confirmed).questions == []
    fails(pair.first, "confirm", str(pair.folder.parent / "nowhere"))


@pytest.mark.command("shoal ls")
def test_ls_lists_a_directory_of_a_workspace(pair: Pair) -> None:
    (pair.folder / "sub").mkdir()
    write(pair.folder / "sub" / "in.txt", b"within")
    pair.first.must("wait", "--timeout", "60")
    said = pair.first.run("ls", "Documents", "--json")
    assert (said.status, said.err) == (0, "")
    entries = {each.path: each for each in documents.read_document(said.out, documents.Listing).entries}
    assert (entries["notes.txt"].kind, entries["notes.txt"].size) == ("file", 4)
    assert (entries["link"].kind, entries["link"].target) == ("symlink", "notes.txt")
    below = documents.read_document(pair.first.run("ls", "Documents:sub", "--json").out, documents.Listing).entries
    assert [each.path for each in below] == ["sub/in.txt"]
    assert pair.first.run("ls", ".", cwd=pair.folder / "sub").out.startswith("sub/in.txt\t")
    fails(pair.first, "ls", "Documents:nowhere")


@pytest.mark.command("shoal cat")
def test_cat_prints_a_files_bytes(pair: Pair) -> None:
    assert pair.second.run("cat", "Documents:notes.txt").out == "one"
    assert pair.second.run("cat", "notes.txt", cwd=pair.copy).out == "one"
    pieces = [json.loads(line)["data"] for line in pair.second.run("cat", "Documents:notes.txt", "--json").out.split()]
    assert pieces == ["b25lCg=="]
    fails(pair.second, "cat", "Documents:nowhere")


def test_files_that_get_their_name_while_they_are_read_arrive(pair: Pair) -> None:
    names = [f"big-{number}.bin" for number in range(4)]
    for name in names:
        write(pair.folder / f".{name}.saving", secrets.token_bytes(24 * 2**20))
        os.replace(pair.folder / f".{name}.saving", pair.folder / name)
    pair.first.must("wait", "--timeout", "60")
    pair.second.must("wait", "--timeout", "60")
    for name in names:
        assert (pair.copy / name).read_bytes() == (pair.folder / name).read_bytes()


@pytest.mark.command("shoal conflicts")
def test_conflicts_lists_the_copies_of_edits_on_both_sides(pair: Pair) -> None:
    pair.first.must("wait", "--timeout", "60")
    pair.second.must("wait", "--timeout", "60")
    assert pair.first.run("stop").status == 0
    write(pair.folder / "notes.txt", b"edited on the laptop\n")
    write(pair.copy / "notes.txt", b"and on the desk\n")
    pair.second.must("wait", "--timeout", "60")
    with pair.first.open_daemon():
        pair.first.must("wait", "--timeout", "60")
        said = pair.first.run("conflicts", "--json")
        assert (said.status, said.err) == (0, "")
        conflicts = documents.read_document(said.out, documents.Conflicts).conflicts
        assert [(each.of, each.device) for each in conflicts] == [("notes.txt", "laptop")]
        assert (pair.folder / conflicts[0].path).read_bytes() == b"edited on the laptop\n"
    fails(Device(pair.copy.parent, "alone"), "conflicts", status=3)
