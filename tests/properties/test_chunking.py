"""The cutter and the reuse plan, for any input."""

from hypothesis import given, settings
from hypothesis import strategies as st

from chunking.cutter import Cutter, cut
from chunking.params import ChunkerParams
from chunking.reuse import plan_reuse
from simulations.noise import noise

PARAMS = st.builds(
    ChunkerParams,
    min_size=st.sampled_from([64, 128, 256]),
    avg_size=st.sampled_from([256, 512]),
    max_size=st.sampled_from([1024, 1026, 4096]),
)
DATA = st.lists(
    st.one_of(
        st.binary(max_size=300),
        st.builds(noise, st.integers(0, 6000), st.binary(max_size=2)),
        st.integers(0, 6000).map(bytes),
    ),
    max_size=6,
).map(b"".join)


@given(data=DATA, params=PARAMS)
@settings(deadline=None)
def test_cuts_cover_everything_and_keep_their_bounds(data: bytes, params: ChunkerParams) -> None:
    chunks = cut(data, params)
    position = 0
    for index, (offset, length) in enumerate(chunks):
        assert offset == position
        assert 0 < length <= params.max_size
        assert length >= params.min_size or index == len(chunks) - 1
        position += length
    assert position == len(data)


@given(data=DATA, params=PARAMS, splits=st.lists(st.integers(0, 40_000), max_size=20))
@settings(deadline=None, max_examples=300)
def test_a_stream_equals_the_whole(data: bytes, params: ChunkerParams, splits: list[int]) -> None:
    points = sorted(min(point, len(data)) for point in splits)
    cutter = Cutter(params)
    chunks: list[bytes] = []
    for start, stop in zip([0, *points], [*points, len(data)], strict=True):
        chunks += map(bytes, cutter.feed(bytearray(data[start:stop])))
    chunks += map(bytes, cutter.finish())
    assert chunks == [data[offset : offset + length] for offset, length in cut(data, params)]


@given(
    ids=st.lists(st.integers(0, 20).map(lambda n: (bytes([n]), n + 1)), max_size=60),
    held=st.sets(st.integers(0, 20).map(lambda n: bytes([n]))),
)
def test_held_and_fetched_chunks_build_the_whole_file(ids: list[tuple[bytes, int]], held: set[bytes]) -> None:
    plan = plan_reuse(ids, lambda chunk: True if chunk in held else None)
    assert [(span.chunk_id, span.length) for span in plan.spans] == ids
    fetched = [chunk for chunk, _ in plan.fetch]
    assert len(set(fetched)) == len(fetched)
    assert set(fetched) == {chunk for chunk, _ in ids} - held
