"""The coordinator as a place for blocks. Owns fitting the link's client to the doors of the transfer pipelines."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from peer.link.coordinator import CoordinatorClient
from peer.link.errors import LinkError
from peer.transfer.counters import TransferCounters
from peer.transfer.sources import SourceCut
from protocol import limits
from protocol.frames import Frame
from protocol.ids import BlockId, WorkspaceId
from protocol.messages import HaveRequest, Refusal, Stored


class ServerBlocks:
    """Implements `BlockSink` and `BlockSource` for one workspace."""

    def __init__(self, client: CoordinatorClient, workspace: WorkspaceId, counters: TransferCounters) -> None:
        self._client = client
        self._workspace = workspace
        self._counters = counters

    async def upload(self, body: AsyncIterator[bytes]) -> Stored | Refusal:
        """Send one body of frames."""
        try:
            return await self._client.upload(self._workspace, body)
        except LinkError as error:
            raise SourceCut(str(error)) from None

    async def have(self, blocks: Sequence[BlockId]) -> frozenset[BlockId] | Refusal:
        """Those that a commit may name without uploading them."""
        found: set[BlockId] = set()
        for at in range(0, len(blocks), limits.HAVE_BLOCKS):
            part = tuple(blocks[at : at + limits.HAVE_BLOCKS])
            try:
                reply = await self._client.request(HaveRequest(self._workspace, part))
            except LinkError as error:
                raise SourceCut(str(error)) from None
            if isinstance(reply, Refusal):
                return reply
            if len(reply.bits) != (len(part) + 7) // 8:
                raise SourceCut("the coordinator answered for another number of blocks")
            found.update(block for i, block in enumerate(part) if reply.bits[i >> 3] >> (7 - (i & 7)) & 1)
        return frozenset(found)

    @asynccontextmanager
    async def fetch(self, blocks: Sequence[BlockId]) -> AsyncIterator[AsyncIterator[Sequence[Frame]] | Refusal]:
        """The frames of these blocks, as they arrive."""
        try:
            async with self._client.open_download(self._workspace, blocks) as download:
                if isinstance(download, Refusal):
                    yield download
                else:
                    yield download
        except LinkError as error:
            raise SourceCut(str(error)) from None

    def count(self, received_bytes: int) -> None:
        """Note bytes that came from the coordinator."""
        self._counters.server_in += received_bytes

    def accuse(self, block: BlockId) -> None:
        """Nothing to hold against the coordinator but the problem that follows."""
