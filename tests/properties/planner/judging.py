"""The journal's own judge (`protocol.tree_rules`) over the proposals of a plan, with empty sealed parts."""

import hashlib

from peer.planner.operations import ProposeChange
from protocol.ids import ChangeId, CommitDigest, DeviceId, LogHash, NameKey
from protocol.messages import ChangeRefusal
from protocol.model import Change, Clear, Header, Kind, Seen
from protocol.state import MemoryState
from protocol.tree_rules import Proposal, judge_changes
from protocol.view import Delta, WorkspaceState
from tests.properties.planner.edits import change_id


def _change(one: ProposeChange, cursor: int) -> Change:
    node = one.node
    name_key = NameKey(hashlib.blake2b(node.parent + node.name.encode(), digest_size=16).digest())
    seen = Seen(cursor, ()) if node.deleted and node.kind is Kind.DIRECTORY else None
    clear = Clear(
        entry=one.entry,
        parent=node.parent,
        kind=node.kind,
        base=one.base,
        name_key=name_key,
        deleted=node.deleted,
        offered=False,
        epoch=1,
        padded_bytes=0,
        seen=seen,
    )
    return Change(clear, b"", b"", b"")


class Judge:
    """The judge's state, which grows by the commits that are taken."""

    def __init__(self) -> None:
        self.state = MemoryState()

    def take(self, proposals: list[ProposeChange], device: int, cursor: int) -> tuple[ChangeRefusal, ...]:
        """Judge one commit of a device that had seen the journal up to `cursor`, and take it if nothing is refused."""
        small = self.state.workspace
        author = DeviceId(device.to_bytes(16, "big"))
        header = Header(1, small.workspace, author, small.seq + 1, small.seq, cursor, LogHash(bytes(32)), 0)
        changes = tuple(_change(one, cursor) for one in proposals)
        ids: tuple[ChangeId, ...] = tuple(change_id(one.node, one.base) for one in proposals)
        proposal = Proposal(header, changes, ids)
        refused = judge_changes(self.state, proposal)
        if not refused:
            seq = small.seq + 1
            digest = CommitDigest(seq.to_bytes(32, "big"))
            after = WorkspaceState(small.workspace, seq, LogHash(digest), 1, small.last_control)
            self.state.apply(Delta(after, digest, proposal.states(seq), (), (), ()))
        return refused
