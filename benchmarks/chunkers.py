"""Cuts the same bytes with both chunkers, alternately, and prints what was gained.

    python -P -m benchmarks.chunkers [--mib 256] [--runs 5]

`pyfastcdc`, as the program uses it, beside the `fastcdc` package, at the program's sizes; and
two threads at once, where a chunker that holds the GIL gains nothing.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version

import fastcdc

from chunking.cutter import Cutter, cut
from chunking.params import DEFAULT_PARAMS
from simulations.noise import noise

MIB = 1024 * 1024
READ_BYTES = 8 * MIB


def streamed(data: bytes) -> int:
    cutter, view = Cutter(), memoryview(data)
    count = sum(len(cutter.feed(view[start : start + READ_BYTES])) for start in range(0, len(data), READ_BYTES))
    return count + len(cutter.finish())


def whole(data: bytes) -> int:
    return len(cut(data))


def reference(data: bytes) -> int:
    sizes = DEFAULT_PARAMS
    found = fastcdc.fastcdc(data, min_size=sizes.min_size, avg_size=sizes.avg_size, max_size=sizes.max_size)
    return sum(1 for _ in found)


def seconds(function: Callable[[bytes], int], data: bytes, threads: int) -> float:
    if threads == 1:
        start = time.perf_counter()
        function(data)
        return time.perf_counter() - start
    half = len(data) // threads
    parts = [data[at * half : (at + 1) * half] for at in range(threads)]
    with ThreadPoolExecutor(threads) as pool:
        start = time.perf_counter()
        list(pool.map(function, parts))
        return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--mib", type=int, default=256)
    parser.add_argument("--runs", type=int, default=5)
    arguments = parser.parse_args()
    piece = noise(16 * MIB)
    data = piece * max(1, arguments.mib // 16)
    print(f"pyfastcdc {version('pyfastcdc')}, fastcdc {version('fastcdc')}; {DEFAULT_PARAMS}")
    print(f"{len(data) // MIB} MiB, median of {arguments.runs} runs, alternating")
    rows: list[tuple[str, Callable[[bytes], int], int]] = [
        ("pyfastcdc, whole buffer", whole, 1),
        (f"pyfastcdc, stream of {READ_BYTES // MIB} MiB reads", streamed, 1),
        ("pyfastcdc, stream, two threads", streamed, 2),
        ("fastcdc, whole buffer", reference, 1),
        ("fastcdc, two threads", reference, 2),
    ]
    times: list[list[float]] = [[] for _ in rows]
    for _ in range(arguments.runs):
        for (_, function, threads), taken in zip(rows, times, strict=True):
            taken.append(seconds(function, data, threads))
    base = statistics.median(times[3])
    for (name, function, _), taken in zip(rows, times, strict=True):
        median = statistics.median(taken)
        print(
            f"{name:36} {len(data) / median / 1e9:6.2f} GB/s   {base / median:5.2f} x fastcdc"
            f"   {function(data):6} chunks"
        )


if __name__ == "__main__":
    main()
