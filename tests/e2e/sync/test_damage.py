"""A coordinator whose data were damaged, or that lies: nothing of it is believed, and the rest goes on."""

import sqlite3

from simulations.noise import noise
from tests.common.fleet import Fleet, Peer, as_ourselves


def codes(peer: Peer) -> set[str]:
    return {each.code for each in peer.workspace.problems}


def test_a_damaged_block_holds_up_its_file_alone_until_the_file_is_saved_anew(fleet: Fleet) -> None:
    red, blue = fleet.pair_of("red", "blue")
    blue.stop()
    (red.folder / "fine").write_bytes(noise(300_000, b"fine"))
    red.wait()
    (red.folder / "hit").write_bytes(noise(300_000, b"hit"))
    red.wait()
    fleet.host.stop()
    with as_ourselves():
        segment = max(
            (fleet.host.data / "blocks").rglob("*"), key=lambda path: (path.is_file(), path.stat().st_mtime_ns)
        )
        with segment.open("r+b") as file:
            file.seek(-10_000, 2)
            file.write(b"damage")
    fleet.host.start()
    blue.start()
    blue.until(lambda status: blue.problems() == {("hit", "waiting_for_blocks")} and blue.tree().keys() == {"fine"})
    (red.folder / "hit").write_bytes(noise(300_000, b"saved anew"))
    fleet.settle()


def test_a_history_that_breaks_the_rules_is_not_applied(fleet: Fleet) -> None:
    red, blue = fleet.pair_of("red", "blue")
    blue.stop()
    (red.folder / "true").write_bytes(b"as red wrote it")
    red.wait()
    fleet.host.stop()
    with as_ourselves(), sqlite3.connect(fleet.host.data / "metadata.db") as database:
        row, sealed = database.execute("SELECT rowid, sealed FROM changes ORDER BY seq DESC LIMIT 1").fetchone()
        flipped = bytes([sealed[0] ^ 1]) + sealed[1:]
        database.execute("UPDATE changes SET sealed = ? WHERE rowid = ?", (flipped, row))
        database.execute("UPDATE changes SET sealed_hash = zeroblob(32) WHERE rowid = ?", (row,))
    fleet.host.start()
    blue.start()
    blue.until(lambda status: "history_invalid" in codes(blue))
    assert blue.workspace.state == "error"
    assert blue.tree() == {}
    (blue.folder / "own").write_bytes(b"stays")
    assert blue.run("wait", "--timeout", "30")[0] == 5
    assert (blue.folder / "own").read_bytes() == b"stays"
