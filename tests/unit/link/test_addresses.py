"""Reading addresses, and connecting to the one that answers."""

import contextlib
import datetime as dt
from pathlib import Path

import pytest
import trio
import trio.testing
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st
from trio.abc import Stream

from crypto.identity import coordinator_hash
from peer.link.addresses import BadAddress, Dialer, Pin, parse_address
from peer.link.errors import Unreachable, WrongIdentity
from peer.link.network import TrioNetwork
from tests.common.link_server import identity_of, open_raw_server, write_certificate

IDENTITY = identity_of(1)
PIN = Pin(IDENTITY.public)


@pytest.mark.parametrize(
    ("text", "host", "port", "secure", "prefix", "header"),
    [
        ("https://h:1/p/", "h", 1, True, "/p", "h:1"),
        ("https://h", "h", 443, True, "", "h"),
        ("http://[::1]:81", "::1", 81, False, "", "[::1]:81"),
        ("192.0.2.1", "192.0.2.1", 8440, True, "", "192.0.2.1:8440"),
        ("[2001:db8::1]:9", "2001:db8::1", 9, True, "", "[2001:db8::1]:9"),
    ],
)
def test_addresses_are_read(text: str, host: str, port: int, secure: bool, prefix: str, header: str) -> None:
    address = parse_address(text)
    assert (address.host, address.port, address.secure, address.prefix) == (host, port, secure, prefix)
    assert address.host_header == header


@pytest.mark.parametrize(
    "text",
    ["", "ftp://h", "https://", "https://u@h", "h:0", "h:70000", "https://h?q", "https://[::1", "a b", "h\r\nx: y"],
)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(BadAddress):
        parse_address(text)


@given(st.text(max_size=40))
def test_any_text_is_an_address_or_refused(text: str) -> None:
    with contextlib.suppress(BadAddress):
        parse_address(text)


def test_a_pin_admits_the_key_by_itself_or_by_its_hash_and_no_other() -> None:
    for pin in (PIN, Pin(coordinator_hash(IDENTITY.public))):
        assert pin.admits(IDENTITY.public)
        assert not pin.admits(identity_of(2).public)
        assert not pin.admits(None)
        assert not pin.admits(b"")
        assert not pin.admits_certificate(b"junk")


def test_plain_http_is_only_for_ones_own_machine() -> None:
    given_ = ["http://192.0.2.1", "http://127.0.0.1:1", "http://localhost", "https://192.0.2.1", "nonsense://x"]
    assert Dialer(TrioNetwork(), PIN, given_).addresses == (
        "http://127.0.0.1:1",
        "http://localhost",
        "https://192.0.2.1",
    )
    assert "http://192.0.2.1" in Dialer(TrioNetwork(), PIN, given_, allow_plain=True).addresses


async def listen(heard: bytearray, stream: Stream) -> None:
    while data := await stream.receive_some():
        heard.extend(data)


async def test_the_pinned_coordinator_is_connected_to(tmp_path: Path) -> None:
    heard = bytearray()

    async def handle(stream: Stream) -> None:
        await listen(heard, stream)

    async with open_raw_server(handle, write_certificate(tmp_path, IDENTITY)) as port:
        dialer = Dialer(TrioNetwork(), Pin(coordinator_hash(IDENTITY.public)), [f"https://127.0.0.1:{port}/base"])
        dialled = await dialer.dial()
        assert (dialled.host, dialled.prefix) == (f"127.0.0.1:{port}", "/base")
        await dialled.stream.aclose()


async def test_a_stranger_at_the_address_is_told_nothing(tmp_path: Path) -> None:
    heard = bytearray()

    async def handle(stream: Stream) -> None:
        await listen(heard, stream)

    async with open_raw_server(handle, write_certificate(tmp_path, identity_of(2))) as port:
        with pytest.raises(WrongIdentity):
            await Dialer(TrioNetwork(), PIN, [f"https://127.0.0.1:{port}"]).dial()
    assert not heard


