"""A tape of choices: everything random in a case comes from it, so that a case can be told by its seed and made smaller
by leaving parts of its tape out."""

import hashlib
from collections.abc import Callable, Sequence
from typing import TypeVar

T = TypeVar("T")
LENGTH = 512


class Tape:
    """Bytes to choose by. Past its end every choice is the first one."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0

    @classmethod
    def of_seed(cls, seed: str) -> "Tape":
        return cls(hashlib.shake_128(seed.encode()).digest(LENGTH))

    def below(self, bound: int) -> int:
        at = self.at
        self.at = at + 1
        return self.data[at] % bound if at < len(self.data) else 0

    def one_in(self, bound: int) -> bool:
        """True once in `bound` times; never past the end."""
        return self.below(bound) == bound - 1

    def pick(self, several: Sequence[T]) -> T:
        return several[self.below(len(several))]

    def shuffled(self, several: Sequence[T]) -> list[T]:
        rest, out = list(several), []
        while rest:
            out.append(rest.pop(self.below(len(rest))))
        return out


def shrink(data: bytes, fails: Callable[[bytes], bool]) -> bytes:
    """A shorter, simpler tape that still fails: parts are left out, then bytes made zero, until nothing more goes."""
    data = data.rstrip(b"\0")
    size = max(1, len(data) // 2)
    while size:
        at = 0
        while at < len(data):
            shorter = data[:at] + data[at + size :]
            if fails(shorter):
                data = shorter
            else:
                at += size
        size //= 2
    for at in range(len(data)):
        for value in (0, data[at] // 2):
            simpler = data[:at] + bytes([value]) + data[at + 1 :]
            if value != data[at] and fails(simpler):
                data = simpler
                break
    return data
