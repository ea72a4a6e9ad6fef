"""Contents described, not held, are the bytes they stand for."""

import itertools

import hypothesis.strategies as st
from hypothesis import given, settings

from simulations.disk import Content

EDITS = st.lists(
    st.one_of(
        st.tuples(st.just("put"), st.integers(0, 20_000), st.binary(min_size=1, max_size=30)),
        st.tuples(st.just("pattern"), st.integers(0, 20_000), st.integers(1, 9_000)),
        st.tuples(st.just("resize"), st.integers(0, 25_000), st.just(b"")),
        st.tuples(st.just("cut"), st.integers(0, 20_000), st.integers(0, 9_000)),
    ),
    max_size=12,
)


@settings(deadline=None, max_examples=100)
@given(size=st.integers(0, 20_000), edits=EDITS)
def test_a_content_is_what_the_same_edits_make_of_its_bytes(size: int, edits: list[tuple[str, int, object]]) -> None:
    content = Content.generated(7, size)
    plain = bytearray(bytes(content))
    for kind, at, what in edits:
        new = b""
        if kind == "resize":
            content = content.resized(at)
            plain = plain[:at] + bytes(max(0, at - len(plain)))
            continue
        if kind == "put" and isinstance(what, bytes):
            new = what
            content = content.put(at, Content.of(new))
        elif kind == "pattern" and isinstance(what, int):
            new = bytes(Content.generated(9, what))
            content = content.put(at, Content.generated(9, what))
        elif kind == "cut" and isinstance(what, int):
            new = bytes(plain[at : at + what])
            content = content.put(at, content.cut(at, what))
        plain += bytes(max(0, at - len(plain)))
        plain[at : at + len(new)] = new
        assert content.size == len(plain)
    assert bytes(content) == bytes(plain)
    assert content == Content.of(bytes(plain))
    assert content.digest() == Content.of(bytes(plain)).digest()
    assert content.read(100, 300) == bytes(plain[100:400])


@settings(deadline=None, max_examples=60)
@given(cuts=st.lists(st.integers(1, 60_000), max_size=6), patch=st.none() | st.integers(0, 59_997))
def test_a_pattern_is_recognised_in_what_is_written_and_not_held(cuts: list[int], patch: int | None) -> None:
    data = bytearray(bytes(Content.generated(3, 60_000)))
    if patch is not None:
        data[patch : patch + 3] = b"own"
    edges = sorted({0, 60_000, *cuts})
    content = Content.of(b"")
    for first, last in itertools.pairwise(edges):
        content = content.put(first, Content.of(data[first:last]))
    assert bytes(content) == bytes(data)


def test_a_terabyte_costs_nothing() -> None:
    film = Content.generated(1, 1 << 40)
    assert film.size == 1 << 40
    edited = film.put(1 << 39, Content.of(b"a few bytes"))
    assert edited.read((1 << 39) - 2, 6)[2:] == b"a fe"
    assert edited != film.put(1 << 38, Content.of(b"x")).cut(0, 5)
    copy = Content.of(b"")
    for at in range(0, 1 << 22, 1 << 20):
        copy = copy.put(at, Content.of(film.read(at, 1 << 20)))
    assert copy == film.cut(0, 1 << 22)
    assert "generated page" not in repr(copy)
