"""One LAN link's conversation, sans-IO: bytes in, events out; words in, bytes out.

Owns what may be said when, which requests are open on either side, and every bound on them. Never reads a file, checks
a chunk id, chooses whom to ask or looks at a clock: whoever drives it does. Both sides of a link are alike. One
session serves one authenticated device; what is not in `share` does not exist for it.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, assert_never

from protocol import limits
from protocol.ids import ChangeId, ChunkId, CommitDigest, WorkspaceId
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
    bits_fit,
)
from protocol.lan_frames import BadLanFrame, ChunkFrame, LanFrameReader, Take, chunk_head, message_frame
from protocol.version import MAJOR

AHEAD_BYTES: Final = 2 * limits.MIB
"""So much may wait to be sent before no further request is handed out to be answered."""
PIECE_BYTES: Final = 256 * limits.KIB
BACKLOG_BYTES: Final = limits.MIB
"""So much may wait that only answers what the other side says; more means that it does not read."""

Version = tuple[WorkspaceId, ChangeId]


class BadPeer(Exception):
    """The other side broke the rules of the conversation: it is to be dropped. The text is safe to show."""


@dataclass(frozen=True, slots=True)
class Arrived:
    """The chunk that request `number` asked for, by its number. Its bytes are whatever the other side sent."""

    number: int
    chunk: ChunkId
    data: memoryview


@dataclass(frozen=True, slots=True)
class NotComing:
    """Request `number` brought no chunk."""

    number: int
    chunk: ChunkId
    reason: GoneReason


@dataclass(frozen=True, slots=True)
class Alive:
    """The other side answered a ping."""

    number: int


@dataclass(frozen=True, slots=True)
class WorkToDo:
    """There are requests of the other side to be answered: see `next_wanted`."""


Said = (
    LanHello
    | LanHeads
    | LanNeed
    | LanEnough
    | LanHave
    | LanMore
    | LanNothing
    | LanKept
    | LanCommitAsk
    | LanCommitPart
    | LanBye
)
Event = Said | Arrived | NotComing | Alive | WorkToDo


class LanSession:
    """A conversation. Not to be used after `BadPeer` or a `LanBye` in either direction.

    Held at most: what was asked of the other side and fits in `limits.LAN_REQUESTED_BYTES`, as much of what the other
    side asked, one frame, and the two backlogs above.
    """

    def __init__(self, hello: LanHello) -> None:
        self._shared: set[WorkspaceId] = {head.workspace for head in hello.heads}
        self._reader = LanFrameReader(self._expected_length)
        self._met = False
        self._over = False
        self._last_number = 0
        self._asked: dict[int, LanRequest] = {}
        self._asked_bytes = 0
        self._needed: dict[Version, int] = {}
        self._told: set[Version] = set()
        self._their_last_number = 0
        self._wanted: dict[int, LanRequest] = {}
        self._answering: dict[int, LanRequest] = {}
        self._their_bytes = 0
        self._their_needs: dict[Version, int] = {}
        self._commit_asked: LanCommitAsk | None = None
        self._commit_wanted = False
        self._out: deque[bytes] = deque()
        self._out_bytes = 0
        self._chunks: deque[tuple[bytes, bytes | bytearray | memoryview]] = deque()
        self._chunk_bytes = 0
        self._is_ahead = False
        self._pong: LanPong | None = None
        self._put(hello)

    # --- what may be said -------------------------------------------------------------------------------

    def say(self, message: LanHeads | LanPing | LanHave | LanMore | LanNothing | LanKept) -> None:
        """Send a message that opens nothing here. `LanHave` and `LanMore` only of what the other side needs now: use
        `their_needs`."""
        if isinstance(message, LanHeads):
            self._shared |= {head.workspace for head in message.heads}
        self._put(message)

    def bye(self, reason: ByeReason) -> None:
        """Send the last message. Nothing is taken or said after it."""
        if not self._over:
            self._put(LanBye(reason))
            self._over = True

    def unshare(self, workspace: WorkspaceId) -> None:
        """The other device is to be told nothing more of a workspace. What was asked of it may still come."""
        self._shared.discard(workspace)
        self._their_needs = {version: n for version, n in self._their_needs.items() if version[0] != workspace}
        self._needed = {version: n for version, n in self._needed.items() if version[0] != workspace}
        self._told = {version for version in self._told if version[0] != workspace}
        for number in [n for n, request in self._answering.items() if request.workspace == workspace]:
            self.refuse(number, GoneReason.GONE)

    def need(self, message: LanNeed) -> bool:
        """Say what is lacking of a version; False, and nothing said, where too many versions are needed already."""
        version = (message.workspace, message.version)
        if version not in self._needed and len(self._needed) == limits.LAN_VERSIONS:
            return False
        self._needed[version] = message.chunks
        self._put(message)
        return True

    def enough(self, workspace: WorkspaceId, version: ChangeId) -> None:
        """Say that nothing more of a version is needed."""
        self._told.discard((workspace, version))
        if self._needed.pop((workspace, version), None) is not None:
            self._put(LanEnough(workspace, version))

    def may_request(self, length: int) -> bool:
        """Whether a request of so many bytes is within the bounds now."""
        return (
            len(self._asked) < limits.LAN_REQUESTS
            and self._asked_bytes + length <= limits.LAN_REQUESTED_BYTES
            and not self._over
        )

    def request(self, workspace: WorkspaceId, version: ChangeId, chunk: ChunkId, length: int) -> int:
        """Ask for a chunk; returns the request's number, under which `Arrived` or `NotComing` will come, once."""
        assert self.may_request(length)
        self._last_number += 1
        message = LanRequest(self._last_number, workspace, version, chunk, length)
        self._asked[message.number] = message
        self._asked_bytes += length
        self._put(message)
        return message.number

    def cancel(self, number: int) -> None:
        """Say that a chunk is no longer wanted; it may still come."""
        if number in self._asked:
            self._put(LanCancel(number))

    def may_ask_commit(self) -> bool:
        """Whether a part of a commit may be asked for now: one at a time."""
        return self._commit_asked is None and not self._over

    def ask_commit(self, workspace: WorkspaceId, commit: CommitDigest, at: int) -> None:
        """Ask for a kept commit from byte `at` on; a `LanCommitPart` of it follows."""
        assert self.may_ask_commit()
        self._commit_asked = LanCommitAsk(workspace, commit, at)
        self._put(self._commit_asked)

    def answer_commit(self, part: LanCommitPart) -> None:
        """Answer a `LanCommitAsk`: with nothing where the other device is not to be told of the workspace any more."""
        if self._commit_wanted:
            self._commit_wanted = False
            is_shared = part.workspace in self._shared
            self._put(part if is_shared else LanCommitPart(part.workspace, part.commit, 0, 0, b""))

    @property
    def open_requests(self) -> int:
        """How many of our requests are not answered yet."""
        return len(self._asked)

    @property
    def their_needs(self) -> dict[Version, int]:
        """The versions that the other side needs, with their number of chunks."""
        return self._their_needs

    @property
    def shared(self) -> frozenset[WorkspaceId]:
        """The workspaces that the other device may be told of."""
        return frozenset(self._shared)

    # --- answering --------------------------------------------------------------------------------------

    def next_wanted(self) -> LanRequest | None:
        """The next request to answer, oldest first; None where there is none, or enough waits to be sent already.

        Once enough waits, none is handed out before half of it has left, so that they are answered several at a time.
        """
        self._is_ahead = self._chunk_bytes >= (AHEAD_BYTES // 2 + 1 if self._is_ahead else AHEAD_BYTES)
        if self._is_ahead or not self._wanted:
            return None
        return self._wanted.pop(next(iter(self._wanted)))

    def answer(self, number: int, data: bytes | bytearray | memoryview) -> None:
        """Send the chunk of a request, unless it was withdrawn meanwhile."""
        request = self._done_with(number)
        if request is not None:
            assert len(data) == request.length
            self._chunks.append((chunk_head(number, len(data)), data))
            self._chunk_bytes += len(data)

    def refuse(self, number: int, reason: GoneReason) -> None:
        """Say that a chunk does not come."""
        if self._done_with(number) is not None:
            self._put(LanGone(number, reason))

    def _done_with(self, number: int) -> LanRequest | None:
        request = self._answering.pop(number, None)
        if request is not None:
            self._their_bytes -= request.length
            self._wanted.pop(number, None)
        return request

    # --- bytes out --------------------------------------------------------------------------------------

    @property
    def has_output(self) -> bool:
        """Whether there is something to send."""
        return bool(self._out or self._chunks or self._pong)

    def take_output(self) -> list[bytes | bytearray | memoryview]:
        """What is to be sent next, in order: all messages, then chunks worth `PIECE_BYTES` or one that is longer, so
        that a message does not wait for more than that."""
        if self._pong is not None:
            self._put(self._pong)
            self._pong = None
        pieces: list[bytes | bytearray | memoryview] = list(self._out)
        self._out.clear()
        self._out_bytes = size = 0
        while self._chunks and (size == 0 or size + len(self._chunks[0][1]) <= PIECE_BYTES):
            head, data = self._chunks.popleft()
            self._chunk_bytes -= len(data)
            size += len(data)
            pieces += (head, data)
        return pieces

    def _put(self, message: LanMessage) -> None:
        if not self._over:
            frame = message_frame(message)
            self._out.append(frame)
            self._out_bytes += len(frame)

    @property
    def message_bytes(self) -> int:
        """How much the other side has said so far, chunks apart."""
        return self._reader.message_bytes

    def give_back(self, data: memoryview) -> None:
        """The bytes of an `Arrived` are looked at no more: their memory may serve another chunk."""
        self._reader.buffers.give_back(data)

    # --- bytes in ---------------------------------------------------------------------------------------

    def receive(self, data: bytes | bytearray | memoryview) -> list[Event]:
        """What the other side's bytes mean. Raises `BadPeer`; what came before the breach is lost with it."""
        return self._heard(self._reader.receive(data))

    def receive_from(self, take: Take) -> list[Event]:
        """As `receive`, with bytes that `take` puts where they belong, until it has no more: chunks are not copied.

        What it raises comes through, and what came before is lost with it.
        """
        return self._heard(self._reader.receive_from(take))

    def _heard(self, items: Iterator[LanMessage | ChunkFrame]) -> list[Event]:
        events: list[Event] = []
        try:
            for item in items:
                event = self._take_chunk(item) if isinstance(item, ChunkFrame) else self._take(item)
                if event is not None:
                    events.append(event)
                if isinstance(event, LanBye):
                    self._over = True
                    break
        except BadLanFrame as error:
            raise BadPeer(str(error)) from None
        if self._out_bytes > BACKLOG_BYTES:
            raise BadPeer("asks without reading the answers")
        return events

    def _expected_length(self, number: int) -> int | None:
        request = self._asked.get(number)
        return None if request is None else request.length

    def _take_chunk(self, frame: ChunkFrame) -> Event:
        request = self._asked.pop(frame.number)
        self._asked_bytes -= request.length
        return Arrived(frame.number, request.chunk, frame.data)

    def _take(self, message: LanMessage) -> Event | None:
        if isinstance(message, LanHello):
            return self._take_hello(message)
        if not self._met:
            raise BadPeer("something came before the hello")
        match message:
            case LanHeads():
                return LanHeads(self._known(message.heads))
            case LanBye():
                return message
            case LanNeed() | LanEnough():
                return self._take_need(message)
            case LanHave() | LanMore() | LanNothing():
                return self._take_have(message)
            case LanRequest() | LanCancel():
                return self._take_request(message)
            case LanGone():
                return self._take_gone(message)
            case LanKept():
                return message if message.workspace in self._shared else None
            case LanCommitAsk():
                return self._take_commit_ask(message)
            case LanCommitPart():
                return self._take_commit_part(message)
            case LanPing():
                self._pong = LanPong(message.number)
                return None
            case LanPong():
                return Alive(message.number)
            case _:
                assert_never(message)

    def _take_hello(self, message: LanHello) -> Event:
        if self._met:
            raise BadPeer("a second hello")
        if message.major != MAJOR:
            raise BadPeer(f"speaks version {message.major}")
        self._met = True
        return LanHello(message.major, message.revision, message.capabilities, self._known(message.heads))

    def _known(self, heads: tuple[LanHead, ...]) -> tuple[LanHead, ...]:
        return tuple(head for head in heads if head.workspace in self._shared)

    def _take_need(self, message: LanNeed | LanEnough) -> Event | None:
        version = (message.workspace, message.version)
        if isinstance(message, LanEnough):
            return message if self._their_needs.pop(version, None) is not None else None
        if not bits_fit(message.bits, message.chunks):
            raise BadPeer("a bitmap that does not fit its count")
        if message.workspace not in self._shared:
            self._put(LanNothing(*version))
            return None
        if version not in self._their_needs and len(self._their_needs) == limits.LAN_VERSIONS:
            raise BadPeer("needs too many versions")
        self._their_needs[version] = message.chunks
        return message

    def _take_have(self, message: LanHave | LanMore | LanNothing) -> Event | None:
        version = (message.workspace, message.version)
        chunks = self._needed.get(version)
        if chunks is None:
            return None  # it crossed with a `LanEnough`
        match message:
            case LanHave():
                if message.chunks != chunks or not bits_fit(message.bits, chunks):
                    raise BadPeer("a bitmap of another version")
                self._told.add(version)
            case LanMore():
                if max(message.indexes) >= chunks:
                    raise BadPeer("an index beyond the version's chunks")
                if version not in self._told:
                    return None  # it belongs to a need that was ended, and the answer to this one is to come
            case LanNothing():
                pass
        return message

    def _take_request(self, message: LanRequest | LanCancel) -> Event | None:
        if isinstance(message, LanCancel):
            if message.number in self._wanted:
                self.refuse(message.number, GoneReason.CANCELLED)
            return None
        if message.number <= self._their_last_number:
            raise BadPeer("request numbers do not rise")
        self._their_last_number = message.number
        if len(self._answering) == limits.LAN_REQUESTS:
            raise BadPeer("too many requests at a time")
        if self._their_bytes + message.length > limits.LAN_REQUESTED_BYTES:
            raise BadPeer("asks for too much at a time")
        self._answering[message.number] = message
        self._their_bytes += message.length
        if message.workspace not in self._shared:
            self.refuse(message.number, GoneReason.GONE)
            return None
        self._wanted[message.number] = message
        return WorkToDo()

    def _take_gone(self, message: LanGone) -> Event:
        request = self._asked.pop(message.number, None)
        if request is None:
            raise BadPeer("an answer to nothing")
        self._asked_bytes -= request.length
        return NotComing(message.number, request.chunk, message.reason)

    def _take_commit_ask(self, message: LanCommitAsk) -> Event | None:
        if self._commit_wanted:
            raise BadPeer("asks for several commits at a time")
        self._commit_wanted = True
        if message.workspace not in self._shared:
            self.answer_commit(LanCommitPart(message.workspace, message.commit, 0, 0, b""))
            return None
        return message

    def _take_commit_part(self, message: LanCommitPart) -> Event:
        asked, self._commit_asked = self._commit_asked, None
        if asked is None or asked != LanCommitAsk(message.workspace, message.commit, message.at):
            raise BadPeer("a part of a commit that was not asked for")
        end = message.at + len(message.data)
        if message.size and (end > message.size or end == message.at):
            raise BadPeer("a part that does not fit its commit")
        return message
