"""One link, running: a session's bytes over a TLS stream. Owns its tasks, its keep-alive and its end.

Never chooses what to ask for and never reads a file: events go to a `LinkOwner`, which answers requests too. All
bounds on what is held are the session's.
"""

from collections.abc import Sequence
from typing import Final, Protocol

import trio

from peer.link.tls import TlsStream
from peer.ports import Clock
from peer.transfer.limits import TokenBucket
from protocol.ids import DeviceId
from protocol.lan import ByeReason, GoneReason, LanBye, LanHello, LanPing, LanRequest
from protocol.lan_session import Alive, BadPeer, Event, LanSession, WorkToDo

PING_S: Final = 10.0
"""After so long a silence the other side is asked whether it is there,"""
DEAD_S: Final = 25.0
"""and after so long a one the link is given up."""
SAID_BYTES_S: Final = 4 * 1024 * 1024
"""What the other side says, its chunks apart, is taken in no faster than so many bytes a second,"""
SAID_BYTES: Final = 8 * 1024 * 1024
"""but for so many at once: whoever talks without an end is listened to more slowly, and the others are not."""
GOODBYE_S: Final = 1.0
"""How long the last message may take."""
BATCH: Final = 64
BATCH_BYTES: Final = 1024 * 1024
"""Requests are answered in batches of at most so many, and of little more than so many bytes."""
UNSENT_BYTES: Final = 128 * 1024
"""So much waits in the system behind what is on its way: about a millisecond of a gigabit line."""
_LAST_NUMBER: Final = 2**32 - 1

Answer = bytes | bytearray | memoryview | GoneReason


class LinkOwner(Protocol):
    """Whoever uses a link."""

    def take(self, link: "Link", event: Event) -> None:
        """The other side said something. Called in the order in which it came; never awaits."""
        ...

    async def answer(self, link: "Link", wanted: Sequence[LanRequest]) -> Sequence[Answer]:
        """The chunks that the other side asked for, in order, or why they do not come. All are of shared workspaces."""
        ...


class Link:
    """A link to one device, whose identity is proved. `run` it once; say things through `session`, then `wake` it."""

    def __init__(
        self, device: DeviceId, stream: TlsStream, hello: LanHello, clock: Clock, *, dialled: bool, address: str = ""
    ) -> None:
        self.device = device
        self.address = address
        """Where the other side is, for people."""
        self.dialled = dialled
        """Whether the connection was made from here."""
        self.session = LanSession(hello)
        self.greeted = False
        """Whether the other side has taken us in: only then has it looked at our certificate."""
        self.ending: str = ""
        """Why the link ended, for people; empty while it runs."""
        self._stream = stream
        self._clock = clock
        self._scope = trio.CancelScope()
        self._output = trio.Event()
        self._work = trio.Event()
        self._heard_s = clock.monotonic_s()
        self._said = TokenBucket(SAID_BYTES_S, SAID_BYTES, self._heard_s)
        self._last_words: ByeReason | None = None

    async def run(self, owner: LinkOwner) -> None:
        """Carry the conversation until either side ends it, breaks its rules, or dies. Closes the stream."""
        self._stream.let_wait(UNSENT_BYTES)
        try:
            with self._scope:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(self._receive, owner)
                    nursery.start_soon(self._send)
                    nursery.start_soon(self._answer, owner)
                    nursery.start_soon(self._keep_alive)
        finally:
            self.ending = self.ending or "closed"
            await self._say_goodbye()

    def wake(self) -> None:
        """Something was said through `session`: send it."""
        self._output.set()

    def end(self, why: str, reason: ByeReason = ByeReason.CLOSING) -> None:
        """End the link now, telling the other side if that is possible at once."""
        if not self.ending:
            self.ending, self._last_words = why, reason
            self._scope.cancel()

    def _lost(self, why: str) -> None:
        if not self.ending:
            self.ending = why
            self._scope.cancel()

    async def _receive(self, owner: LinkOwner) -> None:
        taken = 0
        is_open = True
        while is_open:
            try:
                events = self.session.receive_from(self._stream.take)
            except trio.BrokenResourceError:
                return self._lost("the connection broke")
            except BadPeer as error:
                return self.end(f"the other side broke the rules: {error}", ByeReason.MALFORMED)
            for event in events:
                match event:
                    case WorkToDo():
                        self._work.set()
                    case Alive():
                        pass
                    case LanBye(reason=reason):
                        return self._lost(f"the other side said goodbye: {reason.value}")
                    case _:
                        self.greeted = True
                        owner.take(self, event)
            if self.session.has_output:
                self._output.set()
            wait_s = self._said.take(self.session.message_bytes - taken, self._heard_s)
            taken = self.session.message_bytes
            if wait_s > 0:
                await self._clock.sleep(wait_s)
            try:
                is_open = await self._stream.receive_more()
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                return self._lost("the connection broke")
            self._heard_s = self._clock.monotonic_s()
        self._lost("the other side went away")

    async def _send(self) -> None:
        while True:
            pieces = self.session.take_output()
            if not pieces:
                self._output = trio.Event()
                await self._output.wait()
                continue
            self._work.set()  # there is room for more answers
            try:
                await self._stream.send_pieces(pieces)
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                return self._lost("the connection broke")

    async def _answer(self, owner: LinkOwner) -> None:
        while True:
            batch: list[LanRequest] = []
            size = 0
            while len(batch) < BATCH and size < BATCH_BYTES and (wanted := self.session.next_wanted()) is not None:
                batch.append(wanted)
                size += wanted.length
            if not batch:
                self._work = trio.Event()
                await self._work.wait()
                continue
            for wanted, answer in zip(batch, await owner.answer(self, batch), strict=True):
                if isinstance(answer, GoneReason):
                    self.session.refuse(wanted.number, answer)
                else:
                    self.session.answer(wanted.number, answer)
            self._output.set()

    async def _keep_alive(self) -> None:
        number = 0
        while True:
            silent_s = self._clock.monotonic_s() - self._heard_s
            if silent_s >= DEAD_S:
                return self._lost("the other side fell silent")
            if silent_s >= PING_S:
                number = number % _LAST_NUMBER + 1
                self.session.say(LanPing(number))
                self._output.set()
            await self._clock.sleep(min(PING_S / 2, max(PING_S - silent_s, 1.0)))

    async def _say_goodbye(self) -> None:
        with trio.CancelScope(shield=True) as scope:
            scope.deadline = trio.current_time() + GOODBYE_S
            if self._last_words is not None:
                self.session.bye(self._last_words)
                try:
                    for piece in self.session.take_output()[:1]:
                        await self._stream.send_all(piece)
                except (trio.BrokenResourceError, trio.ClosedResourceError, trio.BusyResourceError):
                    pass
            await self._stream.aclose()
        if scope.cancelled_caught:
            await trio.aclose_forcefully(self._stream)
