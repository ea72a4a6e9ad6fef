"""Who may shake hands with whom."""

import datetime as dt
import ssl
from collections.abc import Callable
from pathlib import Path

import pytest
import trio
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.x509.oid import NameOID
from trio.testing import memory_stream_pair

from crypto.certificate import known_certificate
from crypto.identity import SigningKey
from peer.lan.trust import dial_context, listen_context, proved_key
from peer.link.tls import TlsStream, open_client_tls, open_server_tls

ANA, BEN, EVE = (SigningKey.from_seed(bytes([number]) * 32) for number in (1, 2, 3))
KNOCK = "a member's knock"


class Met:
    """What came of a handshake: the key that each side proved to the other, and what was said."""

    def __init__(self) -> None:
        self.by_dialler: bytes | None = None
        self.by_listener: bytes | None = None
        self.heard = b""
        self.version: str | None = None


async def meet(dialling: ssl.SSLContext, listening: ssl.SSLContext, knock: str | None = KNOCK) -> Met:
    """Shake hands and send a word each way."""
    near, far = memory_stream_pair()
    met = Met()

    async def dial() -> None:
        stream = TlsStream(near, dialling, server_side=False, server_name=knock)
        try:
            await stream.do_handshake()
            met.by_listener = proved_key(stream.peer_certificate)
            await stream.send_all(b"to the listener")
            assert await stream.receive_some() == b"to the dialler"
            met.version = stream._tls.version()
            session = stream._tls.session
            assert session is None or not session.has_ticket
        except trio.BrokenResourceError:
            pass  # the test looks at what is missing
        finally:
            await trio.aclose_forcefully(stream)

    async def listen() -> None:
        try:
            stream = await open_server_tls(far, listening)
        except trio.BrokenResourceError:
            return
        try:
            met.by_dialler = proved_key(stream.peer_certificate)
            met.heard = await stream.receive_some()
            await stream.send_all(b"to the dialler")
        except trio.BrokenResourceError:
            pass
        finally:
            await trio.aclose_forcefully(stream)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(dial)
        nursery.start_soon(listen)
    return met


def ben_listens(*known: SigningKey, admit: Callable[[str], bool] = lambda knock: knock == KNOCK) -> ssl.SSLContext:
    return listen_context(BEN, [key.public for key in known], admit)


async def test_two_devices_that_know_each_other_meet() -> None:
    met = await meet(dial_context(ANA, BEN.public), ben_listens(ANA, EVE))
    assert (met.by_dialler, met.by_listener) == (ANA.public, BEN.public)
    assert met.heard == b"to the listener"
    assert met.version == "TLSv1.3"


@pytest.mark.parametrize("known", [[], [ANA]], ids=["nobody is known", "somebody else is known"])
async def test_a_stranger_or_a_revoked_device_is_not_let_in_and_hears_and_says_nothing(known: list[SigningKey]) -> None:
    met = await meet(dial_context(EVE, BEN.public), ben_listens(*known))
    assert met.by_dialler is None
    assert not met.heard


async def test_a_known_device_cannot_answer_for_another() -> None:
    met = await meet(dial_context(ANA, EVE.public), ben_listens(ANA))
    assert met.by_listener is None
    assert met.by_dialler is None, "and it does not learn who called"
    assert not met.heard


def first_answer(knock: str | None) -> bytes:
    """What a listener says to a first message."""
    hello, answer = ssl.MemoryBIO(), ssl.MemoryBIO()
    dialling = dial_context(ANA, BEN.public).wrap_bio(ssl.MemoryBIO(), hello, server_hostname=knock)
    with pytest.raises(ssl.SSLWantReadError):
        dialling.do_handshake()
    listening = ben_listens(ANA).wrap_bio(hello, answer, server_side=True)
    with pytest.raises(ssl.SSLError):
        listening.do_handshake()
    return answer.read()


@pytest.mark.parametrize("knock", [None, "another"])
async def test_who_does_not_knock_is_not_shown_a_certificate(knock: str | None) -> None:
    met = await meet(dial_context(ANA, BEN.public), ben_listens(ANA), knock)
    assert (met.by_listener, met.by_dialler) == (None, None)
    assert len(first_answer(KNOCK)) > len(known_certificate(BEN.public))
    assert len(first_answer(knock)) < 20, "an alert, and no more"


