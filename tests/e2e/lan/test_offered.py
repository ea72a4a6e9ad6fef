"""Real daemons: a film is beside before the narrow line has carried it, and then durable; or its author goes away."""

from pathlib import Path

from simulations.noise import noise
from tests.common import documents
from tests.common.fleet import Peer, open_fleet, read_contents
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


def save_a_draft(folder: Path) -> None:
    (folder / "film").write_bytes(b"before")


@in_own_network
def test_a_newcomer_shows_what_can_be_had_and_says_whom_it_waits_for() -> None:
    run("ip", "link", "set", "lo", "up")
    with open_wire(narrow=True) as wire, open_fleet(wire, env=ON) as fleet:
        red, blue = fleet.pair_of("red", "blue", fill=save_a_draft)
        green = fleet.device("green")
        green.env["SHOAL_LAN"] = "off"
        green.join(red.pair())
        green.start()
        wait_linked(red, blue)
        data = noise(8 * MIB)
        wire.slow(MIB // 8)
        (red.place / "film").write_bytes(data)
        (red.place / "film").replace(red.folder / "film")
        blue.until(lambda _: read_contents(blue.folder)["film"] == data)
        for peer in (red, blue):
            peer.kill()
        wire.slow(64 * MIB)
        green.mount()
        green.until(lambda _: read_contents(green.folder).get("film") == b"before")
        green.until(lambda _: green.problems() == {("film", "waiting_for_blocks")})
        assert "waiting for blocks from red" in green.run("status", str(green.folder / "film"))[1]
