"""A7, the chain: every row follows from the one before it, and its author was allowed to commit it there.

Judged by the protocol's own rules on a state of the checker's own, which has seen nothing but the rows.
"""

from protocol.rules import judge_row
from protocol.state import MemoryState
from protocol.view import Delta
from simulations.checkers.journal import HASHES, Committed


class Chain:
    """The rows of all workspaces."""

    def __init__(self) -> None:
        self._states: dict[bytes, MemoryState] = {}

    def __call__(self, committed: Committed) -> str | None:
        """The broken promise, if this row breaks it."""
        state = self._states.setdefault(committed.workspace, MemoryState())
        verdict = judge_row(state, committed.row, HASHES)
        if not isinstance(verdict, Delta):
            return f"A7 chain: row {committed.row.seq} is not legal: {verdict}"
        state.apply(verdict)
        return None
