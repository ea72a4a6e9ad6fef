"""Throws spoiled bytes at every decoder. Run as `python -P -m tests.fuzz.codec --seconds 60`.

A decoder answers with a value or with `Malformed`, never with anything else; what `decode_exact` takes is the very
encoding of what it returns; frames are read or are a `BadFrame`. A failure prints the bytes and ends the run.
"""

import random  # noqa: TID251  (seeded, and only here)
import struct
from collections.abc import Callable

from protocol import codec, limits, messages, model
from protocol.codec import Malformed
from protocol.frames import BadFrame, Frame, FrameKind, FrameReader, absent_frame, block_head, end_frame
from protocol.ids import BlockId
from protocol.lan import LanMessage
from tests.common.examples import Story, lan_examples, message_examples, model_examples
from tests.fuzz.campaign import fuzz

HEADS = (
    *(bytes([code]) for code in range(0x80, 0x100)),
    *(bytes([code]) + size for code in (0xC4, 0xC7, 0xD9, 0x92) for size in (b"\x00", b"\x7f", b"\xff")),
    *(bytes([code]) + size for code in (0xC6, 0xC9, 0xDB, 0xDD, 0xDF) for size in (bytes(4), b"\xff" * 4)),
    *(b"\xcb" + struct.pack(">d", number) for number in (float("nan"), float("inf"), 0.0, 1.5)),
    *(b"\xcf" + struct.pack(">Q", number) for number in (0, 2**53, 2**53 + 1, 2**63, 2**64 - 1)),
    *(b"\xd3" + struct.pack(">q", number) for number in (-1, -(2**63))),
    b"\x82\xa1a\x01\xa1a\x02",
    b"\x91" * 2_000,
    b"\x81\xc0" * 2_000,
)
"""Bytes that mean something to MessagePack: every type, huge lengths, NaN, a map with one key twice, deep nests."""


def targets() -> list[object]:
    """Everything that is ever decoded."""
    kinds: list[object] = [messages.Wake, messages.HaveReply | messages.Refusal, messages.Stored | messages.Refusal]
    for request, reply in messages.ENDPOINTS.values():
        kinds += [request, reply]
    kinds += [
        messages.BlocksRequest,
        model.Commit,
        model.SignedLink,
        model.Link,
        model.Body,
        model.Bundle,
        model.JournalRow,
        LanMessage,
    ]
    return [*dict.fromkeys(kinds), model.AnyChange, model.LinkBody, model.CommitBody]


def corpus() -> list[bytes]:
    """One encoding of everything."""
    story = Story()
    return [
        codec.encode(value) for _, _, value in [*model_examples(story), *message_examples(story), *lan_examples(story)]
    ]


def frame_corpus() -> list[bytes]:
    """Streams of frames."""
    one = BlockId(bytes(range(32)))
    return [
        end_frame(0),
        block_head(one, 3) + b"abc" + end_frame(1),
        block_head(one, 300) + bytes(300) + absent_frame(one) + block_head(one, 1) + b"x" + end_frame(3),
    ]


def spoiled(random_: random.Random, seeds: list[bytes]) -> bytes:
    """A seed with a few bytes changed, cut out, put in, repeated or taken from another."""
    data = bytearray(random_.choice(seeds))
    for _ in range(random_.randint(0, 4)):
        at = random_.randint(0, len(data))
        match random_.randint(0, 5):
            case 0:
                data[at:] = b""
            case 1:
                data[at : at + random_.randint(1, 9)] = b""
            case 2:
                data[at:at] = random_.choice(HEADS)
            case 3:
                data[at : at + 1] = random_.choice(HEADS)
            case 4:
                data[at : at + 1] = bytes([random_.randint(0, 255)])
            case _:
                other = random_.choice(seeds)
                start = random_.randint(0, len(other))
                data[at:at] = other[start : start + random_.randint(1, 64)]
    return bytes(data)


def check_decoders(data: bytes, kinds: list[object]) -> int:
    """Decode as everything; returns how many took it."""
    taken = 0
    for kind in kinds:
        try:
            value: object = codec.decode(kind, data, limits.REQUEST_BYTES)  # type: ignore[arg-type]
        except Malformed:
            continue
        taken += 1
        again: object = codec.decode(kind, codec.encode(value), limits.REQUEST_BYTES)  # type: ignore[arg-type]
        assert again == value
        try:
            exact: object = codec.decode_exact(kind, data, limits.REQUEST_BYTES)  # type: ignore[arg-type]
        except Malformed:
            continue
        assert codec.encode(exact) == data
    return taken


def check_frames(data: bytes, random_: random.Random) -> None:
    """Read the bytes whole and in pieces: both give the same blocks, and both or neither end in `BadFrame`."""

    def read(pieces: list[bytes]) -> tuple[list[Frame], bool]:
        reader, frames = FrameReader(), list[Frame]()
        try:
            for piece in pieces:
                for frame in reader.receive(piece):
                    frames.append(frame)
                assert reader.unfinished_bytes <= limits.BLOCK_BYTES + 37
        except BadFrame:
            return [frame for frame in frames if frame.kind is not FrameKind.END], True
        return frames, False

    cuts = sorted(random_.randint(0, len(data)) for _ in range(random_.randint(0, 6)))
    pieces = [data[a:b] for a, b in zip([0, *cuts], [*cuts, len(data)], strict=True)]
    assert read([piece for piece in pieces if piece]) == read([data])


def run(seed: int, go_on: Callable[[int], bool]) -> int:
    """Rounds from one seed for as long as `go_on(round)`; returns how many. Raises `AssertionError` with the bytes."""
    random_ = random.Random(seed)
    kinds, seeds, frame_seeds = targets(), corpus(), frame_corpus()
    rounds = 0
    while go_on(rounds):
        data = spoiled(random_, seeds)
        frames = spoiled(random_, frame_seeds)
        try:
            check_decoders(data, kinds)
            check_frames(frames, random_)
        except Exception as error:
            raise AssertionError(f"seed {seed}, round {rounds}: {data.hex()} {frames.hex()}") from error
        rounds += 1
    return rounds


if __name__ == "__main__":
    fuzz(run, __doc__)
