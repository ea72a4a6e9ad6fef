"""The door to other devices nearby, who may have chunks of a version that is wanted here.

Owns the protocols between a download and whoever fetches from neighbours, and the coordinator as one more source among
them. Never moves a byte over the LAN: that is `peer.lan`'s.
"""

from collections.abc import AsyncGenerator, Awaitable, Callable, Collection, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Final, NamedTuple, Protocol

from crypto.keyring import WorkspaceKeyring
from peer.ports import Offload
from peer.transfer.limits import Limiter
from peer.transfer.opening import Received, open_blocks
from peer.transfer.sources import BlockSource, SourceCut
from protocol.frames import HEAD_BYTES, FrameKind
from protocol.ids import ChangeId, ChunkId
from protocol.messages import Refusal
from protocol.model import ChunkRef

_GROUP_BYTES: Final = 1024 * 1024
"""So much, by plaintext, is opened in one call."""


class Piece(NamedTuple):
    """One of a version's distinct chunks, in the order that the LAN protocol counts them."""

    chunk: ChunkId
    length: int


Scattered = Sequence[tuple[ChangeId, Piece]]
"""Chunks of several versions, each with one that it is in."""
Keep = Callable[[Sequence[tuple[int, bytes | memoryview]]], Awaitable[Sequence[bool] | None]]
"""Takes chunks by their indexes, and says of each whether it is the right one; None: no more are wanted. What is right
can be served to others from then on."""


class Beyond(Protocol):
    """A source of the same chunks that is not on the LAN."""

    def bring(self, indexes: Sequence[int]) -> AsyncGenerator[Sequence[tuple[int, bytes | None]], None]:
        """These chunks as they come, in groups; None for one that it cannot deliver.

        Where it ends before all came, nothing more is to be had there for now. Whoever stops reading closes it.
        """
        ...


class Lending(Protocol):
    """Chunks of a file that is not in place yet, for others. May be asked from any thread."""

    def has(self, chunk: ChunkId) -> bool:
        """Whether it is, or was lately, here."""
        ...

    def read_back(self, chunk: ChunkId, length: int) -> memoryview | None:
        """The chunk, compared with its id; None where it is here no longer. Blocks."""
        ...


class Neighbours(Protocol):
    """Other devices of one workspace that can be reached without the coordinator. Nothing they say is believed."""

    @property
    def is_anybody_there(self) -> bool:
        """Whether there is somebody to ask."""
        ...

    async def fetch(
        self, version: ChangeId, pieces: Sequence[Piece], wanted: Collection[int], keep: Keep, beyond: Beyond | None
    ) -> None:
        """Have chunks of a version kept, from neighbours and `beyond`, whoever delivers them soonest.

        Returns once all were kept, or nobody is expected to deliver what is left; at once where no neighbour has any.
        Never longer than some seconds after the last chunk came. Never raises because of what a neighbour did.
        """
        ...

    async def fetch_scattered(self, pieces: Scattered, keep: Keep, beyond: Beyond | None) -> None:
        """The same for chunks of many versions, a few of each: quicker where somebody has most of them."""
        ...

    def lend(self, lending: Lending) -> AbstractContextManager[None]:
        """Serve these chunks to others too, for as long as the context lasts."""
        ...


@dataclass(frozen=True)
class BlocksBeyond:
    """Chunks out of a source of blocks, such as the coordinator."""

    source: BlockSource
    refs: Sequence[ChunkRef]
    keys: WorkspaceKeyring
    offload: Offload
    limiter: Limiter

    async def bring(self, indexes: Sequence[int]) -> AsyncGenerator[Sequence[tuple[int, bytes | None]], None]:
        """See `Beyond`."""
        asked = [self.refs[index] for index in indexes]
        at = 0
        try:
            async with self.source.fetch([ref.block for ref in asked]) as frames:
                if isinstance(frames, Refusal):
                    return
                group: list[Received] = []
                size = 0
                async for batch in frames:
                    arrived = sum(len(frame.data) for frame in batch)
                    self.source.count(arrived + HEAD_BYTES * len(batch))
                    await self.limiter.take(arrived)
                    for frame in batch:
                        if at + len(group) == len(asked) or frame.block != asked[at + len(group)].block:
                            return  # blocks in another order: nothing more is believed
                        size += asked[at + len(group)].length
                        group.append(Received(frame.block, frame.data if frame.kind is FrameKind.BLOCK else None))
                    if size >= _GROUP_BYTES or at + len(group) == len(asked):
                        yield await self._open(indexes[at : at + len(group)], asked[at : at + len(group)], group)
                        at, group, size = at + len(group), [], 0
        except SourceCut:
            return

    async def _open(
        self, indexes: Sequence[int], refs: Sequence[ChunkRef], group: Sequence[Received]
    ) -> list[tuple[int, bytes | None]]:
        opened = await self.offload.run(open_blocks, self.keys, list(zip(refs, group, strict=True)))
        for ref, one in zip(refs, opened, strict=True):
            if one.wrong:
                self.source.accuse(ref.block)
        return [(index, one.data) for index, one in zip(indexes, opened, strict=True)]
