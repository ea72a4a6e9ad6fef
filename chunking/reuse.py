"""Which chunks of a new version have to be fetched, and which are at hand.

Owns that decision. Never fetches, reads or checks anything: what is held is asked of a lookup
that the caller passes in.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

Place = TypeVar("Place")


@dataclass(frozen=True, slots=True)
class Span(Generic[Place]):
    """One chunk's place in the new file; `held` says where its bytes are, None: nowhere here."""

    chunk_id: bytes
    offset: int
    length: int
    held: Place | None


@dataclass(frozen=True, slots=True)
class ReusePlan(Generic[Place]):
    """What it takes to build a file.

    `spans` covers the file in order, without gaps. `fetch` names each missing chunk once, with
    its length, in the order of first use. The two byte counts add up to at most `size_bytes`:
    a chunk that occurs again is neither fetched nor counted a second time.
    """

    spans: tuple[Span[Place], ...]
    fetch: tuple[tuple[bytes, int], ...]
    size_bytes: int
    fetch_bytes: int
    held_bytes: int


def plan_reuse(chunks: Iterable[tuple[bytes, int]], held: Callable[[bytes], Place | None]) -> ReusePlan[Place]:
    """Compares a version's ordered (chunk id, length in bytes) list with what is held locally.

    `held` is asked once for every distinct chunk id. Raises `ValueError` where one id comes
    with two lengths, which no honest list does.
    """
    spans: list[Span[Place]] = []
    fetch: list[tuple[bytes, int]] = []
    known: dict[bytes, tuple[int, Place | None]] = {}
    offset = fetch_bytes = held_bytes = 0
    for chunk_id, length in chunks:
        seen = known.get(chunk_id)
        if seen is None:
            place = held(chunk_id)
            known[chunk_id] = (length, place)
            if place is None:
                fetch.append((chunk_id, length))
                fetch_bytes += length
            else:
                held_bytes += length
        elif seen[0] != length:
            raise ValueError("one chunk id with two lengths")
        else:
            place = seen[1]
        spans.append(Span(chunk_id, offset, length, place))
        offset += length
    return ReusePlan(tuple(spans), tuple(fetch), offset, fetch_bytes, held_bytes)
