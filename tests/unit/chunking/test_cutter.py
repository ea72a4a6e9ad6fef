"""Where the cuts are, and that a stream is cut like the whole."""

import fastcdc
import pytest
from pyfastcdc.py import FastCDC as PurePythonFastCDC

from chunking.cutter import NORMALISATION, Cutter, cut
from chunking.params import DEFAULT_PARAMS, BadChunkerParams, ChunkerParams
from simulations.noise import noise

KNOWN_LENGTHS = [
    367236,
    356500,
    108218,
    351304,
    361168,
    267030,
    227303,
    266453,
    287933,
    320677,
    273509,
    243317,
    314046,
    449610,
]
SMALL = ChunkerParams(min_size=256, avg_size=1024, max_size=8192)


def streamed(data: bytes, piece: int, params: ChunkerParams) -> list[bytes]:
    cutter = Cutter(params)
    chunks: list[bytes] = []
    for start in range(0, len(data), piece):
        chunks += map(bytes, cutter.feed(data[start : start + piece]))
    return chunks + [bytes(chunk) for chunk in cutter.finish()]


def whole(data: bytes, params: ChunkerParams) -> list[bytes]:
    return [data[offset : offset + length] for offset, length in cut(data, params)]


def test_the_cuts_of_a_known_input_never_change() -> None:
    lengths = [length for _, length in cut(noise(4 * 1024 * 1024, b"cuts"))]
    assert lengths == KNOWN_LENGTHS


def test_the_compiled_engine_cuts_like_the_pure_python_one() -> None:
    data = noise(200_001, b"pure")
    reference = PurePythonFastCDC(
        SMALL.avg_size,
        min_size=SMALL.min_size,
        max_size=SMALL.max_size,
        normalized_chunking=NORMALISATION,
    )
    assert cut(data, SMALL) == [(c.offset, c.length) for c in reference.cut_buf(data)]


@pytest.mark.parametrize("size", [1024, 4096])
def test_both_packages_agree_where_all_three_sizes_are_one(size: int) -> None:
    # Their gear tables differ, so content cannot decide alike; at fixed sizes it decides nothing.
    data = noise(50_001, b"fixed")
    params = ChunkerParams(min_size=size, avg_size=size, max_size=size)
    other = fastcdc.fastcdc(data, min_size=size, avg_size=size, max_size=size)
    assert cut(data, params) == [(c.offset, c.length) for c in other]


def test_both_packages_find_chunks_of_about_the_same_size() -> None:
    data = noise(4_000_000, b"sizes")
    ours = len(cut(data, SMALL))
    other = len(list(fastcdc.fastcdc(data, min_size=256, avg_size=SMALL.avg_size, max_size=8192)))
    assert ours == pytest.approx(other, rel=0.35)


@pytest.mark.parametrize("cutter", ["shoal", "fastcdc"])
def test_an_inserted_byte_changes_few_chunks_whichever_package_cuts(cutter: str) -> None:
    data = noise(1_000_000, b"insert")
    edited = data[:500_000] + b"!" + data[500_000:]

    def chunks(of: bytes) -> set[bytes]:
        if cutter == "shoal":
            return set(whole(of, SMALL))
        found = fastcdc.fastcdc(of, min_size=256, avg_size=1024, max_size=8192, fat=True)
        return {bytes(c.data) for c in found}

    assert len(chunks(edited) - chunks(data)) <= 4


@pytest.mark.parametrize("piece", [1, 7, 1000, 8192, 65_536, 10_000_000])
def test_a_stream_is_cut_like_the_whole_however_it_is_split(piece: int) -> None:
    data = noise(60_001 if piece == 1 else 400_001, b"stream")
    assert streamed(data, piece, SMALL) == whole(data, SMALL)


def test_bytes_without_any_cut_come_out_at_full_size() -> None:
    data = bytes(5 * SMALL.max_size + 17)
    expected = [SMALL.max_size] * 5 + [17]
    assert [len(c) for c in streamed(data, 3000, SMALL)] == expected
    assert [length for _, length in cut(data, SMALL)] == expected


def test_nothing_has_no_chunks() -> None:
    cutter = Cutter()
    assert cut(b"") == []
    assert cutter.feed(b"") == []
    assert cutter.finish() == []


def test_a_view_stays_right_when_the_read_buffer_is_reused() -> None:
    data = noise(300_000, b"reuse")
    cutter = Cutter(SMALL)
    buffer = bytearray(10_000)
    chunks: list[bytes] = []
    across: list[tuple[memoryview, bytes]] = []
    for start in range(0, len(data), len(buffer)):
        buffer[:] = data[start : start + len(buffer)]
        views = cutter.feed(buffer)
        chunks += map(bytes, views)
        across += [(view, bytes(view)) for view in views if view.readonly]
    chunks += map(bytes, cutter.finish())
    assert chunks == whole(data, SMALL)
    assert across
    assert all(view == then for view, then in across)


def test_a_finished_cutter_takes_no_more() -> None:
    cutter = Cutter()
    cutter.finish()
    with pytest.raises(ValueError, match="finished"):
        cutter.feed(b"x")


@pytest.mark.parametrize(
    "wrong",
    [
        {"kind": "rabin"},
        {"min_size": 0},
        {"min_size": 2 * 1024 * 1024},
        {"avg_size": 100_000},
        {"avg_size": 32 * 1024},
        {"max_size": 128 * 1024},
        {"max_size": 1 << 30},
        {"min_size": 65_537},
        {"max_size": 2_097_151},
    ],
)
def test_parameters_no_cutter_has_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(BadChunkerParams):
        ChunkerParams(**wrong)  # type: ignore[arg-type]  # that is the point


def test_the_defaults_are_what_new_workspaces_record() -> None:
    assert ChunkerParams("fastcdc2020", 65_536, 262_144, 2_097_152) == DEFAULT_PARAMS
