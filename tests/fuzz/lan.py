"""Throws words and bytes at LAN sessions. Run as `python -P -m tests.fuzz.lan --seconds 60`.

One round is two honest sessions back to back, their bytes cut anywhere, and one session that hears spoiled bytes. Of
the honest ones every request is answered exactly once and rightly; the other one raises `BadPeer` or goes on, and
holds no more than it says. A failure prints its seed and ends the run.
"""

import random  # noqa: TID251  (seeded, and only here)
from collections.abc import Callable

from protocol import limits
from protocol.ids import ChangeId, ChunkId, CommitDigest, LogHash, WorkspaceId
from protocol.lan import (
    GoneReason,
    LanBye,
    LanCancel,
    LanCommitAsk,
    LanCommitPart,
    LanEnough,
    LanGone,
    LanHave,
    LanHead,
    LanHello,
    LanKept,
    LanMore,
    LanNeed,
    LanPing,
    LanRequest,
    all_bits,
    bits_of,
    indexes_of,
)
from protocol.lan_frames import chunk_head, message_frame
from protocol.lan_session import (
    AHEAD_BYTES,
    BACKLOG_BYTES,
    Alive,
    Arrived,
    BadPeer,
    LanSession,
    NotComing,
    WorkToDo,
)
from tests.fuzz.campaign import fuzz

SHARED, SECRET = WorkspaceId(b"s" * 32), WorkspaceId(b"x" * 32)
VERSIONS = [ChangeId(bytes([number]) * 32) for number in range(1, 4)]
COMMIT = CommitDigest(b"d" * 32)


def hello() -> LanHello:
    """What either side says first."""
    return LanHello(1, 0, (), (LanHead(SHARED, 3, LogHash(bytes(32))),))


def chunk_of(number: int) -> tuple[ChunkId, bytes]:
    """A chunk and its id, which is not a hash here: sessions do not look."""
    return ChunkId(number.to_bytes(32, "big")), bytes([number % 251]) * (1 + number * 37 % 3_000)


