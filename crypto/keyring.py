"""A workspace's keys, held together.

Owns the sub-keys of every purpose, derived once, and how a keyring is packed for storage. Never
stores or sends one: what is packed is secret, and the caller seals it or writes it mode 0600.

Two kinds of root key: the *fixed* one, which every member has and no rotation changes (names,
chunk ids, file digests), and one per *epoch*. A workspace's id is the digest of its first
commit, which holds these keys sealed, so derivations are bound to the 16 random bytes of salt in
that commit rather than to the id.
"""

import hmac
import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final

from crypto.digest import KEY_BYTES, SUITE, FixedKeys, derive
from crypto.labels import Label

SALT_BYTES: Final = 16
FIRST_EPOCH: Final = 1
MAX_EPOCHS: Final = 65_536

_EPOCH: Final = struct.Struct(">I")
_HEADER: Final = struct.Struct(f">4sB{SALT_BYTES}s{KEY_BYTES}sI")
_ENTRY: Final = struct.Struct(f">I{KEY_BYTES}s")
_MAGIC: Final = b"SHK1"


class BadKeyring(ValueError):
    """Not a keyring: a wrong size, an unknown suite, or epochs out of order."""


@dataclass(frozen=True, slots=True)
class EpochKeys:
    """The sub-keys of one epoch, 32 bytes each and of one purpose."""

    epoch: int
    seal: bytes = field(repr=False)
    """Sealed parts of changes."""
    siv: bytes = field(repr=False)
    """Blocks' synthetic IVs."""
    block: bytes = field(repr=False)
    """Blocks' content keys."""
    history: bytes = field(repr=False)
    """Older epochs' keys, sealed for those who hold this one."""
    beacon: bytes = field(repr=False)
    """What members recognise each other by on the LAN."""

    @classmethod
    def of(cls, epoch: int, key: bytes, salt: bytes) -> "EpochKeys":
        """Derives them from an epoch's root key and the genesis salt."""
        number = _EPOCH.pack(epoch)
        return cls(
            epoch=epoch,
            seal=derive(Label.KEY_SEAL, key, salt, number),
            siv=derive(Label.KEY_SIV, key, salt, number),
            block=derive(Label.KEY_BLOCK, key, salt, number),
            history=derive(Label.KEY_HISTORY, key, salt, number),
            beacon=derive(Label.KEY_BEACON, key, salt, number),
        )


class WorkspaceKeyring:
    """The fixed key and the keys of all epochs a device holds. Immutable; never shows a secret.

    Raises `BadKeyring` unless the salt has 16 bytes, every key 32, and epochs are 1 or more.
    """

    __slots__ = ("_epochs", "_fixed_root", "_roots", "fixed", "newest_epoch", "salt")

    def __init__(self, salt: bytes, fixed: bytes, epochs: Mapping[int, bytes]) -> None:
        if len(salt) != SALT_BYTES or len(fixed) != KEY_BYTES:
            raise BadKeyring("salt or fixed key has a wrong size")
        if not 1 <= len(epochs) <= MAX_EPOCHS:
            raise BadKeyring("no epochs, or too many")
        for epoch, key in epochs.items():
            if not FIRST_EPOCH <= epoch < 1 << 32 or len(key) != KEY_BYTES:
                raise BadKeyring("an epoch or its key is out of bounds")
        self.salt = bytes(salt)
        self.fixed = FixedKeys.of(fixed, salt)
        self.newest_epoch = max(epochs)
        self._fixed_root = bytes(fixed)
        self._roots = {epoch: bytes(epochs[epoch]) for epoch in sorted(epochs)}
        self._epochs = {n: EpochKeys.of(n, key, self.salt) for n, key in self._roots.items()}

    def __repr__(self) -> str:
        return f"WorkspaceKeyring(salt={self.salt.hex()}, epochs={list(self._roots)})"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, WorkspaceKeyring):
            return NotImplemented
        return hmac.compare_digest(self.pack(), other.pack())

    def __hash__(self) -> int:
        return hash((self.salt, self.newest_epoch))

    @property
    def epochs(self) -> tuple[int, ...]:
        """The epochs held, in order."""
        return tuple(self._roots)

    def epoch(self, number: int) -> EpochKeys | None:
        """One epoch's sub-keys, or None where this device does not hold them."""
        return self._epochs.get(number)

    @property
    def newest(self) -> EpochKeys:
        """The sub-keys that new things are sealed under."""
        return self._epochs[self.newest_epoch]

    def root(self, number: int) -> bytes | None:
        """One epoch's root key, to be sealed to somebody; None where it is not held."""
        return self._roots.get(number)

    @property
    def fixed_root(self) -> bytes:
        """The fixed root key, to be sealed to somebody."""
        return self._fixed_root

    def with_epoch(self, number: int, key: bytes) -> "WorkspaceKeyring":
        """The same keyring with one more epoch. Raises `BadKeyring` if it holds another key."""
        held = self._roots.get(number)
        if held is not None and not hmac.compare_digest(held, key):
            raise BadKeyring("two keys for one epoch")
        return WorkspaceKeyring(self.salt, self._fixed_root, {**self._roots, number: key})

    def only(self, numbers: Iterable[int]) -> "WorkspaceKeyring":
        """The same keyring with these epochs alone. Raises `BadKeyring` where it holds none of them."""
        wanted = set(numbers)
        return WorkspaceKeyring(
            self.salt, self._fixed_root, {number: root for number, root in self._roots.items() if number in wanted}
        )

    def commitment(self, number: int) -> bytes:
        """32 public bytes that fix this epoch's key and the fixed key. Raises `KeyError`.

        Whoever is sealed other keys than the rest of the workspace notices by this.
        """
        return derive(
            Label.KEY_COMMITMENT,
            self._roots[number],
            self.salt,
            _EPOCH.pack(number),
            self._fixed_root,
        )

    def pack(self) -> bytes:
        """All of it as bytes, for a sealed bundle or a private file. Secret."""
        head = _HEADER.pack(_MAGIC, SUITE, self.salt, self._fixed_root, len(self._roots))
        return head + b"".join(_ENTRY.pack(n, key) for n, key in self._roots.items())

    @classmethod
    def unpack(cls, packed: bytes) -> "WorkspaceKeyring":
        """The reverse of `pack`. Raises `BadKeyring` for anything `pack` would not have made."""
        if len(packed) < _HEADER.size:
            raise BadKeyring("too short")
        magic, suite, salt, fixed, count = _HEADER.unpack_from(packed)
        if magic != _MAGIC or suite != SUITE:
            raise BadKeyring("not a keyring of a known suite")
        if not 1 <= count <= MAX_EPOCHS or len(packed) != _HEADER.size + count * _ENTRY.size:
            raise BadKeyring("a wrong size")
        entries: list[tuple[int, bytes]] = list(_ENTRY.iter_unpack(packed[_HEADER.size :]))
        numbers = [number for number, _ in entries]
        if any(a >= b for a, b in pairwise(numbers)):
            raise BadKeyring("epochs out of order")
        return cls(salt, fixed, dict(entries))
