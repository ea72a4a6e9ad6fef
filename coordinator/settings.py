"""What the host decides: where things lie and how to listen. Owns the frozen settings and how text becomes them.

Made once, from flags, environment variables and a TOML file (in that order of precedence), and passed down.
"""

import tomllib
import urllib.parse
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import platformdirs

from coordinator.connection import ServingLimits
from coordinator.reach import DEFAULT_PORT
from coordinator.web.limits import RequestLimits

CONFIG_KEYS: Final = frozenset({"data", "listen", "blocks", "tls-cert", "tls-key", "no-tls", "public-url"})
DEFAULT_LISTEN: Final = f"[::]:{DEFAULT_PORT}"


class BadSettings(ValueError):
    """Something the host set cannot be used. The text says what, and what to do."""


@dataclass(frozen=True, slots=True)
class Listen:
    """Where to listen; port 0 takes any free one."""

    host: str
    port: int


@dataclass(frozen=True, slots=True)
class CertificateFiles:
    """The host's own certificate chain and key, PEM files."""

    certificate: Path
    key: Path


@dataclass(frozen=True, slots=True)
class Settings:
    """All of it. `certificate` is None for the one made of the identity key, unused where not `tls`."""

    data: Path
    listen: Listen
    blocks: Path
    tls: bool = True
    certificate: CertificateFiles | None = None
    public_urls: tuple[str, ...] = ()
    serving: ServingLimits = field(default_factory=ServingLimits)
    requests: RequestLimits = field(default_factory=RequestLimits)


def default_data() -> Path:
    """The platform's data directory for the coordinator."""
    return Path(platformdirs.user_data_dir("shoal-coordinator", appauthor=False))


def parse_listen(text: str) -> Listen:
    """`HOST:PORT` or `[IPV6]:PORT`. Raises `BadSettings`."""
    host, colon, port = text.rpartition(":")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        raise BadSettings(f"{text!r}: an IPv6 address goes in brackets, as in [::1]:{DEFAULT_PORT}")
    if not colon or not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise BadSettings(f"{text!r} is not HOST:PORT, as in 0.0.0.0:{DEFAULT_PORT}")
    return Listen(host or "::", int(port))


def parse_blocks(text: str) -> Path:
    """A directory as `file:///DIR`. Raises `BadSettings`."""
    parts = urllib.parse.urlsplit(text)
    if parts.scheme != "file" or parts.netloc not in ("", "localhost") or not parts.path.startswith("/"):
        raise BadSettings(f"{text!r}: blocks go to a directory, given as file:///DIR")
    if parts.query or parts.fragment:
        raise BadSettings(f"{text!r}: a directory has no ? or #; write them as %3F and %23")
    return Path(urllib.parse.unquote(parts.path))


def parse_public_url(text: str) -> str:
    """`https://HOST[:PORT]` without a path. Raises `BadSettings`."""
    parts = urllib.parse.urlsplit(text)
    try:
        port = parts.port
    except ValueError:
        port = 0
    if parts.scheme not in ("https", "http") or not parts.hostname or port == 0 or parts.username or parts.password:
        raise BadSettings(f"{text!r} is not a URL like https://shoal.example.org:{DEFAULT_PORT}")
    if parts.path not in ("", "/") or parts.query or parts.fragment:
        raise BadSettings(f"{text!r}: a public URL has no path")
    return f"{parts.scheme}://{parts.netloc}"


def read_config(path: Path) -> dict[str, Any]:
    """A TOML file whose keys are the names of the flags. Raises `BadSettings`."""
    try:
        document = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise BadSettings(f"cannot read {path}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadSettings(f"{path} is not TOML: {error}") from None
    if unknown := sorted(set(document) - CONFIG_KEYS):
        raise BadSettings(f"{path}: no such setting: {', '.join(unknown)}")
    return document


def make_settings(
    *,
    data: Path | None,
    listen: str,
    blocks: str | None,
    tls_cert: Path | None,
    tls_key: Path | None,
    no_tls: bool,
    public_urls: tuple[str, ...],
) -> Settings:
    """Check everything together. Raises `BadSettings`."""
    if (tls_cert is None) != (tls_key is None):
        raise BadSettings("--tls-cert and --tls-key go together")
    if no_tls and tls_cert is not None:
        raise BadSettings("--no-tls goes without --tls-cert")
    directory = (data or default_data()).absolute()
    return Settings(
        data=directory,
        listen=parse_listen(listen),
        blocks=parse_blocks(blocks) if blocks else directory / "blocks",
        tls=not no_tls,
        certificate=CertificateFiles(tls_cert, tls_key) if tls_cert and tls_key else None,
        public_urls=tuple(parse_public_url(each) for each in public_urls),
    )
