"""Devices find each other by real multicast, between network namespaces joined by a bridge."""

import socket
import time
from collections.abc import Iterator

from crypto.beacon import HOUR_MS
from peer.lan.members import Members
from protocol.beacon import GROUP_V4, PORT, Called
from tests.common.lan_device import HERE, KEY, device_of, keys_of, membership
from tests.common.link_server import SeededEntropy
from tests.common.namespaces import Bridge, Machine, in_own_network, machines, run

_EVERY_PROTOCOL = 0x0003  # packet(7), ETH_P_ALL
DEVICE = "tests.common.lan_device"


def clock_ms() -> int:
    return time.time_ns() // 1_000_000


def attacker_socket() -> socket.socket:
    """A socket of somebody who is on the bridge and is nobody's member."""
    attacker = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    attacker.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton("10.9.0.99"))
    return attacker


@in_own_network
def test_devices_that_are_members_find_each_other_by_ipv4_and_ipv6() -> None:
    bridge = Bridge()
    with machines(DEVICE, a=["a", "b", "c"], b=["b", "a", "c"], c=["c", "a", "b"]) as made:
        bridge.connect(made["a"], "eth0", "10.9.0.1")
        bridge.connect(made["b"], "eth0", "10.9.0.2")
        bridge.connect(made["c"], "eth0", None)
        for machine in made.values():
            machine.tell("go")
        made["a"].line_with("found b", "10.9.0.2#")
        made["a"].line_with("found b", "fe80:")
        made["b"].line_with("found a", "10.9.0.1#")
        made["a"].line_with("found c", "fe80:")
        made["c"].line_with("found a", "fe80:")


@in_own_network
def test_devices_that_found_each_other_link_also_where_there_is_only_ipv6_and_part_when_one_is_revoked() -> None:
    bridge = Bridge()
    with machines(DEVICE, a=["a", "b", "c"], b=["b", "a", "c"], c=["c", "a", "b"]) as made:
        bridge.connect(made["a"], "eth0", "10.9.0.1")
        bridge.connect(made["b"], "eth0", "10.9.0.2")
        bridge.connect(made["c"], "eth0", None)
        for machine in made.values():
            machine.tell("go")
        for one, other in (("a", "b"), ("b", "a"), ("a", "c"), ("c", "a"), ("b", "c"), ("c", "b")):
            made[one].line_with(f"linked {other}")
        made["a"].tell("revoke b")
        made["a"].line_with("parted b")
        made["b"].line_with("parted a", "not_shared")
        assert not any("parted c" in line for line in made["a"].printed)


@in_own_network
def test_who_captures_everything_sees_no_id_and_no_key() -> None:
    bridge = Bridge()
    run("ip", "link", "set", bridge.name, "promisc", "on")
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_EVERY_PROTOCOL)) as capture:
        capture.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 * 1024 * 1024)
        capture.bind((bridge.name, 0))
        with machines(DEVICE, a=["a", "b"], b=["b", "a"]) as made:
            bridge.connect(made["a"], "eth0", "10.9.0.1")
            bridge.connect(made["b"], "eth0", "10.9.0.2")
            for machine in made.values():
                machine.tell("go")
            made["a"].line_with("linked b")
            made["b"].line_with("linked a")
        captured = b"".join(packets(capture))
    assert captured.count(b"SHL1") >= 2, "beacons were captured"
    assert b"\x16\x03\x01" in captured, "and so was a handshake"
    for letter in "ab":
        public = keys_of(letter).public
        secrets = [device_of(letter), public.sign, public.box, public.tls, public.tls[:8], HERE, KEY]
        assert not any(form in captured for secret in secrets for form in (secret, secret.hex().encode()))
    assert b"shoal" not in captured, "not even what certificates begin with"


def packets(capture: socket.socket) -> Iterator[bytes]:
    """What was captured so far."""
    capture.setblocking(False)
    while True:
        try:
            yield capture.recv(65_536)
        except BlockingIOError:
            return


@in_own_network
def test_an_interface_that_comes_later_is_used_and_one_that_goes_is_not_missed() -> None:
    first, second = Bridge("br0"), Bridge("br1")
    with machines(DEVICE, a=["a", "b", "c"], b=["b", "a"], c=["c", "a"]) as made:
        first.connect(made["a"], "eth0", "10.9.0.1")
        first.connect(made["b"], "eth0", "10.9.0.2")
        second.connect(made["c"], "eth0", "10.8.0.3")
        for machine in made.values():
            machine.tell("go")
        made["a"].line_with("found b", "10.9.0.2")
        second.connect(made["a"], "eth1", "10.8.0.1")
        made["a"].line_with("found c", "10.8.0.3")
        made["c"].line_with("found a", "10.8.0.1")
        first.cut(made["a"], "eth0")
        second.connect(made["b"], "eth1", "10.8.0.2")
        made["a"].line_with("found b", "10.8.0.2")


@in_own_network
def test_strangers_find_nobody_and_forged_or_repeated_beacons_and_floods_change_nothing() -> None:
    bridge = Bridge()
    own_address(bridge)
    with machines(DEVICE, a=["a", "b"], b=["b", "a"], s=["s", "a", "b", "--stranger"]) as made:
        for number, machine in enumerate(made.values(), 1):
            bridge.connect(machine, "eth0", f"10.9.0.{number}")
        for machine in made.values():
            machine.tell("go")
        made["a"].line_with("found b", "10.9.0.2")
        made["b"].line_with("found a", "10.9.0.1")
        heard, recognised, before_s = counted(made["a"])
        with attacker_socket() as attacker:
            flood(attacker, 3.0)
        heard_then, recognised_then, after_s = counted(made["a"])
        assert heard_then - heard < 5_000, "in a flood only so many are read"
        assert recognised_then - recognised < 100, "and of one address even fewer are looked at"
        assert after_s - before_s < 1.5
        assert counted(made["s"])[1] == 0, "a stranger recognises nobody"
        newcomer = Machine("d", DEVICE, ["b", "a"])
        try:
            made["b"].end()
            bridge.connect(newcomer, "eth0", "10.9.0.4")
            newcomer.tell("go")
            made["a"].line_with("found b", "10.9.0.4")
        finally:
            newcomer.end()


def own_address(bridge: Bridge) -> None:
    """The attacker sits where the bridge is."""
    run("ip", "addr", "add", "10.9.0.99/24", "dev", bridge.name)


def counted(machine: Machine) -> tuple[int, int, float]:
    machine.tell("count")
    _, heard, recognised, spent_s = machine.line_with("counted").split()
    return int(heard), int(recognised), float(spent_s)


def flood(attacker: socket.socket, seconds: float) -> None:
    """Noise, forgeries, beacons out of their hour, and one good beacon of somebody again and again."""
    member = Members(device_of("b"), [membership(["a", "b"])])
    now_ms = clock_ms()
    good = member.beacon(Called(9, now_ms - 60_000), SeededEntropy())
    old = member.beacon(Called(9, now_ms - 3 * HOUR_MS), SeededEntropy())
    forged = good[:40] + bytes([good[40] ^ 1]) + good[41:]
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for data in (good, old, forged, bytes(1_400), b"", b"SHL1" + bytes(160)):
            attacker.sendto(data, (GROUP_V4, PORT))
        time.sleep(0.0005)
