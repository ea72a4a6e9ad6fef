"""The rules of a LAN link's conversation, and what breaks them."""

import struct
import tracemalloc
from collections.abc import Iterator, Sequence

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol import limits
from protocol.ids import ChangeId, ChunkId, CommitDigest, LogHash, WorkspaceId
from protocol.lan import (
    ByeReason,
    GoneReason,
    LanBye,
    LanCancel,
    LanCommitAsk,
    LanCommitPart,
    LanEnough,
    LanGone,
    LanHave,
    LanHead,
    LanHeads,
    LanHello,
    LanKept,
    LanMessage,
    LanMore,
    LanNeed,
    LanNothing,
    LanPing,
    LanPong,
    LanRequest,
    all_bits,
    bits_fit,
    bits_of,
    indexes_of,
)
from protocol.lan_frames import BadLanFrame, ChunkFrame, LanFrameReader, chunk_head, message_frame
from protocol.lan_session import AHEAD_BYTES, Arrived, BadPeer, LanSession, NotComing, WorkToDo

WORKSPACE, OTHER = WorkspaceId(b"w" * 32), WorkspaceId(b"o" * 32)
COMMIT = CommitDigest(b"d" * 32)
VERSION, CHUNK = ChangeId(b"v" * 32), ChunkId(b"c" * 32)
HEAD = LanHead(WORKSPACE, 3, LogHash(bytes(32)))
HELLO = LanHello(1, 0, (), (HEAD,))


def met() -> LanSession:
    """A session that has been greeted and has greeted."""
    session = LanSession(HELLO)
    assert session.receive(message_frame(HELLO)) == [HELLO]
    session.take_output()
    return session


def said(session: LanSession) -> list[LanMessage | ChunkFrame]:
    """What a session has to say, read by somebody who expects chunks of 5 bytes."""
    lengths = dict.fromkeys(range(1, 100), 5)
    reader = LanFrameReader(lengths.get)
    return list(reader.receive(b"".join(everything(session))))


def everything(session: LanSession) -> Iterator[bytes | bytearray | memoryview]:
    while session.has_output:
        yield from session.take_output()


def hear(session: LanSession, *messages: LanMessage) -> Sequence[object]:
    return session.receive(b"".join(map(message_frame, messages)))


def request(number: int, length: int = 5, workspace: WorkspaceId = WORKSPACE) -> LanRequest:
    return LanRequest(number, workspace, VERSION, CHUNK, length)


def test_the_first_thing_said_is_a_hello() -> None:
    assert said(LanSession(HELLO)) == [HELLO]


@pytest.mark.parametrize("message", [LanPing(1), request(1), LanBye(ByeReason.CLOSING), LanHeads((HEAD,))])
def test_whoever_does_not_greet_first_is_dropped(message: LanMessage) -> None:
    with pytest.raises(BadPeer, match="before the hello"):
        hear(LanSession(HELLO), message)


def test_a_second_hello_is_no_way_to_begin_anew() -> None:
    with pytest.raises(BadPeer, match="second hello"):
        hear(met(), HELLO)


def test_another_major_version_is_not_spoken_with() -> None:
    with pytest.raises(BadPeer, match="version 2"):
        hear(LanSession(HELLO), LanHello(2, 0, (), ()))


def test_heads_of_workspaces_that_are_not_shared_are_not_heard() -> None:
    stranger = LanHead(OTHER, 1, LogHash(bytes(32)))
    assert hear(LanSession(HELLO), LanHello(1, 0, (), (stranger, HEAD))) == [HELLO]
    assert hear(met(), LanHeads((stranger,))) == [LanHeads(())]


def test_a_workspace_named_later_is_shared_from_then_on() -> None:
    session = met()
    need = LanNeed(OTHER, VERSION, 3, all_bits(3))
    assert hear(session, need) == []
    assert said(session) == [LanNothing(OTHER, VERSION)]
    session.say(LanHeads((LanHead(OTHER, 1, LogHash(bytes(32))),)))
    assert hear(session, need) == [need]


