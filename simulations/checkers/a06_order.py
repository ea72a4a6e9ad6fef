"""A6, monotonicity: rows are numbered without a gap, the coordinator's times never decrease, and no device goes back.

Owns what was seen last of each workspace and of each device's cursor.
"""

from collections.abc import Iterable

from simulations.checkers.journal import Committed


class Order:
    """The rows of all workspaces."""

    def __init__(self) -> None:
        self._last: dict[bytes, tuple[int, int]] = {}
        self._hashes: dict[tuple[bytes, int], bytes] = {}

    def __call__(self, committed: Committed) -> str | None:
        """The broken promise, if this row breaks it."""
        row = committed.row
        seq, received = self._last.get(committed.workspace, (0, 0))
        self._last[committed.workspace] = (row.seq, row.received)
        self._hashes[committed.workspace, row.seq] = row.log_hash
        if row.seq != seq + 1:
            return f"A6 order: row {row.seq} comes after row {seq}"
        if row.received < received:
            return f"A6 order: row {row.seq} was received {received - row.received} ms before the one before it"
        return None

    def hash_at(self, workspace: bytes, seq: int) -> bytes | None:
        """The journal's hash after a row; None where it has no such row."""
        return self._hashes.get((workspace, seq))


class Cursors:
    """The cursors of one device, for as long as its home is not put back from a copy."""

    def __init__(self, device: str, order: Order) -> None:
        self._device = device
        self._order = order
        self._last: dict[bytes, int] = {}

    def __call__(self, cursors: Iterable[tuple[bytes, int, bytes]]) -> str | None:
        """The broken promise, if these (workspace, row, hash), as just committed, break it."""
        for workspace, seq, log_hash in cursors:
            last = self._last.get(workspace, 0)
            if seq == last:
                continue
            self._last[workspace] = seq
            if seq < last:
                return f"A6 order: {self._device}'s cursor goes from {last} back to {seq}"
            if seq and self._order.hash_at(workspace, seq) != log_hash:
                return f"A6 order: {self._device}'s cursor at {seq} is not on the journal"
        return None

    def forget(self) -> None:
        """The home is another one now."""
        self._last.clear()
