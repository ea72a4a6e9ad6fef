"""`join`, `pair`, `devices`."""

from pathlib import Path

import pytest

from tests.common import documents
from tests.common.devices import Device, Host
from tests.e2e.commands.conftest import Pair


@pytest.mark.command("shoal join")
def test_join_needs_no_daemon_and_says_who_this_device_is(place: Path, host: Host) -> None:
    device = Device(place, "tablet")
    said = device.run("join", host.invite("ben"), "--device", "tablet", "--json")
    assert (said.status, said.err) == (0, "")
    joined = documents.read_document(said.out, documents.Joined)
    assert (joined.device, joined.user, joined.home) == ("tablet", "ben", str(device.home))

    again = device.run("join", host.invite("cy"))
    assert (again.status, again.out, again.err.count("\n")) == (1, "", 0)
    assert "tablet" in again.err


@pytest.mark.command("shoal join")
def test_join_reads_a_code_from_standard_input(place: Path, host: Host) -> None:
    code = host.invite("dan")
    assert Device(place, "piped").run("join", "-", stdin=f"  {code.upper()} \n".encode()).status == 0
    prompted = Device(place, "asked").run("join", stdin=f"{host.invite('eve')}\n".encode())
    assert prompted.status == 0
    assert prompted.err.startswith("Code: ")


@pytest.mark.command("shoal join")
def test_a_code_works_once(place: Path, host: Host) -> None:
    code = host.invite("finn")
    Device(place, "finns").join(code)
    said = Device(place, "thiefs").run("join", code)
    assert (said.status, said.out) == (1, "")
    assert "used already" in said.err


@pytest.mark.command("shoal join")
def test_a_code_with_a_slip_in_it_is_not_used_up(place: Path, host: Host) -> None:
    code = host.invite("gil")
    device = Device(place, "gils")
    slipped = code[:-1] + ("b" if code[-1] == "a" else "a")
    assert device.run("join", slipped).status == 1
    device.join(code)


@pytest.mark.command("shoal pair")
def test_pair_prints_a_code_that_adds_a_device(pair: Pair, place: Path) -> None:
    said = pair.first.run("pair", "--json")
    assert (said.status, said.err) == (0, "")
    code = documents.read_document(said.out, documents.Pair).code
    third = Device(place, "third")
    joined = third.run("join", code, "--device", "laptop", "--json")
    assert documents.read_document(joined.out, documents.Joined).device == "laptop-2"
    assert "laptop-2" in joined.err
    assert pair.first.run("pair").out.startswith("shoal-pair-")


@pytest.mark.command("shoal pair")
def test_pair_without_a_daemon_exits_3(place: Path) -> None:
    assert Device(place, "nobodys").run("pair").status == 3


@pytest.mark.command("shoal devices")
def test_devices_lists_those_of_this_user(pair: Pair) -> None:
    said = pair.first.run("devices", "--json")
    assert (said.status, said.err) == (0, "")
    devices = documents.read_document(said.out, documents.Devices).devices
    own = [each for each in devices if each.this]
    assert [(each.name, each.user, each.state) for each in own] == [("laptop", "ana", "active")]
    assert {"laptop", "desk"} <= {each.name for each in devices}
    assert "this device" in pair.first.run("devices").out


@pytest.mark.command("shoal devices")
def test_devices_without_a_daemon_exits_3(place: Path) -> None:
    assert Device(place, "lonely").run("devices").status == 3
