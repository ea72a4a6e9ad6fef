"""Proxies that know no WebSockets: devices hear of each other's changes by polling."""

import pytest

from tests.common.fleet import open_fleet
from tests.common.wire import Against, open_wire


@pytest.mark.parametrize("how", ["refuse", "close", "forward without the upgrade"])
def test_where_no_socket_passes_devices_poll_and_are_in_step_as_quickly(how: Against) -> None:
    with open_wire() as wire:
        wire.let_no_sockets_through(how)
        with open_fleet(wire, plain=True) as fleet:
            red, blue = fleet.pair_of("red", "blue")
            for number, (here, there) in enumerate([(red, blue), (blue, red), (red, blue)]):
                (here.folder / f"file {number}").write_bytes(b"%d" % number)
                fleet.settle()
                assert (there.folder / f"file {number}").read_bytes() == b"%d" % number
            for peer in (red, blue):
                assert peer.status().coordinator.state == "connected"
        asked = b"".join(wire.sent_up())
        assert b"POST /v1/poll" in asked
        assert b"101 Switching" not in b"".join(wire.sent_down())
