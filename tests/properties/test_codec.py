"""The strict codec and the frames, under whatever bytes and cuts."""

import struct
import tracemalloc

import msgpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol import codec, limits, messages, model
from protocol.codec import Malformed
from protocol.frames import HEAD_BYTES, BadFrame, Frame, FrameKind, FrameReader, absent_frame, block_head, end_frame
from protocol.ids import BlockId
from tests.common.journals import seed
from tests.fuzz.codec import targets

KINDS = targets()
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats()
    | st.text(max_size=20)
    | st.binary(max_size=40)
    | st.sampled_from(["refusal", "accepted", "refused", "poke", "welcome", 0, 1, 2]),
    lambda inner: (
        st.lists(inner, max_size=8) | st.dictionaries(st.integers(0, 9) | st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=12,
)


def attempt(kind: object, data: bytes) -> object:
    try:
        return codec.decode(kind, data, limits.REQUEST_BYTES)  # type: ignore[arg-type]
    except Malformed as error:
        return error


@settings(deadline=None, max_examples=100)
@given(st.binary(max_size=200) | VALUES.map(lambda value: bytes(msgpack.packb(value))))
def test_any_bytes_are_a_value_or_malformed(data: bytes) -> None:
    for kind in KINDS:
        value = attempt(kind, data)
        if not isinstance(value, Malformed):
            assert attempt(kind, codec.encode(value)) == value


HOSTILE = {
    "nothing": b"",
    "a reserved byte": b"\xc1",
    "arrays in arrays": b"\x91" * 1_000_000,
    "long arrays in arrays": b"\x9f" * 1_000_000,
    "maps in maps": b"\x81\xc0" * 500_000,
    "nested past a message's last field": b"\x92\xa2ok" + b"\x91" * 1_000_000 + b"\xc0",
    "an array of 4 billion": b"\xdd\xff\xff\xff\xff",
    "an array of 4 billion, and some": b"\xdd\xff\xff\xff\xff" + b"\xc0" * 1_000,
    "a map of 4 billion": b"\xdf\xff\xff\xff\xff",
    "bytes of 4 gigabytes": b"\xc6\xff\xff\xff\xffabc",
    "a text of 4 gigabytes": b"\xdb\xff\xff\xff\xffabc",
    "an extension of 4 gigabytes": b"\xc9\xff\xff\xff\xff\x01",
    "4 billion past a message's last field": b"\x92\xa2ok\xdd\xff\xff\xff\xff",
    "a key twice": b"\x82\xa1a\x01\xa1a\x02",
    "not a number": b"\xcb" + struct.pack(">d", float("nan")),
    "not UTF-8": b"\xa2\xff\xfe",
    "two values": b"\x91\xa2ok\x91\xa2ok",
}


@pytest.mark.parametrize("data", HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_bytes_are_malformed_and_cost_no_more_memory_than_they_are_long(data: bytes) -> None:
    for kind in KINDS:
        attempt(kind, b"\xc0")
        tracemalloc.start()
        try:
            assert isinstance(attempt(kind, data), Malformed)
            assert tracemalloc.get_traced_memory()[1] < 1_000_000
        finally:
            tracemalloc.stop()


def test_more_bytes_than_the_limit_are_not_looked_at() -> None:
    with pytest.raises(Malformed, match="11 bytes where at most 10"):
        codec.decode(messages.Ok, bytes(11), 10)


def test_what_is_said_of_malformed_bytes_holds_none_of_them() -> None:
    data = codec.encode(("refusal", "se'cret\n", "x", 0))
    error = attempt(messages.Challenge | messages.Refusal, data)
    assert isinstance(error, Malformed)
    assert "cret" not in str(error)
    error = attempt(messages.Wake, codec.encode(("se'cret", 1)))
    assert isinstance(error, Malformed)
    assert "cret" not in str(error)


def test_a_message_may_gain_fields_but_nothing_signed_may() -> None:
    assert codec.decode(messages.Welcome, codec.encode(("welcome", 1, "new")), 100) == messages.Welcome(1)
    with pytest.raises(Malformed):
        codec.decode(model.Seen, codec.encode((1, (), "new")), 100)


@pytest.mark.parametrize(
    "data",
    [
        b"\x92\xcc\x01\x90",
        b"\x92\xcd\x00\x01\x90",
        b"\xdc\x00\x02\x01\x90",
        b"\x92\x01\xdc\x00\x00",
        b"\x92\xd0\x01\x90",
    ],
)
def test_only_the_shortest_encoding_is_exact(data: bytes) -> None:
    assert codec.decode(model.Seen, data, 100) == model.Seen(1, ())
    with pytest.raises(Malformed, match="canonical"):
        codec.decode_exact(model.Seen, data, 100)
    assert codec.decode_exact(model.Seen, memoryview(b"\x92\x01\x90"), 100) == model.Seen(1, ())


# --- frames --------------------------------------------------------------------------------------------

BLOCKS = st.lists(st.binary(min_size=1, max_size=50) | st.none(), max_size=8)


def stream(blocks: list[bytes | None]) -> tuple[bytes, list[Frame]]:
    data, frames = b"", []
    for number, block in enumerate(blocks):
        name = BlockId(seed(number))
        data += absent_frame(name) if block is None else block_head(name, len(block)) + block
        kind = FrameKind.ABSENT if block is None else FrameKind.BLOCK
        frames.append(Frame(kind, name, block or b""))
    return data + end_frame(len(blocks)), [*frames, Frame(FrameKind.END, BlockId(bytes(32)), b"", len(blocks))]


@settings(deadline=None)
@given(BLOCKS, st.lists(st.integers(0, 600), max_size=10))
def test_frames_cut_anywhere_are_the_frames_that_were_sent(blocks: list[bytes | None], cuts: list[int]) -> None:
    data, expected = stream(blocks)
    ends = sorted({min(cut, len(data)) for cut in cuts} | {len(data)})
    reader, frames, at = FrameReader(), [], 0
    for end in ends:
        frames += list(reader.receive(data[at:end]))
        at = end
    assert frames == expected
    assert reader.ended
    assert reader.unfinished_bytes == 0


@settings(deadline=None)
@given(BLOCKS, st.data())
def test_a_stream_cut_short_is_not_ended_and_gives_what_was_whole(
    blocks: list[bytes | None], data: st.DataObject
) -> None:
    whole, expected = stream(blocks)
    cut = data.draw(st.integers(0, len(whole) - 1))
    reader = FrameReader()
    frames = list(reader.receive(whole[:cut]))
    assert not reader.ended
    assert frames == expected[: len(frames)]
    assert len(frames) < len(expected)


NAME = BlockId(seed("block"))


@pytest.mark.parametrize(
    "data",
    [
        b"\x00" * HEAD_BYTES,
        b"\x04" + bytes(HEAD_BYTES - 1),
        block_head(NAME, 0),
        block_head(NAME, limits.BLOCK_BYTES + 1),
        absent_frame(NAME)[:1] + b"\0\0\0\1" + NAME,
        end_frame(1),
        absent_frame(NAME) + end_frame(0),
        end_frame(0)[:-1] + b"\1",
        end_frame(0) + b"x",
    ],
    ids=["zeros", "kind", "empty", "too long", "absent with length", "count", "count", "end with a name", "more"],
)
def test_what_is_no_frame_is_a_bad_frame(data: bytes) -> None:
    with pytest.raises(BadFrame):
        list(FrameReader().receive(data))


def test_nothing_may_follow_the_end() -> None:
    reader = FrameReader()
    assert len(list(reader.receive(end_frame(0)))) == 1
    assert list(reader.receive(b"")) == []
    with pytest.raises(BadFrame):
        reader.receive(b"x")


def test_frames_fed_are_kept_though_nobody_has_taken_them_yet() -> None:
    reader = FrameReader()
    reader.receive(absent_frame(NAME))
    assert [frame.kind for frame in reader.receive(end_frame(1))] == [FrameKind.ABSENT, FrameKind.END]
