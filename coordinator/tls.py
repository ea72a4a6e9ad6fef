"""The server's side of TLS: 1.3 only, HTTP/1.1 only. Owns the context and the stream; never decides whom to trust.

`trio.SSLStream` hands out one record of at most 16 KiB a call. Here `ssl.MemoryBIO`s are pumped with large reads, and
an idle connection holds no buffer.
"""

import contextlib
import ssl
from pathlib import Path
from typing import Final

import trio

from coordinator.identity import CoordinatorIdentity
from coordinator.ports import Files

CERTIFICATE_FILE: Final = "tls.crt"
KEY_FILE: Final = "tls.key"
_RECORD_BYTES: Final = 16 * 1024
_PIECE_BYTES: Final = 256 * 1024
_BROKEN: Final = "the TLS connection is broken"


class BadCertificate(Exception):
    """The certificate or its key cannot be used. The text says why."""


def own_context(data: Path, files: Files, identity: CoordinatorIdentity) -> ssl.SSLContext:
    """A context with the identity's self-signed certificate, which is written to the data directory to be loaded."""
    pair = identity.certificate()
    for path, content in ((data / CERTIFICATE_FILE, pair.certificate_pem), (data / KEY_FILE, pair.key_pem)):
        if files.read(path) != content:
            files.write(path, content, private=True)
    return given_context(data / CERTIFICATE_FILE, data / KEY_FILE)


def given_context(certificate: Path, key: Path) -> ssl.SSLContext:
    """A context with the host's own certificate chain and key (PEM). Raises `BadCertificate`."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_TICKET
    context.num_tickets = 0
    context.set_alpn_protocols(["http/1.1"])
    try:
        context.load_cert_chain(certificate, key)
    except (OSError, ssl.SSLError) as error:
        raise BadCertificate(f"cannot use {certificate} with {key}: {error.strerror or error}") from None
    return context


class TlsStream(trio.abc.HalfCloseableStream):
    """The server's end of a TLS connection. One task may send while another receives.

    A cancelled or failed send leaves it broken. An end of the transport without TLS's own goodbye counts as broken, so
    a body that was cut is not taken for a whole one.
    """

    def __init__(self, transport: trio.abc.HalfCloseableStream, context: ssl.SSLContext) -> None:
        self.transport = transport
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        self._sending = trio.Lock()
        self._broken = False
        self._farewell = False

    async def do_handshake(self) -> None:
        """Once, before anything else. Raises `trio.BrokenResourceError`; deadlines are the caller's."""
        while True:
            try:
                self._tls.do_handshake()
            except ssl.SSLWantReadError:
                await self._flush()
                await self._feed(_RECORD_BYTES)
            except ssl.SSLError as error:
                await self._flush()
                raise self._break() from error
            else:
                await self._flush()
                return

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Returns when the transport has taken all of it."""
        view = memoryview(data)
        for at in range(0, len(view), _PIECE_BYTES):
            async with self._sending:
                if self._broken:
                    raise self._break()
                try:
                    self._tls.write(view[at : at + _PIECE_BYTES])
                except ssl.SSLError as error:
                    raise self._break() from error
                await self._drain()

    async def wait_send_all_might_not_block(self) -> None:
        """As the transport says."""
        await self.transport.wait_send_all_might_not_block()

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """What has arrived, several records at once; `b""` after the other end's goodbye."""
        most = max_bytes or _PIECE_BYTES
        while True:
            parts: list[bytes] = []
            size = 0
            ended = False
            try:
                while size < most and not ended:
                    part = self._tls.read(min(_RECORD_BYTES, most - size))
                    parts.append(part)
                    size += len(part)
                    ended = not part
            except ssl.SSLWantReadError:
                pass
            except ssl.SSLZeroReturnError:
                ended = True
            except ssl.SSLError as error:
                raise self._break() from error
            if self._outgoing.pending:
                await self._flush()
            if size or ended:
                await trio.lowlevel.checkpoint_if_cancelled()
                return b"".join(parts)
            await self._feed(most)

    async def send_eof(self) -> None:
        """Say TLS's goodbye, then end the transport's direction. What still arrives can be received."""
        async with self._sending:
            if not self._farewell and not self._broken:
                self._farewell = True
                with contextlib.suppress(ssl.SSLError):  # the goodbye is in the buffer; the other end's has not come
                    self._tls.unwrap()
                await self._drain()
                await self.transport.send_eof()

    async def aclose(self) -> None:
        """Close the transport, without a goodbye that nobody may be there to take."""
        self._broken = True
        await self.transport.aclose()

    def _break(self) -> trio.BrokenResourceError:
        self._broken = True
        return trio.BrokenResourceError(_BROKEN)

    async def _feed(self, most: int) -> None:
        data = await self.transport.receive_some(most)
        if not data:
            raise self._break()
        self._incoming.write(data)

    async def _flush(self) -> None:
        async with self._sending:
            await self._drain()

    async def _drain(self) -> None:
        if not self._outgoing.pending:
            return
        try:
            await self.transport.send_all(self._outgoing.read())
        except BaseException:
            self._broken = True
            raise


class TlsListener(trio.abc.Listener[TlsStream]):
    """Hands out connections that have not shaken hands yet."""

    def __init__(self, listener: trio.SocketListener, context: ssl.SSLContext) -> None:
        self._listener = listener
        self._context = context

    async def accept(self) -> TlsStream:
        """The next connection."""
        return TlsStream(await self._listener.accept(), self._context)

    async def aclose(self) -> None:
        """Stop listening."""
        await self._listener.aclose()
