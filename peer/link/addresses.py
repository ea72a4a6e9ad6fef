"""Where the coordinator may be. Owns reading addresses, which of them are tried when, and the trust of each.

An address is `https://HOST[:PORT][/PREFIX]`, `http://…`, or `HOST[:PORT]`, which means https on the default port.
Every connection handed out has shaken hands with whoever may speak for the coordinator: the pinned identity key
itself, or, where a proxy or an ordinary certificate stands before it, a name verified in the ordinary way (signing
in then checks the identity too). Plain http is for one's own machine only, unless it was allowed expressly.
"""

import hmac
import ipaddress
import ssl
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

import trio
from trio.abc import Stream

from crypto.certificate import certificate_key
from crypto.identity import coordinator_hash
from peer.link.errors import LinkError, Unreachable, WrongIdentity
from peer.link.http import Dialled
from peer.link.tls import WrongPeer, open_client_tls, pinned_context, verified_context
from peer.ports import Network
from protocol import limits

DEFAULT_PORT: Final = 8440
STAGGER_S: Final = 0.3
"""How long one address may take before the next is tried beside it."""
ATTEMPT_S: Final = 10.0
"""How long connecting and shaking hands with one address may take."""
_PORTS: Final = {"https": 443, "http": 80}


class BadAddress(ValueError):
    """Not an address of a coordinator."""


@dataclass(frozen=True, slots=True)
class Address:
    """One place to connect to. `host_header` and `prefix` are what HTTP says there."""

    text: str
    host: str
    port: int
    secure: bool
    prefix: str

    @property
    def host_header(self) -> str:
        """Host and port as a `Host` header has them."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS["https" if self.secure else "http"] else f"{host}:{self.port}"

    @property
    def is_loopback(self) -> bool:
        """Whether this cannot leave the machine."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"


def parse_address(text: str) -> Address:
    """Read an address. Raises `BadAddress`."""
    if not 0 < len(text) <= 300 or any(not "!" <= character <= "~" for character in text):
        raise BadAddress("an address has 1 to 300 visible ASCII characters")
    bare = "://" not in text
    try:
        parts = urlsplit(f"https://{text}" if bare else text)
        port, host = parts.port, parts.hostname
    except ValueError:
        raise BadAddress("not an address") from None
    if parts.scheme not in _PORTS or not host or parts.query or parts.fragment or "@" in parts.netloc or port == 0:
        raise BadAddress("an address is https://HOST[:PORT][/PREFIX]")
    if port is None:
        port = DEFAULT_PORT if bare else _PORTS[parts.scheme]
    return Address(text, host, port, parts.scheme == "https", parts.path.rstrip("/"))


class Pin:
    """The coordinator's identity: its key, or the 16-byte hash of it that codes carry."""

    def __init__(self, identity: bytes) -> None:
        if len(identity) not in (16, 32):
            raise ValueError("an identity is a key of 32 bytes or a hash of 16")
        self.identity = identity

    def admits(self, key: bytes | None) -> bool:
        """Whether this is the pinned key; takes the same time whichever byte differs."""
        if key is None or len(key) != 32:
            return False
        return hmac.compare_digest(key if len(self.identity) == 32 else coordinator_hash(key), self.identity)

    def admits_certificate(self, der: bytes) -> bool:
        """Whether this certificate is of the pinned key."""
        return self.admits(certificate_key(der))