def test_nobody_learns_whether_a_workspace_that_is_not_shared_exists() -> None:
    session = met()
    assert hear(session, LanNeed(OTHER, VERSION, 3, all_bits(3)), request(1, workspace=OTHER)) == []
    assert session.next_wanted() is None
    assert said(session) == [LanNothing(OTHER, VERSION), LanGone(1, GoneReason.GONE)]


def test_a_workspace_that_is_shared_no_longer_is_spoken_of_no_longer() -> None:
    session = met()
    hear(session, LanNeed(WORKSPACE, VERSION, 3, all_bits(3)), request(1), request(2))
    taken = session.next_wanted()
    assert taken is not None
    session.unshare(WORKSPACE)
    session.answer(taken.number, b"bytes")
    assert session.next_wanted() is None
    assert not session.their_needs
    assert said(session) == [LanGone(1, GoneReason.GONE), LanGone(2, GoneReason.GONE)]


def test_a_request_is_answered_with_its_chunk() -> None:
    asker, holder = met(), met()
    number = asker.request(WORKSPACE, VERSION, CHUNK, 5)
    assert holder.receive(b"".join(asker.take_output())) == [WorkToDo()]
    wanted = holder.next_wanted()
    assert wanted == request(number)
    holder.answer(number, b"bytes")
    assert asker.receive(b"".join(holder.take_output())) == [Arrived(number, CHUNK, memoryview(b"bytes"))]
    assert asker.open_requests == 0


def test_a_request_withdrawn_in_time_is_not_handed_out() -> None:
    session = met()
    hear(session, request(1), request(2), LanCancel(1), LanCancel(7))
    wanted = session.next_wanted()
    assert wanted is not None
    assert wanted.number == 2
    assert said(session) == [LanGone(1, GoneReason.CANCELLED)]


def test_a_chunk_that_is_on_its_way_comes_though_it_was_withdrawn() -> None:
    session = met()
    hear(session, request(1))
    assert session.next_wanted() is not None
    hear(session, LanCancel(1))
    session.answer(1, b"bytes")
    assert said(session) == [ChunkFrame(1, memoryview(b"bytes"))]


def test_messages_do_not_wait_behind_chunks() -> None:
    session = met()
    hear(session, request(1), request(2))
    for _ in range(2):
        wanted = session.next_wanted()
        assert wanted is not None
        session.answer(wanted.number, b"bytes")
    session.say(LanPing(1))
    first = b"".join(session.take_output())
    assert first.startswith(message_frame(LanPing(1)) + chunk_head(1, 5))


def test_no_more_is_handed_out_than_can_be_sent_soon() -> None:
    session = met()
    hear(session, *(request(number, limits.MIB) for number in range(1, 9)))
    handed = 0
    while (wanted := session.next_wanted()) is not None:
        session.answer(wanted.number, bytes(limits.MIB))
        handed += 1
    assert handed == AHEAD_BYTES // limits.MIB
    session.take_output()
    assert session.next_wanted() is not None


def test_once_enough_waits_to_be_sent_nothing_is_handed_out_before_half_of_it_has_left() -> None:
    session = met()
    length = AHEAD_BYTES // 8
    hear(session, *(request(number, length) for number in range(1, 17)))
    handed: list[int] = []
    while session.has_output or not handed:
        before = len(handed)
        while (wanted := session.next_wanted()) is not None:
            session.answer(wanted.number, bytes(length))
            handed.append(wanted.number)
        assert len(handed) - before in (0, 4, 8), "several at a time"
        session.take_output()
    assert handed == list(range(1, 17))


def test_our_own_requests_stay_within_the_bounds() -> None:
    session = met()
    while session.may_request(limits.CHUNK_BYTES):
        session.request(WORKSPACE, VERSION, CHUNK, limits.CHUNK_BYTES)
    assert session.open_requests == limits.LAN_REQUESTED_BYTES // limits.CHUNK_BYTES
    session = met()
    while session.may_request(1):
        session.request(WORKSPACE, VERSION, CHUNK, 1)
    assert session.open_requests == limits.LAN_REQUESTS


