"""Journals compared with those of other devices on the LAN. Owns what they said and which of them tell another history.

A coordinator that shows different histories to different devices is found out here. Whose word it is does not matter:
nothing is applied or stopped because of it, and what is told of here is told to people by whoever asks.
"""

import logging
from collections import OrderedDict
from typing import Final

from peer.store.journal import JournalState
from protocol.ids import DeviceId, WorkspaceId
from protocol.lan import LanHead

PENDING: Final = 1_000
"""So many heads that are not reached here yet are remembered, the newest."""
WAKE_S: Final = 10.0
"""So often at most the journal is asked for because another device has verified more of it."""

_log = logging.getLogger("shoal.lan")

Pair = tuple[DeviceId, WorkspaceId]


class Heads:
    """What other devices said of their journals."""

    def __init__(self) -> None:
        self._pending: OrderedDict[Pair, LanHead] = OrderedDict()
        self._woken_s: dict[WorkspaceId, float] = {}
        self._tried_s: dict[WorkspaceId, float] = {}
        self.other: set[Pair] = set()
        """Whose journal of what is another one than ours."""

    def heard(self, device: DeviceId, head: LanHead) -> None:
        """A device has verified a journal up to there. Replaces what it said of it before."""
        pair = (device, WorkspaceId(head.workspace))
        self._pending.pop(pair, None)
        self._pending[pair] = head
        if len(self._pending) > PENDING:
            self._pending.popitem(last=False)

    def is_news(self, workspace: WorkspaceId, now_s: float) -> bool:
        """Whether that somebody is there is reason to try again what could not be fetched: not at each word."""
        if now_s - self._tried_s.get(workspace, -WAKE_S) < WAKE_S:
            return False
        self._tried_s[workspace] = now_s
        return True

    def due(self, workspace: WorkspaceId, seq: int) -> list[tuple[Pair, LanHead]]:
        """What can be compared, now that a journal is verified here up to `seq`."""
        return [(pair, head) for pair, head in self._pending.items() if pair[1] == workspace and head.seq <= seq]

    def is_worth_asking(self, workspace: WorkspaceId, seq: int, now_s: float) -> bool:
        """Whether somebody has verified more than `seq`, and nobody asked because of that lately."""
        ahead = any(pair[1] == workspace and head.seq > seq for pair, head in self._pending.items())
        if not ahead or now_s - self._woken_s.get(workspace, -WAKE_S) < WAKE_S:
            return False
        self._woken_s[workspace] = now_s
        return True

    def compare(self, journal: JournalState, due: list[tuple[Pair, LanHead]]) -> list[tuple[Pair, bool]]:
        """Whether each is on this journal. In the database's thread."""
        return [(pair, journal.head_known(head.seq, head.log_hash)) for pair, head in due]

    def compared(self, due: list[tuple[Pair, LanHead]], verdicts: list[tuple[Pair, bool]]) -> list[Pair]:
        """Note what came of it; those whose journal turned out to be another one."""
        for pair, head in due:
            if self._pending.get(pair) == head:
                del self._pending[pair]
        found = []
        for pair, is_ours in verdicts:
            if is_ours:
                self.other.discard(pair)
            else:
                found.append(pair)
                if pair not in self.other:
                    _log.warning(
                        "workspace %s: device %s has another history: nothing is exchanged with it",
                        pair[1].hex()[:8],
                        pair[0].hex()[:8],
                    )
                self.other.add(pair)
        return found
