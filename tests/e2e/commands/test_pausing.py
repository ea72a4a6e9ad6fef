"""`pause` and `resume`."""

import secrets
from pathlib import Path

import pytest

from tests.common import documents
from tests.common.devices import Device, write
from tests.common.processes import start_program
from tests.e2e.commands.conftest import Pair

LONG = bytes(range(256)) * 4096
OTHER = LONG[::-1]


def paused(device: Device, command: str, *args: str) -> list[tuple[str, bool]]:
    said = device.must(command, "--json", *args)
    assert said.err == ""
    return [(each.workspace, each.paused) for each in documents.read_document(said.out, documents.Paused).folders]


def workspace(device: Device, name: str = "Documents") -> documents.StatusWorkspace:
    status = documents.read_document(device.run("status", "--json").out, documents.Status)
    return next(each for each in status.workspaces if each.name == name)


def waited(device: Device, *args: str) -> tuple[int, documents.Waited]:
    said = device.run("wait", "--timeout", "60", "--json", *args)
    return said.status, documents.read_document(said.out, documents.Waited)


def settle(pair: Pair) -> None:
    pair.first.must("wait", "--timeout", "60")
    pair.second.must("wait", "--timeout", "60")


@pytest.mark.command("shoal pause")
@pytest.mark.command("shoal resume")
def test_what_is_paused_notices_and_sends_nothing_until_it_is_resumed(pair: Pair) -> None:
    settle(pair)
    assert paused(pair.first, "pause", str(pair.folder)) == [("Documents", True)]
    assert waited(pair.first) == (0, documents.Waited("in_step", [], [str(pair.folder)]))
    before = documents.read_document(pair.first.must("status", "--json").out, documents.Status).transfer
    write(pair.folder / "held.bin", LONG)
    (pair.folder / "notes.txt").rename(pair.folder / "renamed.txt")
    status, found = waited(pair.first)
    assert (status, found.outcome, found.problems, found.paused) == (5, "problems", [], [str(pair.folder)])
    state = workspace(pair.first)
    assert (state.state, state.pending) == ("paused", documents.Pending(2, len(LONG), 0, 0))
    path = documents.read_document(pair.first.must("status", "Documents:held.bin", "--json").out, documents.PathStatus)
    assert (path.state, "shoal resume" in path.why) == ("waiting", True)
    assert "Documents: paused" in pair.first.must("status").out
    pair.second.must("wait", "--timeout", "60")
    assert not (pair.copy / "held.bin").exists()
    after = documents.read_document(pair.first.must("status", "--json").out, documents.Status).transfer
    assert after == before
    assert paused(pair.first, "resume") == [("Documents", False)]
    settle(pair)
    assert (pair.copy / "held.bin").read_bytes() == LONG
    assert sorted(each.name for each in pair.copy.iterdir() if each.name != ".shoal") == [
        "held.bin",
        "link",
        "renamed.txt",
    ]


@pytest.mark.command("shoal pause")
def test_what_is_paused_fetches_nothing_and_says_what_there_is(pair: Pair) -> None:
    settle(pair)
    assert paused(pair.second, "pause") == [("Documents", True)]
    write(pair.folder / "fetched.bin", OTHER)
    (pair.folder / "held.bin").unlink()
    pair.first.must("wait", "--timeout", "60")
    assert waited(pair.second)[0] == 5
    state = workspace(pair.second)
    assert (state.state, state.cursor, state.pending) == (
        "paused",
        workspace(pair.first).cursor,
        documents.Pending(0, 0, 1, len(OTHER)),
    )
    assert (pair.copy / "held.bin").exists()
    assert not (pair.copy / "fetched.bin").exists()
    assert paused(pair.second, "resume", str(pair.copy)) == [("Documents", False)]
    settle(pair)
    assert (pair.copy / "fetched.bin").read_bytes() == OTHER
    assert not (pair.copy / "held.bin").exists()


@pytest.mark.command("shoal pause")
def test_a_pause_outlasts_a_restart(pair: Pair) -> None:
    settle(pair)
    paused(pair.second, "pause")
    pair.second.must("stop")
    write(pair.copy / "while-stopped.txt", b"offline")
    with pair.second.open_daemon():
        said = pair.second.run("wait", "--timeout", "60")
        assert (said.status, said.err) == (5, f"{pair.copy} is paused: `shoal resume` lets it go on")
        assert workspace(pair.second).state == "paused"
        pair.second.must("resume")
        settle(pair)
        assert (pair.folder / "while-stopped.txt").read_bytes() == b"offline"
        assert workspace(pair.second).state == "up_to_date"


@pytest.mark.command("shoal pause")
def test_an_upload_that_is_under_way_ends_with_a_pause(pair: Pair) -> None:
    pair.first.must("limit", "--up", "64KiB")
    write(pair.folder / "slow.bin", secrets.token_bytes(3 * 2**20))
    with start_program(["shoal", "--home", str(pair.first.home), "status", "--watch", "--json"]) as watching:
        watching.line_with('"up_files":1')
        paused(pair.first, "pause")
    pair.first.must("limit", "--up", "none")
    assert waited(pair.first)[0] == 5
    sent = documents.read_document(pair.first.must("status", "--json").out, documents.Status).transfer.server_out
    assert waited(pair.first)[0] == 5
    again = documents.read_document(pair.first.must("status", "--json").out, documents.Status).transfer.server_out
    assert sent == again
    paused(pair.first, "resume")
    pair.first.must("wait", "--timeout", "60")


@pytest.mark.command("shoal pause")
@pytest.mark.command("shoal resume")
@pytest.mark.parametrize("command", ["pause", "resume"])
def test_what_is_not_synced_cannot_be_paused(pair: Pair, place: Path, command: str) -> None:
    said = pair.first.run(command, str(place))
    assert (said.status, said.out, said.err.count("\n")) == (1, "", 0)
    assert Device(place, f"no-{command}").run(command).status == 3
