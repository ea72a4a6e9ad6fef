"""Wake-ups: one conflating mailbox a socket, so that a slow device costs nothing and can lose nothing.

Owns the mailboxes and the fan-out; a lost wake-up costs a device one poll, never data. What is in a mailbox is looked
at once more when it is sent: a device that is no longer in a workspace's latest audience is told nothing of it.
"""

import contextlib
import enum
import logging
from collections.abc import Iterator
from typing import Final

import trio
from quart import websocket

from coordinator.ports import ChainGrew, Committed, DeviceDropped, Notice, StorageUnavailable
from coordinator.service import sessions, workspaces
from coordinator.service.context import Context, Session
from protocol import limits
from protocol.codec import encode
from protocol.ids import DeviceId, LogHash, WorkspaceId
from protocol.messages import ChainPoke, Poke, Polled, PollRequest, Refusal, Welcome
from protocol.model import Entries, JournalRow
from protocol.nearby import NearDevice

logger = logging.getLogger("coordinator.notify")

_SWEEP_S = 15.0
_SWEEP_STEP = 500


class CloseCode(enum.IntEnum):
    """Why a socket is closed (RFC 6455, section 7.4)."""

    RESTART = 1012
    LATER = 1013
    SIGNED_OUT = 4401
    DENIED = 4403
    REPLACED = 4409


class _News:
    """A workspace's head, and perhaps the commits up to it. Shared by all mailboxes it was put in, encoded once."""

    __slots__ = ("_encoded", "durability", "head_hash", "head_seq", "rows", "rows_bytes", "workspace")

    def __init__(
        self,
        workspace: WorkspaceId,
        seq: int,
        head_hash: LogHash,
        durability: int,
        rows: tuple[JournalRow, ...] = (),
        rows_bytes: int = 0,
    ) -> None:
        self.workspace = workspace
        self.head_seq = seq
        self.head_hash = head_hash
        self.durability = durability
        self.rows = rows
        self.rows_bytes = rows_bytes
        self._encoded: bytes | None = None

    @property
    def poke(self) -> Poke:
        return Poke(self.workspace, self.head_seq, self.head_hash, self.durability, self.rows)

    @property
    def encoded(self) -> bytes:
        if self._encoded is None:
            self._encoded = encode(self.poke)
        return self._encoded

    def after(self, older: "_News") -> "_News":
        """This, with the older one's commits before its own where they are the ones right before."""
        durability = max(older.durability, self.durability)
        if older.head_seq >= self.head_seq:
            return older if older.durability == durability else older.with_durability(durability)
        size = older.rows_bytes + self.rows_bytes
        joined = older.rows and self.rows and older.rows[-1].seq + 1 == self.rows[0].seq
        if joined and size <= limits.INLINE_BYTES and len(older.rows) + len(self.rows) <= limits.PAGE_COMMITS:
            return _News(self.workspace, self.head_seq, self.head_hash, durability, older.rows + self.rows, size)
        return _News(self.workspace, self.head_seq, self.head_hash, durability)

    def with_durability(self, durability: int) -> "_News":
        """The same of the journal."""
        return _News(self.workspace, self.head_seq, self.head_hash, durability, self.rows, self.rows_bytes)


class Mailbox:
    """What one socket or long poll has not been told yet: at most one thing a workspace."""

    def __init__(self, session: Session, token: bytes) -> None:
        self.session = session
        self.token = token
        self.closed: CloseCode | None = None
        self.network = ""
        """Which network the device is in,"""
        self.where: NearDevice | None = None
        """and where it listens there, once it has said so."""
        self._news: dict[WorkspaceId, _News] = {}
        self._chain: ChainPoke | None = None
        self._event = trio.Event()

    def put_news(self, news: _News) -> None:
        """Replaces or extends what it has of that workspace."""
        older = self._news.get(news.workspace)
        self._news[news.workspace] = news if older is None else news.after(older)
        self._event.set()

    def put_chain(self, poke: ChainPoke) -> None:
        """The longest chain counts."""
        if self._chain is None or self._chain.length < poke.length:
            self._chain = poke
        self._event.set()

    def close(self, code: CloseCode) -> None:
        """Whoever waits finds it closed."""
        if self.closed is None:
            self.closed = code
        self._event.set()

    async def wait(self) -> None:
        """Until there is something, or it is closed."""
        await self._event.wait()

    def take(self) -> tuple[list[_News], ChainPoke | None]:
        """All that there is; it is empty then."""
        news, chain = list(self._news.values()), self._chain
        self._news.clear()
        self._chain = None
        if self.closed is None:
            self._event = trio.Event()
        return news, chain


