"""Strangers on a LAN. Owns what each of them does and what it gets by it; has nobody's keys.

They sit where the switch is, with as many addresses as they like.
"""

import re
import socket
import ssl
import threading
from contextlib import suppress
from typing import Final, NamedTuple

import trio

from protocol.beacon import GROUP_V4, PORT
from protocol.lan import LanHello
from protocol.lan_frames import message_frame

_KNOCK: Final = re.compile(rb"[0-9a-f]{32}\.[0-9a-f]{32}")
_CALL_S: Final = 6.0


class Got(NamedTuple):
    """What came back: as it came, and what TLS let through of it."""

    raw: bytes
    said: bytes


def call(host: str, port: int, source: str, context: ssl.SSLContext, knock: str | None) -> Got:
    """Call a device by TLS, and hear it out."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = context.wrap_bio(incoming, outgoing, server_hostname=knock)
    raw = said = b""
    is_met = False
    with socket.create_connection((host, port), _CALL_S, (source, 0)) as line, suppress(OSError):
        while True:
            try:
                if not is_met:
                    tls.do_handshake()
                    is_met = True
                    tls.write(message_frame(LanHello(1, 0, (), ())))
                said += tls.read(65_536)
            except ssl.SSLWantReadError:
                pass
            line.sendall(outgoing.read())
            came = line.recv(65_536)
            if not came:
                break
            raw += came
            incoming.write(came)
    return Got(raw, said)


def send_raw(host: str, port: int, source: str, data: bytes) -> bytes:
    """Say something that is not TLS; what came back."""
    with socket.create_connection((host, port), _CALL_S, (source, 0)) as line, suppress(OSError):
        line.sendall(data)
        return line.recv(65_536)
    return b""


class Ear:
    """Takes down all beacons that are heard at one address, with where they are from. A context."""

    def __init__(self, address: str) -> None:
        self.heard: list[tuple[bytes, str]] = []
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._socket.bind((GROUP_V4, PORT))
        group = socket.inet_aton(GROUP_V4) + socket.inet_aton(address)
        self._socket.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, group)
        self._socket.settimeout(0.2)
        self._ends = threading.Event()
        self._thread = threading.Thread(target=self._listen)

    def __enter__(self) -> "Ear":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ends.set()
        self._thread.join()
        self._socket.close()

    def _listen(self) -> None:
        while not self._ends.is_set():
            with suppress(TimeoutError):
                data, (host, _) = self._socket.recvfrom(65_536)
                self.heard.append((data, host))

    def last_of(self, host: str) -> bytes:
        """The last one from there."""
        return next(data for data, its in reversed(self.heard) if its == host)


class Trap:
    """Listens where a replayed beacon says that a device is, and passes what it hears on to the true one."""

    def __init__(self, address: str, port: int, true_host: str) -> None:
        self._at = (address, port)
        self._true = (true_host, port)
        self.hellos: list[bytes] = []
        self.answers: list[bytes] = []
        """What the true device said to what was passed on."""

    async def run(self) -> None:
        listeners = await trio.open_tcp_listeners(self._at[1], host=self._at[0])
        await trio.serve_listeners(self._take, listeners)

    async def _take(self, stream: trio.SocketStream) -> None:
        with suppress(OSError, trio.BrokenResourceError), trio.move_on_after(_CALL_S):
            hello = bytes(await stream.receive_some(65_536))
            self.hellos.append(hello)
            async with await trio.open_tcp_stream(*self._true) as true:
                await true.send_all(hello)
                answer = bytes(await true.receive_some(65_536))
                self.answers.append(answer)
                await stream.send_all(answer)
                await trio.sleep_forever()

    @property
    def knocks(self) -> list[str]:
        """By what it was called."""
        return [found.group().decode() for hello in self.hellos if (found := _KNOCK.search(hello))]
