"""The doors between devices and the local network. Owns the protocols; nothing here does anything.

The real ones are made only in `peer.app`, simulated ones only in `simulations`. Connections to others are made
through `peer.ports.Network`.
"""

from contextlib import AbstractAsyncContextManager
from typing import NamedTuple, Protocol

from trio.abc import Stream


class Heard(NamedTuple):
    """A datagram, and the numeric address that it says it is from (with its zone, where IPv6 needs one)."""

    data: bytes
    host: str


class Multicast(Protocol):
    """Datagrams to and from everybody nearby. Any of them may be lost, doubled or forged."""

    async def send(self, data: bytes) -> None:
        """Send on every interface that takes it; what an interface does not take is lost."""
        ...

    async def receive(self) -> Heard:
        """Wait for the next datagram. In a flood only so many a second are read, and the rest is lost."""
        ...

    async def wait_changed(self) -> None:
        """Return when an interface has come, gone, or changed its address since the last call."""
        ...


class Accepted(NamedTuple):
    """A connection that somebody made: the numeric address that it is from, and the one of ours that was called."""

    stream: Stream
    host: str
    called: str


class Listener(Protocol):
    """Where other devices connect."""

    port: int

    async def accept(self) -> Accepted:
        """Wait for the next connection."""
        ...


class LocalNetwork(Protocol):
    """The networks that this machine is on."""

    def addresses(self) -> tuple[bytes, ...]:
        """The addresses of its interfaces, of any kind, 4 or 16 bytes each; the likeliest to be of use first."""
        ...

    def open_multicast(self) -> AbstractAsyncContextManager[Multicast]:
        """Take part in multicast on every interface, also those that come later. Raises `OSError`."""
        ...

    def open_listener(self) -> AbstractAsyncContextManager[Listener]:
        """Listen for connections on a free port, on every interface. Raises `OSError`."""
        ...
