"""Cuts uploads at hundreds of places, and counts what was sent: no block twice, and all of it there in the end.

The coordinator is the installed program and the sender is the peer's own upload code; between them a proxy cuts the
connection after a given byte, and keeps all that passed. What passed is then read as HTTP and as frames of blocks.
"""

import argparse
import math
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import h11
import trio

from peer.transfer.coordinator_blocks import CoordinatorBlocks
from peer.transfer.counters import TransferCounters
from peer.transfer.ingest import Ingested
from protocol.frames import FrameKind, FrameReader
from protocol.ids import WorkspaceId
from protocol.messages import Refusal
from simulations.noise import noise
from tests.acceptance.telling import demand, mib, tell
from tests.common.blocks import new_device
from tests.common.coordinators import Member, open_member, served
from tests.common.processes import work_directory
from tests.common.wire import Wire, open_wire

FILES_BYTES = (400_000, 150_000, 3_000, 10)
HEADERS_BYTES = 600
"""More than the headers of a request: up to here and from so far before the end, every few bytes are cut at."""


def run(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--places", type=int, default=160, help="how many places to cut at")
    options = parser.parse_args(arguments)
    with work_directory() as place, open_wire() as wire:
        url = f"http://127.0.0.1:{wire.port}"
        with served(place, "--no-tls", "--public-url", url) as here:
            wire.server_port = here.address[1]

            async def all_of_it() -> None:
                async with open_member(here, "ana") as member:
                    await _cut_everywhere(wire, member, options.places)

            trio.run(all_of_it)


async def _cut_everywhere(wire: Wire, member: Member, places: int) -> None:
    workspace = (await member.make_workspace()).id
    whole_bytes, _ = await _upload(wire, member, workspace, None)
    tell("one upload without a cut", f"{whole_bytes:,} bytes with all that is around the blocks")
    sent, blocks, again = Counter[bytes](), 0, 0
    cuts_before = wire.cuts
    points = _points(whole_bytes, places)
    for point in points:
        took_bytes, arrivals = await _upload(wire, member, workspace, point)
        sent += arrivals
        blocks += arrivals.total()
        again += max(0, took_bytes - whole_bytes)
    tell("cut after the byte", f"{points[0]:,} … {points[-1]:,}, at {len(points)} places")
    tell("uploads that were cut", wire.cuts - cuts_before)
    demand(wire.cuts - cuts_before == len(points), "not every upload was cut")
    twice = [block.hex() for block, count in sent.items() if count > 1]
    tell("blocks sent", f"{blocks}, {len(sent)} different ones, {len(twice)} of them twice")
    demand(not twice, f"sent whole more than once: {twice[:3]}")
    tell("bytes sent again, of blocks that a cut left incomplete", f"{mib(again)}, {again // len(points):,} a cut")


async def _upload(wire: Wire, member: Member, workspace: WorkspaceId, point: int | None) -> tuple[int, Counter[bytes]]:
    """Upload new files through a connection that is cut after so many bytes; the coordinator then has all their blocks.

    Returns how many bytes went up in all, and the whole blocks among them with how often each was sent.
    """
    blocks = CoordinatorBlocks(member.client, workspace, TransferCounters())
    before = {index: len(each) for index, each in enumerate(wire.sent_up())}
    with (
        tempfile.TemporaryDirectory() as directory,
        new_device(Path(directory) / "a") as a,
    ):
        datas = [noise(size, b"%r %d" % (point, size)) for size in FILES_BYTES]
        requests = [a.write(f"file {index}", data) for index, data in enumerate(datas)]
        if point is not None:
            wire.cut_after(point)
        results = await a.ingester.ingest(requests, blocks)
        demand(all(isinstance(each, Ingested) for each in results), f"cut after {point}: not uploaded: {results}")
        parts = [each[before.get(index, 0) :] for index, each in enumerate(wire.sent_up())]
        needed = {
            chunk.block
            for each in results
            if isinstance(each, Ingested) and each.manifest is not None
            for chunk in each.manifest.chunks
        }
        held = await blocks.have(sorted(needed))
    demand(
        not isinstance(held, Refusal) and held == needed, f"cut after {point}: the coordinator has not got all of it"
    )
    return sum(map(len, parts)), Counter(block for part in parts for block in _whole_blocks(part))


def _whole_blocks(sent: bytes) -> Iterator[bytes]:
    """The ids of the blocks that are complete in what one connection sent, upload after upload."""
    connection = h11.Connection(h11.SERVER)
    connection.receive_data(sent)
    reader: FrameReader | None = None
    while True:
        event = connection.next_event()
        if isinstance(event, h11.Request):
            reader = FrameReader() if event.target.startswith(b"/v1/blocks/") else None
        elif isinstance(event, h11.Data) and reader is not None:
            for frame in reader.receive(bytes(event.data)):
                if frame.kind is FrameKind.BLOCK:
                    yield frame.block
        elif isinstance(event, h11.EndOfMessage):
            connection.send(h11.Response(status_code=200, headers=[("content-length", "0")]))
            connection.send(h11.EndOfMessage())
            connection.start_next_cycle()
        elif event is h11.NEED_DATA or isinstance(event, h11.ConnectionClosed):
            return


def _points(whole_bytes: int, count: int) -> list[int]:
    """Byte numbers to cut after: evenly over all of it, and closely at both ends, where the headers and the end are."""
    even = [math.ceil(whole_bytes * (index + 1) / (count // 2 + 1)) for index in range(count // 2)]
    step = max(1, 2 * HEADERS_BYTES // (count - count // 2))
    near = [*range(1, HEADERS_BYTES, step), *range(whole_bytes - HEADERS_BYTES, whole_bytes, step)]
    return sorted(set(even + near))
