"""A control socket that answers with given values: the daemon's end as far as a command can tell."""

import contextlib
import os
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from peer.control.client import socket_path
from peer.control.messages import AnyReply, AnyRequest
from peer.home import Home, Identity, pack_bundled, pack_links

Answer = Callable[[AnyRequest], list[AnyReply]]

IDENTITY = Identity(
    device_seed=b"\x01" * 32,
    recovery_seed=b"\x02" * 32,
    device_id=b"d" * 16,
    device_name="laptop",
    user_id=b"u" * 16,
    user_name="ana",
    coordinator=b"c" * 32,
    addresses=("https://127.0.0.1:1",),
    chain=pack_links(()),
    bundle=pack_bundled(()),
)


def joined_home(path: Path) -> Home:
    """A home with an identity that no coordinator knows."""
    home = Home.at(path)
    home.prepare()
    home.write_identity(IDENTITY)
    return home


@contextlib.contextmanager
def open_control_server(home: Home, answer: Answer) -> Iterator[list[AnyRequest]]:
    """Answers each request with the lines that `answer` gives for it; yields the requests as they come in."""
    seen: list[AnyRequest] = []
    decoder = msgspec.json.Decoder(AnyRequest)

    def serve(listener: socket.socket) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection, connection.makefile("rwb") as lines, contextlib.suppress(BrokenPipeError):
                request: AnyRequest = decoder.decode(lines.readline())
                seen.append(request)
                for reply in answer(request):
                    lines.write(msgspec.json.encode(reply) + b"\n")
                    lines.flush()

    path = os.fspath(socket_path(home.path))
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(path)
        listener.listen()
        server = threading.Thread(target=serve, args=(listener,))
        server.start()
        try:
            yield seen
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            server.join()
            os.unlink(path)