class Lines:
    """A network whose hosts take a given time to answer; a negative time is a refusal."""

    def __init__(self, **delays: float) -> None:
        self.delays = delays
        self.tried: list[str] = []
        self.open: list[Stream] = []

    async def connect(self, host: str, port: int) -> Stream:
        self.tried.append(host)
        delay = self.delays[host]
        if delay < 0:
            raise ConnectionRefusedError(111, "Connection refused")
        await trio.sleep(delay)
        near, _ = trio.testing.memory_stream_pair()
        self.open.append(near)
        return near


def plain(lines: Lines) -> Dialer:
    return Dialer(lines, PIN, [f"http://{host}:1" for host in lines.delays], allow_plain=True)


async def test_a_refusing_address_gives_way_to_the_next_at_once(autojump_clock: trio.testing.MockClock) -> None:
    lines = Lines(a=-1, b=0.01)
    assert (await plain(lines).dial()).host == "b:1"
    assert trio.current_time() < 0.1


async def test_a_dead_address_holds_nobody_up(autojump_clock: trio.testing.MockClock) -> None:
    lines = Lines(a=1000, b=1000, c=0.1)
    dialer = plain(lines)
    assert (await dialer.dial()).host == "c:1"
    assert trio.current_time() < 1
    lines.tried.clear()
    assert (await dialer.dial()).host == "c:1"
    assert lines.tried == ["c"]


async def test_the_address_that_stopped_answering_is_left_for_another(autojump_clock: trio.testing.MockClock) -> None:
    lines = Lines(a=0.01, b=0.01)
    dialer = plain(lines)
    assert (await dialer.dial()).host == "a:1"
    lines.delays["a"] = -1
    assert (await dialer.dial()).host == "b:1"


async def test_all_dead_is_unreachable_within_the_time_for_one_attempt(autojump_clock: trio.testing.MockClock) -> None:
    with pytest.raises(Unreachable):
        await plain(Lines(a=1000, b=1000, c=-1)).dial()
    assert trio.current_time() < 12


async def test_of_two_that_answer_at_once_one_is_closed(autojump_clock: trio.testing.MockClock) -> None:
    lines = Lines(a=0.4, b=0.1)
    await plain(lines).dial()
    assert len(lines.open) <= 2


async def test_no_usable_address_is_unreachable() -> None:
    with pytest.raises(Unreachable):
        await Dialer(TrioNetwork(), PIN, ["http://192.0.2.1"]).dial()


def ordinary_certificate(directory: Path, name: str) -> tuple[Path, Path]:
    """An authority's certificate, and one that it issued for a name, with its key."""
    key = Ed25519PrivateKey.generate()
    start, end = dt.datetime(2020, 1, 1, tzinfo=dt.UTC), dt.datetime(2099, 1, 1, tzinfo=dt.UTC)

    def builder(subject: str, public: Ed25519PublicKey, *, ca: bool) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject)]))
            .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "authority")]))
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(start)
            .not_valid_after(end)
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        )

    authority = builder("authority", key.public_key(), ca=True).sign(key, None)
    own = Ed25519PrivateKey.generate()
    names = x509.SubjectAlternativeName([x509.DNSName(name)])
    issued = builder(name, own.public_key(), ca=False).add_extension(names, critical=False).sign(key, None)
    authority_path, issued_path = directory / "authority.pem", directory / f"{name}.pem"
    authority_path.write_bytes(authority.public_bytes(Encoding.PEM))
    private = own.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    issued_path.write_bytes(issued.public_bytes(Encoding.PEM) + private)
    return authority_path, issued_path


@pytest.mark.parametrize(("name", "trusted"), [("localhost", True), ("elsewhere.test", False)])
async def test_an_ordinary_certificate_is_taken_for_its_own_name_only(
    name: str, trusted: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority, issued = ordinary_certificate(tmp_path, name)
    monkeypatch.setenv("SSL_CERT_FILE", str(authority))
    heard = bytearray()

    async def handle(stream: Stream) -> None:
        await listen(heard, stream)

    async with open_raw_server(handle, issued) as port:
        dialer = Dialer(TrioNetwork(), PIN, [f"https://localhost:{port}"])
        if trusted:
            for _ in range(2):
                await (await dialer.dial()).stream.aclose()
        else:
            with pytest.raises(WrongIdentity):
                await dialer.dial()
    assert not heard
