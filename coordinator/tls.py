"""The server's side of TLS: 1.3 only, HTTP/1.1 only. Owns the context; never decides whom to trust."""

import ssl
from pathlib import Path
from typing import Final

from coordinator.identity import CoordinatorIdentity
from coordinator.ports import Files

CERTIFICATE_FILE: Final = "tls.crt"
KEY_FILE: Final = "tls.key"


class BadCertificate(Exception):
    """The certificate or its key cannot be used. The text says why."""


def own_context(data: Path, files: Files, identity: CoordinatorIdentity) -> ssl.SSLContext:
    """A context with the identity's self-signed certificate, which is written to the data directory to be loaded."""
    pair = identity.certificate()
    for path, content in ((data / CERTIFICATE_FILE, pair.certificate_pem), (data / KEY_FILE, pair.key_pem)):
        if files.read(path) != content:
            files.write(path, content, private=True)
    return given_context(data / CERTIFICATE_FILE, data / KEY_FILE)


def given_context(certificate: Path, key: Path) -> ssl.SSLContext:
    """A context with the host's own certificate chain and key (PEM). Raises `BadCertificate`."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_TICKET
    context.num_tickets = 0
    context.set_alpn_protocols(["http/1.1"])
    try:
        context.load_cert_chain(certificate, key)
    except (OSError, ssl.SSLError) as error:
        raise BadCertificate(f"cannot use {certificate} with {key}: {error.strerror or error}") from None
    return context
