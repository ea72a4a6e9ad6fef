"""Real daemons on a network of their own find each other, and files come from there and not by a slow coordinator."""

import ipaddress
import json

from peer.control.upkeep import Pause, Paused, PeerEntry, Peers, PeersRequest
from simulations.noise import noise
from tests.common.fleet import Peer, open_fleet
from tests.common.namespaces import in_own_network, run
from tests.common.wire import open_wire

MIB = 1024 * 1024
ON = {"SHOAL_LAN": "on"}


def peers_of(peer: Peer) -> dict[str, PeerEntry]:
    """Who is on the LAN, as it says, by name."""
    return {each.device: each for each in peer.ask(PeersRequest(), Peers).peers}


def wait_linked(*peers: Peer) -> None:
    """Until each of these has a link with every other one."""
    for peer in peers:
        others = {other.name for other in peers} - {peer.name}
        peer.until(lambda _: {name for name, one in peers_of(peer).items() if one.state == "linked"} >= others)  # noqa: B023


def moved(peer: Peer) -> tuple[int, int, int, int]:
    its = peer.status().transfer
    return its.lan_in, its.lan_out, its.server_in, its.server_out


def check_peers(red: Peer, blue: Peer) -> None:
    """What the command says, in both forms."""
    document = json.loads(blue.must("peers", "--json"))
    (entry,) = document["peers"]
    assert entry.keys() == {"device", "address", "state", "lan_in", "lan_out"}
    assert (entry["device"], entry["address"], entry["state"]) == ("red", entry["address"], "linked")
    ipaddress.ip_address(entry["address"].partition("%")[0])
    assert "red" in blue.must("peers")
    assert "blue" in red.must("peers")


@in_own_network
def test_files_come_from_the_device_beside_and_not_by_the_slow_line_of_the_coordinator() -> None:
    run("ip", "link", "set", "lo", "up")
    with open_wire() as wire, open_fleet(wire, env=ON) as fleet:
        red, blue = fleet.pair_of("red", "blue")
        green = fleet.device("green")
        green.env["SHOAL_LAN"] = "off"
        green.join(red.pair())
        green.start()
        green.mount()
        wait_linked(red, blue)
        check_peers(red, blue)
        assert not green.ask(PeersRequest(), Peers).lan

        data = noise(6 * MIB)
        before = moved(blue)
        wire.slow(4 * MIB)
        (red.folder / "film").write_bytes(data)
        for at in range(100):
            (red.folder / f"small {at}").write_bytes(noise(10_000 + at))
        fleet.settle()
        assert (blue.folder / "film").read_bytes() == data
        lan_in, lan_out, server_in, _ = (now - then for now, then in zip(moved(blue), before, strict=True))
        assert lan_in > 0.7 * (len(data) + 1_000_000)
        assert server_in < 0.4 * (len(data) + 1_000_000)
        assert lan_out == 0
        assert peers_of(blue)["red"].lan_in >= lan_in
        assert peers_of(red)["blue"].lan_out >= lan_in
        assert moved(green)[:2] == (0, 0)
        assert moved(green)[2] > len(data)


@in_own_network
def test_what_is_known_and_not_here_yet_comes_from_the_device_beside_while_the_coordinator_is_away() -> None:
    run("ip", "link", "set", "lo", "up")
    with open_wire() as wire, open_fleet(wire, env=ON) as fleet:
        red, blue = fleet.pair_of("red", "blue")
        wait_linked(red, blue)
        blue.ask(Pause(), Paused)
        (red.folder / "film").write_bytes(noise(3 * MIB))
        (red.folder / "note").write_bytes(b"for blue")
        red.wait()
        blue.until(lambda status: status.workspaces[0].pending.down_files == 2)
        wire.refuse()
        wire.break_all()
        blue.until(lambda status: status.coordinator.state != "connected")
        blue.ask(Pause(resume=True), Paused)
        blue.until(lambda _: blue.tree() == red.tree())
        assert moved(blue)[0] > 3 * MIB
        wire.restore()
        fleet.settle()
