"""What one workspace's folder holds for other devices on the LAN. Owns the answers to what they need and ask for.

Chunks come out of the users' own files, out of those that are held until they are durable, and out of files that are
still being fetched; each is compared with its id after it was read. Who may ask is not decided here. Never writes.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

import trio

from peer.engine.context import Context
from peer.lan.link import Answer
from peer.lan.serving import ChunkServer, Turns
from peer.store.versions import version_body
from peer.transfer.near import Lending
from peer.transfer.sources import LocalChunks
from protocol.ids import ChangeId, ChunkId
from protocol.lan import GoneReason, LanRequest

LINGER_S: Final = 10.0
"""For so long after a file was fetched its chunks are here for sure, though perhaps between two places."""


@dataclass(slots=True)
class _Lent:
    lending: Lending
    until_s: float | None = None


class Shelf:
    """One workspace's chunks, for as long as its folder is open; then `close` it."""

    def __init__(self, context: Context, local: LocalChunks, held: LocalChunks, turns: Turns) -> None:
        self._context = context
        self._turns = turns
        self._held_chunks = held
        compute, keys = context.machine.compute, context.keyring.fixed
        self._servers = [ChunkServer(context.root, compute, chunks, keys, turns) for chunks in (local, held)]
        self._lent: list[_Lent] = []
        self._at_work = 0
        self._done = trio.Event()
        self._closed = False

    async def held(self, version: ChangeId) -> list[bool] | None:
        """Which of a version's distinct chunks are here; None for one that is unknown, or has none."""
        if self._closed:
            return None
        with self._working():
            here = await self._context.machine.database_work.run(self._look_up, version)
            lacking = [chunk for chunk, is_here in here.items() if not is_here]
            if lacking:
                here |= dict.fromkeys(await self._held_chunks.locate(lacking), True)
        return list(here.values()) or None

    def _look_up(self, version: ChangeId) -> dict[ChunkId, bool]:
        """A version's distinct chunks in order, and whether they are in place or being fetched."""
        context = self._context
        body = version_body(context.machine.database, context.record.w, version)
        if body is None or body.manifest is None:
            return {}
        chunks = list(dict.fromkeys(ref.chunk for ref in body.manifest.chunks))
        here = context.contents.on_disk(chunks)
        return {chunk: chunk in here or any(one.lending.has(chunk) for one in self._lent) for chunk in chunks}

    async def read(self, wanted: Sequence[LanRequest]) -> Sequence[Answer]:
        """Chunks in the order asked for, or why they do not come."""
        if self._closed:
            return [GoneReason.GONE] * len(wanted)
        with self._working():
            return await self._read(wanted)

    @contextmanager
    def _working(self) -> Iterator[None]:
        self._at_work += 1
        try:
            yield
        finally:
            self._at_work -= 1
            if not self._at_work:
                self._done.set()
                self._done = trio.Event()

    async def _read(self, wanted: Sequence[LanRequest]) -> Sequence[Answer]:
        self._forget()
        lent = {each.chunk: one.lending for one in self._lent for each in wanted if one.lending.has(each.chunk)}
        answers: dict[int, Answer] = {}
        if lent:
            async with self._turns:
                answers = await self._context.machine.compute.run(self._read_back, wanted, lent)
        for server in self._servers:
            rest = [each for each in wanted if isinstance(answers.get(each.number, GoneReason.GONE), GoneReason)]
            if rest:
                for each, answer in zip(rest, await server.read(rest), strict=True):
                    is_moving = answer is GoneReason.GONE and each.chunk in lent
                    answers[each.number] = GoneReason.BUSY if is_moving else answer
        return [answers[each.number] for each in wanted]

    def _read_back(self, wanted: Sequence[LanRequest], lent: dict[ChunkId, Lending]) -> dict[int, Answer]:
        found: dict[int, Answer] = {}
        for each in wanted:
            lending = lent.get(each.chunk)
            data = None if lending is None else lending.read_back(each.chunk, each.length)
            if data is not None:
                found[each.number] = data
        return found

    @contextmanager
    def lend(self, lending: Lending) -> Iterator[None]:
        """Serve these too, for as long as the context lasts and a little longer."""
        self._forget()
        one = _Lent(lending)
        self._lent.append(one)
        try:
            yield
        finally:
            one.until_s = self._now_s() + LINGER_S

    def _forget(self) -> None:
        now_s = self._now_s()
        self._lent = [one for one in self._lent if one.until_s is None or one.until_s > now_s]

    def _now_s(self) -> float:
        return self._context.machine.clock.monotonic_s()

    async def close(self) -> None:
        """Serve nothing more; returns once nothing is read in the folder."""
        self._closed = True
        while self._at_work:
            await self._done.wait()
