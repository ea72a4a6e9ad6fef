"""The peer's HTTP client beside httpx: the same work against the same server, alternating, in one run.

    python -P -m benchmarks.http_client [--bytes SIZE] [--rounds N]

The server runs in a process of its own: hypercorn on trio with a raw ASGI application, with and without TLS. httpx is
compared where it is installed. Prints throughput and CPU seconds of the client, and requests per second.
"""

import argparse
import contextlib
import multiprocessing
import ssl
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import trio
from hypercorn.config import Config
from hypercorn.trio import serve

from crypto.certificate import certificate_for
from crypto.identity import SigningKey
from peer.link.addresses import Dialer, Pin
from peer.link.http import HttpPool, Request
from peer.link.network import TrioNetwork

PIECE = bytes(256 * 1024)
IDENTITY = SigningKey.from_seed(bytes(32))


async def application(scope: Any, receive: Any, send: Any) -> None:
    """`/down?SIZE` sends so much, `/up` swallows a body, anything else answers a little."""
    if scope["type"] == "lifespan":
        for stage in ("startup", "shutdown"):
            await receive()
            await send({"type": f"lifespan.{stage}.complete"})
        return
    path = scope["path"]
    if path != "/down":
        while (await receive()).get("more_body"):
            pass
    await send({"type": "http.response.start", "status": 200, "headers": []})
    if path == "/down":
        for _ in range(int(scope["query_string"]) // len(PIECE)):
            await send({"type": "http.response.body", "body": PIECE, "more_body": True})
    await send({"type": "http.response.body", "body": b"ok"})


def run_server(certificate: Path | None, ports: "multiprocessing.Queue[int]") -> None:
    """Serve until killed; puts its port on the queue."""

    async def main() -> None:
        config = Config()
        config.bind = ["127.0.0.1:0"]
        config.alpn_protocols = ["http/1.1"]
        if certificate:
            config.certfile = config.keyfile = str(certificate)
        async with trio.open_nursery() as nursery:
            started: Any = nursery.start
            binds = await started(serve, application, config)
            ports.put(int(binds[0].rsplit(":", 1)[1]))

    trio.run(main)


async def pieces(total: int) -> AsyncIterator[bytes]:
    for _ in range(total // len(PIECE)):
        yield PIECE


class Ours:
    """`peer.link.http` on the network port."""

    name = "h11 on the port"

    def __init__(self, url: str, certificate: Path | None) -> None:
        self._pool = HttpPool(Dialer(TrioNetwork(), Pin(IDENTITY.public), [url]).dial)

    async def down(self, size: int) -> int:
        got = 0
        async with self._pool.exchange(Request("GET", f"/down?{size}")) as response:
            while data := await response.receive_some():
                got += len(data)
        return got

    async def up(self, size: int) -> None:
        async with self._pool.exchange(Request("POST", "/up", body=pieces(size), length=size)) as response:
            await response.read(100)

    async def small(self) -> None:
        async with self._pool.exchange(Request("POST", "/small", body=bytes(200))) as response:
            await response.read(100)

    async def close(self) -> None:
        await self._pool.aclose()


class Httpx:
    """httpx with its default transport."""

    name = "httpx"

    def __init__(self, url: str, certificate: Path | None) -> None:
        import httpx

        context: Any = True
        if certificate:
            context = ssl.create_default_context(cafile=str(certificate))
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        self._client = httpx.AsyncClient(base_url=url, verify=context, timeout=60, trust_env=False)

    async def down(self, size: int) -> int:
        got = 0
        async with self._client.stream("GET", f"/down?{size}") as response:
            async for data in response.aiter_raw():
                got += len(data)
        return got

    async def up(self, size: int) -> None:
        await self._client.post("/up", content=pieces(size), headers={"content-length": str(size)})

    async def small(self) -> None:
        await self._client.post("/small", content=bytes(200))

    async def close(self) -> None:
        await self._client.aclose()


async def timed(work: Callable[[], Awaitable[object]]) -> tuple[float, float]:
    """Wall and CPU seconds of this process."""
    wall, cpu = time.perf_counter(), time.process_time()
    await work()
    return time.perf_counter() - wall, time.process_time() - cpu


async def compare(url: str, certificate: Path | None, size: int, rounds: int) -> None:
    clients: list[Any] = [Ours(url, certificate)]
    with contextlib.suppress(ImportError):
        clients.append(Httpx(url, certificate))
    results: dict[tuple[str, str], list[tuple[float, float]]] = {}

    async def many(client: Any) -> None:
        for _ in range(500):
            await client.small()

    for _ in range(rounds):
        for client in clients:
            await client.small()
            for work, run in (
                ("download", lambda: client.down(size)),  # noqa: B023 - run at once
                ("upload", lambda: client.up(size)),  # noqa: B023
                ("500 requests", lambda: many(client)),  # noqa: B023
            ):
                results.setdefault((work, client.name), []).append(await timed(run))
    for client in clients:
        await client.close()
    for (work, name), times in sorted(results.items()):
        wall, cpu = (statistics.median(column) for column in zip(*times, strict=True))
        rate = f"{500 / wall:8.0f} /s" if "requests" in work else f"{size / wall / 1e6:8.0f} MB/s"
        print(f"  {work:14} {name:16} {rate}   client CPU {cpu:.2f} s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bytes", type=int, default=512 * 1024 * 1024)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    spawn = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory() as directory:
        pair = certificate_for(IDENTITY.seed, "shoal coordinator")
        path = Path(directory, "certificate.pem")
        path.write_bytes(pair.certificate_pem + pair.key_pem)
        for certificate in (None, path):
            ports: multiprocessing.Queue[int] = spawn.Queue()
            server = spawn.Process(target=run_server, args=(certificate, ports), daemon=True)
            server.start()
            url = f"{'https' if certificate else 'http'}://127.0.0.1:{ports.get()}"
            print("over TLS" if certificate else "in the clear")
            trio.run(compare, url, certificate, options.bytes, options.rounds)
            server.terminate()
            server.join()


if __name__ == "__main__":
    main()
