"""Incompressible bytes that are the same in every run and on every machine."""

import hashlib


def noise(size_bytes: int, seed: bytes = b"") -> bytes:
    """SHAKE-128 of the seed: deterministic, of any size, without a random generator."""
    return hashlib.shake_128(b"noise" + seed).digest(size_bytes)
