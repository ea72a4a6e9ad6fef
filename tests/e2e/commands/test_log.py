"""`log`."""

import signal
from pathlib import Path

import pytest

from tests.common import documents
from tests.common.devices import Device, write
from tests.common.processes import start_program
from tests.e2e.commands.conftest import Pair


def settle(pair: Pair) -> None:
    pair.first.must("wait", "--timeout", "60")
    pair.second.must("wait", "--timeout", "60")


def events(device: Device, *args: str) -> list[documents.Event]:
    said = device.must("log", "--json", *args)
    assert said.err == ""
    return documents.read_lines(said.out, documents.Event)


def told(found: list[documents.Event]) -> list[tuple[str, str, str]]:
    return [(each.action, each.path, each.detail) for each in found]


@pytest.mark.command("shoal log")
def test_the_log_tells_what_happened_to_each_file_and_by_whom(pair: Pair) -> None:
    (pair.folder / "sub").mkdir()
    settle(pair)
    write(pair.folder / "plan.txt", b"first")
    settle(pair)
    write(pair.copy / "plan.txt", b"second one")
    settle(pair)
    (pair.copy / "plan.txt").rename(pair.copy / "scheme.txt")
    settle(pair)
    (pair.folder / "scheme.txt").rename(pair.folder / "sub" / "scheme.txt")
    settle(pair)
    (pair.folder / "sub" / "scheme.txt").unlink()
    settle(pair)
    found = events(pair.first)
    assert [each.seq for each in found] == sorted(each.seq for each in found)
    assert {each.workspace for each in found} == {"Documents"}
    assert {each.user for each in found} == {"ana"}
    assert told(found)[0] == ("workspace_made", "", "called Documents")
    assert ("device_added", "", "desk of ana") in told(found)
    assert ("added", "link", "symlink to notes.txt") in told(found)
    expected = [
        ("added", "plan.txt", "file of 5 bytes", "laptop"),
        ("edited", "plan.txt", "5 to 10 bytes", "desk"),
        ("renamed", "scheme.txt", "from plan.txt", "desk"),
        ("moved", "sub/scheme.txt", "from scheme.txt", "laptop"),
        ("deleted", "sub/scheme.txt", "file", "laptop"),
    ]
    assert [(each.action, each.path, each.detail, each.device) for each in found[-5:]] == expected
    assert told(events(pair.second)) == told(found)


@pytest.mark.command("shoal log")
def test_the_log_of_a_path_is_about_it_and_what_is_below(pair: Pair) -> None:
    write(pair.folder / "sub" / "deep.txt", b"deep")
    settle(pair)
    below = events(pair.first, "Documents:sub")
    assert told(below)[0] == ("added", "sub", "directory")
    assert told(below)[-1] == ("added", "sub/deep.txt", "file of 4 bytes")
    assert all("sub" in each.path or "sub" in each.detail for each in below)
    assert told(events(pair.first, str(pair.folder / "plan.txt"))) == told(events(pair.first, "Documents:plan.txt"))
    gone = pair.first.run("log", "scheme.txt", cwd=pair.folder)
    assert [line.split("\t")[2] for line in gone.out.splitlines()] == ["renamed", "moved"]
    assert told(events(pair.first, "--last", "1")) == told(below)[-1:]
    assert told(events(pair.first, "Documents", "--last", "1")) == told(below)[-1:]


@pytest.mark.command("shoal log")
def test_a_move_that_is_undone_is_said_where_it_was_made(pair: Pair) -> None:
    write(pair.folder / "torn.txt", b"here or there")
    settle(pair)
    pair.first.must("pause")
    (pair.folder / "torn.txt").rename(pair.folder / "here.txt")
    (pair.copy / "torn.txt").rename(pair.copy / "there.txt")
    pair.second.must("wait", "--timeout", "60")
    pair.first.must("resume")
    settle(pair)
    assert (pair.folder / "there.txt").read_bytes() == b"here or there"
    undone = [each for each in events(pair.first, "Documents:there.txt") if each.action == "move_undone"]
    assert [(each.path, each.device) for each in undone] == [("there.txt", "laptop")]
    assert "here.txt" in undone[0].detail
    assert "move_undone" not in [each.action for each in events(pair.second)]


@pytest.mark.command("shoal log")
def test_a_log_that_is_followed_goes_on_and_ends_with_0_on_sigterm(pair: Pair) -> None:
    arguments = ["shoal", "--home", str(pair.second.home), "log", "--follow", "--last", "1", "--json"]
    with start_program(arguments) as program:
        program.line("{")
        write(pair.folder / "live.txt", b"news")
        event = documents.read_lines(program.line_with("live.txt"), documents.Event)[0]
        assert (event.action, event.path, event.device) == ("added", "live.txt", "laptop")
        program.signal(signal.SIGTERM)
        assert program.wait() == 0


@pytest.mark.command("shoal log")
def test_the_log_for_people_has_a_line_for_each_event(pair: Pair, place: Path) -> None:
    line = pair.first.must("log", "Documents:plan.txt", "--last", "1").out.split("\t")
    assert line[1:] == ["desk of ana", "renamed", "Documents:scheme.txt", "from plan.txt"]
    nothing = pair.first.must("log", "Documents:never-there")
    assert (nothing.out, nothing.err) == ("", "nothing has happened there")
    said = pair.first.run("log", "Nowhere:")
    assert (said.status, said.out, said.err.count("\n")) == (1, "", 0)
    assert Device(place, "silent").run("log").status == 3