class Hub:
    """The `Notifier` of one process: every open socket and long poll."""

    def __init__(self) -> None:
        self._mailboxes: dict[DeviceId, list[Mailbox]] = {}
        self._audiences: dict[WorkspaceId, tuple[int, frozenset[DeviceId]]] = {}
        self._networks: dict[str, dict[Mailbox, None]] = {}
        self._stopped = False

    def publish(self, notice: Notice) -> None:
        """Put it in the mailboxes concerned; sends happen in their own tasks."""
        match notice:
            case Committed():
                self._commit(notice)
            case ChainGrew():
                poke = ChainPoke(notice.user, notice.length)
                for mailbox in self._of(notice.audience):
                    mailbox.put_chain(poke)
            case DeviceDropped():
                for mailbox in self._mailboxes.get(notice.device, ()):
                    mailbox.close(CloseCode.DENIED)

    def _commit(self, notice: Committed) -> None:
        known = self._audiences.get(notice.workspace)
        if known is None or known[0] <= notice.head_seq:
            self._audiences[notice.workspace] = (notice.head_seq, notice.audience)
        news: _News | None = None
        for mailbox in self._of(notice.audience):
            if news is None:
                size = _rows_bytes(notice.rows)
                rows, size = (notice.rows, size) if size <= limits.INLINE_BYTES else ((), 0)
                news = _News(notice.workspace, notice.head_seq, notice.head_hash, notice.durability, rows, size)
            mailbox.put_news(news)

    def _of(self, devices: frozenset[DeviceId]) -> Iterator[Mailbox]:
        if len(devices) <= len(self._mailboxes):
            for device in devices:
                yield from self._mailboxes.get(device, ())
            return
        for device, mailboxes in self._mailboxes.items():
            if device in devices:
                yield from mailboxes

    def may_hear(self, device: DeviceId, workspace: WorkspaceId) -> bool:
        """Whether the device was in the workspace's latest audience, as far as this process knows of one."""
        known = self._audiences.get(workspace)
        return known is None or device in known[1]

    @contextlib.contextmanager
    def opened(self, session: Session, token: bytes) -> Iterator[Mailbox]:
        """A mailbox while the block lasts."""
        mailbox = Mailbox(session, token)
        if self._stopped:
            mailbox.close(CloseCode.RESTART)
        self._mailboxes.setdefault(session.device, []).append(mailbox)
        try:
            yield mailbox
        finally:
            self._displace(mailbox)
            own = self._mailboxes[session.device]
            own.remove(mailbox)
            if not own:
                del self._mailboxes[session.device]

    def replace(self, mailbox: Mailbox) -> None:
        """Close the device's earlier sockets: it has a new one."""
        for other in self._mailboxes.get(mailbox.session.device, ()):
            if other is not mailbox and other.token:
                other.close(CloseCode.REPLACED)

    def place(self, device: DeviceId, network: str, where: NearDevice) -> None:
        """Note in which network a device listens, and where, until its socket is closed; nothing if it has none."""
        for mailbox in self._mailboxes.get(device, ()):
            if mailbox.token and mailbox.closed is None:
                self._displace(mailbox)
                mailbox.network, mailbox.where = network, where
                self._networks.setdefault(network, {})[mailbox] = None

    def _displace(self, mailbox: Mailbox) -> None:
        there = self._networks.get(mailbox.network, {})
        there.pop(mailbox, None)
        if not there:
            self._networks.pop(mailbox.network, None)

    def near(self, network: str) -> list[Mailbox]:
        """The open sockets of devices that listen in a network, the newest first."""
        return [each for each in reversed(self._networks.get(network, {})) if each.closed is None]

    def stop(self) -> None:
        """Close everything; the server is going."""
        self._stopped = True
        for mailboxes in self._mailboxes.values():
            for mailbox in mailboxes:
                mailbox.close(CloseCode.RESTART)

    async def sweep_forever(self, context: Context) -> None:
        """Close the sockets whose token has expired, also where nothing is sent."""
        while True:
            await trio.sleep(_SWEEP_S)
            sockets = [each for own in self._mailboxes.values() for each in own if each.token]
            for at, mailbox in enumerate(sockets):
                if at % _SWEEP_STEP == 0:
                    await trio.lowlevel.checkpoint()
                if isinstance(sessions.authenticate(context, mailbox.token), Refusal):
                    mailbox.close(CloseCode.SIGNED_OUT)


