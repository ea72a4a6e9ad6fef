"""TLS over any trio stream. Owns the handshake, the pin, and moving records in large pieces.

`trio.SSLStream` hands out one record of at most 16 KiB a call; here `ssl.MemoryBIO`s are pumped with reads of
256 KiB, which is about three times as fast. Never decides whom to trust: the caller brings a context and a pin.
"""

import contextlib
import socket
import ssl
from collections.abc import Callable, Iterable, Iterator
from typing import Final

import trio
from trio.abc import Stream

READ_BYTES: Final = 256 * 1024
"""So much ciphertext is read at once, and so much plaintext handed out at most."""
WRITE_BYTES: Final = 2 * READ_BYTES
"""So much is encrypted before it is sent."""
RECORD_BYTES: Final = 16 * 1024
"""What TLS encrypts at once. What is shorter is joined with what follows: a record by itself costs more than a copy."""
CLOSE_S: Final = 1.0
"""How long closing may take to say goodbye."""
_EOF_IS_AN_ERROR: Final = ~getattr(ssl, "OP_IGNORE_UNEXPECTED_EOF", ssl.Options(0))
"""Python as some systems build it takes an end without a goodbye, which anybody on the line can make, for an end."""
_Bytes = bytes | bytearray | memoryview
_BROKEN: Final = "the TLS connection is broken"


class WrongPeer(Exception):
    """The other side proved another key than the pinned one, or none. Nothing was sent to it."""


def pinned_context() -> ssl.SSLContext:
    """TLS 1.3 for a peer whose certificate is judged by its key alone: no names, no dates, no authorities.

    Only for `open_client_tls` with a `check`; without one it would trust anybody.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def verified_context() -> ssl.SSLContext:
    """TLS for a server with an ordinary certificate: the system's authorities, and the name must match."""
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION
    return context


async def open_client_tls(
    transport: Stream, context: ssl.SSLContext, server_name: str | None, check: Callable[[bytes], bool] | None = None
) -> "TlsStream":
    """Shake hands as the client, then show the other side's certificate (DER) to `check`.

    Takes over `transport`: it is closed if this raises. Raises `WrongPeer` if `check` says no, before any byte of
    the application is sent; `trio.BrokenResourceError` (its cause has the reason) where the handshake fails.
    The other side's possession of the certificate's key is proved by TLS itself, whatever the context verifies.
    """
    if context.verify_mode == ssl.CERT_NONE and check is None:
        raise ValueError("a context that verifies nothing needs a check")
    stream = TlsStream(transport, context, server_side=False, server_name=server_name)
    return await _shake_hands(stream, check)


async def open_server_tls(
    transport: Stream, context: ssl.SSLContext, check: Callable[[bytes], bool] | None = None
) -> "TlsStream":
    """Shake hands as the server; as `open_client_tls` otherwise. With `check` the context must ask for certificates."""
    return await _shake_hands(TlsStream(transport, context, server_side=True, server_name=None), check)


async def _shake_hands(stream: "TlsStream", check: Callable[[bytes], bool] | None) -> "TlsStream":
    try:
        await stream.do_handshake()
        if check is not None:
            certificate = stream.peer_certificate
            if certificate is None or not check(certificate):
                raise WrongPeer("the certificate shows another key than the pinned one")
    except BaseException:
        await trio.aclose_forcefully(stream.transport)
        raise
    return stream


