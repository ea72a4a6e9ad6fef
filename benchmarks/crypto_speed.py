"""How fast blocks are sealed and opened, by size, content and threads.

python -P -m benchmarks.crypto_speed [--mib 128] [--runs 3]
"""

import argparse
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version

from crypto.block_box import open_block, seal_block
from crypto.keyring import WorkspaceKeyring
from simulations.noise import noise

KIB = 1024
KEYS = WorkspaceKeyring(bytes(16), bytes(32), {1: bytes(32)})


def text(size_bytes: int) -> bytes:
    lines = b"".join(b"%d: a line of a log, id %x\n" % (n, n * n * 7919) for n in range(60_000))
    return lines[:size_bytes]


def rate(work: Callable[[int], object], total: int, count: int, threads: int) -> float:
    """Megabytes a second for `count` calls in as many threads."""
    with ThreadPoolExecutor(threads) as pool:
        share = count // threads
        start = time.perf_counter()
        list(pool.map(lambda _: [work(n) for n in range(share)], range(threads)))
        return total / (time.perf_counter() - start) / 1e6


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--mib", type=int, default=128)
    parser.add_argument("--runs", type=int, default=3)
    arguments = parser.parse_args()
    packages = ("pynacl", "blake3", "zstandard")
    print(", ".join(f"{name} {version(name)}" for name in packages))
    print(f"median of {arguments.runs} runs, MB/s of plaintext, and microseconds a block")
    for size in (4 * KIB, 256 * KIB, 1024 * KIB):
        count = max(2, arguments.mib * 1024 * KIB // size // (8 if size < 64 * KIB else 1))
        for name, data in (("noise", noise(size)), ("text", text(size))):
            block = seal_block(KEYS, 1, data)[1]
            for threads in (1, 2):
                seals, opens = [], []
                for _ in range(arguments.runs):
                    seals.append(
                        rate(lambda _, d=data: seal_block(KEYS, 1, d), count * size, count, threads)  # type: ignore[misc]  # a default binds the loop's value
                    )
                    opens.append(
                        rate(
                            lambda _, b=block, n=size: open_block(KEYS, b, n, n),  # type: ignore[misc]  # as above
                            count * size,
                            count,
                            threads,
                        )
                    )
                sealed, opened = statistics.median(seals), statistics.median(opens)
                print(
                    f"{size // KIB:5} KiB {name:6} {threads} thread{'s'[: threads - 1]:1}  "
                    f"seal {sealed:6.0f} ({size / sealed:6.1f} us)   "
                    f"open {opened:6.0f} ({size / opened:6.1f} us)"
                )


if __name__ == "__main__":
    main()
