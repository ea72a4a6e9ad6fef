"""The command's end of the control socket. Owns finding the socket and the conversation; blocks, needs no trio."""

import contextlib
import hashlib
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec

from peer.control.messages import AnyReply, Failure, Request

LINE_BYTES: Final = 16 * 1024 * 1024
_SUN_PATH: Final = 100
"""A Unix socket's path may have 107 bytes; longer homes get a socket in the runtime directory."""

_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(AnyReply)


class NoDaemon(Exception):
    """Nobody answers on the control socket."""


def socket_path(home: Path) -> Path:
    """Where the control socket of the daemon of this home is."""
    path = home / "control.sock"
    if len(os.fsencode(path)) <= _SUN_PATH:
        return path
    runtime = Path(os.environ.get("XDG_RUNTIME_DIR") or f"/tmp/shoal-{os.getuid()}")  # noqa: S108 - 0700, checked
    digest = hashlib.blake2b(os.fsencode(home.resolve()), digest_size=8).hexdigest()
    return runtime / f"shoal-{digest}.sock"


@contextlib.contextmanager
def converse(home: Path, request: Request, timeout_s: float | None = None) -> Iterator[Iterator[AnyReply]]:
    """Send a request; yields the answers as they come. Raises `NoDaemon`, also where the daemon ends midway."""
    with contextlib.closing(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)) as connection:
        connection.settimeout(timeout_s)
        try:
            connection.connect(os.fspath(socket_path(home)))
            connection.sendall(_encoder.encode(request) + b"\n")
        except OSError as error:
            raise NoDaemon(f"no daemon is running for {home}: start one with `shoal start`") from error
        with connection.makefile("rb") as lines:
            yield _replies(lines)


def ask(home: Path, request: Request, timeout_s: float | None = None) -> AnyReply:
    """Send a request that has one answer. Raises `NoDaemon`; a `Failure` is returned like any answer."""
    with converse(home, request, timeout_s) as replies:
        for reply in replies:
            return reply
    raise NoDaemon("the daemon ended before it answered: see its log, or start it again with `shoal start`")


def _replies(lines: "socket.SocketIO | object") -> Iterator[AnyReply]:
    readline = lines.readline  # type: ignore[union-attr]
    try:
        while line := readline(LINE_BYTES):
            reply = _decoder.decode(line)
            yield reply
            if isinstance(reply, Failure):
                return
    except (OSError, msgspec.DecodeError) as error:
        raise NoDaemon(f"the daemon's answer broke off ({error}): see its log") from error
