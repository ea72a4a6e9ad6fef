"""Connections between simulated hosts. Owns the two ends of one, in the terms of trio's streams.

A sender is held up once `WINDOW_BYTES` of what it sent have not been read at the other end, as by a socket's buffers.
"""

from collections import deque
from collections.abc import Sequence
from typing import Final

import trio
from trio.abc import HalfCloseableStream

from simulations.machine import Host
from simulations.network.line import Line
from simulations.trace import Trace

WINDOW_BYTES: Final = 192 * 1024
PIECE_BYTES: Final = 16 * 1024
AHEAD_S: Final = 0.05
"""So far at most a sender runs ahead of the line: others use it too."""


class Pipe:
    """One direction of a connection. `run` carries what is sent along the lines, in order."""

    def __init__(self, name: str, ends: tuple[str, str], lines: Sequence[Line], trace: Trace) -> None:
        self.name = name
        self._ends = ends
        self._lines = lines
        self._trace = trace
        self._unsent: deque[bytes] = deque()
        self._under_way: deque[tuple[float, bytes]] = deque()
        self._size = 0
        self._arrives_s = 0.0
        self._ended = False
        self._end_at_s: float | None = None
        self._broken = False
        self._reader_gone = False
        self._void = False
        self.answer: Pipe | None = None
        """The other direction."""
        self._news = trio.lowlevel.ParkingLot()
        self._work = trio.lowlevel.ParkingLot()
        self._room = trio.lowlevel.ParkingLot()
        self._is_idle = False
        """Whether `run` waits for something to be sent."""

    # --- what the ends do ---------------------------------------------------------------------------------

    async def send(self, data: bytes) -> None:
        """Hand over everything; raises `BrokenResourceError` where the connection is gone."""
        for at in range(0, len(data), PIECE_BYTES):
            while self._size >= WINDOW_BYTES and not self._broken:
                await self._room.park()
            if self._broken:
                raise trio.BrokenResourceError("the connection is gone")
            piece = data[at : at + PIECE_BYTES]
            self._size += len(piece)
            if self._is_idle and not self._ended and self._is_way_free():
                self._carry(piece)
            else:
                self._unsent.append(piece)
                self._work.unpark_all()

    async def wait_room(self) -> None:
        """Until something could be sent."""
        while self._size >= WINDOW_BYTES and not self._broken:
            await self._room.park()

    def end(self) -> None:
        """Nothing more will be sent."""
        self._ended = True
        self._wake()

    def break_off(self) -> None:
        """Both ends find the connection gone."""
        self._broken = True
        self._unsent.clear()
        self._under_way.clear()
        self._wake()

    async def wait_readable(self) -> None:
        """Until `take` has something to say. Not a checkpoint where it has."""
        while not self.is_readable():
            due_s = self._due_s()
            if due_s == float("inf"):
                await self._news.park()
            else:
                with trio.move_on_at(due_s):
                    await self._news.park()

    def is_readable(self) -> bool:
        """Whether `take` has something to say."""
        return self._broken or self._reader_gone or self._due_s() <= trio.current_time()

    def _due_s(self) -> float:
        """When the next piece, or the end, is there."""
        if self._under_way:
            return self._under_way[0][0]
        return float("inf") if self._end_at_s is None else self._end_at_s

    def take(self, most: int) -> bytes | None:
        """What has arrived; `b""` at the end, None where nothing has. Raises `BrokenResourceError`, and
        `ClosedResourceError` where this end was closed."""
        if self._reader_gone:
            raise trio.ClosedResourceError("the connection was closed here")
        if self._broken:
            raise trio.BrokenResourceError("the connection was reset")
        now = trio.current_time()
        if self._under_way and self._under_way[0][0] <= now:
            return self._take(most)
        at_end = not self._under_way and self._end_at_s is not None and self._end_at_s <= now
        return b"" if at_end else None

    def leave(self) -> None:
        """Nobody reads any more: what still arrives is answered with a reset."""
        self._reader_gone = True
        self._wake()

    def lose(self) -> None:
        """The machine that sends is gone without a word: what it had not sent never comes, and no end either."""
        self._void = True
        self._unsent.clear()
        self._under_way.clear()
        self._wake()

    def _take(self, most: int) -> bytes:
        at_s, data = self._under_way.popleft()
        if len(data) > most:
            self._under_way.appendleft((at_s, data[most:]))
            data = data[:most]
        self._size -= len(data)
        self._room.unpark_all()
        return data

    def _wake(self) -> None:
        self._news.unpark_all()
        self._work.unpark_all()
        self._room.unpark_all()

    # --- on the way ---------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Carry everything that cannot be carried at once; ends with the connection."""
        while not self._broken:
            if not self._unsent and not self._ended:
                self._is_idle = True
                await self._work.park()
                self._is_idle = False
                continue
            for line in self._lines:
                await line.wait_whole()
            if not self._unsent:
                if self._void or self._broken:
                    return
                self._end_at_s = max(self._arrives_s, self._through_at_s(0))
                self._wake()
                return
            piece = self._unsent.popleft()
            if self._void:
                continue
            if self._reader_gone:
                await trio.sleep(max(0.0, self._through_at_s(0) - trio.current_time()))
                self._break_both()
                return
            self._carry(piece)
            await self._wait_turn()

    def _is_way_free(self) -> bool:
        """Whether a piece that is sent now need not wait, and will be there."""
        if self._void or self._reader_gone:
            return False
        return not any(line.is_cut or line.busy_for_s() > AHEAD_S for line in self._lines)

    def _carry(self, piece: bytes) -> None:
        if any(line.breaks() for line in self._lines):
            self._trace.note("network", f"{self.name} was reset")
            self._break_both()
            return
        self._arrives_s = max(self._arrives_s, self._through_at_s(len(piece)))
        self._trace.note("network", f"{self.name} {len(piece)} bytes, there at {self._arrives_s:.6f}", shown=False)
        self._trace.carried(self._ends, len(piece))
        self._under_way.append((self._arrives_s, piece))
        self._news.unpark_all()

    def _break_both(self) -> None:
        self.break_off()
        assert self.answer is not None
        self.answer.break_off()

    def _through_at_s(self, size: int) -> float:
        at_s = trio.current_time()
        for line in self._lines:
            at_s = line.pass_at(size, at_s)
        return at_s

    async def _wait_turn(self) -> None:
        """Until the lines are not busy for longer than a moment."""
        ahead_s = max((line.busy_for_s() for line in self._lines), default=0.0)
        if ahead_s > AHEAD_S:
            await trio.sleep(ahead_s - AHEAD_S)


