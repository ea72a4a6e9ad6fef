"""`start` and `stop`."""

import os
from pathlib import Path

import pytest

from tests.common import documents
from tests.common.devices import Device, Host
from tests.common.processes import start_program


@pytest.fixture
def device(place: Path, host: Host, request: pytest.FixtureRequest) -> Device:
    name = f"d{abs(hash(request.node.name)) % 10**8}"
    made = Device(place, name)
    made.join(host.invite(name))
    return made


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.command("shoal start")
@pytest.mark.command("shoal stop")
def test_start_returns_when_commands_are_answered_and_stop_when_the_daemon_is_gone(device: Device) -> None:
    said = device.run("start", "--json")
    assert (said.status, said.err) == (0, "")
    pid = documents.read_document(said.out, documents.Started).pid
    try:
        assert is_running(pid)
        assert device.run("status").status == 0
        second = device.run("start")
        assert (second.status, second.out) == (1, "")
        assert str(pid) in second.err
    finally:
        stopped = device.run("stop", "--json")
    assert (stopped.status, stopped.err) == (0, "")
    assert documents.read_document(stopped.out, documents.Stopped).pid == pid
    assert not is_running(pid)
    assert device.run("status").status == 3
    assert device.run("stop").status == 3


@pytest.mark.command("shoal start")
def test_start_works_while_the_coordinator_is_away_and_from_any_directory(place: Path, device: Device) -> None:
    decoys = device.folder("decoys")
    for name in ("crypto", "protocol", "peer", "trio"):
        (decoys / name).mkdir()
        (decoys / name / "__init__.py").write_text("raise SystemExit('a decoy was imported')")
    assert device.run("start", cwd=decoys).status == 0
    assert device.run("stop", cwd=decoys).status == 0


@pytest.mark.command("shoal start")
def test_start_in_the_foreground_says_ready_and_ends_with_0_on_sigterm(device: Device) -> None:
    with device.open_daemon() as daemon:
        assert device.run("status").status == 0
        assert device.run("start", "--foreground").status == 1
        assert daemon.stop() == 0
        assert daemon.stdout == "ready"


@pytest.mark.command("shoal start")
def test_a_killed_daemons_lock_and_socket_are_in_nobodys_way(device: Device) -> None:
    with device.open_daemon() as daemon:
        daemon.kill()
    assert device.run("status").status == 3
    with device.open_daemon() as daemon:
        assert device.run("status").status == 0
        assert daemon.stop() == 0


@pytest.mark.command("shoal start")
def test_a_home_too_deep_for_a_socket_works(place: Path, host: Host) -> None:
    deep = place / ("deep" * 20)
    deep.mkdir()
    os.chmod(deep, 0o777)
    device = Device(deep, "x" * 60)
    assert device.run("join", host.invite("deep"), "--device", "deep").status == 0
    with device.open_daemon() as daemon:
        assert device.run("status").status == 0
        assert daemon.stop() == 0


@pytest.mark.command("shoal start")
def test_start_before_join_exits_1_and_says_what_to_do(place: Path) -> None:
    said = Device(place, "unjoined").run("start")
    assert (said.status, said.out) == (1, "")
    assert "shoal join" in said.err


@pytest.mark.command("shoal stop")
def test_a_home_is_taken_from_the_environment(place: Path, device: Device) -> None:
    with start_program(["shoal", "stop"], {"SHOAL_HOME": str(device.home)}) as program:
        assert program.wait() == 3
        assert str(device.home) in program.stderr
