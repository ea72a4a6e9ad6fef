"""A17, ciphertext at rest: neither a content nor a name that people gave is readable on the coordinator's disk.

Owns in which forms something might be there: as it is, in UTF-16, in hexadecimal, in base64.
"""

from base64 import b64encode
from collections.abc import Iterable, Mapping
from typing import Final

_LEAST: Final = 6
"""Shorter words would be met by chance."""


def forms(word: bytes) -> list[bytes]:
    """How it might be written. Of base64 those characters that do not depend on what is around it."""
    found = [word, word.decode("latin-1").encode("utf-16-le"), word.hex().encode()]
    for before in range(3):
        encoded = b64encode(bytes(before) + word)
        found.append(encoded[-(-before * 4 // 3) : (before + len(word)) * 4 // 3])
    return found


def readable(places: Mapping[str, bytes], words: Iterable[bytes]) -> list[str]:
    """Which words can be read at which places."""
    wanted = [(word, form) for word in words if len(word) >= _LEAST for form in forms(word)]
    return [
        f"A17 plaintext: {word!r} can be read in {place}"
        for place, data in places.items()
        for word in dict.fromkeys(word for word, form in wanted if form in data)
    ]
