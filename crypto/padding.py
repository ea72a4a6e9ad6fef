"""Padmé: lengths rounded up so that they tell little.

Owns the rule of Nikitin et al., "Reducing Metadata Leakage from Encrypted Files and
Communication with PURBs" (PoPETs 2019), section 4. Never touches the bytes themselves.
"""

from typing import Final

FLOOR_BYTES: Final = 64
"""Nothing is padded to less than this."""


def padded_size(length: int) -> int:
    """The size in bytes that `length` bytes are padded to: at most 12 % more above the floor.

    Only O(log log n) bits of the true length remain visible. Monotonic, and a padded size is
    its own padded size.
    """
    if length <= FLOOR_BYTES:
        return FLOOR_BYTES
    exponent = length.bit_length() - 1
    kept = exponent.bit_length()
    mask = (1 << (exponent - kept)) - 1
    return (length + mask) & ~mask
