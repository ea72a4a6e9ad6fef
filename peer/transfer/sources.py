"""The doors of the pipelines: who takes blocks, who has them, and what is known of chunks.

Owns the protocols, and the refusals' meaning for a transfer. Never moves a byte.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol

from peer.fingerprint import Fingerprint, Path
from peer.ports import Clock, Entropy
from protocol.frames import Frame
from protocol.ids import BlockId, ChunkId
from protocol.messages import Refusal, RefusalCode, Stored
from protocol.model import ChunkRef


class SourceCut(Exception):
    """No answer was had, or it broke off: trying again may help. The text is safe to show."""


class BlockSink(Protocol):
    """Where blocks of one workspace are stored for good: the coordinator."""

    async def upload(self, body: AsyncIterator[bytes]) -> Stored | Refusal:
        """Send one body of frames. `Stored` means that every block of it survives a power loss there.

        Takes the next piece only when it can be sent. Raises `SourceCut`; what had arrived complete by then may be
        stored.
        """
        ...

    async def have(self, blocks: Sequence[BlockId]) -> frozenset[BlockId] | Refusal:
        """Those of at most `limits.HAVE_BLOCKS` blocks that a commit may name without uploading them. Raises
        `SourceCut`."""
        ...


class BlockSource(Protocol):
    """Who may have blocks of one workspace. Nothing it says is trusted: every block is checked."""

    def fetch(self, blocks: Sequence[BlockId]) -> AbstractAsyncContextManager[AsyncIterator[Sequence[Frame]] | Refusal]:
        """Ask for at most `limits.GET_BLOCKS` blocks; their frames, `BLOCK` or `ABSENT`, come in the order asked, in
        batches as they arrive.

        The iterator stops after the last one. Entering it or iterating raises `SourceCut` where the answer breaks
        off. A reader that stops reading holds the sender up and nothing else.
        """
        ...

    def count(self, received_bytes: int) -> None:
        """Note bytes that came from this source."""
        ...

    def accuse(self, block: BlockId) -> None:
        """Note that this source delivered something else under that name."""
        ...


class ChunkIndex(Protocol):
    """Which blocks of the workspace are durable on the coordinator."""

    async def known(self, chunks: Sequence[ChunkId]) -> Mapping[ChunkId, ChunkRef]:
        """The chunks among these that have a durable block that a new version may refer to."""
        ...


@dataclass(frozen=True, slots=True)
class Place:
    """Where a chunk's bytes should be on this disk. A hint: what is read there is checked by chunk id.

    `is_held`: `path` is the name of a file among those held for versions that are not durable.
    """

    path: Path
    offset: int
    length: int
    fingerprint: Fingerprint
    is_held: bool = False


class LocalChunks(Protocol):
    """Which chunks lie in files on this disk."""

    async def locate(self, chunks: Sequence[ChunkId]) -> Mapping[ChunkId, Place]:
        """A place for each of these chunks that has one."""
        ...


class NothingKnown:
    """A `ChunkIndex` and `LocalChunks` that know of nothing."""

    async def known(self, chunks: Sequence[ChunkId]) -> Mapping[ChunkId, ChunkRef]:
        """See `ChunkIndex`."""
        return {}

    async def locate(self, chunks: Sequence[ChunkId]) -> Mapping[ChunkId, Place]:
        """See `LocalChunks`."""
        return {}


_LONGEST_WAIT_S = 30.0
_PASSING = frozenset(
    {
        RefusalCode.RATE_LIMITED,
        RefusalCode.UNAVAILABLE,
        RefusalCode.CATCHING_UP,
        RefusalCode.UNAUTHENTICATED,  # the token ran out; the next attempt signs in anew
    }
)


def is_passing(refusal: Refusal) -> bool:
    """Whether the same request may be granted a little later."""
    return refusal.code in _PASSING


class Patience:
    """How often a transfer is tried again before its caller is told. Counts failures without progress in a row.

    The first retry is at once, the next ones after `first_s`, doubled each time, half to all of it. Longer absences
    are the connection's business, not a transfer's.
    """

    def __init__(self, clock: Clock, entropy: Entropy, tries: int = 4, first_s: float = 0.25) -> None:
        self._clock = clock
        self._entropy = entropy
        self._tries = tries
        self._first_s = first_s
        self._failures = 0

    def progressed(self) -> None:
        """Something went well: begin counting anew."""
        self._failures = 0

    async def again(self, at_least_s: float = 0.0) -> bool:
        """After a failure: wait, then say whether to try once more."""
        self._failures += 1
        if self._failures > self._tries:
            return False
        wait_s = at_least_s
        if self._failures > 1:
            ceiling_s = self._first_s * 2.0 ** (self._failures - 2)
            wait_s = max(wait_s, self._entropy.jitter(ceiling_s / 2, ceiling_s))
        await self._clock.sleep(min(wait_s, _LONGEST_WAIT_S))
        return True
