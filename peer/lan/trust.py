"""TLS between two devices. Owns the contexts: whom they trust, and what they refuse. Never opens a connection.

TLS 1.3 only, both certificates required. Each device's certificate follows from its public key (`known_certificate`),
so those to trust are named one by one: there is no authority, and no name or date is looked at. There are no session
tickets, so a handshake always proves the keys anew. A listener shows its certificate only to whoever *knocks*: the
server name of the first message is a tag that members of a common workspace can make, used once.
"""

import os
import ssl
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Final

from crypto.certificate import certificate_key, key_pem, known_certificate
from crypto.identity import SigningKey

_NO_CHECK_TIME: Final = ssl.VerifyFlags(0x200000)
"""OpenSSL's X509_V_FLAG_NO_CHECK_TIME, which `ssl` has no name for: a device's clock may be wrong."""


def dial_context(own: SigningKey, expected_key: bytes) -> ssl.SSLContext:
    """For a connection to exactly the device with this TLS key: our certificate is not shown to any other."""
    context = _context(ssl.PROTOCOL_TLS_CLIENT, own)
    context.check_hostname = False
    _trust(context, [expected_key])
    return context


def listen_context(own: SigningKey, known_keys: Iterable[bytes], admit: Callable[[str], bool]) -> ssl.SSLContext:
    """For connections from the devices with these TLS keys. `admit` judges the knock, before anything is shown.

    Made anew whenever one goes from the set. With no keys at all every handshake fails.
    """
    context = _context(ssl.PROTOCOL_TLS_SERVER, own)
    context.num_tickets = 0
    _trust(context, known_keys)

    def judge(_: ssl.SSLObject, knock: str | None, __: ssl.SSLContext) -> int | None:
        if knock is not None and admit(knock):
            return None
        return int(ssl.ALERT_DESCRIPTION_UNRECOGNIZED_NAME)

    context.sni_callback = judge
    return context


def trust_more(context: ssl.SSLContext, keys: Iterable[bytes]) -> None:
    """Have a listening context take these devices too. To have it take fewer a new one is needed."""
    _trust(context, keys)


def proved_key(certificate: bytes | None) -> bytes | None:
    """The TLS key of the device that a completed handshake was with."""
    return None if certificate is None else certificate_key(certificate)


def _context(protocol: int, own: SigningKey) -> ssl.SSLContext:
    context = ssl.SSLContext(protocol)
    context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_3
    context.options |= ssl.OP_NO_TICKET | ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
    context.verify_mode = ssl.CERT_REQUIRED
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN | _NO_CHECK_TIME
    _load(context, own)
    return context


def _trust(context: ssl.SSLContext, keys: Iterable[bytes]) -> None:
    certificates = b"".join(_certificate(key) for key in sorted(set(keys)))
    if certificates:
        context.load_verify_locations(cadata=certificates)


@lru_cache(maxsize=2_000)
def _certificate(key: bytes) -> bytes:
    return known_certificate(key)


def _load(context: ssl.SSLContext, own: SigningKey) -> None:
    """`ssl` takes a key from a file alone: one in memory, which nobody else can open, gone at once."""
    pem = ssl.DER_cert_to_PEM_cert(known_certificate(own.public)).encode() + key_pem(own.seed)
    handle = os.memfd_create("tls", os.MFD_CLOEXEC)
    with open(handle, "wb") as file:
        file.write(pem)
        file.flush()
        context.load_cert_chain(f"/proc/self/fd/{handle}")