class Dialer:
    """Connects to the coordinator at whichever address answers first, preferring the one that did last.

    `changed` is called with the address of a connection where it is another than the last one's.
    """

    def __init__(
        self,
        network: Network,
        pin: Pin,
        addresses: Iterable[str],
        *,
        allow_plain: bool = False,
        changed: Callable[[Address], None] | None = None,
    ) -> None:
        self.pin = pin
        self._network = network
        self._allow_plain = allow_plain
        self._changed = changed
        self._addresses: tuple[Address, ...] = ()
        self._current: Address | None = None
        self._ordinary: set[Address] = set()
        self._pinned_tls = pinned_context()
        self._verified_tls: ssl.SSLContext | None = None
        self.set_addresses(addresses)

    @property
    def current(self) -> Address | None:
        """The address that answered last."""
        return self._current

    @property
    def addresses(self) -> tuple[str, ...]:
        """All addresses that are tried, as they were given."""
        return tuple(address.text for address in self._addresses)

    def set_addresses(self, addresses: Iterable[str]) -> None:
        """Use these from now on, and the one that works now; those that cannot be used are left out."""
        usable: dict[str, Address] = {}
        for text in addresses:
            try:
                address = parse_address(text)
            except BadAddress:
                continue
            if address.secure or address.is_loopback or self._allow_plain:
                usable[text] = address
        if self._current is not None:
            usable.setdefault(self._current.text, self._current)
        self._addresses = tuple(usable.values())[: limits.ADDRESSES]

    async def dial(self) -> Dialled:
        """A connection ready for a request. Raises `Unreachable`, or `WrongIdentity` where only others answered."""
        if not self._addresses:
            raise Unreachable("no address of the coordinator is known that may be used")
        order = sorted(self._addresses, key=lambda address: address != self._current)
        failures: list[LinkError] = []
        winners: list[tuple[Address, Stream]] = []

        async def attempt(address: Address, done: trio.Event, scope: trio.CancelScope) -> None:
            try:
                with trio.move_on_after(ATTEMPT_S) as attempt_scope:
                    stream = await self._connect(address)
                    if winners:
                        await trio.aclose_forcefully(stream)
                    else:
                        winners.append((address, stream))
                        scope.cancel()
                if attempt_scope.cancelled_caught and not winners:
                    failures.append(Unreachable(f"{address.text} did not answer for {ATTEMPT_S:.0f} s"))
            except LinkError as error:
                failures.append(error)
            done.set()

        try:
            async with trio.open_nursery() as nursery:
                for address in order:
                    done = trio.Event()
                    nursery.start_soon(attempt, address, done, nursery.cancel_scope)
                    with trio.move_on_after(STAGGER_S):
                        await done.wait()
        except BaseException:
            for _, stream in winners:
                await trio.aclose_forcefully(stream)
            raise
        if not winners:
            raise _worst(failures)
        address, stream = winners[0]
        if address != self._current:
            self._current = address
            if self._changed is not None:
                self._changed(address)
        return Dialled(stream, address.host_header, address.prefix)

    async def _connect(self, address: Address) -> Stream:
        if not address.secure:
            return await self._plain(address)
        if address not in self._ordinary:
            stream = await self._plain(address)
            try:
                return await open_client_tls(stream, self._pinned_tls, None, self.pin.admits_certificate)
            except WrongPeer:
                pass  # an ordinary certificate, perhaps
            except trio.BrokenResourceError as error:
                if not isinstance(error.__cause__, ssl.SSLError) or isinstance(error.__cause__, ssl.SSLEOFError):
                    raise Unreachable(f"{address.text} broke off") from error  # otherwise older TLS, perhaps
        stream = await self._plain(address)
        if self._verified_tls is None:
            self._verified_tls = verified_context()
        try:
            secured = await open_client_tls(stream, self._verified_tls, address.host)
        except trio.BrokenResourceError as error:
            self._ordinary.discard(address)
            if isinstance(error.__cause__, ssl.CertificateError):
                raise WrongIdentity(f"{address.text} is not the coordinator of this code") from error
            raise Unreachable(f"{address.text} broke off, or does not speak TLS") from error
        self._ordinary.add(address)
        return secured

    async def _plain(self, address: Address) -> Stream:
        try:
            return await self._network.connect(address.host, address.port)
        except OSError as error:
            raise Unreachable(f"{address.text} cannot be reached: {error.strerror or 'nobody answered'}") from error


def _worst(failures: list[LinkError]) -> LinkError:
    """The failure that says most: a stranger at the coordinator's address before a dead line."""
    for failure in failures:
        if isinstance(failure, WrongIdentity):
            return failure
    return failures[0] if len(failures) == 1 else Unreachable("; ".join(dict.fromkeys(str(f) for f in failures)))
