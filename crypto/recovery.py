"""A user's recovery key: what remains when all devices are gone.

Owns the key pairs that follow from its seed. Never shows the seed, and knows nothing of words.
"""

from dataclasses import dataclass
from typing import Final

from crypto.digest import derive
from crypto.identity import BoxKey, SigningKey
from crypto.labels import Label

RECOVERY_SEED_BYTES: Final = 32


@dataclass(frozen=True, slots=True)
class RecoveryPublic:
    """What a user's chain records of the recovery key."""

    sign: bytes
    box: bytes


@dataclass(frozen=True, slots=True)
class RecoveryKeys:
    """The pair that signs for a user without devices, and the pair that keys are sealed to."""

    sign: SigningKey
    box: BoxKey

    @classmethod
    def from_seed(cls, seed: bytes) -> "RecoveryKeys":
        """Both pairs from 32 random bytes, the same every time."""
        if len(seed) != RECOVERY_SEED_BYTES:
            raise ValueError("a recovery seed has 32 bytes")
        return cls(
            sign=SigningKey.from_seed(derive(Label.RECOVERY_SIGN, seed)),
            box=BoxKey.from_seed(derive(Label.RECOVERY_BOX, seed)),
        )

    @property
    def public(self) -> RecoveryPublic:
        """The half that others may know."""
        return RecoveryPublic(self.sign.public, self.box.public)
