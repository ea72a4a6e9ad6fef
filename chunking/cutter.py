"""Cuts bytes into content-defined chunks.

Owns where the cuts are and how a stream is buffered between reads. Never reads a file, names a
chunk or keeps one: what it returns are views.

The algorithm is FastCDC, rolling two bytes at a time, with normalised chunking at level 2 (Xia
et al., "The Design of Fast Content-Defined Chunking for Data Deduplication Based Storage
Systems", IEEE TPDS 31(9), 2020), as implemented by `pyfastcdc`. Its compiled extension is
imported by name: where it was not built, importing this module fails rather than falling back
to a cutter hundreds of times slower. Scanning releases the GIL.
"""

from typing import Any, Final, TypeAlias

from pyfastcdc.cy import FastCDC

from chunking.params import DEFAULT_PARAMS, ChunkerParams

NORMALISATION: Final = 2

Buffer: TypeAlias = bytes | bytearray | memoryview


def _engine(params: ChunkerParams) -> Any:
    return FastCDC(
        params.avg_size,
        min_size=params.min_size,
        max_size=params.max_size,
        normalized_chunking=NORMALISATION,
    )


def cut(buffer: Buffer, params: ChunkerParams = DEFAULT_PARAMS) -> list[tuple[int, int]]:
    """The whole buffer's chunks as (offset, length), in order and without gaps.

    Every length is at most `max_size`, and at least `min_size` except for the last. An empty
    buffer has no chunks. Deterministic: equal bytes and parameters give equal cuts.
    """
    view = memoryview(buffer).cast("B")
    return [(chunk.offset, chunk.length) for chunk in _engine(params).cut_buf(view)]


class Cutter:
    """Cuts a stream that arrives in pieces, exactly as `cut` would cut the whole.

    Holds at most `max_size` bytes plus one step between calls. Not for use by two threads at
    once; a cutter serves one stream and ends with `finish`.

    The views returned point into the buffer that was passed in, or, for a chunk that spans two
    calls, into memory that is never changed again. Whoever reuses the read buffer must be done
    with the views first; nothing else refers to it once `feed` has returned.
    """

    __slots__ = ("_carry", "_engine", "_finished", "_look_at", "_max_size", "_step")

    def __init__(self, params: ChunkerParams = DEFAULT_PARAMS) -> None:
        self._engine = _engine(params)
        self._max_size = params.max_size
        self._step = 2 * params.avg_size
        # Bytes after the last certain cut, and the size at which it pays to scan them (again):
        # scanning after every tiny piece would cost the square of a chunk.
        self._carry = bytearray()
        self._look_at = self._step
        self._finished = False

    def feed(self, buffer: Buffer) -> list[memoryview]:
        """The chunks that are certain now that these bytes have come, in stream order.

        May be empty, and may hold back a chunk that is certain already until more has come.
        """
        if self._finished:
            raise ValueError("this cutter has finished")
        view = memoryview(buffer).cast("B")
        chunks: list[memoryview] = []
        start = self._cut_across(view, chunks) if self._carry else 0
        if start == len(view):
            return chunks
        rest = view[start:]
        used = self._scan(rest, chunks)
        self._keep(rest[used:])
        return chunks

    def finish(self) -> list[memoryview]:
        """The chunks that remain, the last of which may be shorter than `min_size`.

        The stream is over: feeding afterwards raises `ValueError`.
        """
        self._finished = True
        carry, self._carry = self._carry, bytearray()
        if not carry:
            return []
        return [chunk.data for chunk in self._engine.cut_buf(memoryview(carry).toreadonly())]

    def _scan(self, view: memoryview, chunks: list[memoryview]) -> int:
        """Appends the certain chunks of the view; how many bytes they cover.

        A cut found by content lies before the end of what was scanned, and no later byte could
        move it. A chunk that reaches the end is certain only at full size.
        """
        size = len(view)
        if size == 0:
            return 0
        end = 0
        for chunk in self._engine.cut_buf(view):
            stop = chunk.offset + chunk.length
            if stop == size and chunk.length < self._max_size:
                break
            chunks.append(chunk.data)
            end = stop
        return end

    def _cut_across(self, view: memoryview, chunks: list[memoryview]) -> int:
        """Completes the carried chunk with as few bytes of the view as it takes.

        Returns where in the view to go on; all of it when nothing could be decided yet.
        """
        taken = 0
        while True:
            before = len(self._carry)
            take = min(max(self._look_at - before, 0), len(view) - taken)
            self._carry += view[taken : taken + take]
            taken += take
            if len(self._carry) < self._look_at:
                return taken
            found: list[memoryview] = []
            end = self._scan(memoryview(self._carry).toreadonly(), found)
            if not found:
                self._look_at = len(self._carry) + self._step
                continue
            chunks += found
            left = len(self._carry) - end
            if left <= taken:
                self._keep(b"")
                return taken - left
            # Many small pieces had gathered: several cuts, and a tail older than this view.
            self._keep(memoryview(self._carry)[end:])

    def _keep(self, tail: Buffer) -> None:
        # A new object: views of the old one may be in the caller's hands.
        self._carry = bytearray(tail)
        self._look_at = len(self._carry) + self._step