def test_no_more_versions_are_needed_than_anybody_takes() -> None:
    session, other = met(), met()
    needs = [LanNeed(WORKSPACE, ChangeId(bytes([n]) * 32), 1, all_bits(1)) for n in range(limits.LAN_VERSIONS + 1)]
    assert [session.need(need) for need in needs] == [True] * limits.LAN_VERSIONS + [False]
    assert session.need(needs[0])
    with pytest.raises(BadPeer, match="too many versions"):
        hear(other, *needs)


@pytest.mark.parametrize(
    ("messages", "why"),
    [
        ([request(1), request(1)], "rise"),
        ([request(2), request(1)], "rise"),
        ([request(n) for n in range(1, limits.LAN_REQUESTS + 2)], "too many requests"),
        ([request(n, limits.CHUNK_BYTES) for n in range(1, 6)], "too much"),
        ([LanGone(1, GoneReason.GONE)], "an answer to nothing"),
        ([LanNeed(WORKSPACE, VERSION, 9, b"\xff")], "bitmap"),
        ([LanNeed(WORKSPACE, VERSION, 3, b"\xff")], "bitmap"),
        ([LanHave(WORKSPACE, VERSION, 4, b"\xf0")], "another version"),
        ([LanHave(WORKSPACE, VERSION, 3, b"\xf0")], "another version"),
        ([LanMore(WORKSPACE, VERSION, (3,))], "beyond"),
    ],
)
def test_whoever_breaks_the_rules_is_dropped(messages: list[LanMessage], why: str) -> None:
    session = met()
    session.need(LanNeed(WORKSPACE, VERSION, 3, all_bits(3)))
    with pytest.raises(BadPeer, match=why):
        hear(session, *messages)


@pytest.mark.parametrize("length", [-(2**63), -1, 0, limits.CHUNK_BYTES + 1, 2**32, 2**63, 2**64 - 1, 1.5, "5", None])
def test_a_request_of_a_length_that_no_chunk_has_is_none(length: object) -> None:
    assert requested(WORKSPACE, VERSION, CHUNK, 5)
    assert not requested(WORKSPACE, VERSION, CHUNK, length)


@pytest.mark.parametrize("name", [b"", b"c" * 31, b"c" * 33, "c" * 32, "../../etc/passwd", b"/etc/passwd", 7, None])
def test_nothing_but_a_chunks_id_can_be_asked_for(name: object) -> None:
    assert not requested(WORKSPACE, VERSION, name, 5)
    assert not requested(WORKSPACE, name, CHUNK, 5)
    assert not requested(name, VERSION, CHUNK, 5)


def requested(workspace: object, version: object, chunk: object, length: object) -> bool:
    """Whether a session takes that for a request; if not, it drops whoever said it."""
    body = msgspec.msgpack.encode(["request", 1, workspace, version, chunk, length])
    session = met()
    try:
        session.receive(struct.pack(">BI", 1, len(body)) + body)
    except BadPeer:
        return False
    return session.next_wanted() is not None


def test_whoever_asks_and_does_not_read_is_dropped() -> None:
    session = met()
    questions = message_frame(LanNeed(OTHER, VERSION, 1, all_bits(1))) * 100_000
    with pytest.raises(BadPeer, match="without reading"):
        session.receive(questions)


def test_pings_are_answered_once_however_many_come() -> None:
    session = met()
    hear(session, *(LanPing(number) for number in range(1, 10_000)))
    assert said(session) == [LanPong(9_999)]


def test_what_is_told_of_a_version_no_longer_needed_is_not_heard() -> None:
    session = met()
    session.need(LanNeed(WORKSPACE, VERSION, 3, all_bits(3)))
    session.enough(WORKSPACE, VERSION)
    session.enough(WORKSPACE, VERSION)
    assert [type(item) for item in said(session)] == [LanNeed, LanEnough]
    assert hear(session, LanHave(WORKSPACE, VERSION, 3, all_bits(3)), LanMore(WORKSPACE, VERSION, (77,))) == []


