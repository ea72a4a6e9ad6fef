"""Real daemons on a network of their own go on with each other while the coordinator is away."""

from simulations.noise import noise
from tests.common.fleet import open_fleet
from tests.common.namespaces import in_own_network, run
from tests.e2e.lan.test_fetching import MIB, ON, wait_linked


@in_own_network
def test_what_is_saved_while_the_coordinator_is_away_is_beside_and_then_in_the_journal() -> None:
    run("ip", "link", "set", "lo", "up")
    with open_fleet(env=ON) as fleet:
        red, blue = fleet.pair_of("red", "blue")
        wait_linked(red, blue)
        head = red.workspace.head
        fleet.host.stop()
        data = noise(2 * MIB)
        (red.place / "film").write_bytes(data)
        (red.place / "film").rename(red.folder / "film")
        blue.until(lambda _: blue.tree() == red.tree())
        assert (blue.folder / "film").read_bytes() == data
        assert blue.workspace.head == head
        for peer in (red, blue):
            peer.stop()
        fleet.host.start()
        for peer in (red, blue):
            peer.start()  # which asks for the coordinator at once
        tree = fleet.settle()
        assert tree.keys() == {"film"}
        assert red.workspace.head > head
