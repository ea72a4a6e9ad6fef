"""The commands of `shoal-coordinator`."""

from pathlib import Path

import pytest

from tests.common import documents
from tests.common.devices import Device, Host
from tests.common.processes import run_program, start_program


@pytest.mark.command("shoal-coordinator serve")
def test_serve_says_where_it_listens_and_ends_with_0_on_sigterm(workplace: Path) -> None:
    arguments = ["shoal-coordinator", "serve", "--data", str(workplace / "data"), "--listen", "127.0.0.1:0"]
    with start_program(arguments) as program:
        line = program.line("listening on https://127.0.0.1:")
        assert int(line.rpartition(":")[2]) > 0
        assert program.stop() == 0
        assert program.stdout == line


@pytest.mark.command("shoal-coordinator serve")
def test_serve_at_an_address_in_use_exits_1_with_one_line(host: Host, workplace: Path) -> None:
    address = host.url.removeprefix("https://")
    status, out, err = run_program(
        ["shoal-coordinator", "serve", "--data", str(workplace / "data"), "--listen", address]
    )
    assert (status, out) == (1, "")
    assert "\n" not in err
    assert address in err


@pytest.mark.command("shoal-coordinator invite")
def test_invite_prints_a_code(host: Host, place: Path) -> None:
    said = host.run("invite", "hal", "--json")
    assert (said.status, said.err) == (0, "")
    invitation = documents.read_document(said.out, documents.Invite)
    assert invitation.user == "hal"
    Device(place, "hals").join(invitation.code)
    assert host.run("invite", "bad/name").status in (1, 2)
    assert host.run("invite", "ida", "--expires", "soon").status == 2


@pytest.mark.command("shoal-coordinator users")
@pytest.mark.command("shoal-coordinator devices")
@pytest.mark.command("shoal-coordinator workspaces")
@pytest.mark.parametrize("command", ["users", "devices", "workspaces"])
def test_lists_are_printed_for_people_and_scripts(host: Host, place: Path, command: str) -> None:
    Device(place, f"of-{command}").join(host.invite(f"ua-{command}"))
    said = host.run(command, "--json")
    assert (said.status, said.err) == (0, "")
    rows = documents.read_any(said.out)[command]
    if command != "workspaces":
        assert f"{'ua' if command == 'users' else 'of'}-{command}" in {each["name"] for each in rows}
    assert host.run(command).status == 0


@pytest.mark.command("shoal-coordinator users")
@pytest.mark.parametrize("command", ["users", "devices", "workspaces"])
def test_lists_of_a_place_that_holds_no_coordinator_exit_1(workplace: Path, command: str) -> None:
    status, out, err = run_program(["shoal-coordinator", command, "--data", str(workplace / "nothing")])
    assert (status, out) == (1, "")
    assert err
