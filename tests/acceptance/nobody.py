"""A file was committed and never sent: its author is off, and nobody else has it. A newcomer shows the version before,
says whom it waits for, and `shoal wait` ends with 5; when the author is back, all that waited comes.

Three devices and their coordinator's line. It takes some minutes, since nothing is given up lightly.
"""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from simulations.noise import noise
from tests.acceptance.rooms import in_own_network
from tests.acceptance.telling import demand, tell
from tests.common.fleet import open_fleet, read_contents
from tests.common.wire import open_wire

MB: Final = 1_000_000
PROBLEMS: Final = 5
"""The exit status of `shoal wait` where what is left cannot go on."""


def run(arguments: Sequence[str]) -> None:
    """Raises `NotShown`."""
    if not in_own_network("tests.acceptance", "nobody", *arguments):
        return
    data = noise(8 * MB)
    with open_wire(narrow=True) as wire, open_fleet(wire, env={"SHOAL_LAN": "on"}) as fleet:
        red, blue = fleet.pair_of("red", "blue", fill=_draft)
        green = fleet.device("green")
        green.env["SHOAL_LAN"] = "off"
        green.join(red.pair())
        green.start()
        red.until_linked(1)
        blue.until_linked(1)
        wire.slow(MB / 8)
        (red.place / "film").write_bytes(data)
        (red.place / "film").replace(red.folder / "film")
        red.until(lambda status: status.workspaces[0].not_durable == 1)
        for peer in (red, blue):
            peer.kill()
        wire.slow(64 * MB)
        green.mount()
        green.until(lambda _: green.problems() == {("film", "waiting_for_blocks")})
        demand(read_contents(green.folder) == {"film": b"before"}, "the newcomer does not show the version before")
        tell("a newcomer shows", "the version before")
        begun_s = time.monotonic()
        status, _, told = green.run("wait", "--timeout", "600")
        tell("`shoal wait` says", told.strip())
        tell("with exit status, after", f"{status}, {time.monotonic() - begun_s:.0f} s")
        demand(status == PROBLEMS, "it did not end with 5")
        demand("film: waiting for blocks from red" in told, "it does not say for whom it waits")
        status, _, told = green.run("wait", "--timeout", "600", "--durable")
        demand(status == PROBLEMS, "with --durable it did not end with 5")
        wire.slow(MB)
        red.start()
        red.until(lambda status: status.transfer.server_out > 0)
        begun_s = time.monotonic()
        green.must("wait", "--timeout", "600")
        tell("with the author back, in step after", f"{time.monotonic() - begun_s:.0f} s")
        demand(read_contents(green.folder) == {"film": data}, "the newcomer has not got the newest version")


def _draft(folder: Path) -> None:
    (folder / "film").write_bytes(b"before")