def test_what_belongs_to_a_need_that_was_ended_does_not_come_before_the_answer_to_the_next() -> None:
    session = met()
    more = LanMore(WORKSPACE, VERSION, (1,))
    have = LanHave(WORKSPACE, VERSION, 3, all_bits(3))
    session.need(LanNeed(WORKSPACE, VERSION, 3, all_bits(3)))
    assert hear(session, have, more) == [have, more]
    session.enough(WORKSPACE, VERSION)
    session.need(LanNeed(WORKSPACE, VERSION, 3, all_bits(3)))
    assert hear(session, more, have, more) == [have, more]


def test_nothing_is_heard_or_said_after_a_bye() -> None:
    session = met()
    assert hear(session, LanBye(ByeReason.CLOSING), request(1)) == [LanBye(ByeReason.CLOSING)]
    session.say(LanPing(1))
    assert not session.has_output
    assert not session.may_request(1)


@pytest.mark.parametrize("length", [4, 6, 0, limits.CHUNK_BYTES])
def test_a_chunk_of_another_length_than_was_asked_for_is_refused_by_its_head(length: int) -> None:
    session = met()
    number = session.request(WORKSPACE, VERSION, CHUNK, 5)
    with pytest.raises(BadPeer, match=r"not asked for|not a frame"):
        session.receive(chunk_head(number, length))


def test_an_answer_does_not_come_twice() -> None:
    session = met()
    number = session.request(WORKSPACE, VERSION, CHUNK, 5)
    assert hear(session, LanGone(number, GoneReason.BUSY)) == [NotComing(number, CHUNK, GoneReason.BUSY)]
    with pytest.raises(BadPeer, match="not asked for"):
        session.receive(chunk_head(number, 5))


@pytest.mark.parametrize(
    "head",
    [
        b"\x00\0\0\0\1",
        b"\x03\0\0\0\1",
        b"\x01\0\0\0\0",
        b"\x01\0\1\0\1",
        b"\x01\xff\xff\xff\xff",
        b"\x02\xff\xff\xff\xff",
    ],
)
def test_a_head_that_is_none_is_refused_without_taking_memory(head: bytes) -> None:
    reader = LanFrameReader(lambda _: None)
    tracemalloc.start()
    try:
        with pytest.raises(BadLanFrame):
            list(reader.receive(head + bytes(100)))
        assert tracemalloc.get_traced_memory()[1] < 100_000
    finally:
        tracemalloc.stop()


def test_a_message_too_long_for_any_receiver_is_not_made() -> None:
    heads = tuple(LanHead(WORKSPACE, 2**53, LogHash(bytes(32))) for _ in range(limits.LAN_WORKSPACES))
    assert len(message_frame(LanHello(1, 0, ("word",) * 16, heads))) < limits.LAN_CONTROL_BYTES
    with pytest.raises(ValueError, match="longer"):
        message_frame(LanHeads(heads * 2))


# --- commits that wait for the coordinator ------------------------------------------------------------------


def part(size: int, at: int, data: bytes, commit: CommitDigest = COMMIT) -> LanCommitPart:
    return LanCommitPart(WORKSPACE, commit, size, at, data)


def test_a_commit_is_asked_for_piece_by_piece() -> None:
    asker, holder = met(), met()
    for at, data in ((0, b"comm"), (4, b"it")):
        assert asker.may_ask_commit()
        asker.ask_commit(WORKSPACE, COMMIT, at)
        assert not asker.may_ask_commit()
        assert holder.receive(b"".join(everything(asker))) == [LanCommitAsk(WORKSPACE, COMMIT, at)]
        holder.answer_commit(part(6, at, data))
        assert asker.receive(b"".join(everything(holder))) == [part(6, at, data)]


def test_a_commit_that_is_not_to_be_had_is_an_answer_too() -> None:
    session = met()
    session.ask_commit(WORKSPACE, COMMIT, 0)
    assert hear(session, part(0, 0, b"")) == [part(0, 0, b"")]
    assert session.may_ask_commit()


