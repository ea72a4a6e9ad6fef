"""The coordinator's identity key: who it is to every device that was ever invited.

Owns the file it lies in, what is signed with it, and the TLS certificate made of it. Moved with the data directory;
never sent, never logged.
"""

import contextlib
import os
import secrets
import stat
from pathlib import Path
from typing import Final

from coordinator.machine import flush_directory, write_new
from coordinator.ports import Entropy
from crypto.certificate import CertificatePair, certificate_for
from crypto.identity import SEED_BYTES, SigningKey, sign
from crypto.labels import Label

IDENTITY_FILE: Final = "identity.key"
COMMON_NAME: Final = "shoal coordinator"


class BadIdentity(Exception):
    """The identity file cannot be used. The text says why and what to do."""


class CoordinatorIdentity:
    """An Ed25519 key pair made of a 32-byte seed."""

    def __init__(self, seed: bytes) -> None:
        self._key = SigningKey.from_seed(seed)

    @property
    def public(self) -> bytes:
        """The public key, 32 bytes."""
        return self._key.public

    def sign_offer(self, statement: bytes) -> bytes:
        """Signature of a login challenge; 64 bytes."""
        return sign(Label.SIGN_COORDINATOR, self._key.secret, statement)

    def certificate(self) -> CertificatePair:
        """The self-signed certificate whose key is this one. The same every time."""
        return certificate_for(self._key.seed, COMMON_NAME)


def open_identity(data: Path, entropy: Entropy) -> CoordinatorIdentity:
    """The identity in this data directory, made durably if there is none yet; of several at once, one makes it.

    Raises `BadIdentity` for a file that others can read, that is not this user's, or that holds something else.
    """
    path = data / IDENTITY_FILE
    if not path.exists():
        _make(path, entropy.bytes(SEED_BYTES))
    return CoordinatorIdentity(_read(path))


def _make(path: Path, seed: bytes) -> None:
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        write_new(temporary, seed.hex().encode() + b"\n", 0o600)
        with contextlib.suppress(FileExistsError):
            os.link(temporary, path)
    finally:
        with contextlib.suppress(FileNotFoundError):
            temporary.unlink()
    flush_directory(path.parent)


def _read(path: Path) -> bytes:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as error:
        raise BadIdentity(f"cannot read {path}: {error.strerror}") from None
    with open(descriptor, "rb") as file:
        facts = os.fstat(file.fileno())
        if not stat.S_ISREG(facts.st_mode) or facts.st_uid != os.geteuid():
            raise BadIdentity(f"{path} is not a file of the user that runs the coordinator")
        if stat.S_IMODE(facts.st_mode) & 0o077:
            raise BadIdentity(f"{path} can be read by others; chmod 600 it")
        text = file.read(2 * SEED_BYTES + 2)
    try:
        seed = bytes.fromhex(text.decode("ascii"))
    except ValueError:
        seed = b""
    if len(seed) != SEED_BYTES:
        raise BadIdentity(f"{path} does not hold an identity key; put back the one from a backup")
    return seed
