"""How fast a LAN link is on loopback, beside plain TCP and `trio.SSLStream`: two processes, alternating, in one run.

python -P -m benchmarks.lan_link [--mib 1024] [--chunk-kib 256] [--runs 3]

The sender sends the same buffer again and again, and the receiver throws away what comes: the link's row has its
requests, frames and both ends' bookkeeping in it, but no file and no hash. Memory is bounded as in the daemon.
"""

import argparse
import multiprocessing
import resource
import ssl
import statistics
import time
from collections.abc import Sequence
from multiprocessing.connection import Connection
from typing import Final

import trio

from crypto.identity import SigningKey
from peer.lan.link import Answer, Link
from peer.lan.trust import dial_context, listen_context
from peer.link.tls import open_client_tls, open_server_tls
from peer.machine import SystemClock, bound_memory
from protocol import limits
from protocol.ids import ChangeId, ChunkId, DeviceId, LogHash, WorkspaceId
from protocol.lan import LanHead, LanHello, LanRequest
from protocol.lan_session import Arrived, Event

MIB: Final = 1024 * 1024
SENDER, RECEIVER = (SigningKey.from_seed(bytes([number]) * 32) for number in (1, 2))
HERE, VERSION = WorkspaceId(b"h" * 32), ChangeId(b"v" * 32)
HELLO = LanHello(1, 0, (), (LanHead(HERE, 1, LogHash(bytes(32))),))
WAYS: Final = ("plain TCP", "trio.SSLStream", "TLS, pumped", "LAN link")


class Sender:
    """Answers every request with the same bytes."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def take(self, link: Link, event: Event) -> None:
        pass

    async def answer(self, link: Link, wanted: Sequence[LanRequest]) -> Sequence[Answer]:
        await trio.lowlevel.checkpoint()
        return [self._data] * len(wanted)


class Receiver:
    """Asks for so many chunks, as many at a time as may be."""

    def __init__(self, chunks: int, length: int) -> None:
        self._left = chunks
        self._waiting = chunks
        self._length = length

    def ask(self, link: Link) -> None:
        while self._left and link.session.may_request(self._length):
            self._left -= 1
            link.session.request(HERE, VERSION, ChunkId(bytes(32)), self._length)
        link.wake()

    def take(self, link: Link, event: Event) -> None:
        if isinstance(event, Arrived):
            assert len(event.data) == self._length
            link.session.give_back(event.data)
            self._waiting -= 1
            if not self._waiting:
                link.end("done")
        # Asked in groups: a request by itself costs each side more than the chunk.
        if link.session.may_request(limits.LAN_REQUESTED_BYTES // 2):
            self.ask(link)

    async def answer(self, link: Link, wanted: Sequence[LanRequest]) -> Sequence[Answer]:
        raise AssertionError("the sender asks for nothing")


async def send(stream: trio.abc.Stream, total: int, length: int) -> None:
    data = bytes(length)
    for _ in range(total // length):
        await stream.send_all(data)


async def serve_one(way: str, stream: trio.SocketStream, total: int, length: int) -> None:
    context = listen_context(SENDER, [RECEIVER.public], lambda knock: True)
    match way:
        case "plain TCP":
            await send(stream, total, length)
        case "trio.SSLStream":
            secure = trio.SSLStream(stream, context, server_side=True)
            await secure.do_handshake()
            await send(secure, total, length)
        case "TLS, pumped":
            await send(await open_server_tls(stream, context), total, length)
        case _:
            tls = await open_server_tls(stream, context)
            link = Link(DeviceId(bytes(16)), tls, HELLO, SystemClock(), dialled=False)
            await link.run(Sender(bytes(length)))


async def serve(port_to: Connection, ways: list[str], total: int, length: int) -> None:
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    port_to.send(listener.socket.getsockname()[1])
    for way in ways:
        before = cpu_s()
        async with await listener.accept() as stream:
            await serve_one(way, stream, total, length)
            port_to.send(cpu_s() - before)
            port_to.recv()


def serving(port_to: Connection, ways: list[str], total: int, length: int) -> None:
    bound_memory()
    trio.run(serve, port_to, ways, total, length)


async def receive(stream: trio.abc.ReceiveStream, total: int) -> None:
    got = 0
    while got < total:
        data = await stream.receive_some()
        assert data
        got += len(data)


async def receive_into(stream: trio.SocketStream, total: int) -> None:
    buffer, got = bytearray(MIB), 0
    while got < total:
        got += await stream.socket.recv_into(buffer)


async def fetch_one(way: str, port: int, total: int, length: int) -> float:
    context = dial_context(RECEIVER, SENDER.public)
    stream = await trio.open_tcp_stream("127.0.0.1", port)
    async with stream:
        start_s = time.perf_counter()
        match way:
            case "plain TCP":
                await receive_into(stream, total)
            case "trio.SSLStream":
                secure = trio.SSLStream(stream, context, server_hostname="knock")
                await receive(secure, total)
            case "TLS, pumped":
                await receive(await open_client_tls(stream, context, "knock"), total)
            case _:
                tls = await open_client_tls(stream, context, "knock")
                link = Link(DeviceId(bytes(16)), tls, HELLO, SystemClock(), dialled=True)
                await link.run(Receiver(total // length, length))
        return time.perf_counter() - start_s


def cpu_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--mib", type=int, default=1024)
    parser.add_argument("--chunk-kib", type=int, default=256)
    parser.add_argument("--runs", type=int, default=3)
    arguments = parser.parse_args()
    assert ssl.HAS_TLSv1_3
    total, length = arguments.mib * MIB, arguments.chunk_kib * 1024
    total -= total % length
    ways = [way for _ in range(arguments.runs) for way in WAYS]
    bound_memory()
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=serving, args=(theirs, ways, total, length))
    process.start()
    port = ours.recv()
    rows: dict[str, list[tuple[float, float, float]]] = {way: [] for way in WAYS}
    for way in ways:
        before = cpu_s()
        took_s = trio.run(fetch_one, way, port, total, length)
        rows[way].append((total / took_s / 1e9, cpu_s() - before, ours.recv()))
        ours.send(None)
    process.join()
    print(f"{arguments.mib} MiB in pieces of {arguments.chunk_kib} KiB; median of {arguments.runs} runs")
    for way, runs in rows.items():
        rate, here_s, there_s = (statistics.median(column) for column in zip(*runs, strict=True))
        every = " ".join(f"{run[0]:.2f}" for run in runs)
        print(
            f"{way:15} {rate:5.2f} GB/s   processor: receiver {here_s:.2f} s, sender {there_s:.2f} s   (all: {every})"
        )


if __name__ == "__main__":
    main()
