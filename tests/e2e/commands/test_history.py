"""`history`, and `cat` of another version than the newest."""

import json

import pytest

from tests.common import documents
from tests.common.devices import Device, give_new, write
from tests.e2e.commands.conftest import Pair
from tests.e2e.commands.test_log import settle
from tests.e2e.commands.test_syncing import fails


def versions(device: Device, path: str) -> list[documents.Version]:
    said = device.must("history", path, "--json")
    assert said.err == ""
    return documents.read_document(said.out, documents.History).versions


@pytest.mark.command("shoal history")
def test_the_history_of_a_file_has_all_its_versions_the_newest_first(pair: Pair) -> None:
    for data, where in ((b"first", pair.folder), (b"the second", pair.copy)):
        write(where / "plan.txt", data)
        settle(pair)
    (pair.folder / "plan.txt").rename(pair.folder / "scheme.txt")
    settle(pair)
    found = versions(pair.second, "Documents:scheme.txt")
    assert found == versions(pair.first, str(pair.folder / "scheme.txt"))
    assert [(each.path, each.size, each.device) for each in found] == [
        ("scheme.txt", 10, "laptop"),
        ("plan.txt", 10, "desk"),
        ("plan.txt", 5, "laptop"),
    ]
    assert [each.current for each in found] == [True, False, False]
    assert {(each.user, each.kind, each.deleted, each.durable, each.kept) for each in found} == {
        ("ana", "file", False, True, True)
    }
    assert len({each.entry for each in found}) == 1
    assert len({each.id for each in found}) == 3
    fails(pair.first, "history", "Documents:nowhere")


@pytest.mark.command("shoal history")
def test_what_was_deleted_still_has_its_history_and_its_versions_can_be_read(pair: Pair) -> None:
    give_new(give_new(pair.folder / "gone") / "deep")
    write(pair.folder / "gone" / "deep" / "a.txt", b"a")
    write(pair.folder / "gone" / "b.txt", b"b")
    settle(pair)
    write(pair.copy / "gone" / "b.txt", b"b again")
    settle(pair)
    for path in ("gone/deep/a.txt", "gone/b.txt"):
        (pair.folder / path).unlink()
    (pair.folder / "gone" / "deep").rmdir()
    (pair.folder / "gone").rmdir()
    settle(pair)
    below = versions(pair.first, "Documents:gone")
    told = {(each.path, each.kind, each.deleted) for each in below}
    assert {("gone/b.txt", "file", False), ("gone/deep/a.txt", "file", False), ("gone", "directory", True)} <= told
    assert [each.time for each in below] == sorted((each.time for each in below), reverse=True)
    first, second = (each for each in reversed(versions(pair.second, "Documents:gone/b.txt")) if not each.deleted)
    assert pair.second.run("cat", "Documents:gone/b.txt", "--version", first.id).out == "b"
    assert pair.first.run("cat", str(pair.folder / "gone" / "b.txt"), "--version", second.id[:12]).out == "b again"
    assert "no version" in fails(pair.first, "cat", "Documents:gone/b.txt", "--version", "00" * 32)
    assert "give more" in fails(pair.first, "cat", "Documents:gone/b.txt", "--version", "")


@pytest.mark.command("shoal history")
def test_for_people_each_version_is_a_line(pair: Pair) -> None:
    write(pair.folder / "for people.txt", b"one")
    settle(pair)
    write(pair.folder / "for people.txt", b"two of them")
    settle(pair)
    said = pair.second.run("history", "for people.txt", cwd=pair.copy)
    lines = [line.split("\t") for line in said.out.splitlines()]
    assert [(cells[2], cells[3], cells[4], cells[5]) for cells in lines] == [
        ("for people.txt", "11 B", "laptop of ana", "current"),
        ("for people.txt", "3 B", "laptop of ana", ""),
    ]
    assert pair.second.run("cat", "for people.txt", "--version", lines[1][0], cwd=pair.copy).out == "one"
    assert json.loads(pair.second.must("history", "Documents:", "--json").out)["versions"]