def _rows_bytes(rows: tuple[JournalRow, ...]) -> int:
    """Size of commits on the wire; the large parts are counted before anything is encoded."""
    size = 0
    for row in rows:
        if isinstance(row.commit.body, Entries):
            for change in row.commit.body.changes:
                size += len(getattr(change, "sealed", b"")) + len(getattr(change, "added", b""))
                if size > limits.INLINE_BYTES:
                    return size
    return len(encode(rows))


_Known = dict[WorkspaceId, tuple[int, int]]
"""The head and the durability that a device has of each workspace."""
_NOTHING: Final = (-1, 0)


async def _fill(context: Context, mailbox: Mailbox, known: _Known, chain_length: int) -> Refusal | None:
    """Put in what the device would be told now beyond what it knows."""
    standing = await workspaces.standing(context, mailbox.session)
    if isinstance(standing, Refusal):
        return standing
    for head in standing.heads:
        news = _News(head.workspace, head.seq, head.log_hash, head.durability)
        if _is_news(news, known):
            mailbox.put_news(news)
    if standing.chain_length > chain_length:
        mailbox.put_chain(ChainPoke(mailbox.session.user, standing.chain_length))
    return None


def _is_news(news: _News, known: _Known) -> bool:
    seq, durability = known.get(news.workspace, _NOTHING)
    return news.head_seq > seq or news.durability != durability


async def serve_socket(context: Context, hub: Hub, session: Session, token: bytes) -> None:
    """One notification socket: welcome, all heads, then what changes, until either end closes.

    The client sends nothing. Every message is a whole `Wake` and none is empty. A send that its reader does not take
    in time ends the connection (see `serving`).
    """
    await websocket.accept()
    with hub.opened(session, token) as mailbox:
        hub.replace(mailbox)
        await websocket.send(encode(Welcome(context.clock.now_ms())))
        try:
            if await _fill(context, mailbox, {}, -1) is not None:
                mailbox.close(CloseCode.DENIED)
        except StorageUnavailable as error:
            logger.warning("the storage failed: %s", error)
            mailbox.close(CloseCode.LATER)
        while mailbox.closed is None:
            await mailbox.wait()
            await _send_news(context, hub, mailbox)
        await websocket.close(int(mailbox.closed))


async def _send_news(context: Context, hub: Hub, mailbox: Mailbox) -> None:
    news, chain = mailbox.take()
    if isinstance(sessions.authenticate(context, mailbox.token), Refusal):
        mailbox.close(CloseCode.SIGNED_OUT)
    if chain is not None and mailbox.closed is None:
        await websocket.send(encode(chain))
    for each in news:
        if mailbox.closed is None and hub.may_hear(mailbox.session.device, each.workspace):
            await websocket.send(each.encoded)


async def poll(context: Context, hub: Hub, session: Session, request: PollRequest) -> Polled | Refusal:
    """Long polling: what is ahead of what the device knows, at once or as soon as there is something."""
    known = {workspace: (seq, durability) for workspace, seq, durability in request.known}
    with hub.opened(session, b"") as mailbox:
        refused = await _fill(context, mailbox, known, request.chain_length)
        if refused is not None:
            return refused
        with trio.move_on_after(request.timeout_s):
            await mailbox.wait()
        news, chain = mailbox.take()
        if mailbox.closed is not None:
            return Polled(())
    wakes: list[Poke | ChainPoke] = [] if chain is None else [chain]
    room = limits.POKE_BYTES
    for each in news[: limits.POKES - 1]:
        if not _is_news(each, known) or not hub.may_hear(session.device, each.workspace):
            continue
        room -= each.rows_bytes
        wakes.append(each.poke if room >= 0 else Poke(each.workspace, each.head_seq, each.head_hash, each.durability))
    return Polled(tuple(wakes))
