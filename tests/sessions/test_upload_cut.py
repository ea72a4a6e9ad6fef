"""The pipelines over the real link: TLS, HTTP and real sockets, through a proxy that cuts them."""

import contextlib
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trio

from crypto.digest import block_id
from crypto.identity import DeviceKeys
from peer.link.coordinator import CoordinatorClient
from peer.link.network import TrioNetwork
from peer.transfer.coordinator_blocks import CoordinatorBlocks
from peer.transfer.counters import TransferCounters
from peer.transfer.download import Fetched
from peer.transfer.ingest import Ingested
from protocol import codec, messages
from protocol.frames import FrameKind, FrameReader, absent_frame, block_head, end_frame
from protocol.ids import WorkspaceId
from simulations.noise import noise
from tests.common.blocks import new_device, wanted
from tests.common.link_server import (
    ScriptedCoordinator,
    SeededEntropy,
    TrioClock,
    identity_of,
    open_http_server,
    write_certificate,
)

IDENTITY = identity_of(1)
KEYS = DeviceKeys.from_seed(bytes(32))
WORKSPACE = WorkspaceId(bytes(32))


class BlockServer(ScriptedCoordinator):
    """Keeps blocks as a coordinator does: each complete one of a body, also of one that was cut."""

    def __init__(self) -> None:
        super().__init__(IDENTITY, KEYS.sign.public)
        self.blocks: dict[bytes, bytes] = {}
        self.arrivals: list[bytes] = []
        self.uploads = 0
        self.idle = trio.Condition()
        self.streams = {
            "/v1/blocks/": self._upload,
            "/v1/blocks": self._download,
            "/v1/have": self._have,
        }

    async def _upload(self, scope: Any, receive: Any, send: Any) -> None:
        self.uploads += 1
        reader, count = FrameReader(), 0
        try:
            while True:
                event = await receive()
                if event["type"] != "http.request":
                    return
                for frame in reader.receive(event["body"]):
                    if frame.kind is FrameKind.BLOCK:
                        assert block_id(frame.data) == frame.block
                        self.blocks[frame.block] = frame.data
                        self.arrivals.append(frame.block)
                        count += 1
                if not event["more_body"]:
                    break
            await self._reply(send, messages.Stored(count, count), 200)
        finally:
            self.uploads -= 1
            async with self.idle:
                self.idle.notify_all()

    async def _have(self, scope: Any, receive: Any, send: Any) -> None:
        event = await receive()
        request = codec.decode(messages.HaveRequest, event["body"], 10**6)
        # What a cut body brought is taken in before the question about it is answered.
        async with self.idle:
            while self.uploads:
                await self.idle.wait()
        bits = [block in self.blocks for block in request.blocks]
        packed = bytearray((len(bits) + 7) // 8)
        for index, held in enumerate(bits):
            packed[index // 8] |= (0x80 >> index % 8) * held
        await self._reply(send, messages.HaveReply(bytes(packed)), 200)

    async def _download(self, scope: Any, receive: Any, send: Any) -> None:
        event = await receive()
        request = codec.decode(messages.BlocksRequest, event["body"], 10**6)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for block in request.blocks:
            data = self.blocks.get(block)
            frame = absent_frame(block) if data is None else block_head(block, len(data)) + data
            await send({"type": "http.response.body", "body": frame, "more_body": True})
        await send({"type": "http.response.body", "body": end_frame(len(request.blocks))})


class CuttingProxy:
    """Passes bytes on; each next connection breaks after so many of `cuts` bytes, both directions together."""

    def __init__(self, port: int, cuts: list[int]) -> None:
        self._port = port
        self._cuts = cuts
        self._left: list[list[int]] = []
        self.broken = 0

    def cut_after(self, count: int) -> None:
        """Break the connections there are after so many more bytes."""
        for left in self._left:
            left[0] = count

    async def serve(self, client: trio.SocketStream) -> None:
        left = [self._cuts.pop(0) if self._cuts else 10**12]
        self._left.append(left)
        async with (
            client,
            await trio.open_tcp_stream("127.0.0.1", self._port) as server,
            trio.open_nursery() as nursery,
        ):

            async def pump(source: trio.SocketStream, sink: trio.SocketStream) -> None:
                with contextlib.suppress(trio.BrokenResourceError, trio.ClosedResourceError):
                    while left[0] > 0 and (data := await source.receive_some(16_384)):
                        await sink.send_all(data[: left[0]])
                        left[0] -= len(data)
                self.broken += left[0] <= 0
                nursery.cancel_scope.cancel()

            nursery.start_soon(pump, client, server)
            nursery.start_soon(pump, server, client)


@contextlib.asynccontextmanager
async def linked(tmp_path: Path, cuts: list[int]) -> AsyncIterator[tuple[BlockServer, CoordinatorBlocks, CuttingProxy]]:
    app = BlockServer()
    async with (
        open_http_server(app, write_certificate(tmp_path, IDENTITY)) as port,
        trio.open_nursery() as nursery,
    ):
        proxy = CuttingProxy(port, cuts)
        listeners = await nursery.start(partial(trio.serve_tcp, proxy.serve, 0, host="127.0.0.1"))
        client = CoordinatorClient(
            addresses=[f"https://127.0.0.1:{listeners[0].socket.getsockname()[1]}"],
            identity=IDENTITY.public,
            keys=KEYS,
            network=TrioNetwork(),
            clock=TrioClock(),
            entropy=SeededEntropy(),
        )
        yield app, CoordinatorBlocks(client, WORKSPACE, TransferCounters()), proxy
        await client.aclose()
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize("cuts", [[], [9_000], [60_000], [61_111], [200_000, 1, 150_000], [90_000, 90_000, 90_000]])
async def test_files_cross_a_link_that_is_cut_and_nothing_complete_is_sent_twice(
    tmp_path: Path, cuts: list[int]
) -> None:
    data = [noise(300_000, b"one"), noise(200_000, b"two"), b"small"]
    async with linked(tmp_path, list(cuts)) as (app, blocks, proxy):
        with new_device(tmp_path / "a") as a, new_device(tmp_path / "b") as b:
            requests = [a.write(f"f{index}", content) for index, content in enumerate(data)]
            results = await a.ingester.ingest(requests, blocks)
            assert all(isinstance(result, Ingested) for result in results)
            assert len(app.arrivals) == len(set(app.arrivals))
            assert bool(proxy.broken) == bool(cuts)
            fetched = await b.fetcher.fetch([wanted(result) for result in results], blocks)
            assert [b.temp(result.temp) for result in fetched if isinstance(result, Fetched)] == data


@pytest.mark.parametrize("cut", [7_000, 33_333, 120_000])
async def test_a_download_over_a_link_that_is_cut_goes_on(tmp_path: Path, cut: int) -> None:
    data = noise(300_000)
    async with linked(tmp_path, []) as (_, blocks, proxy):
        with new_device(tmp_path / "a") as a, new_device(tmp_path / "b") as b:
            (result,) = await a.ingester.ingest([a.write("f", data)], blocks)
            proxy.cut_after(cut)
            (fetched,) = await b.fetcher.fetch([wanted(result)], blocks)
            assert isinstance(fetched, Fetched)
            assert b.temp(fetched.temp) == data
            assert proxy.broken
