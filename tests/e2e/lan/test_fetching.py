"""Real daemons on a network of their own find each other, and files come from there and not by a slow coordinator."""

from peer.control.upkeep import PeerEntry, Peers, PeersRequest
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


@in_own_network
def test_a_file_comes_from_the_device_beside_and_not_by_the_slow_line_of_the_coordinator() -> None:
    run("ip", "link", "set", "lo", "up")
    with open_wire() as wire, open_fleet(wire, env=ON) as fleet:
        red, blue = fleet.pair_of("red", "blue")
        wait_linked(red, blue)
        data = noise(8 * MIB)
        before = moved(blue)
        wire.slow(4 * MIB)
        (red.folder / "film").write_bytes(data)
        fleet.settle()
        assert (blue.folder / "film").read_bytes() == data
        lan_in, lan_out, server_in, _ = (now - then for now, then in zip(moved(blue), before, strict=True))
        assert lan_in > 0.8 * len(data)
        assert server_in < 0.3 * len(data)
        assert lan_out == 0
        assert peers_of(blue)["red"].lan_in >= lan_in
        assert peers_of(red)["blue"].lan_out >= lan_in