async def test_a_judge_who_fails_lets_nobody_in() -> None:
    def fails(knock: str) -> bool:
        return False

    assert (await meet(dial_context(ANA, BEN.public), ben_listens(ANA, admit=fails))).by_listener is None


def with_certificate(context: ssl.SSLContext, certificate: bytes, key: SigningKey, folder: Path) -> ssl.SSLContext:
    """The same context, showing another certificate."""
    private = Ed25519PrivateKey.from_private_bytes(key.seed)
    pem = private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    file = folder / "chosen.pem"
    file.write_bytes(ssl.DER_cert_to_PEM_cert(certificate).encode() + pem)
    context.load_cert_chain(file)
    return context


def forged(
    subject: x509.Name, issuer: x509.Name, key: SigningKey, signer: SigningKey, *, until_year: int = 2099
) -> bytes:
    """A certificate that says what its maker likes."""
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(Ed25519PrivateKey.from_private_bytes(key.seed).public_key())
        .serial_number(x509.load_der_x509_certificate(known_certificate(ANA.public)).serial_number)
        .not_valid_before(dt.datetime(2020, 1, 1, tzinfo=dt.UTC))
        .not_valid_after(dt.datetime(until_year, 1, 1, tzinfo=dt.UTC))
        .sign(Ed25519PrivateKey.from_private_bytes(signer.seed), None)
        .public_bytes(serialization.Encoding.DER)
    )


async def test_a_members_names_and_a_members_signature_are_worth_nothing(tmp_path: Path) -> None:
    anas = x509.load_der_x509_certificate(known_certificate(ANA.public))
    mine = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "eve")])
    for certificate in (
        forged(anas.subject, anas.issuer, EVE, EVE),
        forged(anas.subject, anas.subject, EVE, EVE),
        forged(mine, anas.subject, EVE, ANA),
        forged(mine, anas.issuer, EVE, EVE),
        forged(anas.subject, anas.issuer, EVE, EVE, until_year=2021),
        known_certificate(EVE.public),
    ):
        context = with_certificate(dial_context(EVE, BEN.public), certificate, EVE, tmp_path)
        met = await meet(context, ben_listens(ANA))
        assert met.by_dialler is None
        assert not met.heard
        listening = with_certificate(listen_context(EVE, [ANA.public], lambda knock: True), certificate, EVE, tmp_path)
        assert (await meet(dial_context(ANA, BEN.public), listening)).by_listener is None


async def test_a_members_own_key_is_taken_with_the_one_certificate_that_follows_from_it(tmp_path: Path) -> None:
    anas = x509.load_der_x509_certificate(known_certificate(ANA.public))
    for until_year in (2021, 2099):
        certificate = forged(anas.subject, anas.issuer, ANA, ANA, until_year=until_year)
        context = with_certificate(dial_context(ANA, BEN.public), certificate, ANA, tmp_path)
        assert (await meet(context, ben_listens(ANA))).by_dialler is None


async def test_older_tls_is_not_spoken() -> None:
    context = dial_context(ANA, BEN.public)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    assert (await meet(context, ben_listens(ANA))).by_listener is None


async def test_a_dialler_without_a_certificate_is_not_let_in() -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    met = await meet(context, ben_listens(ANA))
    assert met.by_dialler is None
    assert not met.heard


async def test_a_rotation_of_the_set_is_a_new_context() -> None:
    assert (await meet(dial_context(ANA, BEN.public), ben_listens(ANA))).by_dialler == ANA.public
    assert (await meet(dial_context(ANA, BEN.public), ben_listens(EVE))).by_dialler is None


async def test_the_other_side_may_be_reached_only_with_its_own_key() -> None:
    near, far = memory_stream_pair()
    async with trio.open_nursery() as nursery:

        async def listen() -> None:
            with pytest.raises(trio.BrokenResourceError):
                await open_server_tls(far, ben_listens(ANA))

        nursery.start_soon(listen)
        with pytest.raises(trio.BrokenResourceError):
            await open_client_tls(near, dial_context(ANA, EVE.public), KNOCK)
