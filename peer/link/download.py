"""Blocks as they arrive. Owns checking a body of frames against what was asked; never verifies or opens a block."""

from collections.abc import Sequence
from typing import Final

from peer.link.errors import BadReply, Unreachable
from peer.link.http import Response
from protocol.frames import BadFrame, Frame, FrameKind, FrameReader
from protocol.ids import BlockId

_CUT: Final = "the download was cut"


class Download:
    """An answer's frames, in the order asked, in batches as they arrive: `async for frames in download`.

    A frame is a `BLOCK` with its bytes, not yet verified, or `ABSENT`. The iteration ends when every block asked for
    was answered. Raises `Unreachable` if the stream is cut (what was yielded is whole), `BadReply` for anything else.
    """

    def __init__(self, response: Response, asked: Sequence[BlockId]) -> None:
        self._response = response
        self._asked = asked
        self._reader = FrameReader()
        self._at = 0

    def __aiter__(self) -> "Download":
        return self

    async def __anext__(self) -> list[Frame]:
        while not self._reader.ended:
            data = await self._response.receive_some()
            if not data:
                raise Unreachable(_CUT)
            batch: list[Frame] = []
            try:
                for frame in self._reader.receive(data):
                    if frame.kind is not FrameKind.END:
                        self._expect(frame)
                        batch.append(frame)
            except BadFrame as error:
                raise BadReply(f"not a stream of frames: {error}") from None
            if batch:
                return batch
        if self._at != len(self._asked):
            raise BadReply("fewer frames than blocks were asked for")
        await self._end()
        raise StopAsyncIteration

    def _expect(self, frame: Frame) -> None:
        if self._at == len(self._asked) or frame.block != self._asked[self._at]:
            raise BadReply("a block that was not asked for")
        self._at += 1

    async def _end(self) -> None:
        """Read the end of the body too, so that the connection can be used again."""
        if await self._response.receive_some():
            raise BadReply("bytes after the last frame")
