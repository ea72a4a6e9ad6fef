"""Any files, cut and interrupted anywhere, come out as they went in."""

import tempfile
from pathlib import Path

import trio
from hypothesis import given, settings
from hypothesis import strategies as st

from peer.transfer.download import Fetched
from peer.transfer.ingest import Ingested
from simulations.noise import noise
from tests.common.blocks import Held, MemoryBlocks, new_device, wanted

PIECE = st.one_of(
    st.binary(max_size=300),
    st.builds(lambda seed, size: noise(size, bytes([seed])), st.integers(0, 5), st.integers(0, 40_000)),
    st.builds(lambda size: bytes(size), st.integers(0, 40_000)),
)
FILE = st.lists(PIECE, max_size=4).map(b"".join)
CUTS = st.lists(st.integers(1, 60_000), max_size=6)


async def there_and_back(files: list[bytes], held_files: list[bytes], cuts: list[int], fetch_cuts: list[int]) -> None:
    store, held = MemoryBlocks(), Held()
    store.cuts, store.fetch_cuts = list(cuts), list(fetch_cuts)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder)
        with new_device(path / "a") as a, new_device(path / "b", local=held) as b:
            for result in await b.ingester.ingest(
                [b.write(f"h{index}", data) for index, data in enumerate(held_files)], None
            ):
                assert isinstance(result, Ingested)
                held.add(result)
            results = await a.ingester.ingest([a.write(f"f{index}", data) for index, data in enumerate(files)], store)
            assert len(store.arrivals) == len(set(store.arrivals))
            fetched = await b.fetcher.fetch([wanted(result) for result in results], store)
            assert [b.temp(result.temp) for result in fetched if isinstance(result, Fetched)] == files
            asked = sum(map(len, store.asked))
            assert asked <= len(store.blocks) * (1 + len(fetch_cuts))


@settings(deadline=None, max_examples=60)
@given(st.lists(FILE, max_size=5), st.lists(FILE, max_size=2), CUTS, CUTS)
def test_files_come_out_as_they_went_in(
    files: list[bytes], held_files: list[bytes], cuts: list[int], fetch_cuts: list[int]
) -> None:
    # A cut without progress counts against patience, which is 4: these stay below.
    trio.run(there_and_back, files, held_files, cuts[:4], fetch_cuts[:4])
