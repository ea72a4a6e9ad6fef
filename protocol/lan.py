"""What two devices say to each other on a LAN link. Owns the types; never a byte of them (see `lan_frames`).

The link is TLS between two members that have proved who they are, so nothing here is signed or sealed. A version is
named by its change id. Its chunks are counted in the order of its manifest, each distinct chunk once, where it occurs
first: that number is a chunk's *index* in every bitmap.
"""

import enum
from collections.abc import Iterable, Iterator
from typing import Annotated

from msgspec import Meta

from protocol import limits
from protocol.codec import Message
from protocol.ids import WireChangeId, WireChunkId, WireCommitDigest, WireLogHash, WireWorkspaceId
from protocol.model import Count, Seq

Bits = Annotated[bytes, Meta(min_length=1, max_length=limits.CHANGE_BLOCKS // 8)]
"""One bit an index, the most significant of the first byte for index 0; padded with zeros to whole bytes."""
Chunks = Annotated[int, Meta(ge=1, le=limits.CHANGE_BLOCKS)]
Index = Annotated[int, Meta(ge=0, lt=limits.CHANGE_BLOCKS)]
Word = Annotated[str, Meta(min_length=1, max_length=64)]
Number = Annotated[int, Meta(ge=1, le=2**32 - 1)]


CommitByte = Annotated[int, Meta(ge=0, le=limits.COMMIT_BYTES)]


class LanHead(Message, frozen=True):
    """How far the sender has verified the journal of a workspace that both are members of."""

    workspace: WireWorkspaceId
    seq: Seq
    log_hash: WireLogHash


class LanHello(Message, frozen=True, tag="hello"):
    """The first message in each direction, and only that."""

    major: Count
    revision: Count
    capabilities: Annotated[tuple[Word, ...], Meta(max_length=16)]
    heads: Annotated[tuple[LanHead, ...], Meta(max_length=limits.LAN_WORKSPACES)]


class LanHeads(Message, frozen=True, tag="heads"):
    """The sender's journals went on."""

    heads: Annotated[tuple[LanHead, ...], Meta(max_length=limits.LAN_WORKSPACES)]


class LanNeed(Message, frozen=True, tag="need"):
    """The sender lacks these chunks of a version, and wants to be told which of them the other has, now and later.

    Answered with `LanHave` or `LanNothing`. Said again, it replaces what was said before.
    """

    workspace: WireWorkspaceId
    version: WireChangeId
    chunks: Chunks
    bits: Bits


class LanEnough(Message, frozen=True, tag="enough"):
    """The sender needs nothing more of a version."""

    workspace: WireWorkspaceId
    version: WireChangeId


class LanHave(Message, frozen=True, tag="have"):
    """Which chunks of a needed version the sender holds. A promise to look, not that they will be there."""

    workspace: WireWorkspaceId
    version: WireChangeId
    chunks: Chunks
    bits: Bits


class LanMore(Message, frozen=True, tag="more"):
    """Further chunks of a needed version that the sender holds now."""

    workspace: WireWorkspaceId
    version: WireChangeId
    indexes: Annotated[tuple[Index, ...], Meta(min_length=1, max_length=limits.LAN_MORE)]


class LanNothing(Message, frozen=True, tag="nothing"):
    """The sender holds none of a version, or does not know it, or it is not for the other: these are not told apart."""

    workspace: WireWorkspaceId
    version: WireChangeId


class LanRequest(Message, frozen=True, tag="request"):
    """Send a chunk. Numbers rise on a link. Answered exactly once: by a chunk frame of that number or `LanGone`."""

    number: Number
    workspace: WireWorkspaceId
    version: WireChangeId
    chunk: WireChunkId
    length: Annotated[int, Meta(ge=1, le=limits.CHUNK_BYTES)]


class LanCancel(Message, frozen=True, tag="cancel"):
    """The chunk is no longer wanted. The request is still answered: with the chunk where it was on its way."""

    number: Number


class GoneReason(enum.StrEnum):
    """Why a chunk does not come."""

    GONE = "gone"
    """Not here, no longer here, or not for the asker."""
    BUSY = "busy"
    """Here, but not now: ask somebody else."""
    CANCELLED = "cancelled"


class LanGone(Message, frozen=True, tag="gone"):
    """A requested chunk will not come."""

    number: Number
    reason: GoneReason


class LanKept(Message, frozen=True, tag="kept"):
    """Commits that wait for the coordinator at the sender, in the order in which one can follow the other.

    Said again, it adds to what was said before.
    """

    workspace: WireWorkspaceId
    commits: Annotated[tuple[WireCommitDigest, ...], Meta(min_length=1, max_length=limits.LAN_KEPT)]


class LanCommitAsk(Message, frozen=True, tag="commit_ask"):
    """Send a kept commit from byte `at` on. Answered by one `LanCommitPart`, before which nothing else is asked so."""

    workspace: WireWorkspaceId
    commit: WireCommitDigest
    at: CommitByte


class LanCommitPart(Message, frozen=True, tag="commit_part"):
    """A piece of a kept commit, from byte `at` on, of `size` bytes in all; `size` 0: it is not to be had."""

    workspace: WireWorkspaceId
    commit: WireCommitDigest
    size: CommitByte
    at: CommitByte
    data: Annotated[bytes, Meta(max_length=limits.LAN_PART_BYTES)]


class LanPing(Message, frozen=True, tag="ping"):
    """Are you there? Answered with a `LanPong` of the same number; of several unanswered ones the last counts."""

    number: Number


class LanPong(Message, frozen=True, tag="pong"):
    """Yes."""

    number: Number


class ByeReason(enum.StrEnum):
    """Why a link is closed."""

    CLOSING = "closing"
    DOUBLED = "doubled"
    """There is another link between the two, which stays."""
    NOT_SHARED = "not_shared"
    """The two have no workspace in common, or one of them is no longer a member."""
    MALFORMED = "malformed"


class LanBye(Message, frozen=True, tag="bye"):
    """The last message of the sender."""

    reason: ByeReason


LanMessage = (
    LanHello
    | LanHeads
    | LanNeed
    | LanEnough
    | LanHave
    | LanMore
    | LanNothing
    | LanRequest
    | LanCancel
    | LanGone
    | LanKept
    | LanCommitAsk
    | LanCommitPart
    | LanPing
    | LanPong
    | LanBye
)


def bits_of(indexes: Iterable[int], chunks: int) -> bytes:
    """The bitmap of `chunks` bits with these set. Raises `IndexError` for an index beyond them."""
    bits = bytearray((chunks + 7) // 8)
    for index in indexes:
        if not 0 <= index < chunks:
            raise IndexError(index)
        bits[index // 8] |= 0x80 >> (index % 8)
    return bytes(bits)


def all_bits(chunks: int) -> bytes:
    """The bitmap of `chunks` bits with all set."""
    return ((1 << chunks) - 1 << (-chunks % 8)).to_bytes((chunks + 7) // 8, "big")


def bits_fit(bits: bytes, chunks: int) -> bool:
    """Whether this is a bitmap of exactly so many bits, padded with zeros."""
    return len(bits) == (chunks + 7) // 8 and not bits[-1] & (1 << (-chunks % 8)) - 1


def indexes_of(bits: bytes) -> Iterator[int]:
    """The indexes set in a bitmap, rising."""
    for at, byte in enumerate(bits):
        while byte:
            high = byte.bit_length()
            yield at * 8 + 8 - high
            byte ^= 1 << (high - 1)
