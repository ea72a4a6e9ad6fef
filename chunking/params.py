"""The parameters a workspace's files are cut with.

Owns their names, defaults and bounds. Never cuts anything itself (see `chunking.cutter`).
The parameters are recorded in a workspace's first commit: two devices that cut with different
ones would still agree on every byte, but would share no chunks.
"""

from dataclasses import dataclass
from typing import Final

FASTCDC_2020: Final = "fastcdc2020"

SMALLEST_MIN_BYTES: Final = 64
LARGEST_MIN_BYTES: Final = 1024 * 1024
SMALLEST_AVG_BYTES: Final = 256
LARGEST_AVG_BYTES: Final = 4 * 1024 * 1024
SMALLEST_MAX_BYTES: Final = 1024
LARGEST_MAX_BYTES: Final = 4 * 1024 * 1024


class BadChunkerParams(ValueError):
    """These parameters describe no cutter that this version has."""


@dataclass(frozen=True, slots=True)
class ChunkerParams:
    """How to cut: the algorithm and its three sizes, in bytes.

    `avg_size` is the target of FastCDC's normalised chunking: the point at which the mask for
    cuts is relaxed. It is a power of two, so that the mask is exact. The other two are even,
    since the algorithm rolls two bytes at a time.

    Raises `BadChunkerParams` for an unknown kind or for sizes out of order or out of bounds.
    """

    kind: str = FASTCDC_2020
    min_size: int = 64 * 1024
    avg_size: int = 256 * 1024
    max_size: int = 2 * 1024 * 1024

    def __post_init__(self) -> None:
        if self.kind != FASTCDC_2020:
            raise BadChunkerParams(f"unknown cutter {self.kind!r}")
        if not SMALLEST_MIN_BYTES <= self.min_size <= LARGEST_MIN_BYTES:
            raise BadChunkerParams(f"min_size {self.min_size} is out of bounds")
        if not SMALLEST_AVG_BYTES <= self.avg_size <= LARGEST_AVG_BYTES:
            raise BadChunkerParams(f"avg_size {self.avg_size} is out of bounds")
        if not SMALLEST_MAX_BYTES <= self.max_size <= LARGEST_MAX_BYTES:
            raise BadChunkerParams(f"max_size {self.max_size} is out of bounds")
        if not self.min_size <= self.avg_size <= self.max_size:
            raise BadChunkerParams("sizes are not in the order min <= avg <= max")
        if self.avg_size & (self.avg_size - 1):
            raise BadChunkerParams(f"avg_size {self.avg_size} is not a power of two")
        if self.min_size % 2 or self.max_size % 2:
            raise BadChunkerParams("min_size and max_size must be even")


DEFAULT_PARAMS: Final = ChunkerParams()
