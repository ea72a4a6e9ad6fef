"""Run as a child process: a large file in and out again, then this process's highest resident memory in MiB.

python -P -m tests.sessions.pipeline_memory FOLDER MIB
"""

import re
import sys
from pathlib import Path

import trio

from benchmarks.pipeline import FileBlocks
from chunking.params import DEFAULT_PARAMS
from peer.transfer.download import Fetched
from tests.common.blocks import new_device, wanted

MIB = 1024 * 1024


def highest_mib() -> int:
    """The high-water mark of this program; `getrusage` would report the parent's where that was higher."""
    found = re.search(r"VmHWM:\s*(\d+) kB", Path("/proc/self/status").read_text())
    assert found is not None
    return int(found[1]) // 1024


async def main(folder: Path, mib: int) -> None:
    with new_device(folder / "a", DEFAULT_PARAMS) as a, new_device(folder / "b", DEFAULT_PARAMS) as b:
        with (a.folder / "large").open("wb") as file:
            for index in range(mib):
                file.seek(index * MIB)
                file.write(b"%020d" % index * 2_000)
            file.truncate(mib * MIB)
        store = FileBlocks(folder)
        before = highest_mib()
        results = await a.ingester.ingest([a.request("large")], store)
        after_in = highest_mib()
        (fetched,) = await b.fetcher.fetch([wanted(result) for result in results], store)
        assert isinstance(fetched, Fetched)
        assert (b.folder / ".shoal" / "tmp" / fetched.temp).stat().st_size == mib * MIB
        after_out = highest_mib()
        print(before, after_in, after_out)


if __name__ == "__main__":
    trio.run(main, Path(sys.argv[1]), int(sys.argv[2]))
