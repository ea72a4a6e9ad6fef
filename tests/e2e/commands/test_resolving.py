"""`resolve`."""

from pathlib import Path

import pytest

from tests.common import documents
from tests.common.devices import Device, write
from tests.e2e.commands.conftest import Pair

MINE, THEIRS = b"edited on the laptop, offline\n", b"edited on the desk\n"


def settle(pair: Pair) -> None:
    pair.first.must("wait", "--timeout", "60")
    pair.second.must("wait", "--timeout", "60")
    pair.first.must("wait", "--timeout", "60")


def make_conflict(pair: Pair, *names: str) -> list[str]:
    """The same files edited on both; the laptop's edits become the copies. Their paths."""
    for name in names:
        write(pair.folder / name, b"before")
    settle(pair)
    pair.first.must("pause")
    for name in names:
        write(pair.folder / name, MINE)
        write(pair.copy / name, THEIRS)
    pair.second.must("wait", "--timeout", "60")
    pair.first.must("resume")
    settle(pair)
    by_original = {each.of: each.path for each in conflicts(pair.first)}
    return [by_original[name] for name in names]


def conflicts(device: Device) -> list[documents.Conflict]:
    return documents.read_document(device.must("conflicts", "--json").out, documents.Conflicts).conflicts


def resolve(device: Device, *args: str) -> documents.Resolved:
    said = device.must("resolve", "--json", *args)
    assert said.err == ""
    return documents.read_document(said.out, documents.Resolved)


def contents(folder: Path) -> dict[str, bytes]:
    return {each.name: each.read_bytes() for each in folder.iterdir() if each.is_file() and not each.is_symlink()}


@pytest.mark.command("shoal resolve")
def test_mine_and_theirs_are_what_was_edited_here_and_there(pair: Pair) -> None:
    (pair.folder / "notes.txt").unlink()
    names = ["a.txt", "b.txt", "c.txt", "d.txt", "e.txt"]
    copies = make_conflict(pair, *names)
    first, second = pair.first, pair.second
    assert resolve(first, f"Documents:{copies[0]}", "--keep", "mine") == documents.Resolved(
        "Documents", "a.txt", copies[0], "copy", None
    )
    assert resolve(first, "Documents:b.txt", "--keep", "theirs").kept == "original"
    assert resolve(second, str(pair.copy / "c.txt"), "--keep", "mine").kept == "original"
    assert resolve(second, str(pair.copy / copies[3]), "--keep", "theirs").kept == "copy"
    both = resolve(second, "Documents:e.txt", "--keep", "both")
    assert both.copy_at == copies[4].replace("conflicted copy", "copy")
    settle(pair)
    expected = {"a.txt": MINE, "b.txt": THEIRS, "c.txt": THEIRS, "d.txt": MINE, "e.txt": THEIRS, both.copy_at: MINE}
    assert contents(pair.folder) == contents(pair.copy) == expected
    for device in (first, second):
        assert conflicts(device) == []
        status = documents.read_document(device.must("status", "--json").out, documents.Status)
        assert [each.conflicts for each in status.workspaces] == [0]


@pytest.mark.command("shoal resolve")
def test_what_is_not_kept_is_in_the_history(pair: Pair) -> None:
    (copy,) = make_conflict(pair, "kept.txt")
    listed = documents.read_document(pair.first.must("ls", "Documents:kept.txt", "--json").out, documents.Listing)
    version = listed.entries[0].version
    resolve(pair.first, "Documents:kept.txt", "--keep", "copy")
    settle(pair)
    assert (pair.copy / "kept.txt").read_bytes() == MINE
    events = documents.read_lines(pair.second.must("log", "Documents:kept.txt", "--json").out, documents.Event)
    assert [each.action for each in events] == ["added", "edited", "edited"]
    assert (
        version
        != documents.read_document(pair.first.must("ls", "Documents:kept.txt", "--json").out, documents.Listing)
        .entries[0]
        .version
    )
    gone = documents.read_lines(pair.second.must("log", f"Documents:{copy}", "--json").out, documents.Event)
    assert [each.action for each in gone] == ["conflict", "deleted"]


@pytest.mark.command("shoal resolve")
def test_a_copy_whose_original_is_gone_may_have_its_name(pair: Pair) -> None:
    (copy,) = make_conflict(pair, "lost.txt")
    (pair.copy / "lost.txt").unlink()
    settle(pair)
    said = pair.first.run("resolve", f"Documents:{copy}", "--keep", "original")
    assert (said.status, said.out, said.err.count("\n")) == (1, "", 0)
    assert resolve(pair.first, f"Documents:{copy}", "--keep", "mine").path == "lost.txt"
    settle(pair)
    assert (pair.copy / "lost.txt").read_bytes() == MINE
    assert conflicts(pair.second) == []


@pytest.mark.command("shoal resolve")
def test_what_is_no_conflict_or_not_in_step_is_refused(pair: Pair, place: Path) -> None:
    write(pair.folder / "plain.txt", b"plain")
    (copy,) = make_conflict(pair, "moving.txt")
    pair.first.must("pause")
    write(pair.folder / copy, b"edited once more")
    pair.first.run("wait", "--timeout", "60")
    for path in ("plain.txt", "nowhere.txt", copy):
        said = pair.first.run("resolve", f"Documents:{path}", "--keep", "theirs")
        assert (said.status, said.out, said.err.count("\n")) == (1, "", 0)
    assert (pair.folder / copy).read_bytes() == b"edited once more"
    pair.first.must("resume")
    assert pair.first.run("resolve", "Documents:moving.txt").status == 2
    assert pair.first.run("resolve", "Documents:moving.txt", "--keep", "none").status == 2
    assert Device(place, "undecided").run("resolve", "x", "--keep", "both").status == 3


def test_what_lost_its_name_to_another_file_is_a_conflict_too(pair: Pair) -> None:
    write(pair.folder / "moved.txt", MINE)
    settle(pair)
    pair.first.must("pause")
    (pair.folder / "moved.txt").rename(pair.folder / "plan.txt")
    write(pair.copy / "plan.txt", THEIRS)
    pair.second.must("wait", "--timeout", "60")
    pair.first.must("resume")
    settle(pair)
    (found,) = [each for each in conflicts(pair.second) if each.of == "plan.txt"]
    assert contents(pair.copy)[found.path] == MINE
    kept = resolve(pair.first, f"Documents:{found.path}", "--keep", "both")
    settle(pair)
    assert kept.copy_at is not None
    assert (contents(pair.copy)["plan.txt"], contents(pair.copy)[kept.copy_at]) == (THEIRS, MINE)
    assert found.path not in {each.path for each in conflicts(pair.second)}
