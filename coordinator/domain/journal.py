"""Where a device's verified cursor lies on a journal, and what a lost commit handed back must be. Pure."""

import enum

from protocol.ids import LogHash


class Cursor(enum.Enum):
    """What a cursor says about a journal."""

    ON_JOURNAL = "on_journal"
    WENT_BACK = "went_back"
    """The device has verified more than there is: the journal may be a prefix of what it has."""
    FORKED = "forked"
    """The journal has another commit there."""


def place_cursor(head_seq: int, cursor_seq: int, cursor_hash: LogHash, hash_at: LogHash | None) -> Cursor:
    """Compare a cursor with the journal; `hash_at` is the journal's own hash at `cursor_seq`, None beyond its head."""
    if cursor_seq > head_seq or hash_at is None:
        return Cursor.WENT_BACK
    return Cursor.ON_JOURNAL if hash_at == cursor_hash else Cursor.FORKED


class Place(enum.Enum):
    """Where a row handed back belongs."""

    HELD = "held"
    NEXT = "next"
    ELSEWHERE = "elsewhere"


def place_row(head_seq: int, seq: int, log_hash: LogHash, hash_at: LogHash | None) -> Place:
    """A row is taken only as the very next one; one that the journal has, the same, is passed over."""
    if seq == head_seq + 1:
        return Place.NEXT
    return Place.HELD if 0 < seq <= head_seq and hash_at == log_hash else Place.ELSEWHERE


def received_at(last_ms: int, now_ms: int, claimed_ms: int | None = None) -> int:
    """The received time of a commit: never before the last one's; one handed back keeps its own, if past."""
    return max(last_ms, now_ms if claimed_ms is None else min(claimed_ms, now_ms))