class SimStream(HalfCloseableStream):
    """One end of a connection, as the program at it has it."""

    def __init__(self, host: Host, other: str, out: Pipe, into: Pipe) -> None:
        self.host = host
        self.other = other
        """The host at the other end,"""
        self.seen_from = ""
        """and the numeric address that it connected from,"""
        self.called = ""
        """if it did, and the name or address that it called."""
        self._out = out
        self._into = into
        self._closed = False
        self._sending = False

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """See trio."""
        if self.host.is_frozen:
            await self.host.gate()
        await trio.lowlevel.checkpoint()
        self._check()
        if self._sending:
            raise trio.BusyResourceError("another task is sending")
        self._sending = True
        try:
            await self._out.send(bytes(data))
        finally:
            self._sending = False

    async def wait_send_all_might_not_block(self) -> None:
        """See trio."""
        self._check()
        await self._out.wait_room()

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """See trio."""
        if self._into.is_readable():
            await trio.lowlevel.checkpoint()
        self._check()
        while True:
            await self._into.wait_readable()
            if self.host.is_frozen:
                await self.host.gate()
            data = self._into.take(max_bytes or WINDOW_BYTES)
            if data is None:
                continue
            if data and self.host.heard is not None:
                self.host.heard()
                self._check()
            return data

    async def send_eof(self) -> None:
        """See trio."""
        self._check()
        self._out.end()
        await trio.lowlevel.checkpoint()

    async def aclose(self) -> None:
        """See trio. What was sent still arrives."""
        self.close()
        await trio.lowlevel.checkpoint()

    def close(self) -> None:
        """The same at once."""
        if not self._closed:
            self._closed = True
            self._into.leave()
            self._out.end()

    def vanish(self) -> None:
        """Its machine is without power: the other end hears nothing, until `reset`."""
        self._closed = True
        self._out.lose()
        self._into.lose()

    def reset(self) -> None:
        """Its machine is back and knows nothing of this connection."""
        self._out.break_off()
        self._into.break_off()

    def _check(self) -> None:
        if self._closed:
            raise trio.ClosedResourceError("the connection was closed here")
