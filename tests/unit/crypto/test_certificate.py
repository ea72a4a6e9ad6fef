"""Self-signed certificates, and the key read back from one."""

import ssl
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding

from crypto.certificate import NO_EXPIRY, NOT_BEFORE, certificate_for, certificate_key
from crypto.identity import DeviceKeys

KEYS = DeviceKeys.from_seed(b"d" * 32)
PAIR = certificate_for(KEYS.tls.seed, "shoal")


def test_a_certificate_carries_its_key() -> None:
    assert certificate_key(PAIR.der) == KEYS.tls.public
    assert certificate_key(ssl.PEM_cert_to_DER_cert(PAIR.certificate_pem.decode())) is not None


def test_the_same_arguments_give_the_same_bytes() -> None:
    assert certificate_for(KEYS.tls.seed, "shoal") == PAIR
    assert certificate_for(KEYS.sign.seed, "shoal").der != PAIR.der
    assert certificate_for(KEYS.tls.seed, "shoal", serial=7).der != PAIR.der


def test_the_secret_key_is_not_shown() -> None:
    assert "PRIVATE" not in repr(PAIR)


def test_what_is_not_such_a_certificate_has_no_key() -> None:
    assert certificate_key(b"") is None
    assert certificate_key(PAIR.der[:-1]) is None
    assert certificate_key(bytes(100_000)) is None
    assert certificate_key(PAIR.certificate_pem) is None


def test_a_certificate_of_another_kind_of_key_has_no_key() -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([])
    other = (
        x509.CertificateBuilder(name, name, key.public_key(), 5, NOT_BEFORE, NO_EXPIRY)
        .sign(key, SHA256())
        .public_bytes(Encoding.DER)
    )
    assert certificate_key(other) is None


@pytest.mark.filterwarnings("ignore:Parsed a serial number")
def test_damage_never_raises() -> None:
    for bit in range(len(PAIR.der) * 8):
        spoilt = bytearray(PAIR.der)
        spoilt[bit // 8] ^= 1 << bit % 8
        certificate_key(bytes(spoilt))


def test_two_devices_meet_over_tls_with_certificates_pinned(tmp_path: Path) -> None:
    other = certificate_for(DeviceKeys.from_seed(b"o" * 32).tls.seed, "other")

    def context(side: ssl._SSLMethod, own: bytes, key: bytes, trusted: bytes) -> ssl.SSLContext:
        made = ssl.SSLContext(side)
        made.minimum_version = ssl.TLSVersion.TLSv1_3
        made.check_hostname = False
        made.verify_mode = ssl.CERT_REQUIRED
        made.verify_flags |= ssl.VerifyFlags.VERIFY_X509_PARTIAL_CHAIN
        path = tmp_path / "pair.pem"
        path.write_bytes(own + key)
        made.load_cert_chain(path)
        made.load_verify_locations(cadata=trusted.decode())
        return made

    client_context = context(ssl.PROTOCOL_TLS_CLIENT, PAIR.certificate_pem, PAIR.key_pem, other.certificate_pem)
    server_context = context(ssl.PROTOCOL_TLS_SERVER, other.certificate_pem, other.key_pem, PAIR.certificate_pem)
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = client_context.wrap_bio(to_client, to_server)
    server = server_context.wrap_bio(to_server, to_client, server_side=True)
    for side in (client, server) * 2:
        try:
            side.do_handshake()
        except ssl.SSLWantReadError:
            continue
    assert client.getpeercert(binary_form=True) == other.der
    assert server.getpeercert(binary_form=True) == PAIR.der