@pytest.mark.parametrize(
    "wrong",
    [
        part(6, 0, b"com"),
        part(6, 3, b"mit", CommitDigest(b"x" * 32)),
        LanCommitPart(OTHER, COMMIT, 6, 3, b"mit"),
    ],
    ids=["from elsewhere", "another commit", "another workspace"],
)
def test_whoever_sends_another_part_than_was_asked_for_is_dropped(wrong: LanCommitPart) -> None:
    session = met()
    session.ask_commit(WORKSPACE, COMMIT, 3)
    with pytest.raises(BadPeer, match="not asked for"):
        hear(session, wrong)


def test_whoever_sends_a_part_without_being_asked_or_twice_is_dropped() -> None:
    with pytest.raises(BadPeer, match="not asked for"):
        hear(met(), part(6, 0, b"commit"))
    session = met()
    session.ask_commit(WORKSPACE, COMMIT, 0)
    with pytest.raises(BadPeer, match="not asked for"):
        hear(session, part(6, 0, b"commit"), part(6, 0, b"commit"))


@pytest.mark.parametrize("wrong", [part(6, 3, b"mits"), part(6, 3, b""), part(3, 3, b"")])
def test_whoever_sends_a_part_that_does_not_fit_is_dropped(wrong: LanCommitPart) -> None:
    session = met()
    session.ask_commit(WORKSPACE, COMMIT, 3)
    with pytest.raises(BadPeer, match="does not fit"):
        hear(session, wrong)


def test_whoever_asks_for_several_commits_at_a_time_is_dropped() -> None:
    session, ask = met(), LanCommitAsk(WORKSPACE, COMMIT, 0)
    assert hear(session, ask) == [ask]
    session.answer_commit(part(6, 0, b"commit"))
    assert hear(session, ask) == [ask]
    with pytest.raises(BadPeer, match="several commits"):
        hear(session, ask)


def test_nobody_learns_of_commits_of_a_workspace_that_is_not_shared() -> None:
    session = met()
    ask = LanCommitAsk(OTHER, COMMIT, 0)
    assert hear(session, LanKept(OTHER, (COMMIT,)), ask, ask) == []
    nothing = LanCommitPart(OTHER, COMMIT, 0, 0, b"")
    assert said(session) == [nothing, nothing]
    kept = LanKept(WORKSPACE, (COMMIT,))
    assert hear(session, kept) == [kept]


def test_a_commit_of_a_workspace_that_is_shared_no_longer_is_not_sent() -> None:
    session = met()
    hear(session, LanCommitAsk(WORKSPACE, COMMIT, 0))
    session.unshare(WORKSPACE)
    session.answer_commit(part(6, 0, b"commit"))
    session.answer_commit(part(6, 0, b"commit"))
    assert said(session) == [part(0, 0, b"")]


def test_as_many_commits_as_may_be_named_fit_a_message_and_so_does_the_longest_part() -> None:
    kept = LanKept(WORKSPACE, tuple(CommitDigest(n.to_bytes(32, "big")) for n in range(limits.LAN_KEPT)))
    assert hear(met(), kept) == [kept]
    session, at = met(), limits.COMMIT_BYTES - limits.LAN_PART_BYTES
    session.ask_commit(WORKSPACE, COMMIT, at)
    longest = part(limits.COMMIT_BYTES, at, bytes(limits.LAN_PART_BYTES))
    assert hear(session, longest) == [longest]


@given(st.integers(1, 200).flatmap(lambda n: st.tuples(st.just(n), st.sets(st.integers(0, n - 1)))))
def test_bitmaps_hold_what_was_put_into_them(case: tuple[int, set[int]]) -> None:
    chunks, indexes = case
    bits = bits_of(indexes, chunks)
    assert bits_fit(bits, chunks)
    assert list(indexes_of(bits)) == sorted(indexes)
    assert all_bits(chunks) == bits_of(range(chunks), chunks)
    assert not bits_fit(bits + b"\0", chunks)
    if chunks % 8:
        assert not bits_fit(bits[:-1] + bytes([bits[-1] | 1]), chunks)