class TlsStream(Stream):
    """A TLS connection. One task may send while another receives.

    A cancelled or failed send leaves the connection broken: later sends raise `trio.BrokenResourceError`. A
    cancelled receive loses nothing. An end of the transport without TLS's own goodbye is an error, so a body cut
    short is never taken for a whole one.
    """

    def __init__(
        self, transport: Stream, context: ssl.SSLContext, *, server_side: bool, server_name: str | None
    ) -> None:
        self.transport = transport
        context.options &= _EOF_IS_AN_ERROR
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._tls = context.wrap_bio(
            self._incoming, self._outgoing, server_side=server_side, server_hostname=server_name
        )
        self._plain: memoryview | None = None
        self._sending = trio.Lock()
        self._receiving = trio.Lock()
        self._broken = False
        self._closed = False
        self._ended = False

    @property
    def peer_certificate(self) -> bytes | None:
        """The other side's certificate in DER, once shaken hands."""
        return self._tls.getpeercert(binary_form=True)

    def let_wait(self, unsent_bytes: int) -> None:
        """So much that is on its way to nobody yet may wait in the system, where the transport is a socket.

        trio's 16 KiB are good where a word is to overtake; whoever sends much waits for the other side too often.
        """
        if isinstance(self.transport, trio.SocketStream):
            with contextlib.suppress(OSError, AttributeError):  # not every system can
                self.transport.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, unsent_bytes)

    async def do_handshake(self) -> None:
        """Run the handshake to its end. Call once, before anything else."""
        while True:
            try:
                self._tls.do_handshake()
            except ssl.SSLWantReadError:
                await self._flush()
                await self._feed()
            except (ssl.SSLError, ssl.CertificateError) as error:
                self._broken = True
                await self._say_last_words()
                raise trio.BrokenResourceError("the TLS handshake failed") from error
            else:
                await self._flush()
                return

    async def send_all(self, data: _Bytes) -> None:
        """Encrypt and send all of `data`; returns when the transport has taken it."""
        await self.send_pieces((data,))

    async def send_pieces(self, pieces: Iterable[_Bytes]) -> None:
        """Like `send_all` with one piece after the other, together in few calls to the transport. Copies small ones."""
        self._check_open()
        await trio.lowlevel.checkpoint_if_cancelled()
        try:
            self._sending.acquire_nowait()
        except trio.WouldBlock:
            await self._sending.acquire()
        try:
            if self._broken:
                raise trio.BrokenResourceError(_BROKEN)
            for piece in _joined(pieces):
                view = memoryview(piece)
                while len(view):
                    view = view[self._encrypt(view[: WRITE_BYTES - self._outgoing.pending]) :]
                    if self._outgoing.pending >= WRITE_BYTES:
                        await self._drain()
            if self._outgoing.pending:
                await self._drain()
            else:
                await trio.lowlevel.cancel_shielded_checkpoint()
        finally:
            self._sending.release()

    async def wait_send_all_might_not_block(self) -> None:
        """Wait until the transport can take more."""
        self._check_open()
        async with self._sending:
            await self.transport.wait_send_all_might_not_block()

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """Return what has arrived, up to 256 KiB at once, waiting for at least one byte; `b""` at the end."""
        self._check_open()
        if max_bytes is not None and max_bytes < 1:
            raise ValueError("max_bytes must be at least 1")
        limit = READ_BYTES if max_bytes is None else min(max_bytes, READ_BYTES)
        if self._plain is None:
            self._plain = memoryview(bytearray(READ_BYTES))
        with self._receiving_alone():
            await trio.lowlevel.checkpoint_if_cancelled()
            while not (size := self.take(self._plain[:limit])) and not self._ended:
                await self._wait_for_more()
            await trio.lowlevel.cancel_shielded_checkpoint()
            return bytes(self._plain[:size])

    async def receive_more(self) -> bool:
        """Wait until more than was there has arrived, to be had by `take`; False at the end of the stream."""
        self._check_open()
        with self._receiving_alone():
            if self._ended:
                await trio.lowlevel.checkpoint()
            else:
                await self._wait_for_more()
            return not self._ended

    def take(self, room: memoryview) -> int:
        """Decrypt what has arrived straight into `room`, as far as it goes; how many bytes, 0 where there is no more.

        Raises `trio.BrokenResourceError`. Not to be called while another task is in `receive_some`. Before the first
        `receive_more` something may be there already: it came along with the handshake.
        """
        size, most, read = 0, len(room), self._tls.read
        try:
            while size < most:
                got = read(most - size, room[size:])  # a record at most, whatever the room
                if not got:
                    self._ended = True
                    break
                size += int(got)
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLZeroReturnError:
            self._ended = True
        except ssl.SSLError as error:
            if not size:
                self._broken = True
                raise trio.BrokenResourceError(_BROKEN) from error
        return size

    async def aclose(self) -> None:
        """Say goodbye if that is possible at once, and close the transport."""
        if self._closed:
            await trio.lowlevel.checkpoint()
            return
        self._closed = True
        try:
            if not self._broken and not self._sending.locked():
                with contextlib.suppress(ssl.SSLError, ValueError):  # the goodbye is in the buffer, or cannot be said
                    self._tls.unwrap()
                await self._say_last_words()
        finally:
            self._broken = True
            await self.transport.aclose()

    def _check_open(self) -> None:
        if self._closed:
            raise trio.ClosedResourceError("the TLS connection was closed here")

    @contextlib.contextmanager
    def _receiving_alone(self) -> Iterator[None]:
        try:
            self._receiving.acquire_nowait()
        except trio.WouldBlock:
            raise trio.BusyResourceError("another task is receiving") from None
        try:
            yield
        finally:
            self._receiving.release()

    def _encrypt(self, data: memoryview) -> int:
        try:
            return self._tls.write(data)
        except ssl.SSLError as error:
            self._broken = True
            raise trio.BrokenResourceError(_BROKEN) from error

    async def _wait_for_more(self) -> None:
        if self._outgoing.pending:
            await self._flush()
        await self._feed()

    async def _feed(self) -> None:
        """Move what has arrived from the transport to the decrypting side."""
        try:
            data = await self.transport.receive_some(READ_BYTES)
        except trio.ClosedResourceError:
            raise trio.ClosedResourceError("the TLS connection was closed here") from None
        if data:
            self._incoming.write(data)
        else:
            self._incoming.write_eof()

    async def _flush(self) -> None:
        """Send what TLS itself has to say. If another task is sending, that one takes it along."""
        try:
            self._sending.acquire_nowait()
        except trio.WouldBlock:
            return
        try:
            await self._drain()
        finally:
            self._sending.release()

    async def _drain(self) -> None:
        """Send all pending ciphertext; the sending lock is held."""
        while self._outgoing.pending:
            complete = False
            try:
                await self.transport.send_all(self._outgoing.read())
                complete = True
            finally:
                if not complete:
                    self._broken = True

    async def _say_last_words(self) -> None:
        pending = self._outgoing.read()
        if pending:
            with trio.move_on_after(CLOSE_S):
                with contextlib.suppress(trio.BrokenResourceError, trio.ClosedResourceError, trio.BusyResourceError):
                    await self.transport.send_all(pending)


def _joined(pieces: Iterable[_Bytes]) -> Iterator[_Bytes]:
    """The same bytes in the same order: every run of pieces shorter than a record as one."""
    short: list[_Bytes] = []
    for piece in pieces:
        if len(piece) < RECORD_BYTES:
            short.append(piece)
            continue
        if short:
            yield b"".join(short)
            short.clear()
        yield piece
    if short:
        yield b"".join(short)
