"""Real daemons: a film is beside before the narrow line has carried it, and then it is durable."""

from simulations.noise import noise
from tests.common import documents
from tests.common.fleet import Peer, open_fleet
from tests.common.namespaces import in_own_network, run
from tests.common.wire import open_wire
from tests.e2e.lan.test_fetching import MIB, ON, wait_linked


def states(peer: Peer, path: str) -> list[tuple[bool, bool, bool]]:
    """Of each version of a file whether it is the current one, durable and kept, as the device tells."""
    said = documents.read_document(peer.must("history", f"work:{path}", "--json"), documents.History)
    return [(each.current, each.durable, each.kept) for each in said.versions]


@in_own_network
def test_a_film_is_beside_while_the_narrow_line_still_carries_it_and_then_it_is_durable() -> None:
    run("ip", "link", "set", "lo", "up")
    with open_wire() as wire, open_fleet(wire, env=ON) as fleet:
        red, blue = fleet.pair_of("red", "blue")
        green = fleet.device("green")
        green.env["SHOAL_LAN"] = "off"
        green.join(red.pair())
        green.start()
        green.mount()
        wait_linked(red, blue)
        data = noise(8 * MIB)
        wire.slow(MIB // 8)
        (red.folder / "film").write_bytes(data)
        blue.until(lambda _: blue.tree() == red.tree())
        assert blue.status().workspaces[0].not_durable == 1
        assert "not durable yet" in blue.must("status", str(blue.folder / "film"))
        assert states(blue, "film") == [(True, False, True)]
        assert not green.tree()
        wire.slow(64 * MIB)
        blue.must("wait", "--durable", "--timeout", "120")
        assert red.status().workspaces[0].not_durable == 0
        assert "not durable" not in blue.must("status", str(blue.folder / "film"))
        assert states(red, "film") == [(True, True, True)]
        fleet.settle()
        assert (green.folder / "film").read_bytes() == data
