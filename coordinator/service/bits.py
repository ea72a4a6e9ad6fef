"""How a yes or no for each of many things travels. Owns the packing; `docs/protocol.md`, section 11, describes it."""

from collections.abc import Sequence


def packed(flags: Sequence[bool]) -> bytes:
    """One bit each, the most significant first, padded with zeros to whole bytes."""
    found = bytearray((len(flags) + 7) // 8)
    for at, flag in enumerate(flags):
        if flag:
            found[at >> 3] |= 0x80 >> (at & 7)
    return bytes(found)
