"""Uploads of any size, generated while they are sent, pass through the coordinator in flat memory.

Run by hand with a size: `python -P -m tests.acceptance.flat_upload 10GiB`. Prints rate, peak memory, and the memory
before; exits 1 where the peak is above the bound.
"""

import argparse
import sys
import time
from collections.abc import AsyncIterator

import trio
from blake3 import blake3

from protocol import limits
from protocol.frames import block_head, end_frame
from protocol.ids import BlockId
from protocol.messages import Stored
from tests.common.coordinators import open_member, served
from tests.common.processes import work_directory

BLOCK_BYTES = 256 * limits.KIB
BODY_BYTES = 64 * limits.MIB
BOUND_BYTES = 150 * limits.MIB


class Generated:
    """Frames made while they are sent; equal ones never."""

    def __init__(self) -> None:
        self._number = 0
        self._noise = bytes(BLOCK_BYTES - 8)

    async def frames(self, size: int) -> AsyncIterator[bytes]:
        """A body with `size` bytes of blocks."""
        count = size // BLOCK_BYTES
        for _ in range(count):
            self._number += 1
            data = self._number.to_bytes(8, "big") + self._noise
            yield block_head(BlockId(blake3(data).digest()), len(data)) + data
        yield end_frame(count)


async def upload(size: int, body_bytes: int, flags: tuple[str, ...]) -> tuple[float, int, int]:
    """Upload `size` bytes in bodies of `body_bytes`: seconds, and the coordinator's memory before and at its peak."""
    generated = Generated()
    with work_directory() as directory, served(directory, *flags) as here:
        async with open_member(here, "ana") as ana:
            journal = await ana.make_workspace()
            before = here.program.rss_bytes()
            since = time.monotonic()
            left = size
            while left > 0:
                part = min(left, body_bytes)
                answer = await ana.client.upload(journal.id, generated.frames(part))
                assert answer == Stored(part // BLOCK_BYTES, part // BLOCK_BYTES), answer
                left -= part
            seconds = time.monotonic() - since
            peak = here.program.peak_bytes()
        assert here.program.stop() == 0
    return seconds, before, peak


def parsed(text: str) -> int:
    """A size such as `512MiB`."""
    for unit, factor in (("GiB", limits.MIB * 1024), ("MiB", limits.MIB)):
        if text.endswith(unit):
            return int(text.removesuffix(unit)) * factor
    raise argparse.ArgumentTypeError(f"{text!r} is not a size like 10GiB")


def main() -> int:
    """The script."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("size", type=parsed, nargs="?", default="10GiB")
    parser.add_argument("--one-body", action="store_true", help="all in one request")
    parser.add_argument("--tls", action="store_true")
    args = parser.parse_args()
    flags = () if args.tls else ("--no-tls",)
    body = args.size if args.one_body else BODY_BYTES
    seconds, before, peak = trio.run(upload, args.size, body, flags)
    print(
        f"{args.size / limits.MIB:.0f} MiB in {seconds:.1f} s, {args.size / limits.MIB / seconds:.0f} MiB/s; "
        f"memory {before / limits.MIB:.0f} MiB before, {peak / limits.MIB:.0f} MiB at its peak"
    )
    return 0 if peak <= BOUND_BYTES else 1


if __name__ == "__main__":
    sys.exit(main())
