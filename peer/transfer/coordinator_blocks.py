"""The coordinator as a place that takes blocks and has them.

Owns the translation between the link's words and the pipelines'. Never retries: that is the pipelines' decision.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from peer.link.coordinator import CoordinatorClient
from peer.link.download import Download
from peer.link.errors import LinkError
from peer.transfer.counters import TransferCounters
from peer.transfer.sources import SourceCut
from protocol.frames import Frame
from protocol.ids import BlockId, WorkspaceId
from protocol.messages import HaveReply, HaveRequest, Refusal, Stored


class CoordinatorBlocks:
    """`BlockSink` and `BlockSource` of one workspace, over the device's one link. `accused` counts wrong blocks."""

    def __init__(self, client: CoordinatorClient, workspace: WorkspaceId, counters: TransferCounters) -> None:
        self._client = client
        self._workspace = workspace
        self._counters = counters
        self.accused = 0

    async def upload(self, body: AsyncIterator[bytes]) -> Stored | Refusal:
        """See `BlockSink`."""
        try:
            return await self._client.upload(self._workspace, body)
        except LinkError as error:
            raise SourceCut(str(error)) from error

    async def have(self, blocks: Sequence[BlockId]) -> frozenset[BlockId] | Refusal:
        """See `BlockSink`."""
        try:
            answer = await self._client.request(HaveRequest(self._workspace, tuple(blocks)))
        except LinkError as error:
            raise SourceCut(str(error)) from error
        if isinstance(answer, Refusal):
            return answer
        return held_blocks(blocks, answer)

    @asynccontextmanager
    async def fetch(self, blocks: Sequence[BlockId]) -> AsyncIterator[AsyncIterator[Sequence[Frame]] | Refusal]:
        """See `BlockSource`."""
        try:
            async with self._client.open_download(self._workspace, blocks) as download:
                yield download if isinstance(download, Refusal) else _Batches(download)
        except LinkError as error:
            raise SourceCut(str(error)) from error

    def count(self, received_bytes: int) -> None:
        """See `BlockSource`."""
        self._counters.server_in += received_bytes

    def accuse(self, block: BlockId) -> None:
        """See `BlockSource`."""
        self.accused += 1


class _Batches:
    """A download whose errors are the pipelines'."""

    def __init__(self, download: Download) -> None:
        self._download = download

    def __aiter__(self) -> AsyncIterator[Sequence[Frame]]:
        return self

    async def __anext__(self) -> Sequence[Frame]:
        try:
            return await self._download.__anext__()
        except LinkError as error:
            raise SourceCut(str(error)) from error


def held_blocks(asked: Sequence[BlockId], reply: HaveReply) -> frozenset[BlockId]:
    """Those that the reply says are held. Raises `SourceCut` where it has not one bit for each."""
    return picked(asked, reply.bits)


def picked(asked: Sequence[BlockId], bits: bytes) -> frozenset[BlockId]:
    """Those whose bit is set. Raises `SourceCut` where there is not one for each."""
    if len(bits) != (len(asked) + 7) // 8:
        raise SourceCut("an answer about other blocks than were asked for")
    return frozenset(block for index, block in enumerate(asked) if bits[index // 8] & (0x80 >> (index % 8)))
