"""Wake-ups from the coordinator. Owns the notification socket, its keep-alive, coming back, and long polling.

A lost wake-up costs nothing: every new connection begins with a `Welcome`, at which the engine asks for all it may
have missed. The client sends nothing but pings, pongs and the close, since a cancelled WebSocket send leaves half a
frame behind; whatever is cancelled here ends the connection.
"""

import math
from collections.abc import Callable, Iterator
from typing import Final

import h11
import trio
import trio_websocket
import wsproto.utilities
from trio.abc import Stream

from peer.link.backoff import Backoff
from peer.link.coordinator import CoordinatorClient, SignedIn
from peer.link.errors import BadReply, LinkError, Unreachable
from peer.link.mailbox import Mailbox
from peer.ports import Clock, Entropy
from protocol import codec, limits
from protocol.ids import WorkspaceId
from protocol.messages import NOTIFY_PATH, PollRequest, Refusal, RefusalCode, Wake, Welcome

OPEN_S: Final = 10.0
"""How long the upgrade and the first message may take."""
SILENCE_S: Final = 12.0
"""After so long without a byte the client pings."""
ANSWER_S: Final = 8.0
"""How long the answer to a ping may take; with `SILENCE_S`, a dead line is noticed after 20 s."""
CROWDED_S: Final = 60.0
"""How long it may take where requests over other connections show that the line lives."""
STEADY_S: Final = 10.0
"""A connection that held for so long starts the back-off anew when it ends."""
SIGNED_OUT: Final = 4401
"""The close code of a socket whose login ran out."""
UNOPENED: Final = 2
"""After so many sockets in a row that were neither opened nor refused, whatever is on the way may let none through."""
HANDSHAKE_BYTES: Final = 64 * 1024
POLL_S: Final = 15
"""How long a poll is held open; short, so that a dead line is noticed as soon as on a socket."""
POLLS_BEFORE_UPGRADE: Final = 40
"""After so many polls the socket is tried again."""

_ENDS: Final = (
    LinkError,
    trio_websocket.ConnectionRejected,
    trio_websocket.ConnectionClosed,
    h11.ProtocolError,  # these and the next escape from trio-websocket's reader where an upgrade is answered badly
    wsproto.utilities.ProtocolError,
)

Known = Callable[[], tuple[tuple[tuple[WorkspaceId, int, int], ...], int]]
"""For long polling: per workspace the head known and the last number of its set of versions that are not durable; the
length of the user's chain."""


class _NoUpgrade(Exception):
    """Something on the way does not let WebSockets through."""


class _TokenEnded(Exception):
    """The coordinator closed the socket because its login ran out; a new one goes on where it was."""