class Side:
    """One honest device: its session, and what it has asked and heard."""

    def __init__(self, random_: random.Random) -> None:
        self.random = random_
        self.session = LanSession(hello())
        self.wire = bytearray()
        self.asked: dict[int, int] = {}
        self.cancelled: set[int] = set()
        self.needed: dict[ChangeId, int] = {}
        self.had: dict[ChangeId, set[int]] = {}
        self.ended: set[int] = set()
        self.pings = 0
        self.alive = 0

    def act(self) -> None:
        """Say something, anything that is allowed."""
        session, draw = self.session, self.random
        version = draw.choice(VERSIONS)
        match draw.randint(0, 7):
            case 0:
                count = 5 + VERSIONS.index(version) * 9
                bits = bits_of(draw.sample(range(count), draw.randint(0, count)), count)
                assert session.need(LanNeed(SHARED, version, count, bits))
                self.needed[version] = count
            case 1:
                session.enough(SHARED, version)
                self.needed.pop(version, None)
                self.had.pop(version, None)
            case 2 | 3 | 4:
                number = draw.randint(1, 400)
                chunk, data = chunk_of(number)
                workspace = SECRET if draw.random() < 0.1 else SHARED
                if session.may_request(len(data)):
                    self.asked[session.request(workspace, version, chunk, len(data))] = number
            case 5:
                if self.asked:
                    number = draw.choice(list(self.asked))
                    session.cancel(number)
                    self.cancelled.add(number)
            case 6:
                self.pings += 1
                session.say(LanPing(self.pings))
            case _:
                self.answer()

    def answer(self) -> bool:
        """Answer one request, rightly or not at all."""
        wanted = self.session.next_wanted()
        if wanted is None:
            return False
        assert wanted.workspace == SHARED
        chunk, data = chunk_of(int.from_bytes(wanted.chunk, "big"))
        assert (chunk, len(data)) == (wanted.chunk, wanted.length)
        if self.random.random() < 0.8:
            self.session.answer(wanted.number, data)
        else:
            self.session.refuse(wanted.number, GoneReason.BUSY)
        return True

    def put_on_the_wire(self) -> None:
        """Send what there is."""
        for piece in self.session.take_output():
            self.wire += piece

    def hear(self, data: bytes) -> None:
        """Take bytes of the other side."""
        for event in self.session.receive(data):
            match event:
                case Arrived(number=number, chunk=chunk, data=body):
                    assert (chunk, bytes(body)) == chunk_of(self.asked[number])
                    if self.random.random() < 0.5:
                        self.session.give_back(body)
                    self._end(number)
                case NotComing(number=number, chunk=chunk, reason=reason):
                    assert chunk == chunk_of(self.asked[number])[0]
                    assert reason is not GoneReason.CANCELLED or number in self.cancelled
                    self._end(number)
                case LanNeed():
                    if self.random.random() < 0.5:
                        self.session.say(
                            LanHave(
                                SHARED, event.version, event.chunks, bits_of(range(event.chunks // 2), event.chunks)
                            )
                        )
                        self.session.say(LanMore(SHARED, event.version, (event.chunks - 1,)))
                case LanHave():
                    assert event.chunks == self.needed[event.version]
                    self.had[event.version] = set(indexes_of(event.bits))
                case LanMore():
                    self.had[event.version].update(event.indexes)
                case Alive(number=number):
                    assert number > self.alive
                    self.alive = number
                case LanHello():
                    assert event == hello()
                case LanEnough() | WorkToDo():
                    pass
                case other:
                    raise AssertionError(f"nobody said {other}")

    def _end(self, number: int) -> None:
        assert number not in self.ended
        self.ended.add(number)


def carry(sender: Side, receiver: Side, most: int) -> None:
    """Some of what one side has sent arrives at the other, in pieces."""
    data = bytes(sender.wire[:most])
    del sender.wire[:most]
    at = 0
    while at < len(data):
        step = sender.random.choice((1, 2, 7, 100, 10_000))
        receiver.hear(data[at : at + step])
        at += step


def check_pair(random_: random.Random) -> None:
    """Two honest sides say this and that; then they fall silent, and everything has been answered."""
    near, far = Side(random_), Side(random_)
    for _ in range(random_.randint(1, 60)):
        side, other = (near, far) if random_.random() < 0.5 else (far, near)
        if random_.random() < 0.6:
            side.act()
        else:
            side.put_on_the_wire()
            carry(side, other, random_.choice((1, 5, 50, 5_000, 500_000)))
    while near.answer() or far.answer() or near.wire or far.wire or near.session.has_output or far.session.has_output:
        for side, other in ((near, far), (far, near)):
            side.put_on_the_wire()
            carry(side, other, len(side.wire))
    for side, other in ((near, far), (far, near)):
        assert side.ended == set(side.asked)
        assert side.session.open_requests == 0
        assert side.alive == side.pings
        assert {version: n for (_, version), n in side.session.their_needs.items()} == other.needed


def corpus() -> list[bytes]:
    """Frames that a link may carry."""
    chunk, data = chunk_of(5)
    return [
        message_frame(hello()),
        message_frame(LanNeed(SHARED, VERSIONS[0], 20, all_bits(20))),
        message_frame(LanNeed(SECRET, VERSIONS[0], 20, all_bits(20))),
        message_frame(LanHave(SHARED, VERSIONS[0], 20, all_bits(20))),
        message_frame(LanMore(SHARED, VERSIONS[0], (1, 2, 19))),
        message_frame(LanEnough(SHARED, VERSIONS[0])),
        message_frame(LanRequest(1, SHARED, VERSIONS[0], chunk, 65_536)),
        message_frame(LanRequest(2, SECRET, VERSIONS[0], chunk, limits.CHUNK_BYTES)),
        message_frame(LanCancel(1)),
        message_frame(LanGone(1, GoneReason.GONE)),
        message_frame(LanPing(1)),
        message_frame(LanKept(SHARED, (COMMIT,))),
        message_frame(LanKept(SECRET, (COMMIT,))),
        message_frame(LanCommitAsk(SHARED, COMMIT, 0)),
        message_frame(LanCommitAsk(SECRET, COMMIT, 0)),
        message_frame(LanCommitPart(SHARED, COMMIT, 10, 0, b"some")),
        message_frame(LanCommitPart(SHARED, COMMIT, 0, 0, b"")),
        chunk_head(1, len(data)) + data,
        chunk_head(2, 3) + b"abc",
    ]


def check_hostile(random_: random.Random, frames: list[bytes]) -> None:
    """One session hears frames in any order, some of them spoiled, while it has requests open."""
    session = LanSession(hello())
    session.need(LanNeed(SHARED, VERSIONS[0], 20, all_bits(20)))
    chunk, data = chunk_of(5)
    session.request(SHARED, VERSIONS[0], chunk, len(data))
    session.ask_commit(SHARED, COMMIT, 0)
    heard = bytearray(frames[0] if random_.random() < 0.9 else b"")
    for _ in range(random_.randint(1, 12)):
        frame = bytearray(random_.choice(frames))
        if random_.random() < 0.2:
            at = random_.randrange(len(frame))
            frame[at : at + random_.randint(0, 3)] = random_.randbytes(random_.randint(0, 3))
        heard += frame
    arrived = 0
    try:
        while heard:
            step = random_.choice((1, 3, 20, 1_000))
            for event in session.receive(bytes(heard[:step])):
                assert not isinstance(event, LanRequest)
                if isinstance(event, LanKept | LanCommitAsk):
                    assert event.workspace == SHARED
                if isinstance(event, LanCommitAsk) and random_.random() < 0.7:
                    session.answer_commit(LanCommitPart(SHARED, event.commit, 0, 0, b""))
                arrived += isinstance(event, Arrived | NotComing)
                if isinstance(event, LanBye):
                    return
            del heard[:step]
            while (wanted := session.next_wanted()) is not None:
                assert wanted.workspace == SHARED
                session.refuse(wanted.number, GoneReason.GONE)
            assert sum(map(len, session.take_output())) <= AHEAD_BYTES + BACKLOG_BYTES
    except BadPeer:
        pass
    assert arrived <= 1


def run(seed: int, go_on: Callable[[int], bool]) -> int:
    """Rounds from one seed for as long as `go_on(round)`; returns how many. Raises `AssertionError` with the seed."""
    frames, rounds = corpus(), 0
    while go_on(rounds):
        try:
            check_pair(random.Random(f"{seed} {rounds}"))
            check_hostile(random.Random(f"{seed} {rounds}"), frames)
        except Exception as error:
            raise AssertionError(f"seed {seed}, round {rounds}") from error
        rounds += 1
    return rounds


if __name__ == "__main__":
    fuzz(run, __doc__)
