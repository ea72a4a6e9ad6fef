"""The host's commands over a real data directory."""

import json
import stat
from pathlib import Path

import pytest
import trio
from click.testing import CliRunner, Result

from coordinator import reach
from coordinator.__main__ import commands
from coordinator.identity import open_identity
from coordinator.machine import DirectoryFiles, MachineEntropy
from coordinator.storage.metadata_sql import METADATA_FILE
from crypto.identity import coordinator_hash
from crypto.invitation import CodeKind, decode_code
from tests.common.coordination import open_coordination, session_of
from tests.common.journals import TestJournal, TestUser


def run(*arguments: str) -> Result:
    return CliRunner().invoke(commands, arguments)


def test_an_invitation_is_a_code_with_the_addresses_and_the_identity(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    urls = ("https://shoal.example", "https://10.0.0.7:9000")
    reach.record(data, DirectoryFiles(), scheme="https", host="::", port=9_000, public_urls=urls)
    result = run("invite", "ana", "--data", str(data), "--json", "--expires", "2d")
    assert result.exit_code == 0
    document = json.loads(result.stdout)
    assert document.keys() == {"code", "user", "expires"}
    assert document["user"] == "ana"
    assert document["expires"].endswith("Z")
    code = decode_code(document["code"])
    assert (code.kind, code.addresses) == (CodeKind.JOIN, urls)
    identity = open_identity(data, MachineEntropy())
    assert code.identity_hash == coordinator_hash(identity.public)


def test_a_code_before_the_first_start_names_the_machine_and_never_a_wildcard(tmp_path: Path) -> None:
    result = run("invite", "ana", "--data", str(tmp_path / "new"))
    assert result.exit_code == 0
    (word,) = result.stdout.split()
    addresses = decode_code(word).addresses
    assert addresses
    assert not any("[::]" in each or "0.0.0.0" in each for each in addresses)
    assert "ana" in result.stderr
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o700


def test_the_database_never_holds_the_secret_of_a_code(tmp_path: Path) -> None:
    result = run("invite", "ana", "--data", str(tmp_path), "--json")
    secret = decode_code(json.loads(result.stdout)["code"]).secret
    assert all(secret not in path.read_bytes() for path in tmp_path.iterdir())


@pytest.mark.parametrize("name", ["", " ana", "a\nb", "x" * 65])
def test_a_name_that_nobody_may_have_is_refused_in_one_line(tmp_path: Path, name: str) -> None:
    result = run("invite", name, "--data", str(tmp_path))
    assert result.exit_code == 1
    assert len(result.stderr.splitlines()) == 1


@pytest.mark.parametrize("span", ["", "7", "-1d", "0d", "9999d", "d7"])
def test_a_span_of_time_that_makes_no_sense_is_wrong_usage(tmp_path: Path, span: str) -> None:
    assert run("invite", "ana", "--expires", span, "--data", str(tmp_path)).exit_code == 2


@pytest.mark.parametrize("command", ["users", "devices", "workspaces"])
def test_lists_of_a_place_without_data_say_so_and_make_nothing(tmp_path: Path, command: str) -> None:
    result = run(command, "--data", str(tmp_path / "none"))
    assert result.exit_code == 1
    assert len(result.stderr.splitlines()) == 1
    assert not (tmp_path / "none").exists()


def test_data_that_are_no_database_are_said_in_one_line(tmp_path: Path) -> None:
    (tmp_path / METADATA_FILE).write_bytes(b"not a database" * 1_000)
    result = run("users", "--data", str(tmp_path))
    assert result.exit_code == 1
    assert len(result.stderr.splitlines()) == 1


async def test_lists_show_what_there_is_beside_an_open_coordinator(tmp_path: Path) -> None:
    async with open_coordination(tmp_path / METADATA_FILE) as here:
        ana = TestUser("ana")
        ana.pair("laptop")
        kept = TestJournal(ana)
        await here.know(ana)
        await here.accept(session_of(ana), *kept.commits)
        lists = {}
        for name in ("users", "devices", "workspaces"):
            lists[name] = json.loads((await beside(tmp_path, name, "--json")).stdout)
            assert "ana" in (await beside(tmp_path, name)).stdout
        (user,) = lists["users"]["users"]
        assert (user["name"], user["id"], user["devices"], user["admin"]) == ("ana", ana.id.hex(), 2, False)
        assert [each["name"] for each in lists["devices"]["devices"]] == ["ana-1", "laptop"]
        assert {each["state"] for each in lists["devices"]["devices"]} == {"active"}
        assert lists["devices"]["devices"][0]["last_seen"] is None
        (workspace,) = lists["workspaces"]["workspaces"]
        assert (workspace["id"], workspace["owner"], workspace["head"]) == (kept.id.hex(), "ana", 1)
        refused = await beside(tmp_path, "invite", "ana")
        assert refused.exit_code == 1


async def beside(data: Path, *arguments: str) -> Result:
    """A command in a process's other thread, as it would be in another process."""
    return await trio.to_thread.run_sync(lambda: run(*arguments, "--data", str(data)))


def test_every_command_has_help_with_an_example() -> None:
    assert "Example:" in run("--help").stdout
    for name in commands.commands:
        result = run(name, "--help")
        assert result.exit_code == 0
        assert "Example:" in result.stdout
