"""`peers`, and keeping a daemon away from the local network. What comes from there is tested in `tests.e2e.lan`."""

from pathlib import Path

import pytest

from tests.common import documents
from tests.common.devices import Device, Host
from tests.common.processes import run_program


@pytest.mark.command("shoal peers")
def test_peers_without_a_daemon_exits_3(place: Path) -> None:
    assert Device(place, "lonely").run("peers").status == 3


@pytest.mark.command("shoal peers")
@pytest.mark.command("shoal start")
@pytest.mark.parametrize(
    ("arguments", "variable", "is_there"), [([], "on", True), ([], "off", False), (["--no-lan"], "on", False)]
)
def test_a_daemon_is_on_the_local_network_unless_it_is_told_not_to(
    place: Path, host: Host, arguments: list[str], variable: str, is_there: bool
) -> None:
    name = "".join(["user", variable, *arguments])
    device = Device(place, name)
    device.join(host.invite(name))
    status, _, err = run_program(["shoal", "--home", str(device.home), "start", *arguments], {"SHOAL_LAN": variable})
    assert status == 0, err
    try:
        said = device.must("peers", "--json")
        found = documents.read_document(said.out, documents.Peers)
        assert (found.lan, found.peers) == (is_there, [])
        assert ("stays away from the local network" in device.must("peers").err) != is_there
    finally:
        device.must("stop")
