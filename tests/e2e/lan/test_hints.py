"""Real daemons on a switch that does not carry multicast link all the same: the coordinator says where to try."""

from tests.acceptance.rooms import open_room
from tests.common.namespaces import in_own_network, run


@in_own_network
def test_where_multicast_is_not_carried_devices_link_by_what_the_coordinator_says() -> None:
    run("ip", "link", "set", "lo", "up")
    with open_room(("red", "blue"), None, carries_multicast=False) as (red, blue):
        assert red.linked() == {"blue"}
        assert blue.linked() == {"red"}
