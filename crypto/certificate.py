"""Certificates that say nothing but a public key.

Owns their making and reading the key back. Never decides who is trusted: that is the comparison of
the key, and dates and names are not looked at.

Two kinds. A coordinator's is *self-signed*, made from its seed. A device's on the LAN is *known*: a
function of its public key alone, so that everybody who knows the key has the certificate too, and can
name it to TLS as the one to trust. It is signed by a key that everybody can make, so the signature says
nothing at all; that its holder has the key is proved by the handshake.
"""

import datetime as dt
from dataclasses import dataclass, field
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.x509.oid import NameOID

from crypto.digest import digest
from crypto.labels import Label

NOT_BEFORE: Final = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
NO_EXPIRY: Final = dt.datetime(9999, 12, 31, 23, 59, 59, tzinfo=dt.UTC)
"""RFC 5280, section 4.1.2.5: a certificate without a well-defined expiry."""

MAX_CERTIFICATE_BYTES: Final = 16 * 1024
_SERIAL_BYTES: Final = 16


@dataclass(frozen=True, slots=True)
class CertificatePair:
    """A certificate, and the key that belongs to it, both as PEM; `der` is the certificate."""

    certificate_pem: bytes
    key_pem: bytes = field(repr=False)
    der: bytes


def certificate_for(
    seed: bytes,
    common_name: str,
    not_before: dt.datetime = NOT_BEFORE,
    serial: int | None = None,
) -> CertificatePair:
    """A self-signed X.509 certificate of the key with this 32-byte seed.

    Deterministic: the same arguments give the same bytes. The common name has 1 to 64
    characters. Without a serial number it is made from the key.
    """
    key = Ed25519PrivateKey.from_private_bytes(seed)
    public = key.public_key()
    if serial is None:
        raw = digest(Label.ID_SERIAL, public.public_bytes_raw(), size=_SERIAL_BYTES)
        serial = int.from_bytes(raw, "big") >> 1 | 1
    name = _name(common_name)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(public)
        .serial_number(serial)
        .not_valid_before(not_before)
        .not_valid_after(NO_EXPIRY)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .sign(key, algorithm=None)
    )
    return CertificatePair(
        certificate.public_bytes(serialization.Encoding.PEM),
        key_pem(seed),
        certificate.public_bytes(serialization.Encoding.DER),
    )


def known_certificate(public_key: bytes) -> bytes:
    """The DER of the one certificate that a device with this Ed25519 key (32 bytes) shows on the LAN.

    Deterministic. Raises `ValueError` for bytes that are no key.
    """
    public = Ed25519PublicKey.from_public_bytes(public_key)
    issuer = Ed25519PrivateKey.from_private_bytes(digest(Label.LAN_ISSUER))
    serial = int.from_bytes(digest(Label.ID_SERIAL, public_key, size=_SERIAL_BYTES), "big") >> 1 | 1
    certificate = (
        x509.CertificateBuilder()
        .subject_name(_name(f"shoal {serial:x}"))
        .issuer_name(_name("shoal"))
        .public_key(public)
        .serial_number(serial)
        .not_valid_before(NOT_BEFORE)
        .not_valid_after(NO_EXPIRY)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .sign(issuer, algorithm=None)
    )
    return certificate.public_bytes(serialization.Encoding.DER)


def key_pem(seed: bytes) -> bytes:
    """The Ed25519 key with this 32-byte seed as PEM (PKCS #8). Secret."""
    return Ed25519PrivateKey.from_private_bytes(seed).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def certificate_key(der: bytes) -> bytes | None:
    """The Ed25519 public key (32 bytes) of a DER certificate; None for any other input.

    The signature is not checked: a TLS handshake has proved possession of the key, and whether
    the key is the expected one is all that counts.
    """
    if len(der) > MAX_CERTIFICATE_BYTES:
        return None
    try:
        public = x509.load_der_x509_certificate(der).public_key()
    except Exception:  # noqa: BLE001  # a parser met by hostile bytes: any failure is a no
        return None
    return public.public_bytes_raw() if isinstance(public, Ed25519PublicKey) else None