class _Refused(Exception):
    """Signing in was refused."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.message)
        self.refusal = refusal


class Notifications:
    """`run` keeps up a connection; `mailbox` has what it hears, and `client.status` says how it fares."""

    def __init__(self, client: CoordinatorClient, clock: Clock, entropy: Entropy, known: Known) -> None:
        self._client = client
        self._clock = clock
        self._entropy = entropy
        self._known = known
        self._hurry = trio.Event()
        self._connected_at_s = math.inf
        self._unopened = 0
        self.mailbox = Mailbox()

    def hurry(self) -> None:
        """Try now instead of waiting on, because the network changed or somebody asked."""
        self._hurry.set()

    async def run(self) -> None:
        """Connect, listen, come back; runs until cancelled.

        The waits between attempts are bounded so that a device is connected again within 30 s of its network.
        """
        backoff = Backoff()
        upgrade = True
        while True:
            self._connected_at_s = math.inf
            upgrade = upgrade and self._unopened < UNOPENED
            try:
                if upgrade:
                    await self._listen()
                else:
                    upgrade, self._unopened = True, 0  # next time, whatever becomes of this
                    await self._poll()
                continue
            except _NoUpgrade:
                upgrade = False
                continue
            except _TokenEnded:
                if self._clock.monotonic_s() - self._connected_at_s >= STEADY_S:
                    continue
                self._client.status.set("connecting", "the login ran out")
            except (LinkError, _Refused) as error:
                was_connected = self._client.status.current.state == "connected"
                refused = error.refusal.code if isinstance(error, _Refused) else None
                self._client.status.set("connecting" if was_connected else "offline", str(error), refused)
            if self._clock.monotonic_s() - self._connected_at_s >= STEADY_S:
                backoff = backoff.succeeded()
            backoff = backoff.failed()
            await self._wait(backoff.delay_s(self._entropy.jitter))

    async def _wait(self, delay_s: float) -> None:
        self._hurry = trio.Event()
        async with trio.open_nursery() as nursery:

            async def wait_hurried() -> None:
                await self._hurry.wait()
                nursery.cancel_scope.cancel()

            nursery.start_soon(wait_hurried)
            await self._clock.sleep(delay_s)
            nursery.cancel_scope.cancel()

    async def _session(self) -> SignedIn:
        with trio.move_on_after(OPEN_S):
            session = await self._client.session()
            if isinstance(session, Refusal):
                raise _Refused(session)
            return session
        raise Unreachable(f"signing in took longer than {OPEN_S:.0f} s")

    # --- the socket --------------------------------------------------------------------------------------

    async def _listen(self) -> None:
        session = await self._session()
        with trio.move_on_after(OPEN_S) as scope:
            dialled = await self._client.dial()
        if scope.cancelled_caught:
            raise Unreachable(f"connecting took longer than {OPEN_S:.0f} s")
        stream = _Heard(dialled.stream)
        name, value = session.authorization
        try:
            async with trio.open_nursery() as nursery:
                with trio.move_on_after(OPEN_S) as opening:
                    socket = await trio_websocket.wrap_client_stream(
                        nursery,
                        stream,  # type: ignore[arg-type]  # any stream will do
                        dialled.host,
                        dialled.prefix + NOTIFY_PATH,
                        extra_headers=[(name.encode(), value.encode())],
                        message_queue_size=1,
                        max_message_size=limits.POKE_BYTES,
                        receive_buffer_size=64 * 1024,
                    )
                    stream.opening = False
                    await self._receive(socket, first=True)
                if opening.cancelled_caught:
                    raise Unreachable(f"no notification socket within {OPEN_S:.0f} s")
                nursery.start_soon(self._keep_alive, socket, stream)
                while True:
                    await self._receive(socket)
        except BaseExceptionGroup as group:
            ends, rest = group.split(_ENDS)
            if rest is not None or ends is None:
                raise rest or group from None
            rejected = any(isinstance(each, trio_websocket.ConnectionRejected) for each in _leaves(ends))
            if self._connected_at_s == math.inf and not rejected:
                self._unopened += 1
            raise self._judge_end(ends, session) from None
        finally:
            await trio.aclose_forcefully(dialled.stream)

    async def _receive(self, socket: trio_websocket.WebSocketConnection, *, first: bool = False) -> None:
        message = await socket.get_message()
        if not isinstance(message, bytes):
            raise BadReply("a notification that is text")
        try:
            wake: Wake = codec.decode(Wake, message, limits.POKE_BYTES)  # type: ignore[arg-type]  # a union
        except codec.Malformed as error:
            raise BadReply(str(error)) from None
        if first:
            if not isinstance(wake, Welcome):
                raise BadReply("a notification socket that does not begin with a welcome")
            self._connected()
        self.mailbox.put(wake)

    async def _keep_alive(self, socket: trio_websocket.WebSocketConnection, stream: "_Heard") -> None:
        """Ping a silent socket; raises `Unreachable` where nothing comes back, which ends the connection.

        On a line that a large transfer fills, the answer has to wait its turn: while something moves there, longer.
        """
        count = 0
        while True:
            due = stream.heard_at + SILENCE_S
            if trio.current_time() < due:
                await trio.sleep_until(due)
                continue
            count += 1
            asked_at = trio.current_time()
            async with trio.open_nursery() as nursery:
                nursery.start_soon(_ping, socket, count, nursery.cancel_scope)
                moved_at = asked_at
                while moved_at >= trio.current_time() - ANSWER_S and trio.current_time() < asked_at + CROWDED_S:
                    await trio.sleep(ANSWER_S)
                    moved_at = self._client.last_moved_s()
                await self._client.line_died(asked_at)
                raise Unreachable(f"nothing was heard for {trio.current_time() - stream.heard_at:.0f} s")

    def _judge_end(self, group: BaseExceptionGroup, session: SignedIn) -> Exception:
        """Why the socket ended: what was found out before what follows from it."""
        errors = list(_leaves(group))
        for error in errors:
            if isinstance(error, LinkError):
                return error
            if isinstance(error, trio_websocket.ConnectionRejected):
                if error.status_code == 401:
                    self._client.forget(session)
                    return Unreachable("the notification socket wants a new login")
                if error.status_code in (429, 503):
                    return Unreachable(f"the notification socket was refused with status {error.status_code}")
                return _NoUpgrade()
            if not isinstance(error, trio_websocket.ConnectionClosed):
                return BadReply("what answered is no notification socket")
            if error.reason is not None and error.reason.code == SIGNED_OUT:
                self._client.forget(session)
                return _TokenEnded()
        return Unreachable("the notification socket was closed")

    def _connected(self) -> None:
        self._unopened = 0
        self._client.status.set("connected")
        self._connected_at_s = self._clock.monotonic_s()

    # --- long polling ------------------------------------------------------------------------------------

    async def _poll(self) -> None:
        """Poll for a while; the first poll is answered at once and stands for the welcome."""
        for turn in range(POLLS_BEFORE_UPGRADE):
            known, chain_length = self._known()
            answer = await self._client.request(PollRequest(known, chain_length, POLL_S if turn else 0))
            if isinstance(answer, Refusal):
                if answer.code is RefusalCode.RATE_LIMITED:
                    await self._wait(max(1.0, min(answer.retry_after_ms / 1000, 10.0)))
                    continue
                raise _Refused(answer)
            if self._client.status.current.state != "connected":
                self._connected()
                self.mailbox.put(Welcome(self._clock.wall_ns() // 1_000_000))
            for wake in answer.wakes:
                self.mailbox.put(wake)


async def _ping(socket: trio_websocket.WebSocketConnection, count: int, waiting: trio.CancelScope) -> None:
    await socket.ping(count.to_bytes(4, "big"))
    waiting.cancel()


class _Heard(Stream):
    """Notes when bytes arrived.

    While `opening` it takes no more than a handshake's worth of them, and raises the reasons for an end as `LinkError`
    (of a connection that breaks before the upgrade trio-websocket says nothing).
    """

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._left = HANDSHAKE_BYTES
        self.opening = True
        self.heard_at = trio.current_time()

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        try:
            await self._stream.send_all(data)
        except trio.BrokenResourceError as error:
            if self.opening:
                raise Unreachable("the connection broke during the upgrade") from error
            raise

    async def wait_send_all_might_not_block(self) -> None:
        await self._stream.wait_send_all_might_not_block()

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        try:
            data = await self._stream.receive_some(max_bytes)
        except trio.BrokenResourceError as error:
            if self.opening:
                raise Unreachable("the connection broke during the upgrade") from error
            raise
        self.heard_at = trio.current_time()
        if self.opening:
            self._left -= len(data)
            if self._left < 0:
                raise BadReply("too long an answer to an upgrade")
            if not data:
                raise Unreachable("the connection was closed during the upgrade")
        return data

    async def aclose(self) -> None:
        await self._stream.aclose()


def _leaves(group: BaseExceptionGroup) -> Iterator[BaseException]:
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            yield from _leaves(error)
        else:
            yield error
