"""Programs killed at any moment: what was at rest is never lost, and all come together again.

The moments are drawn from a seed, which is the test's parameter.
"""

import os
import random  # noqa: TID251 - drawn from a seed, which is the parameter
import threading
from pathlib import Path

import pytest

from crypto.digest import file_digest
from peer.home import Home
from peer.store import workspaces
from peer.store.database import open_database
from tests.common.fleet import Fleet, Peer

CYCLES = int(os.environ.get("SHOAL_TEST_CRASHES", "10"))


class Ledger:
    """What was written, by whom, and not written over by the same hand before it was seen."""

    def __init__(self, draw: random.Random) -> None:
        self._draw = draw
        self._count = 0
        self.written: list[bytes] = []

    def edit(self, peer: Peer, cycle: int) -> None:
        """A mixed load: new files, edits of shared ones, renames, deletions, directories."""
        draw, folder = self._draw, peer.folder
        mine = folder / peer.name / f"{cycle}"
        mine.mkdir(parents=True)
        for number in range(draw.randrange(1, 12)):
            self._write(mine / f"{number}", draw.choice((10, 3000, 200_000)))
        self._write(folder / peer.name / "large", 3_000_000)
        for number in draw.sample(range(6), 2):
            self._write(folder / f"shared {number}", 100)
        previous = folder / peer.name / f"{cycle - 1}"
        if previous.is_dir():
            previous.rename(folder / peer.name / f"{cycle - 1} renamed")
            files = sorted(one for one in (folder / peer.name / f"{cycle - 1} renamed").iterdir())
            files[0].unlink()

    def _write(self, path: Path, size: int) -> None:
        self._count += 1
        data = b"%s %d\n" % (path.name.encode(), self._count) + self._draw.randbytes(size)
        path.write_bytes(data)
        self.written.append(data)


@pytest.mark.parametrize("seed", range(int(os.environ.get("SHOAL_TEST_SEEDS", "1"))))
def test_killed_at_random_moments_nothing_is_lost(fleet: Fleet, seed: int) -> None:
    draw = random.Random(seed)
    red, blue = fleet.pair_of("red", "blue")
    ledger = Ledger(draw)
    for cycle in range(CYCLES):
        ledger.edit(red, cycle)
        ledger.edit(blue, cycle)
        for _ in range(2):
            victim = draw.choice((red, blue, fleet.host))
            threading.Event().wait(draw.random() * 0.6)  # the moment of the fault, not a synchronisation
            victim.kill()
            victim.start()
        fleet.settle()
    fleet.settle()
    red.stop()
    check_kept(red, ledger.written)


def check_kept(peer: Peer, written: list[bytes]) -> None:
    """Every content is a version in the journal; the folders were found to be as the journal is."""
    with open_database(Home.at(peer.home).database) as database:
        (record,) = workspaces.records(database)
        versions = {bytes(digest) for (digest,) in database.all("SELECT digest FROM remote WHERE digest IS NOT NULL")}
        bodies = database.all("SELECT body FROM versions WHERE body IS NOT NULL")
    held = b"".join(bytes(body) for (body,) in bodies)
    lost = [
        data.split(b"\n")[0]
        for data in written
        if (digest := file_digest(record.keyring.fixed, data)) not in versions and digest not in held
    ]
    assert lost == []
