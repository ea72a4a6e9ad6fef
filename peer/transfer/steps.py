"""What is to be done with a version's chunks, and how far its file is. Owns these types; does nothing."""

from dataclasses import dataclass, field
from typing import NamedTuple

from blake3 import blake3

from peer.transfer.unfinished import Begun
from protocol.ids import BlockId
from protocol.model import ChunkRef


class Step(NamedTuple):
    """One chunk's place in one of the files. `fetched`: its block comes from a source; else it is at hand."""

    file: int
    offset: int
    ref: ChunkRef
    fetched: bool


class Placed(NamedTuple):
    """A chunk that came early, and where it goes."""

    file: int
    offset: int
    ref: ChunkRef
    data: bytes | memoryview


class Hole(NamedTuple):
    """A place still to be filled. `absent`: nobody has the block; else it came out wrong (or was not asked for yet,
    since it should have been at hand)."""

    step: Step
    absent: bool


@dataclass(slots=True)
class FileState:
    """A file in the making, or how it ended: `done`, or a `problem`. `holes` counts what is still missing.

    Before the first hole lie `whole_bytes` in so many `chunks`, and `hasher` has seen them. `begun` is what an earlier
    attempt left of the file, as long as this one has not written to it.
    """

    temp: str = ""
    holes: int = 0
    done: bool = False
    problem: tuple[str, str] | None = None
    chunks: int = 0
    whole_bytes: int = 0
    hasher: blake3 | None = None
    begun: Begun | None = None


@dataclass(slots=True)
class Advance:
    """What a call found: places that could not be filled, and blocks that were not what their id says."""

    holes: list[Hole] = field(default_factory=list)
    wrong: list[BlockId] = field(default_factory=list)
