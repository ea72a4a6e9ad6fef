"""What a device knows of its workspaces, its user's devices, and whose a folder is, when something of it went wrong."""

import fcntl
import json
import os
import sqlite3

from peer.control import messages
from tests.common.fleet import Fleet, Peer


def names(peer: Peer) -> list[str]:
    found = json.loads(peer.must("workspaces", "--json"))["workspaces"]
    return sorted(one["name"] for one in found)


def test_a_workspace_that_could_not_be_made_leaves_nothing_behind(fleet: Fleet) -> None:
    red = fleet.device("red")
    red.join(fleet.host.invite("ana"))
    red.start()
    (red.folder / "file").write_bytes(b"file")
    fleet.host.stop()
    for _ in range(2):
        status, _, err = red.run("add", str(red.folder), "--name", "work")
        assert (status, "coordinator" in err) == (3, True)
    assert red.status().workspaces == []
    fleet.host.start()
    red.until(lambda status: status.coordinator.state == "connected")
    assert names(red) == []
    code = red.pair()
    red.add()
    assert names(red) == ["work"]
    blue = fleet.device("blue")
    blue.join(code)
    blue.start()
    blue.mount()
    fleet.settle()
    assert (blue.folder / "file").read_bytes() == b"file"


def test_a_damaged_memory_of_ones_own_devices_is_read_anew(fleet: Fleet) -> None:
    red, _ = fleet.pair_of("red", "blue")
    red.stop()
    with sqlite3.connect(red.home / "state.db") as database:
        database.execute('UPDATE chain_links SET link = ? WHERE "index" = 2', (b"damaged",))
    database.close()
    red.start()
    green = fleet.device("green")
    green.join(red.pair())
    green.start()
    green.mount()
    (green.folder / "file").write_bytes(b"file")
    fleet.settle()
    red.stop()
    red.start()
    fleet.settle()


def test_a_home_that_is_damaged_beyond_that_says_so(fleet: Fleet) -> None:
    red = fleet.device("red")
    red.join(fleet.host.invite("ana"))
    path = red.home / "identity"
    identity = json.loads(path.read_bytes())
    identity["user_id"], identity["chain"] = identity["user_id"], identity["chain"][:-12] + "AAAAAAAAAAA="
    path.write_text(json.dumps(identity))
    status, _, err = red.run("start", "--foreground")
    assert (status, "damaged" in err) == (1, True), err


def test_a_folder_that_another_program_syncs_is_waited_for_and_not_taken(fleet: Fleet) -> None:
    red, blue = fleet.pair_of("red", "blue")
    red.stop()
    handle = os.open(red.folder / ".shoal" / "lock", os.O_RDWR)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        red.start()
        red.until(lambda status: bool(status.workspaces[0].problems))
        assert red.problems() == {("", "unreadable")}
        assert red.workspace.state == "error"
        assert red.run("wait", "--timeout", "60")[0] == 5
        assert not red.ask(messages.Confirm(), messages.Confirmed).answered
        (blue.folder / "meanwhile").write_bytes(b"meanwhile")
        blue.wait()
    finally:
        os.close(handle)
    red.come_to_rest()
    fleet.settle()
    assert (red.folder / "meanwhile").read_bytes() == b"meanwhile"
